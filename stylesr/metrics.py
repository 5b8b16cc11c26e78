"""Figures by which models are compared.

Super-resolution: `psnr_y`, `ssim_y`, `LPIPS`. Style: `relative_gram_distance` to the style image
and `content_distance` to the photo, on the feature maps of any network, such as `SqueezeFeatures`.
Tiling: `seam_error`.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from stylesr.errors import InputError, ModelError
from stylesr.picture import to_levels

__all__ = [
    "LPIPS",
    "SqueezeFeatures",
    "content_distance",
    "psnr_y",
    "relative_gram_distance",
    "seam_error",
    "ssim_y",
]


# --- super-resolution ----------------------------------------------------------------------


def psnr_y(a: Tensor, b: Tensor, crop: int = 0) -> float:
    """PSNR in dB on BT.601 luma, as super-resolution papers state it.

    Both are rounded to 8 bits, `crop` pixels are cut off each side, and the figures of a batch
    are averaged.

    Args:
        a: (3, H, W) or (N, 3, H, W) in [0, 1]; values outside are clamped.
        b: The same shape.
        crop: Border left out; by custom the factor of enlargement.

    Returns:
        Decibels; infinity where a pair is equal.
    """
    luma_a, luma_b = _luma_pair(a, b, crop)
    error = (luma_a - luma_b).square().mean((1, 2, 3))  # (N,)
    return float((10 * torch.log10(255**2 / error)).mean())


def ssim_y(a: Tensor, b: Tensor, crop: int = 0) -> float:
    """SSIM on BT.601 luma (Wang et al., 2004, https://doi.org/10.1109/TIP.2003.819861).

    Window 11×11, Gaussian with σ 1.5, only where it fits whole; K 0.01 and 0.03, range 255.
    Arguments, rounding, cropping and averaging as for `psnr_y`; at least 11×11 pixels must remain.

    Returns:
        At most 1, which means equal.
    """
    luma_a, luma_b = _luma_pair(a, b, crop)
    if min(luma_a.shape[-2:]) < 11:
        raise InputError(
            f"SSIM needs 11×11 pixels, got {luma_a.shape[2]}×{luma_a.shape[3]} "
            f"after cropping {crop} off each side"
        )
    mean_a, mean_b = _window_mean(luma_a), _window_mean(luma_b)
    variance_a = _window_mean(luma_a * luma_a) - mean_a * mean_a
    variance_b = _window_mean(luma_b * luma_b) - mean_b * mean_b
    covariance = _window_mean(luma_a * luma_b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return float((luminance * structure).mean())


def _luma_pair(a: Tensor, b: Tensor, crop: int) -> tuple[Tensor, Tensor]:
    """Luma of both, (N, 1, H - 2 crop, W - 2 crop) float64, in 16…235."""
    if a.shape != b.shape or a.ndim not in (3, 4) or a.shape[-3] != 3:
        raise InputError(
            "two pictures (3, H, W) or batches (N, 3, H, W) of one shape are compared, "
            f"got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    height, width = a.shape[-2:]
    if crop < 0 or min(height, width) <= 2 * crop:
        raise InputError(f"crop {crop} leaves nothing of {height}×{width} pixels")
    return _luma(a, crop), _luma(b, crop)


def _luma(x: Tensor, crop: int) -> Tensor:
    height, width = x.shape[-2:]
    x = x.reshape(-1, 3, height, width)[..., crop : height - crop, crop : width - crop]
    x = to_levels(x.detach().float()).cpu().double() / 255  # some devices lack float64
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64)
    return 16 + (x * weights.view(1, 3, 1, 1)).sum(1, keepdim=True)


def _window_mean(x: Tensor) -> Tensor:
    offsets = torch.arange(-5, 6, dtype=x.dtype, device=x.device)
    window = torch.exp(-offsets.square() / (2 * 1.5**2))
    window = window / window.sum()
    return F.conv2d(F.conv2d(x, window.view(1, 1, 11, 1)), window.view(1, 1, 1, 11))


def seam_error(a: Tensor, b: Tensor) -> float:
    """Largest absolute difference of two results of one shape, such as tiled and whole."""
    if a.shape != b.shape:
        raise InputError(f"shapes differ: {tuple(a.shape)} and {tuple(b.shape)}")
    return float((a - b).abs().max())


# --- perceptual ----------------------------------------------------------------------------


class SqueezeFeatures(nn.Module):
    """Feature maps of SqueezeNet 1.1 (Iandola et al., 2016, https://arxiv.org/abs/1602.07360).

    A network that no recipe here trains on, so that figures taken on it are independent.

    Args:
        path: Safetensors file of the ImageNet weights, keyed as torchvision's `features`.

    Raises:
        ModelError: The file is missing, unreadable or does not fit.
    """

    names = ("conv1", "fire3", "fire5", "fire6", "fire7", "fire8", "fire9")
    channels = (64, 128, 256, 384, 384, 512, 512)

    shift: Tensor
    scale: Tensor

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=2),
            nn.ReLU(),  # 1: conv1
            nn.MaxPool2d(3, 2, ceil_mode=True),
            _Fire(64, 16, 64),
            _Fire(128, 16, 64),  # 4: fire3
            nn.MaxPool2d(3, 2, ceil_mode=True),
            _Fire(128, 32, 128),
            _Fire(256, 32, 128),  # 7: fire5
            nn.MaxPool2d(3, 2, ceil_mode=True),
            _Fire(256, 48, 192),  # 9: fire6
            _Fire(384, 48, 192),
            _Fire(384, 64, 256),
            _Fire(512, 64, 256),  # 12: fire9
        )
        self._taps = dict(zip((1, 4, 7, 9, 10, 11, 12), self.names, strict=True))
        # LPIPS's constants; on [-1, 1] they equal ImageNet's mean and deviation on [0, 1].
        shift, scale = torch.tensor([[-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]])
        self.register_buffer("shift", shift.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", scale.view(1, 3, 1, 1), persistent=False)
        _load(self.features, path)
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) in [0, 1], at least 35×35 → maps by name, at 1/2 to 1/16 of the size."""
        _check_batch(x)
        x = (2 * x - 1 - self.shift) / self.scale
        maps = {}
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self._taps:
                maps[self._taps[index]] = x
        return maps


class LPIPS(nn.Module):
    """LPIPS v0.1 on SqueezeNet (Zhang et al., CVPR 2018, https://arxiv.org/abs/1801.03924).

    Args:
        features_path: Safetensors file for `SqueezeFeatures`.
        heads_path: Safetensors file of the seven linear heads, keyed `lin0.model.1.weight` on.

    Raises:
        ModelError: A file is missing, unreadable or does not fit.
    """

    def __init__(self, features_path: str | Path, heads_path: str | Path) -> None:
        super().__init__()
        self.network = SqueezeFeatures(features_path)
        heads = {
            f"lin{i}": nn.ModuleDict({"model": nn.ModuleDict({"1": _head(channels)})})
            for i, channels in enumerate(SqueezeFeatures.channels)
        }
        self.heads = nn.ModuleDict(heads)
        _load(self.heads, heads_path)
        self.eval().requires_grad_(False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Two batches (N, 3, H, W) in [0, 1] → distances (N,); 0 means equal."""
        if a.shape != b.shape:
            raise InputError(f"shapes differ: {tuple(a.shape)} and {tuple(b.shape)}")
        maps_a, maps_b = self.network(a), self.network(b)
        distance = a.new_zeros(a.shape[0])
        for name, head in zip(SqueezeFeatures.names, self.heads.values(), strict=True):
            difference = (_unit_length(maps_a[name]) - _unit_length(maps_b[name])).square()
            weights = head.get_parameter("model.1.weight")
            distance = distance + F.conv2d(difference, weights).mean((1, 2, 3))
        return distance


class _Fire(nn.Module):
    """Squeeze to few channels, expand by 1×1 and 3×3 convolutions side by side."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], 1).relu()


def _head(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, 1, 1, bias=False)


def _unit_length(x: Tensor) -> Tensor:
    return x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)


def _check_batch(x: Tensor) -> None:
    if x.ndim != 4 or x.shape[1] != 3 or min(x.shape[-2:]) < 35:
        raise InputError(f"a batch (N, 3, H, W) of at least 35×35 is needed, got {tuple(x.shape)}")


def _load(module: nn.Module, path: str | Path) -> None:
    if not Path(path).is_file():
        raise ModelError(f"there is no weights file {str(path)!r}")
    try:
        module.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"{str(path)!r} does not hold the expected weights: {error}") from error


# --- style ---------------------------------------------------------------------------------


def relative_gram_distance(features: Sequence[Tensor], style: Sequence[Tensor]) -> Tensor:
    """How far the statistics of a picture's feature maps are from a style image's.

    The mean over layers of ||G(a) - G(s)||² / ||G(s)||², G being the Gram matrix divided by the
    number of positions and channels (Gatys et al., CVPR 2016).

    Args:
        features: A map (N, C, H, W) a layer.
        style: A map (1 or N, C, H', W') a layer, in the same order; sizes may differ.

    Returns:
        (N,): 0 for equal statistics; a picture with none of the style's scores about 1.
    """
    _check_layers(features, style, same_size=False)
    distances = []
    for map_a, map_s in zip(features, style, strict=True):
        gram_a, gram_s = gram_matrix(map_a), gram_matrix(map_s)
        energy = gram_s.square().sum((1, 2))
        distances.append((gram_a - gram_s).square().sum((1, 2)) / energy)
    return torch.stack(distances).mean(0)


def content_distance(features: Sequence[Tensor], photo: Sequence[Tensor]) -> Tensor:
    """How far a picture's feature maps are from its photo's.

    The mean over layers of ||F(a) - F(p)||² / ||F(p)||².

    Args:
        features: A map (N, C, H, W) a layer.
        photo: Maps of the same shapes.

    Returns:
        (N,): 0 for equal maps.
    """
    _check_layers(features, photo, same_size=True)
    distances = [
        (map_a - map_p).square().sum((1, 2, 3)) / map_p.square().sum((1, 2, 3))
        for map_a, map_p in zip(features, photo, strict=True)
    ]
    return torch.stack(distances).mean(0)


def gram_matrix(x: Tensor) -> Tensor:
    """(N, C, H, W) → (N, C, C): mean products of channels, divided by their number."""
    flat = x.flatten(2)
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def _check_layers(a: Sequence[Tensor], b: Sequence[Tensor], *, same_size: bool) -> None:
    if not a or len(a) != len(b):
        raise InputError(f"one map a layer of each picture is needed, got {len(a)} and {len(b)}")
    for map_a, map_b in zip(a, b, strict=True):
        shape_a, shape_b = tuple(map_a.shape), tuple(map_b.shape)
        fits = shape_a == shape_b if same_size else shape_b[0] in (1, shape_a[0])
        if len(shape_a) != 4 or len(shape_b) != 4 or shape_a[1] != shape_b[1] or not fits:
            raise InputError(f"maps {shape_a} and {shape_b} cannot be compared")
