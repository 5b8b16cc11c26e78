"""UNetGenerator: from a drawing, a map, a gray picture to what belongs to it; that of pix2pix.

Isola et al., CVPR 2017, https://arxiv.org/abs/1611.07004: an encoder down to a single pixel and a
decoder back, each level of which also sees the encoder's features of its size.
"""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stylesr.errors import InputError
from stylesr.models.base import Generator, check_range
from stylesr.models.stylesr_net import noise_field

__all__ = ["UNetGenerator"]

DROPPED = 3  # levels of the decoder, from the lowest


class UNetGenerator(Generator):
    """Translates a picture at its own size.

    Instance normalisation stands where the paper has batch normalisation over one picture, which
    is the same; so no result depends on the batch. It reads the mean and the variance of the whole
    picture, and the lowest level all of it, so `receptive_field` is None.

    Args:
        channels: width at half the size, 4 to 128, as published 64; doubled with each halving, up
            to eight times that.
        levels: how often the size is halved, 2 to 8; as published 8, for pictures of 256 pixels.
        dropout: share of the features that training drops at the decoder's three lowest levels, 0
            to 0.9. The paper drops them in use as well, for variety; here a result repeats.
        noise_levels: channels of seeded noise at half the size, 0 to 4, as published 0. Without
            any, marks that no place in the picture calls for, such as strokes on a plain wall, can
            only be a pattern. Training draws a seed for each picture; in use it is always 0.

    Raises:
        InputError: a value out of these bounds.
    """

    scales = (1,)

    def __init__(
        self, channels: int = 64, levels: int = 8, dropout: float = 0.5, noise_levels: int = 0
    ) -> None:
        super().__init__()
        check_range("channels", channels, 4, 128)
        check_range("levels", levels, 2, 8)
        check_range("noise_levels", noise_levels, 0, 4)
        if isinstance(dropout, bool) or not isinstance(dropout, int | float):
            raise InputError(f"dropout must be a number, got {dropout!r}")
        if not 0 <= dropout <= 0.9:
            raise InputError(f"dropout must be from 0 to 0.9, got {dropout}")
        self.size = 2**levels  # of what becomes a pixel
        widths = [channels * 2 ** min(level, 3) for level in range(levels)]
        self.first = nn.Conv2d(3, channels, 4, stride=2, padding=1)
        self.noise_levels = noise_levels
        if noise_levels:
            self.noise = nn.Conv2d(noise_levels, channels, 3, padding=1, bias=False)
        self.down = nn.ModuleList(_down(before, after) for before, after in pairwise(widths[:-1]))
        self.lowest = nn.Conv2d(widths[-2], widths[-1], 4, stride=2, padding=1)  # may be a pixel
        self.up = nn.ModuleList()
        for place, (after, before) in enumerate(reversed([*pairwise(widths)])):
            skip = before if place else 0  # the lowest level has none beside it
            share = float(dropout) if place < DROPPED else 0.0
            self.up.append(_up(before + skip, after, share))
        self.last = nn.ConvTranspose2d(2 * channels, 3, 4, stride=2, padding=1)

    @property
    def min_size(self) -> int:  # type: ignore[override]
        """What becomes a pixel at the lowest level."""
        return self.size

    def multiple_of(self, scale: int) -> int:
        """The size is halved at each level."""
        return self.size

    @property
    def paints(self) -> bool:
        """It does."""
        return True

    def receptive_field(self, scale: int) -> None:
        """None: the normalisation reads the whole picture."""
        return None

    def forward(self, x: Tensor, scale: int = 1) -> Tensor:
        """Translate.

        Args:
            x: (N, 3, H, W), RGB in [0, 1]; H and W multiples of 2^levels.
            scale: 1.

        Returns:
            (N, 3, H, W) in [0, 1].

        Raises:
            InputError: wrong shape, type or factor.
        """
        self.check_input(x, scale)
        features = [self.first(2 * x - 1)]  # (N, C, H/2, W/2)
        if self.noise_levels:
            seeds = torch.randint(2**31, (len(x),)).tolist() if self.training else 0
            height, width = features[0].shape[-2:]
            field = noise_field(height, width, self.noise_levels, seeds, device=x.device)
            features[0] = features[0] + self.noise(field.to(x.dtype))
        for down in self.down:
            features.append(down(F.leaky_relu(features[-1], 0.2)))
        x = self.lowest(F.leaky_relu(features[-1], 0.2))  # (N, 8C, H/2^levels, W/2^levels)
        for up in self.up:
            x = torch.cat([up(F.relu(x)), features.pop()], 1)
        result = cast(Tensor, self.last(F.relu(x))).tanh()  # in [-1, 1]
        return (result + 1) / 2


def _down(channels: int, out_channels: int) -> nn.Sequential:
    """(N, C, H, W) to (N, C', H/2, W/2)."""
    conv = nn.Conv2d(channels, out_channels, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.InstanceNorm2d(out_channels))


def _up(channels: int, out_channels: int, dropout: float) -> nn.Sequential:
    """(N, C, H, W) to (N, C', 2H, 2W)."""
    conv = nn.ConvTranspose2d(channels, out_channels, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.InstanceNorm2d(out_channels), nn.Dropout(dropout))
