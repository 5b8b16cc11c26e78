"""Reading and writing pictures: what must survive, what is converted, what is refused."""

import io
import struct
import tarfile
import threading
import warnings
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from stylesr import deep, images
from stylesr.errors import ImageError, InputError, OutOfMemory, StyleSRError
from stylesr.exif import MARK
from stylesr.images import (
    MAX_PIXELS,
    Picture,
    check,
    decode,
    encode,
    format_of,
    save,
    to_array,
    to_levels,
    to_pil,
)

EXIF_ORIENTATION = 0x0112


def file_bytes(image, format="PNG", **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def reopened(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def values(picture):
    """uint8 (H, W, 3)."""
    return to_levels(picture.pixels).to(torch.uint8).permute(1, 2, 0).numpy()


@pytest.fixture
def rgb():
    """8-bit RGB with no two pixels alike, 7 high and 10 wide."""
    return np.random.default_rng(0).integers(0, 256, (7, 10, 3), dtype=np.uint8)


def png_header(width, height):
    """A PNG that announces a size and holds no pixels."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


# --- reading: formats and modes --------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "options"), [("PNG", {}), ("TIFF", {}), ("BMP", {}), ("WEBP", {"lossless": True})]
)
def test_lossless_files_keep_every_value(rgb, tmp_path, format, options):
    data = file_bytes(Image.fromarray(rgb), format, **options)
    path = tmp_path / "picture.bin"  # the content decides, not the name
    path.write_bytes(data)
    for source in (data, path, str(path)):
        picture = decode(source)
        assert np.array_equal(values(picture), rgb)
        assert picture.pixels.dtype == torch.float32
        assert (picture.height, picture.width) == check(source) == (7, 10)
        assert (picture.alpha, picture.gray, picture.bits) == (None, False, 8)
        assert picture.notices == () and picture.metadata == {}


def test_jpeg(scene):
    original = scene(40, 48)
    data = file_bytes(to_pil(Picture(original)), "JPEG", quality=95, subsampling=0)
    assert (decode(data).pixels - original).abs().mean() < 0.02


def test_pil_images_are_read_and_left_alone(rgb):
    image = Image.fromarray(rgb)
    picture = decode(image)
    picture.pixels.zero_()
    assert np.array_equal(np.asarray(image), rgb)
    assert np.array_equal(values(decode(image)), rgb)


def test_gray_stays_gray(rgb):
    picture = decode(Image.fromarray(rgb[..., 0]))
    assert picture.gray and picture.bits == 8
    assert all(np.array_equal(values(picture)[..., c], rgb[..., 0]) for c in range(3))
    assert reopened(encode(picture)).mode == "L"
    assert np.array_equal(np.asarray(reopened(encode(picture))), rgb[..., 0])


def test_black_and_white(rgb):
    bits = rgb[..., 0] > 127
    picture = decode(file_bytes(Image.fromarray(bits)))
    assert picture.gray
    assert np.array_equal(values(picture)[..., 1], 255 * bits)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_gray_keeps_its_bits(format):
    deep = np.arange(0, 65536, 13, dtype=np.uint16)[:5040].reshape(70, 72)
    picture = decode(file_bytes(Image.fromarray(deep), format))
    assert picture.gray and picture.bits == 16 and picture.notices == ()
    assert torch.equal(picture.pixels[0], torch.from_numpy(deep.astype(np.float32) / 65535))
    for target in ("png", "tiff"):
        back = reopened(encode(picture, target))
        assert back.mode == "I;16"
        assert np.array_equal(np.asarray(back), deep)
    shallow = np.asarray(reopened(encode(picture, "webp", quality=None)).convert("L"))
    assert np.array_equal(shallow, np.floor(deep / 65535 * 255 + 0.5))


def test_big_endian_sixteen_bit_gray_is_turned_upright():
    deep = np.arange(6, dtype=np.uint16).reshape(2, 3) * 10_000
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    picture = decode(file_bytes(Image.fromarray(deep), "PNG", exif=exif))
    assert np.array_equal(to_levels(picture.pixels[0], 65535).numpy(), np.rot90(deep, -1))


def test_gray_of_32_bits():
    fits = np.array([[0, 300], [65535, 7]], np.int32)
    picture = decode(file_bytes(Image.fromarray(fits), "TIFF"))
    assert picture.bits == 16
    assert np.array_equal(to_levels(picture.pixels[0], 65535).numpy(), fits)
    with pytest.raises(ImageError, match="from 0 to 70000 do not fit 16 bits"):
        decode(Image.fromarray(np.array([[0, 70_000]], np.int32)))
    with pytest.raises(ImageError, match="from -1 to"):
        decode(Image.fromarray(np.array([[-1, 5]], np.int32)))


def test_gray_of_floats():
    floats = np.array([[0, 0.25], [1, 0.1]], np.float32)
    picture = decode(file_bytes(Image.fromarray(floats), "TIFF"))
    assert picture.gray and torch.equal(picture.pixels[0], torch.from_numpy(floats))
    with pytest.raises(ImageError, match=r"\[0, 1\], got 0.0 to 200.0"):
        decode(file_bytes(Image.fromarray(floats * 200), "TIFF"))


def test_sixteen_bit_colour_is_reduced_with_a_notice(shared_data, monkeypatch):
    monkeypatch.setattr(deep, "is_here", lambda: False)
    picture = decode(shared_data / "benchmarks" / "real" / "tree_alpha_16bit.png")
    assert picture.bits == 8 and picture.alpha is not None
    assert "reduced from 16 to 8 bits a channel" in picture.notices
    assert "converted from Adobe RGB (1998) to sRGB" in picture.notices


def test_palette(rgb):
    image = Image.fromarray(rgb).quantize(16)
    picture = decode(file_bytes(image))
    assert not picture.gray and picture.alpha is None
    assert np.array_equal(values(picture), np.asarray(image.convert("RGB")))


def test_palette_with_transparency():
    image = Image.new("P", (4, 2))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2, 2, 0, 1, 2, 2])
    picture = decode(file_bytes(image, transparency=bytes([255, 128, 0])))
    assert np.array_equal(to_levels(picture.alpha[0]).numpy(), 2 * [[255, 128, 0, 0]])
    assert values(picture)[0, 0].tolist() == [255, 0, 0]
    assert values(picture)[0, 1].tolist() == [0, 255, 0]


@pytest.mark.parametrize("mode", ["1", "L", "I;16"])
def test_gray_with_a_transparent_value(mode):
    if mode == "I;16":
        image, key = Image.fromarray(np.array([[3, 0, 1000]], np.uint16)), 1000
    else:
        image, key = Image.fromarray(np.array([[0, 0, 255]], np.uint8)).convert(mode), 255
    picture = decode(file_bytes(image, transparency=key))
    assert picture.gray
    assert picture.alpha.flatten().tolist() == [1, 1, 0]


def test_colour_with_a_transparent_value():
    image = Image.fromarray(np.array([[[9, 8, 7], [1, 2, 3]]], np.uint8))
    picture = decode(file_bytes(image, transparency=(1, 2, 3)))
    assert picture.alpha.flatten().tolist() == [1, 0]


@pytest.mark.parametrize("format", ["TIFF", "JPEG"])
def test_cmyk_without_a_profile(format):
    cmyk = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    red, green, blue = values(decode(file_bytes(cmyk, format)))[4, 4]
    assert red < 10 and green > 245 and blue > 245


@pytest.mark.parametrize("mode", ["RGBX", "YCbCr", "HSV", "PA", "La", "RGBa"])
def test_other_pil_modes(mode, rgb):
    """In memory only; each has a way to RGB."""
    image = Image.fromarray(rgb)
    source = {"PA": "P", "La": "LA", "RGBa": "RGBA"}.get(mode)
    image = image.convert(source).convert(mode) if source else image.convert(mode)
    picture = decode(image)
    assert picture.pixels.shape == (3, 7, 10)
    assert (picture.alpha is not None) == (mode in ("PA", "La", "RGBa"))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (513, 7), (3, 65)])
def test_odd_sizes_come_back_in_a_fitting_mode(mode, size):
    width, height = size
    channels = len(Image.new(mode, (1, 1)).getbands())
    random = np.random.default_rng(width)
    raw = random.integers(0, 2, (height, width, channels), dtype=np.uint8) * 255
    if mode == "I;16":
        image = Image.fromarray(raw[..., 0].astype(np.uint16) * 257)
    else:
        name = {"1": "L", "P": "L"}.get(mode, mode)
        image = Image.frombytes(name, size, raw.tobytes()).convert(mode)
    picture = decode(file_bytes(image, "TIFF" if mode == "CMYK" else "PNG"))
    assert picture.pixels.shape == (3, height, width)
    assert picture.pixels.min() >= 0 and picture.pixels.max() <= 1
    back = reopened(encode(picture))
    assert back.size == size
    assert back.mode == {"1": "L", "P": "RGB", "CMYK": "RGB"}.get(mode, mode)
    assert torch.equal(decode(encode(picture)).pixels, picture.pixels) or picture.alpha is not None


def test_lab_is_refused():
    with pytest.raises(ImageError, match="CIELAB"):
        decode(Image.new("LAB", (4, 4)))


# --- reading: animation ----------------------------------------------------------------------


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_first_frame_of_several(format):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    data = file_bytes(frames[0], format, save_all=True, append_images=frames[1:])
    picture = decode(data)
    count = "several" if format == "TIFF" else "3"
    assert picture.notices == (f"first of {count} frames used",)
    red, green, blue = values(picture)[3, 4]
    assert red > 240 and green < 15 and blue < 15


# --- reading: orientation and metadata -------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "JPEG"])
def test_orientation_is_applied(rgb, format, orientation):
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    options = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}, "JPEG": {"quality": 100}}
    data = file_bytes(Image.fromarray(rgb), format, exif=exif, **options[format])
    upright = np.asarray(ImageOps.exif_transpose(reopened(data)))
    picture = decode(data)
    assert np.array_equal(values(picture), upright)
    assert check(data) == upright.shape[:2] == ((7, 10) if orientation < 5 else (10, 7))
    assert EXIF_ORIENTATION not in reopened(encode(picture)).getexif()


def test_the_eight_orientations_show_one_picture(shared_data):
    """Files written by other software; 1 is upright."""
    found = {}
    with tarfile.open(shared_data / "hostile" / "hostile.tar.gz") as archive:
        for member in archive:
            if "exif-orientation/Landscape" in member.name and member.name.endswith(".jpg"):
                data = archive.extractfile(member).read()
                found[member.name[-5]] = decode(data).pixels
    assert len(found) >= 7
    for pixels in found.values():
        assert pixels.shape == found["1"].shape
        assert (pixels - found["1"]).abs().mean() < 0.08  # each has its number painted on it


def dated_exif():
    exif = Image.Exif()
    exif[0x010F] = "MakerOfCameras"
    exif[0x0132] = "2021:07:28 01:12:19"
    details = exif.get_ifd(0x8769)
    details[0x9003] = "2020:01:02 03:04:05"
    details[0xA431] = "SERIAL-4711"
    exif.get_ifd(0x8825)[1] = "N"
    return exif


@pytest.mark.parametrize("format", ["png", "webp", "jpeg", "tiff"])
def test_only_dates_survive(rgb, format):
    data = file_bytes(Image.fromarray(rgb), "JPEG", exif=dated_exif())
    picture = decode(data)
    dates = {"DateTime": "2021:07:28 01:12:19", "DateTimeOriginal": "2020:01:02 03:04:05"}
    assert picture.metadata == dates
    written = encode(picture, format)
    assert decode(written).metadata == dates
    assert b"2020:01:02 03:04:05" in written
    for secret in (b"MakerOfCameras", b"SERIAL-4711"):
        assert secret in data and secret not in written
    assert not reopened(written).getexif().get_ifd(0x8825)


@pytest.mark.parametrize("format", ["png", "webp", "jpeg", "tiff"])
def test_all_metadata_may_be_kept_but_what_describes_the_old_pixels(rgb, format):
    before = dated_exif()
    before[0x0112] = 6  # orientation
    before.get_ifd(0x8769)[0xA002] = 9  # width
    data = file_bytes(Image.fromarray(rgb), "JPEG", exif=before)
    picture = decode(data, metadata="keep")
    written = encode(replace(picture, metadata={**picture.metadata, **MARK}), format)
    after = reopened(written).getexif()
    assert after[0x010F] == "MakerOfCameras" and after[0x0131] == "stylesr"
    if format != "tiff":
        assert after.get_ifd(0x8769)[0xA431] == "SERIAL-4711" and after.get_ifd(0x8825)[1] == "N"
    assert 0xA002 not in after.get_ifd(0x8769)
    assert after.get(0x0112, 1) == 1
    assert decode(written).metadata == picture.metadata
    assert reopened(written).size == rgb.shape[:2]  # it was turned


def test_metadata_may_be_stripped(rgb):
    data = file_bytes(Image.fromarray(rgb), "JPEG", exif=dated_exif())
    picture = decode(data, metadata="strip")
    assert (picture.metadata, picture.exif) == ({}, b"")
    with pytest.raises(InputError, match="metadata is safe, keep or strip, got 'all'"):
        decode(data, metadata="all")


def test_a_date_that_is_none_is_dropped(rgb):
    exif = Image.Exif()
    exif[0x0132] = "<script>alert(1)</script>"
    assert decode(file_bytes(Image.fromarray(rgb), exif=exif)).metadata == {}


@pytest.mark.parametrize("format", ["png", "webp", "jpeg", "tiff"])
def test_a_picture_can_be_marked_as_generated(rgb, format):
    mark = {
        "Software": "stylesr 1.0",
        "Description": '{"scale": 4}',
        "DigitalSourceType": "compositeWithTrainedAlgorithmicMedia",
    }
    written = encode(replace(decode(rgb), metadata=mark), format)
    assert b"digitalsourcetype/compositeWithTrainedAlgorithmicMedia" in written
    assert reopened(written).getexif()[0x0131] == "stylesr 1.0"
    assert reopened(written).getexif()[0x010E] == '{"scale": 4}'
    if format == "png":  # also where viewers of PNG files look
        assert reopened(written).text["Description"] == '{"scale": 4}'
    assert values(decode(written)).shape == rgb.shape


def test_metadata_that_is_not_written_is_refused(rgb):
    with pytest.raises(InputError, match="GPSInfo"):
        encode(replace(decode(rgb), metadata={"GPSInfo": "here"}))
    with pytest.raises(InputError, match="IPTC code"):
        encode(replace(decode(rgb), metadata={"DigitalSourceType": "a</b>"}))
    with pytest.raises(InputError, match="Description is written in ASCII, got '星'"):
        encode(replace(decode(rgb), metadata={"Description": "星"}))


def test_damaged_exif_is_no_reason_to_refuse_a_picture(rgb):
    data = file_bytes(Image.fromarray(rgb), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f garbage")
    assert np.array_equal(values(decode(data)), rgb)


# --- reading: colour profiles ----------------------------------------------------------------


def swapped_profile():
    """sRGB with its red and blue columns exchanged: any mistake in using it shows."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", profile[128:132])[0]
    table = {bytes(profile[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, blue = table[b"rXYZ"], table[b"bXYZ"]
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


def test_colours_are_converted_by_their_profile(rgb):
    picture = decode(file_bytes(Image.fromarray(rgb), icc_profile=swapped_profile()))
    assert np.abs(values(picture).astype(int) - rgb[..., ::-1]).max() <= 2
    assert len(picture.notices) == 1 and picture.notices[0].startswith("converted from")
    assert "icc_profile" not in reopened(encode(picture)).info


def test_profile_and_alpha_together(rgb):
    rgba = np.dstack([rgb, np.full((7, 10), 77, np.uint8)])
    picture = decode(file_bytes(Image.fromarray(rgba), icc_profile=swapped_profile()))
    assert np.abs(values(picture).astype(int) - rgb[..., ::-1]).max() <= 2
    assert (to_levels(picture.alpha) == 77).all()


def test_an_srgb_profile_changes_nothing(rgb):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = decode(file_bytes(Image.fromarray(rgb), icc_profile=profile))
    assert np.array_equal(values(picture), rgb) and picture.notices == ()


def test_gray_with_an_rgb_profile_stays_gray(rgb):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = decode(file_bytes(Image.fromarray(rgb[..., 0]), icc_profile=profile))
    assert picture.gray and picture.notices == ()
    assert np.array_equal(values(picture)[..., 0], rgb[..., 0])


def test_gray_profile(shared_data):
    path = shared_data / "benchmarks" / "real" / "wolf_gray.jpg"
    picture = decode(path)
    assert picture.gray and picture.notices == ("converted from Dot Gain 15 to sRGB",)
    plain = np.asarray(Image.open(path)).astype(float)
    assert np.corrcoef(plain.ravel(), values(picture)[..., 0].ravel())[0, 1] > 0.99
    assert np.abs(plain - values(picture)[..., 0]).max() > 3


@pytest.mark.parametrize("profile", [b"no profile", swapped_profile()[:200]])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_broken_profile_is_ignored_with_a_notice(rgb, mode, profile):
    image = Image.fromarray(rgb).convert(mode)
    picture = decode(file_bytes(image, icc_profile=profile))
    assert picture.notices == ("its colour profile is damaged or does not fit: read as sRGB",)
    assert np.array_equal(values(picture), np.asarray(image.convert("RGB")))


def test_a_profile_of_another_colour_space_is_ignored_with_a_notice():
    cmyk = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    picture = decode(file_bytes(cmyk, "TIFF", icc_profile=swapped_profile()))
    assert picture.notices == ("its colour profile is damaged or does not fit: read as sRGB",)
    assert values(picture)[0, 0].tolist() == [0, 255, 255]


def test_the_profile_of_deep_gray_is_left_out_with_a_notice():
    image = Image.fromarray(np.array([[5, 60_000]], np.uint16))
    picture = decode(file_bytes(image, icc_profile=swapped_profile()))
    assert "colour profile was ignored" in picture.notices[0]


# --- transparency ----------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["png", "webp", "tiff"])
def test_alpha_survives(rgb, format):
    alpha = np.random.default_rng(1).integers(1, 256, (7, 10, 1), dtype=np.uint8)
    rgba = np.concatenate([rgb, alpha], 2)
    picture = decode(encode(decode(rgba), format))
    assert np.array_equal(values(picture), rgb)
    assert np.array_equal(to_levels(picture.alpha[0]).numpy(), alpha[..., 0])


def test_gray_with_alpha_stays_so(rgb):
    picture = decode(Image.fromarray(rgb[..., :2]))
    assert picture.gray and picture.alpha is not None
    back = reopened(encode(picture))
    assert back.mode == "LA"
    seen = rgb[..., 1] > 0
    assert np.array_equal(np.asarray(back)[seen], rgb[..., :2][seen])


def test_colours_reach_under_transparent_pixels():
    """A green disc on transparent black: after the fill no black is left to bleed in."""
    rows, columns = np.mgrid[:61, :83]
    disc = (rows - 20) ** 2 + (columns - 60) ** 2 < 100
    rgba = np.zeros((61, 83, 4), np.uint8)
    rgba[disc] = 20, 200, 40, 255
    picture = decode(rgba)
    expected = torch.tensor([20, 200, 40]).view(3, 1, 1) / 255
    torch.testing.assert_close(picture.pixels, expected.expand(3, 61, 83), atol=1e-5, rtol=0)
    assert torch.equal(picture.alpha[0], torch.from_numpy(disc).float())


def test_the_nearest_colour_is_taken():
    rgba = np.zeros((32, 64, 4), np.uint8)
    rgba[:, :8] = 255, 0, 0, 255
    rgba[:, -8:] = 0, 0, 255, 255
    pixels = decode(rgba).pixels
    assert (pixels[0, :, :20] > 0.8).all() and (pixels[2, :, -20:] > 0.8).all()
    assert torch.equal(pixels[:, :, :8], torch.tensor([1.0, 0, 0]).view(3, 1, 1).expand(3, 32, 8))


def test_visible_pixels_keep_their_values(noise):
    rgba = noise(19, 23, 4).numpy()
    rgba[..., 3] *= rgba[..., 3] > 0.5
    picture = decode(rgba)
    seen = rgba[..., 3] > 0
    assert np.array_equal(to_array(picture)[seen], rgba[seen])
    assert picture.pixels.min() >= 0 and picture.pixels.max() <= 1


def test_a_wholly_transparent_picture(rgb):
    rgba = np.dstack([rgb, np.zeros((7, 10), np.uint8)])
    assert np.array_equal(values(decode(rgba)), rgb)


@pytest.mark.parametrize("format", ["jpeg", "bmp"])
def test_formats_without_transparency(rgb, format):
    opaque = decode(np.dstack([rgb, np.full((7, 10), 255, np.uint8)]))
    assert decode(encode(opaque, format)).alpha is None
    clear = decode(np.dstack([rgb, np.full((7, 10), 254, np.uint8)]))
    with pytest.raises(ImageError, match="cannot hold transparency; use PNG"):
        encode(clear, format)


# --- arrays ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1), (5, 6, 2), (5, 6, 3), (5, 6, 4)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "float16", "float32", "float64"])
def test_arrays(shape, dtype):
    random = np.random.default_rng(0)
    if "f" in dtype:
        array, full = random.random(shape).astype(dtype), 1
    else:
        full = np.iinfo(dtype).max
        array = random.integers(1, full, shape, endpoint=True).astype(dtype)
    before = array.copy()
    picture = decode(array)
    channels = 1 if len(shape) == 2 else shape[2]
    assert picture.gray == (channels <= 2)
    assert (picture.alpha is not None) == (channels in (2, 4))
    assert picture.bits == (16 if full == 65535 else 8)
    expected = array.reshape(5, 6, channels).astype(np.float64) / full
    result = to_array(picture)
    assert result.dtype == np.float32 and result.flags.c_contiguous
    np.testing.assert_allclose(result[..., 0], expected[..., 0], atol=1e-6)
    if channels in (2, 4):
        np.testing.assert_allclose(result[..., 3], expected[..., -1], atol=1e-6)
    picture.pixels.zero_()
    assert np.array_equal(array, before)


def test_arrays_need_not_be_contiguous(rgb):
    view = rgb[::-1, ::2]
    assert np.array_equal(values(decode(view)), view)


def test_sixteen_bit_gray_array_is_written_so():
    deep = np.array([[1, 258], [65535, 40_000]], np.uint16)
    assert np.array_equal(np.asarray(to_pil(decode(deep))), deep)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4), np.int64), "got int64"),
        (np.zeros((4, 4), bool), "got bool"),
        (np.zeros((4, 4), complex), "got complex128"),
        (np.zeros((4, 4), object), "got object"),
        (np.zeros((3, 4, 5)), r"got \(3, 4, 5\)"),
        (np.zeros(4), r"got \(4,\)"),
        (np.zeros((1, 3, 4, 4)), r"got \(1, 3, 4, 4\)"),
        (np.zeros((0, 4, 3)), "empty: 4×0"),
        (np.full((4, 4), 1.01), "to 1.01"),
        (np.full((4, 4), -0.5), "got -0.5"),
        (np.full((4, 4, 3), 200.0), "200.0"),
        (np.full((4, 4), np.nan), "nan"),
        (np.full((4, 4), np.inf), "inf"),
    ],
)
def test_bad_arrays_are_refused(array, message):
    for call in (decode, check):
        with pytest.raises(ImageError, match=message):
            call(array)


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [None, 3, [np.zeros((4, 4))], torch.zeros(3, 4, 4)])
def test_other_things_are_refused(source):
    with pytest.raises(ImageError, match=f"a {type(source).__name__} is not a picture"):
        decode(source)


@pytest.mark.parametrize("call", [decode, check])
def test_files_that_are_no_pictures(call, tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("hello")
    for name, message in [
        ("missing.png", "missing.png' is not a file"),
        ("", "is not a file"),  # the folder itself
        ("a\0b", "is not a file"),
        ("empty.png", "'empty.png' is not a JPEG, PNG, WebP, TIFF or BMP picture"),
        ("text.jpg", "'text.jpg' is not a JPEG"),
    ]:
        with pytest.raises(ImageError, match=message):
            call(tmp_path / name)
    for data in (b"", b"\0" * 100, b"GIF89a" + b"\0" * 50):
        with pytest.raises(ImageError, match="the picture is not a JPEG"):
            call(data)


@pytest.mark.parametrize("format", ["GIF", "ICO", "PPM", "TGA", "JPEG2000"])
def test_other_formats_are_refused(format, rgb):
    try:
        data = file_bytes(Image.fromarray(rgb), format)
    except OSError:
        pytest.skip(f"this Pillow has no {format}")
    with pytest.raises(ImageError, match="is not a JPEG, PNG, WebP, TIFF or BMP picture"):
        decode(data)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_every_truncation_is_a_typed_error(format):
    random = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    data = file_bytes(Image.fromarray(random), format)
    for length in range(0, len(data) * 9 // 10, 64):
        with pytest.raises(ImageError):
            decode(data[:length])


def test_an_oversize_picture_is_refused_by_its_header():
    data = png_header(9_000, 8_000)
    for call in (check, decode):
        with pytest.raises(ImageError, match=r"9000×8000 = 72,000,000 pixels; at most 64,000,000"):
            call(data)


@pytest.mark.parametrize("size", [(12_000, 8_000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_decompression_bombs_raise_one_error_and_no_warning(size):
    """Pillow warns at 89 Mpx and refuses at 179."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ImageError):
            decode(png_header(*size))
    assert caught == []


def test_a_compressed_bomb_is_not_decoded(monkeypatch):
    data = file_bytes(Image.new("L", (2000, 2000)))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ImageError, match="at most 1,000,000"):
        decode(data, max_pixels=1_000_000)
    assert check(data, max_pixels=4_000_000) == (2000, 2000)


def test_a_jpeg_of_endless_scans_is_refused():
    """Each goes over all pixels, in a dozen bytes: such files keep a decoder busy for minutes."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))
    data = file_bytes(image, "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    last = data[start:-2]
    for call in (check, decode):
        call(data)
        with pytest.raises(ImageError, match=r"has \d+ scans; at most 100 are accepted"):
            call(data[:start] + last * 100 + data[-2:])


def test_the_frames_of_a_tiff_are_not_counted():
    """There may be a hundred thousand, and the second may be none."""
    image = Image.new("L", (8, 8), 9)
    data = file_bytes(image, "TIFF", save_all=True, append_images=[image])
    end = struct.unpack("<I", data[4:8])[0]
    end += 2 + 12 * struct.unpack("<H", data[end : end + 2])[0]
    broken = data[:end] + struct.pack("<I", 2**31) + data[end + 4 :]
    for given in (data, broken):
        assert decode(given).notices == ("first of several frames used",)


def test_the_limit_is_the_callers(rgb):
    for source in (rgb, Image.fromarray(rgb), file_bytes(Image.fromarray(rgb))):
        assert check(source, max_pixels=70) == (7, 10)
        for call in (check, decode):
            with pytest.raises(ImageError, match=r"10×7 = 70 pixels; at most 69"):
                call(source, max_pixels=69)
    assert MAX_PIXELS == 64_000_000


def test_a_closed_or_empty_pil_image():
    with pytest.raises(ImageError, match="empty"):
        decode(Image.new("RGB", (0, 5)))
    image = Image.open(io.BytesIO(file_bytes(Image.new("RGB", (5, 5)))))
    image.close()
    with pytest.raises(ImageError):
        decode(image)


def test_threads_may_decode_at_once(rgb):
    data = file_bytes(Image.fromarray(rgb))
    wrong = []

    def work():
        for _ in range(20):
            if not np.array_equal(values(decode(data)), rgb):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_real_low_quality_pictures(shared_data):
    paths = sorted((shared_data / "benchmarks" / "real").iterdir())
    assert len(paths) == 29
    gray, alpha = set(), set()
    for path in paths:
        picture = decode(path)
        assert check(path) == (picture.height, picture.width)
        if picture.gray:
            gray.add(path.name)
        if picture.alpha is not None:
            alpha.add(path.name)
        back = decode(encode(picture, "png"))
        assert np.array_equal(values(back), values(picture))
    assert gray == {"00017_gray.png", "wolf_gray.jpg"}
    assert alpha == {"children-alpha.png", "tree_alpha_16bit.png"}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_hostile_files_give_a_picture_or_an_image_error(shared_data):
    """Fuzzers' corpora and decoders' own regression files."""
    read = refused = 0
    with tarfile.open(shared_data / "hostile" / "hostile.tar.gz") as archive:
        for member in archive:
            if not member.isfile():
                continue
            data = archive.extractfile(member).read()
            try:
                picture = decode(data, max_pixels=4_000_000)
            except ImageError:
                refused += 1
                continue
            read += 1
            pixels = picture.pixels
            assert pixels.shape == (3, *check(data)), member.name
            assert pixels.min() >= 0 and pixels.max() <= 1, member.name
    assert read > 800 and refused > 900


# --- writing ---------------------------------------------------------------------------------


def test_rounding_is_half_up():
    pixels = torch.tensor([0.5, 1.5, 2.5, 254.49, -9, 300]).view(1, 1, 6).repeat(3, 1, 1) / 255
    expected = [1, 2, 3, 254, 0, 255]
    assert np.asarray(to_pil(Picture(pixels)))[0, :, 0].tolist() == expected
    assert to_levels(torch.tensor([0.5]), 5).tolist() == [3]


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("with_alpha", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_pil_modes(noise, gray, with_alpha, bits):
    alpha = noise(1, 4, 5) if with_alpha else None
    image = to_pil(Picture(noise(3, 4, 5), alpha, gray, bits))
    deep = gray and bits == 16 and not with_alpha
    assert image.mode == ("I;16" if deep else ("L" if gray else "RGB") + "A" * with_alpha)
    assert image.size == (5, 4)


def test_values_that_are_no_numbers_are_refused(noise):
    pixels = noise(3, 4, 5)
    pixels[1, 2, 3] = torch.nan
    pixels[0, 0, 0] = torch.inf
    with pytest.raises(ImageError, match="holds 2 values"):
        to_pil(Picture(pixels))


@pytest.mark.parametrize(
    ("pixels", "alpha", "bits"),
    [
        (torch.zeros(1, 4, 4), None, 8),
        (torch.zeros(1, 3, 4, 4), None, 8),
        (torch.zeros(3, 0, 4), None, 8),
        (torch.zeros(3, 4, 4, dtype=torch.float64), None, 8),
        (torch.zeros(3, 4, 4), torch.zeros(1, 4, 5), 8),
        (torch.zeros(3, 4, 4), torch.zeros(4, 4), 8),
        (torch.zeros(3, 4, 4), None, 12),
    ],
)
def test_a_picture_of_wrong_parts_is_refused(pixels, alpha, bits):
    with pytest.raises(InputError):
        Picture(pixels, alpha, bits=bits)


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.png", "png"),
        ("a.PNG", "png"),
        ("b.x.jpg", "jpeg"),
        ("a.jpeg", "jpeg"),
        ("a.webp", "webp"),
        ("a.tif", "tiff"),
        ("a.tiff", "tiff"),
        ("a.bmp", "bmp"),
    ],
)
def test_the_extension_names_the_format(scene, tmp_path, name, format):
    picture = Picture(scene(9, 11))
    assert format_of(name) == format
    save(picture, tmp_path / name)
    with Image.open(tmp_path / name) as image:
        assert image.format == format.upper()
    back = decode(tmp_path / name)
    if format == "jpeg":
        assert (back.pixels - picture.pixels).abs().mean() < 0.03
    else:
        assert np.array_equal(values(back), values(picture))
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a", "a.gif", "a.png.txt", ".png"])
def test_other_extensions_are_refused(name, scene, tmp_path):
    with pytest.raises(ImageError, match=r"use one of \.bmp, \.jpeg, \.jpg, \.png"):
        save(Picture(scene(4, 4)), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_saving_where_one_cannot(scene, tmp_path):
    picture = Picture(scene(4, 4))
    with pytest.raises(ImageError, match="there is no folder"):
        save(picture, tmp_path / "none" / "a.png")
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ImageError, match="cannot be written"):
        save(picture, tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_failed_save_keeps_the_old_file(scene, tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    save(Picture(scene(4, 4)), path)
    before = path.read_bytes()

    def full_disk(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stylesr.images.os.replace", full_disk)
    with pytest.raises(ImageError, match="No space left"):
        save(Picture(scene(8, 8)), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_quality(scene):
    picture = Picture(scene(64, 64))
    for format in ("jpeg", "webp"):
        sizes = [len(encode(picture, format, quality=q)) for q in (10, 90)]
        assert sizes[0] < sizes[1]
    assert np.array_equal(values(decode(encode(picture, "webp"))), values(picture))


def test_encode_refuses_bad_arguments(scene):
    picture = Picture(scene(4, 4))
    with pytest.raises(InputError, match="got 'gif'"):
        encode(picture, "gif")
    for quality in (0, 101):
        with pytest.raises(InputError, match=f"got {quality}"):
            encode(picture, "jpeg", quality=quality)


def test_a_picture_too_wide_for_its_format():
    with pytest.raises(ImageError, match="16384×1 pixels as WEBP"):
        encode(Picture(torch.zeros(3, 1, 16_384)), "webp")


def test_errors_can_be_caught_as_one():
    with pytest.raises(StyleSRError):
        decode(b"")
    with pytest.raises(ValueError):
        decode(b"")


# --- what phones write ---------------------------------------------------------------------------


def test_avif_is_read_with_its_date(rgb):
    if "AVIF" not in images._readable():
        pytest.skip("this Pillow has no AVIF")
    data = file_bytes(
        Image.fromarray(rgb), "AVIF", quality=100, subsampling="4:4:4", exif=dated_exif()
    )
    picture = decode(data)
    assert np.abs(values(picture).astype(int) - rgb).mean() < 3
    assert picture.metadata["DateTimeOriginal"] == "2020:01:02 03:04:05"


def test_heic_is_read_with_pillow_heif(tmp_path):
    pytest.importorskip("pillow_heif")
    image = Image.linear_gradient("L").convert("RGB")
    images._readable()
    image.save(tmp_path / "a.heic", quality=100, exif=dated_exif())
    picture = decode(tmp_path / "a.heic")
    assert np.abs(values(picture).astype(int) - np.asarray(image)).mean() < 3
    assert picture.metadata["DateTimeOriginal"] == "2020:01:02 03:04:05"


def test_heic_that_lies_about_its_size_is_refused():
    """Its pixels are 64×64; where to cut them to 44×44 is damaged."""
    pytest.importorskip("pillow_heif")
    images._readable()
    data = file_bytes(Image.new("RGB", (44, 44)), "HEIF")
    offset = b"\xff\xff\xff\xec\0\0\0\2"  # -20 halves
    assert data.count(offset) == 2
    lie = data.replace(offset, b"\xff\xff\xff\x80\0\0\0\2", 1)
    assert check(lie) == (44, 44)
    with pytest.raises(ImageError, match=r"says 44×44 pixels and holds (64×44|44×64)"):
        decode(lie)


def test_without_it_heic_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "_readable", lambda: ("PNG",))
    head = b"\0\0\0\x18ftypheic\0\0\0\0"
    (tmp_path / "a.heic").write_bytes(head)
    for source in (head, tmp_path / "a.heic"):
        with pytest.raises(ImageError, match=r"is HEIC: pip install 'stylesr\[heic\]' to read it"):
            decode(source)


def test_too_little_memory_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object, **options: object) -> None:
        raise MemoryError

    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(path)
    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "load", full)
        patch.setattr(PngImagePlugin.PngImageFile, "load", full)
        with pytest.raises(OutOfMemory, match="there is not enough memory"):
            images.decode(path)
    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutOfMemory, match="there is not enough memory"):
        images.save(Picture(torch.zeros(3, 8, 8)), tmp_path / "b.png")
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]
