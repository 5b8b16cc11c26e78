"""Discriminators: needed for training only, never shipped."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from stylesr.errors import InputError

__all__ = ["NoiseDiscriminator", "PatchDiscriminator", "UNetDiscriminator", "VGGDiscriminator"]


class NoiseDiscriminator(nn.Module):
    """Judges small pictures of one size, the counterpart of `DCGAN` (Radford et al., 2016).

    https://arxiv.org/abs/1511.06434, with spectral normalisation in place of batch normalisation.

    Args:
        channels: width at half the size; doubled with each halving, down to 4×4 pixels.
        size: side of the pictures, a power of 2 from 16.
    """

    def __init__(self, channels: int = 64, size: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before, after = 3, channels
        while size > 4:
            layers += [_normalised(before, after, 4, stride=2), nn.LeakyReLU(0.2, inplace=True)]
            before, after, size = after, 2 * after, size // 2
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(before, 1, 4)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, size, size), RGB in [0, 1], to scores (N, 1)."""
        scores: Tensor = self.layers(2 * x - 1)
        return scores.flatten(1)


class PatchDiscriminator(nn.Module):
    """Judges overlapping patches of 46 or 70 pixels (PatchGAN, Isola et al., 2017).

    https://arxiv.org/abs/1611.07004, with spectral normalisation (Miyato et al., 2018,
    https://arxiv.org/abs/1802.05957) in place of batch normalisation.

    Args:
        channels: width of the first layer; doubled at each.
        patch: side of what a score is about: 46 pixels, or 70 as published, by one more layer.
        pictures: how many it sees at once; pix2pix shows the input beside what is made of it.

    Raises:
        InputError: another patch.
    """

    def __init__(self, channels: int = 32, patch: int = 46, pictures: int = 1) -> None:
        super().__init__()
        if patch not in (46, 70):
            raise InputError(f"patch must be 46 or 70, got {patch!r}")
        widths = (3 * pictures, channels, 2 * channels, 4 * channels)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers.append(spectral_norm(nn.Conv2d(before, after, 4, stride=2, padding=1)))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        width = widths[-1]
        if patch == 70:
            layers.append(spectral_norm(nn.Conv2d(width, 2 * width, 4)))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            width *= 2
        layers.append(spectral_norm(nn.Conv2d(width, 1, 4)))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3·pictures, H, W), RGB in [0, 1], to scores: (N, 1, H/8 − 3, W/8 − 3).

        With patches of 70 pixels, 3 fewer on each side.
        """
        scores: Tensor = self.layers(2 * x - 1)
        return scores


class UNetDiscriminator(nn.Module):
    """Judges each pixel by its surroundings (Real-ESRGAN, Wang et al., 2021).

    https://arxiv.org/abs/2107.10833: a U-Net of three levels with spectral normalisation, in
    the first and last layer excepted. Published with 64 channels; 24 cost a seventh, for a CPU.

    Args:
        channels: width at full size; doubled at each level.

    Raises:
        InputError: on a call, sides that are no multiples of 8.
    """

    def __init__(self, channels: int = 24) -> None:
        super().__init__()
        widths = [channels * 2**level for level in range(4)]
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.down = nn.ModuleList(_normalised(a, b, 4, stride=2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(_normalised(b, a, 3) for a, b in reversed([*pairwise(widths)]))
        self.last = nn.Sequential(
            _normalised(channels, channels, 3),
            nn.LeakyReLU(0.2, inplace=True),
            _normalised(channels, channels, 3),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(channels, 1, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W), RGB in [0, 1], sides multiples of 8, to scores (N, 1, H, W)."""
        height, width = x.shape[-2:]
        if height % 8 or width % 8:
            raise InputError(f"sides must be multiples of 8, got {height}×{width}; crop it first")
        x = F.leaky_relu(self.first(2 * x - 1), 0.2)  # (N, C, H, W)
        skips = []
        for conv in self.down:
            skips.append(x)
            x = F.leaky_relu(conv(x), 0.2)  # at last (N, 8C, H/8, W/8)
        for conv in self.up:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = F.leaky_relu(conv(x), 0.2) + skips.pop()
        scores: Tensor = self.last(x)
        return scores


class VGGDiscriminator(nn.Module):
    """Judges a picture as a whole (SRGAN, Ledig et al., 2017, https://arxiv.org/abs/1609.04802).

    Eight 3×3 convolutions, every second one of stride 2. Spectral normalisation takes the place of
    batch normalisation, so that a score does not depend on the other pictures and a gradient
    penalty makes sense; the features' mean takes that of all of them, so that any size will do.

    Args:
        channels: width of the first layer, 64 as published; at the end eight times as much.
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        widths = [channels * 2**level for level in range(4)]
        layers: list[nn.Module] = []
        for before, after in pairwise([3, *widths]):
            layers += [_normalised(before, after, 3), nn.LeakyReLU(0.2, inplace=True)]
            layers += [_normalised(after, after, 4, stride=2), nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Sequential(
            spectral_norm(nn.Linear(widths[-1], 16 * channels)),
            nn.LeakyReLU(0.2, inplace=True),
            spectral_norm(nn.Linear(16 * channels, 1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W), RGB in [0, 1], sides of at least 16, to scores (N, 1)."""
        features = self.layers(2 * x - 1)  # (N, 8C, H/16, W/16)
        scores: Tensor = self.head(features.mean((2, 3)))
        return scores


def _normalised(before: int, after: int, kernel: int, stride: int = 1) -> nn.Module:
    conv = nn.Conv2d(before, after, kernel, stride, padding=1, bias=False)
    module: nn.Module = spectral_norm(conv)
    return module
