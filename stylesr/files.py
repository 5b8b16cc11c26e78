"""What is asked of files and folders, whatever is in them."""

import hashlib
from pathlib import Path

from stylesr.errors import InputError

__all__ = ["check_unused", "sha256"]


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_unused(folder: Path) -> None:
    """Raise InputError unless a folder is empty or does not exist."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} is in use; give a new or empty folder")
