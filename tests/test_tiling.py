from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stylesr import tiling
from stylesr.errors import InputError

Noise = Callable[..., Tensor]


class Enlarger(nn.Module):
    """×2 network with zero padding; an output pixel depends on 5 input pixels on each side."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 7, padding=3), nn.ReLU(), nn.Conv2d(8, 12, 5, padding=2)
        )

    def forward(self, x: Tensor, top: int = 0, left: int = 0) -> Tensor:
        with torch.no_grad():
            return F.pixel_shuffle(self.layers(x), 2)


@pytest.mark.parametrize(
    ("height", "width", "tile_size", "overlap", "multiple"),
    [
        (1, 1, 1, 0, 1),
        (37, 53, 16, 5, 1),
        (40, 52, 16, 8, 4),
        (4, 300, 64, 20, 4),
        (8, 8, 64, 4, 4),
    ],
)
def test_cores_cover_each_pixel_once(
    height: int, width: int, tile_size: int, overlap: int, multiple: int
) -> None:
    seen = torch.zeros(height, width, dtype=torch.int)
    tiles = tiling.plan(height, width, tile_size=tile_size, overlap=overlap, multiple=multiple)
    for tile in tiles:
        seen[tile.rows.core(1), tile.columns.core(1)] += 1
        for span, length in ((tile.rows, height), (tile.columns, width)):
            assert 0 < span.stop - span.start <= tile_size
            assert span.window_start == max(0, span.start - overlap)
            assert span.window_stop == min(length, span.stop + overlap)
            assert span.start % multiple == span.window_start % multiple == 0
    assert bool((seen == 1).all())


def test_tiles_are_balanced() -> None:
    widths = [t.columns.stop - t.columns.start for t in tiling.plan(8, 100, tile_size=32)]
    assert widths == [25, 25, 25, 25]


@pytest.mark.parametrize("tile_size", [1, 8, 13, 64])
def test_tiled_equals_whole(noise: Noise, tile_size: int) -> None:
    network, image = Enlarger(), noise(1, 3, 37, 53)
    tiled = tiling.drain(
        tiling.run(network, image, factor=2, tile_size=tile_size, overlap=5, multiple=1)
    )
    torch.testing.assert_close(tiled, network(image), atol=1e-5, rtol=0)


def test_an_overlap_below_the_receptive_field_leaves_seams(noise: Noise) -> None:
    network, image = Enlarger(), noise(1, 3, 37, 53)
    tiled = tiling.drain(tiling.run(network, image, factor=2, tile_size=16, overlap=4))
    assert (tiled - network(image)).abs().max() > 1e-3


def test_fn_is_told_the_place_of_its_window() -> None:
    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(31.0), indexing="ij")
    places = torch.stack([rows, columns])[None]

    def check(window: Tensor, top: int, left: int) -> Tensor:
        assert window[0, :, 0, 0].tolist() == [top, left]
        return window

    result = tiling.drain(tiling.run(check, places, factor=1, tile_size=8, overlap=3))
    assert torch.equal(result, places)


def test_without_a_tile_size_fn_runs_once_on_all(noise: Noise) -> None:
    image = noise(1, 3, 9, 11)
    calls: list[tuple[tuple[int, ...], int, int]] = []

    def record(window: Tensor, top: int, left: int) -> Tensor:
        calls.append((tuple(window.shape), top, left))
        return window[:, :1]

    result = tiling.drain(tiling.run(record, image, factor=1, tile_size=None, overlap=2))
    assert calls == [((1, 3, 9, 11), 0, 0)]
    assert torch.equal(result, image[:, :1])


def test_progress_counts_tiles_and_drain_reports_it(noise: Noise) -> None:
    steps: list[tuple[int, int]] = []
    work = tiling.run(Enlarger(), noise(1, 3, 20, 30), factor=2, tile_size=10, overlap=5)
    result = tiling.drain(work, steps.append)
    assert steps == [(n, 6) for n in range(1, 7)]
    assert result.shape == (1, 3, 40, 60)


def test_closing_stops_between_tiles(noise: Noise) -> None:
    calls = 0

    def count(window: Tensor, top: int, left: int) -> Tensor:
        nonlocal calls
        calls += 1
        return window

    work = tiling.run(count, noise(1, 3, 20, 20), factor=1, tile_size=5, overlap=0)
    assert next(work) == (1, 16)
    work.close()
    assert calls == 1
    with pytest.raises(StopIteration):
        next(work)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"height": 0}, "height .* 0"),
        ({"width": 30}, "width .*multiple of 4, got 30"),
        ({"tile_size": 0}, "tile_size .* 0"),
        ({"tile_size": 6}, "tile_size .* 6"),
        ({"overlap": -4}, "overlap .* -4"),
        ({"overlap": 3}, "overlap .* 3"),
        ({"multiple": 0}, "multiple .* 0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, int], names: str) -> None:
    sizes = {"height": 16, "width": 32, "tile_size": 8, "overlap": 4, "multiple": 4} | changes
    height, width = sizes.pop("height"), sizes.pop("width")
    with pytest.raises(InputError, match=names):
        tiling.plan(height, width, **sizes)


def test_a_function_that_returns_another_size_is_refused(noise: Noise) -> None:
    work = tiling.run(lambda x, *_: x, noise(1, 3, 8, 8), factor=2, tile_size=None, overlap=0)
    with pytest.raises(InputError, match=r"\(16, 16\), it returned \(8, 8\)"):
        tiling.drain(work)
