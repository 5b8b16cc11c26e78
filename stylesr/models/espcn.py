"""ESPCN: efficient sub-pixel convolutional network (Shi et al., 2016).

https://arxiv.org/abs/1609.05158: all layers work at the input's size, and the last one computes
the scale² pixels that take the place of each: the pixel shuffle, which nearly every network since
has taken over.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from stylesr.models.base import Generator, check_range

__all__ = ["ESPCN"]


class ESPCN(Generator):
    """Enlarges by one factor. It works on RGB, where the paper's works on luma alone.

    Args:
        channels: width of the first layer, 4 to 256; the second has half of it.
        scale: the factor, 2 to 4.

    Raises:
        InputError: a value out of these bounds.
    """

    def __init__(self, channels: int = 64, scale: int = 4) -> None:
        super().__init__()
        check_range("channels", channels, 4, 256)
        self.scale = check_range("scale", scale, 2, 4)
        self.scales = (scale,)
        self.layers = nn.Sequential(
            nn.Conv2d(3, channels, 5, padding=2),
            nn.Tanh(),
            nn.Conv2d(channels, channels // 2, 3, padding=1),
            nn.Tanh(),
            nn.Conv2d(channels // 2, 3 * scale**2, 3, padding=1),
        )

    def receptive_field(self, scale: int) -> int:
        """Two pixels on each side for the first layer and one for each other."""
        return 4

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
        return F.pixel_shuffle(self.layers(x), self.scale)
