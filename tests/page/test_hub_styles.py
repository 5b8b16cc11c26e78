"""The tab Hub: what strangers have published, listed and painted with care."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import numpy as np
import pytest
from gradio.utils import get_upload_folder
from PIL import Image

from stylesr.page import hub_styles
from stylesr.page.hub_styles import HubStyles
from stylesr.page.parts import Site
from stylesr.pipeline import StyleSRPipeline
from stylesr.studio import Studio
from tests import tiny
from tests.hub_server import Hub
from tests.test_publishing import CARD, write


@pytest.fixture
def tab(tmp_path: Path) -> HubStyles:
    """What the tab does, without its components."""
    tiny.photo().save_pretrained(tmp_path / "photo")
    studio = Studio([tmp_path / "photo"], max_output_pixels=20_000)
    names = [field.name for field in dataclasses.fields(hub_styles.Parts)]
    parts = cast(Any, SimpleNamespace(**{name: name for name in names}))
    page = cast(Any, SimpleNamespace(GRADIO_CACHE=str(tmp_path / "cache"), upload_file_set=set()))
    return HubStyles(studio, parts, Site(page))


@pytest.fixture
def lines(the_hub: Hub, tmp_path: Path) -> str:
    """A published style: its id and commit."""
    folder = write(tiny.style(tiny.photo(), 7), tmp_path / "lines")
    return f"you/lines@{the_hub.add('you/lines', folder)}"


def upload(width: int, height: int) -> dict[str, str]:
    folder = Path(get_upload_folder()) / "test-hub-styles"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"cat-{width}.png"
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return {"path": str(path)}


def test_styles_are_listed_with_author_licence_and_thumbnail(
    tab: HubStyles, lines: str, the_hub: Hub
) -> None:
    cards, choice = tab.find("en")
    assert choice.choices == [("lines · you", lines)] and choice.value == lines
    assert f'href="{the_hub.url}/you/lines"' in cards
    assert f'/resolve/{lines.partition("@")[2]}/preview.webp"' in cards
    assert "by you, licence: apache-2.0" in cards
    assert "作者 you" in tab.find("zh")[0]


def test_the_hub_is_asked_once_for_many_visitors(
    tab: HubStyles, lines: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    find = hub_styles.discover
    monkeypatch.setattr(hub_styles, "discover", lambda most: asked.append(most) or find(most))
    for _ in range(3):
        tab.find("en")
    assert asked == [hub_styles.MOST]


def test_words_of_strangers_are_safe_as_html(tab: HubStyles, the_hub: Hub, tmp_path: Path) -> None:
    odd = CARD.replace("license: apache-2.0", "license: '<script>'")
    the_hub.add("you/dots", write(tiny.style(tiny.photo(), 7), tmp_path / "dots", odd))
    cards, _ = tab.find("en")
    assert "<script>" not in cards and "licence: not stated" in cards


def test_no_styles_or_no_hub(tab: HubStyles, the_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nobody has published" in tab.find("en")[0]
    tab._listed = float("-inf")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(gr.Error, match="HF_HUB_OFFLINE is set"):
        tab.find("en")


def test_only_what_was_listed_is_painted(tab: HubStyles, lines: str) -> None:
    photo = upload(40, 30)
    assert "choose one of the list" in tab.look(photo, lines, 2, 1.0, "en")[0]
    tab.find("en")
    assert tab.look(photo, lines, 2, 1.0, "en")[1].interactive
    assert not tab.look(photo, "you/lines@main", 2, 1.0, "en")[1].interactive
    assert "more than 0.02 megapixels" in tab.look(upload(100, 60), lines, 4, 1.0, "en")[0]


def test_a_listed_style_is_painted(tab: HubStyles, lines: str) -> None:
    tab.find("en")
    photo = upload(40, 30)
    *_, last = tab.paint(photo, lines, 2, 0.5, "en")
    file = last[tab.parts.download].value
    net = tiny.style(tiny.photo(), 7)
    pipe = StyleSRPipeline(tiny.photo(), {"lines": net})
    expected = pipe(photo["path"], scale=2, strength=0.5).images[0]
    with Image.open(file["path"] if isinstance(file, dict) else file) as image:
        assert np.array_equal(np.asarray(image), np.asarray(expected))
    assert "Done in" in last[tab.parts.status]
