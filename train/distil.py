"""Distil a style: StyleSRNet learns to paint what another network paints.

    python train/distil.py --teacher my-network --photos my-photos --out runs/my-style

    python train/distil.py --teacher my-microast --style-image work.jpg --photos my-photos

The teacher is any network here that repaints a picture at its own size, such as fast neural
style's (`stylesr import` brings the community's), CycleGAN's or pix2pix's, or one that is shown a
work and paints like it (MicroAST). What comes of it is a style like all others: it enlarges in the
same pass, has strengths and mixes, and its tiles agree.
The teacher sees the photo, the student only what is left of it when it is reduced: distillation
(Hinton et al., 2015, https://arxiv.org/abs/1503.02531) of a picture's painter.

The lines run on a laptop's CPU and on a GPU; with `accelerate launch` in place of `python` on
several. Stop it with Ctrl-C when you like and add `--resume` to go on. See train/README.md.
"""

import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from stylesr import training
from stylesr.data.datasets import RandomCrops, load_folder, load_rgb
from stylesr.errors import InputError
from stylesr.losses.adversarial import (
    hinge_discriminator,
    hinge_generator,
    jitter,
    r1_penalty,
)
from stylesr.losses.perceptual import (
    DistilledVGG19,
    consistency_loss,
    content_loss,
    half,
    lattice_loss,
    phase_loss,
    relative_gram_loss,
)
from stylesr.models import Generator, MicroAST, StyleSRNet
from stylesr.models.discriminators import PatchDiscriminator
from stylesr.models.instance_norm import InstanceNormalised
from stylesr.models.microast import Statistics, StyleCode
from stylesr.models.wrappers import Painter
from stylesr.picture import Picture, to_levels, to_pil
from stylesr.previews import grid
from stylesr.resample import downscale


@dataclass
class Recipe:
    """Values of a run; each is an option of the command."""

    teacher: str  # a network that paints at a picture's own size: a name, a folder or a Hub id
    photos: list[str]  # folders of photos to paint
    style_image: list[str] = field(default_factory=list)  # works, for a teacher that is shown some
    out: str = "runs/distilled"
    base: str = "photo"  # the model from which the style starts and with which it blends
    init: str = ""  # a trained style to go on from; "" for the base
    perceptual: str = ""  # the perceptual network; fetched once when left out
    side: int = 768  # longest side to which larger photos, and works, are reduced
    # a teacher that normalises does so by what all photos have on average, or each has as its own
    normalise: Literal["average", "own"] = "average"
    factors: list[int] = field(default_factory=lambda: [4, 4, 2, 1])  # by their shares
    steps: int = 2000
    batch: int = 4
    crop: int = 256  # of the output; its margin is not judged
    margin: int = 16
    lr: float = 1e-3
    warmup: int = 100
    cooldown: float = 0.4
    gain: float = 0.4  # of the photo's own pixels at the start; the style learns how much to keep
    noise_rate: float = 0.1  # share of the rate, for weights on the noise: forms follow the photo
    pixel_weight: float = 6.0  # weight of the plain difference, at half the size
    content: float = 1.0  # of the difference of features, at both sizes
    style: float = 1.5  # of the difference of their statistics: what cannot be known is likely
    lattice: float = 2.0  # against grids, dots and beads, the teacher's own included
    adversarial: float = 0.05
    r1: float = 0.03  # weight of a flat discriminator around the teacher's pictures
    steady: float = 1.0  # against strokes that change when the photo moves a little
    line: float = 0.25  # share of the steps trained at a strength between 0 and 1
    ema: float = 0.99
    seed: int = 0
    mixed_precision: Literal["no", "bf16"] = "no"  # "bf16" where the processor has it
    workers: int = 0  # processes that cut crops beside the training, for a GPU
    log_every: int = 50
    preview_photos: str = ""  # a folder; its first pictures are painted in between
    previews: int = 4
    preview_every: int = 500
    save_every: int = 250
    patience: int = 0  # stop after so many previews without a gain; 0 = never
    resume: bool = False


R1_EVERY = 4  # steps; it changes slowly and costs a second gradient
REACH = 3  # pixels by which a photo moves: below a trunk pixel, else it moves with it exactly
GRAIN = 1.5 / 255  # of the moved one
AVERAGED = 64  # photos of which a teacher takes the statistics
LAYERS = {"relu1_1": 0.2, "relu2_1": 0.5, "relu3_1": 1.0, "relu4_1": 1.0, "relu5_1": 1.0}


def main(recipe: Recipe) -> None:
    """Run the recipe; writes `out/model` (the averaged weights), losses, previews, checkpoints."""
    # -- models, optimisers -------------------------------------------------------------------
    check(recipe)
    out = Path(recipe.out)
    accelerator = Accelerator(
        mixed_precision=recipe.mixed_precision,
        log_with="tensorboard",
        project_dir=out,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],  # stems
    )
    device = accelerator.device
    torch.manual_seed(recipe.seed)
    teacher = load_teacher(recipe).to(device)
    base = StyleSRNet.from_pretrained(recipe.base, map_location=device)
    model = training.descendant(base, recipe.base, recipe.init)
    if not recipe.init:
        nn.init.constant_(model.skip_gain, recipe.gain)
    model.skips.requires_grad_(False)  # of the linear path only the gain is learnt
    painter = Painter(model, base).to(device, memory_format=torch.channels_last)
    critic = PatchDiscriminator().to(device, memory_format=torch.channels_last)
    with accelerator.local_main_process_first():  # one process fetches what is not there yet
        vgg = DistilledVGG19.load(recipe.perceptual or None).to(device)
    ema = training.average(model, recipe.ema)
    groups: list[dict[str, Any]]
    groups = [{"params": []}, {"params": [], "lr": recipe.noise_rate * recipe.lr}]
    for name, parameter in model.named_parameters():
        groups[name.startswith("noise.")]["params"].append(parameter)
    g_optimizer = torch.optim.Adam(groups, lr=recipe.lr, betas=(0.9, 0.99))
    d_optimizer = torch.optim.Adam(critic.parameters(), lr=4e-4, betas=(0.5, 0.99))
    scheduler = training.schedule(g_optimizer, recipe.steps, recipe.warmup, recipe.cooldown)
    stop = training.EarlyStop(recipe.patience)
    parts = {
        "model": model,
        "ema": ema,
        "critic": critic,
        "g_optimizer": g_optimizer,
        "d_optimizer": d_optimizer,
        "scheduler": scheduler,
        "stop": stop,
    }
    done = 0
    if recipe.resume:
        state = training.load_checkpoint(out / "checkpoints")
        done = training.restore(parts, state, recipe.steps)

    # -- the photos, and what the teacher makes of them: whole, as it is used ---------------------
    items = recipe.batch * accelerator.num_processes
    multiple = teacher.network.multiple_of(1)  # photos are cut to it, and a crop has to be left
    least = -(-recipe.crop // multiple) * multiple
    photos = [
        p
        for folder in recipe.photos
        for p in load_folder(folder, at_least=least, at_most=recipe.side)
    ]
    teacher.prepare(photos)
    bar = tqdm(photos, "teacher", disable=not accelerator.is_main_process)
    pairs = [with_painting(teacher, photo, n) for n, photo in enumerate(bar)]
    length = recipe.steps * items
    crops = RandomCrops(pairs, recipe.crop, length, recipe.seed, reduce=0, upright=True)
    rest = Subset(crops, range(done * items, len(crops)))
    loader = DataLoader(rest, recipe.batch, num_workers=recipe.workers)
    painter, critic, g_optimizer, d_optimizer, loader = accelerator.prepare(
        painter, critic, g_optimizer, d_optimizer, loader
    )
    minutes, shown = 0.0, []
    if accelerator.is_main_process:
        minutes = training.begin(recipe, done, accelerator.num_processes)
        if recipe.preview_photos:
            shown = training.preview_photos(recipe.preview_photos, recipe.previews, out)
    accelerator.init_trackers("distil")

    # -- loop -----------------------------------------------------------------------------------
    interrupt, g_finite, d_finite = training.Interrupt(), training.Finite(), training.Finite()
    m = recipe.margin
    rows: list[dict[str, Tensor]] = []
    bar = tqdm(loader, initial=done, total=recipe.steps, disable=not accelerator.is_main_process)
    started = time.monotonic() - 60 * minutes
    for step, both in enumerate(bar, start=done + 1):
        rng = random.Random(f"{recipe.seed} {step} {accelerator.process_index}")
        together = random.Random(f"{recipe.seed} {step}")  # the same choice in every process
        strength = together.random() if together.random() < recipe.line else 1.0
        seeds = [rng.randrange(2**31) for _ in range(len(both))]
        move = (rng.randint(-REACH, REACH), rng.randint(-REACH, REACH))

        if recipe.steady:  # the first two are one photo, moved and in other noise
            both[1], seeds[1] = both[0].roll(move, (1, 2)), seeds[0]
        photo, scene = both.split(3, 1)
        scene = torch.lerp(photo, scene, strength)  # of one drawing, so no double exposure
        scale = together.choice(recipe.factors)
        lr = downscale(photo, scale).clamp(0, 1)
        if recipe.steady:
            generator = torch.Generator(device).manual_seed(rng.getrandbits(63))
            lr[1] += GRAIN * torch.randn(lr[1].shape, generator=generator, device=device)

        # -- generator: what the teacher painted, and where that cannot be known, what it might ---
        with accelerator.autocast():
            painted = painter(lr, scale, seeds, strength)
            # not always on the same pixels: no pattern may hide in the perceptual network's strides
            right, down = (together.randint(-m // 2, m // 2) for _ in range(2))
            sides = (-m - right, -m + right, -m - down, -m + down)
            painted, target = (F.pad(x, sides).float() for x in (painted, scene))  # crops
            seen, seen_half = vgg(painted), vgg(half(painted))
            with torch.no_grad():
                wanted, wanted_half = vgg(target), vgg(half(target))
                grams, grams_half = vgg.grams(wanted), vgg.grams(wanted_half)
            critic.requires_grad_(False)
            score = critic(jitter(painted, rng))
        losses = {
            "pixel": recipe.pixel_weight * F.l1_loss(half(painted), half(target)),
            "content": recipe.content
            * (content_loss(seen, wanted, LAYERS) + content_loss(seen_half, wanted_half, LAYERS))
            / 2,
            "style": recipe.style
            * (
                relative_gram_loss(vgg.grams(seen), grams, LAYERS)
                + relative_gram_loss(vgg.grams(seen_half), grams_half, LAYERS)
            )
            / 2,
            "lattice": recipe.lattice * (lattice_loss(painted) + phase_loss(painted)),
            "adversarial": recipe.adversarial * hinge_generator(score.float()),
        }
        if recipe.steady:
            pair = consistency_loss(painted[:1], painted[1:2], *move)
            losses["steady"] = recipe.steady * pair
        loss = torch.stack(list(losses.values())).sum()
        accelerator.backward(loss)
        sound = g_finite(accelerator.clip_grad_norm_(painter.parameters(), 1.0))
        if sound:
            g_optimizer.step()
            ema.update_parameters(model)
        g_optimizer.zero_grad()
        scheduler.step()

        # -- discriminator: the teacher's pictures against ours ------------------------------------
        critic.requires_grad_(True)
        curbed = bool(recipe.r1) and step % R1_EVERY == 0
        real = jitter(target, rng).requires_grad_(curbed)
        with accelerator.autocast():
            scores = critic(torch.cat([real, jitter(painted.detach(), rng)])).float()
        real_scores, fake_scores = scores[: len(real)], scores[len(real) :]
        d_loss = hinge_discriminator(real_scores, fake_scores)
        penalty = R1_EVERY * recipe.r1 * r1_penalty(real_scores, real) if curbed else 0.0
        accelerator.backward(d_loss + penalty)
        if d_finite(accelerator.clip_grad_norm_(critic.parameters(), float("inf"))):
            d_optimizer.step()
            if sound:
                losses["discriminator"] = d_loss
                rows.append({name: value.detach() for name, value in losses.items()})
        d_optimizer.zero_grad()

        # -- look ---------------------------------------------------------------------------------
        last = step == recipe.steps
        if shown and (last or step % recipe.preview_every == 0):  # in the main process only
            figures = {"distance": look(out, step, teacher, Painter(ema.module, base), vgg, shown)}
            training.write_row(out / "figures.csv", {"step": step, **figures})
            accelerator.log(figures, step=step)
            if stop(-figures["distance"]):
                accelerator.set_trigger()
            if stop.since == 0:
                ema.module.save_pretrained(out / "best")

        # -- log, save, stop ----------------------------------------------------------------------
        if interrupt.noted:
            accelerator.set_trigger()
        stopping = accelerator.check_trigger()  # what one process says holds for all
        last = last or stopping
        if accelerator.is_main_process and rows and (last or step % recipe.log_every == 0):
            row = {"step": step, **training.means(rows), "lr": scheduler.get_last_lr()[0]}
            row["minutes"] = (time.monotonic() - started) / 60
            training.write_row(out / "losses.csv", row)
            accelerator.log(row, step=step)
            bar.set_postfix(pixel=f"{row['pixel']:.3f}", content=f"{row['content']:.3f}")
        if step % recipe.log_every == 0:
            rows.clear()
        if accelerator.is_main_process and (last or step % recipe.save_every == 0):
            state = {name: part.state_dict() for name, part in parts.items()}
            training.save_checkpoint(out / "checkpoints", step, state)
            ema.module.save_pretrained(out / "model")
            training.plot_tables(out)
        if stopping:
            break
    accelerator.wait_for_everyone()  # a process group that is closed at work may never close,
    painter, critic = accelerator.free_memory(painter, critic)  # nor one that a model still holds
    accelerator.end_training()
    if interrupt.noted:
        raise KeyboardInterrupt


def check(recipe: Recipe) -> None:
    """Refuse what cannot work before any work is done."""
    least = 2 if recipe.steady else 1  # with two pictures to compare
    training.check_run(
        recipe, batch=least, crop=96, margin=0, previews=1, r1=0, steady=0, noise_rate=0
    )
    if wrong := set(recipe.factors) - set(StyleSRNet.scales):
        raise InputError(f"--factors takes {StyleSRNet.scales}, got {min(wrong)}")
    if recipe.crop % 16:
        raise InputError(f"--crop must be a multiple of 16, got {recipe.crop}")
    if (inside := recipe.crop - 2 * recipe.margin) < 64:  # at half size the perceptual network's
        raise InputError(
            f"--crop {recipe.crop} less a --margin of {recipe.margin} on each side leaves "
            f"{inside} pixels; 64 are the least"
        )
    if recipe.patience and not recipe.preview_photos:
        raise InputError("--patience needs --preview-photos, on which the style is measured")


class Teacher(nn.Module):
    """A network that paints; one that is shown works sees them in turn.

    By averages it normalises all photos alike. What it paints somewhere then depends on what is
    around, as what the student paints does, and no photo's contrast is stretched.

    Args:
        network: it keeps a picture's size.
        works: (1, 3, H, W) each, RGB in [0, 1]; none for a network that is not shown any.
        average: normalise by what the photos have on average, and not each by its own.
    """

    def __init__(
        self, network: Generator, works: Sequence[Tensor] = (), average: bool = True
    ) -> None:
        super().__init__()
        self.network = network
        self.works = works
        self.average = average
        self.known: list[tuple[StyleCode, list[Statistics] | None]] = []

    @torch.no_grad()
    def prepare(self, photos: Sequence[Tensor]) -> None:
        """Read the works, and what photos (3, H, W), uint8, have on average."""
        network, some = self.network, photos[:: -(-len(photos) // AVERAGED)]
        if isinstance(network, InstanceNormalised) and self.average:
            self.network = network.pinned(self.batch(photo) for photo in some)
        if not isinstance(network, MicroAST):
            return
        for work in self.works:
            code, average = network.encode_style(work.to(network.device)), None
            if self.average:
                each = [network.statistics(self.batch(photo), code) for photo in some]
                levels = (zip(*level, strict=True) for level in zip(*each, strict=True))
                means = [tuple(torch.stack(x).mean(0) for x in level) for level in levels]
                average = cast(list[Statistics], means)
            self.known.append((code, average))

    def batch(self, photo: Tensor) -> Tensor:
        """(3, H, W), uint8, to (1, 3, h, w) in [0, 1], cut to what the network takes."""
        photo = fitted(photo, self.network.multiple_of(1))
        return photo[None].to(self.network.device).float() / 255

    def forward(self, x: Tensor, turn: int = 0) -> Tensor:
        """(N, 3, H, W) to the same, by the work whose turn it is."""
        if not isinstance(self.network, MicroAST):
            return cast(Tensor, self.network(x))
        code, average = self.known[turn % len(self.known)]
        return self.network(x, code, by=average)


def load_teacher(recipe: Recipe) -> Teacher:
    """The network that is to be imitated; it must keep a picture's size."""
    network = Generator.from_pretrained(recipe.teacher).eval().requires_grad_(False)
    kind = f"--teacher {recipe.teacher} is a {type(network).__name__}"
    if network.scales != (1,) or not network.paints:
        raise InputError(
            f"{kind}; it takes a network that paints at a picture's own size alone, such as a "
            "TransformerNet"
        )
    if isinstance(network, MicroAST) and not recipe.style_image:
        raise InputError(f"{kind}, which paints like a work; show it one with --style-image")
    if recipe.style_image and not isinstance(network, MicroAST):
        raise InputError(f"{kind}, which is shown no work; leave --style-image out")
    works = [load_rgb(path, at_most=recipe.side)[None] / 255 for path in recipe.style_image]
    return Teacher(network, works, average=recipe.normalise == "average")


@torch.no_grad()
def with_painting(teacher: Teacher, photo: Tensor, turn: int) -> Tensor:
    """(6, H, W) uint8: a photo (3, H, W), cut to what the teacher takes, and what that paints."""
    painted = teacher(teacher.batch(photo), turn).float()[0]
    photo = fitted(photo, teacher.network.multiple_of(1))
    return torch.cat([photo, to_levels(painted).to(torch.uint8).cpu()])


def fitted(picture: Tensor, multiple: int) -> Tensor:
    """(…, H, W) with sides cut to multiples."""
    height, width = (side // multiple * multiple for side in picture.shape[-2:])
    return picture[..., :height, :width]


@torch.inference_mode()
def look(
    out: Path,
    step: int,
    teacher: Teacher,
    painter: Painter,
    vgg: DistilledVGG19,
    photos: list[Path],
) -> float:
    """Draw photos by both, and return how far they are from each other: less is better."""
    rows, total = [], 0.0
    multiple = max(16, teacher.network.multiple_of(1))
    for path in photos:
        photo = fitted(load_rgb(path)[None].to(teacher.network.device).float() / 255, multiple)
        photo = photo.contiguous(memory_format=torch.channels_last)
        small = downscale(photo, 4).clamp(0, 1)
        columns = [
            teacher(photo),
            painter(photo, 1, [0], 1.0),
            painter(small, 4, [0], 1.0),
            painter(small, 4, [0], 0.5),
        ]
        target, _, painted, _ = columns = [x.clamp(0, 1) for x in columns]
        total += float(F.l1_loss(half(painted), half(target)))
        total += float(content_loss(vgg(painted), vgg(target), LAYERS))
        rows.append([to_pil(Picture(x[0].cpu())) for x in columns])
    path = out / "previews" / f"step-{step:07d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    grid(rows, ["teacher", "1x", "4x", "4x, strength 0.5"]).save(path)
    return total / len(photos)


if __name__ == "__main__":
    sys.exit(training.run(main, Recipe, __doc__))
