"""What the recipes in `train/` share: options, schedule, average, run folder. No framework.

Everything random in a recipe is a function of (seed, step), so a checkpoint holds no generator
states and a resumed run equals one that never stopped.
"""

import argparse
import csv
import json
import os
import platform
import random
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin

import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from stylesr.data.datasets import find_pictures, load_rgb
from stylesr.data.hub_datasets import PREFIX
from stylesr.errors import InputError, ModelError, OutOfMemory, StyleSRError
from stylesr.files import sha256, whole
from stylesr.hub import bundled_names
from stylesr.memory import enough_memory
from stylesr.models import Generator, StyleSRNet
from stylesr.pipeline import StyleSRPipeline
from stylesr.previews import draw

__all__ = [
    "Diverged",
    "EarlyStop",
    "Finite",
    "Interrupt",
    "Replay",
    "add_options",
    "average",
    "base_name",
    "begin",
    "check_run",
    "descendant",
    "emulates_bfloat16",
    "load_checkpoint",
    "means",
    "plot_tables",
    "preview",
    "preview_photos",
    "restore",
    "run",
    "save_checkpoint",
    "schedule",
    "share_out",
    "write_row",
]

PREVIEW_SIDE = 1024  # pixels; larger photos would hold up the training
TABLES = ("losses.csv", "figures.csv")

R = TypeVar("R")


class Diverged(StyleSRError):
    """A training cannot go on: its gradients are no longer finite."""


# -- the command ----------------------------------------------------------------------------------


def run(
    main: Callable[[R], None],
    recipe: Callable[..., R],
    about: str | None,
    argv: Sequence[str] | None = None,
) -> int:
    """Read a recipe's options and run it; an expected failure becomes one line.

    Args:
        main: takes the recipe's values.
        recipe: their dataclass; each field is an option.
        about: the help's text.
        argv: the arguments; None takes the command's own.

    Returns:
        The exit code: 0, 1 where the training diverged or the machine failed it (a full disk, a
        killed worker, no memory), 2 for bad input, 130 after Ctrl-C and 143 after SIGTERM.
    """
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser, recipe)
    values = recipe(**vars(parser.parse_args(argv)))
    usual = {number: signal.getsignal(number) for number in Interrupt.numbers}
    Interrupt.last = signal.SIGINT
    try:
        with enough_memory():
            main(values)
    except OutOfMemory:
        print("error: not enough memory; a smaller --crop or --batch needs less", file=sys.stderr)
        return 1
    except StyleSRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, Diverged) else 2
    except (OSError, RuntimeError) as error:
        print(f"error: {_failure(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command with --resume goes on", file=sys.stderr)
        return 128 + Interrupt.last
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
    return 0


def _failure(error: Exception) -> str:
    """What the machine did not give, and what to do; raises the error again where it is a bug."""
    again = "the same command with --resume goes on from the last checkpoint"
    if isinstance(error, OSError) and error.errno:
        where = f" ({error.filename})" if error.filename else ""
        return f"{os.strerror(error.errno)}{where}; when that is mended, {again}"
    if "DataLoader worker (pid" in str(error):
        return f"a process of --workers was killed, perhaps for want of memory; {again}"
    raise error


def add_options(parser: argparse.ArgumentParser, recipe: Any) -> None:
    """Give the parser an option for each field of a dataclass, with its default."""
    for item in fields(recipe):
        default: Any = item.default if item.default_factory is MISSING else item.default_factory()
        required = default is MISSING
        options: dict[str, Any] = {"type": item.type, "default": default, "required": required}
        if item.type is bool:
            options = {"action": "store_true"}
        elif get_origin(item.type) is list:
            options |= {"nargs": "+", "type": get_args(item.type)[0]}
        elif get_origin(item.type) is Literal:
            options |= {"type": str, "choices": get_args(item.type)}
        words = "required" if required else f"default: {default or 'none'}"
        parser.add_argument("--" + item.name.replace("_", "-"), help=words, **options)


def check_run(recipe: Any, **least: float) -> None:
    """Refuse a run that cannot work: no photos, a folder in use, values below the least ones given.

    Raises:
        InputError: says which option, and what would work.
    """
    for folder in filter(None, [*recipe.photos, getattr(recipe, "preview_photos", "")]):
        if not folder.startswith(PREFIX):  # a dataset, which is looked at when it is read
            find_pictures(folder)
    least = {"steps": 1, "log_every": 1, "preview_every": 1, "save_every": 1, **least}
    for name, low in least.items():
        if (value := getattr(recipe, name)) < low:
            option = name.replace("_", "-")
            raise InputError(f"--{option} must be at least {low}, got {value}")
    if not 0 <= recipe.ema < 1:
        raise InputError(f"--ema must be from 0 to below 1, got {recipe.ema}")
    if not recipe.resume and any(Path(recipe.out, "checkpoints").glob("step-*.pt")):
        raise InputError(
            f"{recipe.out} holds a run: add --resume to go on with it, or give another --out"
        )


class Interrupt:
    """Notes Ctrl-C and SIGTERM, so that a run can end after a whole step.

    A second Ctrl-C ends it at once.
    """

    numbers = (signal.SIGINT, signal.SIGTERM)
    last: ClassVar[int] = signal.SIGINT  # what came last, in any run

    def __init__(self) -> None:
        self.noted = False
        for number in self.numbers:
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.noted, Interrupt.last = True, number
        signal.signal(signal.SIGINT, signal.default_int_handler)


# -- the model -----------------------------------------------------------------------------------


def descendant(base: StyleSRNet, name: str, init: str = "") -> StyleSRNet:
    """A copy of a base that names it, so that both blend.

    Args:
        base: a photo model.
        name: what it was loaded by.
        init: a model of its size whose weights are taken in place of the base's.

    Raises:
        InputError: the base is a style itself.
        ModelError: `init` is of another size.
    """
    if base.base:
        raise InputError(f"{name} is a style of {base.base}; --base takes a photo model")
    source = StyleSRNet.from_pretrained(init) if init else base
    config = {**base.config, "base": base_name(name), "base_sha256": base.fingerprint()}
    model = StyleSRNet(**config)
    try:
        model.load_state_dict(source.state_dict())
    except RuntimeError as error:
        raise ModelError(
            f"{init} is of another size than {name}: begin from a model of its size, or with '' "
            f"from {name} itself"
        ) from error
    return model


def base_name(name: str) -> str:
    """What a model calls its base: a bundled name or a Hub id as it is, or a folder's name."""
    if name in bundled_names() or not Path(name).is_dir():
        return name
    folder = Path(name).resolve()
    return folder.parent.name if folder.name == "model" else folder.name  # runs/photo/model: photo


# -- the loop -------------------------------------------------------------------------------------


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


def share_out(batch: Tensor, shares: Mapping[int, int]) -> dict[int, Tensor]:
    """Divide a batch in the proportion of `shares`, each getting at least one where it can."""
    left, parts = batch, {}
    for place, (key, share) in enumerate(shares.items()):
        others = list(shares.values())[place + 1 :]
        count = round(len(left) * share / (share + sum(others)))
        count = min(max(1, count), max(0, len(left) - len(others)))
        parts[key], left = left[:count], left[count:]
    return {key: part for key, part in parts.items() if len(part)}


class Finite:
    """Tells the steps to take from those to skip: their gradients are not finite.

    In distributed training every process has the same gradients, so all skip the same steps.
    """

    def __init__(self, limit: int = 5) -> None:
        self.limit, self.skipped, self.in_a_row = limit, 0, 0

    def __call__(self, norm: Tensor) -> bool:
        """Take the norm of a step's gradients; False means: skip it.

        Raises:
            Diverged: `limit` steps in a row were not sound.
        """
        if bool(norm.isfinite()):
            self.in_a_row = 0
            return True
        self.skipped, self.in_a_row = self.skipped + 1, self.in_a_row + 1
        tqdm.write(f"a step skipped: its gradients are not finite ({self.skipped} so far)")
        if self.in_a_row == self.limit:
            raise Diverged(
                f"{self.limit} steps in a row had gradients that are not finite; "
                "the checkpoints are from before: try a smaller --lr"
            )
        return False


class EarlyStop:
    """Says when a figure that should grow has not grown for `patience` looks (0 = never)."""

    def __init__(self, patience: int) -> None:
        self.patience, self.best, self.since = patience, float("-inf"), 0

    def __call__(self, value: float) -> bool:
        """Take a new figure; True means stop. Then `since` is 0 if it is the best so far."""
        self.since = 0 if value > self.best else self.since + 1
        self.best = max(self.best, value)
        return 0 < self.patience <= self.since

    def state_dict(self) -> dict[str, float]:
        """What a resumed run has to know."""
        return {"best": self.best, "since": self.since}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from a `state_dict`."""
        self.best, self.since = state["best"], int(state["since"])


class Replay:
    """Shows a discriminator earlier results beside new ones, so that it forgets no trick.

    Shrivastava et al. (2017, https://arxiv.org/abs/1612.07828), as CycleGAN does: once `size`
    pictures are kept, each new one takes the place of a random one with probability ½, which is
    then shown in its stead. 0 keeps none.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.kept: list[Tensor] = []

    def __call__(self, pictures: Tensor, rng: random.Random) -> Tensor:
        """Take new pictures (N, C, H, W), return as many to show."""
        shown = []
        for picture in pictures.detach():
            if len(self.kept) < self.size:
                self.kept.append(picture)
            elif self.size and rng.random() < 0.5:
                place = rng.randrange(self.size)
                self.kept[place], picture = picture, self.kept[place]
            shown.append(picture)
        return torch.stack(shown)

    def state_dict(self) -> dict[str, list[Tensor]]:
        """What a resumed run has to know."""
        return {"kept": [picture.clone() for picture in self.kept]}

    def load_state_dict(self, state: Mapping[str, list[Tensor]]) -> None:
        """Go on from a `state_dict`."""
        self.kept = list(state["kept"])


def means(losses: Sequence[Mapping[str, Tensor]]) -> dict[str, float]:
    """Average each named loss over the steps since the last log line."""
    return {k: float(torch.stack([row[k].float() for row in losses]).mean()) for k in losses[0]}


# -- the run's folder -----------------------------------------------------------------------------


def begin(recipe: Any, done: int, processes: int) -> float:
    """Prepare the run's folder: write recipe.json, drop rows of the tables after step `done`.

    Says where --mixed-precision bf16 costs time on this machine.

    Returns:
        The minutes spent so far, by losses.csv.
    """
    if recipe.mixed_precision == "bf16" and emulates_bfloat16():
        tqdm.write(
            "this processor has no instructions for bfloat16 and emulates it, which takes many "
            "times as long: leave --mixed-precision bf16 out"
        )
    out = Path(recipe.out)
    out.mkdir(parents=True, exist_ok=True)
    values = {**asdict(recipe), "processes": processes}
    with whole(out / "recipe.json") as file:
        file.write((json.dumps(values, indent=2) + "\n").encode())
    for path in (out / name for name in TABLES):
        if rows := [row for row in _read_rows(path) if row["step"] <= done]:
            with whole(path) as file:
                file.write(_as_csv(rows, header=True).encode())
        else:
            path.unlink(missing_ok=True)
    return sum(row["minutes"] for row in _read_rows(out / TABLES[0])[-1:])


def emulates_bfloat16() -> bool:
    """Whether training is on an x86 processor without AVX-512, and so without bfloat16."""
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    capability = torch.backends.cpu.get_cpu_capability()
    return x86 and "AVX512" not in capability and not torch.accelerator.is_available()


def write_row(path: Path, row: Mapping[str, float]) -> None:
    """Append a row of figures to a CSV file, with a header when it is new."""
    with path.open("ab") as file:
        file.write(_as_csv([row], header=file.tell() == 0).encode())


def _as_csv(rows: Sequence[Mapping[str, float]], header: bool) -> str:
    text = StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    if header:
        writer.writeheader()
    writer.writerows({k: f"{v:.8g}" for k, v in row.items()} for row in rows)
    return text.getvalue()


def plot_tables(out: Path) -> None:
    """Draw each column of the run's tables against its `step` as a panel of out/losses.png."""
    from matplotlib.figure import Figure

    tables = [rows for name in TABLES if (rows := _read_rows(out / name))]
    if not tables:
        return
    widest = max(len(rows[0]) - 1 for rows in tables)
    figure = Figure(figsize=(3 * widest, 2.5 * len(tables)), layout="tight")
    axes = figure.subplots(len(tables), widest, squeeze=False)
    for rows, line in zip(tables, axes, strict=True):
        names = [name for name in rows[0] if name != "step"]
        for axis, name in zip(line, names, strict=False):
            axis.plot([row["step"] for row in rows], [row[name] for row in rows], linewidth=1)
            axis.set_title(name, fontsize=9)
            axis.tick_params(labelsize=7)
        for axis in line[len(names) :]:
            axis.set_visible(False)
    figure.savefig(out / "losses.png", dpi=90)


def _read_rows(path: Path) -> list[dict[str, float]]:
    """Whole rows: the last one may have been cut off when a run was killed."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        lines = [line for line in file if line.endswith("\n")]
    rows = [row for row in csv.DictReader(lines) if None not in (*row.keys(), *row.values())]
    return [{k: float(v) for k, v in row.items()} for row in rows]


def preview_photos(folder: str, count: int, out: Path) -> list[Path]:
    """Copy the first pictures of a folder to out/previews/photos, at most 1024 pixels a side.

    Raises:
        InputError: there is none, or one is smaller than 64×64.
        ImageError: one cannot be read.
    """
    copies = out / "previews" / "photos"
    copies.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for path in find_pictures(folder)[:count]:
        photo = load_rgb(path, at_most=PREVIEW_SIDE)
        if min(photo.shape[1:]) < 64:
            raise InputError(f"{path} is too small for a preview: 64×64 pixels are the least")
        paths.append(copies / f"{len(paths) + 1}-{path.stem}.png")
        Image.fromarray(photo.permute(1, 2, 0).numpy()).save(paths[-1])
    return paths


def preview(
    out: Path, step: int, base: Generator, styles: Mapping[str, StyleSRNet], photos: Sequence[Path]
) -> Path:
    """Draw what the averaged weights do to photos, through the pipeline that users call."""
    path = out / "previews" / f"step-{step:07d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(StyleSRPipeline(base, styles), photos).save(path)
    return path


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], keep: int = 2) -> Path:
    """Write `state` (state dicts and plain values) as step-N.pt, whole or not at all.

    It is written beside its place and renamed when its SHA-256 is there; only then are older ones
    removed. So a crash or a full disk leaves the last good checkpoint, and none without its digest.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("*.part"):  # by a run that was killed while it saved
        left.unlink()
    path = folder / f"step-{step:07d}.pt"
    try:
        with whole(path) as file:
            torch.save({"step": step, **state}, file)
            file.flush()
            with whole(path.with_suffix(".sha256")) as digest:
                digest.write(sha256(Path(file.name)).encode())
    except RuntimeError as error:  # torch's own, where the disk is full
        if isinstance(error.__context__, OSError):
            raise error.__context__ from error
        raise
    for old in sorted(folder.glob("step-*.pt"))[:-keep]:
        old.unlink()
        old.with_suffix(".sha256").unlink(missing_ok=True)
    return path


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """Read the newest intact checkpoint of a folder, to the CPU; says which it passes over.

    Raises:
        ModelError: there is none.
    """
    for path in sorted(folder.glob("step-*.pt"), reverse=True):
        digest = path.with_suffix(".sha256")
        if digest.is_file() and digest.read_bytes().strip() == sha256(path).encode():
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            return state
        tqdm.write(f"{path} is damaged, or was not finished: passed over")
    raise ModelError(f"no intact checkpoint in {folder}; remove it and start without --resume")


def restore(parts: Mapping[str, Any], state: Mapping[str, Any], steps: int) -> int:
    """Load a checkpoint's states into the parts of a run; returns the step it is from.

    Raises:
        ModelError: the checkpoint is of other parts.
        InputError: the run has reached `steps` already.
    """
    for name, part in parts.items():
        if isinstance(part, EarlyStop) and name not in state:
            continue  # the first checkpoints were without
        try:
            part.load_state_dict(state[name])
        except (KeyError, RuntimeError, ValueError) as error:
            raise ModelError(
                f"the checkpoint's {name} does not fit; resume with the options of the start "
                f"({' '.join(str(error).split())[:200]})"
            ) from error
    done: int = state["step"]
    if done >= steps:
        raise InputError(f"the run has reached step {done}; to go on, --steps must be larger")
    return done
