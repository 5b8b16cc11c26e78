"""Where memory ends: one error for what Python, torch and its libraries raise then."""

from collections.abc import Iterator
from contextlib import contextmanager

from stylesr.errors import OutOfMemory

__all__ = ["enough_memory"]

SAYINGS = (
    "can't allocate memory",  # torch, on the processor
    "could not create a ",  # oneDNN, which torch calls there
    "out of memory",  # on a GPU
)


@contextmanager
def enough_memory() -> Iterator[None]:
    """Make an OutOfMemory of what is raised for want of memory."""
    try:
        yield
    except OutOfMemory:
        raise
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(text in str(error) for text in SAYINGS):
            raise
        raise OutOfMemory(
            "there is not enough memory for this; a smaller picture, scale or tile size needs less"
        ) from error
