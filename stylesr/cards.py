"""Render a model's card: words from `releases.toml`, figures from its `metrics.json`.

The template is Jinja2, as in huggingface_hub; the front matter is what the Hub reads.
"""

import json
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, StrictUndefined, TemplateError

from stylesr.errors import InputError, ModelError
from stylesr.evaluation import Report, Row, read
from stylesr.hub import CONFIG_FILE, bundled_folder
from stylesr.previews import PREVIEW_FILE
from stylesr.releases import Releases

__all__ = ["CARD_FILE", "front_matter", "render", "template_path", "write"]

CARD_FILE = "README.md"

METRICS = {  # key of a result → the Hub's metric type, and its name on the card
    "psnr_y": ("psnr", "PSNR-Y (dB)"),
    "ssim_y": ("ssim", "SSIM-Y"),
    "lpips": ("lpips", "LPIPS (SqueezeNet)"),
    "style_distance": ("style-distance", "style distance"),
    "style_ratio": ("style-ratio", "style distance / that of the photo"),
    "content_distance": ("content-distance", "content distance"),
}


def template_path() -> Path:
    """Where the template is in a clone of the repository."""
    return bundled_folder() / "template.md"


def render(folder: str | Path, releases: Releases, template: str | Path | None = None) -> str:
    """The card of a model's folder, whose name is the model's.

    Raises:
        InputError: the releases do not name the model, or the template is missing or wrong.
        ModelError: the folder lacks config.json or metrics.json.
    """
    folder = Path(folder).resolve()
    report = read(folder)
    if report is None:
        raise ModelError(f"{folder.name} was never measured; run stylesr evaluate … --write")
    release = releases[folder.name]
    base = _config(folder).get("base")
    if (base is None) != (release.work is None):
        kind = "a photo model, so it has no" if base is None else "a style, so it has a"
        raise InputError(f"{releases.path}: {folder.name} is {kind} work")
    path = Path(template or template_path())
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    try:
        page = environment.from_string(path.read_text(encoding="utf-8"))
        return page.render(
            front_matter=front_matter(folder.name, report, is_style=base is not None).to_yaml(),
            name=folder.name,
            base=base,
            release=release,
            work=release.work,
            held_out=releases.held_out,
            report=report,
            has_preview=(folder / PREVIEW_FILE).is_file(),
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
        metrics=["psnr", "ssim"] if report.rows("super-resolution") else None,
        model_name=name,
        eval_results=results or None,
    )


def _eval_results(row: Row, report: Report) -> list[EvalResult]:
    """An entry for each figure of a row; speed belongs to a machine and stays out."""
    if row["task"] == "speed":
        return []
    dataset: dict[str, Any] = {
        "dataset_name": f"{row['dataset']} ×{row['scale']}",
        "dataset_type": row["dataset"].lower().replace(" ", "-"),
        "dataset_config": f"x{row['scale']}",
        "dataset_args": {"pictures": row["pictures"], "protocol": report.protocol[row["task"]]},
    }
    where = f", {row['features']}, strength {row['strength']:g}" if row["task"] == "style" else ""
    return [
        EvalResult(
            task_type="image-to-image",
            task_name="style transfer" if row["task"] == "style" else "super-resolution",
            metric_type=kind,
            metric_name=title + where,
            metric_value=row[key],
            **dataset,
        )
        for key, (kind, title) in METRICS.items()
        if key in row
    ]


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_FILE
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    return config
