"""The notebook train/train_a_style.ipynb, its cells run one after the other, as a reader does."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from stylesr import hub
from stylesr.models import StyleSRNet
from tests import tiny, tiny_features
from tests.hub_server import Hub

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "train" / "train_a_style.ipynb"
ANSWERS = {"name": "mine", "url": "https://example.org", "licence": "CC0-1.0"}


def cells(skip: tuple[str, ...] = ("install", "login")) -> list[tuple[list[str], str]]:
    """Tags and code of each code cell."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    tagged = [(cell["metadata"].get("tags", []), "".join(cell["source"])) for cell in code]
    return [(tags, text) for tags, text in tagged if not set(tags) & set(skip)]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder as the notebook wants it, with a tiny base that every process finds."""
    package = tmp_path / "package"  # a copy: the training is a process of its own
    shutil.copytree(ROOT / "stylesr", package / "stylesr", ignore=shutil.ignore_patterns("__py*"))
    tiny.photo().save_pretrained(package / "hub_cards" / "photo")
    shutil.copy(ROOT / "hub_cards" / "template.md", package / "hub_cards")
    monkeypatch.setenv("PYTHONPATH", str(package))
    monkeypatch.setattr(hub, "bundled_folder", lambda: package / "hub_cards")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    desk = tmp_path / "desk"
    for name in ("my-photos", "my-previews", "works"):
        (desk / name).mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in ("my-photos/a", "my-photos/b", "my-previews/one", "works/painting"):
        Image.fromarray(random.integers(0, 256, (96, 100, 3), np.uint8)).save(desk / f"{name}.png")
    save_file(tiny_features.weights(), str(desk / "vgg.safetensors"))
    shutil.copy(ROOT / "train" / "style.py", desk)
    monkeypatch.chdir(desk)
    return desk


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the notebook displays, where there is no notebook."""
    shown: list[Any] = []
    display = ModuleType("IPython.display")
    display.display = lambda *things: shown.extend(things)  # type: ignore[attr-defined]
    display.clear_output = lambda wait: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def test_a_style_is_trained_and_pushed(
    desk: Path, shown: list[Any], the_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "mine")
    options = "--init= --batch 4 --crop 72 --margin 4 --warmup 1 --perceptual vgg.safetensors"
    own: dict[str, dict[str, Any]] = {
        "parameters": {
            "PICTURE": "works/painting.png",
            "REPO_ID": "me/my-style",
            "STEPS": 2,
            "OPTIONS": options.split(),
            "VGG": "vgg.safetensors",
        },
        "answers": {
            "WORK": dict.fromkeys(("artist", "title", "year", "provenance", "licence"), "Mine"),
            "DESCRIPTION": 'Paints "as I do".',
            "PHOTOS_FROM": ANSWERS,
            "TRAINED_ON": ANSWERS,
        },
    }
    names: dict[str, Any] = {"sys": sys, "subprocess": subprocess}
    for tags, code in cells():
        exec(compile(code, str(NOTEBOOK), "exec"), names)
        for tag in tags:
            assert set(own[tag]) <= set(names)
            names |= own[tag]
    on_hub = the_hub["me/my-style"].files
    assert on_hub["model.safetensors"] == (desk / "my-style/model.safetensors").read_bytes()
    card = on_hub["README.md"].decode()
    assert 'Paints "as I do".' in card and 'from_pretrained("me/my-style")' in card
    assert StyleSRNet.from_pretrained("me/my-style").config["channels"] == 8
    assert "step-0000002.png" in shown
    assert [thing.size for thing in shown if isinstance(thing, Image.Image)][-1] == (200, 192)
    sheets = (desk / "runs/my-style/previews").glob("*.png")
    assert sorted(sheet.name for sheet in sheets) == ["step-0000001.png", "step-0000002.png"]


def test_it_stops_where_the_licence_is_not_answered(desk: Path, shown: list[Any]) -> None:
    names: dict[str, Any] = {"sys": sys}
    with pytest.raises(SystemExit, match=r"not answered yet: artist, .*licence, DESCRIPTION"):
        for _, code in cells():
            exec(compile(code.replace("my-painting.jpg", "works/painting.png"), "", "exec"), names)
    assert not (desk / "runs").exists()


def test_it_holds_no_output() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
