"""Pictures in and out: files, bytes, PIL images and arrays ↔ float tensors in sRGB.

Reading applies the EXIF orientation, converts colour profiles to sRGB, and sets aside what has
to come back in the result: transparency, grayness, bit depth and the date. Files are untrusted:
only a few formats are opened, the size is read from the header before anything is decoded, and
whatever a decoder raises becomes an `ImageError`.
"""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypeAlias, get_args

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFile, UnidentifiedImageError
from torch import Tensor

from stylesr import deep, dicom, exif
from stylesr.errors import ImageError, InputError
from stylesr.memory import enough_memory
from stylesr.picture import Array, Picture, to_array, to_levels, to_pil
from stylesr.profiles import to_srgb

__all__ = [
    "MAX_PIXELS",
    "Picture",
    "Source",
    "check",
    "decode",
    "decode_for",
    "encode",
    "format_of",
    "save",
    "to_array",
    "to_levels",
    "to_pil",
]

Source: TypeAlias = str | Path | bytes | Image.Image | Array

MAX_PIXELS = 64_000_000
MAX_SCANS = 100  # of a JPEG; a progressive one has about ten

_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")  # read and written
_FROM_PHONES = ("AVIF", "HEIF")  # read where Pillow has AVIF, pillow-heif is installed
_EXTENSIONS = {"jpg": "JPEG", "tif": "TIFF"} | {name.lower(): name for name in _FORMATS}
_HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_READABLE = "a JPEG, PNG, WebP, TIFF or BMP picture"

_TURNS = {  # EXIF orientation → what brings the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


# --- reading -------------------------------------------------------------------------------


def check(source: Source, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Look at a picture's header: nothing is decoded.

    Args:
        source: As for `decode`.
        max_pixels: Larger pictures are refused.

    Returns:
        (height, width) as the picture is shown, that is after EXIF orientation.

    Raises:
        ImageError: The file is missing, not in an accepted format, or too large.
    """
    if isinstance(source, np.ndarray):
        _check_array(source, max_pixels)
        return source.shape[0], source.shape[1]
    if dicom.is_one(source):
        return _check_dicom(source, max_pixels)
    with _opened(source, max_pixels) as image:
        width, height = image.size
        # A TIFF's size is already turned; Pillow decodes a PNG to look for late EXIF.
        header_only = image.format != "PNG" or "exif" in image.info
        if image.format != "TIFF" and header_only and exif.read(image)[0] >= 5:
            height, width = width, height
    return height, width


@enough_memory()
def decode(
    source: Source, *, max_pixels: int = MAX_PIXELS, metadata: exif.Metadata = "safe"
) -> Picture:
    """Read a picture as sRGB floats.

    EXIF orientation is applied; colour profiles are converted to sRGB (16-bit gray excepted);
    palettes, CMYK and black-and-white become RGB or gray; an animation gives its first frame.
    16 bits a channel are kept for gray, and for colour where pyvips is installed; without it
    they are reduced to 8.

    Args:
        source: A path or the bytes of a JPEG, PNG, WebP, TIFF or BMP file, of an AVIF or HEIC one
            where Pillow or pillow-heif reads it, of a DICOM one where pydicom is installed, with
            nothing of its metadata; a PIL image (its current frame); or an array
            (H, W) or (H, W, 1 | 2 | 3 | 4), that is gray, gray and alpha, RGB or RGBA, of uint8,
            uint16 or float in [0, 1].
        max_pixels: Larger pictures are refused before they are decoded.
        metadata: "safe" keeps dates; "keep" all EXIF data, place and camera included, but the
            thumbnail; "strip" nothing.

    Raises:
        InputError: `metadata` is something else.
        ImageError: The source is missing, not in an accepted format, too large, truncated or
            damaged, or an array of another type, shape or range.
        OutOfMemory: There is not enough memory for it.
    """
    if metadata not in get_args(exif.Metadata):
        raise InputError(f"metadata is safe, keep or strip, got {metadata!r}")
    if isinstance(source, np.ndarray):
        _check_array(source, max_pixels)
        colour, alpha = _split(source)
        is_deep = source.dtype.kind == "u" and source.dtype.itemsize == 2  # of any byte order
        return _picture(colour, alpha, bits=16 if is_deep else 8)
    if dicom.is_one(source):
        _check_dicom(source, max_pixels)
        colour, notices = dicom.read(source)
        bits = 8 if colour.dtype == np.uint8 else 16
        return _picture(colour, None, bits=bits, notices=tuple(notices))
    with _opened(source, max_pixels) as image:
        notices = [] if isinstance(source, Image.Image) else _lost_in_reading(image)
        is_deep = isinstance(source, (str, Path, bytes)) and _has_deep_colour(image)
        if is_deep and not deep.is_here():
            notices.append("reduced from 16 to 8 bits a channel")
            is_deep = False
        width, height = image.size
        image.load()
        if image.size != (width, height):  # HEIF tells it once in its header, once in its stream
            held = "×".join(map(str, image.size))
            raise ImageError(f"the picture says {width}×{height} pixels and holds {held}")
        orientation, dates, problems = exif.read(image)
        before = exif.everything(image) if metadata == "keep" else b""
        notices += problems
        upright = image.transpose(_TURNS[orientation]) if orientation in _TURNS else image
        colour, alpha, changes = _planes(upright)
        if is_deep:
            assert isinstance(source, (str, Path, bytes))
            converted = any(change.startswith("converted") for change in changes)
            colour, alpha = deep.read(source, convert=converted)
    bits = 8 if colour.dtype == np.uint8 else 16
    notices += changes
    rest: dict[str, Any] = {"metadata": {} if metadata == "strip" else dates, "exif": before}
    return _picture(colour, alpha, bits=bits, notices=tuple(notices), **rest)


@contextmanager
def _opened(source: object, max_pixels: int) -> Iterator[Image.Image]:
    """Open by header, refuse what is too large, and turn what decoders raise into ImageError."""
    name = "the picture"
    try:
        if isinstance(source, Image.Image):
            _check_size(name, source.height, source.width, max_pixels)
            yield source
            return
        if isinstance(source, (str, Path)):
            name = repr(Path(source).name)
            if not Path(source).is_file():
                raise ImageError(f"{str(source)!r} is not a file")
        elif not isinstance(source, bytes):
            raise ImageError(
                f"a {type(source).__name__} is not a picture; give a path, bytes, "
                "a PIL image or a NumPy array"
            )
        with _open_header(source) as image:
            _check_size(name, image.height, image.width, max_pixels)
            _check_scans(name, image)
            yield image
    except (ImageError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        if _is_heic(source):
            raise ImageError(f"{name} is HEIC: pip install 'stylesr[heic]' to read it") from error
        raise ImageError(f"{name} is not {_READABLE}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} is larger than {max_pixels:,} pixels; reduce it") from error
    except Exception as error:  # on hostile bytes Pillow's decoders raise anything
        detail = f"{type(error).__name__}: {error}"
        raise ImageError(f"{name} is truncated or damaged ({detail})") from error


_opening = threading.Lock()


def _open_header(source: str | Path | bytes) -> ImageFile.ImageFile:
    # Pillow's own warnings (large picture, odd metadata) are silenced here only: size is checked
    # next, metadata is read guarded. The lock is there as warning filters belong to the process.
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = BytesIO(source) if isinstance(source, bytes) else source
        return Image.open(file, formats=_readable())


@cache
def _readable() -> tuple[str, ...]:
    """Formats that are read here."""
    with suppress(ImportError):
        import_module("pillow_heif").register_heif_opener(thumbnails=False)
    Image.init()  # all of Pillow's own
    return (*_FORMATS, *(kind for kind in _FROM_PHONES if kind in Image.OPEN))


def _is_heic(source: object) -> bool:
    if isinstance(source, bytes):
        head = source[:12]
    elif isinstance(source, (str, Path)):
        with Path(source).open("rb") as file:
            head = file.read(12)
    else:
        return False
    return head[4:8] == b"ftyp" and head[8:] in _HEIC


def _check_size(name: str, height: int, width: int, max_pixels: int) -> None:
    if height < 1 or width < 1:
        raise ImageError(f"{name} is empty: {width}×{height} pixels")
    if height * width > max_pixels:
        raise ImageError(
            f"{name} has {width}×{height} = {height * width:,} pixels; "
            f"at most {max_pixels:,} are accepted"
        )


def _check_scans(name: str, image: ImageFile.ImageFile) -> None:
    """Each scan of a JPEG goes over all its pixels, and may have but a few bytes."""
    if image.format not in ("JPEG", "MPO"):
        return
    assert image.fp is not None
    place = image.fp.tell()
    image.fp.seek(0)
    scans = image.fp.read().count(b"\xff\xda")
    image.fp.seek(place)
    if scans > MAX_SCANS:
        raise ImageError(f"{name} has {scans:,} scans; at most {MAX_SCANS} are accepted")


def _check_dicom(source: str | Path | bytes, max_pixels: int) -> tuple[int, int]:
    height, width = dicom.size(source)
    _check_size(dicom.called(source), height, width, max_pixels)
    return height, width


def _lost_in_reading(image: Image.Image) -> list[str]:
    """What decoding a file will leave out. To be asked before `load`."""
    if image.format == "MPO":  # a phone's: it holds previews and gain maps
        return []
    if image.format == "TIFF":  # to count them all would be to read them all
        return ["first of several frames used"] if getattr(image, "is_animated", False) else []
    frames = getattr(image, "n_frames", 1)
    return [f"first of {frames} frames used"] if frames > 1 else []


def _has_deep_colour(image: Image.Image) -> bool:
    """Whether a file holds 16 bits a channel that Pillow will reduce. To be asked before `load`."""
    if image.format not in deep.KINDS or image.mode.startswith("I"):  # a BMP's BGR;16 is 5-6-5 bits
        return False
    return any(";16" in str(tile.args) for tile in getattr(image, "tile", ()))


def _planes(image: Image.Image) -> tuple[Array, Array | None, list[str]]:
    """Colour (H, W) or (H, W, 3), alpha (H, W) or None, and notices."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith(("I", "F")):
        notices = ["its colour profile was ignored, as for all deep gray pictures"]
        return *_deep_gray(image), notices if profile else []
    alpha = None
    is_gray = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        image = image.convert("LA" if is_gray else "RGBA")
        alpha = np.asarray(image.getchannel("A"))
    if image.mode == "LAB":
        raise ImageError("CIELAB pictures are not read; convert it to RGB first")
    if image.mode != "CMYK":
        image = image.convert("L" if is_gray else "RGB")
    notices = []
    if profile:
        image, notices = to_srgb(image, profile)
    image = image.convert("RGB")
    return np.asarray(image.getchannel("G") if is_gray else image), alpha, notices


def _deep_gray(image: Image.Image) -> tuple[Array, Array | None]:
    """Gray of 16 bits, of 32-bit integers that hold 16, or of floats in [0, 1]."""
    gray = np.asarray(image)
    if image.mode == "F":
        _check_unit_range(gray)
    elif gray.min() < 0 or gray.max() > 65535:
        raise ImageError(
            f"gray values from {gray.min()} to {gray.max()} do not fit 16 bits; "
            "save the picture with 0 to 65535"
        )
    else:
        gray = gray.astype(np.uint16)
    key = image.info.get("transparency")
    alpha = (gray != key).astype(np.uint8) * 255 if isinstance(key, int) else None
    return gray, alpha


def _check_array(array: Array, max_pixels: int) -> None:
    shape = array.shape
    if array.ndim not in (2, 3) or (array.ndim == 3 and shape[2] not in (1, 2, 3, 4)):
        raise ImageError(f"a picture array is (H, W) or (H, W, 1 to 4), got {shape}")
    _check_size("the array", shape[0], shape[1], max_pixels)
    if array.dtype.kind == "f":
        _check_unit_range(array)
    elif array.dtype.kind != "u" or array.dtype.itemsize > 2:
        raise ImageError(f"a picture array is uint8, uint16 or float, got {array.dtype}")


def _check_unit_range(array: Array) -> None:
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 1):  # also refuses NaN
        raise ImageError(f"a float picture holds values in [0, 1], got {low} to {high}")


def _split(array: Array) -> tuple[Array, Array | None]:
    """An (H, W, C) array as colour and alpha."""
    if array.ndim == 2:
        return array, None
    channels = array.shape[2]
    colour = array[..., 0] if channels <= 2 else array[..., :3]
    return colour, array[..., -1] if channels in (2, 4) else None


def _picture(colour: Array, alpha: Array | None, **rest: Any) -> Picture:
    pixels = _to_float(colour)
    gray = pixels.ndim == 2
    pixels = pixels.repeat(3, 1, 1) if gray else pixels.permute(2, 0, 1).contiguous()
    opacity = None
    if alpha is not None:
        opacity = _to_float(alpha)[None]
        pixels = _extend_colours(pixels, opacity)
    return Picture(pixels, opacity, gray, **rest)


def _to_float(array: Array) -> Tensor:
    """Integers by their full range, floats as they are; never the caller's memory."""
    full = np.iinfo(array.dtype).max if array.dtype.kind == "u" else 1
    return torch.from_numpy(np.divide(array, np.float32(full), dtype=np.float32))


def _extend_colours(pixels: Tensor, alpha: Tensor) -> Tensor:
    """Give fully transparent pixels the colour of visible ones near them (push-pull pyramid)."""
    if bool((alpha > 0).all()) or not bool((alpha > 0).any()):
        return pixels
    colours, weights = [(pixels * alpha)[None]], [alpha[None]]
    while not bool((weights[-1] > 0).all()):
        colours.append(F.avg_pool2d(colours[-1], 2, ceil_mode=True, count_include_pad=False))
        weights.append(F.avg_pool2d(weights[-1], 2, ceil_mode=True, count_include_pad=False))
    filled = colours[-1] / weights[-1]
    for colour, weight in zip(colours[-2::-1], weights[-2::-1], strict=True):
        filled = F.interpolate(filled, colour.shape[-2:], mode="bilinear", align_corners=False)
        filled = torch.where(weight > 0, colour / weight, filled)
    return torch.where(alpha > 0, pixels, filled[0].clamp(0, 1))


# --- writing -------------------------------------------------------------------------------


def format_of(path: str | Path) -> str:
    """The format that a file name's extension stands for: png, webp, jpeg, tiff or bmp.

    Raises:
        ImageError: Another extension, or none.
    """
    extension = Path(path).suffix.lower().lstrip(".")
    if extension not in _EXTENSIONS:
        raise ImageError(
            f"{str(path)!r} does not end in a known picture extension; "
            f"use one of .{', .'.join(sorted(_EXTENSIONS))}"
        )
    return _EXTENSIONS[extension].lower()


def decode_for(
    source: str | Path, output: str | Path, *, metadata: exif.Metadata = "safe"
) -> Picture:
    """Read a picture of which `output` is to be made; what could not be written is refused first.

    `metadata` is as for `decode`.

    Raises:
        ImageError: As for `decode`, `format_of` and `encode`.
        InputError: There is no folder for `output`, or it is the picture itself.
    """
    format = format_of(output)
    if not Path(output).absolute().parent.is_dir():
        raise InputError(f"there is no folder for {str(output)!r}; make it first")
    picture = decode(source, metadata=metadata)
    if Path(output).exists() and os.path.samefile(source, output):
        raise InputError(f"{str(output)!r} is the input; give the result another name")
    encode(picture, format)  # raises where the format cannot hold the transparency
    return picture


def encode(picture: Picture, format: str = "png", *, quality: int | None = None) -> bytes:
    """The bytes of a picture file.

    PNG, TIFF and BMP are lossless, WebP too unless `quality` is given. Gray of 16 bits keeps
    them in PNG and TIFF, colour where pyvips is installed. JPEG and BMP hold no transparency:
    an opaque alpha is left out.

    Args:
        picture: What to write; values are clamped to [0, 1].
        format: png, webp, jpeg, tiff or bmp.
        quality: 1 to 100 for JPEG (95 when None) and WebP (lossless when None).

    Raises:
        InputError: Unknown format, quality or metadata name.
        ImageError: The format cannot hold the picture's transparency or size.
    """
    file = BytesIO()
    _write(picture, file, format, quality)
    return file.getvalue()


def _write(picture: Picture, file: IO[bytes], format: str, quality: int | None) -> None:
    kind = _EXTENSIONS.get(format.lower())
    if kind is None:
        raise InputError(f"format is png, webp, jpeg, tiff or bmp, got {format!r}")
    if quality is not None and not 1 <= quality <= 100:
        raise InputError(f"quality is 1 to 100, got {quality}")
    if deep.suits(picture, kind) and deep.is_here():
        file.write(deep.write(picture, kind, picture.metadata))
        return
    image = to_pil(picture)
    if kind in ("JPEG", "BMP") and picture.alpha is not None:
        if image.getchannel("A").getextrema()[0] != 255:
            raise ImageError(f"{kind} cannot hold transparency; use PNG, WebP or TIFF")
        image = image.convert("L" if picture.gray else "RGB")
    if image.mode == "I;16" and kind not in ("PNG", "TIFF"):
        image = to_pil(replace(picture, bits=8))
    options = _options(kind, quality) | exif.save_options(kind, picture.metadata, picture.exif)
    try:
        image.save(file, kind, **options)
    except (OSError, ValueError) as error:
        raise ImageError(f"{image.width}×{image.height} pixels as {kind}: {error}") from error


@enough_memory()
def save(picture: Picture, path: str | Path, *, quality: int | None = None) -> None:
    """Write a picture file in the format of its extension, whole or not at all.

    Raises:
        ImageError: As for `format_of` and `encode`, or the folder is missing or not writable.
        OutOfMemory: There is not enough memory to encode it.
    """
    path = Path(path)
    format = format_of(path)
    if not path.parent.is_dir():
        raise ImageError(f"there is no folder {str(path.parent)!r} to write {path.name!r} into")
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            _write(picture, file, format, quality)
        os.replace(part, path)
    except OSError as error:
        raise ImageError(f"{str(path)!r} cannot be written: {error}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _options(kind: str, quality: int | None) -> dict[str, Any]:
    if kind == "JPEG":
        return {"quality": quality or 95, "subsampling": 0}
    if kind == "WEBP":
        return {"lossless": True} if quality is None else {"quality": quality}
    return {"compression": "tiff_deflate"} if kind == "TIFF" else {}
