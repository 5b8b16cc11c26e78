"""Publish a model's folder: check that it will serve others, then upload exactly that folder.

What is on the Hub is what was checked. Nothing is generated on the way; above all the card is the
folder's own, where the mixin's `push_to_hub` would write another one over it.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import (
    CommitInfo,
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    ModelCard,
    get_token,
)
from PIL import Image

from stylesr.errors import HubError, InputError, PublishError, StyleSRError
from stylesr.hub import FOLDER_FILES, HUB_ID, SOURCE_FILE, bundled_names, explained, locate

__all__ = ["Publication", "check_repo_id", "failings", "publish", "upload"]

CARD_FILE, METRICS_FILE, PREVIEW_FILE = "README.md", "metrics.json", "preview.webp"
PLACEHOLDER = "[More Information Needed]"  # of huggingface_hub's own card
PREVIEW_SIDE = 64  # least of a preview's sides, in pixels

Load = Callable[[Path], Any]


@dataclass(frozen=True)
class Publication:
    """What was published, or would be.

    Attributes:
        repo_id: where.
        files: names and sizes in bytes of what the folder holds.
        commit: on the Hub; None if nothing was uploaded, on request.
        url: of the commit, or of the pull request.
    """

    repo_id: str
    files: tuple[tuple[str, int], ...]
    commit: str | None = None
    url: str | None = None

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(size for _, size in self.files)


def publish(
    folder: str | Path,
    repo_id: str,
    load: Load,
    *,
    private: bool | None = None,
    create_pr: bool = False,
    branch: str | None = None,
    dry_run: bool = False,
    token: str | None = None,
    message: str | None = None,
) -> Publication:
    """Check a model's folder and make it the content of a repository of the Hub.

    Args:
        folder: config.json, model.safetensors, README.md, metrics.json, preview.webp.
        repo_id: for example "user/my-style"; made if there is none.
        load: loads a folder's network strictly.
        private: whether others cannot see a new repository; None for the account's default.
        create_pr: propose it as a pull request, to a repository of someone else.
        branch: other than main; made if there is none.
        dry_run: check only; nothing is sent.
        token: by default the one of `hf auth login`, or HF_TOKEN.
        message: of the commit.

    Raises:
        InputError: no such folder, a wrong repository id, or options that exclude each other.
        PublishError: the folder is not fit to be published; says everything that is wrong.
        HubError: the Hub refused or cannot be reached; the repository is then as it was.
    """
    folder = Path(folder)
    check_repo_id(repo_id)
    if not folder.is_dir():
        raise InputError(f"there is no folder {str(folder)!r}")
    if create_pr and branch:
        raise InputError(f"a pull request goes to main; leave out the branch {branch!r}")
    if wrong := tuple(failings(folder, repo_id, load)):
        raise PublishError(str(folder), wrong)
    files = tuple((path.name, path.stat().st_size) for path in _files(folder))
    if dry_run:
        return Publication(repo_id, files)
    done = upload(
        [(path.name, path) for path in _files(folder)],
        repo_id,
        is_ours=FOLDER_FILES.__contains__,
        private=private,
        create_pr=create_pr,
        branch=branch,
        token=token,
        message=message or f"{folder.resolve().name}: weights, card, figures",
    )
    return Publication(repo_id, files, done.oid, done.pr_url or done.commit_url)


def check_repo_id(repo_id: str) -> None:
    """Raise InputError unless it is owner and name, as the Hub wants them."""
    if not isinstance(repo_id, str) or not HUB_ID.fullmatch(repo_id):
        raise InputError(f"a repository of the Hub is owner/name, got {repo_id!r}")


# -- checks ---------------------------------------------------------------------------------------


def failings(folder: Path, repo_id: str, load: Load) -> Iterator[str]:
    """Everything that speaks against publishing a folder, a sentence each."""
    known = (*FOLDER_FILES, "LICENSE")
    if strange := [path.name for path in _files(folder) if path.name not in known]:
        yield f"unexpected {', '.join(strange)}: a model's folder holds {', '.join(FOLDER_FILES)}"
    try:
        net = load(folder)
    except StyleSRError as error:
        yield str(error)
    else:
        yield from _network_failings(net)
        yield from _metrics_failings(folder / METRICS_FILE, net.fingerprint())
    yield from _preview_failings(folder / PREVIEW_FILE)
    try:
        text = (folder / CARD_FILE).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        yield f"{CARD_FILE} cannot be read: {error}"
    else:
        yield from _card_failings(text, repo_id, _is_released(folder.resolve()))
        yield from _source_failings(folder / SOURCE_FILE, text)


def _is_released(folder: Path) -> bool:
    """Whether everyone who has the package has this model, by its name."""
    return folder.name in bundled_names() and locate(folder.name).resolve() == folder


def _files(folder: Path) -> list[Path]:
    """All that is in a folder, but for hidden files."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _network_failings(net: Any) -> Iterator[str]:
    """One picture at each factor, and a base that others will find."""
    for scale in net.scales:
        side = max(48, net.min_size)
        steps = torch.linspace(0, 1, side).expand(side, side)
        picture = torch.stack([steps, steps.T, 1 - steps])[None]  # (1, 3, side, side)
        options = {"style": picture.flip(1)} if net.needs_style else {}
        try:
            with torch.inference_mode():
                result = net(picture, scale=scale, **options)
        except (StyleSRError, TypeError) as error:
            yield f"at ×{scale} it does not take a picture: {error}"
            continue
        if result.shape != (1, 3, side * scale, side * scale):
            yield f"at ×{scale} a picture of {side}×{side} becomes one of {tuple(result.shape)}"
        elif not bool(result.isfinite().all()):
            yield f"at ×{scale} its picture has values that are not finite"
        elif float(result.clamp(0, 1).std()) < 0.01:
            yield f"at ×{scale} its picture is of one colour"
    base = getattr(net, "base", None)
    if base is None:
        return
    if base not in bundled_names() and not HUB_ID.fullmatch(base):
        yield (
            f"its base {base!r} is neither released nor on the Hub: push the base first, and name "
            "it in config.json by its Hub id"
        )
        return
    if not hasattr(net, "base_sha256"):  # any photo model will do
        return
    try:
        if type(net).from_pretrained(base).fingerprint() != net.base_sha256:
            yield f"its base is not the {base!r} that others will get; train it from that one"
    except StyleSRError as error:
        yield f"its base {base!r} cannot be loaded: {error}"


def _metrics_failings(path: Path, fingerprint: str) -> Iterator[str]:
    try:
        measured = json.loads(path.read_text(encoding="utf-8"))["weights_sha256"]
    except FileNotFoundError:
        yield f"{path.name} is missing: it was never measured; run stylesr evaluate … --write"
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        yield f"{path.name} is not what stylesr evaluate writes: {error!r}"
    else:
        if measured != fingerprint:
            yield f"{path.name} tells of other weights; run stylesr evaluate … --write again"


def _preview_failings(path: Path) -> Iterator[str]:
    if not path.is_file():
        yield f"{path.name} is missing: a picture of what the model does"
        return
    try:
        with Image.open(path, formats=["WEBP"]) as image:
            image.load()
            if min(image.size) < PREVIEW_SIDE:
                yield f"{path.name} has {image.width}×{image.height} pixels, too few to see a thing"
            if image.getexif():
                yield f"{path.name} holds EXIF data of a photo; save it without"
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        yield f"{path.name} is no WebP picture: {error}"


def _card_failings(text: str, repo_id: str, is_released: bool) -> Iterator[str]:
    if PLACEHOLDER in text or not text.startswith("---\n"):
        yield (
            f"{CARD_FILE} is not a card, but what save_pretrained writes where there is none; "
            "write one: stylesr evaluate … --write"
        )
        return
    try:
        data = ModelCard(text).data
    except Exception as error:  # the YAML parser raises errors of its own
        yield f"{CARD_FILE}: its front matter cannot be read: {' '.join(str(error).split())}"
        return
    card: dict[str, Any] = data.to_dict()
    licence = card.get("license")
    if not isinstance(licence, str) or licence in ("", "unknown"):
        yield f"{CARD_FILE} names no license; for example apache-2.0, or other"
    elif licence == "other" and not (card.get("license_name") and card.get("license_link")):
        yield f"{CARD_FILE}: a license of the kind other needs license_name and license_link"
    for key, value in (("pipeline_tag", "image-to-image"), ("library_name", "stylesr")):
        if card.get(key) != value:
            yield f"{CARD_FILE}: {key} must be {value}, got {card.get(key)!r}"
    if "stylesr" not in (card.get("tags") or []):
        yield f"{CARD_FILE}: tags lack stylesr, by which models are found"
    for key in ("base_model", "datasets"):
        given = card.get(key) or []
        for name in [given] if isinstance(given, str) else given:
            if not isinstance(name, str) or not HUB_ID.fullmatch(name):
                yield f"{CARD_FILE}: {key} takes ids of the Hub (owner/name) only, got {name!r}"
    yield from _result_failings(getattr(data, "eval_results", None) or [])
    if f"({PREVIEW_FILE})" not in text:
        yield f"{CARD_FILE} does not show {PREVIEW_FILE}"
    if not is_released and repo_id not in text:
        yield f'{CARD_FILE} does not say how to load it: from_pretrained("{repo_id}")'


def _source_failings(path: Path, text: str) -> Iterator[str]:
    """What was imported says from which files, for those who read the card too."""
    try:
        sources = json.loads(path.read_text(encoding="utf-8"))["files"].items()
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        yield f"{path.name} is not what stylesr import writes: {error!r}"
        return
    for name, digest in sources:
        if str(digest) not in text:
            yield f"{CARD_FILE} does not say that it was made of {name} with the SHA-256 {digest}"


def _result_failings(results: Sequence[Any]) -> Iterator[str]:
    if not results:
        yield f"{CARD_FILE} has no model-index: no result was measured"
    for result in results:
        value, what = result.metric_value, f"{result.dataset_name}, {result.metric_type}"
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value):
            yield f"{CARD_FILE}, model-index, {what}: {value!r} is not a figure"
        if not (result.dataset_args or {}).get("protocol"):
            yield f"{CARD_FILE}, model-index, {what}: how it was measured is missing (protocol)"


# -- upload ---------------------------------------------------------------------------------------


def upload(
    files: Sequence[tuple[str, Path | bytes]],
    repo_id: str,
    *,
    message: str,
    is_ours: Callable[[str], bool],
    private: bool | None = None,
    create_pr: bool = False,
    branch: str | None = None,
    token: str | None = None,
    space_sdk: str | None = None,
    space_hardware: str | None = None,
) -> CommitInfo:
    """Write files to a repository in one commit, so that it is never half new.

    Args:
        files: names in the repository, and where they are or what they hold.
        repo_id, private, create_pr, branch, token, message: as for `publish`.
        is_ours: whether a file that is there already, by its name, is deleted unless it is
            among `files`.
        space_sdk, space_hardware: for a Space; without an SDK it is a model.

    Raises:
        HubError: the Hub refused or cannot be reached, or the repository exists and is public
            where a private one is wanted.
    """
    if token is None and get_token() is None:
        raise HubError(
            "the Hub wants to know who you are: log in with hf auth login and a token that may "
            "write (https://huggingface.co/settings/tokens), or set HF_TOKEN"
        )
    api, kind = HfApi(token=token), "space" if space_sdk else "model"
    with explained(repo_id, branch):
        if not create_pr:
            api.create_repo(
                repo_id,
                repo_type=kind,
                private=private,
                exist_ok=True,
                space_sdk=space_sdk,
                space_hardware=space_hardware,  # type: ignore[arg-type]
            )
        if private and not api.repo_info(repo_id, repo_type=kind).private:
            raise HubError(
                f"{repo_id} exists and is public; make it private on its settings page, or take "
                "another name"
            )
        if branch:
            api.create_branch(repo_id, repo_type=kind, branch=branch, exist_ok=True)
        present = api.list_repo_files(repo_id, repo_type=kind, revision=branch)
        names = [name for name, _ in files]
        stale = [name for name in present if name not in names and is_ours(name)]
        return api.create_commit(
            repo_id,
            [
                *(CommitOperationAdd(name, content) for name, content in files),
                *(CommitOperationDelete(name) for name in stale),
            ],
            repo_type=kind,
            commit_message=message,
            revision=branch,
            create_pr=create_pr,
        )
