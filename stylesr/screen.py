"""Pictures for the eye: small copies for a screen, transparency on a checkerboard, squares."""

import torch
from torch import Tensor

from stylesr.picture import Picture
from stylesr.resample import resize

__all__ = ["fit", "for_screen", "fraction", "square"]

CHECKER_SIDE = 16

Size = tuple[int, int]  # (height, width)


def fit(planes: Tensor, size: Size) -> Tensor:
    """(C, H, W) in [0, 1] to (C, *size), by antialiased bicubic interpolation."""
    return planes if planes.shape[1:] == size else resize(planes[None], size)[0].clamp_(0, 1)


def fraction(size: Size, longest: int) -> Size:
    """A size reduced, if need be, until its longer side is `longest`."""
    factor = min(1.0, longest / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def for_screen(picture: Picture, size: Size) -> Picture:
    """An opaque 8-bit picture of the given size; what is transparent shows a checkerboard."""
    pixels = fit(picture.pixels, size)
    if picture.alpha is not None:
        alpha = fit(picture.alpha, size)
        pixels = alpha * pixels + (1 - alpha) * _checkerboard(size)
    return Picture(pixels, gray=picture.gray and picture.alpha is None)


def square(picture: Picture, side: int) -> Picture:
    """The middle of a picture, `side` × `side` pixels."""
    length = min(picture.height, picture.width)
    top, left = (picture.height - length) // 2, (picture.width - length) // 2
    middle = picture.pixels[:, top : top + length, left : left + length]
    return Picture(fit(middle, (side, side)))


def _checkerboard(size: Size) -> Tensor:
    rows, columns = (torch.arange(side) // CHECKER_SIDE for side in size)
    return 0.7 + 0.2 * ((rows[:, None] + columns) % 2).float()
