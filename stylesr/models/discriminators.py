"""Discriminators: needed for training only, never shipped."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

__all__ = ["PatchDiscriminator"]


class PatchDiscriminator(nn.Module):
    """Judges overlapping patches of 46 pixels (PatchGAN, Isola et al., 2017).

    https://arxiv.org/abs/1611.07004, with spectral normalisation (Miyato et al., 2018,
    https://arxiv.org/abs/1802.05957) in place of batch normalisation.
    """

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        widths = (3, channels, 2 * channels, 4 * channels)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers.append(spectral_norm(nn.Conv2d(before, after, 4, stride=2, padding=1)))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        layers.append(spectral_norm(nn.Conv2d(widths[-1], 1, 4)))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W), RGB in [0, 1], to scores (N, 1, H/8 − 3, W/8 − 3)."""
        scores: Tensor = self.layers(2 * x - 1)
        return scores
