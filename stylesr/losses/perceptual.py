"""Perceptual losses on a distilled VGG-19.

Content and Gram losses as in Gatys et al. (2016, https://arxiv.org/abs/1508.06576) and
Johnson et al. (2016, https://arxiv.org/abs/1603.08155). The network has a quarter of VGG-19's
channels and 1×1 convolutions that map its features to VGG's own (Collaborative Distillation,
Wang et al., CVPR 2020, https://arxiv.org/abs/2003.08436; MIT licence).
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from stylesr.errors import ModelError

__all__ = [
    "DistilledVGG19",
    "Moments",
    "consistency_loss",
    "content_loss",
    "edge_loss",
    "feature_loss",
    "gram",
    "half",
    "lattice_loss",
    "mean_grams",
    "mean_moments",
    "mean_power",
    "moment_loss",
    "moments",
    "palette_loss",
    "phase_loss",
    "recolor_loss",
    "relative_gram_loss",
    "spectrum_loss",
    "tone_loss",
    "total_variation",
    "weave_loss",
]

URL = (
    "https://raw.githubusercontent.com/MingSun-Tse/Collaborative-Distillation/"
    "75c1b81c1dbea11c96d3fb04e96f207dee16dcbb/trained_models/wct_se_16x_new/"
    "20191109-211322_E20.pth"
)
FINGERPRINT = "2910e7636b11535ffc6c6136d4615c4d397b86ac173d7453f16000c453191a39"


class DistilledVGG19(nn.Module):
    """Features of VGG-19 at relu1_1, 2_1, 3_1, 4_1 and 5_1, at a sixteenth of its cost.

    `forward` takes (N, 3, H, W), RGB in [0, 1], sides of at least 32, and returns a dict of the
    network's own features. A buffer for each layer holds the affine map to VGG's channels,
    (C_vgg, C + 1), bias last: Gram matrices are mapped with it, which costs far less than mapping
    the features.
    """

    blocks: ClassVar[dict[str, tuple[str, ...]]] = {
        "relu1_1": ("conv11",),
        "relu2_1": ("conv12", "pool", "conv21"),
        "relu3_1": ("conv22", "pool", "conv31"),
        "relu4_1": ("conv32", "conv33", "conv34", "pool", "conv41"),
        "relu5_1": ("conv42", "conv43", "conv44", "pool", "conv51"),
    }

    mix: Tensor
    shift: Tensor

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        try:
            self.register_buffer("mix", state["conv0.weight"].float().clone())
            self.register_buffer("shift", state["conv0.bias"].float().clone())
            for layers in self.blocks.values():
                for name in layers:
                    if name != "pool":
                        self.add_module(name, _convolution(state, name))
            for layer in self.blocks:
                self.register_buffer(f"{layer}_map", _affine(state, f"conv{layer[4]}1_aux"))
        except KeyError as error:
            raise ModelError(f"the perceptual network lacks {error}") from error
        self.requires_grad_(False).eval()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub

    @classmethod
    def load(cls, path: str | Path | None = None) -> "DistilledVGG19":
        """Read a safetensors file; without a path, fetch the public one once and keep it.

        Raises:
            ModelError: no such file or not this network's weights, or the download failed or
                brought other weights than expected.
        """
        if path is None:
            path = _fetch()
        if not Path(path).is_file():
            raise ModelError(f"no perceptual network at {path}; leave the path out to fetch it")
        try:
            state = load_file(str(path))
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{path} is not a readable safetensors file: {error}") from error
        return cls(state)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) in [0, 1] to features by layer: (N, C, H/2^k, W/2^k)."""
        x = F.conv2d(x, self.mix.to(x.dtype), self.shift.to(x.dtype))
        features = {}
        for layer, names in self.blocks.items():
            for name in names:
                x = F.max_pool2d(x, 2) if name == "pool" else F.relu(self.get_submodule(name)(x))
            features[layer] = x
        return features

    def embed(self, grams: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Gram matrices (N, C+1, C+1) of own features to those of VGG, (N, C_vgg, C_vgg)."""
        maps = {layer: self.get_buffer(f"{layer}_map").to(g) for layer, g in grams.items()}
        return {layer: maps[layer] @ g @ maps[layer].mT for layer, g in grams.items()}

    def grams(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Gram matrices of features, in VGG's channels."""
        return self.embed({layer: gram(f) for layer, f in features.items()})


def gram(features: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C+1, C+1): mean products of the channels and a constant one, float32."""
    flat = features.float().flatten(2)  # (N, C, H·W)
    flat = torch.cat([flat, torch.ones_like(flat[:, :1])], 1)
    return flat @ flat.mT / flat.shape[-1]


@torch.no_grad()
def mean_grams(network: DistilledVGG19, pictures: Sequence[Tensor]) -> dict[str, Tensor]:
    """Gram matrices by layer, averaged over pictures (1, 3, H, W) of any size."""
    each = [network.grams(network(picture)) for picture in pictures]
    return {layer: torch.stack([grams[layer] for grams in each]).mean(0) for layer in each[0]}


def half(picture: Tensor) -> Tensor:
    """Reduce (N, C, H, W) to half the size by averaging."""
    return F.avg_pool2d(picture, 2)


def relative_gram_loss(
    grams: Mapping[str, Tensor],
    target: Mapping[str, Tensor],
    weights: Mapping[str, float],
    *,
    pooled: float = 0.0,
    bounded: bool = False,
) -> Tensor:
    """Weighted mean over layers of ‖G − T‖² / ‖T‖²; one weight then fits every style.

    Args:
        grams: by layer, (N, C, C).
        target: by layer, (1 or N, C, C).
        weights: of the layers.
        pooled: how far each picture's G is moved to the batch's mean, from 0 to 1. At 0 every
            picture has to hold all of the work's colours, whatever it shows; at 1 all together.
        bounded: divide by the mean of ‖T‖² and ‖G‖² instead, the latter taken as constant: where
            each picture has a style of its own, a dark one would outweigh all others.
    """
    terms = []
    for layer, weight in weights.items():
        ours, goal = grams[layer], target[layer]
        ours = torch.lerp(ours, ours.mean(0, keepdim=True).expand_as(ours), pooled)
        scale = goal.square().sum((-2, -1))
        if bounded:
            scale = (scale + ours.detach().square().sum((-2, -1))) / 2
        terms.append(weight * ((ours - goal).square().sum((-2, -1)) / scale).mean())
    return torch.stack(terms).sum() / sum(weights.values())


class Moments(NamedTuple):
    """Mean and standard deviation of each channel, (N, C) each, in float32."""

    mean: Tensor
    deviation: Tensor


def moments(features: Mapping[str, Tensor]) -> dict[str, Moments]:
    """Those of features (N, C, H, W), by layer."""
    found = {}
    for layer, f in features.items():
        variance, mean = torch.var_mean(f.float(), (2, 3), correction=0)
        found[layer] = Moments(mean, (variance + 1e-8).sqrt())  # flat ones have a slope, too
    return found


@torch.no_grad()
def mean_moments(network: DistilledVGG19, pictures: Sequence[Tensor]) -> dict[str, Moments]:
    """By layer, averaged over pictures (1, 3, H, W) of any size."""
    each = [moments(network(picture)) for picture in pictures]
    means = {layer: [found[layer] for found in each] for layer in each[0]}
    return {
        layer: Moments(*(torch.stack(parts).mean(0) for parts in zip(*found, strict=True)))
        for layer, found in means.items()
    }


def moment_loss(
    found: Mapping[str, Moments],
    target: Mapping[str, Moments],
    weights: Mapping[str, float],
    *,
    normalised: bool = False,
) -> Tensor:
    """Weighted mean over layers of how far means and deviations are from a style's.

    The style loss of AdaIN (Huang and Belongie, 2017, https://arxiv.org/abs/1703.06868): squared
    differences of both, here relative to the squares of the style's. It asks for less than Gram
    matrices do: not for which features go together.

    Args:
        found: by layer.
        target: by layer; N is 1 or that of `found`.
        weights: of the layers.
        normalised: measure each channel in units of the style's own deviation, so that one of
            small range counts as much as one of large.
    """
    terms = []
    for layer, weight in weights.items():
        ours, goal = found[layer], target[layer]
        apart = (ours.mean - goal.mean).square() + (ours.deviation - goal.deviation).square()
        if normalised:
            floor = 1e-3 * goal.deviation.mean(-1, keepdim=True)  # of channels that do nothing
            relative = (apart / goal.deviation.maximum(floor).square()).mean(-1)
        else:
            size = goal.mean.square() + goal.deviation.square()
            relative = apart.sum(-1) / size.sum(-1)
        terms.append(weight * relative.mean())
    return torch.stack(terms).sum() / sum(weights.values())


def content_loss(
    features: Mapping[str, Tensor], target: Mapping[str, Tensor], weights: Mapping[str, float]
) -> Tensor:
    """Weighted mean over layers of ‖F − T‖² / ‖T‖², per picture."""
    terms = [
        w
        * (
            (features[k].float() - target[k].float()).square().sum((1, 2, 3))
            / target[k].float().square().sum((1, 2, 3))
        ).mean()
        for k, w in weights.items()
    ]
    return torch.stack(terms).sum() / sum(weights.values())


def feature_loss(
    features: Mapping[str, Tensor], target: Mapping[str, Tensor], weights: Mapping[str, float]
) -> Tensor:
    """Weighted mean over layers of Σ|F − T| / Σ|T|, both sums over the batch.

    Absolute differences, as Real-ESRGAN takes them (https://arxiv.org/abs/2107.10833): small ones
    count too, so textures are asked for. Relative, as this network's features have their own scale.
    """
    terms = [
        w * (features[k].float() - target[k].float()).abs().sum() / target[k].float().abs().sum()
        for k, w in weights.items()
    ]
    return torch.stack(terms).sum() / sum(weights.values())


def edge_loss(picture: Tensor, target: Tensor, reduce: int = 2) -> Tensor:
    """Mean absolute difference of luma gradients at 1/`reduce` of the size: keeps outlines."""
    luma = [F.avg_pool2d(_luma(x), reduce) for x in (picture, target)]
    horizontal = [x.diff(dim=-1) for x in luma]
    vertical = [x.diff(dim=-2) for x in luma]
    return (horizontal[0] - horizontal[1]).abs().mean() + (vertical[0] - vertical[1]).abs().mean()


def tone_loss(picture: Tensor, target: Tensor, reduce: int = 8) -> Tensor:
    """1 − the correlation of both lumas at 1/`reduce` of the size, whatever the palette.

    What is light in the photo stays lighter than what is dark: the scene reads although every
    colour is new. Between 0 and 2; in a flat picture there is nothing to follow.
    """
    a, b = (F.avg_pool2d(_luma(x), reduce).flatten(1) for x in (picture, target))
    a, b = (x - x.mean(1, keepdim=True) for x in (a, b))
    # clamped, as a root has no slope at 0: a blown sky is flat
    spread_a, spread_b = (x.square().mean(1).clamp_min(1e-12).sqrt() for x in (a, b))
    return (1 - (a * b).mean(1) / (spread_a * spread_b + 0.0025)).mean()  # as a spread of 5 %


def recolor_loss(picture: Tensor, target: Tensor, reduce: int = 16) -> Tensor:
    """How much of the coarse colour is no function of the photo's colour, from 0 to 1.

    A painter's colour for light grass is the same all over the meadow. Means over `reduce`² pixels
    are fitted, for each picture, by polynomials of the photo's: the three colours, their squares,
    and luma by itself to the third degree; what is left over, relative to the variance. Strokes
    finer than `reduce` pixels are free.

    Args:
        picture, target: (N, 3, H, W) of one size, sides of at least 4 · `reduce`.
        reduce: side of the squares, in pixels.
    """
    ours, photo = (F.avg_pool2d(x.float(), reduce).flatten(2) for x in (picture, target))
    photo = photo - photo.mean(2, keepdim=True)  # (N, 3, places)
    light = photo.mean(1, keepdim=True)
    known = torch.cat([photo, 2 * photo.square(), 4 * light * photo, 4 * light**3], 1)
    ours, known = (x - x.mean(2, keepdim=True) for x in (ours, known))
    # a spread of 2 % is taken for none: a flat photo explains nothing
    slight = 0.02**2 * ours.shape[2] * torch.eye(known.shape[1], device=known.device)
    fit = torch.linalg.solve(known @ known.mT + slight, known @ ours.mT)
    rest = (ours - fit.mT @ known).square().mean((1, 2))
    return (rest / (ours.square().mean((1, 2)) + 0.0025)).mean()  # as a spread of 5 %


def palette_loss(picture: Tensor, target: Tensor, reduce: int = 16) -> Tensor:
    """Mean absolute difference of colours at 1/`reduce` of the size, whatever the strokes are.

    Args:
        picture, target: (N, 3, H, W) of one size, RGB in [0, 1], sides of at least `reduce`.
        reduce: side, in pixels, of the squares whose means are compared.
    """
    ours, wanted = (F.avg_pool2d(x.float(), reduce) for x in (picture, target))
    return F.l1_loss(ours, wanted)


def lattice_loss(picture: Tensor, period: int = 4, window: int = 7, visible: float = 3.6) -> Tensor:
    """Share of the fine detail that repeats with the lattice of the upsampling, from 0 to 1.

    A picture does not care where its pixels lie on that lattice; a grid does. In each window of
    `window`² blocks of `period`² pixels, the variance of the blocks' mean over the variance
    within blocks. Sides of at least `period` · `window` pixels. Detail far below `visible`, in
    levels of 255, does not count: less is seen in a smooth photo than among strokes.
    """
    blocks = F.pixel_unshuffle(picture, period).unflatten(1, (-1, period**2))
    detail = blocks - blocks.mean(2, keepdim=True)  # (N, 3, period², h, w)
    energy = F.avg_pool2d(detail.square().mean(2), window)
    mean = F.avg_pool2d(detail.flatten(1, 2), window).unflatten(1, (-1, period**2))
    return (mean.square().mean(2) / (energy + (visible / 255) ** 2)).mean()


def phase_loss(picture: Tensor, period: int = 4) -> Tensor:
    """How unevenly fine detail lies on the lattice of the upsampling; 0 for a picture.

    In a picture each of the `period`² places of a block has the same share of the detail. Dots,
    and edges that are strings of beads, prefer some, however sparse they are: the variance over
    the places of the energy of what a 3×3 mean takes away, relative to its average. Sides are
    multiples of `period`.
    """
    detail = picture - F.avg_pool2d(F.pad(picture, (1, 1, 1, 1), mode="reflect"), 3, 1)
    energy = F.pixel_unshuffle(detail.square().mean(1, keepdim=True), period).mean((2, 3))
    share = energy / (energy.mean(1, keepdim=True) + 1e-6)
    return share.var(1, correction=0).mean()


def consistency_loss(picture: Tensor, moved: Tensor, down: int, right: int) -> Tensor:
    """Mean absolute difference of two (N, C, H, W) where both show the same, for films.

    Args:
        picture: painted from a photo.
        moved: painted from the photo moved by (down, right) pixels; less than half of H and W.
    """
    reach = max(abs(down), abs(right))
    still = F.pad(picture, (-reach,) * 4)
    back = F.pad(moved, (-reach - right, right - reach, -reach - down, down - reach))
    return (still - back).abs().mean()


def spectrum_loss(picture: Tensor, target: Tensor, smooth: int = 5, floor: float = 0.3) -> Tensor:
    """How much more power a picture has than its target at any frequency: weaves and grids.

    The mean square of the logarithm of the ratio of both power spectra, where the picture has
    more, as upsampling betrays itself by its spectrum (Durall et al., CVPR 2020,
    https://arxiv.org/abs/2003.01826). Here in two dimensions, since a weave is a few points in the
    plane, which an average over directions hides.

    Args:
        picture, target: (N, C, H, W), of one size.
        smooth: side of the window over which spectra are averaged, in frequencies.
        floor: noise in levels of 255 that is taken for granted.
    """
    window = torch.hann_window(picture.shape[-1], device=picture.device)
    window = window * torch.hann_window(picture.shape[-2], device=picture.device)[:, None]
    granted = (floor / 255) ** 2 * window.square().sum()  # the power of such noise
    powers = []
    for x in (picture, target):
        power = torch.fft.rfft2(x * window).abs().square().mean(1, keepdim=True)
        powers.append(F.avg_pool2d(power, smooth, 1) + granted)
    return F.relu((powers[0] / powers[1]).log()).square().mean()


def mean_power(pictures: Sequence[Tensor], side: int = 64) -> Tensor:
    """Power spectrum of luma in windows of `side`² pixels, averaged over windows and pictures.

    Args:
        pictures: (N, 3, H, W) each, of any sizes from `side` on.

    Returns:
        (side, side/2 + 1), in squares of levels of 255, as of noise of that variance.
    """
    window = torch.hann_window(side, device=pictures[0].device)
    window = window * window[:, None]
    powers = []
    for picture in pictures:
        pieces = 255 * _luma(picture)[:, 0].unfold(1, side, side // 2).unfold(2, side, side // 2)
        pieces = pieces - pieces.mean((-2, -1), keepdim=True)
        power = torch.fft.rfft2(pieces * window).abs().square().mean((0, 1, 2))
        powers.append(power / window.square().sum())
    return torch.stack(powers).mean(0)


def weave_loss(picture: Tensor, power: Tensor, finest: float = 5.0) -> Tensor:
    """How much more a batch gathers its fine detail in a few frequencies than the works: weaves.

    Strokes spread their power over all frequencies of about one period, and over directions; a
    weave, or dots, gather it in some. Both power spectra are divided by their mean over directions;
    the mean square of the logarithm of the ratio of the two, where the batch has more.

    Args:
        picture: (N, 3, H, W), the batch.
        power: of the works, by `mean_power`.
        finest: longest period that counts, in pixels.
    """
    side = len(power)
    rows = torch.fft.fftfreq(side, 1 / side, device=power.device)[:, None]
    columns = torch.fft.rfftfreq(side, 1 / side, device=power.device)
    radius = (rows.square() + columns.square()).sqrt()
    ring = radius.round().long()
    shares = [_over_directions(each, ring) for each in (mean_power([picture], side), power)]
    excess = (shares[0] + 0.1).log() - (shares[1] + 0.1).log()  # what lacks power is no standard
    return F.relu(excess)[radius > side / finest].square().mean()


def _over_directions(power: Tensor, ring: Tensor) -> Tensor:
    """Power relative to its mean over the ring of each frequency."""
    count = torch.bincount(ring.flatten())
    total = power.new_zeros(len(count)).index_add(0, ring.flatten(), power.flatten())
    return power / (total / count + 1e-3)[ring]


def total_variation(picture: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels of (N, C, H, W)."""
    return picture.diff(dim=-1).abs().mean() + picture.diff(dim=-2).abs().mean()


def _luma(picture: Tensor) -> Tensor:
    weights = picture.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (picture * weights).sum(1, keepdim=True)


def _convolution(state: Mapping[str, Tensor], name: str) -> nn.Conv2d:
    weight = state[f"{name}.weight"].float()
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
    with torch.no_grad():
        conv.weight.copy_(weight)
        assert conv.bias is not None
        conv.bias.copy_(state[f"{name}.bias"].float())
    return conv


def _affine(state: Mapping[str, Tensor], name: str) -> Tensor:
    weight, bias = state[f"{name}.weight"].float(), state[f"{name}.bias"].float()
    return torch.cat([weight.flatten(1), bias[:, None]], 1)


def _fetch() -> Path:
    """Download the published weights once, check them, and cache them as safetensors."""
    cached = Path(torch.hub.get_dir()) / "stylesr" / "vgg19-distilled-16x.safetensors"
    if cached.is_file():
        return cached
    cached.parent.mkdir(parents=True, exist_ok=True)
    download, part = cached.with_suffix(".download"), cached.with_suffix(".part")
    try:
        torch.hub.download_url_to_file(URL, str(download))
        state = torch.load(download, map_location="cpu", weights_only=True)
        state = state.get("model", state)
        if (found := fingerprint(state)) != FINGERPRINT:
            raise ModelError(f"{URL} holds other weights than expected (SHA-256 {found})")
        save_file({k: v.contiguous() for k, v in state.items()}, str(part))
        part.replace(cached)
    except ModelError:
        raise
    except Exception as error:  # network, disk and pickle errors share no base class
        raise ModelError(
            f"the perceptual network could not be fetched from {URL} ({error}); "
            "download it elsewhere and give its path with --perceptual"
        ) from error
    finally:
        download.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
    return cached


def fingerprint(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, shapes and float32 values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
