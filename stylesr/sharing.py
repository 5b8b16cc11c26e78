"""Share models: push a folder to the Hub, pull one from it.

stylesr push my-style user/my-style
stylesr pull user/my-style
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from stylesr.errors import InputError
from stylesr.hub import CONFIG_FILE, WEIGHTS_FILE, bundled_names, fetch, locate
from stylesr.models import Generator, StyleSRNet
from stylesr.pipeline import StyleSRPipeline
from stylesr.publishing import CARD_FILE, Publication, check_repo_id, publish

__all__ = ["Pulled", "pull", "push", "push_all"]


@dataclass(frozen=True)
class Pulled:
    """A model of the Hub that is now in the cache, and its base with it.

    Attributes:
        source: Hub id and commit, "user/my-style@0123…"; a name that always means these weights.
        folder: where its files are.
        base: the name of the model from which it was trained, or None.
        parameters: number of its weights.
        bytes: size of their file.
        licence: as its card states it; None where it states none.
    """

    source: str
    folder: Path
    base: str | None
    parameters: int
    bytes: int
    licence: str | None


def push(folder: str | Path, repo_id: str, **options: Any) -> Publication:
    """Check a model's folder and publish exactly its files, the card as it stands.

    Args:
        folder: config.json, model.safetensors, README.md, metrics.json and preview.webp, as
            hub_cards/README.md describes them.
        repo_id: for example "user/my-style"; made if there is none.
        options: `private`, `create_pr` (to someone else's repository), `branch`, `dry_run` (check
            only), `token` and `message`, as for `stylesr.publishing.publish`.

    Raises:
        InputError: no such folder, a wrong repository id, or options that exclude each other.
        PublishError: the folder is not fit to be published; its `failings` say everything.
        HubError: the Hub refused or cannot be reached; the repository is then as it was.
    """
    return publish(folder, repo_id, _load, **options)


def push_all(owner: str, names: Sequence[str] | None = None, **options: Any) -> list[Publication]:
    """Publish released models, each as a repository of its own; none unless all are fit.

    Args:
        owner: a user or an organisation of the Hub.
        names: which; by default all that come with the package.
        options: as for `push`.

    Raises:
        InputError, PublishError, HubError: as `push`.
    """
    released = bundled_names()
    chosen = released if names is None else list(names)
    if unknown := [name for name in chosen if name not in released]:
        raise InputError(f"{', '.join(unknown)}: released are {', '.join(released) or 'none'}")
    pairs = [(locate(name), f"{owner}/{name}") for name in chosen]
    checked = [push(folder, repo_id, **{**options, "dry_run": True}) for folder, repo_id in pairs]
    if options.get("dry_run"):
        return checked
    return [push(folder, repo_id, **options) for folder, repo_id in pairs]


def pull(
    repo_id: str,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    token: str | bool | None = None,
) -> Pulled:
    """Fetch a model with its card, pictures and base, and load it once, as a check.

    Args:
        repo_id: for example "user/my-style", or "user/my-style@v2".
        revision: branch, tag or commit; the same as after the "@".
        cache_dir, force_download, token: as in huggingface_hub.

    Raises:
        InputError: this is no Hub id.
        HubError: the Hub refused or cannot be reached, or holds no model that can be loaded.
        ModelError: the model is corrupt or of another base.
    """
    name = repo_id.partition("@")[0]
    check_repo_id(name)
    options: dict[str, Any] = {"cache_dir": cache_dir, "token": token}
    folder = fetch(repo_id, revision=revision, whole=True, force_download=force_download, **options)
    source = f"{name}@{folder.name}"
    StyleSRPipeline.from_pretrained(source, **options)
    net = _load(folder)
    return Pulled(
        source=source,
        folder=folder,
        base=getattr(net, "base", None),
        parameters=sum(p.numel() for p in net.parameters()),
        bytes=(folder / WEIGHTS_FILE).stat().st_size,
        licence=_licence(folder / CARD_FILE),
    )


def _load(folder: Path) -> Generator:
    """The network of a folder, whatever its class."""
    try:
        name = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["class_name"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        name = None  # `from_pretrained` says what is wrong
    known = {kind.__name__: kind for kind in Generator.__subclasses__()}
    kind: type[Generator] = known.get(str(name), StyleSRNet)
    return kind.from_pretrained(folder)


def _licence(card: Path) -> str | None:
    try:
        licence = ModelCard(card.read_text(encoding="utf-8")).data.to_dict().get("license")
    except Exception:  # no card, or one that the YAML parser does not take
        return None
    return licence if isinstance(licence, str) else None
