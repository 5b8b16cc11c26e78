"""AdaINNet: a picture in the style of any other, enlarged in the same pass.

Huang and Belongie, ICCV 2017, https://arxiv.org/abs/1703.06868: an encoder, features that take the
style's means and deviations (adaptive instance normalisation), and a decoder.

Where it departs from the paper: it is a StyleSRNet that was cut after a few blocks, so that what
lies before is the encoder and what follows the decoder. Its features are a quarter of the output's
size whatever the factor, seeded noise breaks the tie in flat regions, and as `photo` has taught it
to enlarge, it begins where strength 0 is `photo`. Features are fused at several depths, down to an
eighth of the size, and so are the photo's own colours, by how they vary together. The decoder's
blocks are weighed by numbers read from the fused statistics, as in MicroAST (Wang et al., AAAI
2023, https://arxiv.org/abs/2211.15313). The statistics can be taken beforehand, from a smaller copy
of the picture: then nothing else reads the whole of it and tiles agree.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stylesr.errors import InputError
from stylesr.models.base import Generator, check_range
from stylesr.models.stylesr_net import TRUNK, ResidualBlock, StyleSRNet, noise_field

__all__ = ["AdaINNet", "Features", "Statistics", "mixed"]

COARSE = 2 * TRUNK  # the output is this many times the deeper features' size
ENCODER_BLOCKS = 2
FLOOR = 1e-3  # added to a variance: what is flat is not blown up to noise


class Features(NamedTuple):
    """What the encoder sees of pictures, at the depths that are fused.

    Attributes:
        colors: (N, 3, H, W), the pictures themselves.
        patches: (N, C, h, w) at a quarter of the output's size: blocks of pixels, a linear map.
        fine: (N, C, h, w).
        coarse: (N, D, h/2, w/2).
    """

    colors: Tensor
    patches: Tensor
    fine: Tensor
    coarse: Tensor


class Statistics(NamedTuple):
    """What is kept of pictures; N is 1, or their number.

    Attributes:
        means, deviations: of `Features`, (N, C, 1, 1) each, for each depth.
        covariance: of the colours, (N, 3, 3).
    """

    means: tuple[Tensor, ...]
    deviations: tuple[Tensor, ...]
    covariance: Tensor


class AdaINNet(Generator):
    """One generator for any style, shown as a picture, and for super-resolution in it.

    Args:
        channels: width at a quarter of the output's size, 8 to 128.
        blocks: residual blocks there, 3 to 32; the first two are the encoder's.
        coarse_channels: width at an eighth of the output's size, 8 to 256.
        tail_channels: width at half and at full output size, each 4 to 64.
        noise_levels: seeded noise channels, that vary over 16, 64, 256 … output pixels, 1 to 4.
        base: name of the model from which it was cut, which enlarges for it in a pipeline.

    Raises:
        InputError: a value out of these bounds.
    """

    scales: tuple[int, ...] = (1, 2, 4)
    min_size: ClassVar[int] = 4
    needs_style: ClassVar[bool] = True

    def __init__(
        self,
        channels: int = 48,
        blocks: int = 6,
        coarse_channels: int = 96,
        tail_channels: Sequence[int] = (24, 8),
        noise_levels: int = 3,
        base: str = "photo",
    ) -> None:
        super().__init__()
        check_range("channels", channels, 8, 128)
        check_range("blocks", blocks, ENCODER_BLOCKS + 1, 32)
        check_range("coarse_channels", coarse_channels, 8, 256)
        check_range("noise_levels", noise_levels, 1, 4)
        if not isinstance(base, str) or not 0 < len(base) <= 128:
            raise InputError(f"base must be the name of a model, got {base!r}")
        self.noise_levels, self.base = noise_levels, base
        self._radius = 2 * blocks + 19  # trunk pixels that an output pixel sees on each side

        source = StyleSRNet(channels, blocks, tail_channels, noise_levels)
        self.stems, self.noise, self.trunk = source.stems, source.noise, source.trunk
        self.up1, self.up2, self.last = source.up1, source.up2, source.last
        self.skips, self.skip_gain = source.skips, source.skip_gain
        self.down = nn.Conv2d(channels, coarse_channels, 3, stride=2, padding=1)
        self.coarse = ResidualBlock(coarse_channels)

        depths = (3, channels, channels, coarse_channels)
        widths = 2 * (blocks - ENCODER_BLOCKS) * [channels] + [*tail_channels]
        self.modulator = Modulator(2 * sum(depths), channels, widths)
        self.coarse_decoder = nn.Sequential(*(ResidualBlock(coarse_channels) for _ in range(2)))
        self.widen = nn.Conv2d(coarse_channels, channels, 3, padding=1)
        nn.init.normal_(self.noise.weight)  # heard as far as the gains learn to let it
        nn.init.zeros_(self.widen.weight)
        nn.init.zeros_(cast(Tensor, self.widen.bias))

    @classmethod
    def from_photo(
        cls, photo: StyleSRNet, base: str = "photo", coarse_channels: int = 96
    ) -> "AdaINNet":
        """A network to train, which at strength 0 is `photo`; `base` is that model's name.

        `photo` may also be a style: painting is then learnt from its strokes on.

        Raises:
            InputError: `photo` has fewer blocks than are cut, or no noise.
        """
        config = {k: v for k, v in photo.config.items() if not k.startswith("base")}
        net = cls(**config, coarse_channels=coarse_channels, base=base)
        state = photo.state_dict()
        shared = {k: v for k, v in state.items() if photo.paints or not k.startswith("noise")}
        net.load_state_dict({**net.state_dict(), **shared})
        if photo.paints:
            nn.init.ones_(cast(Tensor, net.modulator.last.bias)[1 : 1 + net.noise.out_channels])
        return net

    def multiple_of(self, scale: int) -> int:
        """The coarse features are an eighth of the output's size."""
        return COARSE // scale

    def receptive_field(self, scale: int) -> int:
        """Input pixels on which an output pixel depends beside the statistics.

        That holds where `forward` is given the photo's statistics; without, it reads them from the
        picture as a whole.
        """
        return -(-self._radius // 2) * self.multiple_of(scale)

    @property
    def paints(self) -> bool:
        """It does."""
        return True

    # -- what is read from pictures -------------------------------------------------------------

    def encode(self, x: Tensor, scale: int = 1) -> Features:
        """Features of pictures (N, 3, H, W), RGB in [0, 1], sides multiples of `multiple_of`."""
        patches = self.stems[str(scale)](F.pixel_unshuffle(x, TRUNK // scale))
        fine = self.trunk[:ENCODER_BLOCKS](patches)
        return Features(x, patches, fine, self.coarse(F.relu(self.down(fine))))

    def read(self, picture: Tensor, scale: int = 1) -> Statistics:
        """Read pictures once, for `forward`: a style image, or a photo to be painted in tiles.

        Args:
            picture: (N, 3, H, W), RGB in [0, 1]; what is over a multiple of `multiple_of(scale)`
                is left out.
            scale: 1 for a style image; for a photo the factor it will be painted by.

        Raises:
            InputError: wrong shape, type or factor.
        """
        if picture.ndim == 4 and scale in self.scales:
            unit = self.multiple_of(scale)
            height, width = (max(side // unit, 1) * unit for side in picture.shape[-2:])
            picture = picture[..., :height, :width]
        self.check_input(picture, scale)
        return statistics(self.encode(picture, scale))

    # -- painting ---------------------------------------------------------------------------------

    def forward(
        self,
        x: Tensor,
        style: Tensor | Statistics,
        scale: int = 1,
        *,
        content: Statistics | None = None,
        strength: float = 1.0,
        seed: int | Sequence[int] = 0,
        origin: tuple[int, int] = (0, 0),
    ) -> Tensor:
        """Enlarge by `scale` and paint.

        Args:
            x: (N, 3, H, W), RGB in [0, 1]; H and W multiples of `multiple_of(scale)`.
            style: style images (N or 1, 3, H', W'), RGB in [0, 1], or what `read` or `mixed` gave.
            scale: 1, 2 or 4.
            content: what `read` gave of the whole photo at this scale, where x is a tile of it;
                None reads x.
            strength: 0 for the photo's own statistics, 1 for the style's, more for more of it;
                features in between.
            seed: of the noise; one for all pictures, or one each.
            origin: (row, column) of x's first pixel in the whole picture, multiples of
                `multiple_of(scale)`; so a tile gets the noise of its place.

        Returns:
            (N, 3, H·scale, W·scale), about [0, 1] but not clamped.

        Raises:
            InputError: wrong shape, type, factor, seed or origin, or another number of styles.
        """
        self.check_input(x, scale)
        unit = self.multiple_of(scale)
        if origin[0] % unit or origin[1] % unit:
            raise InputError(f"at ×{scale} an origin lies on multiples of {unit}, got {origin}")
        seeds = list(seed) if isinstance(seed, Sequence) else [seed]
        if len(seeds) not in (1, len(x)):
            raise InputError(f"{len(seeds)} seeds for {len(x)} pictures; give one, or one for each")
        style = style if isinstance(style, Statistics) else self.read(style)
        if len(style.means[0]) not in (1, len(x)):
            raise InputError(f"{len(style.means[0])} styles for {len(x)} pictures")
        features = self.encode(x, scale)
        return self.paint(features, style, scale, content, strength, seeds, origin)

    def paint(
        self,
        features: Features,
        style: Statistics,
        scale: int,
        content: Statistics | None = None,
        strength: float = 1.0,
        seeds: Sequence[int] = (0,),
        origin: tuple[int, int] = (0, 0),
    ) -> Tensor:
        """What `forward` does with the features of a photo."""
        own = content or statistics(features)
        fused = mixed([own, style], [1 - strength, strength])
        colors, patches, fine, coarse = fuse(features, own, fused)
        gain, noise_gain, weights = self.modulator(fused)
        weigh = iter(weights)

        height, width = fine.shape[-2:]
        place = (origin[0] * scale // TRUNK, origin[1] * scale // TRUNK)
        noise = noise_field(height, width, self.noise_levels, seeds, place, fine.device)
        coarse = F.relu(self.coarse_decoder(coarse))
        x = fine + self.widen(F.interpolate(coarse, scale_factor=2, mode="bilinear"))
        x = x + noise_gain * self.noise(noise.to(x))  # (N, C, h, w)
        for block in cast("list[ResidualBlock]", list(self.trunk)[ENCODER_BLOCKS:]):
            inner = F.relu(weighed(block.conv1(x), next(weigh)))
            x = x + weighed(block.conv2(inner), next(weigh))
        x = x + patches
        x = F.leaky_relu(weighed(self.up1(x), next(weigh)), 0.1)  # half the output's size
        x = F.leaky_relu(weighed(self.up2(x), next(weigh)), 0.1)  # the output's size
        if scale > 1:
            padded = F.pad(colors, (2, 2, 2, 2), mode="replicate")
            colors = F.pixel_shuffle(self.skips[str(scale)](padded), scale)
        return cast(Tensor, self.last(x)) + (self.skip_gain + gain) * colors


class Modulator(nn.Module):
    """Reads from fused statistics how the decoder is to paint.

    Args:
        numbers: of which the statistics consist.
        channels: of the noise.
        widths: channels of the maps that are weighed.
    """

    usual: Tensor
    spread: Tensor

    def __init__(
        self, numbers: int, channels: int, widths: Sequence[int], hidden: int = 128
    ) -> None:
        super().__init__()
        self.parts = (1, channels, *(2 * width for width in widths))
        self.register_buffer("usual", torch.zeros(numbers))
        self.register_buffer("spread", torch.ones(numbers))
        self.first = nn.Linear(numbers, hidden)
        self.last = nn.Linear(hidden, sum(self.parts))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    @torch.no_grad()
    def calibrate(self, styles: Statistics) -> None:
        """Take these for the usual styles: what sets one apart from them is what counts."""
        numbers = in_a_row(styles)
        self.usual.copy_(numbers.mean(0))
        self.spread.copy_(numbers.std(0).clamp_min(1e-3))

    def forward(self, fused: Statistics) -> tuple[Tensor, Tensor, list[Tensor]]:
        """What to add to the gain of the photo's pixels, gains of the noise, weights of the maps.

        Of shapes (N, 1, 1, 1), (N, C, 1, 1) and (N, 2·width, 1, 1) each.
        """
        numbers = (in_a_row(fused) - self.usual) / self.spread
        read = self.last(F.relu(self.first(numbers.to(self.first.weight))))[..., None, None]
        gain, noise_gain, *weights = read.split(self.parts, 1)
        return gain, noise_gain, weights


def in_a_row(read: Statistics) -> Tensor:
    """Means and deviations as (N, numbers)."""
    return torch.cat([x.flatten(1) for x in (*read.means, *read.deviations)], 1)


def weighed(x: Tensor, weights: Tensor) -> Tensor:
    """Channels multiplied by a factor near 1 and moved: the first and the second half."""
    factor, shift = weights.chunk(2, 1)
    return (1 + factor) * x + shift


def statistics(features: Features) -> Statistics:
    """Mean and deviation of each map at each depth, and how colours vary together; float32."""
    pairs = [torch.var_mean(x.float(), (2, 3), correction=0, keepdim=True) for x in features]
    variances, means = zip(*pairs, strict=True)
    deviations = tuple((variance + FLOOR).sqrt() for variance in variances)
    colors = (features.colors.float() - means[0]).flatten(2).double()  # (N, 3, H·W)
    covariance = colors @ colors.mT / colors.shape[-1] + FLOOR * torch.eye(3).to(colors)
    return Statistics(means, deviations, covariance.float())


def fuse(features: Features, own: Statistics, new: Statistics) -> Features:
    """Features whose means, and deviations or covariance, were `own` and are to be `new`."""
    maps = [
        (x - mean.to(x)) * (new_deviation / deviation).to(x) + new_mean.to(x)
        for x, mean, deviation, new_mean, new_deviation in zip(
            features, own.means, own.deviations, new.means, new.deviations, strict=True
        )
    ][1:]
    turn = color_map(own.covariance, new.covariance).to(features.colors)[..., None, None]
    red, green, blue = (features.colors - own.means[0].to(turn)).unsqueeze(1).unbind(2)
    colors = turn[:, :, 0] * red + turn[:, :, 1] * green + turn[:, :, 2] * blue
    return Features(colors + new.means[0].to(turn), *maps)


@torch.no_grad()
def color_map(covariance: Tensor, target: Tensor) -> Tensor:
    """The least change of colours after which they vary as the target's do.

    The linear Monge-Kantorovitch map (Pitié and Kokaram, 2007,
    https://doi.org/10.1049/cp:20070055): (N, 3, 3) symmetric matrices to one of the same shape.
    Deviations of each channel alone would leave the leaves green in a painting without green.
    """
    # in double: autocast leaves it alone
    root = _power(covariance.double(), 0.5)
    inverse = _power(covariance.double(), -0.5)
    return (inverse @ _power(root @ target.double() @ root, 0.5) @ inverse).to(covariance)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Of a symmetric matrix; what is not positive counts as next to nothing."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp_min(1e-9)[..., None, :].pow(exponent)) @ vectors.mT


def mixed(styles: Sequence[Statistics], weights: Sequence[float]) -> Statistics:
    """Several styles as one: the weighted sum of their statistics; weights should sum to 1."""

    def total(values: Sequence[Tensor]) -> Tensor:
        first, *rest = (weight * value for weight, value in zip(weights, values, strict=True))
        return sum(rest, start=first)

    means = map(total, zip(*(style.means for style in styles), strict=True))
    deviations = map(total, zip(*(style.deviations for style in styles), strict=True))
    covariance = total([style.covariance for style in styles])
    return Statistics(tuple(means), tuple(x.clamp_min(0) for x in deviations), covariance)
