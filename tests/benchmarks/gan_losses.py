"""What each adversarial loss makes of the same small network, at equal steps.

    python -m tests.benchmarks.gan_losses photos Set5 --lpips squeezenet1_1-features.safetensors \\
        lpips-squeeze-v0.1.safetensors

Protocol. A SRResNet of 16 channels and 4 blocks learns ×4 on pixels alone (L1). From there it is
trained further once for each loss, and once on pixels alone: equal steps, crops and seed, L1 with
weight 1, SRGAN's discriminator (16 channels, spectrally normalised) with `--adversarial`. No loss
has a weight of its own: their slopes differ, and that is part of what is compared. Measured on the
averaged weights, HR cut to multiples of 4, LR by antialiased bicubic reduction (MATLAB convention)
and 8 bits: PSNR in dB on BT.601 luma, 4 pixels cut off each side; LPIPS (SqueezeNet) on RGB. And:

- `loss`: the discriminator's, mean of the last quarter, over its value where it cannot tell photos
  from results: 1 there, 0 where it always wins. Wasserstein's has no such value.
- `told apart`: how often the trained discriminator scores a piece of 64×64 pixels of a held-out
  picture above a piece of a result: 0.5 is a guess.
- `swing`: largest fall of PSNR from one measurement to the next, of ten, in dB.
- `variety` of what was added to the start: 1 less the mean cosine between two pieces of 32×32
  pixels of it. Near 1 each place got its own; near 0 all got the same pattern, a collapse.
"""

import argparse
import csv
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from stylesr import training
from stylesr.data.datasets import find_pictures
from stylesr.fidelity import hr_picture, low_resolution
from stylesr.metrics import LPIPS, psnr_y
from stylesr.models import Generator
from stylesr.models.discriminators import VGGDiscriminator
from stylesr.picture import eight_bits
from train import super_resolution
from train.super_resolution import Recipe

SCALE, CHANNELS, CRITIC, MEASUREMENTS = 4, 16, 16, 10
JUDGED, ADDED = 64, 32  # sides of pieces, in pixels

LOSSES: dict[str, dict[str, Any]] = {
    "pixels alone": {"adversarial": 0.0},
    "vanilla": {"gan_loss": "vanilla"},
    "least squares": {"gan_loss": "least-squares"},
    "hinge": {"gan_loss": "hinge"},
    "Wasserstein, spectral norm": {"gan_loss": "wasserstein"},
    "Wasserstein, gradient penalty": {"gan_loss": "wasserstein", "gradient_penalty": 10.0},
    "relativistic": {"gan_loss": "relativistic"},
}
# of a discriminator that gives photos and results the same score, the best one for that
UNDECIDED = {
    "vanilla": 2 * math.log(2),
    "least-squares": 0.25,
    "hinge": 2.0,
    "relativistic": math.log(2),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is not there yet, measure all, print the table."""
    options = parse(arguments)
    out = Path(options.out)
    pictures = find_pictures(options.held_out)
    lpips = LPIPS(*options.lpips) if options.lpips else None
    train(out / "start", options, steps=options.start_steps)
    start, hr = enlarged(out / "start", pictures)
    rows = [row("the start", start, hr, lpips)]
    for name, changes in LOSSES.items():
        folder = out / name.replace(",", "").replace(" ", "-")
        values = {"adversarial": options.adversarial, "init": str(out / "start" / "model")}
        train(folder, options, steps=options.steps, **values | changes)
        results, _ = enlarged(folder, pictures)
        figures = [swing(folder), variety(results, start)]
        if name == "pixels alone":
            cells = ["–", "–"]
        else:
            undecided = UNDECIDED.get(changes["gan_loss"])
            ratio = f"{last_loss(folder) / undecided:.2f}" if undecided else "–"
            cells = [ratio, f"{told_apart(folder, results, hr):.2f}"]
        cells += [f"{figure:.2f}" for figure in figures]
        rows.append(row(name, results, hr, lpips, cells))
    print(f"\n{options.start_steps:,} steps on pixels, then {options.steps:,} of each loss.\n")
    print("| | PSNR-Y | LPIPS | loss | told apart | swing | variety |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |", *rows, sep="\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", help="folder of training photos")
    parser.add_argument("held_out", help="folder of pictures to measure on, such as Set5")
    parser.add_argument("--lpips", nargs=2, metavar=("FEATURES", "HEADS"), help="weights of LPIPS")
    parser.add_argument("--start-steps", type=int, default=1000, help="on pixels alone (1000)")
    parser.add_argument("--steps", type=int, default=200, help="of each loss (200)")
    parser.add_argument("--adversarial", type=float, default=0.03, help="weight (0.03)")
    parser.add_argument("--crop", type=int, default=64, help="side of a training crop (64)")
    parser.add_argument("--batch", type=int, default=8, help="crops of a step (8)")
    parser.add_argument("--mixed-precision", default="no", choices=("no", "bf16"))
    parser.add_argument("--out", default="runs/gan-losses", help="folder (runs/gan-losses)")
    return parser.parse_args(arguments)


# -- training -------------------------------------------------------------------------------------


def train(folder: Path, options: argparse.Namespace, steps: int, **values: Any) -> None:
    """By train/super_resolution.py, where the folder holds no model."""
    if (folder / "model").exists():
        return
    further = {"lr": 2e-4, "warmup": 20} if values else {"lr": 1e-3}
    recipe = Recipe(
        photos=[options.photos],
        out=str(folder),
        validation=[options.held_out],
        network="srresnet",
        config=[f"channels={CHANNELS}", "blocks=4"],
        steps=steps,
        batch=options.batch,
        crop=options.crop,
        ema=0.98,
        discriminator="vgg",
        critic=CRITIC,
        critic_lr=2e-4,
        mixed_precision=options.mixed_precision,
        log_every=max(1, steps // 40),
        preview_every=max(1, steps // MEASUREMENTS),
        save_every=steps,
        **further | values,
    )
    super_resolution.main(recipe)


# -- what is measured -----------------------------------------------------------------------------


@torch.inference_mode()
def enlarged(folder: Path, pictures: Sequence[Path]) -> tuple[list[Tensor], list[Tensor]]:
    """The results (1, 3, H, W) of a run's averaged weights, and the originals."""
    net = Generator.from_pretrained(folder / "model")
    originals = [hr_picture(path, SCALE) for path in pictures]
    inputs = [low_resolution(hr, SCALE).pixels[None] for hr in originals]
    return [eight_bits(net(x, SCALE)) for x in inputs], [hr.pixels[None] for hr in originals]


def row(
    name: str,
    results: Sequence[Tensor],
    hr: Sequence[Tensor],
    lpips: LPIPS | None,
    cells: Sequence[str] = ("–",) * 4,
) -> str:
    """A line of the table."""
    pairs = list(zip(results, hr, strict=True))
    psnr = f"{fmean(psnr_y(a, b, SCALE) for a, b in pairs):.2f}"
    distance = f"{fmean(float(lpips(a, b)) for a, b in pairs):.4f}" if lpips else "–"
    return f"| {' | '.join([name, psnr, distance, *cells])} |"


def last_loss(folder: Path) -> float:
    """The discriminator's, mean of the last quarter of the run."""
    losses = column(folder / "losses.csv", "discriminator")
    return fmean(losses[-max(1, len(losses) // 4) :])


def swing(folder: Path) -> float:
    """The largest fall of PSNR between two measurements that follow each other."""
    (name,) = (key for key in header(folder / "figures.csv") if key != "step")
    values = column(folder / "figures.csv", name)
    return max([0.0, *(before - after for before, after in pairwise(values))])


@torch.inference_mode()
def told_apart(folder: Path, results: Sequence[Tensor], hr: Sequence[Tensor]) -> float:
    """Share of all pairs of pieces in which the photo's has the higher score."""
    critic = VGGDiscriminator(CRITIC).eval()
    critic.load_state_dict(training.load_checkpoint(folder / "checkpoints")["critic"])
    fake, real = (critic(pieces(side, JUDGED)) for side in (results, hr))  # (N, 1)
    return float(((real > fake.T).float() + 0.5 * (real == fake.T)).mean())


def variety(results: Sequence[Tensor], start: Sequence[Tensor]) -> float:
    """How little two pieces of what was added to the start have in common, 0 to about 1."""
    added = [a - b for a, b in zip(results, start, strict=True)]
    units = F.normalize(pieces(added, ADDED).flatten(1).double(), dim=1)  # (N, 3·32²)
    count = len(units)
    if count < 2:
        return math.nan
    # the sum over all pairs of cosines, less those of each piece with itself
    cosines = units.sum(0).square().sum() - units.square().sum()
    return 1 - float(cosines) / (count * (count - 1))


def pieces(pictures: Sequence[Tensor], side: int) -> Tensor:
    """Pictures (1, 3, H, W) cut into squares (N, 3, side, side), from their upper left corners."""
    cut = [F.unfold(picture, side, stride=side)[0].T for picture in pictures]
    return torch.cat(cut).unflatten(1, (3, side, side))


def column(path: Path, name: str) -> list[float]:
    """A column of a run's table."""
    with path.open(newline="") as file:
        return [float(line[name]) for line in csv.DictReader(file)]


def header(path: Path) -> list[str]:
    """The names of a table's columns."""
    with path.open(newline="") as file:
        return next(csv.reader(file))


if __name__ == "__main__":
    main()
