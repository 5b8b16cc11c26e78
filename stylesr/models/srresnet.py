"""SRResNet: residual blocks at the input's size, and SRGAN's generator (Ledig et al., 2017).

https://arxiv.org/abs/1609.04802: trained on pixels alone it is SRResNet, trained further against a
discriminator SRGAN; the network is the same.
"""

from typing import cast

from torch import Tensor, nn

from stylesr.models.base import Generator, check_range

__all__ = ["SRResNet"]

STEPS = {2: (2,), 3: (3,), 4: (2, 2)}  # pixel shuffles, for each factor


class SRResNet(Generator):
    """Enlarges by one factor.

    Without the paper's batch normalisation: Lim et al. (2017, https://arxiv.org/abs/1707.02921)
    found that it costs accuracy, and a result must not depend on the pictures of a batch.

    Args:
        channels: width, 4 to 256.
        blocks: residual blocks, 1 to 32.
        scale: the factor, 2 to 4.

    Raises:
        InputError: a value out of these bounds.
    """

    def __init__(self, channels: int = 64, blocks: int = 16, scale: int = 4) -> None:
        super().__init__()
        check_range("channels", channels, 4, 256)
        check_range("blocks", blocks, 1, 32)
        self.scale = check_range("scale", scale, 2, 4)
        self.scales = (scale,)
        self.first = nn.Sequential(nn.Conv2d(3, channels, 9, padding=4), nn.PReLU())
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.middle = nn.Conv2d(channels, channels, 3, padding=1)
        self.up = nn.Sequential(*(_upsampler(channels, step) for step in STEPS[scale]))
        self.last = nn.Conv2d(channels, 3, 9, padding=4)
        self._radius = 2 * blocks + 8

    def receptive_field(self, scale: int) -> int:
        """4 for the first layer, 2 a block, 1 for the middle, and 3 for all that comes after."""
        return self._radius

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
        features = self.first(2 * x - 1)  # (N, C, H, W)
        features = features + self.middle(self.blocks(features))
        result: Tensor = self.last(self.up(features))  # in [-1, 1]
        return (result + 1) / 2


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.act = nn.PReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return x + cast(Tensor, self.conv2(self.act(self.conv1(x))))


def _upsampler(channels: int, step: int) -> nn.Sequential:
    """(N, C, H, W) to (N, C, H·step, W·step)."""
    conv = nn.Conv2d(channels, channels * step**2, 3, padding=1)
    return nn.Sequential(conv, nn.PixelShuffle(step), nn.PReLU())
