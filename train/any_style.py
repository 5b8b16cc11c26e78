"""Train the network that takes any picture as its style: AdaINNet, end to end.

    python train/any_style.py --styles my-paintings --photos my-photos --out runs/any-style

Each step paints photos in crops of random pictures, in changed colours, so that a few dozen works
stand for any. A perceptual network judges the result and teaches the encoder on the way: its
features must tell what the teacher's features are (distillation), so that their means and
deviations tell styles apart from the start; the small encoder then goes on learning with the rest.

The line runs on a laptop's CPU and on a GPU; with `accelerate launch` in place of `python` on
several. Stop it with Ctrl-C when you like and add `--resume` to go on. See train/README.md.
"""

import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, StackDataset, Subset
from tqdm import tqdm

from stylesr import training
from stylesr.data.datasets import RandomCrops, find_pictures, gather, load_rgb
from stylesr.errors import InputError
from stylesr.losses.perceptual import (
    DistilledVGG19,
    content_loss,
    edge_loss,
    half,
    lattice_loss,
    phase_loss,
    recolor_loss,
    relative_gram_loss,
    tone_loss,
    total_variation,
)
from stylesr.models import StyleSRNet
from stylesr.models.adain_net import AdaINNet, Features, Statistics, statistics
from stylesr.picture import Picture, to_pil
from stylesr.previews import grid
from stylesr.resample import downscale


@dataclass
class Recipe:
    """Values of a run; each is an option of the command."""

    styles: list[str]  # pictures, or folders of them
    photos: list[str]  # folders of photos to paint
    halved: list[str] = field(default_factory=list)  # folders of soft photos, taken at half size
    out: str = "runs/any-style"
    base: str = "photo"  # the StyleSRNet from which it starts, and which enlarges for it
    strokes: str = "starry-night"  # a style of that base, whose strokes it starts with; "" for none
    init: str = ""  # an AdaINNet to go on from instead
    held_out: str = ""  # works to judge by, that are not among --styles
    perceptual: str = ""  # the perceptual network; fetched once when left out
    works_size: int = 1024  # longest side of a style picture; strokes keep that scale
    steps: int = 5000
    batch: int = 4
    crop: int = 144  # of the output; its margin is not judged
    margin: int = 8
    style_crop: int = 160
    lr: float = 1e-3
    warmup: int = 100
    cooldown: float = 0.4
    distil: float = 1.0
    content: float = 1.5
    tone: float = 1.5  # weight of the light and dark of the photo, that keeps the scene readable
    style: float = 8.0
    recolor: float = 0.5  # weight of one colour of the photo becoming one colour of the painting
    ramp: float = 0.15  # share of the steps over which the style's weight grows from a fifth
    edge: float = 0.5
    tv: float = 0.3
    lattice: float = 4.0  # against grids, dots and beads
    line: float = 0.25  # share of the steps trained at a strength between 0 and 1
    faithful: float = 6.0  # weight of the photo itself at strength 0
    ema: float = 0.99
    seed: int = 0
    mixed_precision: Literal["no", "bf16"] = "no"  # "bf16" where the processor has it
    workers: int = 0  # processes that cut crops beside the training, for a GPU
    log_every: int = 50
    preview_photos: str = ""  # a folder; its first pictures are painted in between
    previews: int = 4
    preview_every: int = 500
    save_every: int = 250
    resume: bool = False


FACTORS = {4: 2, 2: 1, 1: 1}  # shares of each batch
LEAST_STYLE = 64  # pixels at the shorter side of what is read from a style picture
TAUGHT = {"relu3_1": 1.0, "relu4_1": 1.0}  # the encoder's two depths, at a quarter and an eighth
# the scene is read at half the size, where a stroke is small: it may then be any stroke
CONTENT_LAYERS = {"relu3_1": 0.5, "relu4_1": 1.0}
STYLE_LAYERS = {"relu1_1": 0.3, "relu2_1": 0.5, "relu3_1": 1.0, "relu4_1": 1.0, "relu5_1": 1.0}


class Apprentice(nn.Module):
    """The network in training, with what tells the teacher's features from its own."""

    def __init__(self, net: AdaINNet, widths: dict[str, int]) -> None:
        super().__init__()
        self.net = net
        own = (net.down.in_channels, net.down.out_channels)
        self.tell = nn.ModuleDict(
            {k: nn.Conv2d(c, widths[k], 1) for k, c in zip(TAUGHT, own, strict=True)}
        )

    def forward(
        self, inputs: list[tuple[int, Tensor]], styles: Tensor, seeds: list[int], strength: float
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """Paint pairs (factor, pictures); tell what the teacher sees in the photos and styles."""
        seen = self.net.encode(styles)
        read, painted, told, done = statistics(seen), [], [], 0
        for scale, x in inputs:
            part = slice(done, done := done + len(x))
            means, deviations = (tuple(value[part] for value in each) for each in read[:2])
            style = Statistics(means, deviations, read.covariance[part])
            features = self.net.encode(x, scale)
            told.append(self.told(features))
            painted.append(
                self.net.paint(features, style, scale, strength=strength, seeds=seeds[part])
            )
        told_photos = {layer: torch.cat([each[layer] for each in told]) for layer in TAUGHT}
        return torch.cat(painted), told_photos, self.told(seen)

    def told(self, features: Features) -> dict[str, Tensor]:
        """The encoder's features in the teacher's channels."""
        return {k: F.relu(self.tell[k](x)) for k, x in zip(TAUGHT, features[2:], strict=True)}


def main(recipe: Recipe) -> None:
    """Run the recipe; writes `out/model` (the averaged weights), losses, previews, checkpoints."""
    # -- models, optimiser --------------------------------------------------------------------
    check(recipe)
    out = Path(recipe.out)
    accelerator = Accelerator(
        mixed_precision=recipe.mixed_precision, log_with="tensorboard", project_dir=out
    )
    device = accelerator.device
    torch.manual_seed(recipe.seed)
    with accelerator.local_main_process_first():  # one process fetches what is not there yet
        vgg = DistilledVGG19.load(recipe.perceptual or None).to(device)
    if recipe.init:
        model = AdaINNet.from_pretrained(recipe.init).train()
    else:
        base = StyleSRNet.from_pretrained(recipe.base)
        start = training.descendant(base, recipe.base, recipe.strokes)
        model = AdaINNet.from_photo(start, training.base_name(recipe.base)).train()
    model.skips.requires_grad_(False)  # of the linear path only the gain is learnt
    widths = {layer: vgg.get_buffer(f"{layer}_map").shape[1] - 1 for layer in TAUGHT}
    apprentice = Apprentice(model, widths).to(device, memory_format=torch.channels_last)
    ema = training.average(model, recipe.ema)
    learnt = [p for p in apprentice.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(learnt, lr=recipe.lr, betas=(0.9, 0.99))
    scheduler = training.schedule(optimizer, recipe.steps, recipe.warmup, recipe.cooldown)
    parts = {"apprentice": apprentice, "ema": ema, "optimizer": optimizer, "scheduler": scheduler}
    done = 0
    if recipe.resume:
        state = training.load_checkpoint(out / "checkpoints")
        done = training.restore(parts, state, recipe.steps)

    # -- photos and styles -----------------------------------------------------------------------
    items = recipe.batch * accelerator.num_processes
    photos = gather(recipe.photos, recipe.halved, at_least=recipe.crop)
    works = load_styles(recipe.styles, recipe.works_size, recipe.style_crop)
    crops = RandomCrops(photos, recipe.crop, recipe.steps * items, recipe.seed)
    patches = RandomCrops(works, recipe.style_crop, len(crops), recipe.seed + 1, reduce=0.8)
    if not (recipe.init or done):
        usual = torch.stack([patches[i] for i in range(min(64, len(patches)))]).to(device)
        with torch.no_grad():
            model.modulator.calibrate(model.read(recolored(usual, random.Random(recipe.seed))))
    rest = Subset(StackDataset(crops, patches), range(done * items, len(crops)))
    loader = DataLoader(rest, recipe.batch, num_workers=recipe.workers)
    apprentice, optimizer, loader = accelerator.prepare(apprentice, optimizer, loader)
    minutes, shown = 0.0, []
    judges: list[Tensor] = []
    if accelerator.is_main_process:
        minutes = training.begin(recipe, done, accelerator.num_processes)
        if recipe.preview_photos:
            shown = training.preview_photos(recipe.preview_photos, recipe.previews, out)
            judges = load_styles([recipe.held_out], 768, LEAST_STYLE)
    accelerator.init_trackers("any_style")

    # -- loop -----------------------------------------------------------------------------------
    interrupt, finite = training.Interrupt(), training.Finite()
    m = recipe.margin
    rows: list[dict[str, Tensor]] = []
    bar = tqdm(loader, initial=done, total=recipe.steps, disable=not accelerator.is_main_process)
    started = time.monotonic() - 60 * minutes
    for step, (photo, style) in enumerate(bar, start=done + 1):
        rng = random.Random(f"{recipe.seed} {step} {accelerator.process_index}")
        together = random.Random(f"{recipe.seed} {step}")  # the same choice in every process
        strength = together.random() if together.random() < recipe.line else 1.0
        growth = min(1.0, 0.2 + 0.8 * step / max(1.0, recipe.ramp * recipe.steps))
        seeds = [rng.randrange(2**31) for _ in range(len(photo))]
        style = recolored(style, rng)
        inputs = [
            (scale, downscale(part, scale).clamp(0, 1))
            for scale, part in training.share_out(photo, FACTORS).items()
        ]
        with accelerator.autocast():
            painted, told_photo, told_style = apprentice(inputs, style, seeds, strength)
            with torch.no_grad():
                taught_photo, taught_style = vgg(photo), vgg(style)
                style_half = vgg(half(style))
            # not always on the same pixels: no pattern may hide in the perceptual network's strides
            right, down = (together.randint(-m // 2, m // 2) for _ in range(2))
            sides = (-m - right, -m + right, -m - down, -m + down)
            painted, target = (F.pad(x, sides).float() for x in (painted, photo))  # crops
            seen, seen_half = vgg(painted), vgg(half(painted))
            with torch.no_grad():
                wanted = vgg(half(target))
        losses = {
            "distil": recipe.distil
            * (
                content_loss(told_photo, taught_photo, TAUGHT)
                + content_loss(told_style, taught_style, TAUGHT)
            )
            / 2,
            "content": recipe.content * content_loss(seen_half, wanted, CONTENT_LAYERS),
            "style": recipe.style
            * growth
            * strength
            * (
                relative_gram_loss(
                    vgg.grams(seen), vgg.grams(taught_style), STYLE_LAYERS, bounded=True
                )
                + relative_gram_loss(
                    vgg.grams(seen_half), vgg.grams(style_half), STYLE_LAYERS, bounded=True
                )
            )
            / 2,
            "tone": recipe.tone * tone_loss(painted, target),
            "recolor": recipe.recolor * recolor_loss(painted, target),
            "edge": recipe.edge * edge_loss(painted, target),
            "tv": recipe.tv * total_variation(painted),
            "lattice": recipe.lattice * (lattice_loss(painted) + phase_loss(painted)),
            "faithful": recipe.faithful * (1 - strength) * (painted - target).abs().mean(),
        }
        loss = torch.stack(list(losses.values())).sum()
        accelerator.backward(loss)
        if finite(accelerator.clip_grad_norm_(apprentice.parameters(), 1.0)):
            optimizer.step()
            ema.update_parameters(model)
            rows.append({name: value.detach() for name, value in losses.items()})
        optimizer.zero_grad()
        scheduler.step()

        # -- look ---------------------------------------------------------------------------------
        last = step == recipe.steps
        if shown and (last or step % recipe.preview_every == 0):  # in the main process only
            figures = look(out, step, ema.module.eval(), vgg, shown, judges)
            training.write_row(out / "figures.csv", {"step": step, **figures})
            accelerator.log(figures, step=step)

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
    apprentice = accelerator.free_memory(apprentice)[0]  # nor one that a model still holds
    accelerator.end_training()
    if interrupt.noted:
        raise KeyboardInterrupt


def check(recipe: Recipe) -> None:
    """Refuse what cannot work before any work is done."""
    training.check_run(
        recipe, batch=sum(FACTORS.values()), crop=64, margin=0, previews=1, style_crop=64
    )
    for name, unit in (("crop", 16), ("style_crop", 8)):
        if getattr(recipe, name) % unit:
            option, value = name.replace("_", "-"), getattr(recipe, name)
            raise InputError(f"--{option} must be a multiple of {unit}, got {value}")
    if (inside := recipe.crop - 2 * recipe.margin) < 64 or inside % 4:
        raise InputError(
            f"--crop {recipe.crop} less a --margin of {recipe.margin} on each side leaves "
            f"{inside} pixels; it must be a multiple of 4 from 64"
        )
    for folder in (*recipe.styles, *filter(None, [recipe.held_out])):
        find_pictures(folder)
    if bool(recipe.preview_photos) != bool(recipe.held_out):
        raise InputError("--preview-photos are painted in the works of --held-out: give both")


def load_styles(folders: list[str], size: int, least: int) -> list[Tensor]:
    """(3, H, W) uint8 each, reduced to a longest side of `size`; small ones are left out."""
    works = [load_rgb(path, at_most=size) for f in folders for path in find_pictures(f)]
    large = [work for work in works if min(work.shape[1:]) >= least]
    if not large:
        raise InputError(
            f"no picture in {', '.join(folders)} has sides of {least} pixels or more, with a "
            f"longest side of {size}"
        )
    return large


def recolored(styles: Tensor, rng: random.Random) -> Tensor:
    """Other colours for most of the styles: channels change places, are inverted, lit anew."""
    result = []
    for style in styles:
        if rng.random() < 0.6:
            style = style[rng.sample(range(3), 3)]
        if rng.random() < 0.1:
            style = 1 - style
        if rng.random() < 0.5:
            style = style ** (2 ** rng.uniform(-0.8, 0.8))
        if rng.random() < 0.2:  # paler, down to gray
            style = style.lerp(style.mean(0, keepdim=True), rng.random())
        result.append(style)
    return torch.stack(result)


@torch.inference_mode()
def look(
    out: Path,
    step: int,
    model: AdaINNet,
    vgg: DistilledVGG19,
    photos: list[Path],
    works: list[Tensor],
) -> dict[str, float]:
    """Paint photos in works, neither trained on; draws them all, returns mean distances."""
    device = model.device
    styles = [work[None].to(device).float() / 255 for work in works]
    read = [model.read(style) for style in styles]
    targets = [vgg.grams(vgg(style)) for style in styles]
    rows, content, likeness = [], [], []
    for path in photos:
        photo = load_rgb(path, at_most=384)[None].to(device).float() / 255
        height, width = (side // 16 * 16 for side in photo.shape[-2:])
        photo = photo[..., :height, :width].contiguous(memory_format=torch.channels_last)
        wanted, row = vgg(half(photo)), [photo]
        for style, target in zip(read, targets, strict=True):
            painted = model(downscale(photo, 2).clamp(0, 1), style, 2).clamp(0, 1)
            seen = vgg(half(painted))
            content.append(float(content_loss(seen, wanted, CONTENT_LAYERS)))
            grams = vgg.grams(vgg(painted))
            likeness.append(float(relative_gram_loss(grams, target, STYLE_LAYERS)))
            row.append(painted)
        rows.append([to_pil(Picture(x[0].cpu())) for x in row])
    titles = ["photo", *(f"held out {k + 1}" for k in range(len(works)))]
    path = out / "previews" / f"step-{step:07d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    grid(rows, titles).save(path)
    return {
        "content": sum(content) / len(content),
        "style": sum(likeness) / len(likeness),
    }


if __name__ == "__main__":
    sys.exit(training.run(main, Recipe, __doc__))
