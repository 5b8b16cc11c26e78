"""The models of a pipeline: load them with their base, save them to one folder, check the tie."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import torch

from stylesr.errors import InputError, ModelError
from stylesr.hub import bundled_names, short_name
from stylesr.models.adain_net import AdaINNet
from stylesr.models.base import Generator
from stylesr.models.stylesr_net import StyleSRNet

__all__ = [
    "INDEX_FILE",
    "check_bases",
    "check_enlarger",
    "check_name",
    "check_painter",
    "load_models",
    "save_models",
]

INDEX_FILE = "model_index.json"

Load: TypeAlias = Callable[..., Generator]
Named: TypeAlias = tuple[str, dict[str, Generator]]


def load_models(sources: Sequence[str], revision: str | None, load: Load) -> Named:
    """Load models with their base, or what `save_models` wrote.

    Args:
        sources: bundled names, local folders or Hub ids; or one folder of `save_models`.
        revision: of the named models; their base has its own.
        load: `Generator.from_pretrained`, with options.

    Returns:
        The base's name, and all networks by name in the order given. Where there is neither a
        StyleSRNet nor an AdaINNet, the first network that enlarges is the base, and `photo` where
        there is none.

    Raises:
        InputError: no source, or two of the same name.
        ModelError: a model is missing or corrupt, or there are two bases.
    """
    if len(sources) == 1 and _is_saved_folder(sources[0]):
        return _load_saved(Path(sources[0]), load)
    nets: dict[str, Generator] = {}
    for source in sources:
        name = short_name(source)
        if name in nets:
            raise InputError(f"two models are named {name!r}: {', '.join(sources)}")
        nets[name] = load(source, revision=revision)
    if not nets:
        raise InputError("name at least one model, for example 'photo'")
    blending = {k: net for k, net in nets.items() if isinstance(net, StyleSRNet | AdaINNet)}
    bases = [name for name, net in blending.items() if net.base is None]
    if len(bases) > 1:
        raise ModelError(f"a pipeline has one base, but {' and '.join(bases)} are bases")
    if not blending:
        enlarging = [name for name, net in nets.items() if not net.paints]
        return (enlarging[0], nets) if enlarging else ("photo", {**nets, "photo": load("photo")})
    return (bases[0], nets) if bases else _with_base(nets, blending, load)


def _with_base(
    nets: dict[str, Generator], styles: dict[str, StyleSRNet | AdaINNet], load: Load
) -> Named:
    style, net = next(iter(styles.items()))
    assert net.base is not None
    name = short_name(net.base)
    if name in nets:
        raise ModelError(f"{name!r} should be the base of {style!r}, but is a style itself")
    try:
        return name, {**nets, name: load(net.base)}
    except ModelError as error:
        raise ModelError(
            f"the base of {style!r}, {net.base!r}, was not found ({error}); "
            "if it is elsewhere, load a list: [base, style]"
        ) from error


def save_models(folder: Path, base_name: str, nets: Mapping[str, Generator]) -> None:
    """Write a subfolder for each model and an index.

    Raises:
        ModelError: a network is not float32: rounding would break a style's tie to its base.
    """
    for name, net in nets.items():
        if net.dtype != torch.float32:
            raise ModelError(f"{name!r} was converted to {net.dtype}; save before converting")
    for name, net in nets.items():
        net.save_pretrained(folder / name)
    others = [name for name in nets if name != base_name]
    index = {"_class_name": "StyleSRPipeline", "base": base_name, "styles": others}
    (folder / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _is_saved_folder(source: str) -> bool:
    return source not in bundled_names() and (Path(source) / INDEX_FILE).is_file()


def _load_saved(folder: Path, load: Load) -> Named:
    path = folder / INDEX_FILE
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        base_name, names = index["base"], [*index["styles"], index["base"]]
        for name in names:
            check_name(name)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} does not name a base and its styles: {error!r}") from error
    return base_name, {name: load(folder.resolve() / name) for name in names}


def check_name(name: str) -> None:
    """Raise InputError unless `name` can be a folder's name."""
    if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\"):
        raise InputError(f"a model's name must do as a folder's name, got {name!r}")


def check_enlarger(name: str, net: Generator) -> None:
    """Raise ModelError unless the network only enlarges and its tiles agree."""
    if net.paints or net.receptive_field(net.scales[-1]) is None:
        raise ModelError(
            f"{name!r} is a {type(net).__name__}, which does not run in tiles; call it by itself"
        )


def check_painter(name: str, net: Generator) -> None:
    """Raise ModelError unless the network repaints a picture at its size, and needs no other."""
    inputs = inspect.signature(net.forward).parameters.values()
    needed = [p.name for p in inputs if p.default is inspect.Parameter.empty]
    if not net.paints or net.scales != (1,) or len(needed) > 1:
        raise ModelError(
            f"{name!r} is a {type(net).__name__}, which is no style that keeps a picture's size; "
            "call it by itself"
        )


def check_bases(base_name: str, photo: Generator, styles: Mapping[str, StyleSRNet]) -> None:
    """Raise ModelError unless `photo` is a base and all styles were trained from it."""
    if isinstance(photo, StyleSRNet) and photo.base is not None:
        raise ModelError(f"{base_name!r} is no base but a style trained from {photo.base!r}")
    found = photo.fingerprint()
    for name, net in styles.items():
        if net.base_sha256 != found:
            trained_from = f"{net.base!r} ({net.base_sha256[:12]})" if net.base_sha256 else "none"
            raise ModelError(
                f"style {name!r} was trained from the base {trained_from}, "
                f"but the loaded base is {base_name!r} ({found[:12]})"
            )
