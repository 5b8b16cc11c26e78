"""Colour of 16 bits a channel, which Pillow has not: PNG and TIFF files by libvips.

pyvips is an optional extra (`pip install 'stylesr[deep]'`); without it such files are read as 8
bits, with a notice.
"""

import struct
import zlib
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from stylesr import exif
from stylesr.errors import ImageError
from stylesr.picture import Array, Picture, to_integers

__all__ = ["KINDS", "is_here", "read", "suits", "write"]

KINDS = ("PNG", "TIFF")
HEADER = 33  # bytes of a PNG file before its second chunk


@cache
def is_here() -> bool:
    """Whether libvips can be used."""
    try:
        import_module("pyvips")
    except (ImportError, OSError):  # not installed, or without its library
        return False
    return True


def suits(picture: Picture, kind: str) -> bool:
    """Whether a picture has 16 bits that a file of this kind can hold and Pillow cannot write.

    A TIFF file of them with transparency is one that Pillow does not open: it gets 8 bits.
    """
    if picture.bits != 16:
        return False
    return kind == "PNG" if picture.alpha is not None else kind in KINDS and not picture.gray


def read(source: str | Path | bytes, *, convert: bool) -> tuple[Array, Array | None]:
    """Colour (H, W, 3) and alpha (H, W) or None, uint16, upright.

    Args:
        source: a file that Pillow has identified.
        convert: to sRGB, by the colour profile in it.

    Raises:
        pyvips.Error: it cannot be read to its end.
    """
    vips = import_module("pyvips").Image
    if isinstance(source, bytes):
        image = vips.new_from_buffer(source, "", fail_on="truncated")
    else:
        image = vips.new_from_file(str(source), fail_on="truncated")
    if convert:
        image = image.icc_transform("srgb", embedded=True, depth=16, intent="perceptual")
    pixels = image.autorot().colourspace("rgb16").numpy()
    return pixels[..., :3], pixels[..., 3] if pixels.shape[2] > 3 else None


def write(picture: Picture, kind: str, metadata: Mapping[str, str]) -> bytes:
    """A file's bytes, of 16 bits a channel.

    Args:
        picture: what to write.
        kind: one of `KINDS`.
        metadata: as for `exif.save_options`.

    Raises:
        ImageError: the picture cannot be written, or holds values that are no numbers.
    """
    pyvips = import_module("pyvips")
    pixels = to_integers(picture, 16)
    height, width, bands = pixels.shape
    image = pyvips.Image.new_from_memory(pixels.tobytes(), width, height, bands, "ushort")
    image = image.copy(interpretation="grey16" if bands < 3 else "rgb16")
    said: dict[str, Any] = exif.save_options("WEBP", metadata, picture.exif)
    blocks = {
        "exif-data": said["exif"].tobytes() if said else b"",
        "xmp-data": said.get("xmp", b""),
    }
    for name, data in blocks.items():
        if data:
            image.set_type(pyvips.GValue.blob_type, name, data)
    options = {"compression": "deflate", "predictor": "horizontal"} if kind == "TIFF" else {}
    try:
        data = bytes(image.write_to_buffer(f".{kind.lower()}", **options))
    except pyvips.Error as error:
        raise ImageError(f"{width}×{height} pixels as {kind}: {error}") from error
    return _with_xmp(data, said["xmp"]) if kind == "PNG" and "xmp" in said else data


def _with_xmp(png: bytes, xmp: bytes) -> bytes:
    """The file with the chunk that libvips leaves out."""
    chunk = b"iTXtXML:com.adobe.xmp\0\0\0\0\0" + xmp
    sealed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:HEADER] + sealed + png[HEADER:]
