"""What is asked of files and folders, whatever is in them."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from stylesr.errors import InputError

__all__ = ["check_unused", "sha256", "sha256_each", "whole"]


@contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that is written whole or not at all: beside its place, synced, then renamed.

    After a crash or on a full disk, what was there before is there still.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_each(given: object) -> list[str]:
    """The SHA-256 of each file, of one path or a list of them.

    Raises:
        InputError: something else is among them.
    """
    each = given if isinstance(given, list | tuple) else [given]
    paths = [Path(item) for item in each if isinstance(item, str | Path)]
    if len(paths) < len(each):
        raise InputError(f"for a folder or a film style images are files, got {given!r:.80}")
    return [sha256(path) for path in paths]


def check_unused(folder: Path) -> None:
    """Raise InputError unless a folder is empty or does not exist."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} is in use; give a new or empty folder")
