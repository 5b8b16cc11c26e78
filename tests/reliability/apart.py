"""Work that may crash, hang or eat memory, in a process that is killed where it does."""

import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

import torch

from stylesr.errors import StyleSRError

__all__ = ["HANG", "Outcome", "each", "faults"]

Kind = Literal["done", "refused", "untyped", "crash", "hang"]

HANG = 10.0  # seconds of a processor's core, so that other work on the machine does not count
KILLED = 60.0  # seconds by the clock
MEMORY = 6 << 30  # bytes of address space; PyTorch alone takes one or two
# A new process is ready at once, and has no threads of this one.
CLEAN = multiprocessing.get_context("forkserver")
CLEAN.set_forkserver_preload(["stylesr.pipeline", "tests.tiny"])


@dataclass(frozen=True)
class Outcome:
    """What became of one thing.

    Attributes:
        kind: "refused" with an error of stylesr's own, "untyped" with any other.
        seconds: of a core that it took; by the clock where it was killed.
        peak: bytes that its process has held at most, what came before it included.
        detail: the error, or how the process ended.
    """

    name: str
    kind: Kind
    seconds: float
    peak: int
    detail: str = ""


def each(
    work: Callable[[Any], object], things: Iterable[tuple[str, Any]], memory: int = MEMORY
) -> Iterator[Outcome]:
    """Do it for each of the named things, one after the other.

    Args:
        work: raises an error of stylesr's where it refuses; anything else that it raises is a
            fault.
        memory: bytes of address space that the process may take.
    """
    worker = _Worker(work, memory)
    try:
        for name, thing in things:
            outcome = worker.ask(name, thing)
            if outcome.kind in ("crash", "hang") and not worker.process.is_alive():
                worker = _Worker(work, memory)
            yield outcome
    finally:
        worker.end()


def faults(outcomes: Iterable[Outcome]) -> list[str]:
    """A line for each that neither did its work nor refused."""
    return [
        f"{o.kind}: {o.name}, {o.seconds:.1f} s {o.detail}"
        for o in outcomes
        if o.kind not in ("done", "refused")
    ]


class _Worker:
    """A process that does one thing after the other until it is ended."""

    def __init__(self, work: Callable[[Any], object], memory: int) -> None:
        self.pipe, other = CLEAN.Pipe()
        self.process = CLEAN.Process(target=_serve, args=(other, work, memory), daemon=True)
        self.process.start()
        other.close()
        self.pipe.recv()  # it is ready

    def ask(self, name: str, thing: object) -> Outcome:
        kind: Kind = "hang"
        seconds, peak, detail = KILLED, 0, "killed"
        try:
            self.pipe.send(thing)
            if self.pipe.poll(KILLED):
                kind, seconds, peak, detail = self.pipe.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            kind, seconds, detail = "crash", 0.0, f"exit code {self.process.exitcode}"
        if seconds == KILLED:
            self.end()
        return Outcome(name, "hang" if seconds > HANG else kind, seconds, peak, detail)

    def end(self) -> None:
        self.process.kill()
        self.process.join()


def _serve(pipe: Connection, work: Callable[[Any], object], memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for stream in (1, 2):  # decoders in C tell much
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    torch.set_num_threads(1)
    pipe.send("ready")
    while True:
        thing = pipe.recv()
        kind, detail, start = "done", "", time.process_time()
        try:
            work(thing)
        except StyleSRError as error:
            kind, detail = "refused", f"{type(error).__name__}: {error}"
        except Exception as error:
            kind, detail = "untyped", f"{type(error).__name__}: {error}"
        seconds = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        pipe.send((kind, seconds, peak, detail[:300]))
