"""SRCNN: the first convolutional network for super-resolution (Dong et al., 2014).

https://arxiv.org/abs/1501.00092: three layers on a picture that bicubic interpolation has enlarged
before: patches to features, features to features of sharp patches, those to pixels.
"""

from torch import Tensor, nn

from stylesr.errors import InputError
from stylesr.models.base import Generator, check_range
from stylesr.resample import reach, resize

__all__ = ["SRCNN"]


class SRCNN(Generator):
    """Enlarges by one factor. It works on RGB, where the paper's best figures are of luma alone.

    Args:
        channels: width of the first layer, 4 to 256; the second has half of it.
        kernel: side of the second layer's kernels: 1, 3 or 5, as the paper compares.
        scale: the factor, 2 to 4.

    Raises:
        InputError: a value out of these bounds.
    """

    def __init__(self, channels: int = 64, kernel: int = 5, scale: int = 4) -> None:
        super().__init__()
        check_range("channels", channels, 4, 256)
        if check_range("kernel", kernel, 1, 5) % 2 == 0:
            raise InputError(f"kernel must be 1, 3 or 5, got {kernel}")
        self.scale = check_range("scale", scale, 2, 4)
        self.scales = (scale,)
        self.layers = nn.Sequential(
            nn.Conv2d(3, channels, 9, padding=4),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels // 2, kernel, padding=kernel // 2),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels // 2, 3, 5, padding=2),
        )
        self._radius = 4 + kernel // 2 + 2  # pixels of the enlarged picture

    def receptive_field(self, scale: int) -> int:
        """Input pixels that bicubic interpolation and the three layers reach."""
        return reach(scale, self._radius)

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
        height, width = x.shape[-2:]
        enlarged = resize(x, (height * self.scale, width * self.scale))
        result: Tensor = self.layers(enlarged)
        return result
