import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import huggingface_hub.constants
import pytest
from huggingface_hub import errors

from stylesr import hub
from stylesr.errors import ModelError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / hub.CONFIG_FILE).write_text(json.dumps({"class_name": "StyleSRNet"}))
    (folder / hub.WEIGHTS_FILE).write_bytes(b"weights")
    return folder


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that comes with `photo` and `azure`."""
    folder = tmp_path / "hub_cards"
    for name in ("azure", "photo"):
        write_model(folder / name)
    (folder / "template.md").write_text("card")
    (folder / "unfinished").mkdir()
    monkeypatch.setattr(hub, "bundled_folder", lambda: folder)
    return folder


@pytest.fixture
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> str:
        pytest.fail(f"asked the Hub for {args}")

    monkeypatch.setattr(hub, "hf_hub_download", refuse)


# -- found without the Hub ----------------------------------------------------------------------


def test_bundled_models_are_beside_the_package_in_a_clone() -> None:
    assert hub.bundled_folder() == Path(hub.__file__).parents[1] / "hub_cards"


def test_bundled_names_start_with_photo(bundled: Path) -> None:
    assert hub.bundled_names() == ["photo", "azure"]


@pytest.mark.usefixtures("no_download")
def test_a_bundled_name(bundled: Path) -> None:
    assert hub.locate("azure") == bundled / "azure"


@pytest.mark.usefixtures("no_download")
def test_a_bundled_name_comes_before_a_folder_of_that_name(
    bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "here" / "azure")
    monkeypatch.chdir(tmp_path / "here")
    assert hub.locate("azure") == bundled / "azure"
    assert hub.locate("./azure").resolve() == tmp_path / "here" / "azure"


@pytest.mark.usefixtures("no_download")
def test_a_local_folder(bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path / "mine" / "style")
    assert hub.locate(str(folder)) == folder
    monkeypatch.chdir(tmp_path)
    assert hub.locate("mine/style").resolve() == folder  # looks like a Hub id


@pytest.mark.parametrize("name", ["no-such", "a/b/c", "user/", "/etc/no such", "http://x/y"])
@pytest.mark.usefixtures("no_download")
def test_an_unknown_name_is_told_what_there_is(bundled: Path, name: str) -> None:
    with pytest.raises(ModelError, match=r"bundled are photo, azure.*folder.*user/name") as caught:
        hub.locate(name)
    assert repr(name) in str(caught.value)


# -- on the Hub ---------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A download cache that holds user/style at its branch main."""
    repository = tmp_path / "cache" / "models--user--style"
    write_model(repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return tmp_path / "cache"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
@pytest.mark.usefixtures("offline")
def test_a_cached_model_is_found_offline(cache: Path, revision: str | None) -> None:
    folder = hub.locate("user/style", revision=revision, cache_dir=cache)
    assert folder == cache / "models--user--style" / "snapshots" / COMMIT


def test_local_files_only_asks_no_server(cache: Path) -> None:
    found = hub.locate("user/style", cache_dir=cache, local_files_only=True)
    assert (found / hub.WEIGHTS_FILE).read_bytes() == b"weights"
    with pytest.raises(ModelError, match="user/other is not in the cache"):
        hub.locate("user/other", cache_dir=cache, local_files_only=True)


@pytest.mark.usefixtures("offline")
def test_a_model_that_is_not_cached_cannot_be_had_offline(cache: Path) -> None:
    with pytest.raises(ModelError, match=r"user/other is not in the cache.*cannot be reached"):
        hub.locate("user/other", cache_dir=cache)


def http(kind: type[errors.HfHubHTTPError]) -> errors.HfHubHTTPError:
    request = httpx2.Request("HEAD", "http://localhost/")
    return kind("refused", response=httpx2.Response(404, request=request))


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (lambda: http(errors.GatedRepoError), "user/style is gated: accept its terms"),
        (lambda: http(errors.RepositoryNotFoundError), "no repository user/style"),
        (lambda: http(errors.RevisionNotFoundError), "no revision 'v9'"),
        (lambda: http(errors.RemoteEntryNotFoundError), "lacks config.json or model.safetensors"),
        (lambda: http(errors.HfHubHTTPError), "could not be loaded from the Hub: refused"),
        (lambda: errors.LocalEntryNotFoundError("down"), "cannot be reached"),
        (lambda: errors.HFValidationError("bad id"), "bad id"),
    ],
    ids=["gated", "no repository", "no revision", "no file", "server", "no network", "bad id"],
)
def test_what_the_hub_refuses_is_said_in_our_words(
    monkeypatch: pytest.MonkeyPatch, failure: Callable[[], Exception], message: str
) -> None:
    def refuse(*args: Any, **options: Any) -> str:
        raise failure()

    monkeypatch.setattr(hub, "hf_hub_download", refuse)
    with pytest.raises(ModelError, match=message):
        hub.locate("user/style", revision="v9")


def test_the_request_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def download(name: str, file: str, **options: Any) -> str:
        asked.append((name, file, options))
        return str(tmp_path / file)

    monkeypatch.setattr(hub, "hf_hub_download", download)
    options: dict[str, Any] = {
        "revision": "v1",
        "cache_dir": tmp_path,
        "force_download": True,
        "local_files_only": False,
        "token": "secret",
    }
    assert hub.locate("user/style", **options) == tmp_path
    assert asked == [("user/style", f, options) for f in ("config.json", "model.safetensors")]
