"""Train a style: StyleSRNet learns to paint photos like one picture.

    python train/style.py --style-image my-painting.jpg --photos my-photos --out runs/my-style

It starts from a finished style, which already knows how to make strokes of noise; nothing of that
style's colours stays. `--network transformer` trains the network of fast neural style instead, with
the same losses, to compare.

The line runs on a laptop's CPU and on a GPU; with `accelerate launch` in place of `python` on
several. Stop it with Ctrl-C when you like and add `--resume` to go on. No weight needs tuning for
a new style: the style loss is relative. See train/README.md.
"""

import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from PIL.ImageFilter import GaussianBlur
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, StackDataset, Subset
from tqdm import tqdm

from stylesr import training
from stylesr.data.datasets import RandomCrops, gather, load_rgb
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
    edge_loss,
    half,
    lattice_loss,
    mean_grams,
    mean_power,
    palette_loss,
    phase_loss,
    recolor_loss,
    relative_gram_loss,
    tone_loss,
    total_variation,
    weave_loss,
)
from stylesr.models import Generator, StyleSRNet, TransformerNet
from stylesr.models.discriminators import PatchDiscriminator
from stylesr.models.wrappers import Painter, SameSize
from stylesr.picture import Picture, to_pil
from stylesr.previews import grid
from stylesr.resample import downscale


@dataclass
class Recipe:
    """Values of a run; each is an option of the command."""

    style_image: list[str]  # one picture, or several by the same hand
    photos: list[str]  # folders of photos to paint
    out: str = "runs/style"
    network: Literal["stylesr", "transformer"] = "stylesr"  # "transformer" keeps the size
    base: str = "photo"  # the model from which the style starts and with which it blends
    init: str = "starry-night"  # a trained style to go on from; "" for the base, or a new network
    palette: str = ""  # a style that says what is painted in which colour; the work tells strokes
    perceptual: str = ""  # the perceptual network; fetched once when left out
    # longest side of the style picture, one for all or one each: strokes keep that scale
    style_size: list[int] = field(default_factory=lambda: [1024])
    soften: float = 0.3  # blur of it in pixels: more where a scan shows grain or canvas
    steps: int = 1000
    batch: int = 4
    crop: int = 256  # of the output; its margin is not judged
    margin: int = 16
    lr: float = 1e-3
    warmup: int = 100
    cooldown: float = 0.3
    gain: float = 0.4  # of the photo's own pixels at the start; the style learns how much to keep
    content: float = 1.5
    tone: float = 1.5  # weight of the light and dark of the photo, that keeps the scene readable
    style: float = 6.0
    pooled: float = 0.85  # of the style's statistics: by the batch together, not by each picture
    recolor: float = 0.5  # weight of one colour of the photo becoming one colour of the painting
    palette_weight: float = 30.0  # of its colours, where a --palette is given
    ramp: float = 0.2  # share of the steps over which the style's weight grows from a fifth
    edge: float = 0.5
    tv: float = 0.3
    lattice: float = 4.0  # against grids, dots and beads
    weave: float = 0.3  # against other fine patterns: power where the work has none
    adversarial: float = 0.2
    r1: float = 0.03  # weight of a flat discriminator around the painting
    steady: float = 2.0  # against strokes that change when the photo moves a little
    line: float = 0.2  # share of the steps trained at a strength between 0 and 1
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


# by their shares; one a step, else the pictures that share the style would divide it by factor
FACTORS = {"stylesr": (4, 4, 2, 1), "transformer": (1,)}
R1_EVERY = 4  # steps; it changes slowly and costs a second gradient
REACH = 3  # pixels by which a photo moves: below a trunk pixel, else it moves with it exactly
GRAIN = 1.5 / 255  # of the moved one
# the scene is read at half the size, where a stroke is small: it may then be any stroke
CONTENT_LAYERS = {"relu3_1": 0.5, "relu4_1": 1.0}
STYLE_LAYERS = {"relu1_1": 0.1, "relu2_1": 0.3, "relu3_1": 1.0, "relu4_1": 1.0, "relu5_1": 1.0}
HALF_LAYERS = {"relu1_1": 0.3, "relu2_1": 0.7, "relu3_1": 1.0, "relu4_1": 1.0, "relu5_1": 1.0}


def main(recipe: Recipe) -> None:
    """Run the recipe; writes `out/model` (the averaged weights), losses, previews, checkpoints."""
    # -- models, optimisers -------------------------------------------------------------------
    check(recipe)
    sizes = recipe.style_size * (len(recipe.style_image) // len(recipe.style_size))
    works = [
        load_style(path, size, inside(recipe), recipe.soften)
        for path, size in zip(recipe.style_image, sizes, strict=True)
    ]
    out = Path(recipe.out)
    accelerator = Accelerator(
        mixed_precision=recipe.mixed_precision,
        log_with="tensorboard",
        project_dir=out,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],  # stems
    )
    device = accelerator.device
    torch.manual_seed(recipe.seed)
    base: StyleSRNet | None = None
    if recipe.network == "stylesr":
        base = StyleSRNet.from_pretrained(recipe.base, map_location=device)
        model = new_style(base, recipe)
        model.skips.requires_grad_(False)  # of the linear path only the gain is learnt
        painter = Painter(model, base)
    else:
        model = TransformerNet.from_pretrained(recipe.init) if recipe.init else TransformerNet()
        painter = SameSize(model.train())
    painter.to(device, memory_format=torch.channels_last)
    palette: Painter | None = None
    if base and recipe.palette:
        palette = Painter(training.descendant(base, recipe.base, recipe.palette), base)
        palette.to(device, memory_format=torch.channels_last)
    critic = PatchDiscriminator().to(device, memory_format=torch.channels_last)
    with accelerator.local_main_process_first():  # one process fetches what is not there yet
        vgg = DistilledVGG19.load(recipe.perceptual or None).to(device)
    ema = training.average(model, recipe.ema)
    g_optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr, betas=(0.9, 0.99))
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

    # -- the style's statistics and patches; the photos ----------------------------------------
    paintings = [work.to(device).float()[None] / 255 for work in works]
    full_target = mean_grams(vgg, paintings)
    half_target = mean_grams(vgg, [half(painting) for painting in paintings])
    power = mean_power(paintings)
    items = recipe.batch * accelerator.num_processes
    photos = gather(recipe.photos, [], at_least=recipe.crop)
    crops = RandomCrops(photos, recipe.crop, recipe.steps * items, recipe.seed)
    patches = RandomCrops(works, inside(recipe), len(crops), recipe.seed + 1, reduce=0.5)
    rest = Subset(StackDataset(crops, patches), range(done * items, len(crops)))
    loader = DataLoader(rest, recipe.batch, num_workers=recipe.workers)
    painter, critic, g_optimizer, d_optimizer, loader = accelerator.prepare(
        painter, critic, g_optimizer, d_optimizer, loader
    )
    minutes, shown = 0.0, []
    if accelerator.is_main_process:
        minutes = training.begin(recipe, done, accelerator.num_processes)
        if recipe.preview_photos:
            shown = training.preview_photos(recipe.preview_photos, recipe.previews, out)
    accelerator.init_trackers("style")

    # -- loop -----------------------------------------------------------------------------------
    interrupt, g_finite, d_finite = training.Interrupt(), training.Finite(), training.Finite()
    m, factors = recipe.margin, FACTORS[recipe.network]
    rows: list[dict[str, Tensor]] = []
    bar = tqdm(loader, initial=done, total=recipe.steps, disable=not accelerator.is_main_process)
    started = time.monotonic() - 60 * minutes
    for step, (photo, patch) in enumerate(bar, start=done + 1):
        rng = random.Random(f"{recipe.seed} {step} {accelerator.process_index}")
        together = random.Random(f"{recipe.seed} {step}")  # the same choice in every process
        strength = together.random() if together.random() < recipe.line else 1.0
        growth = min(1.0, 0.2 + 0.8 * step / max(1.0, recipe.ramp * recipe.steps))
        seeds = [rng.randrange(2**31) for _ in range(len(photo))]
        photo = expose(photo, rng)
        move = (rng.randint(-REACH, REACH), rng.randint(-REACH, REACH))
        if recipe.steady:  # the first two are one photo, moved and in other noise
            photo[1], seeds[1] = photo[0].roll(move, (1, 2)), seeds[0]
        scale = together.choice(factors)
        lr = downscale(photo, scale).clamp(0, 1)
        if recipe.steady:
            generator = torch.Generator(device).manual_seed(rng.getrandbits(63))
            lr[1] += GRAIN * torch.randn(lr[1].shape, generator=generator, device=device)

        # -- generator: in the style, the scene whole, and a patch of the painting ---------------
        with accelerator.autocast():
            painted = painter(lr, scale, seeds, strength)
            # not always on the same pixels: no pattern may hide in the perceptual network's strides
            right, down = (together.randint(-m // 2, m // 2) for _ in range(2))
            sides = (-m - right, -m + right, -m - down, -m + down)
            painted, target = (F.pad(x, sides).float() for x in (painted, photo))  # crops
            seen, seen_half = vgg(painted), vgg(half(painted))
            with torch.no_grad():
                wanted = vgg(half(target))
            critic.requires_grad_(False)
            score = critic(jitter(painted, rng))
        losses = {
            "content": recipe.content * content_loss(seen_half, wanted, CONTENT_LAYERS),
            "style": recipe.style
            * growth
            * strength
            * (
                relative_gram_loss(vgg.grams(seen), full_target, STYLE_LAYERS, pooled=recipe.pooled)
                + relative_gram_loss(
                    vgg.grams(seen_half), half_target, HALF_LAYERS, pooled=recipe.pooled
                )
            )
            / 2,
            "tone": recipe.tone * tone_loss(painted, target),
            "recolor": recipe.recolor * recolor_loss(painted, target),
            "edge": recipe.edge * edge_loss(painted, target),
            "tv": recipe.tv * total_variation(painted),
            "lattice": recipe.lattice * (lattice_loss(painted) + phase_loss(painted)),
            "weave": recipe.weave * weave_loss(painted, power),
            "adversarial": recipe.adversarial * strength * hinge_generator(score.float()),
        }
        if palette:
            with torch.no_grad(), accelerator.autocast():
                colors = F.pad(palette(lr, scale, seeds, strength), sides)
            losses["palette"] = recipe.palette_weight * palette_loss(painted, colors)
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

        # -- discriminator: the painting against our pictures and against photos -----------------
        critic.requires_grad_(True)
        curbed = bool(recipe.r1) and step % R1_EVERY == 0
        real = jitter(patch, rng).requires_grad_(curbed)
        with accelerator.autocast():
            negatives = jitter(torch.cat([painted.detach(), target[:1]]), rng)
            scores = critic(torch.cat([real, negatives])).float()
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
            if base:
                training.preview(out, step, base, {"style": ema.module}, shown)
            else:
                preview(out, step, ema.module, shown)
            figures = {"distance": judge(ema.module, vgg, shown, full_target, recipe)}
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
            bar.set_postfix(content=f"{row['content']:.3f}", style=f"{row['style']:.3f}")
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
    if recipe.network == "transformer" and recipe.line:
        raise InputError("--network transformer has no strengths to train; give --line 0")
    if recipe.network == "transformer" and recipe.palette:
        raise InputError("--palette is of --network stylesr")
    least = 2 if recipe.steady else 1  # with two pictures to compare
    training.check_run(
        recipe,
        batch=least,
        crop=64,
        margin=0,
        previews=1,
        r1=0,
        steady=0,
        soften=0,
        palette_weight=0,
    )
    if len(recipe.style_size) not in (1, len(recipe.style_image)):
        raise InputError(
            f"--style-size takes one value for all or one for each --style-image, "
            f"got {len(recipe.style_size)} for {len(recipe.style_image)}"
        )
    if recipe.crop % 4:
        raise InputError(f"--crop must be a multiple of 4, got {recipe.crop}")
    if inside(recipe) < 64:  # what the discriminator and the perceptual network at half size need
        raise InputError(
            f"--crop {recipe.crop} less a --margin of {recipe.margin} on each side leaves "
            f"{inside(recipe)} pixels; 64 are the least"
        )
    if recipe.patience and not recipe.preview_photos:
        raise InputError("--patience needs --preview-photos, on which the style is measured")


def inside(recipe: Recipe) -> int:
    """Side of the part of a crop that is judged."""
    return recipe.crop - 2 * recipe.margin


def new_style(base: StyleSRNet, recipe: Recipe) -> StyleSRNet:
    """A copy of the base, or of the style to go on from, that names its base."""
    model = training.descendant(base, recipe.base, recipe.init)
    if not recipe.init:
        nn.init.constant_(model.skip_gain, recipe.gain)
    return model


def expose(photos: Tensor, rng: random.Random) -> Tensor:
    """Darken or lighten half of the photos: a night and a fog are to be painted as well."""
    exponents = [2 ** rng.uniform(-1, 2) if rng.random() < 0.5 else 1.0 for _ in photos]
    return photos ** photos.new_tensor(exponents).view(-1, 1, 1, 1)


@torch.inference_mode()
def preview(out: Path, step: int, model: Generator, photos: list[Path]) -> None:
    """Draw what a network that keeps the size does to photos."""
    rows, multiple = [], model.multiple_of(1)
    for path in photos:
        photo = load_rgb(path)[None].to(model.device).float() / 255
        height, width = (side // multiple * multiple for side in photo.shape[-2:])
        photo = photo[..., :height, :width]
        rows.append([to_pil(Picture(x[0].clamp(0, 1).cpu())) for x in (photo, model(photo))])
    grid(rows, ["photo", "style"]).save(out / "previews" / f"step-{step:07d}.png")


@torch.inference_mode()
def judge(
    model: Generator,
    vgg: DistilledVGG19,
    photos: list[Path],
    target: dict[str, Tensor],
    recipe: Recipe,
) -> float:
    """Content plus style distance on photos that are not trained on: less is better."""
    total, scale = 0.0, model.scales[-1]
    for path in photos:
        photo = load_rgb(path)[None].to(model.device).float() / 255
        height, width = (side // 16 * 16 for side in photo.shape[-2:])
        photo = photo[..., :height, :width].contiguous(memory_format=torch.channels_last)
        painted = model(downscale(photo, scale), scale=scale).clamp(0, 1)
        seen, wanted = vgg(half(painted)), vgg(half(photo))
        total += recipe.content * float(content_loss(seen, wanted, CONTENT_LAYERS))
        grams = vgg.grams(vgg(painted))
        total += recipe.style * float(relative_gram_loss(grams, target, STYLE_LAYERS))
    return total / len(photos)


def load_style(path: str, size: int, least: int, soften: float) -> Tensor:
    """(3, H, W) uint8, reduced to a longest side of `size` where it is larger, and softened."""
    work = load_rgb(path, at_most=size)
    if soften:
        image = to_pil(Picture(work.float() / 255)).filter(GaussianBlur(soften))
        work = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
    if least > min(work.shape[1:]):
        raise InputError(
            f"{path} is too small: with its longest side at most {size} it has "
            f"{work.shape[2]}×{work.shape[1]} pixels, and {least}×{least} are the least"
        )
    return work


if __name__ == "__main__":
    sys.exit(training.run(main, Recipe, __doc__))
