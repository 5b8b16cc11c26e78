"""What the project's own files promise each other."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
INSTALL = "python3 -m venv .venv && . .venv/bin/activate && pip install -r requirements.txt -e ."
PAGE = f"{INSTALL} && python app.py"
TESTS = f"{INSTALL} && ./check"


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pins() -> list[Requirement]:
    lines = text("requirements.txt").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def declared() -> list[Requirement]:
    """What the two commands need: everything but `video`, which nothing uses yet."""
    project = tomllib.loads(text("pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    lists = [project["dependencies"], *(extras[name] for name in ("app", "onnx", "train", "dev"))]
    return [Requirement(line) for lines in lists for line in lines]


@pytest.mark.parametrize("command", [PAGE, TESTS], ids=["page", "tests"])
def test_the_readme_gives_both_commands(command: str) -> None:
    assert command in text("README.md").splitlines()


def test_ci_ends_with_the_readmes_test_command() -> None:
    assert text(".ci/run").rstrip().splitlines()[-1] == TESTS


@pytest.mark.parametrize("name", ["check", ".ci/run"])
def test_scripts_can_be_run(name: str) -> None:
    assert (ROOT / name).stat().st_mode & 0o111


def test_every_requirement_is_pinned_once_to_one_plain_version() -> None:
    assert all(re.fullmatch(r"==[\d.]+", str(pin.specifier)) for pin in pins())
    assert not any(pin.url or pin.extras for pin in pins())
    names = [canonicalize_name(pin.name) for pin in pins()]
    assert len(names) == len(set(names))
    assert not [n for n in names if n.startswith(("nvidia", "torchvision", "stylesr"))]


@pytest.mark.parametrize("requirement", declared(), ids=lambda requirement: requirement.name)
def test_the_pinned_version_is_one_that_the_package_declares(requirement: Requirement) -> None:
    (pin,) = (p for p in pins() if canonicalize_name(p.name) == requirement.name)
    (version,) = pin.specifier
    assert requirement.specifier.contains(version.version)
    assert pin.marker is None


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_markers_hold_on_every_python_that_is_supported(python: str) -> None:
    """gradio needs audioop-lts where Python no longer brings audioop, and only there."""
    environment = {**default_environment(), "python_version": python}
    needed = {p.name for p in pins() if p.marker is None or p.marker.evaluate(environment)}
    assert ("audioop-lts" in needed) == (python == "3.13")


def test_the_changelog_has_a_place_for_what_comes_next() -> None:
    headings = [line for line in text("CHANGELOG.md").splitlines() if line.startswith("## ")]
    assert headings[0] == "## [Unreleased]"


def test_the_readme_lists_every_released_model() -> None:
    listed = re.findall(r"^\| \[([\w-]+)\]\(hub_cards/\1\)", text("README.md"), re.MULTILINE)
    assert sorted(listed) == sorted(
        path.parent.name for path in ROOT.glob("hub_cards/*/config.json")
    )
    assert listed[0] == "photo"
