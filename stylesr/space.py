"""The page as a Space of the Hub: its folder, with models pinned to commits, and the way there.

    stylesr space my-org/stylesr --models my-org/photo my-org/dots --dry-run space

In the Space the models stand where a clone has them, in `hub_cards/`, so that the page is the same.
"""

import tomllib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from huggingface_hub import SpaceCardData

from stylesr.errors import InputError
from stylesr.files import check_unused
from stylesr.hub import FOLDER_FILES, bundled_folder, bundled_names, fetch, short_name
from stylesr.images import Source, decode
from stylesr.picture import Picture
from stylesr.pipeline import Progress, StyleSRPipeline
from stylesr.publishing import Publication, check_repo_id, upload

__all__ = ["HARDWARE", "Hardware", "link_models", "paint_with", "push_space", "write_space"]

BASE = "photo"  # the page looks for the base by this name
GPU_SECONDS = 60  # that a visitor may take at a time
OURS = {"gradio": ("stylesr/",), "static": ("models/", "ort/", "pictures/")}  # to be replaced


@dataclass(frozen=True)
class Hardware:
    """What a kind of machine needs.

    Attributes:
        requirements: how torch is installed there, lines of requirements.txt.
        python: its version.
        is_shared_gpu: the GPU is lent for each call, by the package `spaces`.
    """

    requirements: tuple[str, ...]
    python: str
    is_shared_gpu: bool = False


_CPU = Hardware(("--extra-index-url https://download.pytorch.org/whl/cpu", "torch{}"), "3.12")
HARDWARE = {
    "cpu-basic": _CPU,
    "cpu-upgrade": _CPU,
    "zero-a10g": Hardware(("torch==2.11.0",), "3.12.12", is_shared_gpu=True),  # the newest there
}

README = """---
{front_matter}
---

# stylesr

Enlarge a photo and repaint it in the style of a painting, in one pass of one small network.

Detail in an enlarged or painted picture is invented: plausible, not a record of what was there.

| model | commit |
|---|---|
{rows}
"""

APP = '''"""The page of this Space, written by `stylesr space`, which also pins the models anew."""

{first}from stylesr.space import {names}

MODELS = {{
{models}
}}
link_models(MODELS)
{prepare}
from page import build_page, launch  # noqa: E402 # looks for the models

if __name__ == "__main__":
    launch(build_page())
'''


def write_space(
    repo_id: str,
    folder: str | Path,
    models: Sequence[str] | None = None,
    *,
    hardware: str = "cpu-basic",
    token: str | None = None,
) -> Mapping[str, str]:
    """Write the folder of a Space; load its models once, as a check.

    Args:
        repo_id: of the Space, for example "my-org/stylesr".
        folder: a new or empty one.
        models: Hub ids, with "@" and a revision if wanted; one of them is named photo. By default
            the released models, in the Space's own account.
        hardware: "cpu-basic", "cpu-upgrade" or "zero-a10g".
        token: as in huggingface_hub.

    Returns:
        Each model's name, and its Hub id with the commit that was found.

    Raises:
        InputError: unknown hardware, a folder in use, models that do not make a page, or this is
            no clone of the repository, which alone has the page.
        ModelError, HubError: a model cannot be loaded.
    """
    check_repo_id(repo_id)
    if hardware not in HARDWARE:
        raise InputError(f"hardware is {', '.join(HARDWARE)}, got {hardware!r}")
    machine, folder = HARDWARE[hardware], Path(folder)
    check_unused(folder)
    root = _clone()
    owner = repo_id.partition("/")[0]
    sources = models or [f"{owner}/{name}" for name in bundled_names()]
    folders = _fetch(sources, token)
    pinned = {name: f"{source}@{path.name}" for name, (source, path) in folders.items()}

    requirements = "\n".join(_requirements(root, machine)) + "\n"
    _write(folder / "README.md", _readme(folders, machine, hardware))
    _write(folder / "app.py", _app(pinned, machine))
    _write(folder / "requirements.txt", requirements)
    copied = {root / "app.py": "page.py", root / "app.css": "app.css", root / "LICENSE": "LICENSE"}
    package = Path(__file__).parent
    for path in sorted(package.rglob("*")):
        if path.suffix in (".py", ".js", ".typed") and "hub_cards" not in path.parts:
            copied[path] = f"stylesr/{path.relative_to(package).as_posix()}"
    for path, name in copied.items():
        _write(folder / name, path.read_text(encoding="utf-8"))
    return pinned


def push_space(
    repo_id: str,
    folder: str | Path,
    *,
    hardware: str | None = "cpu-basic",
    sdk: str = "gradio",
    private: bool | None = None,
    token: str | None = None,
) -> Publication:
    """Upload what `write_space` wrote, or `write_static_space`.

    Args:
        repo_id, folder: as they were given there.
        hardware: None where nothing runs.
        sdk: "gradio" or "static".
        private, token: as for `publish`.

    Raises:
        HubError: the Hub refused or cannot be reached; the Space is then as it was.
    """
    folder = Path(folder)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [(path.relative_to(folder).as_posix(), path) for path in paths]
    done = upload(
        files,
        repo_id,
        is_ours=lambda name: name.startswith(OURS[sdk]),
        private=private,
        token=token,
        message="The page, its models pinned",
        space_sdk=sdk,
        space_hardware=hardware,
    )
    sizes = tuple((name, path.stat().st_size) for name, path in files)
    return Publication(repo_id, sizes, done.oid, done.commit_url)


# -- in the Space ---------------------------------------------------------------------------------


def link_models(models: Mapping[str, str]) -> None:
    """Let models of the Hub stand where the bundled ones would be.

    Args:
        models: names, and Hub ids with a commit; what was preloaded needs no network.
    """
    bundled_folder().mkdir(exist_ok=True)
    for name, source in models.items():
        link = bundled_folder() / name
        link.unlink(missing_ok=True)
        link.symlink_to(fetch(source).resolve(), target_is_directory=True)


def paint_with(lend: Callable[[Any], Any]) -> None:
    """Let every pipeline paint inside a function that `lend` decorates, such as `spaces.GPU`.

    On a ZeroGPU Space that function runs in a process that has a GPU for a while; what goes in and
    comes out is copied between the two.
    """
    stream = StyleSRPipeline.stream
    pipes: dict[int, StyleSRPipeline] = {}  # the other process has a copy of it

    @lend
    def work(key: int, picture: Picture, options: dict[str, Any]) -> Generator[Any, None, None]:
        import torch

        pipe = pipes[key]
        if torch.cuda.is_available():
            pipe.to("cuda")
        steps = stream(pipe, picture, **options)
        while True:
            try:
                yield next(steps)
            except StopIteration as end:
                yield end.value
                return

    def results(steps: Generator[Any, None, None]) -> Generator[Progress, None, Picture]:
        for step in steps:
            if isinstance(step, Picture):
                return step
            yield step
        raise RuntimeError("the GPU was taken away before the picture was finished")

    def lent(
        self: StyleSRPipeline, image: Source | Picture, **options: Any
    ) -> Generator[Progress, None, Picture]:
        picture = image if isinstance(image, Picture) else decode(image)
        stream(self, picture, **options).close()  # refuses what is wrong, at once
        pipes[id(self)] = self
        return results(work(id(self), picture, options))

    StyleSRPipeline.stream = lent  # type: ignore[method-assign,assignment]


# -- its files ------------------------------------------------------------------------------------


def _clone() -> Path:
    """The repository's folder."""
    root = Path(__file__).parents[1]
    needed = ("app.py", "app.css", "LICENSE", "pyproject.toml")
    if missing := [name for name in needed if not (root / name).is_file()]:
        raise InputError(
            f"a Space needs {', '.join(missing)}, which only a clone of the repository has; "
            "run it there, after pip install -e ."
        )
    return root


def _fetch(sources: Sequence[str], token: str | None) -> dict[str, tuple[str, Path]]:
    """By name: Hub id and folder, named by its commit; the base first."""
    found: dict[str, tuple[str, Path]] = {}
    for source in sources:
        check_repo_id(source.partition("@")[0])
        name = short_name(source)
        if name in found:
            raise InputError(f"two models are named {name!r}: {', '.join(sources)}")
        found[name] = source.partition("@")[0], fetch(source, whole=True, token=token)
    if BASE not in found:
        raise InputError(f"the page needs a base named {BASE!r} among {', '.join(found) or 'none'}")
    pins = [f"{source}@{path.name}" for source, path in found.values()]
    pipe = StyleSRPipeline.from_pretrained(pins, token=token)
    if pipe.base_name != BASE:
        raise InputError(f"the base is {pipe.base_name!r}; the page needs one named {BASE!r}")
    return dict(sorted(found.items(), key=lambda item: item[0] != BASE))


def _readme(models: Mapping[str, tuple[str, Path]], machine: Hardware, hardware: str) -> str:
    preload = []
    for source, path in models.values():
        files = ",".join(name for name in FOLDER_FILES if (path / name).is_file())
        preload.append(f"{source} {files} {path.name}")
    card = SpaceCardData(
        title="stylesr",
        emoji="🖼️",
        colorFrom="yellow",
        colorTo="blue",
        sdk="gradio",
        sdk_version=_version("gradio"),
        python_version=machine.python,
        app_file="app.py",
        suggested_hardware=hardware,
        models=[source for source, _ in models.values()],
        preload_from_hub=preload,
        short_description="Enlarge a photo and repaint it in a style, in one pass",
        license="apache-2.0",
        tags=["stylesr", "super-resolution", "style-transfer"],
    )
    rows = [
        f"| [{name}](https://huggingface.co/{source}) | `{path.name}` |"
        for name, (source, path) in models.items()
    ]
    return README.format(front_matter=card.to_yaml(), rows="\n".join(rows))


def _app(pinned: Mapping[str, str], machine: Hardware) -> str:
    shared = machine.is_shared_gpu
    return APP.format(
        first="import spaces  # before torch\n\n" if shared else "",
        names="link_models, paint_with" if shared else "link_models",
        models="\n".join(f'    "{name}": "{source}",' for name, source in pinned.items()),
        prepare=f"paint_with(spaces.GPU(duration={GPU_SECONDS}))\n" if shared else "",
    )


def _requirements(root: Path, machine: Hardware) -> list[str]:
    """What the package and steady films need, at the versions installed here; gradio is the SDK."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["video"], *extras["smooth"]]
    names = [line.partition(">=")[0] for line in needed]
    torch = f"=={_version('torch').partition('+')[0]}"
    lines = [line.format(torch) for line in machine.requirements]
    return [*lines, *(f"{name}=={_version(name)}" for name in names if name != "torch")]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError as error:
        raise InputError(f"{name} is not installed: pip install -e '.[app]'") from error


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
