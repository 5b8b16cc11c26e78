"""MicroAST: a picture in the style of any other (Wang et al., AAAI 2023).

https://arxiv.org/abs/2211.15313: two small encoders, and a decoder whose features take the style's
means and deviations (AdaIN, Huang and Belongie, 2017, https://arxiv.org/abs/1703.06868) and whose
convolutions are weighed by numbers read from the style.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, TypeAlias, cast

from torch import Tensor, nn
from torch.nn import functional as F

from stylesr.errors import InputError
from stylesr.models.base import Generator, check_range

__all__ = ["MicroAST", "Statistics", "StyleCode"]

Statistics: TypeAlias = tuple[Tensor, Tensor]  # mean and deviation of each map: (N, C, 1, 1) each


class StyleCode(NamedTuple):
    """What the network keeps of a style image; N may be 1 for a batch of photos.

    Attributes:
        means, deviations: of the style's features, first the shallow ones: (N, C, 1, 1) each.
        weights, biases: for the decoder's convolutions, in the same order: (N, C, 1, 1) each.
    """

    means: tuple[Tensor, Tensor]
    deviations: tuple[Tensor, Tensor]
    weights: tuple[Tensor, Tensor]
    biases: tuple[Tensor, Tensor]


class MicroAST(Generator):
    """Repaints a picture at its own size in the style of another picture.

    It reads means and deviations of the whole picture, so `receptive_field` is None: tiles get
    other colours and contrasts than the whole.

    Args:
        channels: width at full size, 2 to 64; twice and four times that at half and at a quarter.

    Raises:
        InputError: a value out of these bounds.
    """

    scales = (1,)
    min_size: ClassVar[int] = 8  # reflection needs 2 pixels at a quarter of the size
    needs_style: ClassVar[bool] = True

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        check_range("channels", channels, 2, 64)
        self.content_encoder = Encoder(channels)
        self.style_encoder = Encoder(channels)
        self.modulator = Modulator(4 * channels)
        self.decoder = Decoder(channels)

    def multiple_of(self, scale: int) -> int:
        """The size is halved twice."""
        return 4

    @property
    def paints(self) -> bool:
        """It does."""
        return True

    def receptive_field(self, scale: int) -> None:
        """None: the network reads means and deviations of the whole picture."""
        return None

    def encode_style(self, style: Tensor) -> StyleCode:
        """Read a style image, (N, 3, H, W), RGB in [0, 1], at least 8×8; for any number of photos.

        Raises:
            InputError: wrong shape or type.
        """
        if style.ndim == 4:  # sides need be no multiples of 4 here
            style = style[..., : style.shape[2] // 4 * 4, : style.shape[3] // 4 * 4]
        self.check_input(style, 1)
        shallow, deep = self.style_encoder(style)
        statistics = [_statistics(shallow), _statistics(deep)]
        weights, biases = self.modulator(shallow, deep)
        means, deviations = zip(*statistics, strict=True)
        return StyleCode(means, deviations, weights, biases)

    def statistics(self, x: Tensor, style: StyleCode) -> list[Statistics]:
        """What the style's means and deviations take the place of, in the order of the decoder.

        Averaged over many photos and given to `forward`, they paint each place by what is around
        it: no photo's contrast is stretched.

        Args:
            x, style: as for `forward`.
        """
        self.check_input(x, 1)
        return self.decoder.restyled(self.content_encoder(x)[1], style)[1]

    def forward(
        self,
        x: Tensor,
        style: Tensor | StyleCode,
        scale: int = 1,
        by: Sequence[Statistics] | None = None,
    ) -> Tensor:
        """Paint.

        Args:
            x: (N, 3, H, W), RGB in [0, 1]; H and W multiples of 4 from 8.
            style: a style image (N or 1, 3, H', W'), RGB in [0, 1], or what `encode_style` read.
            scale: 1.
            by: `statistics` by which to normalise; None for the photo's own.

        Returns:
            (N, 3, H, W), about [0, 1] but not clamped.

        Raises:
            InputError: wrong shape, type or factor.
        """
        self.check_input(x, scale)
        code = style if isinstance(style, StyleCode) else self.encode_style(style)
        if len(code.means[0]) not in (1, len(x)):
            raise InputError(f"{len(code.means[0])} styles for {len(x)} pictures")
        _, content = self.content_encoder(x)
        return cast(Tensor, self.decoder(content, code, by))


class Encoder(nn.Module):
    """Depthwise convolutions to a quarter of the size, and two residual blocks."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        full, half, quarter = channels, 2 * channels, 4 * channels
        self.shallow = nn.Sequential(
            _conv(3, full, 9),
            nn.ReLU(),
            _conv(full, half, 3, stride=2, groups=full),
            nn.ReLU(),
            _conv(half, half, 1),
            nn.ReLU(),
            _conv(half, quarter, 3, stride=2, groups=half),
            nn.ReLU(),
            _conv(quarter, quarter, 1),
            nn.ReLU(),
            ResidualBlock(quarter),
        )
        self.deep = ResidualBlock(quarter)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) to two maps (N, 4C, H/4, W/4)."""
        shallow = self.shallow(x)
        return shallow, self.deep(shallow)


class Modulator(nn.Module):
    """Reads a weight and a bias for each channel of the decoder's blocks from the style."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weights = nn.ModuleList(_conv(channels, channels, 3, groups=channels) for _ in "12")
        self.biases = nn.ModuleList(_conv(channels, channels, 3, groups=channels) for _ in "12")

    def forward(
        self, shallow: Tensor, deep: Tensor
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Two maps (N, C, h, w) to weights and biases, (N, C, 1, 1) for each map."""

        def read(convs: nn.ModuleList) -> tuple[Tensor, Tensor]:
            first, second = convs
            return first(shallow).mean((2, 3), True), second(deep).mean((2, 3), True)

        return read(self.weights), read(self.biases)


class Decoder(nn.Module):
    """Two modulated residual blocks, then two steps of bilinear enlargement."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        full, half, quarter = channels, 2 * channels, 4 * channels
        self.deep = ResidualBlock(quarter)
        self.shallow = ResidualBlock(quarter)
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear"),
            _conv(quarter, half, 3, groups=half),
            nn.ReLU(),
            _conv(half, half, 1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            _conv(half, full, 3, groups=full),
            nn.ReLU(),
            _conv(full, full, 1),
            nn.ReLU(),
            _conv(full, 3, 9),
        )

    def forward(
        self, x: Tensor, style: StyleCode, by: Sequence[Statistics] | None = None
    ) -> Tensor:
        """(N, 4C, h, w) of the content to (N, 3, 4h, 4w)."""
        return cast(Tensor, self.up(self.restyled(x, style, by)[0]))

    def restyled(
        self, x: Tensor, style: StyleCode, by: Sequence[Statistics] | None = None
    ) -> tuple[Tensor, list[Statistics]]:
        """(N, 4C, h, w) to the same, from the style's depth upwards; and what it normalised by."""
        used: list[Statistics] = []
        for level, block in ((1, self.deep), (0, self.shallow)):
            mean, deviation = by[len(used)] if by else _statistics(x)
            used.append((mean, deviation))
            x = (x - mean) / deviation * style.deviations[level] + style.means[level]
            x = block(x, (style.weights[level], style.biases[level]))
        return x, used


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside an identity, that a style can weigh."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _conv(channels, channels, 3)
        self.conv2 = _conv(channels, channels, 3)

    def forward(self, x: Tensor, modulation: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """(N, C, H, W) to the same shape; modulation: a weight for what a convolution gives, and
        one for what it was given."""
        if modulation is None:
            return cast(Tensor, self.conv2(F.relu(self.conv1(x)))) + x
        weight, bias = modulation
        inner = F.relu(weight * self.conv1(x) + bias * x)
        return x + weight * self.conv2(inner) + bias * inner


def _conv(
    channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    padding = kernel // 2
    return nn.Conv2d(
        channels, out_channels, kernel, stride, padding, groups=groups, padding_mode="reflect"
    )


def _statistics(x: Tensor) -> Statistics:
    return x.mean((2, 3), True), (x.var((2, 3), keepdim=True) + 1e-5).sqrt()
