"""Whatever a file of a stranger holds: a result, or an error of stylesr's; nothing else.

The targets are those of `tests/reliability/fuzz.py`, which runs them for longer.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stylesr import StyleSRPipeline, tiling
from stylesr.errors import StyleSRError
from stylesr.models import Generator
from stylesr.picture import Picture, to_levels
from tests import tiny
from tests.reliability import fuzz
from tests.reliability.fuzz import TARGETS

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # decoders warn of what is odd
    pytest.mark.usefixtures("one_thread"),
]
repeatable = settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
HEADERS = 2048  # bytes at the beginning of a file, where most of what is read is

# every kind of value that JSON holds, and what a config's values might be
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=9),
    st.lists(st.integers(-9, 2000), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@st.composite
def damaged(draw: Callable[[Any], Any], seeds: list[bytes]) -> bytes:
    """A good file of which some bytes are others, some are missing and some are doubled."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, min(len(data), HEADERS)))
        length = draw(st.integers(0, 8))
        data[place : place + length] = draw(st.binary(max_size=8))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@pytest.mark.parametrize("name", ["pictures", "model.safetensors", "checkpoints"])
def test_damaged_files_give_a_result_or_a_typed_error(name: str) -> None:
    target, seeds = TARGETS[name]
    good = seeds()
    for data in good:
        target(data)

    @repeatable
    @given(damaged(good))
    def check(data: bytes) -> None:
        with suppress(StyleSRError):
            target(data)

    check()


@repeatable
@given(
    kind=st.sampled_from(Generator.__subclasses__()),
    changes=st.dictionaries(
        st.sampled_from(["channels", "blocks", "scale", "noise_levels", "base", "class_name", "x"]),
        VALUES,
        min_size=1,
        max_size=3,
    ),
)
def test_any_config_gives_a_network_or_a_typed_error(
    kind: type[Generator], changes: dict[str, Any]
) -> None:
    with suppress(StyleSRError):
        fuzz.config(json.dumps({"class_name": kind.__name__, **changes}).encode())


@repeatable
@given(VALUES, st.sampled_from(["bytes", "json"]), st.binary(max_size=64))
def test_any_bytes_as_a_config_give_a_typed_error(value: Any, kind: str, data: bytes) -> None:
    with pytest.raises(StyleSRError, match=r"config\.json|model without class_name"):
        fuzz.config(data if kind == "bytes" else json.dumps(value).encode())


@repeatable
@given(
    names=st.lists(st.sampled_from(["skip_gain", "noise.weight", "__metadata__", "x"]), max_size=4),
    value=VALUES,
    length=st.one_of(st.none(), st.integers(0, 2**64 - 1)),
)
def test_any_header_of_safetensors_gives_a_typed_error(
    names: list[str], value: Any, length: int | None
) -> None:
    entry = {"dtype": "F32", "shape": value, "data_offsets": value}
    header = json.dumps({name: entry for name in names}).encode()
    size = len(header) if length is None else length
    with pytest.raises(StyleSRError, match=r"model\.safetensors"):
        fuzz.weights(size.to_bytes(8, "little") + header + bytes(64))


@repeatable
@given(
    units=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    tile=st.integers(1, 30),
    overlap=st.integers(1, 9),
    multiple=st.sampled_from([1, 2, 3, 4]),
)
def test_tiles_of_any_size_give_what_the_whole_gives(
    units: tuple[int, int], tile: int, overlap: int, multiple: int
) -> None:
    sizes = [multiple * n for n in (*units, tile, overlap)]
    with suppress(StyleSRError):  # more than a thousand tiles
        fuzz.check_tiles(sizes[0], sizes[1], sizes[2], sizes[3], multiple)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (513, 7), (3, 300), (97, 61)])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_tiles_of_the_pipeline_change_no_level(height: int, width: int, scale: int) -> None:
    base = tiny.photo()
    pipe = StyleSRPipeline(base, {"waves": tiny.style(base, 1)})
    pixels = torch.rand(3, height, width, generator=torch.Generator().manual_seed(height))

    def run(tile_size: int | None) -> torch.Tensor:
        work = pipe.stream(Picture(pixels), scale=scale, brush=1, tile_size=tile_size)
        result = tiling.drain(work).pixels
        assert result.shape == (3, scale * height, scale * width)
        assert bool(result.isfinite().all())
        return to_levels(result)

    whole = run(None)
    for tile_size in (64, 132, 512):
        assert (run(tile_size) - whole).abs().max() <= 1
