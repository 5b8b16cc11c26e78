"""Whose colours: keep the photo's under the painting's light and dark, or the reverse.

In YCbCr, luma is a weighted sum of R, G and B, and giving a picture another luma at the same Cb
and Cr adds one and the same amount to its three channels. So nothing is converted here.
"""

import torch
from torch import Tensor

from stylesr.errors import InputError
from stylesr.resample import resize

__all__ = ["keep_photo_colors", "luma", "palette_only"]

COARSE = 64  # forms larger than 1/64 of the longer side count as the painting's light and dark


def luma(image: Tensor) -> Tensor:
    """BT.601 luma of RGB in [0, 1], full range: (N, 3, H, W) to (N, 1, H, W)."""
    red, green, blue = image.unbind(-3)
    return torch.add(0.299 * red, green, alpha=0.587).add_(blue, alpha=0.114).unsqueeze(-3)


def keep_photo_colors(painted: Tensor, photo: Tensor) -> Tensor:
    """The painting's luma with the photo's chroma (YCbCr, BT.601).

    Args:
        painted: (N, 3, H, W), RGB in [0, 1].
        photo: the same scene unpainted, of the same shape.

    Returns:
        (N, 3, H, W), clamped to [0, 1].

    Raises:
        InputError: the shapes differ or are not (N, 3, H, W).
    """
    _check_pair(painted, photo)
    return (photo + (luma(painted) - luma(photo))).clamp_(0, 1)


def palette_only(painted: Tensor, photo: Tensor) -> Tensor:
    """The photo's drawing in the painting's colours.

    Chroma and the coarse part of the luma come from `painted`, the fine part of the luma from
    `photo`. Same shapes, range and errors as `keep_photo_colors`.
    """
    _check_pair(painted, photo)
    difference = luma(photo) - luma(painted)
    return (painted + (difference - _coarse(difference))).clamp_(0, 1)


def _coarse(image: Tensor) -> Tensor:
    """Low-pass by antialiased bicubic reduction and enlargement back."""
    height, width = image.shape[-2:]
    factor = max(8.0, max(height, width) / COARSE)
    small = (max(1, round(height / factor)), max(1, round(width / factor)))
    return resize(resize(image, small), (height, width))


def _check_pair(painted: Tensor, photo: Tensor) -> None:
    if painted.shape != photo.shape or painted.ndim != 4 or painted.shape[1] != 3:
        raise InputError(
            "painting and photo must both be (N, 3, H, W) of one shape, "
            f"got {tuple(painted.shape)} and {tuple(photo.shape)}"
        )
