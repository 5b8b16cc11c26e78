"""Whether a picture comes out the same: run again, with more threads, in other tiles.

    python -m tests.reliability.same_bytes

Three fresh processes run the command line's `enhance` on one picture with every released model, and
with one of them in every format: twice with one thread, once with two. The files of the first two
are compared byte by byte, those of the third level by level.

Then every model makes pictures of 360×270 at ×1, ×2 and ×4, at strengths 0.5 and 1 where it has
them, in tiles of 64 and of 128 pixels and undivided; compared are levels of 8 bits. What is one
tile in any case is not counted. `any-style` is shown a picture.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylesr import StyleSRPipeline, images, tiling
from stylesr.cli import main as stylesr
from stylesr.hub import bundled_names
from stylesr.picture import Picture, to_levels
from tests.reliability.odd_pictures import scene

SIDE = 360  # of results
FORMATS = ("png", "webp", "jpg", "tiff", "bmp")
SCALES = (1, 2, 4)
TILES = (64, 128)
ALLOWED = 1  # levels of 8 bits


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print what differs; 1 where it is more than it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=[], help="released names; all by default")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    models = options.models or bundled_names()
    if options.make:
        return make(models, options.make)
    with TemporaryDirectory() as home:
        is_same = compare_runs(models, Path(home))
    return 0 if compare_tiles(models) and is_same else 1


# -- run again ------------------------------------------------------------------------------------


def compare_runs(models: Sequence[str], home: Path) -> bool:
    """Print whether three runs give the same files; False where two alike differ."""
    picture = Picture(photo(2))
    images.save(picture, home / "photo.png")
    images.save(Picture(picture.pixels.flip(0)), home / "style.png")
    folders = [home / name for name in ("first", "second", "threads")]
    for folder, threads in zip(folders, ("1", "1", "2"), strict=True):
        folder.mkdir()
        words = ["-m", "tests.reliability.same_bytes", *models, "--make", str(folder)]
        environment = os.environ | {"OMP_NUM_THREADS": threads}
        subprocess.run([sys.executable, *words], env=environment, check=True)
    names = sorted(path.name for path in folders[0].iterdir())
    digests = [[sha256((folder / n).read_bytes()).digest() for n in names] for folder in folders]
    same = sum(first == second for first, second in zip(digests[0], digests[1], strict=True))
    print(f"Run again: {same} of {len(names)} files have the same bytes.")
    threads = sum(first == third for first, third in zip(digests[0], digests[2], strict=True))
    most = max(_levels_apart(folders[0] / name, folders[2] / name) for name in names)
    print(f"With two threads: {threads} of {len(names)}; levels differ by at most {most:.0f}.")
    return same == len(names) and most <= ALLOWED


def make(models: Sequence[str], folder: Path) -> int:
    """The files of one run."""
    code = 0
    for model in models:
        for kind in FORMATS if model == models[0] else FORMATS[:1]:
            output = folder / f"{model}.{kind}"
            words = ["enhance", str(folder.parent / "photo.png"), str(output)]
            words += ["--style", model, "--scale", "2"]
            if model == "any-style":
                words += ["--style-image", str(folder.parent / "style.png")]
            code |= stylesr(words)
    return code


def _levels_apart(one: Path, other: Path) -> float:
    first, second = (images.decode(path).pixels for path in (one, other))
    return float((to_levels(first) - to_levels(second)).abs().max())


# -- in other tiles -------------------------------------------------------------------------------


def compare_tiles(models: Sequence[str]) -> bool:
    """Print by how much tiles change a picture; False where it is too much."""
    print("\n| Model | Runs | Levels apart, at most | Values apart, of all | In float, at most |")
    print("|---|---|---|---|---|")
    most = 0.0
    for model in models:
        pipe = StyleSRPipeline.from_pretrained(model)
        blends = {*pipe.styles, *pipe.any_style} - {*pipe.painters}
        strengths = (0.5, 1.0) if model in blends else (1.0,)
        shown = {"style_image": Picture(photo(2).flip(0))} if pipe.any_style else {}
        runs, differ, values, levels, floats = 0, 0, 0, 0.0, 0.0
        for scale in SCALES:
            picture = Picture(photo(scale))
            for strength in strengths:
                options = {"style": model, "scale": scale, "strength": strength, **shown}
                whole, _ = _run(pipe, picture, None, options)
                for tile_size in TILES:
                    tiled, tiles = _run(pipe, picture, tile_size, options)
                    if tiles < 2:
                        continue
                    apart = (to_levels(tiled) - to_levels(whole)).abs()
                    runs, values = runs + 1, values + apart.numel()
                    differ += int((apart > 0).sum())
                    levels = max(levels, float(apart.max()))
                    floats = max(floats, float((tiled - whole).abs().max()))
        print(f"| {model} | {runs} | {levels:.0f} | {differ / values:.4%} | {floats:.1e} |")
        sys.stdout.flush()
        most = max(most, levels)
    print(f"\nTiles change no picture by more than {most:.0f} of 255 levels.")
    return most <= ALLOWED


def _run(
    pipe: StyleSRPipeline, picture: Picture, tile_size: int | None, options: dict[str, Any]
) -> tuple[Tensor, int]:
    """The result, and in how many tiles it was made."""
    steps: list[object] = []
    work = pipe.stream(picture, tile_size=tile_size, **options)
    return tiling.drain(work, steps.append).pixels, len(steps)


def photo(scale: int) -> Tensor:
    """(3, H, W): a scene with noise, of the results' size divided by so much."""
    pixels = scene(0, SIDE // scale)[: SIDE * 3 // 4 // scale, :, :3].astype(np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


if __name__ == "__main__":
    sys.exit(main())
