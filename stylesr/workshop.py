"""Where a studio's work is done: in a process of its own, which can be ended, or on ZeroGPU.

A thread cannot be ended and gives no memory back; a process can and does. So what a public page
computes, and every decoder that sees a stranger's file, runs in a second process, one job at a
time. It is stopped between tiles, killed where it shows no progress, and replaced after many jobs
or when it has grown. On a ZeroGPU Space the platform has processes of its own for the same end.
"""

import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from inspect import isgenerator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from stylesr.errors import InputError, StyleSRError
from stylesr.studio import Studio

__all__ = ["Workshop", "open_studio"]

PATIENCE = 90.0  # seconds without a sign of life: loading, a tile, or writing a file
MAX_JOBS = 100
MAX_MEMORY = 900_000_000  # bytes resident, after a job
ZERO_GPU_SECONDS = 60


def open_studio(**options: Any) -> Studio:
    """The studio of a public page, of the kind that fits the machine.

    Args:
        options: as for `Studio`.
    """
    if find_spec("spaces") is not None:
        return ZeroGpuStudio(**options)
    return Workshop(**options) if os.name == "posix" else Studio(**options)


@dataclass(frozen=True)
class _Done:
    """The last thing that a job sends: its value, and what the page should know besides."""

    value: Any
    rates: dict[str, float]
    memory: int = 0


def _steps(studio: Studio, method: str, *args: Any, **options: Any) -> Iterator[Any]:
    """All that a method of a studio yields, and `_Done` at the end."""
    work = getattr(studio, method)(*args, **options)
    value = (yield from work) if isgenerator(work) else work
    yield _Done(value, studio.rates, _memory())


def _memory() -> int:
    """Bytes of this process that are in memory; 0 where that cannot be told."""
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


class _Elsewhere(Studio):
    """A studio whose heavy methods are run by `_run`."""

    def _run(self, method: str, *args: Any, **options: Any) -> Generator[Any, None, Any]:
        raise NotImplementedError

    def paint(self, *args: Any, **options: Any) -> Generator[Any, None, Any]:
        """As `Studio.paint`, elsewhere."""
        return self._run("paint", *args, **options)

    def paint_found(self, *args: Any, **options: Any) -> Generator[Any, None, Any]:
        """As `Studio.paint_found`, elsewhere."""
        return self._run("paint_found", *args, **options)

    def compare(self, *args: Any, **options: Any) -> Generator[Any, None, Any]:
        """As `Studio.compare`, elsewhere."""
        return self._run("compare", *args, **options)

    def panels(self, *args: Any, **options: Any) -> Generator[Any, None, None]:
        """As `Studio.panels`, elsewhere."""
        return self._run("panels", *args, **options)

    def batch(self, *args: Any, **options: Any) -> Generator[Any, None, Any]:
        """As `Studio.batch`, elsewhere."""
        return self._run("batch", *args, **options)

    def film(self, *args: Any, **options: Any) -> Generator[Any, None, Any]:
        """As `Studio.film`, elsewhere."""
        return self._run("film", *args, **options)

    def thumbnail(self, *args: Any, **options: Any) -> bytes:
        """As `Studio.thumbnail`, elsewhere."""
        return self._value("thumbnail", *args, **options)

    def convert(self, *args: Any, **options: Any) -> Path:
        """As `Studio.convert`, elsewhere."""
        return self._value("convert", *args, **options)

    def _value(self, method: str, *args: Any, **options: Any) -> Any:
        work = self._run(method, *args, **options)
        while True:
            try:
                next(work)
            except StopIteration as end:
                return end.value


class ZeroGpuStudio(_Elsewhere):
    """A studio on a ZeroGPU Space: a GPU is lent for each job."""

    def _run(self, method: str, *args: Any, **options: Any) -> Generator[Any, None, Any]:
        assert self.pipeline is not None  # loaded before the process forks
        inside = Studio.__new__(Studio)
        inside.__dict__ = self.__dict__
        lent = import_module("spaces").GPU(duration=ZERO_GPU_SECONDS)(_steps)
        for step in lent(inside, method, *args, **options):
            if isinstance(step, _Done):
                self.rates.update(step.rates)
                return step.value
            yield step


class Workshop(_Elsewhere):
    """A studio with its own process, which starts with the first job. POSIX only.

    Args:
        patience: seconds without a sign of life after which the process is killed.
        max_jobs, max_memory: jobs, and bytes in memory, after which it is replaced.
        options: as for `Studio`.
    """

    def __init__(
        self,
        models: Any = None,
        *,
        patience: float = PATIENCE,
        max_jobs: int = MAX_JOBS,
        max_memory: int = MAX_MEMORY,
        **options: Any,
    ) -> None:
        super().__init__(models, **options)
        self.patience, self.max_jobs, self.max_memory = patience, max_jobs, max_memory
        self._options = {"models": self.models, **options}
        self._turn = threading.Lock()  # one job at a time; not always released by the same thread
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._jobs = 0

    @property
    def process(self) -> int | None:
        """The number of the process that works, None if there is none now."""
        return self._process.pid if self._process else None

    def close(self) -> None:
        """End the process; the next job starts another."""
        if self._connection:
            self._connection.close()
        if self._process:
            self._process.kill()
            self._process.wait()
        self._process = self._connection = None
        self._jobs = 0

    def _start(self) -> "Connection[Any, Any]":
        if self._process is not None and self._process.poll() is not None:
            self.close()  # it died between two jobs
        if self._connection is None:
            ours, theirs = Pipe()
            place = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stylesr.workshop", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=os.environ | place,
            )
            theirs.close()
            ours.send(self._options)
            self._connection = ours
        return self._connection

    def _run(self, method: str, *args: Any, **options: Any) -> Generator[Any, None, Any]:
        with self._turn:
            at_rest = False
            try:
                connection = self._start()
                connection.send((method, args, options))
                while True:
                    if not connection.poll(self.patience):
                        self.close()
                        raise InputError(
                            f"the work took too long: no progress for {self.patience:g} seconds; "
                            "take a smaller factor or photo"
                        )
                    message = connection.recv()
                    at_rest = isinstance(message, (_Done, Exception))
                    if isinstance(message, _Done):
                        self.rates.update(message.rates)
                        self._replace(message.memory)
                        return message.value
                    if at_rest:
                        raise message
                    yield message
            except (EOFError, ConnectionError) as error:
                raise InputError(
                    "the work ended unexpectedly; take a smaller factor or photo, or try again"
                ) from error
            finally:
                if not at_rest:
                    self._stop()

    def _stop(self) -> None:
        """Ask the process to stop at its next step; end it if it does not."""
        connection = self._connection
        if connection is None:
            return
        with suppress(EOFError, OSError):
            connection.send("stop")
            while connection.poll(self.patience):
                if isinstance(connection.recv(), (_Done, Exception)):
                    return
        self.close()

    def _replace(self, memory: int) -> None:
        self._jobs += 1
        if self._jobs >= self.max_jobs or memory > self.max_memory:
            self.close()


class _Stopped(Exception):
    """Sent back by the process when it was asked to stop."""


def _serve(connection: "Connection[Any, Any]") -> None:
    """The second process: do jobs until the page is gone."""
    studio = Studio(**connection.recv())
    while True:
        job = connection.recv()
        if job == "stop":  # it came too late
            continue
        method, args, options = job
        work = _steps(studio, method, *args, **options)
        try:
            for step in work:
                connection.send(step)
                if not isinstance(step, _Done) and connection.poll() and connection.recv():
                    raise _Stopped
        except (StyleSRError, _Stopped) as error:
            work.close()  # type: ignore[attr-defined]
            connection.send(error)
        except (EOFError, ConnectionError):
            raise
        except Exception:
            traceback.print_exc()  # for the log; a visitor learns that it failed
            connection.send(InputError("the work ended unexpectedly; try another photo"))


if __name__ == "__main__":
    # Under this name the classes above exist twice; what is sent must be that of the package.
    with suppress(EOFError, ConnectionError):
        import_module("stylesr.workshop")._serve(Connection(int(sys.argv[1])))
