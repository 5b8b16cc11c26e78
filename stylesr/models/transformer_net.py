"""TransformerNet: one trained style, the feed-forward network of fast neural style; and its twin.

Johnson et al., ECCV 2016, https://arxiv.org/abs/1603.08155, with instance normalisation (Ulyanov
et al., 2016, https://arxiv.org/abs/1607.08022), in the form of pytorch/examples: the decoder
repeats pixels before its convolutions where the paper has transposed ones. The name is older than
the transformers with attention, of which it has nothing. The paper's second use of it is
TransformerSRNet: without the way down it enlarges, trained on a perceptual loss alone.
"""

from typing import ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional as F

from stylesr.errors import InputError
from stylesr.models.base import Generator, check_range
from stylesr.models.instance_norm import InstanceNormalised

__all__ = ["TransformerNet", "TransformerSRNet"]


class TransformerNet(InstanceNormalised, Generator):
    """Repaints a picture at its own size.

    Instance normalisation reads means and variances of the whole picture: for tiles take them
    beforehand, by `pinned`. Otherwise they get other colours and contrasts than the whole.

    Args:
        channels: width at full size, 4 to 128; twice and four times that at half and at a quarter.
        blocks: residual blocks, 1 to 16.

    Raises:
        InputError: a value out of these bounds.
    """

    scales = (1,)
    min_size: ClassVar[int] = 8  # reflection needs 2 pixels at a quarter of the size

    def __init__(self, channels: int = 32, blocks: int = 5) -> None:
        super().__init__()
        full = check_range("channels", channels, 4, 128)
        check_range("blocks", blocks, 1, 16)
        half, quarter = 2 * full, 4 * full
        self._radius = 8 * blocks + 16  # two 3×3 convolutions a block at a quarter, and the rest
        self.encoder = nn.Sequential(
            NormalisedConv(3, full, 9),
            nn.ReLU(),
            NormalisedConv(full, half, 3, stride=2),
            nn.ReLU(),
            NormalisedConv(half, quarter, 3, stride=2),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(*(ResidualBlock(quarter) for _ in range(blocks)))
        self.decoder = nn.Sequential(
            nn.Upsample(scale_factor=2),  # nearest
            NormalisedConv(quarter, half, 3),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            NormalisedConv(half, full, 3),
            nn.ReLU(),
            nn.Conv2d(full, 3, 9, padding=4, padding_mode="reflect"),
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
        """Paint.

        Args:
            x: (N, 3, H, W), RGB in [0, 1]; H and W multiples of 4 from 8.
            scale: 1.

        Returns:
            (N, 3, H, W), about [0, 1] but not clamped.

        Raises:
            InputError: wrong shape, type or factor.
        """
        self.check_input(x, scale)
        features = self.encoder(255 * x)  # (N, 4C, H/4, W/4)
        return cast(Tensor, self.decoder(self.blocks(features))) / 255


class TransformerSRNet(Generator):
    """Enlarges by one factor.

    Without normalisation, where the paper has that of batches: a picture keeps its own contrast,
    and a result does not depend on the pictures beside it.

    Args:
        channels: width, 4 to 256.
        blocks: residual blocks, 1 to 16.
        scale: the factor, 2 or 4.

    Raises:
        InputError: a value out of these bounds.
    """

    min_size: ClassVar[int] = 5  # reflection needs 4 pixels beside the first

    def __init__(self, channels: int = 64, blocks: int = 4, scale: int = 4) -> None:
        super().__init__()
        check_range("channels", channels, 4, 256)
        check_range("blocks", blocks, 1, 16)
        self.scale = check_range("scale", scale, 2, 4)
        if scale == 3:
            raise InputError("scale must be 2 or 4, got 3")
        self.scales = (scale,)
        self._radius = 4 + 2 * blocks + (2 if scale == 4 else 3)
        self.first = nn.Sequential(_conv(3, channels, 9), nn.ReLU())
        self.blocks = nn.Sequential(*(PlainBlock(channels) for _ in range(blocks)))
        doublings = [
            part
            for _ in range(scale // 2)
            for part in (nn.Upsample(scale_factor=2), _conv(channels, channels, 3), nn.ReLU())
        ]
        self.decoder = nn.Sequential(*doublings, _conv(channels, 3, 9))

    def receptive_field(self, scale: int) -> int:
        """4 for the first layer, 2 a block, and the rest for what comes at larger sizes."""
        return self._radius

    def forward(self, x: Tensor, scale: int | None = None) -> Tensor:
        """Enlarge.

        Args:
            x: (N, 3, H, W), RGB in [0, 1]; sides of 5 or more.
            scale: the network's own factor, or None.

        Returns:
            (N, 3, H·scale, W·scale), about [0, 1] but not clamped.

        Raises:
            InputError: wrong shape, type or factor.
        """
        self.check_input(x, self.scale if scale is None else scale)
        result: Tensor = self.decoder(self.blocks(self.first(2 * x - 1)))  # in [-1, 1]
        return (result + 1) / 2


class NormalisedConv(nn.Module):
    """A convolution with reflected borders, and instance normalisation with gain and shift."""

    def __init__(self, channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels, out_channels, kernel, stride, kernel // 2, padding_mode="reflect"
        )
        self.norm = nn.InstanceNorm2d(out_channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H/stride, W/stride)."""
        return cast(Tensor, self.norm(self.conv(x)))


class ResidualBlock(nn.Module):
    """Two normalised convolutions beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = NormalisedConv(channels, channels, 3)
        self.conv2 = NormalisedConv(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return cast(Tensor, self.conv2(F.relu(self.conv1(x)))) + x


class PlainBlock(nn.Module):
    """The same without normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _conv(channels, channels, 3)
        self.conv2 = _conv(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return cast(Tensor, self.conv2(F.relu(self.conv1(x)))) + x


def _conv(channels: int, out_channels: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2, padding_mode="reflect")
