"""Bicubic resampling in the convention of MATLAB's `imresize`.

Cubic kernel with a = -0.5 (Keys, 1981, https://doi.org/10.1109/TASSP.1981.1163711), widened for
antialiasing when the picture shrinks, symmetric borders. This is the convention in which the
super-resolution literature makes its low-resolution inputs.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from stylesr.errors import InputError

__all__ = ["downscale", "reach", "resize", "rows_of"]

BAND = 256  # rows that are made at once: what a large picture needs besides itself stays small


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resample a batch of pictures; values are not clamped.

    Args:
        image: (N, C, H, W), floating point.
        size: (height, width) of the result, each at least 1.

    Returns:
        (N, C, height, width), same dtype and device.

    Raises:
        InputError: `image` is not a 4-D float tensor, or `size` is not positive.
    """
    if image.ndim != 4 or not image.is_floating_point():
        raise InputError(
            f"resize takes a floating-point (N, C, H, W) tensor, got {image.dtype} "
            f"of shape {tuple(image.shape)}"
        )
    if min(size) < 1:
        raise InputError(f"resize needs a size of at least 1×1, got {size[0]}×{size[1]}")
    if size[0] <= BAND or tuple(image.shape[-2:]) == size:
        return rows_of(image, size, slice(None))
    result = image.new_empty((*image.shape[:2], *size))
    for top in range(0, size[0], BAND):
        rows = slice(top, top + BAND)
        result[..., rows, :] = rows_of(image, size, rows)
    return result


def rows_of(image: Tensor, size: tuple[int, int], rows: slice) -> Tensor:
    """Some rows of what `resize` makes, without the others."""
    if image.shape[-2] != size[0]:
        image = _resize_axis(image, -2, size[0], rows)
    else:
        image = image[..., rows, :]
    return _resize_axis(image, -1, size[1]) if image.shape[-1] != size[1] else image


def downscale(image: Tensor, factor: int) -> Tensor:
    """Reduce (N, C, H, W) by a whole factor that divides H and W."""
    height, width = image.shape[-2:]
    if factor < 1:
        raise InputError(f"factor is a whole number from 1, got {factor}")
    if height % factor or width % factor:
        raise InputError(f"{height}×{width} cannot be divided by {factor}; crop it first")
    return resize(image, (height // factor, width // factor))


def reach(scale: int, radius: int = 0) -> int:
    """How far enlargement looks: input pixels on each side beyond the one that a result lies in.

    Args:
        scale: the whole factor by which `resize` enlarges.
        radius: of a filter that follows, in pixels of the enlarged picture.
    """
    return (2 * radius - 1 + scale) // (2 * scale) + 2


def _resize_axis(image: Tensor, axis: int, length: int, part: slice = slice(None)) -> Tensor:
    taps, indices = (table[part] for table in _weights(image.shape[axis], length))
    weights = taps.to(image)
    indices = indices.to(image.device)
    result = None
    for k in range(weights.shape[1]):  # few taps: a sum of gathers needs no large intermediate
        shape = [-1, 1] if axis == -2 else [-1]
        term = image.index_select(axis, indices[:, k]).mul_(weights[:, k].view(shape))
        result = term if result is None else result.add_(term)
    assert result is not None
    return result


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is cached must serve training too, whoever asked first
def _weights(source: int, target: int) -> tuple[Tensor, Tensor]:
    """Taps (target, K) in float64 and the source index of each, mirrored at the borders."""
    scale = target / source
    stretch = min(scale, 1.0)
    support = 4.0 / stretch
    centre = (torch.arange(target, dtype=torch.float64) + 0.5) / scale - 0.5
    count = math.ceil(support) + 2
    left = torch.floor(centre - support / 2).long()
    indices = left[:, None] + torch.arange(count)  # (target, K)
    weights = _cubic((centre[:, None] - indices) * stretch)
    weights /= weights.sum(1, keepdim=True)
    period = torch.cat([torch.arange(source), torch.arange(source - 1, -1, -1)])
    indices = period[indices % (2 * source)]
    used = weights.abs().amax(0) > 0
    return weights[:, used], indices[:, used]


def _cubic(x: Tensor) -> Tensor:
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))
