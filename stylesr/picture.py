"""A picture in memory: float pixels in sRGB, and what has to come back in the result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stylesr.errors import ImageError, InputError

__all__ = ["Array", "Picture", "eight_bits", "to_array", "to_integers", "to_levels", "to_pil"]

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

STRIP = 256  # rows that are rounded at once: as floats a large picture takes half a gigabyte more


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as the package works on it.

    Attributes:
        pixels: (3, H, W) float32 in [0, 1], sRGB, RGB order. Colours below transparent pixels
            continue the visible ones, so that resampling draws no fringe.
        alpha: (1, H, W) float32 in [0, 1], or None for an opaque picture.
        gray: The source was gray; it is written as gray again.
        bits: 8 or 16, the source's bits a channel. 16-bit gray is written as 16-bit gray.
        metadata: What survives of the source's metadata: `DateTime`, `DateTimeOriginal`,
            `DateTimeDigitized`. `Software`, `Description` and `DigitalSourceType` (an IPTC code
            such as `compositeWithTrainedAlgorithmicMedia`) may be added to be written.
        exif: The source's whole EXIF but its thumbnail and orientation, where reading was asked to
            keep it; it is written again.
        notices: Sentences for the user on what was changed or left out while reading.
    """

    pixels: Tensor
    alpha: Tensor | None = None
    gray: bool = False
    bits: int = 8
    metadata: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    exif: bytes = b""

    def __post_init__(self) -> None:
        _check_planes("pixels", self.pixels, 3)
        if self.alpha is not None:
            _check_planes("alpha", self.alpha, 1)
            if self.alpha.shape[1:] != self.pixels.shape[1:]:
                raise InputError(
                    f"alpha is {tuple(self.alpha.shape[1:])} and pixels are "
                    f"{tuple(self.pixels.shape[1:])}; they must be of one size"
                )
        if self.bits not in (8, 16):
            raise InputError(f"bits is 8 or 16, got {self.bits}")

    @property
    def height(self) -> int:
        """Rows."""
        return self.pixels.shape[1]

    @property
    def width(self) -> int:
        """Columns."""
        return self.pixels.shape[2]


def _check_planes(name: str, planes: Tensor, count: int) -> None:
    shape = tuple(planes.shape)
    if planes.dtype != torch.float32 or planes.ndim != 3 or shape[0] != count or 0 in shape:
        raise InputError(
            f"{name} is a float32 tensor ({count}, height, width), got {planes.dtype} {shape}"
        )


def to_levels(values: Tensor, levels: int = 255) -> Tensor:
    """Clamp to [0, 1] and round half up to whole levels 0…`levels`, as a float tensor."""
    return (values.clamp(0, 1) * levels + 0.5).floor()


def eight_bits(values: Tensor) -> Tensor:
    """In [0, 1], as a file of 8 bits a channel would hold it."""
    return to_levels(values) / 255


def to_pil(picture: Picture) -> Image.Image:
    """As a PIL image: L, LA, RGB or RGBA of 8 bits, or I;16 for opaque 16-bit gray.

    Values are clamped to [0, 1] and rounded half up. Pillow has no deeper mode with colour or
    alpha, so those become 8 bits.

    Raises:
        ImageError: The picture holds NaN or infinite values.
    """
    deep = picture.gray and picture.bits == 16 and picture.alpha is None
    levels = to_integers(picture, 16 if deep else 8)
    return Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)


def to_integers(picture: Picture, bits: int) -> Array:
    """As uint8 or uint16 (H, W, C), by `bits`: gray or RGB, and alpha where there is one.

    Raises:
        ImageError: The picture holds NaN or infinite values.
    """
    parts = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha]
    if not all(torch.isfinite(edge) for part in parts for edge in part.aminmax()):
        count = sum(int((~torch.isfinite(part)).sum()) for part in parts)
        raise ImageError(f"the picture holds {count} values that are NaN or infinite")
    channels = (1 if picture.gray else 3) + len(parts) - 1
    shape = (picture.height, picture.width, channels)
    levels = np.empty(shape, np.uint8 if bits == 8 else np.uint16)
    for top in range(0, picture.height, STRIP):
        pixels, *alpha = (part[:, top : top + STRIP].detach().cpu() for part in parts)
        colour = pixels.mean(0, keepdim=True) if picture.gray else pixels
        strip = to_levels(torch.cat([colour, *alpha]), 2**bits - 1)
        levels[top : top + STRIP] = strip.permute(1, 2, 0).numpy()
    return levels


def to_array(picture: Picture) -> Array:
    """As float32 (H, W, 3), or (H, W, 4) with alpha, in [0, 1]. Gray is repeated three times."""
    planes = picture.pixels
    if picture.alpha is not None:
        planes = torch.cat([planes, picture.alpha])
    array = planes.detach().cpu().permute(1, 2, 0)
    return array.clone(memory_format=torch.contiguous_format).numpy()
