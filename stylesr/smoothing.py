"""Painted frames averaged along a film's motion, so that strokes flicker less.

A style paints each frame anew: where things move by parts of a pixel, or each in its own way, its
strokes change with them. What came before is moved along the optical flow and averaged in, wherever
the unpainted film says that it shows the same (the exponential form of Lai et al., "Learning Blind
Video Temporal Consistency", ECCV 2018, https://arxiv.org/abs/1808.00449, without a network). The
flow is that of Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016,
https://arxiv.org/abs/1603.03590, by OpenCV (`pip install 'stylesr[smooth]'`).
"""

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stylesr.colors import luma
from stylesr.errors import InputError
from stylesr.files import whole
from stylesr.resample import resize

try:
    import cv2
except ImportError as error:
    raise InputError(f"smoothing needs OpenCV: pip install 'stylesr[smooth]' ({error})") from error

__all__ = ["MAX_WEIGHT", "Smoother"]

Array: TypeAlias = NDArray[Any]

MAX_WEIGHT = 0.9
SIDE = 960  # longer side of the frames whose motion is found
ALIKE = 8 / 255  # what differs by so much is averaged in at 1/e of the weight
AROUND = 1.5  # pixels over which a difference counts


class Smoother:
    """Averages each painted frame with the ones before it.

    Args:
        weight: of what came before, 0 to 0.9: 0.5 takes most of the flicker and leaves the strokes,
            more also takes strokes.

    Raises:
        InputError: a weight out of these bounds.
    """

    def __init__(self, weight: float) -> None:
        if not 0 <= weight <= MAX_WEIGHT:
            raise InputError(f"smoothing is from 0 to {MAX_WEIGHT}, got {weight}")
        self.weight = weight
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._seen: Array | None = None
        self._painted: Array | None = None

    def follow(self, frame: Tensor, painted: Tensor) -> Tensor:
        """The painted frame, averaged with the one before where that shows the same.

        Args:
            frame: (3, h, w), RGB in [0, 1], unpainted.
            painted: (3, H, W), the same, painted and perhaps enlarged.

        Returns:
            (3, H, W).
        """
        seen, new = _channels_last(_reduced(frame)), _channels_last(painted)
        if self._seen is not None and self._painted is not None:
            start = np.zeros((*seen.shape[:2], 2), np.float32)
            flow = self._flow.calc(_gray(seen), _gray(self._seen), start)  # to where it was
            weight = self.weight * _alike(seen, self._seen, flow)
            old = _moved(self._painted, _enlarged(flow, new.shape[:2]))
            new += _to_size(weight, new.shape[:2])[..., None] * (old - new)
        self._seen, self._painted = seen, np.clip(new, 0, 1)
        return torch.from_numpy(self._painted).permute(2, 0, 1)

    def save(self, path: Path) -> None:
        """Keep the last result, from which `go_on` starts."""
        assert self._painted is not None, "no frame was painted"
        with whole(path) as file:
            np.save(file, self._painted)

    def go_on(self, frame: Tensor, path: Path) -> None:
        """As after the frame whose result was saved.

        Args:
            frame: (3, h, w), unpainted.
            path: where its result is.
        """
        self._seen = _channels_last(_reduced(frame))
        self._painted = np.load(path, allow_pickle=False)


def _reduced(frame: Tensor) -> Tensor:
    ratio = SIDE / max(frame.shape[-2:])
    if ratio >= 1:
        return frame
    size = [max(1, round(side * ratio)) for side in frame.shape[-2:]]
    return resize(frame[None], (size[0], size[1])).clamp(0, 1)[0]


def _channels_last(planes: Tensor) -> Array:
    return np.array(planes.permute(1, 2, 0).numpy(), dtype=np.float32, order="C")


def _gray(pixels: Array) -> Array:
    planes = luma(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0, 0]
    return (255 * planes).round().to(torch.uint8).numpy()


def _alike(now: Array, before: Array, flow: Array) -> Array:
    """(H, W) in [0, 1]: how much the frame before, moved, shows what this one does."""
    apart = np.abs(_moved(before, flow) - now).max(axis=2)
    apart = cv2.GaussianBlur(apart, (0, 0), AROUND)
    height, width = flow.shape[:2]
    rows, columns = _origins(flow)
    inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
    return np.exp(-np.square(apart / ALIKE)) * inside


def _moved(pixels: Array, flow: Array) -> Array:
    """Pixels from where they were; cubic, as linear interpolation would blur a little each time."""
    rows, columns = _origins(flow)
    return cv2.remap(pixels, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _origins(flow: Array) -> tuple[Array, Array]:
    rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
    return rows + flow[..., 1], columns + flow[..., 0]


def _enlarged(flow: Array, size: tuple[int, ...]) -> Array:
    """Also its vectors."""
    ratios = np.array([size[1] / flow.shape[1], size[0] / flow.shape[0]], dtype=np.float32)
    return _to_size(flow, size) * ratios


def _to_size(values: Array, size: tuple[int, ...]) -> Array:
    return cv2.resize(values, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
