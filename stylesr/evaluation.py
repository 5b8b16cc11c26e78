"""Measure released models and write `metrics.json` beside their weights.

A photo model is judged by how well it restores reduced pictures, a style by how near it comes to
its work and how much of the photo it keeps. Everything runs through the pipeline that users call.
The protocols below are written with the figures.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor
from tqdm import tqdm

from stylesr import tiling
from stylesr.data.datasets import find_pictures
from stylesr.errors import InputError, ModelError
from stylesr.hub import locate
from stylesr.images import decode
from stylesr.losses.perceptual import DistilledVGG19, relative_gram_loss
from stylesr.metrics import (
    LPIPS,
    SqueezeFeatures,
    content_distance,
    psnr_y,
    relative_gram_distance,
    ssim_y,
)
from stylesr.models import StyleSRNet
from stylesr.picture import Picture, to_levels
from stylesr.pipeline import StyleSRPipeline
from stylesr.releases import Releases
from stylesr.resample import downscale, resize
from stylesr.speed import PEER, time_ratio

__all__ = [
    "METRICS_FILE",
    "Inputs",
    "Judge",
    "Report",
    "SqueezeJudge",
    "VggJudge",
    "bicubic",
    "enlarge",
    "hr_picture",
    "low_resolution",
    "measure",
    "merged",
    "read",
    "style_rows",
    "super_resolution_row",
    "write",
]

METRICS_FILE = "metrics.json"
BENCHMARKS = ("Set5", "Set14", "BSD100", "Urban100")
SCALES = (2, 4)  # measured; ×1 is the identity
STRENGTHS = (0.5, 1.0)
CUT = 4  # sides are cut to multiples of the largest factor, so that every factor sees one picture
WORK_SIZE = 1024  # longest side of the work, the one that styles are trained at
RUNS, THREADS, SPEED_SIZE = 7, 2, 256

FEATURES = ("VGG-19 (distilled)", "SqueezeNet 1.1")
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
CONTENT_LAYERS = ("relu3_1", "relu4_1")
SQUEEZE_CONTENT_LAYERS = ("fire3", "fire5")  # at the same quarter and eighth of the size

PROTOCOL = {
    "super-resolution": (
        f"HR cut to multiples of {CUT}; LR by antialiased bicubic (MATLAB convention), rounded to "
        "8 bits. The result is rounded to 8 bits, `scale` pixels are cut off each side; PSNR and "
        "SSIM (11×11, σ 1.5) on BT.601 luma, averaged over the pictures. LPIPS v0.1 (SqueezeNet) "
        "on whole RGB pictures. Bicubic enlargement is measured alike."
    ),
    "style": (
        "Held-out photos reduced by 4 (antialiased bicubic, 8 bits) and painted at ×4, brush 1, "
        f"seed 0; the work at a longest side of at most {WORK_SIZE}. Style distance: mean over "
        "layers of |G-T|²/|T|² of the Gram matrices of result and work; content distance: mean of "
        "|F-P|²/|P|² of the features of result and photo. Distilled VGG-19: Gram at relu1_1 to "
        "relu4_1, content at relu3_1 and relu4_1. SqueezeNet 1.1, used in no training: Gram at "
        "all seven maps of LPIPS, content at fire3 and fire5. Layers weigh alike; averaged over "
        "the photos; the ratio is that of the averages."
    ),
    "speed": (
        f"Median of {RUNS} runs after a warm-up, {THREADS} threads of one CPU, in turn with the "
        f"peer in the same process: {SPEED_SIZE}×{SPEED_SIZE} to "
        f"{4 * SPEED_SIZE}×{4 * SPEED_SIZE}, the whole pipeline, PIL in and PIL out."
    ),
}
KEYS = ("task", "dataset", "features", "scale", "strength")  # what tells one result from another

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Inputs:
    """Where the material for measuring is; what is None is not measured.

    Attributes:
        benchmarks: folder with Set5, Set14, BSD100, Urban100 of HR pictures, or some of these.
        photos: folder of held-out photos.
        paintings: folder with the works that `releases.toml` names.
        vgg, squeezenet, lpips: safetensors files of the distilled VGG-19, of SqueezeNet 1.1's
            features and of the LPIPS heads.
        speed: whether to time the pipeline against its peer.
    """

    benchmarks: str | Path | None = None
    photos: str | Path | None = None
    paintings: str | Path | None = None
    vgg: str | Path | None = None
    squeezenet: str | Path | None = None
    lpips: str | Path | None = None
    speed: bool = False

    def __post_init__(self) -> None:
        if self.lpips and not self.squeezenet:
            raise InputError("LPIPS needs SqueezeNet's features too: give squeezenet with lpips")
        if self.paintings and not (self.photos and (self.vgg or self.squeezenet)):
            raise InputError("style distances need paintings, photos, and vgg or squeezenet")


@dataclass(frozen=True)
class Report:
    """What `metrics.json` holds.

    Attributes:
        weights_sha256: the fingerprint of the weights that were measured.
        parameters: their number.
        protocol: in words, for each task measured.
        results: a table row each.
    """

    weights_sha256: str
    parameters: int
    protocol: Mapping[str, str]
    results: Sequence[Row]

    def rows(self, task: str) -> list[Row]:
        """Results of one task: "super-resolution", "style" or "speed"."""
        return [row for row in self.results if row["task"] == task]


# -- a model and its file ---------------------------------------------------------------------


def measure(name: str, inputs: Inputs, releases: Releases | None = None) -> Report:
    """Measure a model with what `inputs` offers.

    Args:
        name: a released model, a local folder or a Hub id.
        releases: says which painting is a style's; needed with `inputs.paintings`.

    Raises:
        InputError: a folder without pictures, or a painting that is missing.
        ModelError: the model or a network that measures cannot be loaded.
    """
    net = StyleSRNet.from_pretrained(name)
    pipe = StyleSRPipeline.from_pretrained(name)
    rows: list[Row] = []
    if net.base is None and inputs.benchmarks:
        lpips = None
        if inputs.squeezenet and inputs.lpips:
            lpips = LPIPS(inputs.squeezenet, inputs.lpips)
        for folder in _benchmark_folders(Path(inputs.benchmarks)):
            rows += [super_resolution_row(pipe, folder, scale, lpips) for scale in SCALES]
    if net.base is not None and inputs.paintings and inputs.photos:
        if releases is None:
            raise InputError("style distances need releases, which name the painting")
        work = _work(Path(inputs.paintings), releases, locate(name).resolve().name)
        photos = find_pictures(inputs.photos)
        rows += style_rows(pipe, work, photos, _judges(inputs), releases.held_out.name)
    if inputs.speed:
        pipe.set_progress_bar_config(disable=True)
        style = next(iter(pipe.styles), pipe.base_name)
        rows.append(_speed_row(pipe, style))
    return Report(
        net.fingerprint(),
        sum(p.numel() for p in net.parameters()),
        _protocol(rows),
        sorted(rows, key=_order),
    )


def merged(old: Report | None, new: Report) -> Report:
    """`new`, with those results of `old` that it lacks and that are still true.

    Results of other weights or of another protocol are dropped.
    """
    if old is None or old.weights_sha256 != new.weights_sha256:
        return new
    measured = {_key(row) for row in new.results}
    kept = [
        row
        for row in old.results
        if _key(row) not in measured and old.protocol.get(row["task"]) == PROTOCOL.get(row["task"])
    ]
    rows = sorted([*kept, *new.results], key=_order)
    return replace(new, protocol=_protocol(rows), results=rows)


def read(folder: str | Path) -> Report | None:
    """The report in a model's folder, or None where there is none.

    Raises:
        ModelError: `metrics.json` does not hold a report.
    """
    path = Path(folder) / METRICS_FILE
    if not path.is_file():
        return None
    try:
        return Report(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(
            f"{path} is not what `stylesr evaluate --write` writes: {error}"
        ) from error


def write(folder: str | Path, report: Report) -> Report:
    """Merge a report into a folder's `metrics.json`; returns what the file now holds."""
    report = merged(read(folder), report)
    text = json.dumps(asdict(report), indent=2, ensure_ascii=False) + "\n"
    (Path(folder) / METRICS_FILE).write_text(text, encoding="utf-8")
    return report


def _protocol(rows: Sequence[Row]) -> dict[str, str]:
    tasks = {row["task"] for row in rows}
    return {task: text for task, text in PROTOCOL.items() if task in tasks}


def _key(row: Row) -> tuple[object, ...]:
    return tuple(row.get(key) for key in KEYS)


def _order(row: Row) -> tuple[int, ...]:
    """By task, dataset, network, factor, and the full strength first."""
    dataset, features = row.get("dataset"), row.get("features")
    return (
        list(PROTOCOL).index(row["task"]),
        BENCHMARKS.index(dataset) if dataset in BENCHMARKS else len(BENCHMARKS),
        FEATURES.index(features) if features in FEATURES else len(FEATURES),
        row["scale"],
        -row.get("strength", 0),
    )


# -- super-resolution -------------------------------------------------------------------------


def hr_picture(path: str | Path) -> Picture:
    """Read an HR picture: opaque, of 8 bits, its sides cut to multiples of 4.

    Raises:
        ImageError: it cannot be read.
        InputError: it is smaller than 48×48.
    """
    picture = decode(path)
    if min(picture.height, picture.width) < 48:
        raise InputError(f"{path} is {picture.width}×{picture.height}; 48×48 is the least")
    height, width = (side // CUT * CUT for side in (picture.height, picture.width))
    pixels = _eight_bits(picture.pixels[:, :height, :width])
    return Picture(pixels.contiguous(), gray=picture.gray)


def low_resolution(hr: Picture, scale: int) -> Picture:
    """The picture reduced by a whole factor and rounded to 8 bits, as a file would hold it."""
    return replace(hr, pixels=_eight_bits(downscale(hr.pixels[None], scale))[0])


def super_resolution_row(
    pipe: StyleSRPipeline, folder: str | Path, scale: int, lpips: LPIPS | None = None
) -> Row:
    """Figures of plain enlargement, and of bicubic, on a folder of HR pictures."""
    paths = find_pictures(folder)
    figures: dict[str, list[float]] = {}
    name = Path(folder).name
    for path in _progress(paths, f"{name} ×{scale}"):
        hr = hr_picture(path)
        lr = low_resolution(hr, scale)
        rivals = {"": enlarge(pipe, lr, pipe.base_name, scale), "bicubic_": bicubic(lr, scale)}
        for prefix, result in rivals.items():
            for metric, value in _fidelity(result, hr.pixels, scale, lpips).items():
                figures.setdefault(prefix + metric, []).append(value)
    means = {metric: round(fmean(values), 4) for metric, values in figures.items()}
    gain = round(means["psnr_y"] - means["bicubic_psnr_y"], 4)
    head = {"task": "super-resolution", "dataset": name, "scale": scale, "pictures": len(paths)}
    return {**head, **means, "gain_db": gain}


def enlarge(
    pipe: StyleSRPipeline, lr: Picture, style: str, scale: int, strength: float = 1.0
) -> Tensor:
    """Through the pipeline as users call it: (3, H·scale, W·scale), rounded to 8 bits."""
    work = pipe.stream(lr, style=style, scale=scale, strength=strength, brush=1)
    return _eight_bits(tiling.drain(work).pixels)


def bicubic(lr: Picture, scale: int) -> Tensor:
    """Plain enlargement to compare with: (3, H·scale, W·scale), rounded to 8 bits."""
    return _eight_bits(resize(lr.pixels[None], (lr.height * scale, lr.width * scale)))[0]


def _fidelity(result: Tensor, hr: Tensor, scale: int, lpips: LPIPS | None) -> dict[str, float]:
    figures = {"psnr_y": psnr_y(result, hr, scale), "ssim_y": ssim_y(result, hr, scale)}
    if lpips is not None:
        with torch.inference_mode():
            figures["lpips"] = float(lpips(result[None], hr[None]))
    return figures


def _benchmark_folders(parent: Path) -> list[Path]:
    found = [parent / name for name in BENCHMARKS if (parent / name).is_dir()]
    if not found:
        raise InputError(f"{parent} has none of the folders {', '.join(BENCHMARKS)}")
    return found


def _eight_bits(pixels: Tensor) -> Tensor:
    return to_levels(pixels) / 255


# -- style ------------------------------------------------------------------------------------


class Judge(Protocol):
    """A network on whose features style and content are measured."""

    name: str

    def look(self, picture: Tensor) -> Any:
        """What it sees in (3, H, W), RGB in [0, 1]."""

    def style(self, seen: Any, work: Any) -> float:
        """Distance of a picture's statistics from the work's."""

    def content(self, seen: Any, photo: Any) -> float:
        """Distance of a picture from its photo, both of one size."""


class VggJudge:
    """The distilled VGG-19, which also guides the training of styles."""

    name = FEATURES[0]

    def __init__(self, path: str | Path) -> None:
        self.network = DistilledVGG19.load(path)

    @torch.inference_mode()
    def look(self, picture: Tensor) -> dict[str, Tensor]:
        """Features by layer."""
        return self.network(picture[None])

    def style(self, seen: dict[str, Tensor], work: dict[str, Tensor]) -> float:
        """Mean relative distance of Gram matrices in VGG's channels."""
        ours, target = self.network.grams(seen), self.network.grams(work)
        return float(relative_gram_loss(ours, target, dict.fromkeys(STYLE_LAYERS, 1.0)))

    def content(self, seen: dict[str, Tensor], photo: dict[str, Tensor]) -> float:
        """Mean relative distance of features."""
        return float(content_distance(*([f[k] for k in CONTENT_LAYERS] for f in (seen, photo))))


class SqueezeJudge:
    """SqueezeNet 1.1, on which nothing is trained."""

    name = FEATURES[1]

    def __init__(self, path: str | Path) -> None:
        self.network = SqueezeFeatures(path)

    @torch.inference_mode()
    def look(self, picture: Tensor) -> dict[str, Tensor]:
        """Features by layer."""
        return self.network(picture[None])

    def style(self, seen: dict[str, Tensor], work: dict[str, Tensor]) -> float:
        """Mean relative distance of Gram matrices."""
        return float(relative_gram_distance(list(seen.values()), list(work.values())))

    def content(self, seen: dict[str, Tensor], photo: dict[str, Tensor]) -> float:
        """Mean relative distance of features."""
        layers = SQUEEZE_CONTENT_LAYERS
        return float(content_distance(*([f[k] for k in layers] for f in (seen, photo))))


def style_rows(
    pipe: StyleSRPipeline,
    work: Tensor,
    photos: Sequence[Path],
    judges: Sequence[Judge],
    dataset: str,
) -> list[Row]:
    """Figures of the pipeline's first style, for each judge and strength.

    Args:
        work: (3, H, W), what the style should look like.
        photos: HR pictures; the style gets them reduced by 4.
        dataset: what to call the photos.
    """
    style, scale = pipe.styles[0], 4
    goals = [judge.look(work) for judge in judges]
    figures: dict[tuple[str, float], list[dict[str, float]]] = {}
    for path in _progress(photos, style):
        hr = hr_picture(path)
        lr = low_resolution(hr, scale)
        soft = bicubic(lr, scale)
        painted = {s: enlarge(pipe, lr, style, scale, s) for s in STRENGTHS}
        for judge, goal in zip(judges, goals, strict=True):
            photo = judge.look(hr.pixels)
            unpainted = {
                "photo_style_distance": judge.style(photo, goal),
                "bicubic_content_distance": judge.content(judge.look(soft), photo),
            }
            for strength, result in painted.items():
                seen = judge.look(result)
                values = {
                    "style_distance": judge.style(seen, goal),
                    "content_distance": judge.content(seen, photo),
                    **unpainted,
                }
                figures.setdefault((judge.name, strength), []).append(values)
    rows = []
    for (judge_name, strength), each in figures.items():
        means = {key: round(fmean(values[key] for values in each), 4) for key in each[0]}
        rows.append(
            {
                "task": "style",
                "dataset": dataset,
                "features": judge_name,
                "scale": scale,
                "strength": strength,
                "pictures": len(photos),
                "style_distance": means["style_distance"],
                "photo_style_distance": means["photo_style_distance"],
                "style_ratio": round(means["style_distance"] / means["photo_style_distance"], 4),
                "content_distance": means["content_distance"],
                "bicubic_content_distance": means["bicubic_content_distance"],
            }
        )
    return rows


def _judges(inputs: Inputs) -> list[Judge]:
    judges: list[Judge] = []
    if inputs.vgg:
        judges.append(VggJudge(inputs.vgg))
    if inputs.squeezenet:
        judges.append(SqueezeJudge(inputs.squeezenet))
    return judges


def _work(folder: Path, releases: Releases, name: str) -> Tensor:
    """The style's work, reduced to the size that styles are trained at: (3, H, W)."""
    work = releases[name].work
    if work is None:
        raise InputError(f"{releases.path}: [models.{name}] needs a work, as {name} is a style")
    picture = decode(folder / work.image)
    longest = max(picture.height, picture.width)
    if longest <= WORK_SIZE:
        return picture.pixels
    height, width = (
        max(1, round(side * WORK_SIZE / longest)) for side in (picture.height, picture.width)
    )
    return resize(picture.pixels[None], (height, width))[0].clamp(0, 1)


# -- speed and progress -----------------------------------------------------------------------


def _speed_row(pipe: StyleSRPipeline, style: str) -> Row:
    ratio = time_ratio(pipe, style, size=SPEED_SIZE, runs=RUNS, threads=THREADS)
    return {"task": "speed", "scale": 4, "peer": PEER, "time_ratio": round(ratio, 3)}


def _progress(paths: Sequence[Path], what: str) -> Iterable[Path]:
    bar: Iterable[Path] = tqdm(paths, desc=what, unit="picture", leave=False, disable=None)
    return bar
