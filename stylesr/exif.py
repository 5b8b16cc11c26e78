"""The little metadata that survives: dates, and the mark that a picture was made by a model.

Everything else (place, serial numbers, names, thumbnails) stays behind.
"""

import re
from collections.abc import Mapping
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin

from stylesr.errors import InputError

__all__ = ["read", "save_options"]

_DATE = re.compile(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")
_DATE_TAGS = {
    "DateTime": ExifTags.Base.DateTime,
    "DateTimeOriginal": ExifTags.Base.DateTimeOriginal,
    "DateTimeDigitized": ExifTags.Base.DateTimeDigitized,
}
_WRITABLE = (*_DATE_TAGS, "Software", "DigitalSourceType")
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    "<Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/{}"
    "</Iptc4xmpExt:DigitalSourceType></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def read(image: Image.Image) -> tuple[int, dict[str, str], list[str]]:
    """(EXIF orientation 1 to 8, dates by EXIF name, notices for the user) of an opened picture."""
    try:
        exif = image.getexif()
        details = exif.get_ifd(ExifTags.IFD.Exif)
        found = {n: details.get(tag, exif.get(tag)) for n, tag in _DATE_TAGS.items()}
        orientation = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow's parser raises anything on hostile bytes; the pixels may be good
        return 1, {}, ["its damaged EXIF data was ignored"]
    dates = {n: d for n, d in found.items() if isinstance(d, str) and _DATE.fullmatch(d)}
    return orientation if orientation in range(1, 9) else 1, dates, []


def save_options(kind: str, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Keywords for Pillow's `save` that write the given metadata.

    Args:
        kind: Pillow's name of the format. BMP has no room for metadata.
        metadata: Dates by EXIF name (`DateTime`, `DateTimeOriginal`, `DateTimeDigitized`),
            `Software`, and `DigitalSourceType`, an IPTC code.

    Raises:
        InputError: Another name, or a DigitalSourceType that is not a plain word.
    """
    unknown = sorted(set(metadata) - set(_WRITABLE))
    if unknown:
        raise InputError(f"metadata {unknown} is not written; use {list(_WRITABLE)}")
    source_type = metadata.get("DigitalSourceType", "")
    if source_type and not source_type.isalnum():
        raise InputError(
            f"DigitalSourceType is an IPTC code such as 'algorithmicMedia', got {source_type!r}"
        )
    if kind == "BMP" or not metadata:
        return {}
    exif = Image.Exif()
    for name in metadata.keys() & _DATE_TAGS.keys():
        # TIFF has one place for all of them (as in TIFF/EP), EXIF a sub-directory for two.
        in_main = kind == "TIFF" or name == "DateTime"
        place = exif if in_main else exif.get_ifd(ExifTags.IFD.Exif)
        place[_DATE_TAGS[name]] = metadata[name]
    if "Software" in metadata:
        exif[ExifTags.Base.Software] = metadata["Software"]
    if not source_type:
        return {"exif": exif}
    return {"exif": exif} | _xmp_options(kind, exif, _XMP.format(source_type))


def _xmp_options(kind: str, exif: Image.Exif, xmp: str) -> dict[str, Any]:
    if kind == "TIFF":  # there it is one more tag
        exif[ExifTags.Base.XMLPacket] = xmp.encode()
        return {}
    if kind == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", xmp)
        return {"pnginfo": chunks}
    return {"xmp": xmp.encode()}
