"""RRDBNet: the generator of ESRGAN and of Real-ESRGAN (Wang et al., 2018 and 2021).

https://arxiv.org/abs/1809.00219 and https://arxiv.org/abs/2107.10833: dense blocks within residual
blocks, at a quarter of the output's size whatever the factor. Parameters are named as upstream.
"""

from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stylesr.errors import InputError
from stylesr.models.base import Generator, check_range

__all__ = ["RRDBNet"]

TRUNK = 4  # the output is this many times the trunk's size
DAMPING = 0.2  # of what a block adds to its input


class RRDBNet(Generator):
    """Enlarges by one factor; at ×2 and ×1 the input is folded into channels first.

    Args:
        channels: width, 4 to 256.
        blocks: 1 to 32; each has three dense blocks of five convolutions.
        growth: channels that each convolution of a dense block adds, 2 to 128.
        scale: the factor: 1, 2 or 4.

    Raises:
        InputError: a value out of these bounds.
    """

    min_size: ClassVar[int] = 4

    def __init__(
        self, channels: int = 64, blocks: int = 23, growth: int = 32, scale: int = 4
    ) -> None:
        super().__init__()
        check_range("channels", channels, 4, 256)
        check_range("blocks", blocks, 1, 32)
        check_range("growth", growth, 2, 128)
        if check_range("scale", scale, 1, 4) == 3:
            raise InputError(f"scale must be 1, 2 or 4, got {scale}")
        self.scale = scale
        self.scales = (scale,)
        self.conv_first = nn.Conv2d(3 * (TRUNK // scale) ** 2, channels, 3, padding=1)
        self.body = nn.Sequential(*(ResidualDenseBlocks(channels, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_up1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_up2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_hr = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_last = nn.Conv2d(channels, 3, 3, padding=1)
        self._radius = 15 * blocks + 4  # trunk pixels

    def multiple_of(self, scale: int) -> int:
        """Inputs at ×2 are folded from 2×2 pixels, at ×1 from 4×4."""
        return TRUNK // scale

    def receptive_field(self, scale: int) -> int:
        """In the trunk 15 pixels a block, 1 each for two convolutions, and 2 for all after it."""
        return self._radius * (TRUNK // scale)

    def forward(self, x: Tensor, scale: int | None = None) -> Tensor:
        """Enlarge.

        Args:
            x: (N, 3, H, W), RGB in [0, 1]; H and W multiples of 4 / scale.
            scale: the network's own factor, or None.

        Returns:
            (N, 3, H·scale, W·scale), about [0, 1] but not clamped.

        Raises:
            InputError: wrong shape, type or factor.
        """
        self.check_input(x, self.scale if scale is None else scale)
        x = F.pixel_unshuffle(x, TRUNK // self.scale)
        features = self.conv_first(x)  # (N, C, h, w)
        features = features + self.conv_body(self.body(features))
        for conv in (self.conv_up1, self.conv_up2):  # to (N, C, 4h, 4w)
            features = F.leaky_relu(conv(F.interpolate(features, scale_factor=2)), 0.2)
        return cast(Tensor, self.conv_last(F.leaky_relu(self.conv_hr(features), 0.2)))


class ResidualDenseBlocks(nn.Module):
    """Three dense blocks beside an identity."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(channels, growth)
        self.rdb2 = DenseBlock(channels, growth)
        self.rdb3 = DenseBlock(channels, growth)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return x + DAMPING * cast(Tensor, self.rdb3(self.rdb2(self.rdb1(x))))


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees what all before it made."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, growth, 3, padding=1)
        self.conv2 = nn.Conv2d(channels + growth, growth, 3, padding=1)
        self.conv3 = nn.Conv2d(channels + 2 * growth, growth, 3, padding=1)
        self.conv4 = nn.Conv2d(channels + 3 * growth, growth, 3, padding=1)
        self.conv5 = nn.Conv2d(channels + 4 * growth, channels, 3, padding=1)
        with torch.no_grad():  # as in the paper: small, so that deep networks start gently
            for conv in self.children():
                cast(nn.Conv2d, conv).weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        features = x
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            features = torch.cat([features, F.leaky_relu(conv(features), 0.2)], 1)
        return x + DAMPING * cast(Tensor, self.conv5(features))
