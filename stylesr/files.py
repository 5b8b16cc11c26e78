"""What is asked of files and folders, whatever is in them."""

import hashlib
from pathlib import Path

from stylesr.errors import InputError

__all__ = ["check_unused", "sha256", "sha256_each"]


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
