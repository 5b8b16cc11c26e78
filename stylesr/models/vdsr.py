"""VDSR: a very deep network that learns what bicubic interpolation lacks (Kim et al., 2016).

https://arxiv.org/abs/1511.04587: up to twenty 3×3 convolutions on the enlarged picture, whose
result is added to it; one set of weights serves several factors.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from stylesr.errors import InputError
from stylesr.models.base import Generator, check_range
from stylesr.resample import reach, resize

__all__ = ["VDSR"]


class VDSR(Generator):
    """Enlarges by each of its factors. It works on RGB, where the paper's works on luma alone.

    Args:
        channels: width, 4 to 256.
        layers: convolutions, 2 to 32.
        scales: the factors, each from 2 to 4; it does not see which one a picture is enlarged by.

    Raises:
        InputError: a value out of these bounds.
    """

    def __init__(
        self, channels: int = 64, layers: int = 20, scales: Sequence[int] = (2, 3, 4)
    ) -> None:
        super().__init__()
        check_range("channels", channels, 4, 256)
        check_range("layers", layers, 2, 32)
        if not isinstance(scales, Sequence) or not scales or len(set(scales)) < len(scales):
            raise InputError(f"scales must be different whole numbers from 2 to 4, got {scales!r}")
        self.scales = tuple(sorted(check_range("scales", scale, 2, 4) for scale in scales))
        widths = [3, *[channels] * (layers - 1), 3]
        convolutions = [nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths)]
        for conv in convolutions:
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(cast(Tensor, conv.bias))
        nn.init.zeros_(convolutions[-1].weight)  # not as in the paper: it starts as bicubic
        parts: list[nn.Module] = []
        for conv in convolutions:
            parts += [conv, nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*parts[:-1])
        self._radius = layers  # pixels of the enlarged picture

    def receptive_field(self, scale: int) -> int:
        """Input pixels that bicubic interpolation and all layers reach."""
        return reach(scale, self._radius)

    def forward(self, x: Tensor, scale: int | None = None) -> Tensor:
        """Enlarge.

        Args:
            x: (N, 3, H, W), RGB in [0, 1].
            scale: one of the network's factors; None for its largest.

        Returns:
            (N, 3, H·scale, W·scale), about [0, 1] but not clamped.

        Raises:
            InputError: wrong shape, type or factor.
        """
        scale = self.scales[-1] if scale is None else scale
        self.check_input(x, scale)
        height, width = x.shape[-2:]
        enlarged = resize(x, (height * scale, width * scale))
        return cast(Tensor, self.layers(enlarged)) + enlarged
