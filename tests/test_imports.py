"""Imports point down, read from the sources: nothing is imported to test it."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Lowest first. A module may import those in lower layers, and a folder its own files.
LAYERS = [
    {"errors"},
    {"exif", "files", "hub", "memory", "picture", "profiles", "resample", "tiling"},
    {"deep", "dicom"},
    {"colors", "images", "npm", "publishing", "screen"},
    {"models", "motion", "smoothing"},
    {
        "blending",
        "checkpoints",
        "data",
        "discovery",
        "export",
        "loading",
        "losses",
        "passes",
        "releases",
    },
    {"metrics", "per_image"},
    {"pipeline"},
    {"importing", "jobs", "orders", "speed", "video"},
    {"fidelity"},
    {"previews"},
    {"live", "studio"},
    {"workshop"},
    {"page"},
    {"likeness", "storage"},
    {"evaluation"},
    {"plots"},
    {"cards", "training"},
    {"comparison"},
    {"sharing", "space", "static_space"},
    {"cli_hub", "cli_per_image"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

# What needs more than the package's own dependencies. Everything else works without any extra.
EXTRAS = {
    "app": "app",
    "train": "train",
    "stylesr.data.hub_datasets": "datasets",
    "stylesr.export": "onnx",
    "stylesr.live": "video",
    "stylesr.plots": "train",
    "stylesr.smoothing": "smooth",
    "stylesr.static_space": "onnx",
    "stylesr.training": "train",
    "stylesr.video": "video",
}
PAGE = "any_style batch compare create create_layout endpoints film hub_styles keeping parts"
EXTRAS |= {f"stylesr.page.{name}": "app" for name in PAGE.split()}


def sources() -> Iterator[tuple[str, Path]]:
    """Dotted name and path of each module: the package's, and those that import it."""
    for path in [*ROOT.glob("stylesr/**/*.py"), *ROOT.glob("train/*.py"), *ROOT.glob("app.py")]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


SOURCES = dict(sources())
PACKAGE = sorted(name for name in SOURCES if name.startswith("stylesr."))


def imports(name: str) -> set[str]:
    """Full names of all modules that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(SOURCES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: line {node.lineno} has a relative import"
            assert node.module is not None
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {m if m in SOURCES else node.module for m in members}
    return found


def part(name: str) -> str:
    """The package's file or folder to which a module belongs: stylesr.models.base → models."""
    return name.split(".")[1]


@pytest.mark.parametrize("name", PACKAGE)
def test_imports_point_down(name: str) -> None:
    assert part(name) in LEVEL, f"give {part(name)} a layer in LAYERS"
    ours = {other for other in imports(name) if other.split(".")[0] == "stylesr"}
    if name in ("stylesr.cli", "stylesr.importing", "stylesr.jobs", "stylesr.video"):
        ours.discard("stylesr")  # for its version
    for other in sorted(ours):
        assert other != "stylesr", f"{name} imports from the package's root: name the module"
        same_folder = part(other) == part(name)
        assert same_folder or LEVEL[part(other)] < LEVEL[part(name)], f"{name} imports {other}"


def test_errors_import_nothing() -> None:
    assert imports("stylesr.errors") == set()


def test_nothing_imports_the_programs() -> None:
    for name in SOURCES:
        for other in imports(name):
            assert other.split(".")[0] not in ("app", "train"), f"{name} imports {other}"
            assert other != "stylesr.cli", f"{name} imports {other}"


def test_every_layer_is_of_modules_that_exist() -> None:
    assert set(LEVEL) == {part(name) for name in PACKAGE}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_what_is_imported_is_declared(name: str) -> None:
    """A module outside EXTRAS imports the standard library and core dependencies only."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = set(map(distribution, project["dependencies"]))
    extra = EXTRAS.get(name) or EXTRAS.get(name.split(".")[0])
    if extra:
        declared |= set(map(distribution, project["optional-dependencies"][extra]))
    owners = packages_distributions()
    for other in sorted({i.split(".")[0] for i in imports(name)}):
        if other != "stylesr" and other not in sys.stdlib_module_names:
            names = {distribution(owner) for owner in owners.get(other, [other])}
            assert names & declared, f"{name} imports {other}, which is not among {declared}"


def test_torchvision_is_nowhere() -> None:
    for path in [*SOURCES.values(), *ROOT.glob("tests/**/*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not [n for n in names if n.split(".")[0] == "torchvision"], path


def distribution(requirement: str) -> str:
    """`Huggingface_Hub>=1.0` → `huggingface-hub`."""
    name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()
