"""RLFN: residual local feature network (Kong et al., CVPR Workshops 2022).

https://arxiv.org/abs/2205.07514: the winner in run time of the NTIRE 2022 challenge on efficient
super-resolution. Residual blocks of three convolutions, each weighed by a coarse attention map.
"""

from typing import ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional as F

from stylesr.models.base import Generator, check_range

__all__ = ["RLFN"]


class RLFN(Generator):
    """Enlarges by one factor.

    The attention map is stretched from a few cells to the picture's size, so what a pixel sees
    depends on where the picture ends: `receptive_field` is None, and tiles agree only nearly.

    Args:
        channels: width, 4 to 256.
        blocks: 1 to 32.
        attention_channels: width of the attention, 1 to 64.
        scale: the factor, 1 to 4.

    Raises:
        InputError: a value out of these bounds.
    """

    min_size: ClassVar[int] = 15  # the least from which the attention gets one cell

    def __init__(
        self, channels: int = 52, blocks: int = 6, attention_channels: int = 16, scale: int = 4
    ) -> None:
        super().__init__()
        check_range("channels", channels, 4, 256)
        check_range("blocks", blocks, 1, 32)
        check_range("attention_channels", attention_channels, 1, 64)
        self.scale = check_range("scale", scale, 1, 4)
        self.scales = (scale,)
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.Sequential(
            *(LocalFeatureBlock(channels, attention_channels) for _ in range(blocks))
        )
        self.last = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = nn.Conv2d(channels, 3 * scale**2, 3, padding=1)

    def receptive_field(self, scale: int) -> None:
        """None: the attention is stretched to the picture's size."""
        return None

    def forward(self, x: Tensor, scale: int | None = None) -> Tensor:
        """Enlarge.

        Args:
            x: (N, 3, H, W), RGB in [0, 1], at least 15×15.
            scale: the network's own factor, or None.

        Returns:
            (N, 3, H·scale, W·scale), about [0, 1] but not clamped.

        Raises:
            InputError: wrong shape, type or factor.
        """
        self.check_input(x, self.scale if scale is None else scale)
        features = self.first(255 * x)  # the released weights know pictures in 0…255
        features = self.last(self.blocks(features)) + features
        return F.pixel_shuffle(self.upsampler(features), self.scale) / 255


class LocalFeatureBlock(nn.Module):
    """Three 3×3 convolutions beside an identity, a 1×1 one, and attention."""

    def __init__(self, channels: int, attention_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv3 = nn.Conv2d(channels, channels, 3, padding=1)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.attention = SpatialAttention(channels, attention_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        features = x
        for conv in (self.conv1, self.conv2, self.conv3):
            features = F.leaky_relu(conv(features), 0.05, inplace=True)
        return cast(Tensor, self.attention(self.mix(features + x)))


class SpatialAttention(nn.Module):
    """Enhanced spatial attention (Liu et al., 2020, https://arxiv.org/abs/2009.11551), as RLFN
    thins it out: one convolution on the coarse map instead of three.
    """

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, inner, 1)
        self.fine = nn.Conv2d(inner, inner, 1)
        self.down = nn.Conv2d(inner, inner, 3, stride=2)
        self.coarse = nn.Conv2d(inner, inner, 3, padding=1)
        self.expand = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) times a weight in (0, 1) for each value."""
        reduced = self.reduce(x)
        coarse = F.max_pool2d(self.down(reduced), 7, stride=3)  # about (N, c, H/6, W/6)
        coarse = F.interpolate(self.coarse(coarse), x.shape[-2:], mode="bilinear")
        return x * self.expand(coarse + self.fine(reduced)).sigmoid()
