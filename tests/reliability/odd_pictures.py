"""Files of every accepted format, and bombs: all are made here, from a seed."""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from itertools import cycle, islice

import numpy as np
from PIL import Image, ImageCms, features

from stylesr import deep, exif
from stylesr.images import encode
from stylesr.picture import Array, Picture

__all__ = ["FORMATS", "MODES", "bombs", "in_mode", "modes", "scene", "seeds"]

SEEDS = 10
SIDE = 44
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16", "I", "YCbCr", "LAB", "HSV", "F")

_ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
_EXIF = Image.Exif()
_EXIF.update({0x0112: 6, 0x0132: "2020:01:02 03:04:05", 0x010F: "Maker"})
_EXIF.get_ifd(0x8825)[1] = "N"

# By Pillow's name: (mode, options of save), taken in turn for ten files
FORMATS = {
    "JPEG": [
        ("RGB", {"quality": 90}),
        ("RGB", {"quality": 60, "progressive": True, "exif": _EXIF}),
        ("L", {"icc_profile": _ICC}),
        ("CMYK", {}),
        ("RGB", {"subsampling": 2, "optimize": True, "restart_marker_blocks": 2}),
    ],
    "PNG": [
        ("RGB", {"exif": _EXIF}),
        ("RGBA", {"icc_profile": _ICC}),
        ("P", {"transparency": 3}),
        ("1", {}),
        ("LA", {}),
        ("L", {"transparency": 7}),
    ],
    "WEBP": [
        ("RGB", {"quality": 80, "exif": _EXIF}),
        ("RGBA", {"lossless": True, "icc_profile": _ICC}),
        ("RGB", {"lossless": True}),
        ("RGBA", {"quality": 50, "alpha_quality": 50}),
        ("RGB", {"save_all": True, "append_images": [Image.new("RGB", (SIDE, SIDE))]}),
    ],
    "TIFF": [
        ("RGB", {"exif": _EXIF}),
        ("RGB", {"compression": "tiff_lzw"}),
        ("RGBA", {"compression": "tiff_deflate"}),
        ("RGB", {"compression": "jpeg"}),
        ("1", {"compression": "group4"}),
        ("CMYK", {"compression": "packbits", "icc_profile": _ICC}),
        ("F", {}),
        ("I;16", {}),
        ("P", {"save_all": True, "append_images": [Image.new("L", (9, 9))]}),
    ],
    "BMP": [("RGB", {}), ("L", {}), ("P", {}), ("1", {}), ("RGBA", {})],
    "AVIF": [("RGB", {"exif": _EXIF}), ("RGBA", {}), ("L", {}), ("RGB", {"icc_profile": _ICC})],
    "HEIF": [("RGB", {"exif": _EXIF}), ("RGBA", {}), ("L", {}), ("RGB", {"icc_profile": _ICC})],
}


def scene(seed: int, side: int = SIDE) -> Array:
    """(side, side, 4) uint8: slopes, an edge, noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:side, 0:side] / side
    planes = [rows, columns, (rows + columns > 1) * 0.8, 1 - rows * columns]
    noisy = np.stack(planes, 2) + random.normal(0, 0.05, (side, side, 4))
    levels: Array = (noisy.clip(0, 1) * 255).astype(np.uint8)
    return levels


def in_mode(mode: str, seed: int = 0, side: int = SIDE) -> Image.Image:
    """A picture of one of Pillow's modes."""
    pixels = scene(seed, side)
    if mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        to = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), lab, "RGB", "LAB")
        converted = ImageCms.applyTransform(Image.fromarray(pixels[..., :3]), to)
        assert converted is not None
        return converted
    if mode == "F":
        return Image.fromarray(pixels[..., 0] / np.float32(255))
    if mode in ("I", "I;16"):
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).convert(mode)
    if mode == "PA":
        return Image.fromarray(pixels[..., :3]).convert("P").convert("PA")
    image = Image.fromarray(pixels)
    return image if mode == "RGBA" else image.convert("LA" if mode == "LA" else "RGB").convert(mode)


def modes() -> Iterator[tuple[str, Image.Image | bytes]]:
    """Each mode as a PIL image, and as a file of each format that holds it."""
    for mode in MODES:
        image = in_mode(mode)
        yield f"{mode} in memory", image
        for kind in FORMATS:
            try:
                yield f"{mode} as {kind}", saved(image, kind)
            except (OSError, KeyError):  # Pillow: cannot write mode … as …
                continue


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a file."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def seeds() -> Iterator[tuple[str, bytes]]:
    """(format, a good file): ten of each format that this machine can write."""
    for kind, ways in FORMATS.items():
        if kind in ("AVIF", "HEIF") and not _is_written(kind):
            continue
        for seed, (mode, options) in enumerate(islice(cycle(ways), SEEDS)):
            yield kind, saved(in_mode(mode, seed), kind, **options)
    for seed in range(SEEDS if deep.is_here() else 0):
        yield "16 bits", encode(_deep(seed), ("png", "tiff")[seed % 2])
    for seed in range(SEEDS):
        yield "DICOM", _dicom(seed)


def _is_written(kind: str) -> bool:
    if kind == "AVIF":
        return bool(features.check("avif"))
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _deep(seed: int) -> Picture:
    import torch

    pixels = torch.from_numpy(scene(seed)[..., :3].copy()).permute(2, 0, 1).contiguous()
    return Picture(pixels.float() / 256, bits=16, metadata=exif.MARK)


def _dicom(seed: int) -> bytes:
    from tests.test_dicom import file

    values = scene(seed)[..., 0].astype(np.uint16) * 16
    if seed % 2:
        return file(values, WindowCenter=2048, WindowWidth=4096)
    return file(np.stack([values, values]), RescaleSlope=2, RescaleIntercept=-9)


# -- bombs ----------------------------------------------------------------------------------------


def bombs() -> Iterator[tuple[str, bytes]]:
    """Small files that ask for much memory or time."""
    yield "PNG of 13000²", _png(13_000, 13_000, 2)
    yield "PNG whose header says 2³¹ - 1 squared", _png(2**31 - 1, 2**31 - 1, 2, rows=1)
    yield "PNG whose header says 16², with a gigabyte of pixels", _png(16, 16, 2, rows=21 << 20)
    yield "PNG of 8000² and not a row", _png(8_000, 8_000, 2, rows=0)
    yield "PNG, a million empty pieces", _png(16, 16, 2, before=_chunk(b"IDAT", b"") * 10**6)
    text = _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 28), 9))
    yield "PNG, a text of 256 MB, packed", _png(16, 16, 2, before=text)
    texts = b"".join(_chunk(b"tEXt", f"{i}\0a".encode()) for i in range(300_000))
    yield "PNG, 300,000 texts", _png(16, 16, 2, before=texts)
    profile = _chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 28), 9))
    yield "PNG, a colour profile of 256 MB, packed", _png(16, 16, 2, before=profile)
    yield "PNG, EXIF of 64 MB", _png(16, 16, 2, before=_chunk(b"eXIf", b"MM\0*" + bytes(64 << 20)))
    yield "PNG, EXIF with a loop", _png(16, 16, 2, before=_chunk(b"eXIf", _looping_exif()))
    yield "JPEG with a colour profile of 16 MB", _jpeg_with_profile()
    for scans in (1_000, 20_000):
        yield f"JPEG of 7900², {scans:,} empty scans", _jpeg_of_scans(7_900, scans)
    for frames in (10_000, 200_000):
        yield f"TIFF of {frames:,} frames", _tiff_of_frames(frames)
    yield "TIFF whose second frame is none", _tiff(_tags(64, 64), following=2**31)
    yield "TIFF that is its own next frame", _tiff(_tags(64, 64), following=8)
    yield "TIFF, EXIF in EXIF in EXIF …", _looping_tiff()
    yield "TIFF, 8000² in tiles of 16²", _tiff_of_tiles(8_000, 16)
    yield "TIFF, 65,535 samples a pixel", _tiff(_tags(64, 64, samples=65_535))
    yield "TIFF, a tag of 4 GB", _tiff([*_tags(64, 64), (0x010E, 2, 2**32 - 1, 8)])
    gray = BytesIO()
    Image.new("L", (7_900, 7_900)).save(gray, "TIFF", compression="tiff_deflate")
    yield "TIFF of 7900², packed", gray.getvalue()
    yield (
        "BMP that says 7900² and ends",
        saved(Image.new("1", (1, 1)), "BMP")[:18]
        + struct.pack("<iiHHIIiiII", 7_900, 7_900, 1, 24, 0, 0, 0, 0, 0, 0),
    )
    yield "WebP of 16383×3900", saved(Image.new("RGB", (16_383, 3_900)), "WEBP", lossless=True)
    animation = BytesIO()
    frames = [Image.new("RGB", (300, 300), (i % 256, i // 256, 0)) for i in range(2_000)]
    frames[0].save(animation, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    yield "WebP of 2,000 frames", animation.getvalue()
    for kind in ("AVIF", "HEIF"):
        if _is_written(kind):
            large = saved(Image.new("L", (7_900, 7_900)).convert("RGB"), kind)
            yield f"{kind} of 7900²", large
            said, lie = (b"ispe" + struct.pack(">III", 0, side, side) for side in (7_900, 16))
            yield f"{kind} of 7900² whose header says 16²", large.replace(said, lie)
    yield "DICOM that says 60000² and ends", _lying_dicom(60_000)
    yield "DICOM that says 7900² and ends", _lying_dicom(7_900)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(width: int, height: int, kind: int, *, rows: int = -1, before: bytes = b"") -> bytes:
    """A black PNG, of RGB where `kind` is 2, that holds so many rows, all by default."""
    row = bytes(1 + 3 * min(width, 1 << 20)) if rows else b""
    packer = zlib.compressobj(9)
    packed = [packer.compress(row) for _ in range(height if rows < 0 else rows)]
    data = b"".join(packed) + packer.flush()
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _looping_exif() -> bytes:
    """Its directory of the camera is the main one."""
    entry = struct.pack(">HHII", 0x8769, 4, 1, 8)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 8)


def _jpeg_with_profile() -> bytes:
    plain = saved(in_mode("RGB"), "JPEG")
    part = b"ICC_PROFILE\0%c\xff" + bytes(65_000)
    parts = b"".join(
        b"\xff\xe2" + struct.pack(">H", 2 + len(part) - 1) + part % i for i in range(1, 256)
    )
    return plain[:2] + parts + plain[2:]


def _jpeg_of_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG, gray; each scan runs over all blocks and says that they do not change."""
    blocks = (-(-side // 8)) ** 2
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, side, side, 1) + b"\x01\x11\x00"
    quants = b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1] * 64)
    first_table = b"\xff\xc4" + struct.pack(">HB", 20, 0x00) + bytes([1] + [0] * 15) + b"\x00"
    # one code, '0', for a run of 2¹⁴ blocks without a change, and its 14 further bits
    runs_table = b"\xff\xc4" + struct.pack(">HB", 20, 0x10) + bytes([1] + [0] * 15) + b"\xe0"
    run_bits = "0" + "1" * 14
    bits = run_bits * (blocks // (2**15 - 1) + 1)
    bits += "1" * (-len(bits) % 8)
    run = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    first = b"\xff\xda" + struct.pack(">HB", 8, 1) + b"\x01\x00" + b"\x00\x00\x01"
    first += bytes(-(-blocks // 8))
    scan = b"\xff\xda" + struct.pack(">HB", 8, 1) + b"\x01\x00" + b"\x01\x3f\x00" + run
    head = b"\xff\xd8" + quants + frame + first_table + runs_table
    return head + first + scan * scans + b"\xff\xd9"


Tag = tuple[int, int, int, int]  # number, type, count, value or offset


def _tags(width: int, height: int, samples: int = 1) -> list[Tag]:
    """Of an uncompressed gray picture."""
    return [
        (0x0100, 4, 1, width),
        (0x0101, 4, 1, height),
        (0x0102, 3, 1, 8),
        (0x0103, 3, 1, 1),
        (0x0106, 3, 1, 1),
        (0x0111, 4, 1, 8),
        (0x0115, 3, 1, samples),
        (0x0116, 4, 1, height),
        (0x0117, 4, 1, width * height),
    ]


def _directory(tags: list[Tag], following: int = 0) -> bytes:
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)


def _tiff(tags: list[Tag], following: int = 0) -> bytes:
    start = b"II*\0" + struct.pack("<I", 8)
    return start + _directory(tags, following) + bytes(4_096)


def _tiff_of_frames(count: int) -> bytes:
    """All of one size; the first alone has pixels."""
    size = [tag for tag in _tags(64, 64) if tag[0] in (0x0100, 0x0101, 0x0111)]
    place = 8 + len(_directory(_tags(64, 64)))
    start, step = b"II*\0" + struct.pack("<I", 8), len(_directory(size))
    places = [place + step * i for i in range(count - 1)]
    rest = b"".join(_directory(size, place) for place in [*places[1:], 0])
    return start + _directory(_tags(64, 64), place) + rest + bytes(4_096)


def _looping_tiff() -> bytes:
    return _tiff([*_tags(64, 64), (0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0x014A, 4, 1, 8)])


def _tiff_of_tiles(side: int, tile: int) -> bytes:
    """All its tiles lie at one place."""
    count = (side // tile) ** 2
    tags = [tag for tag in _tags(side, side) if tag[0] not in (0x0111, 0x0116, 0x0117)]
    place = 8 + len(_directory([(0, 0, 0, 0)] * (len(tags) + 4)))
    tags += [
        (0x0142, 4, 1, tile),
        (0x0143, 4, 1, tile),
        (0x0144, 4, count, place),
        (0x0145, 4, count, place + 4 * count),
    ]
    data = struct.pack("<I", 8) * count + struct.pack("<I", tile * tile) * count
    return b"II*\0" + struct.pack("<I", 8) + _directory(tags) + data


def _lying_dicom(side: int) -> bytes:
    from tests.test_dicom import file

    return file(np.zeros((4, 4), np.uint16), Rows=side, Columns=side)
