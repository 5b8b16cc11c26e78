"""How far a film's picture has moved, so that the noise of a style can move with it."""

import torch
from torch import Tensor

from stylesr.colors import luma
from stylesr.resample import resize

__all__ = ["Drift", "shift"]

SIDE = 512  # longer side of the pictures that are compared
SURE = 0.08  # of 1, the peak for a picture that moved as a whole: less is a cut, or many motions
CLEARER = 0.5  # of the difference to the picture before is left at most, if it moved so
FAR = 0.25  # of a side: beyond it the next picture is compared with a later one


class Drift:
    """Where each frame of a film lies in the scene, by its distance from the first one.

    A frame is compared with an earlier one as long as both show mostly the same, not with its
    neighbour, so that small errors do not add up. Where nothing moves as a whole, it stays.
    """

    def __init__(self) -> None:
        self._frame: Tensor | None = None
        self._place = self._last = (0.0, 0.0)

    def follow(self, pixels: Tensor) -> tuple[float, float]:
        """How far the window on the scene has moved down and right with this frame.

        Args:
            pixels: (3, H, W) of the next frame.

        Returns:
            In its pixels.
        """
        height, width = pixels.shape[1:]
        ratio = min(1.0, SIDE / max(height, width))
        size = (max(1, round(height * ratio)), max(1, round(width * ratio)))
        frame = luma(resize(pixels[None], size))[0, 0]
        moved = None if self._frame is None else shift(self._frame, frame)
        if moved is None:
            self._frame, self._place = frame, self._last
            return self._last
        down, right = (self._place[i] - moved[i] / ratio for i in range(2))
        self._last = (down, right)
        if any(abs(moved[i]) > FAR * size[i] for i in range(2)):
            self._frame, self._place = frame, self._last
        return self._last


def shift(before: Tensor, after: Tensor) -> tuple[int, int] | None:
    """How far a picture moved down and right, by phase correlation; None where that is not clear.

    Kuglin and Hines, 1975.

    Args:
        before, after: (H, W), of one size.
    """
    height, width = before.shape
    rows, columns = (torch.hann_window(side, periodic=False) for side in (height, width))
    window = rows[:, None] * columns
    a, b = (torch.fft.fft2((picture - picture.mean()) * window) for picture in (before, after))
    cross = b * a.conj()
    peaks = torch.fft.ifft2(cross / cross.abs().clamp_min(1e-9)).real
    place = int(peaks.argmax())
    if float(peaks.flatten()[place]) < SURE:
        return None
    down, right = divmod(place, width)
    down = down - height if down > height // 2 else down
    right = right - width if right > width // 2 else right
    there = before.roll((down, right), (0, 1))[_kept(down), _kept(right)]
    here, stayed = after[_kept(down), _kept(right)], before[_kept(down), _kept(right)]
    moved = (down, right) != (0, 0)
    if moved and float((there - here).abs().mean()) > CLEARER * float((stayed - here).abs().mean()):
        return None  # only a part of the picture moved, or light did
    return down, right


def _kept(moved: int) -> slice:
    """The rows or columns that are seen before and after."""
    return slice(moved, None) if moved >= 0 else slice(None, moved)
