import json
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from stylesr import hub
from stylesr.errors import HubError, InputError, ModelError
from tests.hub_server import Hub

NOWHERE = "http://127.0.0.1:1"  # where nothing listens


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

    monkeypatch.setattr(hub, "HfApi", refuse)
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

MODEL = {hub.CONFIG_FILE: b"{}", hub.WEIGHTS_FILE: 2000 * b"weights"}
CARD = {"README.md": b"# style", "preview.webp": b"picture"}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_model_of_the_hub_is_the_files_of_one_commit(the_hub: Hub, bundled: Path) -> None:
    commit = the_hub.add("user/style", MODEL | CARD)
    folder = hub.locate("user/style")
    assert folder.name == commit
    assert files(folder) == MODEL
    assert files(hub.fetch("user/style", whole=True)) == MODEL | CARD


@pytest.mark.parametrize("at", ["name", "argument"])
@pytest.mark.parametrize("revision", ["main", "v1", "commit"])
def test_a_revision_is_a_branch_or_a_commit(the_hub: Hub, revision: str, at: str) -> None:
    commit = the_hub.add("user/style", MODEL)
    if revision == "v1":
        commit = the_hub["user/style"].commit(MODEL | {hub.CONFIG_FILE: b"[]"}, "v1")
    wanted = commit if revision == "commit" else revision
    if at == "name":
        folder = hub.locate(f"user/style@{wanted}")
    else:
        folder = hub.locate("user/style", revision=wanted)
    assert folder.name == commit
    assert (folder / hub.CONFIG_FILE).read_bytes() == (b"[]" if revision == "v1" else b"{}")


def test_a_new_commit_is_found_and_the_old_one_stays(the_hub: Hub) -> None:
    old = the_hub.add("user/style", MODEL)
    assert hub.locate("user/style").name == old
    new = the_hub["user/style"].commit(MODEL | {hub.CONFIG_FILE: b"[]"})
    assert hub.locate("user/style").name == new
    assert files(hub.locate("user/style", revision=old)) == MODEL


def test_a_cached_commit_makes_no_request(the_hub: Hub) -> None:
    commit = the_hub.add("user/style", MODEL)
    folder = hub.locate("user/style")
    the_hub.requests.clear()
    assert hub.locate("user/style", revision=commit) == folder
    assert hub.locate(f"user/style@{commit}") == folder
    assert hub.locate("user/style", local_files_only=True) == folder
    assert the_hub.requests == []


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("revision", [None, "main", "commit"])
def test_offline_the_cache_serves_without_a_request(
    the_hub: Hub, request: pytest.FixtureRequest, revision: str | None
) -> None:
    commit = the_hub.add("user/style", MODEL | CARD)
    folder = hub.fetch("user/style", whole=True)
    request.getfixturevalue("offline")
    the_hub.requests.clear()
    wanted = commit if revision == "commit" else revision
    assert hub.locate("user/style", revision=wanted) == folder
    assert hub.fetch("user/style", revision=wanted, whole=True) == folder
    assert the_hub.requests == []


@pytest.mark.usefixtures("offline")
def test_offline_what_is_not_cached_cannot_be_had(the_hub: Hub) -> None:
    the_hub.add("user/style", MODEL)
    with pytest.raises(HubError, match=r"not in the cache.*unset HF_HUB_OFFLINE.*stylesr pull"):
        hub.locate("user/style")
    with pytest.raises(HubError, match="user/style is not in the cache"):
        hub.locate("user/style", local_files_only=True)
    assert the_hub.requests == []


def test_without_a_network_the_cache_serves_and_says_so(
    the_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = the_hub.add("user/style", MODEL)
    folder = hub.locate("user/style")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", NOWHERE)
    with pytest.warns(UserWarning, match=rf"cannot be reached.*user/style.*cache.*{commit}"):
        assert hub.locate("user/style") == folder


def test_without_a_network_nothing_else_does(the_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    the_hub.add("user/style", MODEL)
    hub.locate("user/style")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", NOWHERE)
    with pytest.raises(HubError, match=f"user/other: the connection to {NOWHERE} failed"):
        hub.locate("user/other")
    with pytest.raises(HubError, match="check the network"):
        hub.locate("user/style", force_download=True)


# -- what the Hub refuses -------------------------------------------------------------------------


def test_a_missing_repository(the_hub: Hub) -> None:
    with pytest.raises(HubError, match=r"no repository user/style.*spelling.*hf auth login"):
        hub.locate("user/style")


def test_a_private_repository(the_hub: Hub) -> None:
    commit = the_hub.add("me/style", MODEL, private=True)
    with pytest.raises(HubError, match=r"no repository me/style.*private.*hf auth login"):
        hub.locate("me/style")
    assert hub.locate("me/style", token="mine").name == commit


def test_a_gated_repository(the_hub: Hub) -> None:
    commit = the_hub.add("user/style", MODEL, gated=True, readers={"mine"})
    with pytest.raises(HubError, match=rf"gated: accept its terms at {the_hub.url}/user/style"):
        hub.locate("user/style")
    assert hub.locate("user/style", token="mine").name == commit


def test_a_wrong_token(the_hub: Hub) -> None:
    the_hub.add("user/style", MODEL)
    with pytest.raises(HubError, match=r"token is not valid; log in anew: hf auth login"):
        hub.locate("user/style", token="nonsense")


def test_no_token_where_one_is_demanded(the_hub: Hub) -> None:
    the_hub.add("user/style", MODEL)
    with pytest.raises(HubError, match=r"log in: hf auth login, or set HF_TOKEN"):
        hub.locate("user/style", token=True)


@pytest.mark.parametrize("revision", ["v9", "0" * 40])
def test_a_missing_revision(the_hub: Hub, revision: str) -> None:
    the_hub.add("user/style", MODEL)
    with pytest.raises(HubError, match=rf"user/style has no revision '{revision}'; leave it out"):
        hub.locate("user/style", revision=revision)


def test_two_revisions() -> None:
    with pytest.raises(InputError, match=r"user/style@v1 names a revision itself.*'v2'"):
        hub.locate("user/style@v1", revision="v2")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file(the_hub: Hub, name: str) -> None:
    the_hub.add("user/style", {k: v for k, v in MODEL.items() if k != name})
    with pytest.raises(HubError, match=rf"user/style lacks {name}; it is no model of stylesr"):
        hub.locate("user/style")


def test_weights_in_a_pickle_alone(the_hub: Hub) -> None:
    the_hub.add("user/style", {"config.json": b"{}", "pytorch_model.bin": b"evil"})
    with pytest.raises(HubError, match=r"pytorch_model.bin alone.*can run any code.*not loaded"):
        hub.locate("user/style")
    assert not any("resolve" in request for request in the_hub.requests)


@pytest.mark.parametrize(("name", "size"), [("config.json", 100_001), ("model.safetensors", 1001)])
def test_a_file_that_is_too_large_is_not_downloaded(the_hub: Hub, name: str, size: int) -> None:
    the_hub.add("user/style", MODEL | {"model.safetensors": b"small", name: bytes(size)})
    with pytest.raises(HubError, match=rf"{name} has {size:,} bytes, more than the .* nothing was"):
        hub.fetch("user/style", max_bytes=1000)
    assert not any("resolve" in request for request in the_hub.requests)


def test_a_file_of_unknown_size_is_not_downloaded(
    the_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    the_hub.add("user/style", MODEL)
    model_info = hub.HfApi.model_info

    def without_sizes(api: Any, *args: Any, files_metadata: bool, **options: Any) -> Any:
        info = model_info(api, *args, files_metadata=False, **options)
        for file in info.siblings or []:
            file.size = None
        return info

    monkeypatch.setattr(hub.HfApi, "model_info", without_sizes)
    with pytest.raises(HubError, match=r"config.json has inf bytes"):
        hub.locate("user/style")


def test_trouble_on_the_hub(the_hub: Hub) -> None:
    the_hub.down = 503
    with pytest.raises(HubError, match=r"trouble of its own \(503\); try again later"):
        hub.locate("user/style")


def test_too_many_requests(the_hub: Hub) -> None:
    the_hub.down = 429
    with pytest.raises(HubError, match="too many requests"):
        hub.locate("user/style")


@pytest.mark.parametrize("name", ["a--b/c", "user/" + 97 * "x"])
def test_an_id_that_the_hub_does_not_know(the_hub: Hub, name: str) -> None:
    with pytest.raises(HubError, match=name):
        hub.locate(name)


# -- interrupted ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_waiting")
def test_a_download_that_breaks_goes_on_where_it_was(the_hub: Hub) -> None:
    the_hub.add("user/style", MODEL)
    the_hub.break_after, the_hub.broken = 5000, 1
    assert files(hub.locate("user/style")) == MODEL
    assert sum("GET" in r and "model.safetensors" in r for r in the_hub.requests) == 2


@pytest.mark.usefixtures("no_waiting")
def test_a_download_that_ends_early_leaves_nothing_to_load(the_hub: Hub) -> None:
    commit = the_hub.add("user/style", MODEL)
    the_hub.break_after, the_hub.broken = 500, 1000
    with pytest.raises(HubError, match=r"user/style: the connection .* failed.* try again"):
        hub.locate("user/style")
    with pytest.raises(HubError, match="not in the cache"):
        hub.locate("user/style", local_files_only=True)
    the_hub.broken = 0
    assert hub.locate("user/style").name == commit
    assert files(hub.locate("user/style", local_files_only=True)) == MODEL


def test_a_repository_that_changes_on_the_way(
    the_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    the_hub.add("user/style", MODEL)
    download = hub.hf_hub_download

    def change_first(repo_id: str, *args: Any, **options: Any) -> str:
        the_hub[repo_id].commit(MODEL | {"config.json": b"[]"})
        return download(repo_id, *args, **options)

    monkeypatch.setattr(hub, "hf_hub_download", change_first)
    with pytest.raises(HubError, match="changed while it was being fetched; try again"):
        hub.locate("user/style")


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("photo", "photo"),
        ("user/dots", "dots"),
        ("user/dots@v2", "dots"),
        ("./mine", "mine"),
        ("runs/one@home", "one"),
        ("/styles/one@home", "one@home"),
    ],
)
def test_a_model_goes_by_the_last_part(source: str, name: str) -> None:
    assert hub.short_name(source) == name


def test_a_folder_keeps_its_at_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs" / "one@home").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert hub.short_name("runs/one@home") == "one@home"
