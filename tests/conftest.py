"""What every test may ask for: public test data beside the checkout, and small pictures."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

# Before anything imports gradio or huggingface_hub.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_UPDATE_CHECK"] = "1"

import pytest
import torch
from torch import Tensor

from stylesr.picture import Picture, to_pil
from tests.hub_server import Hub, point_to, serving

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _folder(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs the test material of {folder}, which is not part of the repository")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Benchmark and odd pictures; a test that needs them is skipped where they are not."""
    return _folder("data")


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """Weights of perceptual networks; a test that needs them is skipped where they are not."""
    return _folder("weights")


@pytest.fixture
def noise() -> Callable[..., Tensor]:
    """`noise(*shape, seed=0)`: repeatable uniform values in [0, 1]."""

    def make(*shape: int, seed: int = 0) -> Tensor:
        return torch.rand(shape, generator=torch.Generator().manual_seed(seed))

    return make


@pytest.fixture
def scene() -> Callable[[int, int], Tensor]:
    """`scene(height, width)`: (3, H, W) with slopes, an edge and texture, like a small photo."""

    def make(height: int, width: int) -> Tensor:
        rows = torch.linspace(0, 1, height).view(-1, 1).expand(height, width)
        columns = torch.linspace(0, 1, width).expand(height, width)
        disc = ((rows - 0.5) ** 2 + (columns - 0.4) ** 2 < 0.06).float()
        waves = 0.5 + 0.2 * torch.sin(40 * columns + 9 * rows)
        return torch.stack([rows, 0.7 * disc + 0.3 * columns, waves]).clamp(0, 1)

    return make


@pytest.fixture
def photos(tmp_path: Path, scene: Callable[[int, int], Tensor]) -> Path:
    """A folder with two photos, one.png and two.png, whose sides are no multiples of four."""
    folder = tmp_path / "photos"
    folder.mkdir()
    to_pil(Picture(scene(66, 71))).save(folder / "one.png")
    to_pil(Picture(scene(51, 83).flip(1).contiguous())).save(folder / "two.png")
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small networks are slower with several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty Hub on this machine, to which huggingface_hub talks with an empty cache."""
    with serving() as hub:
        point_to(hub.url, tmp_path / "hf-cache", monkeypatch)
        yield hub


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub waits longer and longer before it tries again."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
