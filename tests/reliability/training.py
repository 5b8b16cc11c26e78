"""Trainings that are killed, cut off and damaged: whether they end at the same bits all the same.

    python -m tests.reliability.training super_resolution style any_style translation

Protocol. Each recipe trains a small network on generated photos, on the CPU with one thread, by its
command's own function in a process of its own; super_resolution with two data workers. An
undisturbed run gives the bits that all others must end at: weights, average, optimisers and
schedule of the last checkpoint, and the bytes of the model's file. Then

- the same run is killed (SIGKILL) and resumed again and again, at seeded random moments since its
  start, and as soon as it has begun to write a checkpoint; its data workers must end by themselves;
- it gets SIGTERM and SIGINT, and must save and exit with 143 and 130;
- its folder lies on a file system of 20 MB (mounted here, which needs root) with room for one to
  three checkpoints: it must end with 1, say so in a line and leave the last checkpoint whole;
- its newest checkpoint is cut or has a bit flipped: the one before must be taken, said in a line;
- one of its data workers is killed: it must end with 1 within a minute;
- its rate of learning is 1e30, so that all becomes NaN: it must end with 1 and a finite checkpoint.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import partial
from importlib import import_module
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from stylesr import training
from stylesr.models import StyleSRNet
from tests import tiny_features
from tests.reliability.faults import (
    Count,
    Process,
    children,
    ended,
    kill,
    kill_it_alone,
    newer,
    small_disk,
    try_all,
    wait_for,
)
from tests.test_recipes import assert_equal

SEED = 0
SMALL_DISK = 20  # MB, or more where checkpoints are large
STEPS = {"super_resolution": 48, "style": 40, "any_style": 24, "translation": 24}
COMMON = "--steps {steps} --log-every 2 --save-every 4 --out {out}"
OPTIONS = {
    "super_resolution": "--photos {given}/photos --channels 32 --blocks 2 --batch 3 --crop 40 "
    "--workers 2 --warmup 1",
    "style": "--photos {given}/photos --style-image {given}/works/a.png --base {given}/base "
    "--init= --perceptual {given}/vgg.safetensors --line 0.5 --batch 2 --crop 72 --margin 4 "
    "--warmup 1",
    "any_style": "--photos {given}/photos --styles {given}/works --base {given}/base --strokes= "
    "--perceptual {given}/vgg.safetensors --line 0.5 --batch 4 --crop 80 --margin 8 "
    "--style-crop 64 --works-size 128 --warmup 1",
    "translation": "--method cyclegan --photos {given}/photos --works {given}/works --channels 8 "
    "--blocks 1 --critic 8 --patch 46 --crop 48 --batch 2 --replay 3",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all on the recipes, print a table; 1 where something was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="+", choices=list(OPTIONS))
    parser.add_argument("--kills", type=int, default=50, help="of each recipe's run")
    parser.add_argument("--in-saves", type=int, default=20, help="of these, while it saves")
    parser.add_argument("--times", type=int, default=5, help="each of the other faults")
    options = parser.parse_args(arguments)
    wrong: list[str] = []
    os.environ["ACCELERATE_USE_CPU"] = "true"
    torch.set_num_threads(1)  # so that a run repeats exactly
    print("| Recipe | Fault | Tried | Right | |\n|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        material(Path(folder))
        for name in options.recipes:
            run = Run(name, Path(folder), random.Random(SEED))
            run.undisturbed()
            faults = {
                "killed at a random moment, or in a save": partial(
                    killed, run, options.kills, options.in_saves
                ),
                "SIGTERM": partial(stopped, run, signal.SIGTERM, options.times),
                "SIGINT": partial(stopped, run, signal.SIGINT, options.times),
                "full disk": partial(full_disk, run, options.times),
                "damaged checkpoint": partial(damaged, run, 20 * options.times),
                "killed data worker": partial(lost_worker, run, options.times),
                "NaN": partial(diverged, run),
            }
            wrong += try_all(name, faults)
    return 1 if wrong else 0


def material(folder: Path) -> None:
    """Photos, works, a base that can be cut, and a perceptual network of four channels."""
    values = np.random.default_rng(SEED)
    for kind, low, high in (("photos", 0, 200), ("works", 60, 256)):
        (folder / kind).mkdir()
        for name in "abc":
            picture = values.integers(low, high, (100, 108, 3), dtype=np.uint8)
            Image.fromarray(picture).save(folder / kind / f"{name}.png")
    torch.manual_seed(SEED)
    base = StyleSRNet(channels=16, blocks=3, tail_channels=(8, 4), noise_levels=2)
    torch.nn.init.zeros_(base.noise.weight)
    base.save_pretrained(folder / "base")
    save_file(tiny_features.weights(), str(folder / "vgg.safetensors"))


# -- a run ------------------------------------------------------------------------------------


class Run:
    """A recipe's command, and what it must end at."""

    def __init__(self, name: str, given: Path, rng: random.Random) -> None:
        self.name, self.given, self.rng = name, given, rng
        self.straight = given / name

    def start(self, out: Path, *more: str) -> Process:
        text = f"{OPTIONS[self.name]} {COMMON}"
        words = text.format(given=self.given, out=out, steps=STEPS[self.name]).split()
        if found(out, "*.pt"):
            words.append("--resume")
        recipe = import_module(f"train.{self.name}")
        command = partial(training.run, recipe.main, recipe.Recipe, None, [*words, *more])
        return Process(command, self.given / "log")

    def undisturbed(self) -> None:
        """The bits to end at, and how long the start takes."""
        began = time.monotonic()
        process = self.start(self.straight)
        while not (self.straight / "losses.csv").exists() and process.poll() is None:
            time.sleep(0.01)
        self.starting = time.monotonic() - began
        code, said = ended(process)
        assert code == 0, said

    def finish(self, out: Path) -> str:
        """Resume to the end; what is wrong with that, or nothing."""
        code, said = ended(self.start(out))
        return f"exit code {code}: {said[-300:]}" if code else self.differs(out)

    def differs(self, out: Path) -> str:
        """What of a finished run is not as in the undisturbed one."""
        last = f"checkpoints/step-{STEPS[self.name]:07d}.pt"
        try:
            ours, theirs = (torch.load(f / last, weights_only=True) for f in (out, self.straight))
            assert_equal(ours, theirs)
        except (AssertionError, OSError) as error:
            return f"another end: {error}"
        for path in self.straight.rglob("model.safetensors"):
            if (out / path.relative_to(self.straight)).read_bytes() != path.read_bytes():
                return f"another {path.name}"
        left = [path.name for path in out.rglob("*.part")]
        return f"left behind: {', '.join(left)}" if left else ""

    @contextmanager
    def begun(self, *more: str) -> Iterator[tuple[Path, Process]]:
        """A new run that has saved a checkpoint, and its folder."""
        with TemporaryDirectory(dir=self.given) as folder:
            out = Path(folder, "run")
            process = self.start(out, *more)
            wait_for(process, lambda: len(found(out, "*.sha256")) > 0)
            try:
                yield out, process
            finally:
                kill(process)


def found(out: Path, pattern: str) -> list[Path]:
    """Files among a run's checkpoints, the oldest first."""
    return sorted((out / "checkpoints").glob(pattern))


# -- faults -----------------------------------------------------------------------------------


def killed(run: Run, kills: int, in_saves: int) -> Count:
    """A run, resumed as often as it is killed; one that came to its end is begun anew."""
    count, states = Count(), dict.fromkeys(("half a checkpoint", "one without its digest"), 0)
    kinds = [True] * in_saves + [False] * (kills - in_saves)
    run.rng.shuffle(kinds)
    with TemporaryDirectory(dir=run.given) as folder:
        out = Path(folder, "0")
        for saving in kinds:
            began = time.time()
            process = run.start(out)
            if saving:
                wait_for(process, partial(newer, out, "*.pt.part", began))
                time.sleep(run.rng.uniform(0, 0.03))
            else:
                time.sleep(run.rng.uniform(0, 1.5 * run.starting))
            problem, _ = kill_it_alone(process)
            count.blame(problem)
            code, said = ended(process)
            if code == 0:
                count.blame(run.differs(out))
                out = Path(folder, str(int(out.name) + 1))
            elif code != -signal.SIGKILL:
                count.blame(f"exit code {code}: {said[-300:]}")
            states["half a checkpoint"] += bool(newer(out, "*.pt.part", began))
            states["one without its digest"] += any(
                not path.with_suffix(".sha256").exists() for path in newer(out, "*.pt", began)
            )
            count.tried += 1
        count.blame(run.finish(out))
    left = ", ".join(f"{number} left {state}" for state, number in states.items())
    count.said = f"{in_saves} in a save; {left}; {int(out.name) + 1} runs to the end"
    return count


def stopped(run: Run, number: signal.Signals, times: int) -> Count:
    count = Count()
    for _ in range(times):
        with run.begun() as (out, process):
            time.sleep(run.rng.uniform(0, 1))
            process.send_signal(number)
            code, said = ended(process)
            if code != 128 + number or "--resume goes on" not in said or "Traceback" in said:
                count.note(f"exit code {code}: {said[-300:]}")
            else:
                count.note(run.finish(out))
    return count


def full_disk(run: Run, times: int) -> Count:
    count = Count()
    size = max(path.stat().st_size for path in found(run.straight, "*.pt"))
    megabytes = max(SMALL_DISK, 4 * size >> 20)  # it must hold three in the end
    with small_disk(megabytes, run.given) as folder:
        if folder is None:
            count.said = "left out: it needs root"
            return count
        for index in range(times):
            out, filler = folder / "run", folder / "filler"
            room = round(size * (1.1 + 1.6 * index / max(1, times - 1)))
            filler.write_bytes(bytes((megabytes << 20) - room))
            count.note(_without_room(run, out, filler))
            shutil.rmtree(out)
    count.said = f"room for 1.1 to 2.7 checkpoints of {size / 1e6:.1f} MB"
    return count


def _without_room(run: Run, out: Path, filler: Path) -> str:
    code, said = ended(run.start(out))
    last = said.splitlines()[-1] if said else ""
    if code != 1 or not last.startswith("error: No space left on device"):
        return f"exit code {code}: {said[-300:]}"
    if found(out, "*.sha256"):
        training.load_checkpoint(out / "checkpoints")
    else:  # not one was written
        shutil.rmtree(out)
    filler.unlink()
    return run.finish(out)


def damaged(run: Run, times: int) -> Count:
    """Each damage is read as a resumed run reads it; the last one is resumed from to the end."""
    count = Count()
    with run.begun() as (out, process):
        wait_for(process, lambda: len(found(out, "*.sha256")) > 1)
        process.send_signal(signal.SIGTERM)
        ended(process)
        older, newest = found(out, "*.pt")
        content = newest.read_bytes()
        for index in range(times):
            place = run.rng.randrange(len(content))
            flipped = bytes([content[place] ^ 1 << run.rng.randrange(8)])
            rest = b"" if index % 2 else flipped + content[place + 1 :]
            newest.write_bytes(content[:place] + rest)
            with redirect_stdout(StringIO()):
                step = training.load_checkpoint(out / "checkpoints")["step"]
            count.note("" if f"{step:07d}" in older.name else f"byte {place}: step {step} taken")
        code, said = ended(run.start(out))
        problem = f"exit code {code}: {said[-300:]}" if code else run.differs(out)
        if f"{newest.name} is damaged, or was not finished: passed over" not in said:
            problem = f"not a word of it: {said[-300:]}"
        count.note(problem)
    count.said = "half of them cut, half with a bit flipped"
    return count


def lost_worker(run: Run, times: int) -> Count:
    count = Count(said="`--workers 2`")
    for _ in range(times):
        with run.begun("--workers", "2") as (out, process):
            time.sleep(run.rng.uniform(0, 1))
            workers = children(process)
            if not workers:
                count.note("it has ended before")
                continue
            run.rng.choice(workers).kill()
            code, said = ended(process, within=60)
            if code != 1 or not said.splitlines()[-1].startswith("error: a process of --workers"):
                count.note(f"exit code {code}: {said[-300:]}")
            else:
                count.note(run.finish(out))
    return count


def diverged(run: Run) -> Count:
    count = Count()
    with TemporaryDirectory(dir=run.given) as folder:
        more = ["--lr", "1e30", "--save-every", "1"]
        more += [] if run.name == "translation" else ["--warmup", "0"]
        code, said = ended(run.start(Path(folder, "run"), *more))
        if code != 1 or "gradients that are not finite" not in said.splitlines()[-1]:
            count.note(f"exit code {code}: {said[-300:]}")
            return count
        state = training.load_checkpoint(Path(folder, "run", "checkpoints"))
        parts = (part for part in state.values() if isinstance(part, dict))
        tensors = [v for part in parts for v in part.values() if isinstance(v, torch.Tensor)]
        finite = all(bool(v.isfinite().all()) for v in tensors)
        count.note("" if finite else "the checkpoint is not finite")
    return count


if __name__ == "__main__":
    sys.exit(main())
