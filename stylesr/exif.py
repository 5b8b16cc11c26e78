"""The little metadata that survives: dates, and what says that and how a model made a picture.

Everything else (place, serial numbers, names, thumbnails) stays behind, unless it is asked for.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from PIL import ExifTags, Image, PngImagePlugin

from stylesr.errors import InputError

__all__ = ["MARK", "Metadata", "everything", "read", "save_options"]

Metadata: TypeAlias = Literal["safe", "keep", "strip"]

# Says in a file that a model made the picture from a photo.
MARK = {"Software": "stylesr", "DigitalSourceType": "compositeWithTrainedAlgorithmicMedia"}

_DATE = re.compile(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")
_DATE_TAGS = {
    "DateTime": ExifTags.Base.DateTime,
    "DateTimeOriginal": ExifTags.Base.DateTimeOriginal,
    "DateTimeDigitized": ExifTags.Base.DateTimeDigitized,
}
_TEXT_TAGS = {
    "Software": ExifTags.Base.Software,
    "Description": ExifTags.Base.ImageDescription,
}
_ABOUT_THE_PHOTO = (  # of the main directory; the others are about the file
    *map(int, _TEXT_TAGS.values()),
    ExifTags.Base.DateTime,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Rating,
)
_ABOUT_THE_PIXELS = (
    ExifTags.Base.ExifImageWidth,
    ExifTags.Base.ExifImageHeight,
    ExifTags.Base.ExifInteroperabilityOffset,
    ExifTags.Base.ColorSpace,
)
_WRITABLE = (*_DATE_TAGS, *_TEXT_TAGS, "DigitalSourceType")
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


def everything(image: Image.Image) -> bytes:
    """All that the EXIF of an opened picture says of the photo, place and camera included.

    Left out are the thumbnail and what describes the old pixels, such as their orientation.
    """
    kept = Image.Exif()
    try:
        found = image.getexif()
        kept.update({tag: found[tag] for tag in _ABOUT_THE_PHOTO if tag in found})
        for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            values = found.get_ifd(directory).items()
            rest = {tag: value for tag, value in values if tag not in _ABOUT_THE_PIXELS}
            if rest:
                kept[directory] = rest
        return kept.tobytes() if kept else b""
    except Exception:  # as in `read`, which has told of it
        return b""


def save_options(
    kind: str, metadata: Mapping[str, str], exif_before: bytes = b""
) -> dict[str, Any]:
    """Keywords for Pillow's `save` that write the given metadata.

    Args:
        kind: Pillow's name of the format. BMP has no room for metadata.
        metadata: Dates by EXIF name (`DateTime`, `DateTimeOriginal`, `DateTimeDigitized`),
            `Software` and `Description`, in ASCII; and `DigitalSourceType`, an IPTC code. A PNG
            file holds the two texts in chunks of its own too, where its viewers look for them.
        exif_before: from `everything`: to be kept beside it; a TIFF file, of which Pillow writes
            the main directory alone, keeps camera and author, not place and exposure.

    Raises:
        InputError: Another name, a text that is not ASCII, or a DigitalSourceType that is not a
            plain word.
    """
    unknown = sorted(set(metadata) - set(_WRITABLE))
    if unknown:
        raise InputError(f"metadata {unknown} is not written; use {list(_WRITABLE)}")
    source_type = metadata.get("DigitalSourceType", "")
    if source_type and not source_type.isalnum():
        raise InputError(
            f"DigitalSourceType is an IPTC code such as 'algorithmicMedia', got {source_type!r}"
        )
    texts = {name: metadata[name] for name in _TEXT_TAGS if name in metadata}
    for name, text in texts.items():
        if not text.isascii():
            raise InputError(f"{name} is written in ASCII, got {text!r}")
    if kind == "BMP" or not (metadata or exif_before):
        return {}
    exif = Image.Exif()
    if exif_before:
        exif.load(exif_before)
        if kind == "TIFF":
            exif = _main_directory(exif)
    for name in metadata.keys() & _DATE_TAGS.keys():
        # TIFF has one place for all of them (as in TIFF/EP), EXIF a sub-directory for two.
        in_main = kind == "TIFF" or name == "DateTime"
        place = exif if in_main else exif.get_ifd(ExifTags.IFD.Exif)
        place[_DATE_TAGS[name]] = metadata[name]
    for name, text in texts.items():
        exif[_TEXT_TAGS[name]] = text
    xmp = _XMP.format(source_type) if source_type else ""
    if kind == "PNG":
        return {"exif": exif, "pnginfo": _chunks(texts, xmp)}
    if xmp and kind == "TIFF":  # there it is one more tag
        exif[ExifTags.Base.XMLPacket] = xmp.encode()
    elif xmp:
        return {"exif": exif, "xmp": xmp.encode()}
    return {"exif": exif}


def _main_directory(exif: Image.Exif) -> Image.Exif:
    main = Image.Exif()
    main.update({tag: exif[tag] for tag in _ABOUT_THE_PHOTO if tag in exif})
    return main


def _chunks(texts: Mapping[str, str], xmp: str) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        chunks.add_text(name, text)
    if xmp:
        chunks.add_itxt("XML:com.adobe.xmp", xmp)
    return chunks
