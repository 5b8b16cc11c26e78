"""What the long tests of interrupted jobs share: counting, ending processes, a small disk."""

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import psutil

HANGS = 240  # seconds


@dataclass
class Count:
    """How often something was tried, and what was wrong."""

    tried: int = 0
    wrong: list[str] = field(default_factory=list)
    said: str = ""

    def note(self, problem: str = "") -> None:
        self.tried += 1
        self.blame(problem)

    def blame(self, problem: str) -> None:
        if problem:
            self.wrong.append(problem)


def try_all(name: str, faults: Mapping[str, Callable[[], Count]]) -> list[str]:
    """Rows of the table, printed as they come; returns what was wrong."""
    wrong: list[str] = []
    for fault, attempt in faults.items():
        count = attempt()
        right = count.tried - len(count.wrong)
        print(f"| {name} | {fault} | {count.tried} | {right} | {count.said} |", flush=True)
        for problem in count.wrong:
            print(f"{name}, {fault}: {problem}", file=sys.stderr, flush=True)
        wrong += count.wrong
    return wrong


class Process:
    """A command in a process and a session of its own.

    Forked from this one, which has imported what the command needs: a start takes no time, so that
    it can be killed often.

    Args:
        command: returns the exit code.
        log: where it writes.
    """

    def __init__(self, command: Callable[[], int], log: Path) -> None:
        self.log = log
        self.code: int | None = None
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            self._run(command)

    def _run(self, command: Callable[[], int]) -> NoReturn:
        code = 1
        try:
            os.setsid()
            file = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, 1)
            os.dup2(file, 2)
            code = command()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def wait_for(process: Process, seen: Callable[[], object], within: float = HANGS) -> bool:
    """Until it is seen, or the process has ended; False where neither comes in so many seconds."""
    end = time.monotonic() + within
    while process.poll() is None and not seen():
        if time.monotonic() > end:
            return False
        time.sleep(0.0005)
    return True


def newer(folder: Path, pattern: str, since: float) -> list[Path]:
    """Files that were written since; earlier ones a process that was killed may have left."""
    found = []
    for path in folder.rglob(pattern):
        with suppress(FileNotFoundError):  # renamed in this moment
            if path.stat().st_mtime > since:
                found.append(path)
    return found


def ended(process: Process, within: float = HANGS) -> tuple[int | str, str]:
    """Exit code and what was written; what hangs is killed."""
    if not wait_for(process, lambda: False, within):
        kill(process)
        return f"none within {within} s", process.said
    return process.code or 0, process.said


def kill(process: Process) -> None:
    """It and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    wait_for(process, lambda: False)


def children(process: Process) -> list[psutil.Process]:
    """What it has started."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill_it_alone(process: Process) -> tuple[str, float]:
    """Not what it started, which must end by itself: what is wrong with that, and how long."""
    started = children(process)
    process.send_signal(signal.SIGKILL)
    began = time.monotonic()
    while left := [each for each in started if lives(each)]:
        if time.monotonic() > began + 20:
            for each in left:
                each.kill()
            return f"{len(left)} processes are left: {left}", 20
        time.sleep(0.05)
    return "", time.monotonic() - began


def lives(process: psutil.Process) -> bool:
    """A zombie has ended; who has inherited it has not asked yet."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@contextmanager
def small_disk(megabytes: int, parent: Path) -> Iterator[Path | None]:
    """A folder with so much room; None where this may not mount one."""
    with TemporaryDirectory(dir=parent) as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder]
        if subprocess.run(mount, capture_output=True).returncode:
            yield None
            return
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)
