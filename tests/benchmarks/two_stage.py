"""Our style in one pass against a style network and an upscaler in two.

    python -m tests.benchmarks.two_stage my-udnie udnie.jpg photos --enlarger realesr-general.pth \\
        --baseline udnie=udnie.pth --baseline MicroAST=microast-decoder.pth.tar \\
        --vgg vgg19-distilled-16x.safetensors --squeezenet squeezenet1_1-features.safetensors

Protocol. Held-out photos, their sides cut to multiples of 4, reduced by 4 (antialiased bicubic, 8
bits). Each way makes a picture of the photo's size from that: ours by the pipeline at ×4, brush 1,
seed 0; the baselines by the style network and then the enlarger, or the other way round, with 8
bits between the two. A network that takes a style image gets the work, at a longest side of at
most 1024; where it paints before enlarging, a quarter of that, so that strokes end at about one
size. Style distance to the work and content distance to the photo as stylesr.likeness has them,
averaged over the photos. Our figures at the strength where our style distance equals a baseline's
are interpolated linearly between the strengths measured. Time: 256×256 to 1024×1024, PIL picture
in and out, channels_last, all in turn in one process; the median after a warm-up, divided by ours
at strength 1. The style image is read before.
"""

import argparse
import json
import os
import random
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from stylesr import StyleSRPipeline
from stylesr.data.datasets import find_pictures
from stylesr.errors import InputError
from stylesr.fidelity import enlarge, hr_picture, low_resolution, progress
from stylesr.likeness import Judge, SqueezeJudge, VggJudge, read_work
from stylesr.models import Generator, MicroAST
from stylesr.picture import Picture, eight_bits, to_pil
from stylesr.resample import resize
from stylesr.speed import median_seconds, random_picture, run_network
from tests.benchmarks.quality_and_speed import load_network, named_path

SCALE, SIZE = 4, 256
GAP = 8  # between the cells of a sheet

Network = Callable[[Tensor], Tensor]  # (1, 3, H, W) to (1, 3, H', W'), RGB in [0, 1]
Distances = tuple[float, float]  # of style, of content


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print tables, and draw the sheet."""
    options = parse(arguments)
    work = read_work(options.work)
    pipe = StyleSRPipeline.from_pretrained(options.style)
    pipe.set_progress_bar_config(disable=True)
    chains = find_chains(options.baseline, options.enlarger, work)
    photos = find_pictures(options.photos)[: options.limit]
    judges: list[Judge] = []
    if options.vgg:
        judges.append(VggJudge(options.vgg))
    if options.squeezenet:
        judges.append(SqueezeJudge(options.squeezenet))

    figures = measure(pipe, options.strengths, chains, photos, work, judges)
    ratios = time_ratios(pipe, chains, options.runs, options.threads)
    print(f"{len(photos)} photos; time on {options.threads} threads, median of {options.runs}.\n")
    for judge in judges:
        ways = figures[judge.name]
        ours = {s: ways[of_strength(s)] for s in options.strengths}
        baselines = {name: ways[name] for name in chains}
        print(table(judge.name, ways, ratios))
        for name, theirs in baselines.items():
            print(f"- {verdict(name, theirs, ours)}")
        print()
    if options.sheet:
        sheet, key = draw_sheet(
            pipe, options.sheet_strength, chains, photos, options.cell, options.seed
        )
        sheet.save(options.sheet)
        Path(options.key).write_text(json.dumps(key, indent=2) + "\n", encoding="utf-8")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("style", help="our style: a released name, a folder or a Hub id")
    parser.add_argument("work", help="picture of the work that all of them imitate")
    parser.add_argument("photos", help="folder of held-out photos, in full size")
    parser.add_argument("--enlarger", required=True, help="checkpoint of a ×4 network")
    parser.add_argument(
        "--baseline",
        metavar="NAME=PATH",
        action="append",
        required=True,
        type=named_path,
        help="checkpoint or folder of a style network: one trained on the work, or MicroAST",
    )
    parser.add_argument("--vgg", help="weights of the distilled VGG-19, the first judge")
    parser.add_argument("--squeezenet", help="weights of SqueezeNet's features, the second judge")
    parser.add_argument(
        "--strengths",
        nargs="+",
        type=float,
        default=[0.25, 0.5, 0.75, 1.0, 1.25],
        help="of our style (0.25 to 1.25); 0, plain enlargement, is always measured too",
    )
    parser.add_argument("--limit", type=int, help="the first so many photos only")
    parser.add_argument("--threads", type=int, default=2, help="of torch, for the times (2)")
    parser.add_argument("--runs", type=int, default=7, help="timed runs after the warm-up (7)")
    parser.add_argument("--sheet", help="draw a blind sheet to this PNG: a row for each photo")
    parser.add_argument("--key", help="write which column is which to this JSON file")
    parser.add_argument("--sheet-strength", type=float, default=1.0, help="of ours there (1)")
    parser.add_argument("--cell", type=int, default=512, help="width of the sheet's columns (512)")
    parser.add_argument("--seed", type=int, default=0, help="of the columns' order (0)")
    options = parser.parse_args(arguments)
    if bool(options.sheet) != bool(options.key):
        parser.error("--sheet and --key go together")
    if not (options.vgg or options.squeezenet):
        parser.error("a judge is needed: --vgg, --squeezenet or both")
    options.strengths = sorted({0.0, *options.strengths})
    return options


def of_strength(strength: float) -> str:
    """Name of our style in tables."""
    return f"ours, strength {strength:g}"


# -- the two-stage ways -----------------------------------------------------------------------


def find_chains(
    baselines: Sequence[tuple[str, str]], enlarger: str, work: Tensor
) -> dict[str, Network]:
    """Both orders of each baseline and the enlarger, by name."""
    upscaler = _loaded(enlarger)
    if SCALE not in upscaler.scales:
        raise InputError(f"{enlarger} enlarges by {upscaler.scales}, not by {SCALE}")
    chains: dict[str, Network] = {}
    for name, path in baselines:
        painter = _loaded(path)
        chains[f"{name}, then enlarged"] = _chain(_painting(painter, work, SCALE), upscaler)
        chains[f"enlarged, then {name}"] = _chain(upscaler, _painting(painter, work, 1))
    return chains


def _loaded(path: str) -> Generator:
    net = load_network(path)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


def _painting(net: Generator, work: Tensor, reduced: int) -> Network:
    """The network on pictures of any size; it looks at the work once."""
    options = {}
    if isinstance(net, MicroAST):
        size = (work.shape[1] // reduced, work.shape[2] // reduced)
        with torch.inference_mode():
            options["style"] = net.encode_style(resize(work[None], size).clamp(0, 1))

    def paint(x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        multiple = net.multiple_of(1)
        padded = F.pad(x, (0, -width % multiple, 0, -height % multiple), mode="replicate")
        return net(padded, **options)[..., :height, :width]

    return paint


def _chain(first: Network, second: Network) -> Network:
    return lambda x: eight_bits(second(eight_bits(first(x))))


# -- figures ----------------------------------------------------------------------------------


@torch.inference_mode()
def measure(
    pipe: StyleSRPipeline,
    strengths: Sequence[float],
    chains: Mapping[str, Network],
    photos: Sequence[Path],
    work: Tensor,
    judges: Sequence[Judge],
) -> dict[str, dict[str, Distances]]:
    """Mean distances of each way, by judge."""
    goals = {judge.name: judge.look(work) for judge in judges}
    found: dict[str, dict[str, list[Distances]]] = {judge.name: {} for judge in judges}
    for path in progress(photos, pipe.styles[0]):
        hr = hr_picture(path)
        lr = low_resolution(hr, SCALE)
        results = {"the photo itself": hr.pixels}
        for strength in strengths:
            results[of_strength(strength)] = enlarge(pipe, lr, pipe.styles[0], SCALE, strength)
        for name, chain in chains.items():
            results[name] = chain(lr.pixels[None])[0]
        for judge in judges:
            photo = judge.look(hr.pixels)
            for name, result in results.items():
                seen = judge.look(result)
                pair = judge.style(seen, goals[judge.name]), judge.content(seen, photo)
                found[judge.name].setdefault(name, []).append(pair)
    return {
        judge: {
            name: (fmean(style for style, _ in pairs), fmean(content for _, content in pairs))
            for name, pairs in ways.items()
        }
        for judge, ways in found.items()
    }


def time_ratios(
    pipe: StyleSRPipeline, chains: Mapping[str, Network], runs: int, threads: int
) -> dict[str, float]:
    """Time of each two-stage way, as a ratio to ours."""
    picture = random_picture(SIZE)
    jobs: list[Callable[[], object]] = [lambda: pipe(picture, scale=SCALE).images[0]]
    jobs += [lambda chain=chain: run_network(chain, picture) for chain in chains.values()]
    ours, *theirs = median_seconds(jobs, runs=runs, threads=threads)
    return {name: seconds / ours for name, seconds in zip(chains, theirs, strict=True)}


def at_style(ours: Mapping[float, Distances], style: float) -> tuple[float, float] | None:
    """The strength at which our style distance equals `style`, and the content distance there.

    Linear between neighbouring strengths, and the weakest of several: beyond 1 the distance can
    grow again. None where no pair encloses it.
    """
    steps = sorted(ours.items())
    for (s0, (style0, content0)), (s1, (style1, content1)) in pairwise(steps):
        if min(style0, style1) <= style <= max(style0, style1):
            share = (style - style0) / (style1 - style0) if style1 != style0 else 0.0
            return s0 + share * (s1 - s0), content0 + share * (content1 - content0)
    return None


def verdict(name: str, theirs: Distances, ours: Mapping[float, Distances]) -> str:
    """In words: at equal style distance, whose content is nearer."""
    style, content = theirs
    met = at_style(ours, style)
    head = f"{name}: style {style:.3f}, content {content:.3f}. "
    if met is not None:
        strength, at = met
        better = "better" if at < content else "not better"
        return (
            f"{head}Ours has that style distance at strength {strength:.2f}, "
            f"with content {at:.3f}: ours is {better}."
        )
    strength, (nearest, at) = min(ours.items(), key=lambda item: abs(item[1][0] - style))
    measured = f"(nearest: {nearest:.3f} at strength {strength:g}, with content {at:.3f})"
    if nearest > style:
        return f"{head}Ours comes that near at no strength {measured}: ours is not better."
    better = "better" if min(at for _, at in ours.values()) < content else "not better in content"
    return f"{head}Ours is nearer to the work at every strength {measured}: ours is {better}."


def table(judge: str, ways: Mapping[str, Distances], ratios: Mapping[str, float]) -> str:
    """One judge's figures as Markdown."""
    lines = [[judge, "style", "content", "time / ours"], ["---", "---:", "---:", "---:"]]
    for name, (style, content) in ways.items():
        ratio = ratios.get(name, 1.0 if name.startswith("ours") else None)
        time = "–" if ratio is None else f"{ratio:.2f}"
        lines.append([name, f"{style:.3f}", f"{content:.3f}", time])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# -- the blind sheet --------------------------------------------------------------------------


@torch.inference_mode()
def draw_sheet(
    pipe: StyleSRPipeline,
    strength: float,
    chains: Mapping[str, Network],
    photos: Sequence[Path],
    cell: int,
    seed: int,
) -> tuple[Image.Image, dict[str, object]]:
    """A row for each photo: the photo, then every way in an order drawn anew for each row.

    Returns:
        The sheet without a word on it, and its key.
    """
    order = random.Random(seed)
    rows: list[list[Image.Image]] = []
    key: list[dict[str, object]] = []
    for path in progress(photos, "sheet"):
        hr = hr_picture(path)
        lr = low_resolution(hr, SCALE)
        results = {of_strength(strength): enlarge(pipe, lr, pipe.styles[0], SCALE, strength)}
        results |= {name: chain(lr.pixels[None])[0] for name, chain in chains.items()}
        names = order.sample(list(results), len(results))
        cells = [to_pil(Picture(p)) for p in (hr.pixels, *(results[name] for name in names))]
        size = (cell, round(cell * hr.height / hr.width))
        rows.append([picture.resize(size, Image.Resampling.LANCZOS) for picture in cells])
        key.append({"photo": os.path.basename(path), "columns": ["the photo", *names]})
    width = len(rows[0]) * (cell + GAP) - GAP
    sheet = Image.new("RGB", (width, sum(row[0].height + GAP for row in rows) - GAP), "white")
    top = 0
    for row in rows:
        for column, picture in enumerate(row):
            sheet.paste(picture, (column * (cell + GAP), top))
        top += row[0].height + GAP
    return sheet, {"seed": seed, "rows": key}


if __name__ == "__main__":
    main()
