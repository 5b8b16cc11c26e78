"""Quality against time of networks that enlarge.

    python -m tests.benchmarks.quality_and_speed Set5 Set14 \\
        --network RLFN=rlfn_x4.pth --network RLFN=rlfn_x2.pth --network srcnn-x4=srcnn-x4 \\
        --front front.png

Protocol. Quality: HR pictures cut to multiples of 4; LR by antialiased bicubic (MATLAB
convention), rounded to 8 bits; the result rounded to 8 bits, as many pixels as the factor cut off
each side, PSNR on BT.601 luma, averaged over the pictures. Each network gets a whole picture; our
model runs as the bare network and through the pipeline that users call. Time: 256×256 to
1024×1024, PIL picture in and out, channels_last, all in turn in one process; the median after a
warm-up, divided by that of a compact network of 64 channels and 32 convolutions (the shape of
realesr-general-x4v3). Seconds depend on the machine, ratios less so: keep its cores free.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import torch
from PIL import Image
from torch import Tensor

from stylesr import StyleSRNet, StyleSRPipeline, load_checkpoint
from stylesr.data.datasets import find_pictures
from stylesr.errors import InputError
from stylesr.fidelity import Peer, bicubic, enlarge, hr_picture, low_resolution, progress
from stylesr.metrics import psnr_y
from stylesr.models import CompactNet, Generator
from stylesr.picture import Picture
from stylesr.resample import resize
from stylesr.speed import PEER, median_seconds, random_picture, run_network

SCALES = (4, 2)
SIZE = 256  # of the picture that is timed, at ×4


@dataclass
class Rival:
    """A way to enlarge.

    Attributes:
        parameters: of the network at ×4; None where there is none.
        enlarge: LR picture to (3, H·scale, W·scale) in 8 bits, for each factor.
        job: what is timed, at ×4; None where ×4 is not offered.
    """

    parameters: int | None = None
    enlarge: dict[int, Callable[[Picture], Tensor]] = field(default_factory=dict)
    job: Callable[[Image.Image], object] | None = None

    def add(self, net: Generator) -> None:
        """Enlarge by the network's factors too."""
        net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for scale in set(net.scales) & set(SCALES):
            self.enlarge[scale] = lambda lr, s=scale: Peer("", net).enlarge(lr, s)
        if 4 in net.scales:
            self.parameters = sum(p.numel() for p in net.parameters())
            self.job = lambda picture: run_network(lambda x: net(x, scale=4), picture)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print tables."""
    options = parse(arguments)
    rivals = find_rivals(options.model, options.network)
    folders = [(Path(folder).name, find_pictures(folder)) for folder in options.folders]
    seconds = time_rivals(rivals, options.runs, options.threads)
    figures = {
        scale: {
            name: [quality(rival, scale, pictures[: options.limit]) for _, pictures in folders]
            for name, rival in rivals.items()
            if scale in rival.enlarge
        }
        for scale in SCALES
    }
    names = [f"{name} ({len(pictures[: options.limit])})" for name, pictures in folders]
    print(f"Time at ×4: {options.threads} threads, median of {options.runs}, relative to {PEER}.\n")
    for scale, rows in figures.items():
        print(table(scale, names, rows, rivals, seconds))
    if options.front:
        draw_front(options.front, names, figures[4], seconds)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", help="folders of HR pictures, such as Set5")
    parser.add_argument(
        "--model", default="photo", help="our model: a released name, a folder or a Hub id (photo)"
    )
    parser.add_argument(
        "--network",
        metavar="NAME=PATH",
        action="append",
        default=[],
        type=named_path,
        help="a community checkpoint, or a model as --model takes them; the same name again adds "
        "another factor",
    )
    parser.add_argument("--limit", type=int, help="the first so many pictures of each folder only")
    parser.add_argument("--threads", type=int, default=2, help="of torch, for the times (2)")
    parser.add_argument("--runs", type=int, default=7, help="timed runs after the warm-up (7)")
    parser.add_argument(
        "--front", metavar="FILE", help="draw PSNR against time to this picture (needs matplotlib)"
    )
    return parser.parse_args(arguments)


def named_path(text: str) -> tuple[str, str]:
    """NAME=PATH as a pair."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"NAME=PATH is needed, got {text!r}")
    return name, path


def find_rivals(model: str, networks: Sequence[tuple[str, str]]) -> dict[str, Rival]:
    """All that is compared, by name."""
    net = StyleSRNet.from_pretrained(model)
    name = os.path.basename(os.path.abspath(model))
    pipe = StyleSRPipeline.from_pretrained(model)
    pipe.set_progress_bar_config(disable=True)
    rivals = {
        "bicubic": Rival(
            enlarge={scale: lambda lr, s=scale: bicubic(lr, s) for scale in SCALES},
            job=lambda picture: run_network(lambda x: resize(x, (4 * SIZE, 4 * SIZE)), picture),
        ),
        name: Rival(),
        f"{name}, pipeline": Rival(
            sum(p.numel() for p in net.parameters()),
            {scale: lambda lr, s=scale: enlarge(pipe, lr, name, s) for scale in SCALES},
            lambda picture: pipe(picture, style=name, scale=4).images[0],
        ),
    }
    rivals[name].add(net)
    for other, path in networks:
        rival = load_network(path)
        if not set(rival.scales) & set(SCALES):
            raise InputError(f"{path} enlarges by {rival.scales}, not by 2 or 4")
        rivals.setdefault(other, Rival()).add(rival)
    return rivals


def load_network(path: str) -> Generator:
    """A community checkpoint's file, or a released name, a folder or a Hub id."""
    return load_checkpoint(path) if os.path.isfile(path) else Generator.from_pretrained(path)


def quality(rival: Rival, scale: int, pictures: Sequence[Path]) -> float:
    """Mean PSNR-Y of a folder."""
    figures = []
    for path in progress(pictures, f"×{scale}"):
        hr = hr_picture(path)
        result = rival.enlarge[scale](low_resolution(hr, scale))
        figures.append(psnr_y(result, hr.pixels, scale))
    return fmean(figures)


def time_rivals(rivals: dict[str, Rival], runs: int, threads: int) -> dict[str, float]:
    """Time at ×4 as a ratio to the compact network's."""
    picture = random_picture(SIZE)
    peer = Rival()
    peer.add(CompactNet())  # its weights are random: they do not change its time
    timed = {name: rival.job for name, rival in {"": peer, **rivals}.items() if rival.job}
    jobs = [lambda job=job: job(picture) for job in timed.values()]
    first, *others = median_seconds(jobs, runs=runs, threads=threads)
    return {name: s / first for name, s in zip(list(timed)[1:], others, strict=True)}


def table(
    scale: int,
    folders: Sequence[str],
    rows: dict[str, list[float]],
    rivals: dict[str, Rival],
    seconds: dict[str, float],
) -> str:
    """PSNR-Y at one factor as Markdown."""
    head = [f"PSNR-Y ×{scale}", "parameters", *folders]
    if scale == 4:
        head.append("time")
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, figures in rows.items():
        count = rivals[name].parameters
        line = [name, f"{count / 1000:.0f} K" if count else "–", *(f"{f:.2f}" for f in figures)]
        if scale == 4:
            line.append(f"{seconds[name]:.3f}")
        lines.append(line)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def draw_front(
    path: str, folders: Sequence[str], rows: dict[str, list[float]], seconds: dict[str, float]
) -> None:
    """A panel for each folder; a line joins what nothing else beats in both time and quality."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(folders) + 2, 4), layout="constrained")
    for i, axis in enumerate(figure.subplots(1, len(folders), squeeze=False)[0]):
        points = {name: (seconds[name], figures[i]) for name, figures in rows.items()}
        best = front(list(points.values()))
        axis.plot(*zip(*best, strict=True), color="0.7", zorder=0)
        for name, point in points.items():
            axis.scatter(*point, label=name)
        axis.set(title=folders[i], xlabel="time / compact network's", ylabel="PSNR-Y ×4 in dB")
        axis.margins(0.12)
        axis.grid(alpha=0.3)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside right center")
    figure.savefig(path, dpi=100)


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of pairs (time, quality) those for which no faster one is as good, fastest first."""
    best: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda p: (p[0], -p[1])):
        if not best or point[1] > best[-1][1]:
            best.append(point)
    return best


if __name__ == "__main__":
    main()
