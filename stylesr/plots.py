"""Curves on cards; needs matplotlib, which comes with the extra `train`."""

from collections.abc import Sequence
from io import BytesIO

from matplotlib.figure import Figure

from stylesr.fidelity import Row

__all__ = ["trade"]


def trade(rows: Sequence[Row], base: str, model: str) -> bytes:
    """The way from a base to a model as a curve of PSNR over LPIPS, as WebP.

    Args:
        rows: of the task INTERPOLATION on one benchmark, measured with LPIPS.
        base, model: their names, for strengths 0 and 1.
    """
    rows = sorted(rows, key=lambda row: row["strength"])
    names = {0: f"0: {base}", 1: f"1: {model}"}
    figure = Figure(figsize=(6, 4), layout="tight")
    axis = figure.subplots()
    axis.plot([row["lpips"] for row in rows], [row["psnr_y"] for row in rows], marker="o")
    for row in rows:
        label = names.get(row["strength"], f"{row['strength']:g}")
        place = (row["lpips"], row["psnr_y"])
        axis.annotate(label, place, (7, -4), textcoords="offset points", fontsize=9)
    axis.margins(x=0.25, y=0.1)
    axis.set_title(f"{rows[0]['dataset']} ×{rows[0]['scale']}: strength from {base} to {model}")
    axis.set_xlabel("LPIPS (SqueezeNet), less is better")
    axis.set_ylabel("PSNR-Y in dB, more is better")
    axis.grid(alpha=0.3)
    file = BytesIO()
    figure.savefig(file, format="webp", dpi=120, pil_kwargs={"lossless": True})
    return file.getvalue()
