"""Bad pictures made of sharp ones: repeatable, of the right size, and each step does its part."""

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from stylesr.data.datasets import RandomCrops
from stylesr.data.degradations import (
    MILD,
    REAL_ESRGAN,
    Degradation,
    Pairs,
    Stage,
    blur_kernel,
    collate,
    degrade,
    quantise,
    sinc_kernel,
    spared,
)
from stylesr.errors import InputError
from stylesr.metrics import psnr_y
from stylesr.resample import downscale

Scene = Callable[[int, int], Tensor]

# does nothing: no blur, the size kept, noise far below a level, JPEG of the best quality
NOTHING = Stage(0, 0, (0.2, 1), (0, 0, 1), (1, 1), (0, 0), (0, 0), 0, (100, 100))
NONE = Degradation(NOTHING, NOTHING, final_sinc=0)


# -- the whole ----------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("ranges", [MILD, REAL_ESRGAN], ids=["mild", "real-esrgan"])
def test_sizes_range_and_levels(ranges: Degradation, factor: int, scene: Scene) -> None:
    for seed in range(20):
        lr = degrade(scene(48, 64), factor, random.Random(seed), ranges)
        assert lr.shape == (3, 48 // factor, 64 // factor)
        assert lr.dtype == torch.float32
        assert lr.min() >= 0 and lr.max() <= 1
        assert torch.equal(quantise(lr), lr), "8 bits"


def test_a_small_picture_is_no_trouble(scene: Scene) -> None:
    for seed in range(50):
        assert degrade(scene(16, 16), 4, random.Random(seed)).shape == (3, 4, 4)


def test_a_seed_repeats_and_another_differs(scene: Scene) -> None:
    hr = scene(48, 48)
    before = hr.clone()
    first, again, other = (degrade(hr, 2, random.Random(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(hr, before), "the picture itself is left alone"


def test_it_is_worse_than_bicubic_and_mild_is_between(scene: Scene) -> None:
    """Averaged over seeds, in dB from the bicubic picture."""
    hr = scene(96, 96)
    clean = quantise(downscale(hr[None], 4))[0]

    def distance(ranges: Degradation) -> float:
        pictures = [degrade(hr, 4, random.Random(seed), ranges) for seed in range(40)]
        return sum(psnr_y(picture, clean) for picture in pictures) / len(pictures)

    nothing, mild, severe = map(distance, (NONE, MILD, REAL_ESRGAN))
    assert severe + 2 < mild < nothing - 2
    assert severe > 12, "the scene is still there"


def test_smaller_factors_are_spared() -> None:
    stage = REAL_ESRGAN.first
    assert spared(stage, 4) == stage
    assert spared(stage, 2).scale == pytest.approx((0.387, 1.5), abs=1e-3)
    assert spared(stage, 1).scale == pytest.approx((0.622, 1.5), abs=1e-3)
    assert spared(stage, 1).sigma == pytest.approx((0.2, 1.6))
    assert spared(stage, 1).jpeg == stage.jpeg


@pytest.mark.parametrize(
    ("hr", "factor"),
    [
        (torch.rand(1, 3, 16, 16), 4),
        (torch.rand(1, 16, 16), 4),
        (torch.zeros(3, 16, 16, dtype=torch.uint8), 4),
        (torch.rand(3, 16, 16), 3),
        (torch.rand(3, 18, 16), 4),
    ],
)
def test_bad_input_is_refused(hr: Tensor, factor: int) -> None:
    with pytest.raises(InputError, match=r"degrade takes|factor is 1, 2 or 4"):
        degrade(hr, factor, random.Random(0))


# -- each step ----------------------------------------------------------------------------------


def fine_detail(picture: Tensor) -> float:
    return float(picture.diff(dim=-1).abs().mean())


def worn(hr: Tensor, **first: object) -> Tensor:
    """At ×1, the first round as given and all else off."""
    return degrade(hr, 1, random.Random(3), Degradation(replace(NOTHING, **first), NOTHING, 0))


def test_without_any_step_it_is_the_picture(scene: Scene) -> None:
    hr = scene(48, 48)
    assert psnr_y(worn(hr), hr) > 38, "two JPEGs of the best quality"


def test_blur_takes_detail(noise: Callable[..., Tensor]) -> None:
    hr = noise(3, 48, 48)
    assert fine_detail(worn(hr, blur=1, sigma=(2, 2.1))) < 0.5 * fine_detail(worn(hr))


def test_sinc_rings_beside_an_edge() -> None:
    edge = torch.full((3, 48, 48), 0.25)
    edge[..., 24:] = 0.75
    ringing = worn(edge, blur=1, sinc=1)
    assert ringing.max() > 0.77 and ringing.min() < 0.23
    assert worn(edge).max() < 0.77


@pytest.mark.parametrize("resize", [(1, 0, 0), (0, 1, 0)], ids=["larger", "smaller"])
def test_resizing_changes_the_picture_not_its_size(
    resize: tuple[float, float, float], noise: Callable[..., Tensor]
) -> None:
    hr = noise(3, 48, 48)
    changed = worn(hr, resize=resize, scale=(0.5, 1.5))
    assert changed.shape == hr.shape
    assert psnr_y(changed, worn(hr)) < 30


@pytest.mark.parametrize("kind", ["gaussian", "poisson"])
@pytest.mark.parametrize("gray", [0.0, 1.0])
def test_noise_is_of_the_strength_and_colour_asked_for(kind: str, gray: float) -> None:
    flat = torch.full((3, 64, 64), 0.5)
    strength = {"gaussian": 12.75, "poisson": math.sqrt(0.05**2 * 255 / 0.5)}[kind]
    given = {"gaussian": (0, 0), "poisson": (0, 0), kind: (strength, strength)}
    spreads, colour = [], []
    for seed in range(12):  # half of the pictures get the other kind, of strength zero
        ranges = Degradation(replace(NOTHING, gray=gray, **given), NOTHING, 0)
        levels = degrade(flat, 1, random.Random(seed), ranges) - 0.5
        spreads.append(float(levels.mean(0).std()))
        colour.append(float((levels[0] - levels[2]).std()))
    loud = [index for index, spread in enumerate(spreads) if spread > 0.01]
    assert 2 <= len(loud) <= 10
    for index in loud:
        if gray:
            assert spreads[index] == pytest.approx(0.05, abs=0.005)
            assert colour[index] < 0.01
        else:
            assert spreads[index] == pytest.approx(0.05 / math.sqrt(3), abs=0.01)
            assert colour[index] > 0.012, "JPEG averages colours over four pixels"


def test_shot_noise_spares_the_dark() -> None:
    halves = torch.zeros(3, 48, 96)
    halves[..., 48:] = 0.6
    spreads = []
    for seed in range(8):
        ranges = Degradation(replace(NOTHING, poisson=(2, 2)), NOTHING, 0)
        picture = degrade(halves, 1, random.Random(seed), ranges)
        spreads.append((float(picture[..., :40].std()), float(picture[..., 56:].std())))
    assert max(dark for dark, _ in spreads) < 0.01
    assert max(light for _, light in spreads) > 0.05


def test_jpeg_is_worse_with_less_quality(scene: Scene) -> None:
    hr = scene(64, 64)
    poor, fair, good = (psnr_y(worn(hr, jpeg=(q, q)), hr) for q in (10, 50, 100))
    assert poor + 2 < fair < good - 2


def test_final_sinc_and_second_round_count(scene: Scene) -> None:
    hr = scene(48, 48)
    plain = degrade(hr, 1, random.Random(0), NONE)
    noisy = replace(NOTHING, gaussian=(20, 20), poisson=(3, 3))
    for ranges in (replace(NONE, final_sinc=1), replace(NONE, second=noisy)):
        assert not torch.equal(degrade(hr, 1, random.Random(0), ranges), plain)


# -- kernels ------------------------------------------------------------------------------------


def test_blur_kernels_sum_to_one_and_are_symmetric() -> None:
    kernels = [blur_kernel(random.Random(seed), (0.2, 3)) for seed in range(60)]
    assert {len(kernel) for kernel in kernels} == set(range(7, 22, 2))
    for kernel in kernels:
        assert kernel.shape == (len(kernel), len(kernel)) and kernel.min() >= 0
        assert kernel.sum().item() == pytest.approx(1, abs=1e-5)
        assert torch.allclose(kernel, kernel.flip(0, 1), atol=1e-6), "nothing is moved"
    round_ones = [k for k in kernels if torch.allclose(k, k.T, atol=1e-6)]
    assert 0.4 < len(round_ones) / len(kernels) < 0.95, "round and drawn-out ones"


def test_a_narrow_kernel_copies() -> None:
    kernel = blur_kernel(random.Random(5), (0.05, 0.05))
    assert kernel[len(kernel) // 2, len(kernel) // 2] > 0.9


def test_sinc_passes_low_frequencies_only() -> None:
    """Along a row: its transform is about 1 below the cutoff and 0 beyond."""
    kernel = sinc_kernel(21, math.pi / 2)
    assert kernel.sum().item() == pytest.approx(1, abs=1e-5)
    response = torch.fft.rfft(kernel.sum(0), 84).abs()  # 0 … π in 42 steps
    assert response[:14].min() > 0.85
    assert response[29:].max() < 0.15
    assert kernel.min() < -0.005, "it rings"


# -- pairs --------------------------------------------------------------------------------------


@pytest.fixture
def crops(noise: Callable[..., Tensor]) -> RandomCrops:
    pictures = [(noise(3, 40, 44, seed=seed) * 255).byte() for seed in range(3)]
    return RandomCrops(pictures, 32, 12, seed=7)


def test_without_ranges_pairs_are_bicubic(crops: RandomCrops) -> None:
    pairs = Pairs(crops, [4, 2, 1])
    assert len(pairs) == 12
    for index in range(6):
        hr, factor, lr = pairs[index]
        assert factor == [4, 2, 1][index % 3]
        assert torch.equal(hr, crops[index])
        assert torch.equal(lr, quantise(downscale(hr[None], factor))[0])


def test_an_item_depends_on_its_index_and_the_seed(crops: RandomCrops) -> None:
    pairs = Pairs(crops, [4, 4, 1], MILD, seed=1)
    straight = [pairs[index][2] for index in range(12)]
    again = Pairs(crops, [4, 4, 1], MILD, seed=1)
    assert all(torch.equal(again[index][2], straight[index]) for index in reversed(range(12)))
    other = Pairs(crops, [4, 4, 1], MILD, seed=2)
    assert not any(torch.equal(other[index][2], straight[index]) for index in range(12))


def test_a_share_stays_clean(crops: RandomCrops) -> None:
    def clean(share: float) -> int:
        pairs = Pairs(crops, [2], REAL_ESRGAN, share)
        bicubic = Pairs(crops, [2])
        return sum(torch.equal(pairs[i][2], bicubic[i][2]) for i in range(12))

    assert clean(0) == 0 and clean(1) == 12
    assert 2 <= clean(0.5) <= 10
    with pytest.raises(InputError, match=r"clean is a share from 0 to 1, got 1\.5"):
        clean(1.5)


def test_batches_are_divided_by_factor_and_go_on_where_they_stopped(crops: RandomCrops) -> None:
    pairs = Pairs(crops, [4, 4, 2, 1], MILD)
    batches = list(DataLoader(pairs, 4, collate_fn=collate))
    for hr, inputs in batches:
        assert hr.shape == (4, 3, 32, 32)
        shapes = [(factor, tuple(lr.shape)) for factor, lr in inputs]
        assert shapes == [(4, (2, 3, 8, 8)), (2, (1, 3, 16, 16)), (1, (1, 3, 32, 32))]
    rest = DataLoader(Subset(pairs, range(8, 12)), 4, collate_fn=collate, num_workers=1)
    for (factor, lr), (_, expected) in zip(next(iter(rest))[1], batches[2][1], strict=True):
        assert torch.equal(lr, expected), factor
