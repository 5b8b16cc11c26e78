"""How well photo models restore pictures that were made small: PSNR, SSIM, LPIPS on benchmarks.

Three tasks, each with its protocol: clean LR, LR made bad by a fixed blind degradation, and the
steps between a base and a model that blends with it. Everything runs through the pipeline that
users call.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from stylesr import tiling
from stylesr.data.datasets import find_pictures
from stylesr.data.degradations import REAL_ESRGAN, Stage, degrade
from stylesr.errors import InputError
from stylesr.images import decode
from stylesr.metrics import LPIPS, psnr_y, ssim_y
from stylesr.models import Generator
from stylesr.picture import Picture, eight_bits
from stylesr.pipeline import StyleSRPipeline
from stylesr.resample import downscale, resize

__all__ = [
    "BENCHMARKS",
    "BLIND",
    "CLEAN",
    "INTERPOLATION",
    "PROTOCOL",
    "Peer",
    "Row",
    "bicubic",
    "blind_low_resolution",
    "enlarge",
    "fidelity_rows",
    "hr_picture",
    "interpolation_rows",
    "low_resolution",
    "progress",
    "super_resolution_row",
]

BENCHMARKS = ("Set5", "Set14", "BSD100", "Urban100")
MAIN_BENCHMARK = "BSD100"  # the one that is also degraded, and on which strengths are compared
SCALES = (2, 4)  # measured; ×1 is the identity
BLIND_SCALE = INTERPOLATION_SCALE = 4
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
CUT = 4  # sides are cut to multiples of the largest factor, so that every factor sees one picture

CLEAN, BLIND, INTERPOLATION = "super-resolution", "blind super-resolution", "interpolation"


def _in_words(stage: Stage) -> str:
    """One round of the blind degradation, with its ranges."""

    def span(values: tuple[float, float]) -> str:
        return f"{values[0]:g} to {values[1]:g}"

    resize = ", ".join(f"{p:g}" for p in stage.resize)
    return (
        f"blur (probability {stage.blur:g}; σ {span(stage.sigma)}, or sinc with {stage.sinc:g}); "
        f"enlarged, reduced or kept (probabilities {resize}) by {span(stage.scale)}; noise, "
        f"Gaussian of σ {span(stage.gaussian)} levels or Poisson of {span(stage.poisson)}, gray "
        f"with {stage.gray:g}; JPEG of quality {span(stage.jpeg)}"
    )


_MEASURED = (
    "The result is rounded to 8 bits, `scale` pixels are cut off each side; PSNR and "
    "SSIM (11×11, σ 1.5) on BT.601 luma, averaged over the pictures. LPIPS v0.1 (SqueezeNet) "
    "on whole RGB pictures. Bicubic enlargement is measured alike."
)
PROTOCOL = {
    CLEAN: (
        f"HR cut to multiples of {CUT}; LR by antialiased bicubic (MATLAB convention), rounded to "
        f"8 bits. {_MEASURED}"
    ),
    BLIND: (
        f"HR cut to multiples of {CUT}; LR by two rounds as in Real-ESRGAN (Wang et al., 2021; "
        "`degrade` of stylesr.data.degradations with REAL_ESRGAN), picture i of the folder, in "
        "the order of names from 0, with Python's random.Random('blind i'). First round: "
        f"{_in_words(REAL_ESRGAN.first)}. Second round: {_in_words(REAL_ESRGAN.second)}; before "
        "or after that JPEG, resized to the LR's size and filtered by sinc (probability "
        f"{REAL_ESRGAN.final_sinc:g}). {_MEASURED}"
    ),
    INTERPOLATION: (
        f"Weights (1 - strength)·base + strength·model. HR cut to multiples of {CUT}; LR by "
        f"antialiased bicubic (MATLAB convention), rounded to 8 bits. {_MEASURED}"
    ),
}

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """A known network to compare with, in eval mode.

    Attributes:
        name: as tables call it.
        network: enlarges by the factors of its `scales`; others are not compared.
    """

    name: str
    network: Generator

    @torch.inference_mode()
    def enlarge(self, lr: Picture, scale: int) -> Tensor:
        """(3, H·scale, W·scale), rounded to 8 bits; the whole picture at once."""
        multiple = self.network.multiple_of(scale)
        below, right = (-side % multiple for side in (lr.height, lr.width))
        padded = F.pad(lr.pixels[None], (0, right, 0, below), mode="replicate")
        result = self.network(padded, scale)[0]
        return eight_bits(result[:, : lr.height * scale, : lr.width * scale])


# -- pictures -----------------------------------------------------------------------------------


def hr_picture(path: str | Path, multiple: int = CUT) -> Picture:
    """Read an HR picture: opaque, of 8 bits, its sides cut to multiples of 4 or another number.

    Raises:
        ImageError: it cannot be read.
        InputError: it is smaller than 48×48.
    """
    picture = decode(path)
    if min(picture.height, picture.width) < 48:
        raise InputError(f"{path} is {picture.width}×{picture.height}; 48×48 is the least")
    height, width = (side // multiple * multiple for side in (picture.height, picture.width))
    pixels = eight_bits(picture.pixels[:, :height, :width])
    return Picture(pixels.contiguous(), gray=picture.gray)


def low_resolution(hr: Picture, scale: int) -> Picture:
    """The picture reduced by a whole factor and rounded to 8 bits, as a file would hold it."""
    return replace(hr, pixels=eight_bits(downscale(hr.pixels[None], scale))[0])


def blind_low_resolution(hr: Picture, scale: int, index: int) -> Picture:
    """The picture reduced by 1, 2 or 4 and made bad, the same way each time for its index."""
    rng = random.Random(f"blind {index}")
    return Picture(degrade(hr.pixels, scale, rng, REAL_ESRGAN))  # coloured noise: gray no more


def enlarge(
    pipe: StyleSRPipeline, lr: Picture, style: str, scale: int, strength: float = 1.0
) -> Tensor:
    """Through the pipeline as users call it: (3, H·scale, W·scale), rounded to 8 bits."""
    work = pipe.stream(lr, style=style, scale=scale, strength=strength, brush=1)
    return eight_bits(tiling.drain(work).pixels)


def bicubic(lr: Picture, scale: int) -> Tensor:
    """Plain enlargement to compare with: (3, H·scale, W·scale), rounded to 8 bits."""
    return eight_bits(resize(lr.pixels[None], (lr.height * scale, lr.width * scale)))[0]


def progress(paths: Sequence[Path], what: str) -> Iterable[Path]:
    """The paths, with a bar on a terminal."""
    bar: Iterable[Path] = tqdm(paths, desc=what, unit="picture", leave=False, disable=None)
    return bar


# -- rows of a table ----------------------------------------------------------------------------


def fidelity_rows(
    pipe: StyleSRPipeline,
    benchmarks: str | Path,
    lpips: LPIPS | None = None,
    peer: Peer | None = None,
) -> list[Row]:
    """All figures of a photo model: the pipeline's first style, or its base where it has none.

    At ×2 and ×4, or that of the two which a network of one factor offers.

    Args:
        benchmarks: folder with Set5, Set14, BSD100, Urban100, or some of these. On BSD100 ×4 the
            model is also measured on degraded pictures, and a model with a base at strengths
            from 0 to 1.

    Raises:
        InputError: it has none of them, or one is without pictures.
    """
    parent = Path(benchmarks)
    folders = [parent / name for name in BENCHMARKS if (parent / name).is_dir()]
    if not folders:
        raise InputError(f"{parent} has none of the folders {', '.join(BENCHMARKS)}")
    scales = [scale for scale in SCALES if scale in pipe.photo.scales]
    rows = [
        super_resolution_row(pipe, folder, scale, lpips, peer)
        for folder in folders
        for scale in scales
    ]
    main = parent / MAIN_BENCHMARK
    if main in folders and BLIND_SCALE in scales:
        rows.append(super_resolution_row(pipe, main, BLIND_SCALE, lpips, peer, blind=True))
        if pipe.styles:
            rows += interpolation_rows(pipe, main, lpips)
    return rows


def super_resolution_row(
    pipe: StyleSRPipeline,
    folder: str | Path,
    scale: int,
    lpips: LPIPS | None = None,
    peer: Peer | None = None,
    *,
    blind: bool = False,
) -> Row:
    """Mean figures of the pipeline's first style, or its base, on a folder of HR pictures.

    Beside them, on the same LR, those of the style's base (`base_…`), of bicubic enlargement
    (`bicubic_…`) and of the peer (`peer_…`, and `peer`, its name).

    Args:
        blind: LR by `blind_low_resolution` instead of clean reduction.
    """
    paths = find_pictures(folder)
    figures: dict[str, list[float]] = {}
    name = Path(folder).name
    if peer and scale not in peer.network.scales:
        peer = None
    for index, path in enumerate(progress(paths, f"{name} ×{scale}{' degraded' * blind}")):
        hr = hr_picture(path)
        lr = blind_low_resolution(hr, scale, index) if blind else low_resolution(hr, scale)
        rivals = {"": enlarge(pipe, lr, _model(pipe), scale)}
        if pipe.styles:
            rivals["base_"] = enlarge(pipe, lr, pipe.base_name, scale)
        rivals["bicubic_"] = bicubic(lr, scale)
        if peer:
            rivals["peer_"] = peer.enlarge(lr, scale)
        for prefix, result in rivals.items():
            for metric, value in _fidelity(result, hr.pixels, scale, lpips).items():
                figures.setdefault(prefix + metric, []).append(value)
    means = _means(figures)
    gain = round(means["psnr_y"] - means["bicubic_psnr_y"], 4)
    head = {"task": BLIND if blind else CLEAN, "dataset": name, "scale": scale}
    row = {**head, "pictures": len(paths), **means, "gain_db": gain}
    return {**row, "peer": peer.name} if peer else row


def interpolation_rows(
    pipe: StyleSRPipeline, folder: str | Path, lpips: LPIPS | None = None
) -> list[Row]:
    """A row for each strength of the pipeline's first style, from its base to itself, at ×4."""
    paths, scale = find_pictures(folder), INTERPOLATION_SCALE
    figures: dict[float, dict[str, list[float]]] = {strength: {} for strength in STRENGTHS}
    for path in progress(paths, f"{Path(folder).name}, strengths"):
        hr = hr_picture(path)
        lr = low_resolution(hr, scale)
        for strength, each in figures.items():
            result = enlarge(pipe, lr, _model(pipe), scale, strength)
            for metric, value in _fidelity(result, hr.pixels, scale, lpips).items():
                each.setdefault(metric, []).append(value)
    head = {"task": INTERPOLATION, "dataset": Path(folder).name, "scale": scale}
    return [
        {**head, "strength": strength, "pictures": len(paths), **_means(each)}
        for strength, each in figures.items()
    ]


def _model(pipe: StyleSRPipeline) -> str:
    return next(iter(pipe.styles), pipe.base_name)


def _fidelity(result: Tensor, hr: Tensor, scale: int, lpips: LPIPS | None) -> dict[str, float]:
    figures = {"psnr_y": psnr_y(result, hr, scale), "ssim_y": ssim_y(result, hr, scale)}
    if lpips is not None:
        with torch.inference_mode():
            figures["lpips"] = float(lpips(result[None], hr[None]))
    return figures


def _means(figures: dict[str, list[float]]) -> dict[str, float]:
    return {metric: round(fmean(values), 4) for metric, values in figures.items()}
