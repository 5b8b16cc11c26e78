"""DCGAN: pictures from noise alone, the generator that GANs are introduced with.

Radford et al., ICLR 2016, https://arxiv.org/abs/1511.06434: from a hundred random numbers four
pixels a side, doubled by transposed convolutions until they are a picture.
"""

from typing import cast

import torch
from torch import Tensor, nn

from stylesr.errors import InputError
from stylesr.models.base import Generator, check_range

__all__ = ["DCGAN"]


class DCGAN(Generator):
    """Draws pictures; unlike all others here it is given none.

    In training, batch normalisation reads the batch, as published; in use it takes what it has
    remembered, so that a picture depends on its noise alone.

    Args:
        noise: how many numbers determine a picture, 1 to 1024.
        channels: width before the last layer, 4 to 128, as published 128; doubled at each halving.
        size: side of the pictures: 16, 32, 64 (as published) or 128 pixels.

    Raises:
        InputError: a value out of these bounds.
    """

    def __init__(self, noise: int = 100, channels: int = 64, size: int = 64) -> None:
        super().__init__()
        self.noise = check_range("noise", noise, 1, 1024)
        check_range("channels", channels, 4, 128)
        if isinstance(size, bool) or size not in (16, 32, 64, 128):
            raise InputError(f"size must be 16, 32, 64 or 128, got {size!r}")
        self.size = int(size)
        width = channels * size // 8
        layers: list[nn.Module] = [nn.ConvTranspose2d(noise, width, 4, bias=False)]
        while width > channels:
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
            layers.append(nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False))
            width //= 2
        layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.ConvTranspose2d(width, 3, 4, 2, 1)]
        self.layers = nn.Sequential(*layers)
        for layer in self.layers:
            if isinstance(layer, nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, 0.0, 0.02)  # as published

    def receptive_field(self, scale: int) -> None:
        """None: each number of the noise determines the whole picture."""
        return None

    def draw(self, count: int, seed: int = 0) -> Tensor:
        """Pictures (count, 3, size, size) of noise that depends on the seed alone."""
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(count, self.noise, generator=generator)
        return cast(Tensor, self(noise.to(self.device, self.dtype)))

    def forward(self, noise: Tensor) -> Tensor:
        """Draw.

        Args:
            noise: (N, noise), of a standard normal distribution.

        Returns:
            (N, 3, size, size), RGB in [0, 1].

        Raises:
            InputError: wrong shape or type.
        """
        if noise.ndim != 2 or noise.shape[1] != self.noise or not noise.is_floating_point():
            raise InputError(
                f"expected a floating-point tensor (N, {self.noise}) of noise, "
                f"got {noise.dtype} of shape {tuple(noise.shape)}"
            )
        result: Tensor = self.layers(noise[..., None, None])  # (N, 3, size, size), any range
        return (result.tanh() + 1) / 2
