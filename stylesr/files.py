"""What is asked of a file, whatever is in it."""

import hashlib
from pathlib import Path

__all__ = ["sha256", "sha256_each"]


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_each(given: object) -> list[str]:
    """The SHA-256 of each file among what is given, a path or a list of them or nothing."""
    each = given if isinstance(given, list | tuple) else [given]
    return [sha256(Path(path)) for path in each if isinstance(path, str | Path)]
