"""Folders and films that are killed, stopped, out of room or changed under way.

    python -m tests.reliability.jobs folder film

Protocol. A small network enlarges generated pictures by `stylesr enhance --workers 2`, and a film
of generated frames by `stylesr video`: the command's own function, in a process of its own. An
undisturbed run gives the bytes that all others must end at. Then each job

- is killed (SIGKILL) and started again, as often as said: half of the times at seeded random
  moments since its start, half as soon as it writes a file; a film's every fourth time while its
  segments are joined. What it has noted as done must not be done again, and its workers must end
  within 20 seconds;
- gets SIGTERM, and SIGINT with all its processes as from a terminal: it exits with 143 and 130;
- writes to a file system with too little room (mounted here, which needs root): it must say so and
  exit with 1, and end as it should when there is room;
- writes to a folder that is read-only, or where there is a file: it must be refused in a line.

A picture that vanishes during the job, or changes, must cost that picture alone.
"""

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import torch
from torch import Tensor

from stylesr import cli
from stylesr.images import save
from stylesr.jobs import MANIFEST_FILE
from stylesr.picture import Picture
from stylesr.resample import resize
from stylesr.video import SEGMENT
from tests import tiny
from tests.reliability.faults import (
    Count,
    Process,
    children,
    ended,
    kill_it_alone,
    newer,
    small_disk,
    try_all,
    wait_for,
)

SEED = 0
PICTURES, SIDE = 10, 240
FRAMES, FRAME = 5 * SEGMENT + 7, (64, 96)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all on a folder and on a film, print a table; 1 where something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", nargs="+", choices=["folder", "film"])
    parser.add_argument("--kills", type=int, default=20, help="of each job")
    parser.add_argument("--times", type=int, default=3, help="each of the other faults")
    options = parser.parse_args(arguments)
    wrong: list[str] = []
    torch.set_num_threads(1)
    print("| Job | Fault | Tried | Right | |\n|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        material(Path(folder))
        for name in options.jobs:
            job = Pictures(Path(folder)) if name == "folder" else Frames(Path(folder))
            job.undisturbed()
            faults: dict[str, Callable[[], Count]] = {
                "killed": partial(killed, job, options.kills),
                "SIGTERM": partial(stopped, job, signal.SIGTERM, options.times),
                "SIGINT": partial(stopped, job, signal.SIGINT, options.times),
                "full disk": partial(full_disk, job, options.times),
                "read-only folder": partial(read_only, job),
                "a file in its place": partial(misplaced, job),
            }
            if isinstance(job, Pictures):
                faults["pictures that vanish and change"] = partial(changing, job)
            wrong += try_all(job.name, faults)
    return 1 if wrong else 0


def material(folder: Path) -> None:
    """A network, pictures and a film."""
    tiny.photo().save_pretrained(folder / "photo")
    (folder / "in").mkdir()
    for seed in range(PICTURES):
        save(Picture(scene(seed, (SIDE, SIDE + seed))), folder / "in" / f"{seed}.png")
    with av.open(str(folder / "in.mkv"), "w") as out:
        stream = out.add_stream("ffv1", 24)
        stream.height, stream.width = FRAME
        stream.pix_fmt = "yuv420p"
        still = (scene(99, FRAME).permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        for index in range(FRAMES):
            pixels = np.roll(still, index, axis=1)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        out.mux(stream.encode(None))


def scene(seed: int, size: tuple[int, int]) -> Tensor:
    """Smooth noise."""
    coarse = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(seed))
    return resize(coarse, size)[0].clamp(0, 1)


# -- the jobs ---------------------------------------------------------------------------------


class Job:
    """A command, what it must end at, and where it is."""

    name: str
    writes: Sequence[str]  # patterns of files that are being written, in turn

    def __init__(self, given: Path) -> None:
        self.given, self.rng = given, random.Random(SEED)

    def start(self, out: Path) -> Process:
        raise NotImplementedError

    def done(self, out: Path) -> set[str]:
        """What need not be done again."""
        raise NotImplementedError

    def again(self, done: set[str], out: Path, said: str) -> str:
        """What was done again that was done before."""
        raise NotImplementedError

    def results(self, out: Path) -> dict[str, str]:
        """SHA-256 of each file but the notes."""
        return {
            path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in out.rglob("*")
            if path.is_file() and path.name != MANIFEST_FILE
        }

    def undisturbed(self) -> None:
        began = time.monotonic()
        process = self.start(self.given / self.name)
        wait_for(process, lambda: self.done(self.given / self.name))
        self.starting = time.monotonic() - began
        code, said = ended(process)
        assert code == 0, said
        self.expected = self.results(self.given / self.name)
        self.seconds = time.monotonic() - began

    def differs(self, out: Path) -> str:
        found = self.results(out)
        odd = [k for k in {*found, *self.expected} if found.get(k) != self.expected.get(k)]
        return f"other files, or other bytes: {', '.join(sorted(odd))}" if odd else ""

    def finish(self, out: Path) -> str:
        """Start again, to the end; what is wrong with that, or nothing."""
        done = self.done(out)
        code, said = ended(self.start(out))
        if code:
            return f"exit code {code}: {said[-300:]}"
        return self.again(done, out, said) or self.differs(out)


class Pictures(Job):
    """A folder, by two workers."""

    name = "folder"
    writes = ("*.part",)

    def start(self, out: Path, source: str = "in") -> Process:
        words = f"enhance {self.given / source} {out} --style {self.given}/photo --workers 2"
        return Process(partial(cli.main, words.split()), self.given / "log")

    def done(self, out: Path) -> set[str]:
        return set(self._made(out))

    def again(self, done: set[str], out: Path, said: str) -> str:
        twice = [target for target, count in self._made(out).items() if count > 1]
        return f"made twice: {', '.join(twice)}" if twice else ""

    def _made(self, out: Path) -> Counter[str]:
        found = Counter[str]()
        path = out / MANIFEST_FILE
        for line in path.read_text().splitlines() if path.is_file() else ():
            try:
                outcome = json.loads(line)
            except ValueError:  # cut off
                continue
            found[outcome["target"]] += outcome["status"] == "made"
        return +found


class Frames(Job):
    """A film, in segments."""

    name = "film"
    writes = ("*.part", "film.part.mp4")

    def start(self, out: Path) -> Process:
        out.mkdir(exist_ok=True)
        words = f"video {self.given}/in.mkv {out}/film.mp4 --style {self.given}/photo --scale 2"
        return Process(partial(cli.main, [*words.split(), "--json"]), self.given / "log")

    def done(self, out: Path) -> set[str]:
        return {path.name for path in out.rglob("*.nut") if path.stem < f"{FRAMES // SEGMENT:06d}"}

    def again(self, done: set[str], out: Path, said: str) -> str:
        lines = [line for line in said.splitlines() if line.startswith("{")]
        first = json.loads(lines[0])["done"] if lines else FRAMES
        expected = SEGMENT * len(done) or 1
        return "" if first == expected else f"begun at {first}, with {expected} frames done"


# -- faults -----------------------------------------------------------------------------------


def killed(job: Job, kills: int) -> Count:
    """A job, started as often as it is killed; one that came to its end is begun anew."""
    count, halves, most = Count(), 0, 0.0
    with TemporaryDirectory(dir=job.given) as folder:
        out = Path(folder, "0")
        for index in range(kills):
            done, began = job.done(out), time.time()
            process = job.start(out)
            if index % 2:
                pattern = job.writes[index // 2 % len(job.writes)]
                wait_for(process, partial(newer, out, pattern, began))
                time.sleep(job.rng.uniform(0, 0.03))
            else:
                time.sleep(job.rng.uniform(0, 1.2 * job.seconds))
            problem, seconds = kill_it_alone(process)
            count.blame(problem)
            most = max(most, seconds)
            code, said = ended(process)
            halves += bool(newer(out, "*.part*", began))
            if code == 0:
                count.blame(job.again(done, out, said) or job.differs(out))
                out = Path(folder, str(int(out.name) + 1))
            elif code != -signal.SIGKILL:
                count.blame(f"exit code {code}: {said[-300:]}")
            count.tried += 1
        count.blame(job.finish(out))
    count.said = f"{halves} left half a file; {int(out.name) + 1} jobs to the end"
    if isinstance(job, Pictures):
        count.said += f"; workers ended within {most:.1f} s"
    return count


def stopped(job: Job, number: signal.Signals, times: int) -> Count:
    count = Count()
    for attempt in range(5 * times):
        if count.tried == times:
            break
        with TemporaryDirectory(dir=job.given) as folder:
            out = Path(folder, "out")
            process = job.start(out)
            wait_for(process, partial(job.done, out))
            time.sleep(job.rng.uniform(0, 0.5 * (job.seconds - job.starting) / (1 + attempt)))
            everyone = [process, *children(process)] if number == signal.SIGINT else [process]
            for each in everyone:
                each.send_signal(number)
            code, said = ended(process)
            if code == 0:
                continue  # it was done before the signal came
            if code != 128 + number or "stylesr: stopped" not in said:
                count.note(f"exit code {code}: {said[-300:]}")
            elif isinstance(job, Pictures) and newer(out, "*.part", 0):
                count.note("half a file is left")
            else:
                count.note(job.finish(out))
    if count.tried < times:
        count.said = "fewer than asked for: it was done before the signal came"
    return count


def full_disk(job: Job, times: int) -> Count:
    count = Count()
    size = sum(path.stat().st_size for path in (job.given / job.name).rglob("*.*"))
    megabytes = 2 * (size >> 20) + 4  # a film's segments and the film
    for index in range(times):
        with small_disk(megabytes, job.given) as folder:
            if folder is None:
                count.said = "left out: it needs root"
                return count
            share = (index + 0.5) / times
            filler = folder / "filler"
            filler.write_bytes(bytes((megabytes << 20) - round(share * size)))
            out = folder / "out"
            code, said = ended(job.start(out))
            if code != 1 or "No space left on device" not in said or "Traceback" in said:
                count.note(f"exit code {code}: {said[-400:]}")
                continue
            filler.unlink()
            count.note(job.finish(out))
    count.said = f"room for parts of {size / 1e6:.1f} MB"
    return count


def read_only(job: Job) -> Count:
    count = Count()
    with small_disk(1, job.given) as folder:
        if folder is None:
            count.said = "left out: it needs root"
            return count
        (folder / "out").mkdir()
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        count.note(refused(job, folder / "out", "Read-only file system"))
    return count


def misplaced(job: Job) -> Count:
    count = Count()
    with TemporaryDirectory(dir=job.given) as folder:
        out = Path(folder, "out")
        if isinstance(job, Pictures):
            out.touch()
            count.note(refused(job, out, "is a file, no folder"))
        else:
            out.mkdir()
            Path(out, "film.mp4.parts").touch()
            count.note(refused(job, out, "Not a directory"))
    return count


def refused(job: Job, out: Path, reason: str) -> str:
    """In one line, before any work."""
    code, said = ended(job.start(out))
    lines = [line for line in said.splitlines() if "error" in line]
    right = code in (1, 2) and len(lines) == 1 and reason in lines[0] and "{" not in said
    return "" if right else f"exit code {code}: {said[-400:]}"


def changing(job: Pictures) -> Count:
    """Of ten pictures that are not yet made one vanishes, one changes and one is cut off."""
    count = Count()
    with TemporaryDirectory(dir=job.given) as folder:
        source, out = Path(folder, "in"), Path(folder, "out")
        shutil.copytree(job.given / "in", source)
        process = job.start(out, str(source))
        wait_for(process, partial(job.done, out))
        vanished, changed, cut = (source / f"{PICTURES - n}.png" for n in (1, 2, 3))
        vanished.unlink()
        save(Picture(scene(77, (SIDE, SIDE))), changed)
        cut.write_bytes(cut.read_bytes()[:3000])
        code, said = ended(process)
        failed = {path.name for path in (vanished, cut) if f"failed: {path}: " in said}
        count.note("" if code == 1 and len(failed) == 2 else f"exit code {code}: {said[-400:]}")

        shutil.copy(job.given / "in" / cut.name, cut)
        shutil.copy(job.given / "in" / vanished.name, vanished)
        shutil.copy(job.given / "in" / changed.name, changed)
        process = job.start(out, str(source))
        code, said = ended(process)
        three = "3 made, 7 kept, 0 failed" in said
        count.note(job.differs(out) if code == 0 and three else f"exit code {code}: {said[-400:]}")
    return count


if __name__ == "__main__":
    sys.exit(main())
