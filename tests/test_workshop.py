"""The studio's second process; it takes seconds to start, so that one test tells its life."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from inspect import isgeneratorfunction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylesr import workshop
from stylesr.errors import ImageError, InputError
from stylesr.orders import Choices, Painting
from stylesr.studio import Studio
from stylesr.tiling import drain
from stylesr.workshop import Workshop, open_studio
from tests import tiny

CHOICES = Choices("dots", scale=4, brush=2)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    photo = tiny.photo()
    for name, net in {"photo": photo, "dots": tiny.style(photo, 1)}.items():
        net.save_pretrained(folder / name)
    return [folder / "photo", folder / "dots"]


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    path = tmp_path / "cat.png"
    values = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path


def is_as_painted(painting: Painting, studio: Studio, photo: Path) -> bool:
    expected = studio.pipeline(photo, "dots", scale=4, brush=2).images[0]
    with Image.open(painting.file) as image:
        return np.array_equal(np.asarray(image), np.asarray(expected))


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
def test_a_process_works_stops_dies_and_is_replaced(
    models: list[Path], cat: Path, tmp_path: Path
) -> None:
    shop = Workshop(models, max_output_pixels=50_000)
    assert shop.process is None  # nothing starts before the first job
    assert is_as_painted(drain(shop.paint(cat, tmp_path, CHOICES)), shop, cat)
    assert shop.rates["compute"] > 0  # measured there, known here
    first = shop.process

    with pytest.raises(InputError, match=r"more than 0\.05 megapixels"):
        drain(shop.paint(cat, tmp_path, Choices("dots", scale=8)))
    with pytest.raises(ImageError, match="not a file"):
        shop.thumbnail(tmp_path / "nothing.png", "dots")

    stopped = shop.paint(cat, tmp_path, CHOICES)
    next(stopped)
    stopped.close()
    panels = list(shop.panels(cat, tmp_path, ["bicubic", "dots"], scale=2))
    assert [panel.name for panel in panels] == ["bicubic", "dots"]
    assert shop.process == first  # it is still the same one

    dying = shop.paint(cat, tmp_path, CHOICES)
    next(dying)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    with pytest.raises(InputError, match="ended unexpectedly"):
        drain(dying)

    shop.max_jobs = 1
    assert is_as_painted(drain(shop.paint(cat, tmp_path, CHOICES)), shop, cat)
    assert shop.process is None  # replaced after its last job

    shop.patience = 0
    with pytest.raises(InputError, match="no progress for 0 seconds"):
        drain(shop.paint(cat, tmp_path, CHOICES))
    assert shop.process is None
    shop.close()


@pytest.fixture
def spaces(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Stands in for the package of that name: generators lose their value, as on the platform."""
    calls: list[Any] = []

    def lend(duration: int) -> Callable[..., Any]:
        def decorate(fn: Callable[..., Any]) -> Callable[..., Any]:
            assert isgeneratorfunction(fn)

            def run(*args: Any, **options: Any) -> Iterator[Any]:
                calls.append((duration, args[1:]))
                for step in fn(*args, **options):  # noqa: UP028 - `yield from` would keep it
                    yield step

            return run

        return decorate

    module = ModuleType("spaces")
    module.GPU = lend  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spaces", module)
    monkeypatch.setattr(workshop, "find_spec", lambda name: name == "spaces" or None)
    yield calls


def test_on_zero_gpu_each_job_borrows_a_gpu(
    spaces: list[Any], models: list[Path], cat: Path, tmp_path: Path
) -> None:
    studio = open_studio(models=models)
    painting = drain(studio.paint(cat, tmp_path, CHOICES))
    assert is_as_painted(painting, Studio(models), cat)
    assert studio.thumbnail(cat, "dots")[:4] == b"RIFF"
    assert studio.rates["compute"] > 0
    assert spaces == [
        (60, ("paint", cat, tmp_path, CHOICES)),
        (60, ("thumbnail", cat, "dots")),
    ]


def test_elsewhere_it_is_a_process(models: list[Path]) -> None:
    assert isinstance(open_studio(models=models), Workshop)
