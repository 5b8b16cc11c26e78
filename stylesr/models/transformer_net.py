"""TransformerNet: one trained style, the feed-forward network of fast neural style.

Johnson et al., ECCV 2016, https://arxiv.org/abs/1603.08155, with instance normalisation (Ulyanov
et al., 2016, https://arxiv.org/abs/1607.08022), in the form of pytorch/examples: the decoder
repeats pixels before its convolutions where the paper has transposed ones. The name is older than
the transformers with attention, of which it has nothing.
"""

from typing import ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional as F

from stylesr.models.base import Generator, check_range
from stylesr.models.instance_norm import InstanceNormalised

__all__ = ["TransformerNet"]


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
