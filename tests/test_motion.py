"""How far a picture moved: known shifts, cuts, and what stays."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stylesr.motion import Drift, shift
from stylesr.picture import Picture
from stylesr.pipeline import StyleSRPipeline
from stylesr.tiling import drain
from tests import tiny


@pytest.fixture
def world(noise: Callable[..., Tensor]) -> Tensor:
    """A scene with detail of all sizes, larger than the frames."""
    layers = [
        F.interpolate(noise(1, 3, n, n, seed=n), (256, 256), mode="bicubic") for n in (8, 32, 128)
    ]
    return torch.stack(layers).mean(0)[0]


def window(world: Tensor, down: int, right: int) -> Tensor:
    return world[:, 60 + down : 156 + down, 60 + right : 188 + right]


@pytest.mark.parametrize(("down", "right"), [(0, 0), (5, 0), (0, -7), (-12, 9)])
def test_a_shift_is_found(world: Tensor, down: int, right: int) -> None:
    before, after = window(world, 0, 0)[0], window(world, down, right)[0]
    assert shift(before, after) == (-down, -right)  # what is shown moves the other way


def test_a_cut_moves_nothing(world: Tensor, noise: Callable[..., Tensor]) -> None:
    assert shift(window(world, 0, 0)[0], noise(96, 128, seed=9)) is None
    drift = Drift()
    assert drift.follow(window(world, 0, 0)) == (0, 0)
    assert drift.follow(window(world, 3, 4)) == (3, 4)
    assert drift.follow(noise(3, 96, 128, seed=9)) == (3, 4)
    assert drift.follow(noise(3, 96, 128, seed=9)) == (3, 4)


def test_what_moves_in_part_leaves_the_place_as_it_was(world: Tensor) -> None:
    """A shift that explains little is none, and what was followed before is not taken back."""
    drift = Drift()
    drift.follow(window(world, 0, 0))
    assert drift.follow(window(world, 6, 0)) == (6, 0)
    part = window(world, 6, 0).clone()
    part[:, 20:70, 20:90] = part[:, 20:70, 16:86]
    assert drift.follow(part) == (6, 0)
    assert drift.follow(0.6 * part) == (6, 0), "light that fades moves nothing"


def test_a_long_pan_is_followed_through_all_of_it(world: Tensor) -> None:
    drift = Drift()
    for n in range(20):
        assert drift.follow(window(world, n, 3 * n - 30)) == (n, 3 * n)


@pytest.mark.parametrize(("scale", "step"), [(1, 1), (1, 3), (2, 1), (4, 1)])
def test_strokes_move_with_the_picture(world: Tensor, scale: int, step: int) -> None:
    photo = tiny.photo()
    pipe = StyleSRPipeline(photo, {"dots": tiny.style(photo, 1)})

    def painted(down: int, right: int, drift: tuple[int, int]) -> Tensor:
        picture = Picture(window(world, down, right).clamp(0, 1).contiguous())
        return drain(pipe.stream(picture, scale=scale, drift=drift)).pixels

    moved = scale * step
    before, after = painted(0, 0, (0, 0)), painted(step, -step, (moved, -moved))
    fixed = painted(step, -step, (0, 0))
    top, left = 40 * scale, 40 * scale
    inner = before[:, top : top + 20, left : left + 20]
    there = slice(top - moved, top - moved + 20), slice(left + moved, left + moved + 20)
    assert torch.allclose(after[:, *there], inner, atol=1e-5)
    assert not torch.allclose(fixed[:, *there], inner, atol=1e-3)
