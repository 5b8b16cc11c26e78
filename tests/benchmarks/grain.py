"""Whether film grain is turned into texture: how much of it is left in what is enlarged.

    python -m tests.benchmarks.grain photo photo-vivid --photos held-out-photos

Protocol. Of each photo the middle 192 × 192 pixels, in gray, become a still film of nine frames
with grain: normal noise of a standard deviation of 4, 8 or 16 levels of 255, blurred a little as
grain is. Its middle frame is enlarged twice, as it is and with `--grain` of so many levels, for
each of two grains. What the two results differ by comes of the grain alone; stated is its standard
deviation in levels, after the mean over the photos: more than bicubic enlargement has means that
grain grew. Beside it stands the part of it that is coarser than eight pixels of the result, which
the eye takes for texture that crawls.
"""

import argparse
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import av
import torch
from torch import Tensor
from torch.nn import functional as F

from stylesr import StyleSRPipeline, video
from stylesr.colors import luma
from stylesr.data.datasets import find_pictures
from stylesr.images import decode, save
from stylesr.picture import Picture, eight_bits, to_levels
from stylesr.resample import resize
from stylesr.tiling import drain

SIDE, SCALE = 192, 2
GRAINS = (4, 8, 16)  # levels
COARSE = 8
LENGTH = 9

Enlarge = Callable[[Tensor], Tensor]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", help="names or folders of models")
    parser.add_argument("--photos", required=True, help="a folder")
    parser.add_argument("--frames-to", type=Path, help="a folder for a frame of each way")
    options = parser.parse_args(arguments)
    ways: dict[str, Enlarge] = {"bicubic": _bicubic}
    ways |= {Path(name).name: _ours(name) for name in options.models}
    scenes = [middle(path) for path in find_pictures(options.photos)]
    titles = [name + more for name in ways for more in ("", ", --grain")]
    print("| Grain | " + " | ".join(titles) + " |")
    print("|---|" + "---|" * len(titles))
    for levels in GRAINS:
        films = [[film(scene, levels, seed) for seed in range(2)] for scene in scenes]
        cells = []
        for name, enlarge in ways.items():
            for more, kind in (("", 0), ("-grain", 1)):
                pairs = [[enlarge(frames[kind]) for frames in pair] for pair in films]
                left, coarse = zip(*(variation(*pair) for pair in pairs), strict=True)
                cells.append(f"{fmean(left):.2f}, coarse {fmean(coarse):.2f}")
                if options.frames_to:
                    path = options.frames_to / f"{levels}-{name}{more}.png"
                    save(Picture(pairs[0][0][0], gray=True), path)
        print(f"| {levels} | {' | '.join(cells)} |", flush=True)


def middle(path: Path) -> Tensor:
    """(1, 3, 192, 192) in gray."""
    pixels = decode(path).pixels[None]
    top, left = ((side - SIDE) // 2 for side in pixels.shape[2:])
    return luma(pixels)[..., top : top + SIDE, left : left + SIDE].expand(-1, 3, -1, -1)


def film(scene: Tensor, levels: float, seed: int) -> tuple[Tensor, Tensor]:
    """Its middle frame as it is, and with the grain averaged away."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "still.mkv")
        with av.open(str(path), "w") as out:
            stream = out.add_stream("ffv1", 25)
            stream.height = stream.width = SIDE
            stream.pix_fmt = "gray"
            for number in range(LENGTH):
                levels_there = to_levels(grainy(scene, levels, LENGTH * seed + number)[0, 0])
                frame = av.VideoFrame.from_ndarray(levels_there.byte().numpy(), "gray")
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        kinds = (video._frames(path, video.probe(path), grain) for grain in (0, levels))
        plain, averaged = (next(islice(frames, LENGTH // 2, None))[1] for frames in kinds)
        return video.as_picture(plain).pixels[None], video.as_picture(averaged).pixels[None]


def grainy(scene: Tensor, levels: float, seed: int) -> Tensor:
    """With grain of so many levels of 255."""
    noise = torch.randn(1, 1, SIDE + 2, SIDE + 2, generator=torch.Generator().manual_seed(seed))
    kernel = torch.tensor([0.25, 0.5, 0.25])
    noise = F.conv2d(noise, (kernel[:, None] * kernel)[None, None])
    return scene + noise / noise.std() * levels / 255


def variation(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Standard deviation of what two results differ by, and of its coarse part; of one result."""
    difference = (a - b)[:, :1] * 255 / 2**0.5
    return float(difference.std()), float(F.avg_pool2d(difference, COARSE).std())


def _bicubic(frame: Tensor) -> Tensor:
    return eight_bits(resize(frame, (SIDE * SCALE, SIDE * SCALE)))


def _ours(model: str) -> Enlarge:
    pipe = StyleSRPipeline.from_pretrained(model)

    def enlarge(frame: Tensor) -> Tensor:
        picture = Picture(frame[0].contiguous(), gray=True)
        return eight_bits(
            drain(pipe.stream(picture, style=Path(model).name, scale=SCALE)).pixels[None]
        )

    return enlarge


if __name__ == "__main__":
    main()
