"""What the tabs share, and what they offer, without a browser."""

from typing import Any, cast

import pytest

from stylesr.errors import InputError
from stylesr.orders import Choices
from stylesr.page import create, parts
from stylesr.page.words import ENGLISH
from stylesr.pipeline import Progress
from stylesr.studio import Studio


def asked(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"style": "dots", "mix": "", "share": 0.5, "scale": "2", "width": 90}
    return values | {
        "strength": 1,
        "detail": 0,
        "brush": "auto",
        "color": "style",
        "seed": 0,
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Choices("dots", scale=2)),
        ({"scale": 4, "brush": 2}, Choices("dots", scale=4, brush=2)),  # numbers from a program
        ({"scale": "width", "brush": "4"}, Choices("dots", width=90, brush=4)),
        ({"mix": "waves", "share": 0.2}, Choices("dots", scale=2, mix="waves", share=0.2)),
        ({"enlarger": "srcnn-x4"}, Choices("dots", scale=2, enlarger="srcnn-x4")),
        ({"enlarger": ""}, Choices("dots", scale=2)),
        ({"scale": "width", "width": None}, Choices("dots", width=0)),  # refused later
    ],
)
def test_values_become_choices(changes: dict[str, Any], expected: Choices) -> None:
    assert parts.chosen(**asked(**changes)) == expected


@pytest.mark.parametrize("photo", [None, {}, {"path": None}, {"path": 3}, "cat.png"])
def test_without_a_photo_one_is_asked_for(photo: Any) -> None:
    with pytest.raises(InputError, match="Choose a photo"):
        parts.uploaded(photo, ENGLISH)


@pytest.mark.parametrize("path", ["/etc/passwd", "cat.png", "/tmp/gradio/../cat.png"])
def test_only_uploads_are_read(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "get_upload_folder", lambda: "/tmp/gradio")
    with pytest.raises(InputError, match="was not uploaded"):
        parts.uploaded({"path": path}, ENGLISH)
    assert parts.uploaded({"path": "/tmp/gradio/a/cat.png"}, ENGLISH) == "/tmp/gradio/a/cat.png"


def test_progress_tells_tiles_and_time() -> None:
    bar = parts.bar(Progress(1, 4, 2.0), ENGLISH)
    assert "Tile 1 of 4, 2 s, about 6 s left" in bar and 'value="0.250"' in bar
    assert "writing the file" in parts.bar(Progress(4, 4, 8.0), ENGLISH)
    assert "value=" not in parts.bar("Starting <b>", ENGLISH)
    assert "Starting &lt;b&gt;" in parts.bar("Starting <b>", ENGLISH)


@pytest.mark.parametrize(
    ("models", "style", "strength", "detail"),
    [
        (["photo", "scream"], "scream", True, False),
        (["photo", "scream"], "photo", False, False),
        (["photo", "scream", "photo-vivid"], "photo", False, True),
        (["photo", "scream", "photo-vivid"], "scream", True, False),
    ],
)
def test_detail_is_offered_where_it_is_there_and_has_a_meaning(
    models: list[str], style: str, strength: bool, detail: bool
) -> None:
    tab = create.Create(Studio(models), cast(Any, None), cast(Any, None), cast(Any, None))
    tab.folder.cleanup()
    changes = tab.choose(style, "", "4", "en")
    assert [change.visible for change in changes[:2]] == [strength, detail]
