"""Measure released models and write `metrics.json` beside their weights.

A photo model is judged by how well it restores reduced pictures (`fidelity`), a style by how near
it comes to its work and how much of the photo it keeps (`likeness`). Everything runs through the
pipeline that users call. The protocols are written with the figures.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from stylesr import fidelity, likeness
from stylesr.checkpoints import load_checkpoint
from stylesr.data.datasets import find_pictures
from stylesr.errors import InputError, ModelError
from stylesr.fidelity import (
    BENCHMARKS,
    BLIND,
    CLEAN,
    INTERPOLATION,
    Peer,
    Row,
    bicubic,
    blind_low_resolution,
    enlarge,
    hr_picture,
    low_resolution,
    super_resolution_row,
)
from stylesr.hub import locate
from stylesr.likeness import ANY_STYLE, FEATURES, STYLE, Judge, SqueezeJudge, VggJudge, style_rows
from stylesr.metrics import LPIPS
from stylesr.models import AdaINNet, Generator, MicroAST
from stylesr.pipeline import StyleSRPipeline
from stylesr.releases import Releases
from stylesr.speed import PEER, time_ratio

__all__ = [
    "ANY_STYLE",
    "BLIND",
    "CLEAN",
    "INTERPOLATION",
    "METRICS_FILE",
    "PROTOCOL",
    "SPEED",
    "STYLE",
    "Inputs",
    "Judge",
    "Peer",
    "Report",
    "Row",
    "SqueezeJudge",
    "VggJudge",
    "bicubic",
    "blind_low_resolution",
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
RUNS, THREADS = 7, 2
SPEED_SIZE, SPEED_SCALE = 256, 4

SPEED = "speed"
PROTOCOL = {  # in words, for each task
    **fidelity.PROTOCOL,
    **likeness.PROTOCOL,
    SPEED: (
        f"Median of {RUNS} runs after a warm-up, {THREADS} threads of one CPU, in turn with the "
        f"peer in the same process: {SPEED_SIZE}×{SPEED_SIZE} to "
        f"{4 * SPEED_SIZE}×{4 * SPEED_SIZE}, the whole pipeline, PIL in and PIL out."
    ),
}
KEYS = ("task", "dataset", "features", "scale", "strength")  # what tells one result from another


@dataclass(frozen=True)
class Inputs:
    """Where the material for measuring is; what is None is not measured.

    Attributes:
        benchmarks: folder with Set5, Set14, BSD100, Urban100 of HR pictures, or some of these.
        photos: folder of held-out photos.
        paintings: folder with the works that `releases.toml` names.
        vgg, squeezenet, lpips: safetensors files of the distilled VGG-19, of SqueezeNet 1.1's
            features and of the LPIPS heads.
        peer: a community checkpoint (.pth) of a super-resolution network to compare with; of
            MicroAST for what takes any style.
        speed: whether to time the pipeline against its peer.
    """

    benchmarks: str | Path | None = None
    photos: str | Path | None = None
    paintings: str | Path | None = None
    vgg: str | Path | None = None
    squeezenet: str | Path | None = None
    lpips: str | Path | None = None
    peer: str | Path | None = None
    speed: bool = False

    def __post_init__(self) -> None:
        if self.lpips and not self.squeezenet:
            raise InputError("LPIPS needs SqueezeNet's features too: give squeezenet with lpips")
        if self.paintings and not (self.photos and (self.vgg or self.squeezenet)):
            raise InputError("style distances need paintings, photos, and vgg or squeezenet")
        if self.peer and not (self.benchmarks or self.paintings):
            raise InputError("a peer needs benchmarks or paintings to be compared on")


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

    def rows(self, *tasks: str) -> list[Row]:
        """Results of some tasks: CLEAN, BLIND, INTERPOLATION, STYLE, ANY_STYLE or SPEED."""
        return [row for row in self.results if row["task"] in tasks]


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
    net = Generator.from_pretrained(name)
    pipe = StyleSRPipeline.from_pretrained(name)
    rows: list[Row] = []
    if not net.paints and inputs.benchmarks:
        rows += fidelity.fidelity_rows(pipe, inputs.benchmarks, _lpips(inputs), _peer(inputs))
    if net.paints and inputs.paintings and inputs.photos:
        if releases is None:
            raise InputError("style distances need releases, which name the painting")
        place = (Path(inputs.paintings), releases, locate(name).resolve().name)
        given = (find_pictures(inputs.photos), _judges(inputs), releases.held_out.name)
        if isinstance(net, AdaINNet):
            works = likeness.load_unseen(*place)
            rows += likeness.any_style_rows(pipe, works, *given, _any_style_peer(inputs))
        else:
            rows += style_rows(pipe, likeness.load_work(*place), *given)
    if inputs.speed and not isinstance(net, AdaINNet) and SPEED_SCALE in net.scales:
        pipe.set_progress_bar_config(disable=True)
        rows.append(_speed_row(pipe))
    return Report(
        net.fingerprint(),
        sum(p.numel() for p in net.parameters()),
        _protocol(rows),
        sorted(rows, key=_order),
    )


def merged(old: Report | None, new: Report) -> Report:
    """`new`, with those results and figures of `old` that it lacks and that are still true.

    Results of other weights or of another protocol are dropped.
    """
    if old is None or old.weights_sha256 != new.weights_sha256:
        return new
    kept = {
        _key(row): row
        for row in old.results
        if old.protocol.get(row["task"]) == PROTOCOL.get(row["task"])
    }
    fresh = [_completed(row, kept.pop(_key(row), {})) for row in new.results]
    rows = sorted([*kept.values(), *fresh], key=_order)
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


def _completed(row: Row, old: Row) -> Row:
    """A row with the old one's figures that it lacks, if both saw the same pictures and peer."""
    same = all(row[key] == old[key] for key in ("pictures", "peer") if key in row and key in old)
    return {**old, **row} if same else row


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


# -- what measures --------------------------------------------------------------------------------


def _lpips(inputs: Inputs) -> LPIPS | None:
    if inputs.squeezenet and inputs.lpips:
        return LPIPS(inputs.squeezenet, inputs.lpips)
    return None


def _peer(inputs: Inputs) -> Peer | None:
    if inputs.peer is None:
        return None
    network = load_checkpoint(inputs.peer)
    if not set(network.scales) & set(fidelity.SCALES):
        raise InputError(f"{inputs.peer} enlarges by {network.scales}, a peer by 2 or 4")
    return Peer(Path(inputs.peer).stem, network)


def _any_style_peer(inputs: Inputs) -> MicroAST | None:
    if inputs.peer is None:
        return None
    network = load_checkpoint(inputs.peer)
    if not isinstance(network, MicroAST):
        raise InputError(f"{inputs.peer} is a {type(network).__name__}; the peer is a MicroAST")
    return network


def _judges(inputs: Inputs) -> list[Judge]:
    judges: list[Judge] = []
    if inputs.vgg:
        judges.append(VggJudge(inputs.vgg))
    if inputs.squeezenet:
        judges.append(SqueezeJudge(inputs.squeezenet))
    return judges


def _speed_row(pipe: StyleSRPipeline) -> Row:
    style = next(iter(pipe.styles), pipe.base_name)
    ratio = time_ratio(pipe, style, size=SPEED_SIZE, runs=RUNS, threads=THREADS)
    return {"task": SPEED, "scale": SPEED_SCALE, "peer": PEER, "time_ratio": round(ratio, 3)}
