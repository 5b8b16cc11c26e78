"""Where models are: bundled with the package, in a local folder, or on the Hub."""

import re
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from stylesr.errors import InputError, ModelError

__all__ = ["CONFIG_FILE", "WEIGHTS_FILE", "bundled_folder", "bundled_names", "locate"]

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def bundled_folder() -> Path:
    """The folder of released models: inside the installed package, or beside it in a clone."""
    package = Path(__file__).parent
    installed = package / "hub_cards"
    return installed if installed.is_dir() else package.parent / "hub_cards"


def bundled_names() -> list[str]:
    """Names of the released models that come with the package, `photo` first."""
    names = sorted(path.parent.name for path in bundled_folder().glob(f"*/{CONFIG_FILE}"))
    return sorted(names, key=lambda name: name != "photo")


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
        name: for example "photo", "./my-style" or "user/my-style"; a `Path` is always a folder.
        revision: branch, tag or commit; only for the Hub.

    Returns:
        A local folder with config.json and model.safetensors (downloaded where needed).

    Raises:
        InputError: a revision of a model that is not on the Hub.
        ModelError: nothing of that name, or the Hub refused; says what would work.
    """
    if (folder := _local(name)) is not None:
        if revision is not None:
            raise InputError(f"revision {revision!r}: {name} is not on the Hub and has only one")
        return folder
    name = str(name)
    if not _HUB_ID.fullmatch(name):
        raise ModelError(
            f"no model {name!r}: bundled are {', '.join(bundled_names()) or 'none'}; "
            "otherwise give a local folder or a Hub id such as user/name"
        )
    try:
        files = [
            hf_hub_download(
                name,
                file,
                revision=revision,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                token=token,
            )
            for file in (CONFIG_FILE, WEIGHTS_FILE)
        ]
    except GatedRepoError as error:
        raise ModelError(f"{name} is gated: accept its terms on its page and log in") from error
    except RepositoryNotFoundError as error:
        raise ModelError(f"no repository {name} on the Hub, or no access to it") from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{name} has no revision {revision!r}") from error
    except LocalEntryNotFoundError as error:
        raise ModelError(f"{name} is not in the cache and the Hub cannot be reached") from error
    except EntryNotFoundError as error:
        raise ModelError(f"{name} lacks {CONFIG_FILE} or {WEIGHTS_FILE}") from error
    except (HfHubHTTPError, HFValidationError) as error:
        raise ModelError(f"{name} could not be loaded from the Hub: {error}") from error
    return Path(files[0]).parent


def _local(name: str | Path) -> Path | None:
    """A bundled model's folder, or a folder of that name."""
    if isinstance(name, str) and name in bundled_names():
        return bundled_folder() / name
    try:
        return Path(name) if str(name) and Path(name).is_dir() else None
    except OSError:  # a name that no file system takes
        return None
