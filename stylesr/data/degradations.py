"""Blind degradation: sharp pictures made bad as cameras, editors and the web make them.

Two rounds of blur, resizing, noise and JPEG, as in Real-ESRGAN (Wang et al., 2021,
https://arxiv.org/abs/2107.10833): a network that has learnt to undo a random one needs not be told
what was done to a picture. Everything random follows from the generator that is given.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import groupby
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from stylesr.data.datasets import RandomCrops
from stylesr.errors import InputError
from stylesr.resample import downscale

__all__ = [
    "MILD",
    "REAL_ESRGAN",
    "Degradation",
    "Pairs",
    "Stage",
    "blur_kernel",
    "collate",
    "degrade",
    "quantise",
    "sinc_kernel",
    "spared",
]

Range = tuple[float, float]
Profile = Literal["gaussian", "generalized", "plateau"]

SIZES = range(7, 22, 2)  # sides of kernels, in pixels
PROFILES: dict[tuple[Profile, bool], float] = {  # and whether it is round, with its share
    ("gaussian", True): 0.45,
    ("gaussian", False): 0.25,
    ("generalized", True): 0.12,
    ("generalized", False): 0.03,
    ("plateau", True): 0.12,
    ("plateau", False): 0.03,
}
EXPONENTS: dict[Profile, Range] = {
    "gaussian": (1, 1),
    "generalized": (0.5, 4),
    "plateau": (1, 2),
}
RESIZES = ("area", "bilinear", "bicubic")
LEAST = 4  # pixels a side, however small it is made in between


@dataclass(frozen=True)
class Stage:
    """Ranges and probabilities of one round: blur, resize, noise, JPEG."""

    blur: float  # probability
    sinc: float  # share of the blurs that ring
    sigma: Range  # of the blur, in pixels
    resize: tuple[float, float, float]  # weights of enlarging, reducing, keeping the size
    scale: Range  # in the first round of the sharp picture's size, then of the result's
    gaussian: Range  # standard deviation of noise, in levels of 255
    poisson: Range  # shot noise, as a multiple of that of 255 photons for white
    gray: float  # share of the noise that is the same in all channels
    jpeg: tuple[int, int]  # quality


@dataclass(frozen=True)
class Degradation:
    """Both rounds, as meant for a factor of 4; smaller factors are spared."""

    first: Stage
    second: Stage
    final_sinc: float  # probability of a ringing filter beside the last JPEG


REAL_ESRGAN = Degradation(  # as published
    first=Stage(1, 0.1, (0.2, 3), (0.2, 0.7, 0.1), (0.15, 1.5), (1, 30), (0.05, 3), 0.4, (30, 95)),
    second=Stage(
        0.8, 0.1, (0.2, 1.5), (0.3, 0.4, 0.3), (0.3, 1.2), (1, 25), (0.05, 2.5), 0.4, (30, 95)
    ),
    final_sinc=0.8,
)
MILD = Degradation(  # phones and the web: what a small network can undo without smoothing all
    first=Stage(
        0.8, 0.1, (0.2, 1.5), (0.1, 0.6, 0.3), (0.4, 1.2), (0.5, 10), (0.05, 0.6), 0.4, (60, 95)
    ),
    second=Stage(
        0.3, 0.1, (0.2, 0.8), (0.2, 0.3, 0.5), (0.7, 1.2), (0.5, 6), (0.05, 0.4), 0.4, (50, 95)
    ),
    final_sinc=0.3,
)


def degrade(
    hr: Tensor, factor: int, rng: random.Random, ranges: Degradation = REAL_ESRGAN
) -> Tensor:
    """Make a bad low-resolution picture of a sharp one.

    Args:
        hr: (3, H, W), RGB in [0, 1], on the CPU.
        factor: 1, 2 or 4; divides H and W.
        rng: a generator; its state determines the result.
        ranges: from which all choices are drawn, narrowed by `spared`.

    Returns:
        (3, H/factor, W/factor) in [0, 1], in steps of 1/255.

    Raises:
        InputError: another shape, type or factor.
    """
    if hr.ndim != 3 or len(hr) != 3 or not hr.is_floating_point():
        raise InputError(
            f"degrade takes a floating-point (3, H, W), got {hr.dtype} of {tuple(hr.shape)}"
        )
    height, width = hr.shape[1:]
    if factor not in (1, 2, 4) or height % factor or width % factor:
        raise InputError(
            f"factor is 1, 2 or 4 and divides the picture's sides, got {factor} "
            f"for {height}×{width}"
        )
    size = (height // factor, width // factor)
    first, second = spared(ranges.first, factor), spared(ranges.second, factor)
    x = _worn(hr, (height, width), first, rng)
    x = _jpeg(x, rng.randint(*first.jpeg))
    x = _worn(x, size, second, rng)
    quality, sinc_last = rng.randint(*second.jpeg), rng.random() < 0.5
    if sinc_last:
        x = _jpeg(x, quality)
    x = _resized(x, size, rng)
    if rng.random() < ranges.final_sinc:
        kernel = sinc_kernel(rng.choice(SIZES), rng.uniform(math.pi / 3, math.pi))
        x = _filtered(x, kernel)
    return quantise(x if sinc_last else _jpeg(x, quality))


def spared(stage: Stage, factor: int) -> Stage:
    """A round at another factor than 4, where there are fewer pixels to bring back.

    It then blurs less, by the root of the factor's share of 4, and reduces less: what was a
    reduction to 0.15 is one to 0.39 at ×2 and to 0.62 at ×1. The paper knows ×4 only.
    """
    share, (sharp, soft), (low, high) = factor / 4, stage.sigma, stage.scale
    sigma = (sharp, sharp + (soft - sharp) * math.sqrt(share))
    return replace(stage, sigma=sigma, scale=(low**share, high))


def quantise(picture: Tensor) -> Tensor:
    """Round to 8 bits: what a real low-resolution file holds."""
    return (picture.clamp(0, 1) * 255).round() / 255


# -- the parts of a round -------------------------------------------------------------------------


def _worn(x: Tensor, reference: tuple[int, int], stage: Stage, rng: random.Random) -> Tensor:
    """Blur, resize (by a scale of the reference size), noise."""
    if rng.random() < stage.blur:
        if rng.random() < stage.sinc:
            side = rng.choice(SIZES)
            kernel = sinc_kernel(side, rng.uniform(math.pi / (3 if side < 13 else 5), math.pi))
        else:
            kernel = blur_kernel(rng, stage.sigma)
        x = _filtered(x, kernel)
    low, high = stage.scale
    scales = (rng.uniform(1, high), rng.uniform(low, 1), 1.0)
    scale = rng.choices(scales, stage.resize)[0]
    height, width = (max(LEAST, round(side * scale)) for side in reference)
    return _noisy(_resized(x, (height, width), rng), stage, rng)


def blur_kernel(rng: random.Random, sigma: Range) -> Tensor:
    """A random kernel (K, K) of sum 1, K odd from 7 to 21.

    Gaussian, generalised Gaussian (flatter or more pointed) or plateau-shaped, round or drawn out
    at any angle.
    """
    profile, is_round = rng.choices(list(PROFILES), list(PROFILES.values()))[0]
    offsets = _offsets(rng.choice(SIZES))
    width = rng.uniform(*sigma)
    height = width if is_round else rng.uniform(*sigma)
    angle = rng.uniform(0, math.pi)
    along = offsets * math.cos(angle) + offsets[:, None] * math.sin(angle)  # (K, K)
    across = offsets[:, None] * math.cos(angle) - offsets * math.sin(angle)
    distance = (along / width) ** 2 + (across / height) ** 2
    distance = distance ** rng.uniform(*EXPONENTS[profile])
    kernel = 1 / (1 + distance) if profile == "plateau" else torch.exp(-distance / 2)
    return (kernel / kernel.sum()).float()


def sinc_kernel(side: int, cutoff: float) -> Tensor:
    """(side, side) of sum 1: an ideal low-pass filter, cut off, so that edges ring.

    Args:
        side: odd.
        cutoff: in radians a pixel; π passes all but the corners of the spectrum.
    """
    offsets = _offsets(side)
    radius = (offsets**2 + offsets[:, None] ** 2).sqrt().clamp_min(1e-9)
    kernel = cutoff * torch.special.bessel_j1(cutoff * radius) / (2 * math.pi * radius)
    return (kernel / kernel.sum()).float()


def _offsets(side: int) -> Tensor:
    return torch.arange(side, dtype=torch.float64) - side // 2


def _filtered(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolve (3, H, W) with a (K, K), borders repeated; by Fourier transform, which is faster."""
    margin = len(kernel) // 2
    padded = F.pad(x[None], (margin,) * 4, mode="replicate")[0]
    fast = [-(-side // 12) * 12 for side in padded.shape[1:]]  # sizes without large prime factors
    spectrum = torch.fft.rfft2(padded, s=fast) * torch.fft.rfft2(kernel, s=fast)
    wrapped = 2 * margin
    return torch.fft.irfft2(spectrum, s=fast)[
        :, wrapped : wrapped + x.shape[1], wrapped : wrapped + x.shape[2]
    ]


def _resized(x: Tensor, size: tuple[int, int], rng: random.Random) -> Tensor:
    """To another size as programs do it: in one of three ways, none of them antialiased well."""
    mode = rng.choice(RESIZES)
    if x.shape[1:] == size:
        return x
    return F.interpolate(x[None], size, mode=mode)[0]


def _noisy(x: Tensor, stage: Stage, rng: random.Random) -> Tensor:
    """Add noise as of an amplifier or as of few photons, in colour or gray; clamps."""
    gray, even = rng.random() < stage.gray, rng.random() < 0.5
    noise = torch.randn(
        (1 if gray else 3, *x.shape[1:]),
        generator=torch.Generator().manual_seed(rng.getrandbits(63)),
    )
    if even:
        noise *= rng.uniform(*stage.gaussian) / 255
    else:  # the paper draws from Poisson's law; with 255 photons its normal limit looks the same
        light = x.mean(0, keepdim=True) if gray else x
        noise *= rng.uniform(*stage.poisson) * (light.clamp(0, 1) / 255).sqrt()
    return (x + noise).clamp_(0, 1)


def _jpeg(x: Tensor, quality: int) -> Tensor:
    """Through a JPEG file in memory, with colour at half the resolution as most files have it."""
    levels = (x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous()
    file = BytesIO()
    Image.fromarray(levels.numpy()).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        decoded = torch.from_numpy(np.array(image))
    return decoded.permute(2, 0, 1).float() / 255


# -- pairs to train on ----------------------------------------------------------------------------


class Pairs(Dataset[tuple[Tensor, int, Tensor]]):
    """Crops with their low-resolution pictures; item i depends on i and on the seeds alone.

    Args:
        crops: the sharp pictures.
        factors: of the items in turn: those of a batch, so that every batch is divided alike.
        ranges: of the degradation; None makes every picture by bicubic reduction.
        clean: share of the pictures that are made by bicubic reduction all the same.
        seed: of the degradations.
    """

    def __init__(
        self,
        crops: RandomCrops,
        factors: Sequence[int],
        ranges: Degradation | None = None,
        clean: float = 0.0,
        seed: int = 0,
    ) -> None:
        if not 0 <= clean <= 1:
            raise InputError(f"clean is a share from 0 to 1, got {clean}")
        self.crops, self.factors = crops, list(factors)
        self.ranges, self.clean, self.seed = ranges, clean, seed

    def __len__(self) -> int:
        """Number of items."""
        return len(self.crops)

    def __getitem__(self, index: int) -> tuple[Tensor, int, Tensor]:
        """HR (3, H, W), the factor, and LR (3, H/factor, W/factor) in steps of 1/255."""
        hr, factor = self.crops[index], self.factors[index % len(self.factors)]
        rng = random.Random(f"degradation {self.seed} {index}")
        if self.ranges is None or rng.random() < self.clean:
            return hr, factor, quantise(downscale(hr[None], factor))[0]
        return hr, factor, degrade(hr, factor, rng, self.ranges)


def collate(items: Sequence[tuple[Tensor, int, Tensor]]) -> tuple[Tensor, list[tuple[int, Tensor]]]:
    """A batch of `Pairs`: HR (N, 3, H, W), and pairs (factor, LR) in the same order."""
    inputs = [
        (factor, torch.stack([lr for _, _, lr in group]))
        for factor, group in groupby(items, lambda item: item[1])
    ]
    return torch.stack([hr for hr, _, _ in items]), inputs
