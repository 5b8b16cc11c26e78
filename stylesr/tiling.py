"""Run a function over a picture in tiles that overlap, so that memory stays bounded.

A tile is a core, which tiles the picture without overlap, inside a window, which adds context on
each side and is clipped at the picture's borders. When the overlap covers the function's receptive
field, the result equals that of the whole picture. Knows sizes and a factor, never a model.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from stylesr.errors import InputError

__all__ = ["Tile", "drain", "plan", "run"]

T = TypeVar("T")
Y = TypeVar("Y")


@dataclass(frozen=True)
class Span:
    """One tile along one axis, in input pixels: the window contains the core."""

    start: int
    stop: int
    window_start: int
    window_stop: int

    @property
    def window(self) -> slice:
        """Where the window lies in the input."""
        return slice(self.window_start, self.window_stop)

    def core(self, factor: int) -> slice:
        """Where the core lies in an output that is `factor` times the input."""
        return slice(self.start * factor, self.stop * factor)

    def core_in_window(self, factor: int) -> slice:
        """Where the core lies in the window's output."""
        offset = self.window_start * factor
        return slice(self.start * factor - offset, self.stop * factor - offset)


@dataclass(frozen=True)
class Tile:
    """A rectangle of the picture, its rows and its columns."""

    rows: Span
    columns: Span


def plan(
    height: int, width: int, *, tile_size: int | None, overlap: int = 0, multiple: int = 1
) -> list[Tile]:
    """Divide a picture into tiles of about equal size, row by row.

    Args:
        height, width: of the picture in pixels, multiples of `multiple`.
        tile_size: largest side of a core in pixels, a multiple of `multiple`; None for one tile.
        overlap: pixels of context on each side of a core, a multiple of `multiple`.
        multiple: cores and windows begin and end on multiples of this.

    Returns:
        Tiles whose cores cover each pixel once.

    Raises:
        InputError: a size is not positive (`overlap`: negative) or not a multiple of `multiple`.
    """
    if multiple < 1:
        raise InputError(f"multiple must be at least 1, got {multiple}")
    least = {"height": 1, "width": 1, "tile_size": 1, "overlap": 0}
    sizes = {"height": height, "width": width, "tile_size": tile_size, "overlap": overlap}
    for name, value in sizes.items():
        if value is not None and (value < least[name] or value % multiple):
            raise InputError(
                f"{name} must be at least {least[name]} and a multiple of {multiple}, got {value}"
            )
    columns = _spans(width, tile_size or width, overlap, multiple)
    return [
        Tile(row, column)
        for row in _spans(height, tile_size or height, overlap, multiple)
        for column in columns
    ]


def _spans(length: int, tile_size: int, overlap: int, multiple: int) -> list[Span]:
    count = -(-length // tile_size)
    units = length // multiple
    edges = [units * k // count * multiple for k in range(count + 1)]
    return [
        Span(start, stop, max(start - overlap, 0), min(stop + overlap, length))
        for start, stop in pairwise(edges)
    ]


def run(
    fn: Callable[[Tensor, int, int], Tensor],
    image: Tensor,
    *,
    factor: int,
    tile_size: int | None,
    overlap: int,
    multiple: int = 1,
) -> Generator[tuple[int, int], None, Tensor]:
    """Apply `fn` tile by tile; close the generator to stop between tiles.

    Holds the output and one tile, on the input's device.

    Args:
        fn: called as fn(window, top, left) with a window (1, C, h, w) of the picture and its place
            in it in pixels; returns (1, C', h·factor, w·factor).
        image: (1, C, H, W), H and W multiples of `multiple`.
        factor: how many times larger `fn`'s result is.
        tile_size, overlap, multiple: as for `plan`.

    Yields:
        (done, total) after each tile.

    Returns:
        (1, C', H·factor, W·factor), as the generator's value; `drain` hands it out.

    Raises:
        InputError: as `plan`, or `fn` returned another size.
    """
    height, width = image.shape[-2:]
    tiles = plan(height, width, tile_size=tile_size, overlap=overlap, multiple=multiple)
    output: Tensor | None = None
    for done, tile in enumerate(tiles, 1):
        rows, columns = tile.rows, tile.columns
        window = image[..., rows.window, columns.window]
        result = fn(window, rows.window_start, columns.window_start)
        expected = (window.shape[-2] * factor, window.shape[-1] * factor)
        if result.shape[-2:] != expected:
            raise InputError(
                f"fn must enlarge {tuple(window.shape[-2:])} to {expected}, "
                f"it returned {tuple(result.shape[-2:])}"
            )
        if output is None:
            shape = (*result.shape[:2], height * factor, width * factor)
            output = torch.empty(shape, dtype=result.dtype, device=image.device)
        core = result[..., rows.core_in_window(factor), columns.core_in_window(factor)]
        output[..., rows.core(factor), columns.core(factor)] = core
        yield done, len(tiles)
    assert output is not None
    return output


def drain(work: Generator[Y, None, T], on_progress: Callable[[Y], object] | None = None) -> T:
    """Run a generator to its end, call `on_progress` with what it yields, return its value."""
    while True:
        try:
            step = next(work)
        except StopIteration as end:
            value: T = end.value
            return value
        if on_progress is not None:
            on_progress(step)
