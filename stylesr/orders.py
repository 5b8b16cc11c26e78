"""What a visitor asks of a studio, and what comes back."""

from dataclasses import dataclass
from pathlib import Path

from stylesr.pipeline import Color

__all__ = ["Batch", "Choices", "Footage", "Painting", "Panel", "Sketch"]


@dataclass(frozen=True)
class Choices:
    """What a visitor asks for.

    Attributes:
        style: a model's name; that of the base for plain enlargement.
        mix: a second style to mix in, or None.
        share: of the second style, 0 to 1.
        scale: the factor, where `width` is None.
        width: of the result in pixels.
        strength, brush, color, seed: as for `StyleSRPipeline`; they have no meaning for plain
            enlargement.
        detail: of plain enlargement: 0 for the base, 1 for `photo-vivid`.
        style_image: file of the picture to paint like, where `style` takes any.
        enlarger: a chain: this model enlarges what the style has painted at the photo's own size;
            None for one pass.
    """

    style: str
    mix: str | None = None
    share: float = 0.5
    scale: float = 4
    width: int | None = None
    strength: float = 1.0
    detail: float = 0.0
    brush: int | None = None
    color: Color = "style"
    seed: int = 0
    style_image: str | None = None
    enlarger: str | None = None


@dataclass(frozen=True)
class Sketch:
    """A first, quick look: files to compare, of one size, before the picture is painted."""

    before: Path
    after: Path


@dataclass(frozen=True)
class Painting:
    """A finished picture.

    Attributes:
        file: the whole result, lossless.
        before, after: JPEG files of one size to compare on a screen, at most 2048 pixels long:
            the photo enlarged by bicubic interpolation, and the result.
        height, width: of the result.
        seconds: from reading the photo to the last written file.
        notices: what was changed or left out while reading the photo.
        metadata: what stands in the file.
    """

    file: Path
    before: Path
    after: Path
    height: int
    width: int
    seconds: float
    notices: tuple[str, ...]
    metadata: dict[str, str]


@dataclass(frozen=True)
class Panel:
    """One of several ways to enlarge the same photo.

    Attributes:
        name: a model's, or "bicubic".
        file: the result, lossless.
        height, width: of the result.
        seconds: the network's time.
        psnr: against the original, in dB on luma; None where there is none.
    """

    name: str
    file: Path
    height: int
    width: int
    seconds: float
    psnr: float | None


@dataclass(frozen=True)
class Batch:
    """Several pictures in one zip file.

    Attributes:
        file: the zip file, None where nothing could be painted.
        painted: how many pictures are in it.
        failed: name and reason of each picture that is not.
        seconds: from the first to the last.
    """

    file: Path | None
    painted: int
    failed: tuple[tuple[str, str], ...]
    seconds: float


@dataclass(frozen=True)
class Footage:
    """A finished film.

    Attributes:
        file: MP4 with H.264, which browsers play.
        height, width: of the result.
        frames: how many.
        length: of the result in seconds.
        whole: the clip was painted to its end.
        seconds: of work.
    """

    file: Path
    height: int
    width: int
    frames: int
    length: float
    whole: bool
    seconds: float
