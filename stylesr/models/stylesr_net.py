"""StyleSRNet: enlarges a picture and repaints it in a style, in one pass.

The trunk runs at a quarter of the output's size whatever the factor, so that cost depends on the
output alone; a style is a set of weights, and weights of one base can be blended
(deep network interpolation, Wang et al., CVPR 2019, https://arxiv.org/abs/1811.10515).
Nothing reads statistics of the image, so tiles agree exactly. Seeded noise beside the image breaks
the tie in flat regions, as in texture networks (Ulyanov et al., 2016, https://arxiv.org/abs/1603.03417)
and StyleGAN.
"""

import math
import re
from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stylesr.errors import InputError
from stylesr.models.base import Generator, check_range
from stylesr.resample import resize

__all__ = ["StyleSRNet", "noise_field"]

TRUNK = 4  # the output is this many times the trunk's size
STRIP = 32  # trunk rows that the tail works on at a time
NOISE_STEP = 4  # each level of noise is this many times coarser than the one before it


class StyleSRNet(Generator):
    """One generator for super-resolution and style.

    Args:
        channels: width of the trunk, 8 to 128.
        blocks: residual blocks in the trunk, 1 to 32.
        tail_channels: width at half and at full output size, each 4 to 64.
        noise_levels: seeded noise channels, that vary over 4, 16, 64 … trunk pixels, 0 to 4.
        base: name of the model from which this style was trained; None for a base itself.
        base_sha256: that model's `fingerprint()`.

    Raises:
        InputError: a value out of these bounds.
    """

    scales: tuple[int, ...] = (1, 2, 4)
    min_size: ClassVar[int] = 4

    def __init__(
        self,
        channels: int = 48,
        blocks: int = 6,
        tail_channels: Sequence[int] = (24, 8),
        noise_levels: int = 3,
        base: str | None = None,
        base_sha256: str | None = None,
    ) -> None:
        super().__init__()
        check_range("channels", channels, 8, 128)
        check_range("blocks", blocks, 1, 32)
        check_range("noise_levels", noise_levels, 0, 4)
        if not isinstance(tail_channels, Sequence) or len(tail_channels) != 2:
            raise InputError(f"tail_channels must be two whole numbers, got {tail_channels!r}")
        half, full = (check_range("tail_channels", c, 4, 64) for c in tail_channels)
        _check_base(base, base_sha256)
        self.noise_levels = noise_levels
        self.base, self.base_sha256 = base, base_sha256
        self._radius = 2 * blocks + 3  # trunk pixels that an output pixel sees on each side

        self.stems = nn.ModuleDict(
            {str(s): nn.Conv2d(3 * (TRUNK // s) ** 2, channels, 3, padding=1) for s in self.scales}
        )
        if noise_levels:
            self.noise = nn.Conv2d(noise_levels, channels, 3, padding=1, bias=False)
        self.trunk = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.up1 = _upsampler(channels, half)
        self.up2 = _upsampler(half, full)
        self.last = nn.Conv2d(full, 3, 3, padding=1)
        self.skips = nn.ModuleDict(
            {str(s): nn.Conv2d(3, 3 * s * s, 5, bias=False) for s in self.scales if s > 1}
        )
        self.skip_gain = nn.Parameter(torch.ones(1))
        self._initialise()

    def _initialise(self) -> None:
        """Start as bicubic enlargement: noise and last layer at zero, blocks near identity."""
        if self.noise_levels:
            nn.init.zeros_(self.noise.weight)
        with torch.no_grad():
            for parameter in self.last.parameters():
                parameter.zero_()
            for block in self.trunk:
                cast(ResidualBlock, block).conv2.weight.mul_(0.1)
            for scale, skip in self.skips.items():
                cast(nn.Conv2d, skip).weight.copy_(_bicubic_kernels(int(scale)))

    @property
    def paints(self) -> bool:
        """Whether this is a style; a photo model invents no strokes, so it ignores the noise."""
        return bool(self.noise.weight.any()) if self.noise_levels else self.base is not None

    def multiple_of(self, scale: int) -> int:
        """Inputs at ×1 are divided into 4×4 blocks, at ×2 into 2×2."""
        return TRUNK // scale

    def receptive_field(self, scale: int) -> int:
        """Input pixels on which an output pixel depends, beyond its aligned block on each side."""
        return self._radius * (TRUNK // scale)

    def forward(
        self,
        x: Tensor,
        scale: int = 4,
        seed: int | Sequence[int] = 0,
        origin: tuple[int, int] = (0, 0),
    ) -> Tensor:
        """Enlarge by `scale` and paint.

        Args:
            x: (N, 3, H, W), RGB in [0, 1]; H and W multiples of `multiple_of(scale)`.
            scale: 1, 2 or 4.
            seed: of the noise; one for all pictures, or one each.
            origin: (row, column) of x's first pixel in the whole picture, in input pixels and
                multiples of `multiple_of(scale)`; so a tile gets the noise of its place.

        Returns:
            (N, 3, H·scale, W·scale), about [0, 1] but not clamped.

        Raises:
            InputError: wrong shape, type, factor, seed or origin.
        """
        self.check_input(x, scale)
        block = self.multiple_of(scale)
        if origin[0] % block or origin[1] % block:
            raise InputError(f"at ×{scale} an origin lies on multiples of {block}, got {origin}")
        seeds = list(seed) if isinstance(seed, Sequence) else [seed]
        if len(seeds) not in (1, len(x)):
            raise InputError(f"{len(seeds)} seeds for {len(x)} pictures; give one, or one for each")
        features = self.stems[str(scale)](F.pixel_unshuffle(x, block))  # (N, C, H/b, W/b)
        if self.noise_levels:
            height, width = features.shape[-2:]
            place = (origin[0] // block, origin[1] // block)
            noise = noise_field(height, width, self.noise_levels, seeds, place, x.device)
            features = features + self.noise(noise.to(x.dtype))
        features = self.trunk(features).add_(features)
        skip = x if scale == 1 else self._enlarge(x, scale)
        if torch.is_grad_enabled() or x.device.type != "cpu":
            return self._tail(features) + self.skip_gain * skip
        return self._tail_in_strips(features, skip)

    def _tail(self, features: Tensor) -> Tensor:
        """(N, C, h, w) of the trunk to (N, 3, 4h, 4w) in two steps."""
        features = F.leaky_relu(self.up1(features), 0.1, inplace=True)  # half the output's size
        features = F.leaky_relu(self.up2(features), 0.1, inplace=True)  # the output's size
        return cast(Tensor, self.last(features))

    def _tail_in_strips(self, features: Tensor, skip: Tensor) -> Tensor:
        """The same a few rows at a time: all that lies between then stays in the cache."""
        output, rows, context = torch.empty_like(skip), features.shape[-2], 2
        for start in range(0, rows, STRIP):
            stop = min(start + STRIP, rows)
            first, last = max(start - context, 0), min(stop + context, rows)
            detail = self._tail(features[..., first:last, :])
            detail = detail[..., TRUNK * (start - first) : TRUNK * (stop - first), :]
            part = slice(TRUNK * start, TRUNK * stop)
            torch.add(detail, self.skip_gain * skip[..., part, :], out=output[..., part, :])
        return output

    def _enlarge(self, x: Tensor, scale: int) -> Tensor:
        """The linear path: a 5×5 kernel for each of the scale² sub-pixels, bicubic at first."""
        padded = F.pad(x, (2, 2, 2, 2), mode="replicate")
        return F.pixel_shuffle(self.skips[str(scale)](padded), scale)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside an identity, without normalisation (EDSR, Lim et al., 2017)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return cast(Tensor, self.conv2(F.relu(self.conv1(x), inplace=True))).add_(x)


def noise_field(
    height: int,
    width: int,
    levels: int,
    seed: int | Sequence[int] = 0,
    origin: tuple[int, int] = (0, 0),
    device: torch.device | str = "cpu",
) -> Tensor:
    """Noise as a function of seed, level, row and column: the same for every tiling and device.

    Args:
        height, width: size of the window, in trunk pixels.
        levels: channels; level k varies over 4^(k+1) pixels, bilinearly between its lattice points;
            finer noise than that made a weave, not strokes.
        seed: a whole number, or one for each picture of a batch; its lowest 32 bits count.
        origin: row and column of the window in the whole picture.

    Returns:
        (N, levels, height, width) float32, uniform with unit variance at the lattice points, that
        is in [-√3, √3); N is 1 for a single seed.

    Raises:
        InputError: a seed that is no whole number.
    """
    each = list(seed) if isinstance(seed, Sequence) else [seed]
    if wrong := [s for s in each if type(s) is not int]:
        raise InputError(f"a seed is a whole number, got {wrong[0]!r}")
    seeds = torch.tensor([s % 2**32 for s in each], device=device)
    channels = []
    for level in range(levels):
        step = NOISE_STEP ** (level + 1)
        top, row_weight = _lattice(height, origin[0], step, device)
        left, column_weight = _lattice(width, origin[1], step, device)
        rows = torch.arange(int(top[0]), int(top[-1]) + 2, device=device)
        columns = torch.arange(int(left[0]), int(left[-1]) + 2, device=device)
        grid = _hash(seeds[:, None, None], level, rows[:, None], columns)  # (N, R, C)
        top, left = top - rows[0], left - columns[0]
        grid = torch.lerp(grid[:, top], grid[:, top + 1], row_weight[:, None])
        channels.append(torch.lerp(grid[:, :, left], grid[:, :, left + 1], column_weight))
    return torch.stack(channels, 1) * math.sqrt(3)


def _lattice(
    length: int, start: int, step: int, device: torch.device | str
) -> tuple[Tensor, Tensor]:
    """For each pixel the lattice point before it and how far it is towards the next one."""
    place = 2 * torch.arange(start, start + length, device=device) + 1 - step  # centres, doubled
    before = torch.div(place, 2 * step, rounding_mode="floor")
    return before, (place - before * 2 * step).float() / (2 * step)


def _hash(seed: Tensor, level: int, row: Tensor, column: Tensor) -> Tensor:
    """Integer hash of 32 bits (the finaliser of MurmurHash3), as float32 in [-1, 1)."""
    mask = 0xFFFFFFFF
    h = (seed * 0x9E3779B1 + level * 0x85EBCA77) & mask
    for value in (row, column):
        h = (h ^ ((value * 0xC2B2AE3D) & mask)) & mask
        h = ((h ^ (h >> 16)) * 0x85EBCA6B) & mask
        h = ((h ^ (h >> 13)) * 0xC2B2AE35) & mask
        h = h ^ (h >> 16)
    return (h >> 8).float() / 2**23 - 1  # 24 bits are exact in float32


def _check_base(base: str | None, sha256: str | None) -> None:
    if base is None and sha256 is None:
        return
    if not isinstance(base, str) or not 0 < len(base) <= 128:
        raise InputError(f"base must be the name of a model, got {base!r}")
    if not isinstance(sha256, str) or not re.fullmatch("[0-9a-f]{64}", sha256):
        raise InputError(f"base_sha256 must be the 64 hex digits of {base}, got {sha256!r}")


def _bicubic_kernels(scale: int) -> Tensor:
    """Kernels (3·scale², 3, 5, 5) that interpolate bicubically (a = -0.5) each sub-pixel."""
    eye = torch.eye(5).view(5, 1, 1, 5)  # the answer to an impulse at each of five pixels
    taps = resize(eye, (1, 5 * scale))[:, 0, 0, 2 * scale : 3 * scale].T  # (scale, 5)
    planes = torch.einsum("iy,jx->ijyx", taps, taps).reshape(scale**2, 5, 5)
    kernels = torch.zeros(3, scale**2, 3, 5, 5)
    for channel in range(3):
        kernels[channel, :, channel] = planes
    return kernels.flatten(0, 1)


def _upsampler(channels: int, out_channels: int) -> nn.Sequential:
    """×2 by a 3×3 convolution and pixel shuffle (Shi et al., 2016), ICNR-initialised."""
    conv = nn.Conv2d(channels, 4 * out_channels, 3, padding=1)
    with torch.no_grad():  # the four sub-pixels start equal: no checkerboard (Aitken et al., 2017)
        conv.weight.copy_(conv.weight[::4].repeat_interleave(4, 0))
        cast(Tensor, conv.bias).zero_()
    return nn.Sequential(conv, nn.PixelShuffle(2))
