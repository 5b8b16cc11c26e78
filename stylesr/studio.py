"""What the page does with a visitor's picture, without the page.

Models are loaded on first use and kept. Knows files and typed errors, never Gradio.
"""

import re
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylesr.errors import InputError, ModelError
from stylesr.hub import bundled_folder, bundled_names
from stylesr.images import Picture, Source, check, decode, encode, save
from stylesr.passes import Size, target_size
from stylesr.pipeline import Progress, StyleSRPipeline
from stylesr.resample import resize
from stylesr.tiling import drain

__all__ = ["Painting", "Studio"]

MAX_INPUT_PIXELS = 25_000_000
MAX_OUTPUT_PIXELS = 64_000_000
SCREEN_SIDE = 2048  # longer side of what is shown; the file has all pixels
THUMBNAIL_SIDE = 192
CHECKER_SIDE = 16

# Says in the file that a model made the picture from a photo; nothing else of the upload's
# metadata goes into it.
MARK = {"Software": "stylesr", "DigitalSourceType": "compositeWithTrainedAlgorithmicMedia"}


@dataclass(frozen=True)
class Painting:
    """A finished picture.

    Attributes:
        file: the whole result, lossless.
        before, after: PNG files of one size to compare on a screen, at most 2048 pixels long:
            the photo enlarged by bicubic interpolation, and the result.
        height, width: of the result.
        seconds: from reading the photo to the last written file.
        notices: what was changed or left out while reading the photo.
    """

    file: Path
    before: Path
    after: Path
    height: int
    width: int
    seconds: float
    notices: tuple[str, ...]


class Studio:
    """The models of a page and what it does with them. May be used by several threads.

    Args:
        models: names or folders, that of the base first; None for all that come with the package.
        max_input_pixels, max_output_pixels: larger pictures are refused before work starts.

    Raises:
        ModelError: no model came with the package.
    """

    def __init__(
        self,
        models: Sequence[str | Path] | None = None,
        *,
        max_input_pixels: int = MAX_INPUT_PIXELS,
        max_output_pixels: int = MAX_OUTPUT_PIXELS,
    ) -> None:
        self.models = bundled_names() if models is None else [str(model) for model in models]
        if not self.models:
            raise ModelError(
                f"there is no model in {str(bundled_folder())!r}; train one as train/README.md "
                "says, or name folders of models"
            )
        self.max_input_pixels = max_input_pixels
        self.max_output_pixels = max_output_pixels
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        """Names of the models as the pipeline knows them; the first one enlarges only."""
        return [Path(model).name for model in self.models]

    @property
    def pipeline(self) -> StyleSRPipeline:
        """All models, loaded on first use.

        Raises:
            ModelError: a model is missing, corrupt or of another base.
        """
        with self._lock:
            return self._pipeline

    @cached_property
    def _pipeline(self) -> StyleSRPipeline:
        return StyleSRPipeline.from_pretrained(
            self.models, max_output_pixels=self.max_output_pixels
        )

    def measure(self, photo: Source) -> Size:
        """Height and width of a photo, from its header alone.

        Raises:
            ImageError: it cannot be read or is too large.
        """
        return check(photo, max_pixels=self.max_input_pixels)

    def target(self, size: Size, scale: float) -> Size:
        """Height and width of the result for a photo of `size`; needs no model.

        Raises:
            InputError: the factor is out of range or the result would be too large.
        """
        height, width = target_size(size, scale)
        if height * width > self.max_output_pixels:
            raise InputError(
                f"{size[1]} × {size[0]} at ×{scale:g} makes {width} × {height}, more than "
                f"{self.max_output_pixels / 1e6:g} megapixels; take a smaller factor or photo"
            )
        return height, width

    def paint(
        self, photo: str | Path, folder: str | Path, *, style: str, scale: float, **options: Any
    ) -> Generator[Progress, None, Painting]:
        """Paint one photo; close the generator to stop.

        Args:
            photo: its file.
            folder: an existing folder, into which the `Painting`'s files are written.
            style, scale, options: as for `StyleSRPipeline.stream`.

        Yields:
            `Progress` after each tile.

        Returns:
            A `Painting`, as the generator's value.

        Raises:
            ImageError, InputError: as `StyleSRPipeline.stream`, before work starts.
        """
        start = time.perf_counter()
        pipe, options = self.pipeline, {"style": style, "scale": scale, **options}
        pipe.plan(self.measure(photo), **options)  # refuses before anything is decoded
        picture = decode(photo, max_pixels=self.max_input_pixels)
        result = yield from pipe.stream(picture, **options)
        result = replace(result, metadata=MARK)

        file = Path(folder) / _file_name(photo, None if style == pipe.base_name else style, scale)
        before, after = Path(folder) / "before.png", Path(folder) / "after.png"
        save(result, file)
        shown = _screen_size((result.height, result.width))
        save(_for_screen(picture, shown), before)
        save(_for_screen(result, shown), after)
        seconds = time.perf_counter() - start
        return Painting(file, before, after, result.height, result.width, seconds, result.notices)

    def thumbnails(self, photo: Source) -> dict[str, bytes]:
        """A square from the middle of `photo` as each model paints it, as WebP files by name."""
        small = _square(decode(photo), THUMBNAIL_SIDE)
        pictures = {}
        for name in self.names:
            painted = drain(self.pipeline.stream(small, style=name, scale=2))  # finer strokes
            pictures[name] = encode(_square(painted, THUMBNAIL_SIDE), "webp", quality=85)
        return pictures


def _file_name(photo: str | Path, style: str | None, scale: float) -> str:
    """For example `cat-starry-night-x4.png`."""
    stem = re.sub(r"[^\w-]+", "-", Path(photo).stem).strip("-")[:60] or "photo"
    return "-".join([stem, *([style] if style else []), f"x{scale:g}"]) + ".png"


def _screen_size(size: Size) -> Size:
    factor = min(1.0, SCREEN_SIDE / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _for_screen(picture: Picture, size: Size) -> Picture:
    """An opaque 8-bit picture of the given size; what is transparent shows a checkerboard."""
    pixels = _fit(picture.pixels, size)
    if picture.alpha is not None:
        alpha = _fit(picture.alpha, size)
        pixels = alpha * pixels + (1 - alpha) * _checkerboard(size)
    return Picture(pixels, gray=picture.gray and picture.alpha is None)


def _fit(planes: Tensor, size: Size) -> Tensor:
    """(C, H, W) to (C, *size)."""
    return planes if planes.shape[1:] == size else resize(planes[None], size)[0].clamp_(0, 1)


def _checkerboard(size: Size) -> Tensor:
    rows, columns = (torch.arange(side) // CHECKER_SIDE for side in size)
    return 0.7 + 0.2 * ((rows[:, None] + columns) % 2).float()


def _square(picture: Picture, side: int) -> Picture:
    length = min(picture.height, picture.width)
    top, left = (picture.height - length) // 2, (picture.width - length) // 2
    middle = picture.pixels[:, top : top + length, left : left + length]
    return Picture(_fit(middle, (side, side)))
