"""The page that runs in its visitor's own browser, as a static Space, which costs nothing to host.

    stylesr space my-org/stylesr --static --dry-run space

A folder of plain files, which any web server can serve: the page (`stylesr/static/`), the graphs of
`export`, the models as they are on the Hub, and onnxruntime-web. The page blends a model's weights
with its base's, hands them to the graphs, and does on its own what `StyleSRPipeline` does.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import SpaceCardData
from PIL import Image

from stylesr.errors import ModelError
from stylesr.export import graph, graph_file, layout
from stylesr.files import check_unused
from stylesr.hub import (
    WEIGHTS_FILE,
    bundled_folder,
    bundled_names,
    class_name,
    locate,
    short_name,
)
from stylesr.images import decode, save
from stylesr.models.base import Generator
from stylesr.models.stylesr_net import StyleSRNet
from stylesr.npm import PACKAGE, read_runtime
from stylesr.page.words import LANGUAGES
from stylesr.picture import Picture
from stylesr.pipeline import StyleSRPipeline
from stylesr.previews import CELL, GAP, HEAD, PREVIEW_FILE
from stylesr.publishing import check_repo_id
from stylesr.screen import for_screen, square
from stylesr.tiling import drain

__all__ = ["write_static_space"]

FIRST_STYLE = "starry-night"
THUMBNAIL_SIDE = 160
EXAMPLE_SIZE = (900, 1200)
EXAMPLES = (  # the originals in the photo model's preview, its last column, in their order
    ("dog", {"en": "a dog", "zh": "一只狗"}),
    ("city", {"en": "a city by the sea", "zh": "海边的城市"}),
    ("flowers", {"en": "asters", "zh": "紫菀花"}),
)
HEADERS = {  # threads share memory, which browsers allow to such pages only
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "cross-origin",
}

README = """---
{front_matter}
---

# stylesr

Enlarge a photo and repaint it in the style of a painting, in one pass of one small network, in your
own browser: nothing is uploaded.

Detail in an enlarged or painted picture is invented: plausible, not a record of what was there.

| model | SHA-256 of its weights |
|---|---|
{rows}

In `ort/` are files of {package}, Copyright (c) Microsoft Corporation, MIT License;
in `pictures/` photos of the gb82 image set, CC0. The rest is stylesr, Apache-2.0.
"""


def write_static_space(
    repo_id: str,
    folder: str | Path,
    models: Sequence[str] | None = None,
    *,
    runtime: str | Path | None = None,
    token: str | None = None,
) -> Mapping[str, str]:
    """Write the folder of a static Space.

    Args:
        repo_id: of the Space, for example "my-org/stylesr".
        folder: a new or empty one.
        models: released names, folders or Hub ids of StyleSRNets of one base; by default all that
            are released.
        runtime: onnxruntime-web's tarball; None has npm fetch it.
        token: as in huggingface_hub.

    Returns:
        Each model's name, and the SHA-256 of its weights.

    Raises:
        InputError: the folder is in use, or the runtime is not what it should be.
        ModelError, HubError: a model cannot be loaded, or is no StyleSRNet of the others' sizes.
    """
    check_repo_id(repo_id)
    folder = Path(folder)
    check_unused(folder)
    sources = list(models) if models else _released()
    nets = {
        short_name(source): Generator.from_pretrained(source, token=token) for source in sources
    }
    pipe = StyleSRPipeline.from_pretrained(sources, token=token)  # refuses what does not fit
    base = pipe.base_name
    if base not in nets:  # found by the name in a style's config
        sources = [next(str(net.config["base"]) for net in nets.values()), *sources]
        nets = {base: Generator.from_pretrained(sources[0], token=token), **nets}
    blending = _check(nets)
    files = read_runtime(runtime)

    shutil.copytree(Path(__file__).with_name("static"), folder, dirs_exist_ok=True)
    for name, data in files.items():
        _write(folder / "ort" / name, data)
    for scale in blending[base].scales:
        _write(folder / "models" / graph_file(scale), graph(blending[base], scale))
    for source in sources:
        weights = locate(source, token=token) / WEIGHTS_FILE
        _write(folder / "models" / f"{short_name(source)}.safetensors", weights.read_bytes())
    site = _site(base, blending) | _draw(pipe, folder)
    text = json.dumps(site, ensure_ascii=False, indent=1)
    _write(folder / "models" / "models.json", text.encode())
    prints = {name: blending[name].fingerprint() for name in _order(base, blending)}
    _write(folder / "README.md", _readme(prints).encode())
    return prints


def _released() -> list[str]:
    """Names of the released models of this class."""
    return [name for name in bundled_names() if class_name(name) == StyleSRNet.__name__]


def _check(nets: Mapping[str, Generator]) -> dict[str, StyleSRNet]:
    """The same networks, if all share their graphs."""
    found = {name: net for name, net in nets.items() if isinstance(net, StyleSRNet)}
    for name, net in nets.items():
        first = next(iter(found.values()), None)
        if name not in found or first is None or layout(found[name]) != layout(first):
            raise ModelError(
                f"{name!r} is a {type(net).__name__} of its own size; the page takes StyleSRNets "
                "that can be blended"
            )
    return found


# -- what the page reads --------------------------------------------------------------------------


def _order(base: str, nets: Mapping[str, StyleSRNet]) -> list[str]:
    """The base first, then what only enlarges, then styles."""
    return sorted(nets, key=lambda name: (name != base, nets[name].paints))


def _site(base: str, nets: Mapping[str, StyleSRNet]) -> dict[str, Any]:
    net = nets[base]
    return {
        "base": base,
        "radius": net.receptive_field(net.scales[-1]),
        "noiseLevels": net.noise_levels,
        "layout": list(layout(net).items()),
        "models": [
            {
                "name": name,
                "paints": nets[name].paints,
                "title": {code: words.way_name(name) for code, words in LANGUAGES.items()},
                "thumbnail": f"pictures/{name}.thumbnail.webp",
            }
            for name in _order(base, nets)
        ],
    }


def _draw(pipe: StyleSRPipeline, folder: Path) -> dict[str, Any]:
    """Thumbnails, photos to try, and one of them painted."""
    pictures = folder / "pictures"
    pictures.mkdir()
    photos = _originals()
    for (name, _), photo in zip(EXAMPLES, photos, strict=True):
        save(photo, pictures / f"{name}.webp", quality=90)
    small = square(photos[0], THUMBNAIL_SIDE)
    for name in [pipe.base_name, *pipe.styles]:
        enlarged = _paint(pipe, small, name, scale=2)  # finer strokes
        save(square(enlarged, THUMBNAIL_SIDE), pictures / f"{name}.thumbnail.webp", quality=85)
    styles = [FIRST_STYLE, *pipe.styles, pipe.base_name]
    first = next(name for name in styles if name in [pipe.base_name, *pipe.styles])
    painted = _paint(pipe, photos[0], first, scale=4, brush=1)
    save(for_screen(painted, EXAMPLE_SIZE), pictures / "painted.webp", quality=80)
    files = [f"pictures/{name}.webp" for name, _ in EXAMPLES]
    return {
        "example": {"style": first, "before": files[0], "after": "pictures/painted.webp"},
        "examples": [
            {"name": name, "title": title, "file": file}
            for (name, title), file in zip(EXAMPLES, files, strict=True)
        ],
    }


def _paint(pipe: StyleSRPipeline, photo: Picture, style: str, **options: Any) -> Picture:
    return drain(pipe.stream(photo, style=style, **options))


def _originals() -> list[Picture]:
    """The photos in the last column of the released photo model's preview."""
    with Image.open(bundled_folder() / "photo" / PREVIEW_FILE) as preview:
        width, height = CELL
        left = preview.width - width
        tops = [HEAD + k * (height + GAP) for k in range(len(EXAMPLES))]
        cells = [preview.crop((left, top, left + width, top + height)) for top in tops]
    return [decode(cell.convert("RGB")) for cell in cells]


def _readme(prints: Mapping[str, str]) -> str:
    card = SpaceCardData(
        title="stylesr",
        emoji="🖼️",
        colorFrom="yellow",
        colorTo="blue",
        sdk="static",
        app_file="index.html",
        custom_headers=HEADERS,
        short_description="Paint and enlarge photos in your own browser",
        license="apache-2.0",
        tags=["super-resolution", "style-transfer"],
    )
    rows = "\n".join(f"| {name} | `{sha256}` |" for name, sha256 in prints.items())
    return README.format(front_matter=card.to_yaml(), rows=rows, package=PACKAGE)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
