"""How much a painted film flickers, frame by frame: by noise, and against a known network.

    python -m tests.benchmarks.temporal starry-night --photo photo.jpg --film clip.mp4 \\
        --baseline udnie.pth --frames-to look-at-these

Protocol. Frames are painted one by one at their own size, strength 1, 8 bits. The warp error is the
mean squared difference, times 1000, between a painted frame and the one before it moved along the
photo's motion, where that motion is known; it is given beside that of the unpainted frames. A pan
moves a window over a photo by so many pixels a frame: its motion is exact. A film's motion is found
by matching blocks of 16 pixels within 8, and is taken as known where the unpainted frame, so moved,
differs by less than 1/32. A style's noise and grid are fixed to the frame, or move with the
picture: they follow the pan, or the film as `stylesr.motion` finds it. The outer 16 pixels are left
out. Of a film, eight frames from each of several places are measured. Smoothed frames are those
that move, averaged with `--smooth` of what came before (`stylesr.smoothing`), by a flow that is not
the one that judges. After the slash stands the mean difference of pixels that lie side by side,
times 1000: how much a way's strokes stand out.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor
from torch.nn import functional as F

from stylesr import StyleSRPipeline, load_checkpoint
from stylesr.images import decode, save
from stylesr.models import Generator
from stylesr.motion import Drift
from stylesr.picture import Picture, eight_bits
from stylesr.resample import resize
from stylesr.smoothing import Smoother
from stylesr.tiling import drain

PANS = ((0, 4), (0, 1), (2, 3))  # pixels a frame, down and right
LENGTH, SIDE, WIDTH = 8, 256, 384  # of a pan in frames and pixels, of a film's frame
STARTS = (20, 60, 100)  # frames of a film
BLOCK, REACH = 16, 8
KNOWN = 1 / 32
EDGE = 16

Frame = tuple[Tensor, tuple[int, int]]  # (1, 3, H, W), and where it lies in the whole scene
Painter = Callable[[Sequence[Frame]], list[Tensor]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("styles", nargs="+", help="names or folders of models")
    parser.add_argument("--photo", required=True, help="over which a window moves")
    parser.add_argument("--film")
    parser.add_argument("--smooth", type=float, nargs="*", default=[0.5])
    parser.add_argument("--baseline", help="fast neural style's network (.pth)")
    parser.add_argument("--frames-to", type=Path, help="a folder for two frames of each way")
    options = parser.parse_args(arguments)

    clips = {f"pan {down}, {right}": pan(options.photo, down, right) for down, right in PANS}
    if options.film:
        clips |= {f"film from {start}": film(options.film, start) for start in STARTS}
    painters = ways(options.styles, options.baseline, options.smooth)
    print(f"| Clip | unpainted | {' | '.join(painters)} |")
    print("|---|" + "---|" * (len(painters) + 1))
    for name, frames in clips.items():
        motions = [motion(a, b) for a, b in pairwise(frames)]
        row = [figures([frame for frame, _ in frames], motions)]
        for way, paint in painters.items():
            painted = [eight_bits(frame) for frame in paint(frames)]
            row.append(figures(painted, motions))
            if options.frames_to:
                for place in (-2, -1):
                    file = f"{name}-{way}-{place}.png".replace(" ", "-").replace(",", "")
                    save(Picture(painted[place][0]), options.frames_to / file)
        print(f"| {name} | {' | '.join(row)} |", flush=True)


# -- films -------------------------------------------------------------------------------------


def pan(photo: str | Path, down: int, right: int) -> list[Frame]:
    """A window that moves over a photo."""
    picture = decode(photo).pixels[None]
    places = [(down * n, right * n) for n in range(LENGTH)]
    return [(picture[..., y : y + SIDE, x : x + SIDE].contiguous(), (y, x)) for y, x in places]


def film(path: str | Path, start: int) -> list[Frame]:
    """Some of a film's frames, reduced."""
    from stylesr import video

    found: list[Frame] = []
    drift = Drift()
    for _, pixels in islice(video._frames(Path(path), video.probe(path)), start, start + LENGTH):
        frame = video.as_picture(pixels).pixels[None]
        height = round(frame.shape[2] * WIDTH / frame.shape[3])
        frame = resize(frame, (height, WIDTH)).clamp(0, 1)
        down, right = drift.follow(frame[0])
        found.append((frame, (round(down), round(right))))
    return found


# -- ways to paint -----------------------------------------------------------------------------


def ways(
    styles: Sequence[str], baseline: str | None, weights: Sequence[float]
) -> dict[str, Painter]:
    """Painters by name."""
    found: dict[str, Painter] = {}
    for style in styles:
        pipe, name = StyleSRPipeline.from_pretrained(style), Path(style).name
        found[f"{name}, fixed"] = partial(_ours, pipe, moves=False)
        found[f"{name}, moving"] = partial(_ours, pipe, moves=True)
        for weight in weights:
            found[f"{name}, smoothed {weight}"] = partial(_smoothed, pipe, weight)
    if baseline:
        found["fast neural style"] = partial(_theirs, load_checkpoint(baseline))
    return found


def _ours(pipe: StyleSRPipeline, frames: Sequence[Frame], moves: bool) -> list[Tensor]:
    painted = []
    for frame, place in frames:
        drift = place if moves else (0, 0)
        painted.append(drain(pipe.stream(Picture(frame[0]), scale=1, drift=drift)).pixels[None])
    return painted


def _smoothed(pipe: StyleSRPipeline, weight: float, frames: Sequence[Frame]) -> list[Tensor]:
    smoother, painted = Smoother(weight), _ours(pipe, frames, moves=True)
    pairs = zip(frames, painted, strict=True)
    return [smoother.follow(frame[0], result[0])[None] for (frame, _), result in pairs]


@torch.inference_mode()
def _theirs(net: Generator, frames: Sequence[Frame]) -> list[Tensor]:
    return [net(frame, 1).clamp(0, 1) for frame, _ in frames]


# -- measuring ---------------------------------------------------------------------------------


def motion(before: Frame, after: Frame) -> tuple[Tensor, Tensor]:
    """Where each pixel was in the frame before, as a grid for `warp`; and where that is known."""
    (a, at_a), (b, at_b) = before, after
    height, width = b.shape[-2:]
    moved = torch.tensor([at_b[0] - at_a[0], at_b[1] - at_a[1]], dtype=torch.float32)
    exact = a.shape[-1] == SIDE
    shift = moved.view(2, 1, 1).expand(2, height, width) if exact else -_dense(blocks(a, b), b)
    rows = torch.arange(height).view(-1, 1) + shift[0]
    columns = torch.arange(width) + shift[1]
    grid = torch.stack([columns / (width - 1), rows / (height - 1)], -1)[None] * 2 - 1
    known = ((grid.abs() <= 1).all(-1) & ((warp(a, grid) - b).abs().amax(1) < KNOWN))[:, None]
    inner = torch.zeros_like(known)
    inner[..., EDGE:-EDGE, EDGE:-EDGE] = True
    return grid, known & inner


def blocks(a: Tensor, b: Tensor) -> Tensor:
    """(2, rows, columns): how far each block of b has moved down and right since a."""
    best: Tensor | None = None
    padded = F.pad(a, [REACH] * 4, mode="replicate")
    for down, right in _shifts():
        top, left = REACH - down, REACH - right
        there = padded[..., top : top + b.shape[-2], left : left + b.shape[-1]]
        cost = F.avg_pool2d((there - b).abs().mean(1, keepdim=True), BLOCK, ceil_mode=True)
        cost = cost + 1e-5 * (abs(down) + abs(right))  # where nothing tells, nothing moves
        if best is None:
            best, found = cost, torch.zeros(2, *cost.shape[-2:])
        better = cost < best
        best = torch.where(better, cost, best)
        found = torch.where(better[0], torch.tensor([down, right]).view(2, 1, 1).float(), found)
    return found


def _shifts() -> Iterator[tuple[int, int]]:
    yield 0, 0
    yield from (
        (y, x)
        for y in range(-REACH, REACH + 1)
        for x in range(-REACH, REACH + 1)
        if (y, x) != (0, 0)
    )


def _dense(coarse: Tensor, frame: Tensor) -> Tensor:
    large = coarse.repeat_interleave(BLOCK, 1).repeat_interleave(BLOCK, 2)
    return large[:, : frame.shape[-2], : frame.shape[-1]]


def warp(frame: Tensor, grid: Tensor) -> Tensor:
    """A frame's pixels from the places of the grid."""
    return F.grid_sample(frame, grid, mode="bilinear", padding_mode="border", align_corners=True)


def figures(frames: Sequence[Tensor], motions: Sequence[tuple[Tensor, Tensor]]) -> str:
    """Warp error and detail."""
    detail = fmean(float(frame.diff(dim=-1).abs().mean()) for frame in frames)
    return f"{1000 * warp_error(frames, motions):.2f} / {1000 * detail:.0f}"


def warp_error(frames: Sequence[Tensor], motions: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Mean squared difference to the frame before, moved."""
    errors = []
    for (before, after), (grid, known) in zip(pairwise(frames), motions, strict=True):
        difference = (warp(before, grid) - after).square().mean(1, keepdim=True)
        errors.append(float(difference[known].mean()))
    return fmean(errors)


if __name__ == "__main__":
    main()
