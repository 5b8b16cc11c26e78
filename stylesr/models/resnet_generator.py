"""ResnetGenerator: pictures of one kind to pictures of another, the generator of CycleGAN.

Zhu et al., ICCV 2017, https://arxiv.org/abs/1703.10593; the network is that of Johnson et al.
(2016) with instance normalisation, transposed convolutions and a tanh at its end.
"""

from typing import ClassVar, cast

from torch import Tensor, nn

from stylesr.models.base import Generator, check_range
from stylesr.models.instance_norm import InstanceNormalised

__all__ = ["ResnetGenerator"]


class ResnetGenerator(InstanceNormalised, Generator):
    """Repaints a picture at its own size.

    Instance normalisation reads means and variances of the whole picture: for tiles take them
    beforehand, by `pinned`. Otherwise they get other colours and contrasts than the whole.

    Args:
        channels: width at full size, 4 to 128, as published 64; twice and four times that at half
            and at a quarter.
        blocks: residual blocks, 1 to 16; as published 9, or 6 for crops of 128 pixels.

    Raises:
        InputError: a value out of these bounds.
    """

    scales = (1,)
    min_size: ClassVar[int] = 8  # reflection needs 2 pixels at a quarter, 4 at full size

    def __init__(self, channels: int = 64, blocks: int = 9) -> None:
        super().__init__()
        full = check_range("channels", channels, 4, 128)
        check_range("blocks", blocks, 1, 16)
        half, quarter = 2 * full, 4 * full
        self._radius = 8 * blocks + 12  # two 3×3 convolutions a block at a quarter, and the rest
        self.encoder = nn.Sequential(
            nn.Conv2d(3, full, 7, padding=3, padding_mode="reflect"),
            *_normalised(full),
            nn.Conv2d(full, half, 3, stride=2, padding=1),
            *_normalised(half),
            nn.Conv2d(half, quarter, 3, stride=2, padding=1),
            *_normalised(quarter),
        )
        self.blocks = nn.Sequential(*(ResidualBlock(quarter) for _ in range(blocks)))
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(quarter, half, 3, stride=2, padding=1, output_padding=1),
            *_normalised(half),
            nn.ConvTranspose2d(half, full, 3, stride=2, padding=1, output_padding=1),
            *_normalised(full),
            nn.Conv2d(full, 3, 7, padding=3, padding_mode="reflect"),
            nn.Tanh(),
        )

    def multiple_of(self, scale: int) -> int:
        """The size is halved twice."""
        return 4

    @property
    def paints(self) -> bool:
        """It does."""
        return True

    def receptive_field(self, scale: int) -> int:
        """Input pixels on which an output pixel depends beside the statistics."""
        return self._radius

    def forward(self, x: Tensor, scale: int = 1) -> Tensor:
        """Translate.

        Args:
            x: (N, 3, H, W), RGB in [0, 1]; H and W multiples of 4 from 8.
            scale: 1.

        Returns:
            (N, 3, H, W) in [0, 1].

        Raises:
            InputError: wrong shape, type or factor.
        """
        self.check_input(x, scale)
        features = self.encoder(2 * x - 1)  # (N, 4C, H/4, W/4)
        result: Tensor = self.decoder(self.blocks(features))  # in [-1, 1]
        return (result + 1) / 2


class ResidualBlock(nn.Module):
    """Two convolutions with instance normalisation beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            *_normalised(channels),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return x + cast(Tensor, self.layers(x))


def _normalised(channels: int) -> tuple[nn.Module, nn.Module]:
    """Without gain and shift, as published."""
    return nn.InstanceNorm2d(channels), nn.ReLU()
