"""Store a release's weights in float16 where that changes no picture: half the download.

They are computed with in float32 all the same: loading widens them.
"""

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from safetensors.torch import save_file
from torch import Tensor

from stylesr import tiling
from stylesr.data.datasets import find_pictures
from stylesr.errors import InputError, ModelError
from stylesr.fidelity import hr_picture, low_resolution, progress
from stylesr.hub import WEIGHTS_FILE
from stylesr.metrics import psnr_y
from stylesr.models import AdaINNet, Generator, StyleSRNet
from stylesr.picture import Picture
from stylesr.pipeline import StyleSRPipeline

__all__ = ["MAX_DIFFERENCE", "MAX_PSNR_CHANGE", "Change", "halved_change", "store_halved"]

MAX_PSNR_CHANGE = 0.01  # dB, of the mean over the photos
MAX_DIFFERENCE = 1 / 255  # of any value of any picture: a level of 8 bits


@dataclass(frozen=True)
class Change:
    """What rounding weights to float16 does to results at one factor.

    Attributes:
        scale: the factor.
        psnr: how far the mean PSNR-Y over the photos moves, in dB, whichever way.
        difference: largest difference of a value in [0, 1], before rounding to 8 bits.
    """

    scale: int
    psnr: float
    difference: float

    @property
    def is_harmless(self) -> bool:
        """Less than 0.01 dB, and less than a level of 8 bits."""
        return self.psnr < MAX_PSNR_CHANGE and self.difference < MAX_DIFFERENCE


def halved_change(base: Generator, style: Generator, photos: Sequence[str | Path]) -> list[Change]:
    """What float16 weights of a style would change, at each factor and full strength.

    Args:
        base, style: in float32; their weights are left as they are. The style is one of the base,
            or a network that keeps a picture's size, such as a TransformerNet.
        photos: reduced by the factor, as for all figures here, and put through the pipeline with
            the style as it is and as it would be loaded again.

    Raises:
        InputError: no photo, or one that is smaller than 48×48.
        ImageError: a photo cannot be read.
        ModelError: the style is of another base.
    """
    if not photos:
        raise InputError("float16 is judged on photos, none given")
    halved = copy.deepcopy(style)
    halved.load_state_dict(_halves(style))
    nets = {"before": style, "after": halved}
    styles = {name: net for name, net in nets.items() if isinstance(net, StyleSRNet)}
    painters = {} if styles else nets
    pipe = StyleSRPipeline(base, styles, "base", painters=painters)
    changes = []
    for scale in style.scales:
        psnrs, differences = [], []
        for path in progress([Path(photo) for photo in photos], f"float16 ×{scale}"):
            hr = hr_picture(path)
            lr = low_resolution(hr, scale)
            before, after = (_run(pipe, lr, name, scale) for name in pipe.styles)
            differences.append(float((after - before).abs().max()))
            pair = (psnr_y(after, hr.pixels, scale), psnr_y(before, hr.pixels, scale))
            psnrs.append(0.0 if pair[0] == pair[1] else pair[0] - pair[1])  # equal: both infinite
        changes.append(Change(scale, abs(fmean(psnrs)), max(differences)))
    return changes


def store_halved(folder: str | Path, photos: str | Path) -> list[Change]:
    """Rewrite a style's weights in float16, unless photos show that it matters.

    Its fingerprint changes with the rounding, so measure it anew. Strength 0 stays its base
    exactly. A base keeps its float32: its fingerprint ties its styles to it.

    Args:
        folder: with config.json and model.safetensors.
        photos: a folder of photos to judge by.

    Returns:
        The harmless change, at each factor.

    Raises:
        InputError: a base or what only enlarges, a network of any style, no photos, or a change
            that is not harmless; the file is left as it was.
        ModelError: the model or its base cannot be loaded.
    """
    folder = Path(folder)
    pipe = StyleSRPipeline.from_pretrained(folder)
    style = Generator.from_pretrained(folder)
    if isinstance(style, AdaINNet):
        raise InputError(f"{folder.name} paints like any picture, so no few pictures can judge it")
    if not (style.paints or isinstance(style, StyleSRNet)):
        raise InputError(f"{folder.name} only enlarges: its figures are of float32, which it keeps")
    if isinstance(style, StyleSRNet) and style.base is None:
        raise InputError(
            f"{folder.name} is a base: rounding it would cut off the styles that were trained from "
            "it; only they can be stored in float16"
        )
    changes = halved_change(pipe.photo, style, find_pictures(photos))
    if not all(change.is_harmless for change in changes):
        figures = "; ".join(
            f"×{c.scale} {c.psnr:.4f} dB, {255 * c.difference:.2f} levels" for c in changes
        )
        raise InputError(
            f"float16 would change {folder.name} ({figures}); less than {MAX_PSNR_CHANGE} dB and "
            "1 level are allowed, so it stays as it is"
        )
    part = folder / f"{WEIGHTS_FILE}.part"
    save_file(_halves(style), str(part), metadata={"format": "pt"})
    os.replace(part, folder / WEIGHTS_FILE)
    return changes


def _halves(net: Generator) -> dict[str, Tensor]:
    """The weights as float16, as the file holds them.

    Raises:
        ModelError: one is too large for float16.
    """
    state = {name: t.detach().cpu().half().contiguous() for name, t in net.state_dict().items()}
    if wrong := [name for name, tensor in state.items() if not tensor.isfinite().all()]:
        raise ModelError(f"{wrong[0]} has values that float16 cannot hold")
    return state


def _run(pipe: StyleSRPipeline, lr: Picture, style: str, scale: int) -> Tensor:
    """(3, H·scale, W·scale) in [0, 1], not rounded."""
    return tiling.drain(pipe.stream(lr, style=style, scale=scale, brush=1)).pixels
