"""CompactNet: plain convolutions at the input's size, one pixel shuffle at the end.

The small networks of Real-ESRGAN (Wang et al., 2021, https://arxiv.org/abs/2107.10833); the
defaults are the shape of realesr-general-x4v3. Parameters are named as upstream.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from stylesr.models.base import Generator, check_range

__all__ = ["CompactNet"]


class CompactNet(Generator):
    """Enlarges by one factor; learns what is added to the picture with its pixels repeated.

    Args:
        channels: width, 4 to 256.
        convolutions: 3×3 convolutions between the first and the last, 1 to 64.
        scale: the factor, 1 to 8.

    Raises:
        InputError: a value out of these bounds.
    """

    def __init__(self, channels: int = 64, convolutions: int = 32, scale: int = 4) -> None:
        super().__init__()
        check_range("channels", channels, 4, 256)
        check_range("convolutions", convolutions, 1, 64)
        self.scale = check_range("scale", scale, 1, 8)
        self.scales = (scale,)
        layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1), nn.PReLU(channels)]
        for _ in range(convolutions):
            layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.PReLU(channels)]
        layers.append(nn.Conv2d(channels, 3 * scale**2, 3, padding=1))
        self.body = nn.Sequential(*layers)
        self._radius = convolutions + 2

    def receptive_field(self, scale: int) -> int:
        """One pixel on each side for each 3×3 convolution."""
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
        detail = F.pixel_shuffle(self.body(x), self.scale)
        return detail + F.interpolate(x, scale_factor=self.scale)  # nearest
