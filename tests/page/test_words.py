"""Both languages say the same things, and every refusal that a visitor can meet is translated."""

import dataclasses
import re
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylesr.errors import StyleSRError
from stylesr.images import decode, encode
from stylesr.orders import Choices
from stylesr.page.words import CHINESE, ENGLISH, words
from stylesr.studio import Studio
from stylesr.tiling import drain
from tests import tiny


def fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ENGLISH)])
def test_both_languages_hold_the_same_places(name: str) -> None:
    english, chinese = getattr(ENGLISH, name), getattr(CHINESE, name)
    assert type(english) is type(chinese)
    if isinstance(english, str):
        assert fields(english) == fields(chinese)
        assert english != chinese
    elif name in ("tabs", "ways"):
        assert english.keys() == chinese.keys()
    elif name != "errors":
        assert name == "styles" or len(english) == len(chinese)


def test_an_unknown_language_is_english() -> None:
    assert [words(code).code for code in ("en", "zh", "fr", None)] == ["en", "zh", "en", "en"]


def test_styles_have_readable_names() -> None:
    assert ENGLISH.way_name("starry-night") == "The Starry Night"
    assert CHINESE.way_name("starry-night") == "星月夜"
    assert ENGLISH.way_name("my-own-style") == "My own style"


def test_what_is_said_is_safe_as_html() -> None:
    assert ENGLISH.say("'<img onerror=x>' is odd") == "'&lt;img onerror=x&gt;' is odd"
    said = CHINESE.say("'<b>.png' is not a JPEG, PNG, WebP, TIFF or BMP picture")
    assert said.startswith("“&lt;b&gt;.png”不是 JPEG")


def save(path: Path, mode: str, size: tuple[int, int], **options: Any) -> Path:
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    Image.fromarray(values).convert(mode).save(path, **options)
    return path


def test_refusals_and_notices_are_translated(tmp_path: Path) -> None:
    photo = tiny.photo()
    for name, net in {"photo": photo, "dots": tiny.style(photo, 1)}.items():
        net.save_pretrained(tmp_path / name)
    models = [tmp_path / "photo", tmp_path / "dots"]
    studio = Studio(models, max_input_pixels=2000, max_output_pixels=6000, max_batch=2)
    impatient = Studio(models, max_seconds=0)
    good = save(tmp_path / "good.png", "RGB", (40, 30))
    small = save(tmp_path / "small.png", "RGB", (20, 20))
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:200])
    empty = tmp_path / "empty.png"
    empty.write_bytes(b"")
    glass = decode(save(tmp_path / "glass.png", "RGBA", (9, 9)))
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "two.webp", save_all=True, append_images=frames[1:])

    def paint(photo: Path, studio: Studio = studio, **options: Any) -> object:
        choices = Choices(**{"style": "dots", "scale": 2, **options})
        return drain(studio.paint(photo, tmp_path, choices))

    acts: list[Any] = [
        lambda: paint(empty),
        lambda: paint(cut),
        lambda: paint(save(tmp_path / "wide.png", "RGB", (60, 40))),
        lambda: paint(tmp_path / "gone.png"),
        lambda: paint(good, scale=4),
        lambda: paint(good, width=10_000),
        lambda: paint(small, style="waves"),
        lambda: paint(small, impatient, brush=2),
        lambda: studio.check_batch([good] * 3, Choices("dots", scale=1)),
        lambda: studio.check_batch([good] * 2, Choices("dots", scale=2)),
        lambda: encode(glass, "jpeg"),
    ]
    said = []
    for act in acts:
        with pytest.raises(StyleSRError) as caught:
            act()
        said.append(CHINESE.say(caught.value))
    said += map(CHINESE.say, decode(tmp_path / "two.webp").notices)
    for sentence in said:
        assert re.search("[\u4e00-\u9fff]", sentence), sentence
    assert len(set(said)) == len(said)
    assert said[3] == "文件已被删除，请重新上传"
    assert said[5] == "宽度应为 16 至 320 的整数"
