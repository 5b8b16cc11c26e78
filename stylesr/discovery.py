"""Find styles that other people have published: models of the Hub with the tag `stylesr`.

What strangers wrote is listed and loaded with care: pinned to the commit that was listed, the one
class that styles are, bounded in size, safetensors only. Nothing of a model is run but its weights.
"""

import re
from dataclasses import dataclass

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import OfflineModeIsEnabled

from stylesr.errors import HubError, InputError
from stylesr.hub import CONFIG_FILE, HUB_ID, WEIGHTS_FILE, explained, fetch, short_name
from stylesr.models.stylesr_net import StyleSRNet

__all__ = ["TAG", "Found", "discover", "load"]

TAG = "stylesr"
MAX_BYTES = 50_000_000  # the largest StyleSRNet has 40 MB
MOST = 200  # models in a list

_PLAIN = re.compile(r"[\w.+-]{1,40}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Found:
    """A published model, as it was when it was listed.

    Attributes:
        source: Hub id and commit, "user/my-style@0123…"; loads these very weights.
        author: whose account it is in.
        licence: as its card states it, or None.
        downloads: in the last month, as the Hub counts them.
        page: where people read its card.
        thumbnail: address of its preview, or None.
    """

    source: str
    author: str
    licence: str | None
    downloads: int
    page: str
    thumbnail: str | None

    @property
    def name(self) -> str:
        """What it goes by in a pipeline."""
        return short_name(self.source)


def discover(limit: int = 50, *, token: str | bool | None = None) -> list[Found]:
    """List public models with the tag `stylesr`, those most used first.

    Left out is what could not be loaded anyway: gated models, and those without config.json and
    model.safetensors. Whether the rest are what they say turns out when one is loaded.

    Args:
        limit: how many at most, 1 to 200.
        token: as in huggingface_hub; none is needed.

    Raises:
        InputError: limit out of range.
        HubError: the Hub cannot be reached.
    """
    if type(limit) is not int or not 1 <= limit <= MOST:
        raise InputError(f"limit must be a whole number from 1 to {MOST}, got {limit!r}")
    api = HfApi(token=token)
    with explained("the list of models"):
        try:
            infos = list(api.list_models(filter=TAG, sort="downloads", full=True, limit=limit))
        except OfflineModeIsEnabled as error:
            raise HubError("HF_HUB_OFFLINE is set, but the list of models is on the Hub") from error
    found = []
    for info in infos:
        files = {file.rfilename for file in info.siblings or []}
        is_sound = HUB_ID.fullmatch(info.id) and _COMMIT.fullmatch(info.sha or "")
        if not is_sound or info.gated or info.private or not {CONFIG_FILE, WEIGHTS_FILE} <= files:
            continue
        preview = "preview.webp"
        found.append(
            Found(
                source=f"{info.id}@{info.sha}",
                author=info.id.partition("/")[0],
                licence=_licence(info.tags or []),
                downloads=info.downloads or 0,
                page=f"{constants.ENDPOINT}/{info.id}",
                thumbnail=hf_hub_url(info.id, preview, revision=info.sha)
                if preview in files
                else None,
            )
        )
    return found


def load(found: Found, *, token: str | bool | None = None) -> StyleSRNet:
    """Load a model that was listed: that commit, if it is a StyleSRNet of bounded size.

    Raises:
        HubError: it is gone, too large, or the Hub cannot be reached.
        ModelError: it is another class, or its config or weights are not sound.
    """
    fetch(found.source, max_bytes=MAX_BYTES, token=token)
    return StyleSRNet.from_pretrained(found.source, local_files_only=True)


def _licence(tags: list[str]) -> str | None:
    """The Hub's tag for it; strangers' text is not passed on."""
    found = (tag.partition(":")[2] for tag in tags if tag.startswith("license:"))
    return next((licence for licence in found if _PLAIN.fullmatch(licence)), None)
