"""What is asked of a file, whatever is in it."""

import hashlib
from pathlib import Path
from typing import Any

from stylesr.errors import InputError

__all__ = ["sha256", "sha256_each"]


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_each(given: object) -> list[str]:
    """The SHA-256 of each file, of one path or a list of them.

    Raises:
        InputError: something else is among them.
    """
    each: list[Any] = list(given) if isinstance(given, list | tuple) else [given]
    if wrong := [type(item).__name__ for item in each if not isinstance(item, str | Path)]:
        raise InputError(f"for a folder or a film style images are files, got a {wrong[0]}")
    return [sha256(Path(path)) for path in each]
