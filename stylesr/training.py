"""What the recipes in `train/` share: schedule, average, checkpoint, log. Functions, no framework.

Everything random in a recipe is a function of (seed, step), so a checkpoint holds no generator
states and a resumed run equals one that never stopped.
"""

import argparse
import csv
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args, get_origin

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from stylesr.errors import ModelError
from stylesr.models import StyleSRNet
from stylesr.pipeline import StyleSRPipeline
from stylesr.previews import draw

__all__ = [
    "EarlyStop",
    "EveryFactor",
    "add_options",
    "average",
    "load_checkpoint",
    "means",
    "plot_losses",
    "preview",
    "save_checkpoint",
    "schedule",
    "share_out",
    "write_row",
]


def add_options(parser: argparse.ArgumentParser, recipe: type) -> None:
    """Give the parser an option for each field of a dataclass, with its default."""
    for item in fields(recipe):
        default: Any = item.default if item.default_factory is MISSING else item.default_factory()
        flag = "--" + item.name.replace("_", "-")
        if item.type is bool:
            parser.add_argument(flag, action="store_true")
        elif get_origin(item.type) is list:
            kind = get_args(item.type)[0]
            parser.add_argument(
                flag, nargs="+", type=kind, default=default, required=default is MISSING
            )
        else:
            parser.add_argument(flag, type=item.type, default=default, required=default is MISSING)


def average(model: nn.Module, decay: float = 0.999) -> AveragedModel:
    """Exponential moving average of a model's weights; the averaged model is `.module`."""
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))


def schedule(
    optimizer: torch.optim.Optimizer, steps: int, warmup: int = 100, cooldown: float = 0.3
) -> LambdaLR:
    """Warm up linearly, hold, and fall linearly to zero over the last `cooldown` of the steps."""

    def factor(step: int) -> float:
        left = (steps - step) / max(1.0, cooldown * steps)
        return max(0.0, min(1.0, (step + 1) / max(1, warmup), left))

    return LambdaLR(optimizer, factor)


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], keep: int = 2) -> Path:
    """Write `state` (state dicts and plain values) as step-N.pt, whole or not at all.

    The file is written beside its place, synced and renamed, its SHA-256 follows, and only then
    are older ones removed; so a crash or a full disk leaves the last good checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:07d}.pt"
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            torch.save({"step": step, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        digest = _sha256(part)
        part.replace(path)
        path.with_suffix(".sha256").write_text(digest + "\n")
    finally:
        part.unlink(missing_ok=True)
    for old in sorted(folder.glob("step-*.pt"))[:-keep]:
        old.unlink()
        old.with_suffix(".sha256").unlink(missing_ok=True)
    return path


def load_checkpoint(folder: Path, map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """Read the newest intact checkpoint of a folder.

    Raises:
        ModelError: there is none.
    """
    for path in sorted(folder.glob("step-*.pt"), reverse=True):
        digest = path.with_suffix(".sha256")
        if digest.is_file() and digest.read_text().strip() == _sha256(path):
            state: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
            return state
    raise ModelError(f"no intact checkpoint in {folder}; start without --resume")


def write_row(path: Path, row: dict[str, float]) -> None:
    """Append a row of figures to a CSV file, with a header when it is new."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.6g}" for k, v in row.items()})


def plot_losses(table: Path, picture: Path) -> None:
    """Draw every column of a table of losses against its `step`, one panel each."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    with table.open() as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    names = [name for name in rows[0] if name != "step"]
    steps = [row["step"] for row in rows]
    figure, axes = pyplot.subplots(1, len(names), figsize=(3 * len(names), 2.5), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        axis.plot(steps, [row[name] for row in rows], linewidth=1)
        axis.set_title(name, fontsize=9)
        axis.tick_params(labelsize=7)
    figure.tight_layout()
    figure.savefig(picture, dpi=90)
    pyplot.close(figure)


class EveryFactor(nn.Module):
    """Runs a network at several factors in one call, so that every step trains every part of it.

    Training the factors together is several times faster than taking them in turn, and each
    parameter gets a gradient in each step, which distributed training asks for.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Sequence[tuple[int, Tensor]], **options: Any) -> list[Tensor]:
        """Pairs (factor, pictures) to pictures, all of one size."""
        return [self.model(x, scale=scale, **options) for scale, x in inputs]


def share_out(batch: Tensor, shares: Mapping[int, int]) -> dict[int, Tensor]:
    """Divide a batch in the proportion of `shares`, each getting at least one where it can."""
    left, parts = batch, {}
    for place, (key, share) in enumerate(shares.items()):
        others = list(shares.values())[place + 1 :]
        count = round(len(left) * share / (share + sum(others)))
        count = min(max(1, count), max(0, len(left) - len(others)))
        parts[key], left = left[:count], left[count:]
    return {key: part for key, part in parts.items() if len(part)}


def preview(
    out: Path, step: int, base: StyleSRNet, styles: Mapping[str, StyleSRNet], photos: Sequence[Path]
) -> Path:
    """Draw what the averaged weights do to photos, through the pipeline that users call."""
    path = out / "previews" / f"step-{step:07d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(StyleSRPipeline(base, styles), photos).save(path)
    return path


class EarlyStop:
    """Says when a figure that should grow has not grown for `patience` looks (0 = never)."""

    def __init__(self, patience: int) -> None:
        self.patience, self.best, self.since = patience, float("-inf"), 0

    def __call__(self, value: float) -> bool:
        """Take a new figure; True means stop."""
        self.since = 0 if value > self.best else self.since + 1
        self.best = max(self.best, value)
        return 0 < self.patience <= self.since


def means(losses: Sequence[dict[str, Tensor]]) -> dict[str, float]:
    """Average each named loss over the steps since the last log line."""
    return {
        k: float(torch.stack([row[k].detach().float() for row in losses]).mean()) for k in losses[0]
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
