"""Pictures of a dataset on the Hugging Face Hub, by the library `datasets`, an optional extra."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stylesr.errors import InputError

__all__ = ["MOST", "PREFIX", "hub_pictures"]

PREFIX = "hub:"
MOST = 1000  # pictures of a dataset: they are held in memory, and a style needs no more
_SOURCE = re.compile(r"hub:(?P<path>[^:@]+)(?:@(?P<revision>[^:]+))?(?::(?P<split>[^:]+))?")


def hub_pictures(source: str) -> Iterator[tuple[str, bytes]]:
    """Names and files of a dataset's first 1000 pictures; only what is read is fetched.

    Args:
        source: `hub:user/name`, of which the split train is read; `hub:user/name:test` for another
            one; `hub:user/name@commit` for a commit, a tag or a branch.

    Raises:
        InputError: `datasets` is not installed, there is no such dataset or split, it is gated, or
            no column of it holds pictures.
    """
    match = _SOURCE.fullmatch(source)
    if match is None:
        raise InputError(f"a dataset is hub:user/name, hub:user/name:split …, got {source!r}")
    try:
        from datasets import Image, load_dataset
    except ImportError as error:
        raise InputError(
            f"{source!r} needs the library datasets: pip install 'stylesr[datasets]'"
        ) from error
    options = {"split": match["split"] or "train", "revision": match["revision"]}
    try:
        rows = load_dataset(match["path"], streaming=True, **options)
        features = rows.features or rows._resolve_features().features
        columns = [name for name, kind in features.items() if isinstance(kind, Image)]
        if not columns:
            raise InputError(f"{source!r} has no pictures, only {', '.join(features)}")
        rows = rows.select_columns(columns[:1]).cast_column(columns[0], Image(decode=False))
        for place, row in enumerate(rows.take(MOST)):
            yield f"{source}#{place}", _file(row[columns[0]])
    except InputError:
        raise
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{source!r} cannot be read: {reason}") from error


def _file(picture: dict[str, Any]) -> bytes:
    """The bytes of an undecoded picture; where it lies beside the rows, those of its file."""
    return picture["bytes"] or Path(picture["path"]).read_bytes()
