"""How well Deep Image Prior restores one picture, with a stop that never sees the original.

    python -m tests.benchmarks.deep_image_prior Set5/003.png --out restored

Protocol. HR cut to multiples of 4. Enlarging: LR by antialiased bicubic reduction by 4 (MATLAB
convention), rounded to 8 bits; against bicubic enlargement. Denoising: Gaussian noise of σ 25
levels, rounded; against the noisy picture. Completing: half of the pixels, at random, are missing;
against the mean of the rest in their place. PSNR in dB on BT.601 luma, results rounded to 8 bits,
4 pixels cut off each side. Seed 0 throughout.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import torch
from torch import Tensor

from stylesr.fidelity import hr_picture
from stylesr.metrics import psnr_y
from stylesr.per_image import prior
from stylesr.picture import Picture, eight_bits, to_pil
from stylesr.resample import downscale, resize

SCALE, SIGMA = 4, 25 / 255


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="+", metavar="FILE")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--out", type=Path, help="a folder for the results")
    args = parser.parse_args(argv)
    print("| picture | task | without | prior | taken at step | minutes |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for path in args.pictures:
        hr = hr_picture(path, SCALE).pixels[None]
        for task in args.tasks:
            given, known, before = TASKS[task](hr)
            scale, started = SCALE if task == "enlarge" else 1, monotonic()
            fit = prior(given, scale=scale, known=known, channels=args.channels, steps=args.steps)
            figures = [psnr_y(eight_bits(x), hr, SCALE) for x in (before, fit.pixels)]
            minutes = (monotonic() - started) / 60
            cells = [*(f"{figure:.2f}" for figure in figures), f"{fit.steps}", f"{minutes:.1f}"]
            print(f"| {Path(path).stem} | {task} | {' | '.join(cells)} |", flush=True)
            if args.out:
                args.out.mkdir(parents=True, exist_ok=True)
                for name, x in (("without", before), ("prior", fit.pixels)):
                    file = args.out / f"{Path(path).stem}-{task}-{name}.png"
                    to_pil(Picture(x[0].contiguous())).save(file)


def reduced(hr: Tensor) -> tuple[Tensor, None, Tensor]:
    """What is given, where it is known, and the simplest restoration."""
    lr = eight_bits(downscale(hr, SCALE))
    return lr, None, resize(lr, (hr.shape[2], hr.shape[3])).clamp(0, 1)


def noisy(hr: Tensor) -> tuple[Tensor, None, Tensor]:
    noise = torch.randn(hr.shape, generator=torch.Generator().manual_seed(0))
    given = eight_bits(hr + SIGMA * noise)
    return given, None, given


def holed(hr: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    known = torch.rand(hr[:, :1].shape, generator=torch.Generator().manual_seed(0)) < 0.5
    mean = (hr * known).sum((2, 3), keepdim=True) / known.sum()
    given = torch.where(known, hr, mean)
    return given, known, given


TASKS = {"enlarge": reduced, "denoise": noisy, "complete": holed}


if __name__ == "__main__":
    main()
