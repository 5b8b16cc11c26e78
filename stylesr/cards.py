"""Render a model's card: words from `releases.toml`, figures from its `metrics.json`.

The template is Jinja2, as in huggingface_hub; the front matter is what the Hub reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, StrictUndefined, TemplateError

from stylesr.errors import InputError, ModelError
from stylesr.evaluation import (
    ANY_STYLE,
    BLIND,
    CLEAN,
    INTERPOLATION,
    SPEED,
    STYLE,
    Report,
    Row,
    read,
)
from stylesr.hub import bundled_folder
from stylesr.models import AdaINNet, Generator, StyleSRNet
from stylesr.previews import PREVIEW_FILE
from stylesr.releases import Releases

__all__ = [
    "CARD_FILE",
    "FRONT_FILE",
    "TRADE_FILE",
    "Table",
    "fidelity_tables",
    "front_matter",
    "render",
    "template_path",
    "write",
]

CARD_FILE = "README.md"
TRADE_FILE = "trade.webp"  # the curve of the task INTERPOLATION
FRONT_FILE = "front.webp"  # quality against time, drawn by tests/benchmarks/quality_and_speed.py

METRICS = {  # key of a result → the Hub's metric type, and its name on the card
    "psnr_y": ("psnr", "PSNR-Y (dB)"),
    "ssim_y": ("ssim", "SSIM-Y"),
    "lpips": ("lpips", "LPIPS (SqueezeNet)"),
    "style_distance": ("style-distance", "style distance"),
    "style_ratio": ("style-ratio", "style distance / that of the photo"),
    "style_ratio_together": ("style-ratio-together", "the same ratio, all pictures together"),
    "content_distance": ("content-distance", "content distance"),
}


FIDELITY = {"psnr_y": "%.2f", "ssim_y": "%.4f", "lpips": "%.4f"}  # with the digits of a table

TASKS = {  # the model index's name of a task, and what is added to its dataset's name and id
    CLEAN: ("super-resolution", ""),
    BLIND: ("super-resolution", "degraded"),
    INTERPOLATION: ("super-resolution", "strengths"),
    STYLE: ("style transfer", ""),
    ANY_STYLE: ("style transfer", "unseen works"),
}


@dataclass(frozen=True)
class Table:
    """A table of a card, in words; its first column names the rows."""

    header: Sequence[str]
    body: Sequence[Sequence[str]]


def template_path(name: str = "template.md") -> Path:
    """Where a template is, in a clone and in the installed package."""
    return bundled_folder() / name


def render(folder: str | Path, releases: Releases, template: str | Path | None = None) -> str:
    """The card of a model's folder, whose name is the model's.

    Raises:
        InputError: the releases do not name the model, or the template is missing or wrong.
        ModelError: the folder lacks metrics.json, or its model cannot be loaded.
    """
    folder = Path(folder).resolve()
    report = read(folder)
    if report is None:
        raise ModelError(f"{folder.name} was never measured; run stylesr evaluate … --write")
    release = releases[folder.name]
    net = Generator.from_pretrained(folder)
    base = net.base if isinstance(net, StyleSRNet | AdaINNet) else None
    if isinstance(net, AdaINNet):
        template = template or template_path("template-any-style.md")
        if release.work or not release.unseen:
            raise InputError(
                f"{releases.path}: {folder.name} takes any style, so it has no work, "
                "but unseen ones"
            )
    elif net.paints != (release.work is not None):
        kind = "a style, so it has a" if net.paints else "a photo model, so it has no"
        raise InputError(f"{releases.path}: {folder.name} is {kind} work")
    fidelity = report.rows(CLEAN, BLIND)
    trade = sorted(report.rows(INTERPOLATION), key=lambda row: row["strength"])
    path = Path(template or template_path())
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    try:
        page = environment.from_string(path.read_text(encoding="utf-8"))
        return page.render(
            front_matter=front_matter(folder.name, report, is_style=net.paints).to_yaml(),
            name=folder.name,
            base=base,
            network=type(net).__name__,
            scales=net.scales,
            release=release,
            work=release.work,
            held_out=releases.held_out,
            report=report,
            fidelity=fidelity_tables(fidelity, folder.name, base),
            protocols=[
                report.protocol[task] for task in dict.fromkeys(r["task"] for r in fidelity)
            ],
            trade=trade,
            style=report.rows(STYLE, ANY_STYLE),
            speed=report.rows(SPEED),
            has_preview=(folder / PREVIEW_FILE).is_file(),
            has_trade=(folder / TRADE_FILE).is_file(),
            has_front=(folder / FRONT_FILE).is_file(),
        )
    except (OSError, TemplateError) as error:
        raise InputError(f"the card's template {str(path)!r}: {error}") from error


def write(folder: str | Path, releases: Releases) -> None:
    """Render a folder's card into its README.md."""
    text = render(folder, releases)
    (Path(folder) / CARD_FILE).write_text(text, encoding="utf-8")


def front_matter(name: str, report: Report, *, is_style: bool) -> ModelCardData:
    """What the Hub reads: licence, library, tags, and the results as a model index."""
    tags = ["stylesr", "super-resolution", "image-upscaling"]
    results = [result for row in report.results for result in _eval_results(row, report)]
    return ModelCardData(
        license="apache-2.0",
        library_name="stylesr",
        pipeline_tag="image-to-image",
        tags=[*tags, "style-transfer"] if is_style else tags,
        metrics=["psnr", "ssim"] if report.rows(CLEAN) else None,
        model_name=name,
        eval_results=results or None,
    )


def fidelity_tables(rows: Sequence[Row], name: str, base: str | None) -> list[Table]:
    """A table for each metric, of a model beside its base, bicubic enlargement and its peers.

    Args:
        rows: of the tasks CLEAN and BLIND.
        name, base: what heads the columns of the model and of its base.
    """
    peers = dict.fromkeys(row["peer"] for row in rows if "peer" in row)
    columns = [("", name), ("base_", base), ("bicubic_", "bicubic")]
    columns += [("peer_", peer) for peer in peers]
    tables = []
    for metric, digits in FIDELITY.items():
        shown = [c for c in columns if any(c[0] + metric in row for row in rows)]
        if shown:
            body = [
                [
                    _place(row),
                    *(_cell(row, prefix + metric, title, digits) for prefix, title in shown),
                ]
                for row in rows
            ]
            header = [METRICS[metric][1], *(str(title) for _, title in shown)]
            tables.append(Table(header, body))
    return tables


def _place(row: Row) -> str:
    """A benchmark, a factor, and how the LR was made where that is not by clean reduction."""
    addition = TASKS[row["task"]][1]
    return f"{row['dataset']} ×{row['scale']}{', ' if addition else ''}{addition}"


def _cell(row: Row, key: str, title: str | None, digits: str) -> str:
    is_of_another_peer = key.startswith("peer_") and row.get("peer") != title
    return "–" if key not in row or is_of_another_peer else digits % row[key]


def _eval_results(row: Row, report: Report) -> list[EvalResult]:
    """An entry for each figure of a row; speed belongs to a machine and stays out."""
    if row["task"] == SPEED:
        return []
    task, addition = TASKS[row["task"]]
    dataset: dict[str, Any] = {
        "dataset_name": _place(row),
        "dataset_type": row["dataset"].lower().replace(" ", "-"),
        "dataset_config": "-".join(filter(None, (f"x{row['scale']}", addition))),
        "dataset_args": {"pictures": row["pictures"], "protocol": report.protocol[row["task"]]},
    }
    where = f", {row['features']}" if "features" in row else ""
    where += f", strength {row['strength']:g}" if "strength" in row else ""
    return [
        EvalResult(
            task_type="image-to-image",
            task_name=task,
            metric_type=kind,
            metric_name=title + where,
            metric_value=row[key],
            **dataset,
        )
        for key, (kind, title) in METRICS.items()
        if key in row
    ]
