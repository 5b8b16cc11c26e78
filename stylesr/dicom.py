"""DICOM pictures, of medicine: the first frame, as the file asks for it to be shown.

pydicom is an optional extra (`pip install 'stylesr[dicom]'`). Only what says how pixels are shown
is read, never whom they show, so that nothing of it can get into a result.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypeGuard

import numpy as np

from stylesr.errors import ImageError
from stylesr.picture import Array

__all__ = ["WARNING", "called", "is_one", "read", "size"]

WARNING = "detail in the result is invented: it is not for diagnosis"

_MARK = slice(128, 132)
_DEFLATED = "1.2.840.10008.1.2.1.99"
_SHARED, _EACH = 0x52009229, 0x52009230  # what holds for all frames, and for each
_GRAY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")  # all are decoded to RGB


def is_one(source: object) -> TypeGuard[str | Path | bytes]:
    """Whether a path's file, or bytes, are DICOM, by the mark after the preamble."""
    if isinstance(source, bytes):
        return source[_MARK] == b"DICM"
    if not isinstance(source, str | Path) or not Path(source).is_file():
        return False
    with Path(source).open("rb") as file:
        return file.read(_MARK.stop)[_MARK] == b"DICM"


def called(source: str | Path | bytes) -> str:
    """The file's name, for messages."""
    return "the picture" if isinstance(source, bytes) else repr(Path(source).name)


def size(source: str | Path | bytes) -> tuple[int, int]:
    """(height, width) by the header; to be asked for before `read`.

    Raises:
        ImageError: pydicom is not installed, or the header cannot be read or holds no size.
    """
    try:
        reader = import_module("pydicom.filereader")
    except ImportError as error:
        problem = f"{called(source)} is DICOM: pip install 'stylesr[dicom]' to read it"
        raise ImageError(problem) from error
    with _opened(source) as file:
        reader.read_preamble(file, False)
        meta = reader._read_file_meta_info(file)  # the public one takes no bytes
        if meta.TransferSyntaxUID == _DEFLATED:  # unpacked it is as large as its sender likes
            raise ImageError(f"{called(source)} is deflated DICOM; save it uncompressed")
        file.seek(0)
        tags = ["Rows", "Columns"]
        said = reader.dcmread(file, stop_before_pixels=True, specific_tags=tags)
        if "Rows" not in said:
            raise ImageError(f"{called(source)} is DICOM without a picture")
        return int(said.Rows), int(said.Columns)


def read(source: str | Path | bytes) -> tuple[Array, list[str]]:
    """Gray (H, W) or colour (H, W, 3), and notices for the user.

    Values are rescaled, windowed and, for MONOCHROME1, inverted, as DICOM's part 3 says (C.7.6.3,
    C.11.1, C.11.2); of several windows the first is taken. Gray of more than 8 bits is uint16, all
    else uint8.

    Raises:
        ImageError: it cannot be read, or is neither gray nor RGB or YBR of 8 bits.
    """
    pydicom, pixels = import_module("pydicom"), import_module("pydicom.pixels")
    said, asked = pydicom.Dataset(), {"specific_tags": [_SHARED, _EACH], "index": 0}
    with _opened(source) as file:
        try:
            frame = pixels.pixel_array(file, ds_out=said, **asked)
        except (NotImplementedError, RuntimeError) as error:
            raise ImageError(
                f"{called(source)} is compressed in a way that is not read here; "
                "save it uncompressed, for example with gdcmconv --raw"
            ) from error
        return _shown(frame, said, called(source))


@contextmanager
def _opened(source: str | Path | bytes) -> Iterator[IO[bytes]]:
    """A file to read; what pydicom raises on hostile bytes, anything, becomes ImageError."""
    try:
        with (
            BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # of values that break a rule and matter to nobody here
            yield file
    except ImageError:
        raise
    except Exception as error:
        detail = f"{type(error).__name__}: {error}"
        raise ImageError(f"{called(source)} is truncated or damaged ({detail})") from error


def _shown(frame: Array, said: Any, name: str) -> tuple[Array, list[str]]:
    notices = [WARNING]
    if (frames := int(said.get("NumberOfFrames") or 1)) > 1:
        notices.append(f"first of {frames} frames used")
    if said.get("BurnedInAnnotation") == "YES":
        notices.append("words about the patient are part of its pixels, by its own account")
    kind = said.PhotometricInterpretation
    if frame.ndim == 3 and frame.dtype == np.uint8 and kind in _COLOUR:
        return frame, notices
    if frame.ndim != 2 or kind not in _GRAY:
        raise ImageError(
            f"{name} is {kind} of {said.BitsStored} bits; what is read is MONOCHROME1 and "
            "MONOCHROME2, and RGB and YBR of 8 bits"
        )
    for groups in (_SHARED, _EACH):  # of a file of many frames
        for functions in said[groups].value[:1] if groups in said else ():
            for name in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
                if name in functions:
                    said.update(functions[name].value[0])
    values, is_told = _windowed(frame, said)
    if not is_told:
        notices.append("it has no window: its lowest value became black, its highest white")
    if kind == "MONOCHROME1":
        values = 1 - values
    levels = np.uint16 if int(said.BitsStored) > 8 else np.uint8
    return (values * np.iinfo(levels).max + 0.5).astype(levels), notices


def _windowed(frame: Array, said: Any) -> tuple[Array, bool]:
    """Values in [0, 1], and whether the file says what is black and what is white."""
    pixels = import_module("pydicom.pixels")
    values = pixels.apply_rescale(frame, said)
    if said.get("WindowWidth") is not None:
        center, width = (_first(said[name].value) for name in ("WindowCenter", "WindowWidth"))
        values = values.astype(np.float64) - center
        function = said.get("VOILUTFunction", "LINEAR")
        if function == "SIGMOID":
            return 1 / (1 + np.exp(-4 * values / width)), True
        if function == "LINEAR":
            values, width = values + 0.5, max(width - 1, 1e-9)
        return np.clip(values / width + 0.5, 0, 1), True
    if "VOILUTSequence" in said:
        bits = int(said.VOILUTSequence[0].LUTDescriptor[2])
        return pixels.apply_voi(values, said) / (2.0**bits - 1), True
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low or 1.0), False


def _first(value: Any) -> float:
    return float(value if isinstance(value, str | int | float) else value[0])
