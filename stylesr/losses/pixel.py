"""Losses that compare two pictures pixel by pixel, or window by window."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["PIXEL_LOSSES", "charbonnier_loss", "ssim_loss"]


def charbonnier_loss(a: Tensor, b: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of √(difference² + ε²): L1 with a round bottom.

    As in LapSRN (Lai et al., 2017, https://arxiv.org/abs/1704.03915).
    """
    return ((a - b).square() + epsilon**2).sqrt().mean()


def ssim_loss(a: Tensor, b: Tensor) -> Tensor:
    """1 − SSIM, mean over windows and channels (Zhao et al., 2017).

    https://arxiv.org/abs/1511.08861, with SSIM as in Wang et al. (2004,
    https://doi.org/10.1109/TIP.2003.819861): Gaussian window of 11×11 and σ 1.5, where it fits
    whole.

    Args:
        a, b: (N, C, H, W) in [0, 1], sides of at least 11.
    """
    mean_a, mean_b = _blurred(a), _blurred(b)
    variance_a = _blurred(a * a) - mean_a * mean_a
    variance_b = _blurred(b * b) - mean_b * mean_b
    covariance = _blurred(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return 1 - (luminance * structure).mean()


def _blurred(x: Tensor) -> Tensor:
    offsets = torch.arange(-5, 6, dtype=x.dtype, device=x.device)
    window = torch.exp(-offsets.square() / (2 * 1.5**2))
    window = (window / window.sum()).view(1, 1, 1, 11).repeat(x.shape[1], 1, 1, 1)
    x = F.conv2d(x, window, groups=x.shape[1])
    return F.conv2d(x, window.mT, groups=x.shape[1])


PIXEL_LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": F.l1_loss,
    "l2": F.mse_loss,
    "charbonnier": charbonnier_loss,
    "ssim": ssim_loss,
}
