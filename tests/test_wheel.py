"""The built wheel, installed away from this checkout, without the extras and without a network."""

import json
import os
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

import stylesr
from stylesr.hub import bundled_folder, bundled_names

ROOT = Path(__file__).parents[1]
RELEASED = ("README.md", "config.json", "metrics.json", "model.safetensors", "preview.webp")

# An environment with nothing but the core dependencies; a request to anywhere ends the run.
ALONE = """
import json, socket, sys

for name in ("accelerate", "av", "gradio", "matplotlib", "onnx", "pytest", "tensorboard"):
    sys.modules[name] = None

def refuse(*args):
    raise SystemExit(f"asked the network for {args}")

socket.socket.connect = socket.getaddrinfo = refuse
"""

ENLARGE = """
import stylesr
from PIL import Image

pipe = stylesr.StyleSRPipeline.from_pretrained("photo")
result = pipe(Image.linear_gradient("L").convert("RGB").crop((0, 0, 24, 16)), scale=2).images[0]
print(json.dumps({"file": stylesr.__file__, "size": result.size, "extrema": result.getextrema()}))
"""

COMMAND = """
from importlib.metadata import entry_points

sys.argv = ["stylesr", "models"]
sys.exit(entry_points(group="console_scripts")["stylesr"].load()())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    python("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    python("-m", "pip", "install", "--no-deps", "--no-index", "--target", folder, wheel)
    return folder


def python(*arguments: str | Path, cwd: Path | None = None, **environment: str | Path) -> str:
    """Run this Python; what it prints. A failure shows all that it said."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=os.environ | {name: str(value) for name, value in environment.items()},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alone(installed: Path, empty: Path, code: str) -> str:
    """Run code with the installed wheel, far from the checkout and from any cache."""
    environment = {"PYTHONPATH": installed, "HF_HUB_OFFLINE": "1", "HF_HOME": empty / "cache"}
    return python("-P", "-c", ALONE + code, cwd=empty, **environment)


def test_what_the_wheel_holds(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = f"stylesr-{stylesr.__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"stylesr", info}
    sources = {str(path.relative_to(ROOT)) for path in ROOT.glob("stylesr/**/*.py")}
    assert sources | {"stylesr/py.typed", f"{info}/licenses/LICENSE"} <= names
    kinds = {Path(name).suffix for name in names if name.startswith("stylesr/")}
    static = {f"stylesr/static/{path.name}" for path in ROOT.glob("stylesr/static/*")}
    assert static and static <= names
    kinds -= {Path(name).suffix for name in static} - {".js"}
    assert kinds == {".py", ".js", ".typed", *(Path(name).suffix for name in RELEASED)}


def test_the_wheel_is_the_same_each_time(wheel: Path, tmp_path: Path) -> None:
    python("-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT)
    (again,) = tmp_path.iterdir()
    assert again.read_bytes() == wheel.read_bytes()


def test_the_wheel_carries_every_released_model(wheel: Path) -> None:
    assert "photo" in bundled_names()
    expected = {f"stylesr/hub_cards/{name}/{file}" for name in bundled_names() for file in RELEASED}
    for plot in ("trade.webp", "front.webp"):
        found = bundled_folder().glob(f"*/{plot}")
        expected |= {f"stylesr/hub_cards/{path.parent.name}/{plot}" for path in found}
    for template in ("template.md", "template-any-style.md"):  # for cards of other people's styles
        expected.add(f"stylesr/hub_cards/{template}")
    with zipfile.ZipFile(wheel) as archive:
        assert {n for n in archive.namelist() if n.startswith("stylesr/hub_cards/")} == expected
        weights = archive.read("stylesr/hub_cards/photo/model.safetensors")
    assert weights == (bundled_folder() / "photo" / "model.safetensors").read_bytes()


def test_the_wheels_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = message_from_string(archive.read(name).decode())
    assert metadata["Version"] == stylesr.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    extras = {"app", "cluster", "datasets", "deep", "dev", "dicom"}
    extras |= {"heic", "onnx", "smooth", "train", "video"}
    assert set(metadata.get_all("Provides-Extra", [])) == extras


def test_the_installed_photo_model_enlarges_offline(installed: Path, tmp_path: Path) -> None:
    result = json.loads(alone(installed, tmp_path, ENLARGE))
    assert Path(result["file"]).is_relative_to(installed)
    assert result["size"] == [48, 32]
    assert all(low < high for low, high in result["extrema"])


def test_the_installed_command_lists_the_models(installed: Path, tmp_path: Path) -> None:
    listed = alone(installed, tmp_path, COMMAND)
    assert all(name in listed for name in bundled_names())
