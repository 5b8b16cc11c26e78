"""16 bits a channel in colour: they come in and go out, where libvips is there."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stylesr import deep
from stylesr.exif import MARK
from stylesr.images import decode, encode, save
from stylesr.picture import Picture
from stylesr.pipeline import StyleSRPipeline
from stylesr.tiling import drain
from tests import tiny

needs_vips = pytest.mark.skipif(not deep.is_here(), reason="needs pyvips")


@needs_vips
@pytest.mark.parametrize(("format", "channels"), [("png", 2), ("png", 3), ("png", 4), ("tiff", 3)])
def test_every_level_comes_back(noise: Callable[..., Tensor], format: str, channels: int) -> None:
    values = (noise(18, 23, channels) * 65535).numpy().round().astype(np.uint16)
    picture = decode(values)
    data = encode(replace(picture, metadata={**MARK, "DateTime": "2020:01:02 03:04:05"}), format)
    with Image.open(BytesIO(data)) as image:
        image.load()
        assert b"compositeWithTrainedAlgorithmicMedia" in image.info["xmp"]
    again = decode(data)
    assert again.bits == 16 and again.notices == ()
    assert torch.equal(
        again.pixels * (again.alpha if again.alpha is not None else 1),
        picture.pixels * (picture.alpha if picture.alpha is not None else 1),
    )
    if picture.alpha is not None:
        assert again.alpha is not None and torch.equal(again.alpha, picture.alpha)
    if format == "png":
        assert again.metadata["DateTime"] == "2020:01:02 03:04:05"


@needs_vips
def test_an_enlarged_picture_has_more_levels_than_8_bits(
    scene: Callable[[int, int], Tensor], tmp_path: Path
) -> None:
    save(Picture(scene(40, 30), bits=16), tmp_path / "deep.png")
    work = StyleSRPipeline(tiny.photo()).stream(decode(tmp_path / "deep.png"), scale=2)
    save(drain(work), tmp_path / "large.tif")
    large = decode(tmp_path / "large.tif")
    assert (large.bits, large.height, large.width) == (16, 80, 60)
    steps = (large.pixels * 255 % 1).flatten()
    assert float(((steps - 0.5).abs() < 0.4).float().mean()) > 0.5  # between the 8-bit levels


@needs_vips
def test_it_is_turned_and_a_cut_file_is_refused(noise: Callable[..., Tensor]) -> None:
    from stylesr.errors import ImageError

    pyvips = pytest.importorskip("pyvips")
    values = (noise(8, 12, 3) * 65535).numpy().astype(np.uint16)
    image = pyvips.Image.new_from_array(values, interpretation="rgb16").copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    data = image.write_to_buffer(".png")
    assert torch.equal(decode(data).pixels, decode(np.rot90(values, -1).copy()).pixels)
    with pytest.raises(ImageError, match="truncated or damaged"):
        decode(data[: len(data) // 2])


def test_without_it_8_bits_are_kept_and_it_is_said(
    noise: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = (noise(8, 12, 3) * 65535).numpy().astype(np.uint16)
    if deep.is_here():
        data = encode(decode(values), "png")
        monkeypatch.setattr(deep, "is_here", lambda: False)
        assert decode(data).notices == ("reduced from 16 to 8 bits a channel",)
        assert decode(data).bits == 8
    assert decode(encode(decode(values), "png")).bits == 8
