"""The table of all networks that enlarge: what they cost, and how well they restore."""

from collections.abc import Sequence
from pathlib import Path

from stylesr.cards import FIDELITY
from stylesr.errors import InputError
from stylesr.evaluation import CLEAN, SPEED, Report, Row, read
from stylesr.hub import locate
from stylesr.models import Generator
from stylesr.speed import multiply_adds

__all__ = ["comparison"]

DATASETS = ("Set5", "Set14", "BSD100")


def comparison(models: Sequence[str]) -> str:
    """A Markdown table for each factor from the figures beside the models' weights.

    A line a network, by rising PSNR on the first benchmark: parameters; multiply-adds in 10⁹ for
    1280×720 pixels of output; PSNR-Y in dB, SSIM-Y and LPIPS on each benchmark; at ×4 the time
    relative to the peer's. Styles are left out.

    Args:
        models: names, folders or Hub ids.

    Raises:
        InputError: none of them was measured on a benchmark.
        ModelError: one cannot be loaded.
    """
    measured: list[tuple[str, Generator, Report]] = []
    for name in models:
        net, report = Generator.from_pretrained(name), read(locate(name))
        if report and report.rows(CLEAN):
            measured.append((Path(name).name, net, report))
    if not measured:
        raise InputError("no model was measured on a benchmark; run stylesr evaluate … --write")
    scales = sorted({row["scale"] for _, _, r in measured for row in r.rows(CLEAN)}, reverse=True)
    return "\n".join(_table(scale, measured) for scale in scales)


def _table(scale: int, measured: Sequence[tuple[str, Generator, Report]]) -> str:
    lines: list[tuple[float, list[str]]] = []
    for name, net, report in measured:
        rows = _rows(report, scale)
        if not rows:
            continue
        if not lines:
            lines.append((0.0, ["bicubic", "–", "–", *_cells(rows, "bicubic_"), "–"]))
        cost = [f"{report.parameters / 1000:.0f} K", f"{multiply_adds(net, scale) / 1e9:.1f}"]
        time = [f"{row['time_ratio']:.2f}" for row in report.rows(SPEED) if row["scale"] == scale]
        first: Row = next(iter(rows.values()))
        lines.append((first["psnr_y"], [name, *cost, *_cells(rows, ""), *(time or ["–"])]))
    head = [f"×{scale}", "parameters", "G mult-adds", *DATASETS, "time"]
    body = [cells for _, cells in sorted(lines, key=lambda line: line[0])]
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *body))


def _rows(report: Report, scale: int) -> dict[str, Row]:
    """The rows of one factor, by dataset, in the order of `DATASETS`."""
    found = {row["dataset"]: row for row in report.rows(CLEAN) if row["scale"] == scale}
    return {name: found[name] for name in DATASETS if name in found}


def _cells(rows: dict[str, Row], prefix: str) -> list[str]:
    return [
        " / ".join(
            digits % rows[name][prefix + metric]
            for metric, digits in FIDELITY.items()
            if prefix + metric in rows[name]
        )
        if name in rows
        else "–"
        for name in DATASETS
    ]
