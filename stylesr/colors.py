"""Whose colours: the photo's in a painted picture, or the painting's in the photo."""

from typing import Literal, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from stylesr.errors import InputError
from stylesr.resample import resize, rows_of

__all__ = ["Recolor", "keep_photo_colors", "luma", "palette_only"]

COARSE = 64  # pixels of the longer side at which colours are compared
RADIUS = 2  # of the window over which they are, at that size
STRIP = 256  # rows that are changed at once
EDGE = 1e-3  # variance of luma from which a step in the photo counts as an edge


def luma(image: Tensor) -> Tensor:
    """BT.601 luma of RGB in [0, 1], full range: (N, 3, H, W) to (N, 1, H, W)."""
    red, green, blue = image.unbind(-3)
    return torch.add(0.299 * red, green, alpha=0.587).add_(blue, alpha=0.114).unsqueeze(-3)


def keep_photo_colors(painted: Tensor, photo: Tensor) -> Tensor:
    """The painting's luma with the photo's chroma (YCbCr, BT.601).

    Another luma at the same Cb and Cr is one amount added to R, G and B, so nothing is converted.

    Args:
        painted: (N, 3, H, W), RGB in [0, 1].
        photo: the same scene unpainted, of the same shape.

    Returns:
        (N, 3, H, W), clamped to [0, 1].

    Raises:
        InputError: the shapes differ or are not (N, 3, H, W).
    """
    _check_pair(painted, photo)
    return Recolor("photo").take(painted).give(photo.clone())


def palette_only(painted: Tensor, photo: Tensor) -> Tensor:
    """The photo's drawing in the painting's colours, without its brush strokes.

    Adds to the photo how the painting differs from it, smoothed but for the photo's edges by a
    guided filter at reduced size (He and Sun, 2015, https://arxiv.org/abs/1505.00996): around each
    place the difference becomes a linear function of the photo's luma.

    Args and errors as for `keep_photo_colors`.

    Returns:
        (N, 3, H, W), clamped to [0, 1].
    """
    _check_pair(painted, photo)
    return Recolor("palette").take(painted).give(photo.clone())


class Recolor:
    """Either of the above in two steps, between which the painting can be let go.

    Args:
        kind: "photo" for `keep_photo_colors`, "palette" for `palette_only`.
    """

    def __init__(self, kind: Literal["photo", "palette"]) -> None:
        self.kind = kind
        self._taken: Tensor

    def take(self, painted: Tensor) -> Self:
        """Keep what is needed of the painting: its luma, or a small copy."""
        self._taken = luma(painted) if self.kind == "photo" else resize(painted, _small(painted))
        return self

    def give(self, photo: Tensor) -> Tensor:
        """Change the photo, strip by strip."""
        if self.kind == "photo":
            for rows, strip in zip(
                self._taken.split(STRIP, -2), photo.split(STRIP, -2), strict=True
            ):
                strip.add_(rows - luma(strip)).clamp_(0, 1)
            return photo
        reduced = resize(photo, _small(photo))
        x, y = luma(reduced), self._taken - reduced
        mean_x, mean_y = _mean(x), _mean(y)
        slope = (_mean(x * y) - mean_x * mean_y) / (_mean(x * x) - mean_x * mean_x + EDGE)
        offset = mean_y - slope * mean_x
        line, size = torch.cat([_mean(slope), _mean(offset)], 1), (photo.shape[-2], photo.shape[-1])
        for top in range(0, size[0], STRIP):
            strip = photo[..., top : top + STRIP, :]
            slope, offset = rows_of(line, size, slice(top, top + STRIP)).chunk(2, 1)
            strip.add_(slope * luma(strip)).add_(offset).clamp_(0, 1)
        return photo


def _small(image: Tensor) -> tuple[int, int]:
    height, width = image.shape[-2:]
    ratio = min(1.0, COARSE / max(height, width))
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def _mean(image: Tensor) -> Tensor:
    padded = F.pad(image, [RADIUS] * 4, mode="replicate")
    return F.avg_pool2d(padded, 2 * RADIUS + 1, stride=1)


def _check_pair(painted: Tensor, photo: Tensor) -> None:
    if painted.shape != photo.shape or painted.ndim != 4 or painted.shape[1] != 3:
        raise InputError(
            "painting and photo must both be (N, 3, H, W) of one shape, "
            f"got {tuple(painted.shape)} and {tuple(photo.shape)}"
        )
