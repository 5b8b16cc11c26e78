"""SPAN: swift parameter-free attention network (Wan et al., CVPR Workshops 2024).

https://arxiv.org/abs/2311.12770: the winner of the NTIRE 2024 challenge on efficient
super-resolution. A block's own result, through an odd function, says how much of it counts.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stylesr.errors import InputError
from stylesr.models.base import Generator, check_range

__all__ = ["SPAN"]

BLOCKS = 6
MEAN = (0.4488, 0.4371, 0.4040)  # RGB of the pictures that it was published with


class SPAN(Generator):
    """Enlarges by one factor.

    Its 3×3 convolutions are the fused ones, in which the paper's three branches, used for training
    only, end up; here they are trained as they are.

    Args:
        channels: width, 4 to 256.
        scale: the factor, 1 to 4.
        centred: whether the input is shifted by a mean and stretched to 0…255, as published.

    Raises:
        InputError: a value out of these bounds.
    """

    mean: Tensor

    def __init__(self, channels: int = 48, scale: int = 4, centred: bool = True) -> None:
        super().__init__()
        check_range("channels", channels, 4, 256)
        self.scale = check_range("scale", scale, 1, 4)
        self.scales = (scale,)
        if not isinstance(centred, bool):
            raise InputError(f"centred must be true or false, got {centred!r}")
        self.centred = centred
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.ModuleList(AttentionBlock(channels) for _ in range(BLOCKS))
        self.last = nn.Conv2d(channels, channels, 3, padding=1)
        self.mix = nn.Conv2d(4 * channels, channels, 1)
        self.upsampler = nn.Conv2d(channels, 3 * scale**2, 3, padding=1)

    def receptive_field(self, scale: int) -> int:
        """One pixel on each side for each 3×3 convolution."""
        return 3 * BLOCKS + 3

    def forward(self, x: Tensor, scale: int | None = None) -> Tensor:
        """Enlarge.

        Args:
            x: (N, 3, H, W), RGB in [0, 1].
            scale: the network's own factor, or None.

        Returns:
            (N, 3, H·scale, W·scale), about [0, 1] but not clamped.

        Raises:
            InputError: wrong shape, type or factor.
        """
        self.check_input(x, self.scale if scale is None else scale)
        if self.centred:
            x = 255 * (x - self.mean)
        first = features = self.first(x)  # (N, C, H, W)
        kept = []
        for block in self.blocks:
            features, inner = block(features)
            kept.append((features, inner))
        all_of_them = torch.cat([first, self.last(features), kept[0][0], kept[-1][1]], 1)
        return F.pixel_shuffle(self.upsampler(self.mix(all_of_them)), self.scale)


class AttentionBlock(nn.Module):
    """Three 3×3 convolutions, and attention by their result itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv3 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) to two of that shape: the result, and what the first layer made."""
        inner = F.silu(self.conv1(x))
        features = cast(Tensor, self.conv3(F.silu(self.conv2(inner))))
        return (features + x) * (features.sigmoid() - 0.5), inner
