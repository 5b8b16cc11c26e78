import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stylesr.errors import InputError
from stylesr.models import Generator, StyleSRNet
from stylesr.models.stylesr_net import _hash, noise_field
from stylesr.resample import resize
from tests.models.contract import GeneratorContract, picture, randomised

TINY = {"channels": 8, "blocks": 1, "tail_channels": [4, 4]}
SHA = "0" * 64


class TestStyleSRNet(GeneratorContract):
    model_class = StyleSRNet
    tiny = TINY
    refused = [
        ("channels", 7),
        ("channels", 129),
        ("channels", 48.0),
        ("channels", "48"),
        ("channels", True),
        ("channels", None),
        ("blocks", 0),
        ("blocks", 33),
        ("tail_channels", 16),
        ("tail_channels", [16]),
        ("tail_channels", [16, 16, 16]),
        ("tail_channels", [16, 3]),
        ("tail_channels", [65, 16]),
        ("tail_channels", "16"),
        ("noise_levels", -1),
        ("noise_levels", 5),
    ]

    def call(
        self, model: Generator, x: Tensor, scale: int, origin: tuple[int, int] = (0, 0)
    ) -> Tensor:
        return model(x, scale=scale, origin=origin)


class TestWithoutNoise(GeneratorContract):
    model_class = StyleSRNet
    tiny = {**TINY, "noise_levels": 0}
    refused = [("noise_levels", 1.5)]


@pytest.fixture
def model() -> Generator:
    return randomised(StyleSRNet(**TINY))


# -- the network --------------------------------------------------------------------------------


def test_the_default_network_is_small() -> None:
    assert sum(p.numel() for p in StyleSRNet().parameters()) <= 600_000


@pytest.mark.parametrize("scale", StyleSRNet.scales)
def test_a_new_network_enlarges_bicubically(scale: int) -> None:
    model = StyleSRNet(**TINY).eval().requires_grad_(False)
    x = torch.rand(2, 3, 16, 20, generator=torch.Generator().manual_seed(2))
    difference = (model(x, scale) - resize(x, (16 * scale, 20 * scale))).abs()
    rim = 2 * scale  # where the kernel would read beyond the picture
    assert difference[..., rim:-rim, rim:-rim].max() < 1e-6
    assert difference.max() < 0.1


@pytest.mark.parametrize("scale", StyleSRNet.scales)
def test_cost_depends_on_the_output_alone(model: Generator, scale: int) -> None:
    shapes: list[torch.Size] = []
    model.trunk.register_forward_hook(lambda module, inputs, output: shapes.append(output.shape))
    model(torch.zeros(1, 3, 64 // scale, 96 // scale), scale)
    assert shapes == [(1, TINY["channels"], 16, 24)]


@pytest.mark.parametrize("rows", [32, 33, 70])
def test_the_tail_in_strips_equals_the_whole(rows: int) -> None:
    model = StyleSRNet(**TINY).eval()
    torch.nn.init.normal_(model.last.weight)
    x = torch.rand(2, 3, rows, 12, generator=torch.Generator().manual_seed(3))
    whole = model(x).detach()  # where a gradient is wanted
    with torch.no_grad():
        torch.testing.assert_close(model(x), whole, atol=1e-5, rtol=0)


def test_a_seed_repeats_and_another_one_differs(model: Generator) -> None:
    x = picture(model, 4)
    assert torch.equal(model(x, seed=3), model(x, seed=3))
    assert (model(x, seed=3) - model(x, seed=4)).abs().mean() > 1e-3


def test_without_weights_on_the_noise_the_seed_has_no_influence(model: Generator) -> None:
    model.noise.weight.data.zero_()
    for scale in model.scales:
        x = picture(model, scale)
        assert torch.equal(model(x, scale, seed=1), model(x, scale, seed=2))


def test_one_seed_for_each_picture(model: Generator) -> None:
    x = picture(model, 4, count=2)
    both = model(x, seed=[5, 6])
    torch.testing.assert_close(both[:1], model(x[:1], seed=5), atol=1e-5, rtol=0)
    torch.testing.assert_close(both[1:], model(x[1:], seed=6), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("base", "sha"), [("photo", None), (None, SHA)])
def test_half_a_base_is_refused(base: str | None, sha: str | None) -> None:
    with pytest.raises(InputError, match="base"):
        StyleSRNet(**TINY, base=base, base_sha256=sha)


@pytest.mark.parametrize(("base", "sha"), [(5, SHA), ("", SHA), ("photo", "x"), ("photo", 7)])
def test_a_base_that_names_nothing_is_refused(base: Any, sha: Any) -> None:
    with pytest.raises(InputError, match="base"):
        StyleSRNet(**TINY, base=base, base_sha256=sha)


@pytest.mark.parametrize(
    "options",
    [
        {"scale": True},
        {"scale": 4.0},
        {"seed": 1.5},
        {"seed": [1, 2, 3]},
        {"scale": 1, "origin": (2, 0)},
    ],
)
def test_bad_arguments_of_forward_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        StyleSRNet(**TINY)(torch.rand(2, 3, 8, 8), **options)


def test_the_base_is_in_the_config() -> None:
    config = StyleSRNet(**TINY, base="photo", base_sha256=SHA).config
    assert (config["base"], config["base_sha256"]) == ("photo", SHA)


# -- the noise ----------------------------------------------------------------------------------


def test_the_noise_is_these_numbers() -> None:
    """Pinned: released styles were trained with them, and other implementations must agree."""
    field = noise_field(2, 3, levels=3, seed=7)
    expected = [
        [[0.616322279, 0.822630286, 0.788672388], [0.614656866, 0.952010691, 1.016221166]],
        [[-0.014327714, 0.014650656, 0.043629024], [-0.007985687, 0.032312855, 0.072611399]],
        [[0.420317590, 0.443386644, 0.466455758], [0.418120891, 0.441772163, 0.465423435]],
    ]
    torch.testing.assert_close(field, torch.tensor([expected]), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("seed", "level", "row", "column"),
    [
        (0, 0, 1, 2),
        (7, 0, 0, 0),
        (7, 1, -1, -1),
        (-3, 0, 5, 70_000),
        (2**40 + 9, 0, 1_000, 3),
        (9, 1, 81, 31),
        (9, 2, -321, 127),
    ],
)
def test_the_noise_is_bilinear_between_hashes_of_32_bit_words(
    seed: int, level: int, row: int, column: int
) -> None:
    """Python's own integers give the same: wrapped to 32 bits, no overflow involved."""
    step = 4 ** (level + 1)
    y, x = (row + 0.5) / step - 0.5, (column + 0.5) / step - 0.5
    corners = [
        [reference_hash(seed, level, math.floor(y) + i, math.floor(x) + j) for j in (0, 1)]
        for i in (0, 1)
    ]
    v, u = y - math.floor(y), x - math.floor(x)
    top, bottom = (a * (1 - u) + b * u for a, b in corners)
    value = noise_field(1, 1, levels=3, seed=seed, origin=(row, column))[0, level, 0, 0]
    assert float(value) == pytest.approx(math.sqrt(3) * (top * (1 - v) + bottom * v), abs=1e-6)


places = st.integers(-(10**6), 10**6)


@settings(deadline=None)
@given(
    top=places,
    left=places,
    inset=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    seed=st.integers(-(2**31), 2**32),
)
def test_a_window_of_the_noise_is_the_noise_of_the_window(
    top: int, left: int, inset: tuple[int, int], size: tuple[int, int], seed: int
) -> None:
    (down, right), (height, width) = inset, size
    whole = noise_field(down + height, right + width, 4, seed, (top, left))
    window = noise_field(height, width, 4, seed, (top + down, left + right))
    torch.testing.assert_close(window, whole[..., down:, right:], atol=1e-6, rtol=0)


def lattice(seed: int, size: int) -> torch.Tensor:
    """Noise at the lattice points of the finest level, size × size."""
    places = torch.arange(size)
    return _hash(torch.tensor(seed), 0, places[:, None], places)


def test_different_seeds_and_levels_are_unrelated() -> None:
    seeds = torch.stack([lattice(seed, 64).flatten() for seed in (1, 2, 3)])
    assert (torch.corrcoef(seeds) - torch.eye(3)).abs().max() < 0.06  # 4σ for 4096 values
    levels = noise_field(256, 256, levels=2, seed=1)[0].flatten(1)
    assert torch.corrcoef(levels)[0, 1].abs() < 0.06


def test_neighbours_are_unrelated() -> None:
    field = lattice(11, 65)
    for shifted in (field[1:, :-1], field[:-1, 1:], field[1:, 1:]):
        pair = torch.stack([field[:-1, :-1].flatten(), shifted.flatten()])
        assert torch.corrcoef(pair)[0, 1].abs() < 0.06


def test_the_noise_is_uniform() -> None:
    values = lattice(5, 256).flatten().sort().values
    assert values[0] >= -1 and values[-1] < 1
    uniform = torch.linspace(-1, 1, len(values))
    assert (values - uniform).abs().max() < 0.02  # Kolmogorov–Smirnov: 0.0064·2 at 1 %


def reference_hash(seed: int, level: int, row: int, column: int) -> float:
    mask = 0xFFFFFFFF
    h = (seed * 0x9E3779B1 + level * 0x85EBCA77) & mask
    for value in (row, column):
        h ^= (value * 0xC2B2AE3D) & mask
        h = ((h ^ h >> 16) * 0x85EBCA6B) & mask
        h = ((h ^ h >> 13) * 0xC2B2AE35) & mask
        h ^= h >> 16
    return (h >> 8) / 2**23 - 1
