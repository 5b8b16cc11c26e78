"""The Space of the page: its folder, what runs in it, and how it gets to the Hub."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import RepoCard
from packaging.requirements import Requirement
from torch import Tensor

from stylesr import cli, space
from stylesr.errors import HubError, InputError, ModelError
from stylesr.picture import Picture
from stylesr.pipeline import Progress, StyleSRPipeline
from stylesr.space import paint_with, push_space, write_space
from stylesr.tiling import drain
from tests import tiny
from tests.hub_server import Hub
from tests.test_publishing import write

Scene = Callable[[int, int], Tensor]
MODELS = ["me/dots", "me/photo"]


@pytest.fixture
def me(the_hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The Hub, logged in; it has a base and a style."""
    monkeypatch.setenv("HF_TOKEN", "mine")
    the_hub.add("me/photo", write(tiny.photo(), tmp_path / "photo"))
    the_hub.add("me/dots", write(tiny.style(tiny.photo(), 1), tmp_path / "dots"))
    return the_hub


def commit(hub: Hub, repo_id: str) -> str:
    return hub[repo_id].branches["main"]


def test_models_are_pinned_and_preloaded(me: Hub, tmp_path: Path) -> None:
    pinned = write_space("me/page", tmp_path / "space", MODELS)
    photo, dots = commit(me, "me/photo"), commit(me, "me/dots")
    assert pinned == {"photo": f"me/photo@{photo}", "dots": f"me/dots@{dots}"}
    front = RepoCard.load(tmp_path / "space" / "README.md").data.to_dict()
    files = "config.json,model.safetensors,README.md,metrics.json,preview.webp"
    assert front["models"] == ["me/photo", "me/dots"]
    assert front["preload_from_hub"] == [f"me/photo {files} {photo}", f"me/dots {files} {dots}"]
    assert front["sdk"] == "gradio" and front["sdk_version"] == version("gradio")
    assert front["python_version"] == "3.12" and front["app_file"] == "app.py"
    assert len(front["short_description"]) <= 60
    code = (tmp_path / "space" / "app.py").read_text(encoding="utf-8")
    assert f'"dots": "me/dots@{dots}"' in code and "spaces" not in code


def test_a_revision_can_be_chosen(me: Hub, tmp_path: Path) -> None:
    old = commit(me, "me/dots")
    me["me/dots"].commit({})
    pinned = write_space("me/page", tmp_path / "space", [f"me/dots@{old}", "me/photo"])
    assert pinned["dots"] == f"me/dots@{old}"


def test_requirements_are_what_is_installed_here(me: Hub, tmp_path: Path) -> None:
    write_space("me/page", tmp_path / "space", MODELS)
    first, *lines = (tmp_path / "space" / "requirements.txt").read_text().splitlines()
    assert first == "--extra-index-url https://download.pytorch.org/whl/cpu"
    pins = {Requirement(line).name: str(Requirement(line).specifier) for line in lines}
    assert pins["torch"] == "==" + torch.__version__.partition("+")[0]
    assert pins["diffusers"] == "==" + version("diffusers")
    assert {"gradio", "torchvision"}.isdisjoint(pins)
    assert pins["av"] == "==" + version("av")  # for the page's films
    assert pins["opencv-python-headless"] == "==" + version("opencv-python-headless")
    assert (tmp_path / "space" / "stylesr" / "page" / "zoom.js").is_file()


def test_a_shared_gpu_takes_an_older_torch_and_lends_itself(me: Hub, tmp_path: Path) -> None:
    write_space("me/page", tmp_path / "space", MODELS, hardware="zero-a10g")
    folder = tmp_path / "space"
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert lines[0] == "torch==2.11.0"
    front = RepoCard.load(folder / "README.md").data.to_dict()
    assert front["suggested_hardware"] == "zero-a10g" and front["python_version"] == "3.12.12"
    code = (folder / "app.py").read_text(encoding="utf-8")
    assert code.index("import spaces") < code.index("import link_models, paint_with")
    assert "paint_with(spaces.GPU(duration=60))" in code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hardware": "t4-small"}, "hardware is cpu-basic, cpu-upgrade, zero-a10g, got 't4-small'"),
        ({"models": ["me/dots"]}, "needs a base named 'photo' among dots"),
        ({"models": ["me/dots", "me/dots@main"]}, "two models are named 'dots'"),
        ({"models": ["photo"]}, "is owner/name, got 'photo'"),
        ({"repo_id": "page"}, "is owner/name, got 'page'"),
    ],
)
def test_what_makes_no_page_is_refused(
    me: Hub, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    given: dict[str, Any] = {"repo_id": "me/page", "models": MODELS} | arguments
    with pytest.raises(InputError, match=message):
        write_space(folder=tmp_path / "space", **given)
    assert not (tmp_path / "space").exists()


def test_models_that_do_not_load_are_refused(me: Hub, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="no repository me/none"):
        write_space("me/page", tmp_path / "space", [*MODELS, "me/none"])
    me.add("you/waves", write(tiny.style(tiny.photo(9), 2), tmp_path / "waves"))
    with pytest.raises(ModelError, match="style 'waves' was trained from the base 'photo'"):
        write_space("me/page", tmp_path / "space", [*MODELS, "you/waves"])
    assert not (tmp_path / "space").exists()


def test_a_folder_in_use_is_left_alone(me: Hub, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is in use; give a new or empty folder"):
        write_space("me/page", tmp_path / "photo", MODELS)


def test_only_a_clone_has_the_page(
    me: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "__file__", str(tmp_path / "site-packages" / "stylesr" / "space.py"))
    with pytest.raises(InputError, match=r"needs app.py, .* only a clone of the repository has"):
        write_space("me/page", tmp_path / "space", MODELS)


# -- in the Space ---------------------------------------------------------------------------------

PAGE = """
import json
import app
from stylesr import hub, studio

made = studio.Studio()
print(json.dumps([made.names, made.pipeline.styles, hub.__file__, str(app.__file__)]))
"""


def test_the_written_folder_runs_offline_from_what_was_preloaded(me: Hub, tmp_path: Path) -> None:
    folder, home = tmp_path / "space", tmp_path / "hf-cache"
    write_space("me/page", folder, MODELS)  # fills the cache with those very commits
    own = {"HF_HUB_CACHE": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment = {**os.environ, **own}
    environment.pop("PYTHONPATH", None)
    (folder / "hub_cards").mkdir()
    (folder / "hub_cards" / "dots").symlink_to(tmp_path / "old")  # as an earlier start left it
    done = subprocess.run(
        [sys.executable, "-c", PAGE],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    names, styles, package, app = json.loads(done.stdout.splitlines()[-1])
    assert names == ["photo", "dots"] and styles == ["dots"]
    assert Path(package).is_relative_to(folder) and Path(app).parent == folder


@pytest.fixture
def lent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Any, ...]]]:
    """What goes into the function that a GPU is lent to."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(StyleSRPipeline, "stream", StyleSRPipeline.stream)  # put back at the end

    def lend(task: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Iterator[Any]:
            calls.append(arguments)
            yield from task(*arguments)

        return wrapped

    paint_with(lend)
    return calls


def test_a_lent_gpu_paints_the_same(scene: Scene, lent: list[tuple[Any, ...]]) -> None:
    photo = tiny.photo()
    pipe = StyleSRPipeline(photo, {"dots": tiny.style(photo, 1)})
    picture, options = Picture(scene(40, 48)), {"scale": 2, "tile_size": 64, "seed": 3}
    steps: list[Progress] = []
    result = drain(pipe.stream(picture, **options), steps.append)
    assert [step.done for step in steps] == list(range(1, steps[0].total + 1))
    ((_, given, passed),) = lent
    assert given is picture and passed == options
    plain = StyleSRPipeline(photo, {"dots": tiny.style(photo, 1)})
    expected = drain(plain._stream(picture, plain.plan((40, 48), **options)))
    assert torch.equal(result.pixels, expected.pixels)


def test_a_lent_gpu_is_not_asked_for_what_is_refused(
    scene: Scene, lent: list[tuple[Any, ...]]
) -> None:
    pipe = StyleSRPipeline(tiny.photo())
    with pytest.raises(InputError, match="scale must be"):
        pipe.stream(Picture(scene(40, 48)), scale=99)
    assert lent == []


# -- to the Hub -----------------------------------------------------------------------------------


def test_it_is_pushed_and_pushed_again(me: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "space"
    write_space("me/page", folder, MODELS)
    done = push_space("me/page", folder, private=True)
    on_hub = me.repositories["space", "me/page"]
    assert on_hub.private and on_hub.options["sdk"] == "gradio"
    assert on_hub.options["hardware"] == "cpu-basic"
    assert done.commit == on_hub.branches["main"]
    assert set(on_hub.files) == {name for name, _ in done.files} | {".gitattributes"}
    assert on_hub.files["stylesr/space.py"] == Path(space.__file__).read_bytes()
    on_hub.commit(on_hub.files | {"stylesr/old.py": b"", "notes.md": b""})
    push_space("me/page", folder)
    assert "stylesr/old.py" not in on_hub.files and "notes.md" in on_hub.files


def test_the_command(me: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "space")
    assert cli.main(["space", "me/page", "--models", *MODELS, "--dry-run", folder]) == 0
    said = capsys.readouterr().out
    assert f"me/dots@{commit(me, 'me/dots')}\n" in said and "nothing was sent" in said
    assert ("space", "me/page") not in me.repositories
    shutil.rmtree(folder)
    for hardware in space.HARDWARE:
        assert cli._parser().parse_args(["space", "me/page", "--hardware", hardware])
    assert cli.main(["space", "me/page", "--models", *MODELS, "--hardware", "zero-a10g"]) == 0
    assert f"{me.url}/spaces/me/page/commit/" in capsys.readouterr().out
    assert b"import spaces" in me.repositories["space", "me/page"].files["app.py"]
