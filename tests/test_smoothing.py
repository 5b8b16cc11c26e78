"""Painted frames that are averaged along a film's motion."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stylesr import smoothing
from stylesr.errors import InputError
from stylesr.smoothing import Smoother

SIZE = (72, 96)
Noise = Callable[..., Tensor]


@pytest.fixture
def wide(scene: Callable[[int, int], Tensor]) -> Tensor:
    """A scene over which a window can move, with enough in it to tell how it moved."""
    fine = torch.nn.functional.interpolate(
        torch.rand(1, 3, 30, 40, generator=torch.Generator().manual_seed(5)), scale_factor=4.0
    )[0]
    return (0.5 * scene(120, 160) + 0.5 * fine).clamp(0, 1)


def window(picture: Tensor, right: int) -> Tensor:
    return picture[:, 20 : 20 + SIZE[0], 20 + right : 20 + right + SIZE[1]].contiguous()


def test_flicker_is_averaged_away_where_the_film_moves(wide: Tensor, noise: Noise) -> None:
    smoother, wrong, left = Smoother(0.8), [], []
    for index in range(8):
        frame = window(wide, 2 * index)
        flicker = 0.1 * (noise(3, *SIZE, seed=index) - 0.5)
        result = smoother.follow(frame, frame + flicker)
        inner = (slice(None), slice(8, -8), slice(8, -24))  # not what has just come into sight
        wrong.append(float(flicker[inner].square().mean()))
        left.append(float((result - frame)[inner].square().mean()))
    assert left[0] == pytest.approx(wrong[0])
    assert left[-1] < 0.4 * wrong[-1]


def test_the_picture_may_be_enlarged(wide: Tensor) -> None:
    smoother = Smoother(0.8)
    for index in range(4):
        frame = window(wide, 2 * index)
        large = frame.repeat_interleave(2, 1).repeat_interleave(2, 2)
        result = smoother.follow(frame, large)
    assert result.shape == large.shape
    inner = (slice(None), slice(8, -8), slice(8, -24))
    assert float((result - large)[inner].abs().mean()) < 0.02  # it went along with its frame


def test_a_cut_leaves_nothing_of_the_scene_before(wide: Tensor, noise: Noise) -> None:
    smoother = Smoother(0.9)
    smoother.follow(window(wide, 0), torch.ones(3, *SIZE))
    other = noise(3, *SIZE)
    result = smoother.follow(other, other)
    assert float((result - other).abs().mean()) < 0.01


def test_what_comes_into_sight_is_not_smeared() -> None:
    """Where a plain film moves, what lies beyond the border looks the same, but nobody knows it."""
    plain, flow = np.full((*SIZE, 3), 0.5, np.float32), np.zeros((*SIZE, 2), np.float32)
    flow[..., 0] = 6
    weight = smoothing._alike(plain, plain, flow)
    assert (weight[:, :-6] == 1).all() and (weight[:, -6:] == 0).all()


def test_it_goes_on_as_if_never_stopped(tmp_path: Path, wide: Tensor, noise: Noise) -> None:
    frames = [window(wide, index) for index in range(4)]
    painted = [noise(3, *SIZE, seed=index) for index in range(4)]
    whole, first, second = Smoother(0.7), Smoother(0.7), Smoother(0.7)
    results = [whole.follow(*pair) for pair in zip(frames, painted, strict=True)]
    for pair in zip(frames[:2], painted[:2], strict=True):
        first.follow(*pair)
    first.save(tmp_path / "last.npy")
    second.go_on(frames[1], tmp_path / "last.npy")
    for index in (2, 3):
        assert torch.equal(second.follow(frames[index], painted[index]), results[index])


def test_what_is_painted_is_left_as_it_was(wide: Tensor, noise: Noise) -> None:
    smoother = Smoother(0.5)
    for index in range(2):
        painted = noise(3, *SIZE, seed=index)
        kept = painted.clone()
        smoother.follow(window(wide, 0), painted)
        assert torch.equal(painted, kept)


@pytest.mark.parametrize("weight", [-0.1, 0.95, float("nan")])
def test_a_weight_out_of_bounds_is_refused(weight: float) -> None:
    with pytest.raises(InputError, match=r"smoothing is from 0 to 0\.9, got"):
        Smoother(weight)
