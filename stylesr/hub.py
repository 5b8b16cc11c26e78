"""Where models are: bundled with the package, in a local folder, or on the Hub."""

import json
import math
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (  # type: ignore[attr-defined] # HTTPError: no name of its own
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from stylesr.errors import HubError, InputError, ModelError, StyleSRError

__all__ = [
    "CONFIG_FILE",
    "FOLDER_FILES",
    "HUB_ID",
    "SOURCE_FILE",
    "WEIGHTS_FILE",
    "bundled_folder",
    "bundled_names",
    "class_name",
    "explained",
    "fetch",
    "locate",
    "short_name",
]

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
LOADED = (CONFIG_FILE, WEIGHTS_FILE)
SOURCE_FILE = "source.json"  # of an imported model: what it was made of
FOLDER_FILES = (
    *LOADED,
    "README.md",
    "metrics.json",
    "preview.webp",
    "trade.webp",
    "front.webp",
    SOURCE_FILE,
)

MAX_BYTES = 500_000_000  # of one file; what is larger is not one of these models
MAX_CONFIG_BYTES = 100_000
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")

_SOURCE = re.compile(rf"({HUB_ID.pattern})(?:@(\S+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PICKLES = (".bin", ".ckpt", ".pkl", ".pt", ".pth")
_PATIENCE = 10  # seconds that the Hub has for an answer


def bundled_folder() -> Path:
    """The folder of released models: inside the installed package, or beside it in a clone."""
    package = Path(__file__).parent
    installed = package / "hub_cards"
    return installed if installed.is_dir() else package.parent / "hub_cards"


def bundled_names() -> list[str]:
    """Names of the released models that come with the package, `photo` first."""
    names = sorted(path.parent.name for path in bundled_folder().glob(f"*/{CONFIG_FILE}"))
    return sorted(names, key=lambda name: name != "photo")


def class_name(model: str) -> str:
    """What a model's config says it is.

    Raises:
        ModelError, HubError: there is no such model.
    """
    config = json.loads((locate(model) / CONFIG_FILE).read_text(encoding="utf-8"))
    return str(config.get("class_name"))


def short_name(source: str | Path) -> str:
    """The name that a model goes by: the last part of its path or Hub id, without a revision."""
    name = os.path.basename(os.path.abspath(source))
    on_hub = _SOURCE.fullmatch(str(source)) and _local(source) is None  # looks at the disk last
    return name.partition("@")[0] if on_hub else name


def locate(
    name: str | Path,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Path:
    """Find a model's folder: a bundled name, then a local folder, then a Hub id.

    Args:
        name: for example "photo", "./my-style", "user/my-style" or "user/my-style@v2", with a
            branch, tag or commit; a `Path` is always a folder.
        revision: the same, apart from the name; only for the Hub.

    Returns:
        A local folder with config.json and model.safetensors (downloaded where needed).

    Raises:
        InputError: a revision of a model that is not on the Hub.
        ModelError: nothing of that name.
        HubError: the Hub refused or cannot be reached; says what would work.
    """
    if (folder := _local(name)) is not None:
        if revision is not None:
            raise InputError(f"revision {revision!r}: {name} is not on the Hub and has only one")
        return folder
    return fetch(
        str(name),
        revision=revision,
        cache_dir=cache_dir,
        force_download=force_download,
        local_files_only=local_files_only,
        token=token,
    )


def fetch(
    source: str,
    *,
    revision: str | None = None,
    whole: bool = False,
    max_bytes: int = MAX_BYTES,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Path:
    """Download a model of the Hub, all files of one commit, or find it in the cache.

    A commit (40 hexadecimal digits) that is in the cache is taken from there without a request; so
    is everything where `local_files_only` or HF_HUB_OFFLINE asks for it. A branch is looked up.

    Args:
        source: a Hub id, with or without "@" and a revision.
        whole: fetch card, figures and pictures too, not only what is needed to load the model.
        max_bytes: of one file; a larger one is not downloaded.

    Returns:
        The folder in the cache; its name is the commit.

    Warns:
        UserWarning: the Hub cannot be reached, and what the cache holds is taken.

    Raises:
        InputError: two revisions.
        ModelError: this is no Hub id.
        HubError: the Hub refused or cannot be reached, or holds no model that can be loaded.
    """
    match = _SOURCE.fullmatch(source)
    if not match:
        raise ModelError(
            f"no model {source!r}: bundled are {', '.join(bundled_names()) or 'none'}; "
            "otherwise give a local folder or a Hub id such as user/name"
        )
    repo_id, named = match.groups()
    if named and revision:
        raise InputError(f"{source} names a revision itself; leave out revision={revision!r}")
    revision = named or revision
    with explained(repo_id, revision):
        kept = None if force_download else _cached(repo_id, revision, cache_dir)
        pinned = bool(revision and _COMMIT.fullmatch(revision))
        if kept and (local_files_only or (pinned and not whole)):
            return kept
        if local_files_only:
            raise LocalEntryNotFoundError("local_files_only")
        try:
            info = HfApi(token=token).model_info(
                repo_id, revision=revision, files_metadata=True, timeout=_PATIENCE
            )
        except (OfflineModeIsEnabled, HTTPError) as error:
            if kept is None or isinstance(error, HfHubHTTPError):
                raise
            if not isinstance(error, OfflineModeIsEnabled):  # else it was asked for
                _warn(repo_id, kept, error)
            return kept
        sizes = {
            file.rfilename: math.inf if file.size is None else file.size
            for file in info.siblings or []
        }
        _check_files(repo_id, sizes, max_bytes)

        def download(file: str, at: str | None) -> Path:
            options = {"cache_dir": cache_dir, "force_download": force_download, "token": token}
            return Path(hf_hub_download(repo_id, file, revision=at, **options))  # type: ignore[arg-type]

        folder = download(CONFIG_FILE, revision).parent  # notes which commit the branch is at
        if folder.name != info.sha:
            raise HubError(f"{repo_id} was changed while it was being fetched; try again")
        for file in FOLDER_FILES if whole else LOADED:
            if file in sizes and file != CONFIG_FILE:
                download(file, folder.name)
    return folder


@contextmanager
def explained(repo_id: str, revision: str | None = None) -> Iterator[None]:
    """Turn what huggingface_hub raises into a `HubError` that says what to do."""
    try:
        yield
    except StyleSRError:
        raise
    except Exception as error:
        reason = _reason(error, repo_id, revision)
        if reason is None:
            raise
        raise HubError(reason) from error


def _reason(error: Exception, repo_id: str, revision: str | None) -> str | None:
    """What happened and what to do; None for what has nothing to do with the Hub."""
    page = f"{constants.ENDPOINT}/{repo_id}"
    match error:
        case GatedRepoError():
            return f"{repo_id} is gated: accept its terms at {page} and log in: hf auth login"
        case RepositoryNotFoundError():
            return (
                f"no repository {repo_id} on the Hub, or no access to it; check its spelling, and "
                "if it is private log in: hf auth login"
            )
        case RevisionNotFoundError():
            return f"{repo_id} has no revision {revision!r}; leave it out, or see {page}/tree/main"
        case LocalTokenNotFoundError():
            return "the Hub wants to know who you are; log in: hf auth login, or set HF_TOKEN"
        case LocalEntryNotFoundError() | OfflineModeIsEnabled():
            return (
                f"{repo_id} is not in the cache and the Hub cannot be reached; connect, unset "
                f"HF_HUB_OFFLINE if it is set, and fetch it once: stylesr pull {repo_id}"
            )
        case EntryNotFoundError():
            return f"{repo_id} lacks a file that it should have: {error}"
        case HfHubHTTPError():
            return f"{repo_id}: the Hub refused: {_refusal(error)}"
        case HTTPError():
            return (
                f"{repo_id}: the connection to {constants.ENDPOINT} failed ({error}); check the "
                "network and try again"
            )
        case ValueError():  # a name or a card that the Hub does not take
            return f"{repo_id}: {_causes(error)}"
        case OSError() | RuntimeError():
            return f"{repo_id}: the Hub's files could not be moved: {_causes(error)}; try again"
    return None


def _refusal(error: HfHubHTTPError) -> str:
    advice = {
        401: "the token is not valid; log in anew: hf auth login",
        403: "the token may not do this; take one with write access to that account",
        429: "too many requests; try again later",
    }
    status = error.response.status_code
    if status >= 500:
        return (
            f"it has trouble of its own ({status}); try again later, or set HF_HUB_OFFLINE=1 for "
            "what is in the cache"
        )
    return advice.get(status, str(error))


def _causes(error: BaseException) -> str:
    """An error, and what caused it."""
    text = str(error) or type(error).__name__
    return f"{text} ({_causes(error.__cause__)})" if error.__cause__ else text


def _check_files(repo_id: str, sizes: Mapping[str, float], max_bytes: int) -> None:
    """Refuse, before anything is downloaded, what would not be loaded."""
    pickles = [file for file in sizes if file.endswith(_PICKLES)]
    if WEIGHTS_FILE not in sizes and pickles:
        raise HubError(
            f"{repo_id} has its weights in {pickles[0]} alone, a pickle, which can run any code "
            f"and is not loaded; ask its author for {WEIGHTS_FILE}"
        )
    if missing := [file for file in LOADED if file not in sizes]:
        raise HubError(f"{repo_id} lacks {' and '.join(missing)}; it is no model of stylesr")
    for file in FOLDER_FILES:
        most = MAX_CONFIG_BYTES if file == CONFIG_FILE else max_bytes
        if sizes.get(file, 0) > most:
            raise HubError(
                f"{repo_id}: {file} has {sizes[file]:,} bytes, more than the {most:,} that are "
                "allowed; nothing was downloaded"
            )


def _warn(repo_id: str, kept: Path, error: Exception) -> None:
    warnings.warn(
        f"the Hub cannot be reached ({error}): {repo_id} is taken from the cache, at commit "
        f"{kept.name}, which may be old",
        stacklevel=4,
    )


def _cached(repo_id: str, revision: str | None, cache_dir: str | Path | None) -> Path | None:
    """The folder of the cache that holds what is needed to load the model."""
    paths = [
        try_to_load_from_cache(repo_id, file, cache_dir=cache_dir, revision=revision)
        for file in LOADED
    ]
    return Path(str(paths[0])).parent if all(isinstance(p, str) for p in paths) else None


def _local(name: str | Path) -> Path | None:
    """A bundled model's folder, or a folder of that name."""
    if isinstance(name, str) and name in bundled_names():
        return bundled_folder() / name
    try:
        return Path(name) if str(name) and Path(name).is_dir() else None
    except OSError:  # a name that no file system takes
        return None
