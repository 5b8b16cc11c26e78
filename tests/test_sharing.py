"""Push and pull, by huggingface_hub as it is, to a Hub on this machine."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
from accelerate.state import AcceleratorState
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from stylesr import cli, hub, training
from stylesr.errors import HubError, InputError, ModelError, PublishError
from stylesr.models import StyleSRNet
from stylesr.picture import Picture, to_pil
from stylesr.pipeline import StyleSRPipeline
from stylesr.sharing import pull, push, push_all
from tests import tiny, tiny_features
from tests.hub_server import Hub
from tests.test_publishing import CARD, dots, models, write
from train import style

__all__ = ["dots", "models"]  # fixtures

Scene = Callable[[int, int], Tensor]


@pytest.fixture
def me(the_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The Hub, logged in."""
    monkeypatch.setenv("HF_TOKEN", "mine")
    return the_hub


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def posts(hub: Hub) -> list[str]:
    return [request for request in hub.requests if not request.startswith(("GET", "HEAD"))]


# -- push -----------------------------------------------------------------------------------------


def test_what_is_pushed_is_the_folder(me: Hub, dots: Path) -> None:
    before = files(dots)
    done = push(dots, "me/dots")
    on_hub = dict(me["me/dots"].files)
    on_hub.pop(".gitattributes")
    assert on_hub == before == files(dots)
    assert done.commit == me["me/dots"].branches["main"]
    assert done.url == f"{me.url}/me/dots/commit/{done.commit}"
    assert not me["me/dots"].private


def test_push_to_hub_keeps_the_card(me: Hub, dots: Path) -> None:
    StyleSRNet.from_pretrained(dots).push_to_hub("me/dots")
    assert me["me/dots"].files["README.md"] == CARD.encode()
    tiny.style(tiny.photo(), 1).save_pretrained(dots, push_to_hub=True, repo_id="me/dots")
    assert me["me/dots"].files["README.md"] == CARD.encode()


def test_pushing_again_changes_only_what_changed(me: Hub, dots: Path) -> None:
    (dots / "trade.webp").write_bytes((dots / "preview.webp").read_bytes())
    first = push(dots, "me/dots")
    assert push(dots, "me/dots").commit == first.commit  # nothing to do
    me["me/dots"].commit(me["me/dots"].files | {"notes.txt": b"kept"})
    (dots / "trade.webp").unlink()
    (dots / "README.md").write_text(CARD + "\nMore.\n", encoding="utf-8")
    me.requests.clear()
    second = push(dots, "me/dots")
    assert second.commit != first.commit
    on_hub = me["me/dots"].files
    assert on_hub["README.md"].endswith(b"More.\n")
    assert "trade.webp" not in on_hub and on_hub["notes.txt"] == b"kept"
    assert not any(request.startswith("PUT") for request in me.requests)  # weights are there


def test_a_branch_is_made_and_main_stays(me: Hub, dots: Path) -> None:
    push(dots, "me/dots")
    main = me["me/dots"].branches["main"]
    (dots / "README.md").write_text(CARD + "\nNew.\n", encoding="utf-8")
    done = push(dots, "me/dots", branch="v2")
    assert me["me/dots"].branches == {"main": main, "v2": done.commit}
    assert push(dots, "me/dots", branch="v2").commit == done.commit


def test_a_pull_request_to_someone_elses_repository(me: Hub, dots: Path) -> None:
    main = me.add("you/dots", {"README.md": b"# dots"})
    card = CARD.replace("me/dots", "you/dots")
    (dots / "README.md").write_text(card, encoding="utf-8")
    done = push(dots, "you/dots", create_pr=True)
    assert me["you/dots"].branches == {"main": main, "refs/pr/1": done.commit}
    assert done.url == f"{me.url}/you/dots/discussions/1"
    with pytest.raises(HubError, match=r"may not do this; take one with write access"):
        push(dots, "you/dots")
    with pytest.raises(HubError, match="no repository you/others"):
        (dots / "README.md").write_text(CARD + "you/others", encoding="utf-8")
        push(dots, "you/others", create_pr=True)


def test_a_private_repository(me: Hub, dots: Path) -> None:
    push(dots, "me/dots", private=True)
    assert me["me/dots"].private
    push(dots, "me/dots", private=True)
    me["me/dots"].private = False
    with pytest.raises(HubError, match="me/dots exists and is public; make it private"):
        push(dots, "me/dots", private=True)


def test_what_is_not_fit_sends_nothing(me: Hub, dots: Path) -> None:
    (dots / "preview.webp").unlink()
    with pytest.raises(PublishError):
        push(dots, "me/dots")
    with pytest.raises(PublishError):
        StyleSRNet.from_pretrained(dots).push_to_hub("me/dots")
    assert me.requests == []


def test_a_dry_run_sends_nothing(me: Hub, dots: Path) -> None:
    assert push(dots, "me/dots", dry_run=True).bytes > 1000
    assert me.requests == []


def test_without_a_token_nothing_is_sent(the_hub: Hub, dots: Path) -> None:
    with pytest.raises(HubError, match=r"hf auth login and a token that may write .*HF_TOKEN"):
        push(dots, "me/dots")
    assert the_hub.requests == []
    assert push(dots, "me/dots", token="mine").commit


def test_a_wrong_token(the_hub: Hub, dots: Path) -> None:
    with pytest.raises(HubError, match="token is not valid; log in anew"):
        push(dots, "me/dots", token="nonsense")


def test_someone_elses_account(me: Hub, dots: Path) -> None:
    (dots / "README.md").write_text(CARD + "you/dots", encoding="utf-8")
    with pytest.raises(HubError, match="may not do this; take one with write access"):
        push(dots, "you/dots")


def test_what_the_hub_says_of_the_card_is_passed_on(me: Hub, dots: Path) -> None:
    card = CARD.replace("license: apache-2.0", "license: nonsense")
    (dots / "README.md").write_text(card, encoding="utf-8")
    with pytest.raises(HubError, match='"license" must be one of ours'):
        push(dots, "me/dots")
    assert list(me["me/dots"].files) == [".gitattributes"]


@pytest.mark.usefixtures("no_waiting")
def test_an_upload_that_breaks_is_tried_again(me: Hub, dots: Path) -> None:
    me.break_after, me.broken = 500, 1
    push(dots, "me/dots")
    assert me["me/dots"].files["model.safetensors"] == (dots / "model.safetensors").read_bytes()


@pytest.mark.usefixtures("no_waiting")
def test_an_upload_that_ends_early_leaves_what_was_there(me: Hub, dots: Path) -> None:
    push(dots, "me/dots")
    before = me["me/dots"].files
    write(tiny.style(tiny.photo(), 2), dots)
    me.break_after, me.broken = 500, 1000
    with pytest.raises(HubError, match=r"me/dots: the Hub's files could not be moved: .*try again"):
        push(dots, "me/dots")
    assert me["me/dots"].files == before
    me.broken = 0
    push(dots, "me/dots")
    assert me["me/dots"].files["model.safetensors"] == (dots / "model.safetensors").read_bytes()


def test_all_released_models_at_once(me: Hub, models: Path) -> None:
    for name, seed in (("dots", 1), ("waves", 2)):
        write(tiny.style(tiny.photo(), seed), models / name, CARD.replace("me/dots", name))
    with pytest.raises(PublishError, match="photo is not fit"):  # so nothing is sent
        push_all("an-org")
    assert me.requests == []
    assert [done.repo_id for done in push_all("an-org", ["dots", "waves"], dry_run=True)] == [
        "an-org/dots",
        "an-org/waves",
    ]
    write(tiny.photo(), models / "photo")
    push_all("an-org")
    assert set(me.repositories) == {("model", f"an-org/{n}") for n in ("photo", "dots", "waves")}
    assert me["an-org/waves"].files["config.json"] == (models / "waves/config.json").read_bytes()
    with pytest.raises(InputError, match="squares: released are photo, dots, waves"):
        push_all("an-org", ["squares"])


# -- pull -----------------------------------------------------------------------------------------


def test_pulled_is_what_was_pushed(me: Hub, dots: Path) -> None:
    commit = push(dots, "me/dots").commit
    done = pull("me/dots")
    assert done.source == f"me/dots@{commit}" and done.folder.name == commit
    assert files(done.folder) == files(dots)
    net = StyleSRNet.from_pretrained(dots)
    assert done.base == "photo" and done.licence == "apache-2.0"
    assert done.parameters == sum(p.numel() for p in net.parameters())
    assert done.bytes == (dots / "model.safetensors").stat().st_size
    assert StyleSRNet.from_pretrained(done.source).fingerprint() == net.fingerprint()


def test_what_was_pulled_needs_no_network(
    me: Hub, dots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    me.add("me/photo", write(tiny.photo(3), dots.parent / "base"))
    me.add("me/dots", write(tiny.style(tiny.photo(3), 1, name="me/photo"), dots))
    source = pull("me/dots").source
    me.requests.clear()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for name in (source, "me/dots"):
        assert StyleSRPipeline.from_pretrained(name).styles == ["dots"]
    assert pull("me/dots").source == source
    assert me.requests == []


def test_several_at_once_each_at_its_revision(me: Hub, models: Path, tmp_path: Path) -> None:
    commits = {}
    for name, seed in (("dots", 1), ("waves", 2)):
        folder = write(tiny.style(tiny.photo(), seed), tmp_path / name)
        commits[name] = me.add(f"me/{name}", folder)
        changed = write(tiny.style(tiny.photo(), seed + 5), tmp_path / name)
        me[f"me/{name}"].commit(files(changed))
    sources = [f"me/dots@{commits['dots']}", "photo", "me/waves"]
    pipe = StyleSRPipeline.from_pretrained(sources)
    assert pipe.styles == ["dots", "waves"] and pipe.base_name == "photo"
    wanted = {"dots": tiny.style(tiny.photo(), 1), "waves": tiny.style(tiny.photo(), 7)}
    for name, net in wanted.items():
        assert pipe._nets[name].fingerprint() == net.fingerprint()


def test_a_revision_of_the_pipelines_models(me: Hub, models: Path, tmp_path: Path) -> None:
    old = me.add("me/dots", write(tiny.style(tiny.photo(), 1), tmp_path / "dots"))
    me["me/dots"].commit(files(write(tiny.style(tiny.photo(), 2), tmp_path / "dots")))
    pipe = StyleSRPipeline.from_pretrained("me/dots", revision=old)
    assert pipe._nets["dots"].fingerprint() == tiny.style(tiny.photo(), 1).fingerprint()
    with pytest.raises(HubError, match="has no revision 'v9'"):
        StyleSRPipeline.from_pretrained("me/dots", revision="v9")


def test_bundled_names_come_first(me: Hub, models: Path) -> None:
    StyleSRPipeline.from_pretrained("photo")
    assert me.requests == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config.json": b'{"class_name": "Other"}'}, "holds a Other, not a"),
        ({"config.json": b'{"class_name": "StyleSRNet", "channels": 1000000}'}, "channels must be"),
        ({"config.json": b'{"class_name": "StyleSRNet", "run": "rm"}'}, "unknown keys run"),
        ({"config.json": 50_000 * b"["}, "config.json is not readable JSON"),
        ({"config.json": b"\xff\xfe"}, "config.json is not readable JSON"),
        ({"model.safetensors": b"half"}, r"not a readable safetensors.*force_download=True"),
        ({"model.safetensors": b"\x80\x04evil pickle"}, "not a readable safetensors file"),
    ],
    ids=["class", "bounds", "keys", "depth", "bytes", "partial", "pickle"],
)
def test_a_model_that_is_none_is_refused(
    me: Hub, dots: Path, change: dict[str, bytes], message: str
) -> None:
    me.add("you/dots", files(dots) | change)
    with pytest.raises(ModelError, match=message):
        pull("you/dots")
    with pytest.raises(ModelError, match=message):
        StyleSRPipeline.from_pretrained("you/dots")


def test_a_style_of_another_base_is_refused(me: Hub, dots: Path) -> None:
    me.add("you/dots", write(tiny.style(tiny.photo(9), 1), dots))
    with pytest.raises(ModelError, match=r"style 'dots' was trained from the base 'photo' .* but"):
        pull("you/dots")


def test_a_card_is_not_needed_to_load(me: Hub, dots: Path) -> None:
    me.add("you/dots", {n: d for n, d in files(dots).items() if n in hub.LOADED})
    assert pull("you/dots").licence is None
    me["you/dots"].commit(files(dots) | {"README.md": b"---\nlicense: [\n---\n"})
    assert pull("you/dots").licence is None


@pytest.mark.parametrize("repo_id", ["photo", "./dots", ""])
def test_only_models_of_the_hub_are_pulled(me: Hub, models: Path, repo_id: str) -> None:
    with pytest.raises(InputError, match="is owner/name"):
        pull(repo_id)


# -- the whole way --------------------------------------------------------------------------------


def test_with_the_hub_down_a_fresh_process_paints_the_same(
    the_hub: Hub, models: Path, tmp_path: Path, scene: Scene
) -> None:
    """Pulled while there is a Hub; painted by another process when there is none."""
    the_hub.add("me/photo", write(tiny.photo(3), tmp_path / "base"))
    net = tiny.style(tiny.photo(3), 1, name="me/photo")
    the_hub.add("me/dots", write(net, tmp_path / "style"))
    source = pull("me/dots").source
    to_pil(Picture(scene(20, 24))).save(tmp_path / "cat.png")
    own = {"HF_ENDPOINT": "http://127.0.0.1:1", "HF_HUB_CACHE": str(tmp_path / "hf-cache")}
    own |= {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "stylesr.cli", "enhance", "cat.png", "big.png", "--style", source],
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "me/photo is taken from the cache" in done.stderr  # a base is named without a commit
    assert_equal(tmp_path / "big.png", StyleSRPipeline(tiny.photo(3), {"dots": net}))


RELEASES = """
[held_out]
name = "my own photos"
url = "https://example.org/photos"
licence = "CC0-1.0"

[models.my-style]
hub = "me/my-style"
description = "Paints as I do."
data = []
preview = ["one"]

[models.my-style.work]
artist = "Me"
title = "My picture"
year = "2026"
image = "painting.png"
provenance = "my own desk"
licence = "my own work, CC0-1.0"
"""


def test_a_style_is_trained_measured_pushed_and_pulled(
    me: Hub, models: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that hub_cards/README.md asks of a newcomer, by the same commands."""
    template = Path(__file__).parents[1] / "hub_cards" / "template.md"
    shutil.copy(template, models)
    for name in ("works", "mine"):
        (tmp_path / name).mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (90, 80, 3), dtype=np.uint8)
    for name in ("works/painting.png", "mine/photo.png"):
        Image.fromarray(pixels).save(tmp_path / name)
    save_file(tiny_features.weights(), str(tmp_path / "vgg.safetensors"))
    (tmp_path / "my-style.toml").write_text(RELEASES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")

    trained = "--style-image works/painting.png --photos mine --out runs/my-style --init= "
    trained += "--steps 2 --batch 4 --crop 72 --margin 4 --perceptual vgg.safetensors --warmup 1"
    assert training.run(style.main, style.Recipe, style.__doc__, trained.split()) == 0
    AcceleratorState._reset_state(reset_partial_state=True)
    shutil.move("runs/my-style/model", "my-style")
    measured = "evaluate my-style --photos photos --paintings works --vgg vgg.safetensors"
    assert cli.main([*measured.split(), "--releases", "my-style.toml", "--write"]) == 0
    assert cli.main(["push", "my-style", "me/my-style"]) == 0

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "fresh"))
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    pulled = pull("me/my-style")
    assert files(pulled.folder) == files(tmp_path / "my-style")
    card = (pulled.folder / "README.md").read_text(encoding="utf-8")
    assert 'StyleSRPipeline.from_pretrained("me/my-style")' in card
    pipe = StyleSRPipeline.from_pretrained(pulled.source)
    pipe.set_progress_bar_config(disable=True)
    pipe(str(photos / "one.png"), scale=2).images[0].save(tmp_path / "big.png")
    own = StyleSRPipeline.from_pretrained(tmp_path / "my-style")
    assert_equal(tmp_path / "big.png", own, photos / "one.png", scale=2)


def assert_equal(
    result: Path, pipe: StyleSRPipeline, photo: Path | None = None, scale: int = 4
) -> None:
    """A file holds the very pixels that a pipeline makes."""
    pipe.set_progress_bar_config(disable=True)
    expected = pipe(str(photo or result.with_name("cat.png")), scale=scale).images[0]
    with Image.open(result) as image:
        assert np.array_equal(np.asarray(image), np.asarray(expected))


# -- the command line -----------------------------------------------------------------------------


def test_the_command_push(me: Hub, dots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["push", str(dots), "me/dots", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "me/dots: fit to be published; nothing was sent" in said
    total = sum(len(content) for content in files(dots).values())
    assert f"{total:,}  bytes in all" in said
    assert cli.main(["push", str(dots), "me/dots", "--private", "--branch", "v2"]) == 0
    commit = me["me/dots"].branches["v2"]
    assert f"me/dots: {me.url}/me/dots/commit/{commit}" in capsys.readouterr().out
    assert me["me/dots"].private


def test_the_command_push_says_all_that_is_wrong(
    me: Hub, dots: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dots / "preview.webp").unlink()
    (dots / "metrics.json").unlink()
    assert cli.main(["push", str(dots), "me/dots"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "preview.webp is missing" in said and "metrics.json is missing" in said


def test_the_command_pull(
    me: Hub, dots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = me.add("me/dots", dots), me.add("you/dots", dots)
    assert cli.main(["pull", "me/dots", f"you/dots@{second}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"me/dots@{first}: from photo, 0.01 M parameters, 0.1 MB, license")
    assert Path(lines[1].strip()).name == first
    assert lines[2].startswith(f"you/dots@{second}: ")
    assert cli.main(["pull", "me/none"]) == 1
    assert "no repository me/none" in capsys.readouterr().err
