"""Models of strangers: listed, and loaded with care."""

import json
from pathlib import Path

import huggingface_hub.constants
import pytest

from stylesr import cli, discovery
from stylesr.discovery import discover, load
from stylesr.errors import HubError, InputError, ModelError
from tests import tiny
from tests.hub_server import Hub
from tests.test_publishing import CARD, dots, models, write

__all__ = ["dots", "models"]  # fixtures


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_models_with_the_tag_are_listed_at_their_commits(the_hub: Hub, dots: Path) -> None:
    commit = the_hub.add("you/dots", dots)
    untagged = CARD.replace("- stylesr\n", "- other\n").encode()
    the_hub.add("you/other", files(dots) | {"README.md": untagged})
    the_hub.add("me/secret", dots, private=True)
    (found,) = discover()
    assert found.source == f"you/dots@{commit}" and found.name == "dots"
    assert found.author == "you" and found.licence == "apache-2.0"
    assert found.page == f"{the_hub.url}/you/dots"
    assert found.thumbnail == f"{the_hub.url}/you/dots/resolve/{commit}/preview.webp"


def test_what_cannot_be_loaded_is_not_listed(the_hub: Hub, dots: Path) -> None:
    the_hub.add("you/gated", dots, gated=True)
    for name in ("config.json", "model.safetensors"):
        rest = {k: v for k, v in files(dots).items() if k != name}
        the_hub.add(f"you/no-{name.partition('.')[0]}", rest | {"pytorch_model.bin": b""})
    the_hub.add("you/dots", {k: v for k, v in files(dots).items() if k != "preview.webp"})
    (found,) = discover()
    assert found.source.startswith("you/dots@") and found.thumbnail is None


def test_text_of_strangers_is_not_passed_on(the_hub: Hub, dots: Path) -> None:
    card = CARD.replace("license: apache-2.0", "license: \x1b[2J<script>")
    the_hub.add("you/dots", files(dots) | {"README.md": card.encode()})
    the_hub.add("you/\x1b[2J", dots)
    assert [found.licence for found in discover()] == [None]


def test_a_listed_model_is_loaded_as_it_was_listed(the_hub: Hub, dots: Path) -> None:
    the_hub.add("you/dots", dots)
    (found,) = discover()
    the_hub["you/dots"].commit(files(write(tiny.style(tiny.photo(), 5), dots)))
    assert load(found).fingerprint() == tiny.style(tiny.photo(), 1).fingerprint()


def test_a_model_that_is_too_large_is_not_downloaded(
    the_hub: Hub, dots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "MAX_BYTES", 10_000)
    the_hub.add("you/dots", dots)
    (found,) = discover()
    with pytest.raises(HubError, match=r"model.safetensors has .* more than the 10,000"):
        load(found)
    assert not any("resolve" in request for request in the_hub.requests)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (b'{"class_name": "CompactNet"}', "holds a CompactNet, not a StyleSRNet"),
        (b'{"class_name": "StyleSRNet", "channels": 100000}', "channels must be"),
        (b"{}", "model without class_name"),
    ],
)
def test_only_a_sound_network_of_the_one_class_is_loaded(
    the_hub: Hub, dots: Path, config: bytes, message: str
) -> None:
    the_hub.add("you/dots", files(dots) | {"config.json": config})
    (found,) = discover()
    with pytest.raises(ModelError, match=message):
        load(found)


def test_a_model_that_is_gone(the_hub: Hub, dots: Path) -> None:
    the_hub.add("you/dots", dots)
    (found,) = discover()
    the_hub.repositories.clear()
    with pytest.raises(HubError, match="no repository you/dots"):
        load(found)


@pytest.mark.parametrize("limit", [0, 201, True, "5"])
def test_the_list_has_bounds(limit: int) -> None:
    with pytest.raises(InputError, match="limit must be a whole number from 1 to 200"):
        discover(limit)


def test_as_many_as_are_wanted(the_hub: Hub, dots: Path) -> None:
    for name in ("a", "b", "c"):
        the_hub.add(f"you/{name}", dots)
    assert [found.name for found in discover(2)] == ["a", "b"]


@pytest.mark.usefixtures("no_waiting")
def test_the_hub_has_trouble(the_hub: Hub) -> None:
    the_hub.down = 500
    with pytest.raises(HubError, match=r"the list of models: .*trouble of its own \(500\)"):
        discover()


def test_offline_there_is_no_list(the_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        discover()
    assert the_hub.requests == []


def test_the_command(the_hub: Hub, dots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit = the_hub.add("you/dots", dots)
    assert cli.main(["models", "--hub"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"you/dots@{commit}  license apache-2.0  0 downloads  ")
    assert cli.main(["models", "--hub", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["source"] == f"you/dots@{commit}" and row["author"] == "you"
