"""What people wrote about the released models: titles, works, sources of the training photos.

Cards take their words from this file, `train/releases.toml` in the repository, and their figures
from `metrics.json`; so neither can contradict the other.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from stylesr.errors import InputError
from stylesr.hub import bundled_folder

__all__ = ["Effort", "Release", "Releases", "Source", "Work", "default_path", "load"]

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """A collection of pictures, or weights: its name, where it is, and its licence in words."""

    name: str
    url: str
    licence: str


@dataclass(frozen=True)
class Work:
    """The work that a style was trained from.

    Attributes:
        artist, title, year: as a label in a museum says them; the year may be "about 1831".
        image: the reproduction's file name.
        provenance: where that reproduction is from.
        licence: why it may be used, for example "public domain (the artist died in 1890)".
    """

    artist: str
    title: str
    year: str
    image: str
    provenance: str
    licence: str


@dataclass(frozen=True)
class Effort:
    """What the training took.

    Attributes:
        hardware: in words, for example "one CPU core of a server".
        hours: of training, all legs together.
        watts: that the hardware draws, as assumed.
    """

    hardware: str
    hours: float
    watts: float

    def __post_init__(self) -> None:
        for name, value in (("hours", self.hours), ("watts", self.watts)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise InputError(f"{name} must be a number above 0, got {value!r}")

    @property
    def kilowatt_hours(self) -> float:
        """An estimate: the product."""
        return self.hours * self.watts / 1000


@dataclass(frozen=True)
class Release:
    """One model.

    Attributes:
        description: one sentence, the first one of the card and of `stylesr models`.
        data: where the training photos are from.
        preview: parts of the names of the photos shown on the card.
        training: how it was trained, in sentences.
        effort: what that took, where it is known.
        work: what it paints like; None for a photo model.
        teacher: the network whose painting it learnt, where it was distilled from one.
        unseen: file names of works that it was not trained on, by which a network that takes any
            style is measured; its previews show photos like the first ones of them.
        hub: the Hub id under which others load it, where it does not come with the package.
    """

    description: str
    data: tuple[Source, ...]
    preview: tuple[str, ...]
    training: str = ""
    effort: Effort | None = None
    work: Work | None = None
    teacher: Source | None = None
    unseen: tuple[str, ...] = ()
    hub: str = ""


@dataclass(frozen=True)
class Releases:
    """The whole file: `held_out` are the photos for previews and for figures of style."""

    path: Path
    held_out: Source
    models: Mapping[str, Release]

    def __getitem__(self, name: str) -> Release:
        """The release of a model's name.

        Raises:
            InputError: the file has none of that name.
        """
        if name not in self.models:
            known = ", ".join(self.models) or "nothing"
            raise InputError(f"{self.path} tells of {known}; add [models.{name}]")
        return self.models[name]


def default_path() -> Path:
    """Where the file is in a clone of the repository."""
    return bundled_folder().parent / "train" / "releases.toml"


def load(path: str | Path | None = None) -> Releases:
    """Read the file, by default the repository's.

    Raises:
        InputError: it is missing, is not TOML, or has missing, unknown or mistyped entries.
    """
    path = Path(path or default_path())
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"the releases file {str(path)!r} cannot be read: {error}") from error
    except ValueError as error:
        raise InputError(f"{path} is not TOML: {error}") from error
    if unknown := sorted(set(table) - {"held_out", "data", "models"}):
        raise InputError(f"{path}: unknown tables {', '.join(unknown)}")
    data = {
        key: _read(Source, entry, f"{path}, [data.{key}]")
        for key, entry in table.get("data", {}).items()
    }
    models = {
        name: _release(entry, data, f"{path}, [models.{name}]")
        for name, entry in table.get("models", {}).items()
    }
    held_out = _read(Source, table.get("held_out", {}), f"{path}, [held_out]")
    return Releases(path, held_out, models)


def _release(entry: Mapping[str, Any], data: Mapping[str, Source], place: str) -> Release:
    values = dict(entry)
    if unknown := [key for key in values.get("data", ()) if key not in data]:
        raise InputError(f"{place}: data names {', '.join(unknown)}; known are {', '.join(data)}")
    values["data"] = tuple(data[key] for key in values.get("data", ()))
    values["preview"] = tuple(values.get("preview", ()))
    values["unseen"] = tuple(values.get("unseen", ()))
    if "effort" in values:
        values["effort"] = _read(Effort, values["effort"], f"{place}, effort")
    if "teacher" in values:
        values["teacher"] = _read(Source, values["teacher"], f"{place}, teacher")
    if "work" in values:
        values["work"] = _read(Work, values["work"], f"{place}, work")
    return _read(Release, values, place)


def _read(kind: type[T], entry: Mapping[str, Any], place: str) -> T:
    try:
        return kind(**entry)
    except (TypeError, InputError) as error:  # a missing or unknown key, or a wrong value
        raise InputError(f"{place}: {error}") from error
