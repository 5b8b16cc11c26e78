"""Pictures of a dataset: read through the library `datasets`, from folders made here."""

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylesr import training
from stylesr.data import hub_datasets
from stylesr.data.datasets import gather, load_folder
from stylesr.data.hub_datasets import hub_pictures
from stylesr.errors import InputError
from stylesr.models import ESPCN
from train.super_resolution import Recipe, main


@pytest.fixture
def dataset(tmp_path: Path) -> str:
    """Three pictures to train with and one to test, as the Hub lays them out."""
    pytest.importorskip("datasets", reason="needs the extra `datasets`")
    for split, names in (("train", "abc"), ("test", "d")):
        (tmp_path / "faces" / split).mkdir(parents=True)
        for seed, name in enumerate(names):
            pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "faces" / split / f"{name}.png")
    return f"hub:{tmp_path}/faces"


def test_pictures_of_a_split_are_those_of_the_files(dataset: str) -> None:
    files = Path(dataset.removeprefix("hub:"))
    read = list(hub_pictures(dataset))
    assert [data for _, data in read] == [
        (files / "train" / f"{name}.png").read_bytes() for name in "abc"
    ]
    assert [name for name, _ in read] == [f"{dataset}#{place}" for place in range(3)]
    ((_, data),) = hub_pictures(f"{dataset}:test")
    assert data == (files / "test" / "d.png").read_bytes()


def test_a_recipe_takes_a_dataset_where_it_takes_a_folder(dataset: str) -> None:
    folder = Path(dataset.removeprefix("hub:")) / "train"
    ours, theirs = gather([dataset], [], at_least=16), load_folder(folder, at_least=16)
    assert len(ours) == 3
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_run_is_trained_on_a_dataset(dataset: str, tmp_path: Path) -> None:
    words = f"--photos {dataset} --network espcn --config channels=8 --crop 16 --batch 2 --steps 1"
    out = tmp_path / "run"
    assert training.run(main, Recipe, None, [*words.split(), "--out", str(out)]) == 0
    ESPCN.from_pretrained(out / "model")
    words = words.replace(dataset, f"{dataset}:nothing")
    assert training.run(main, Recipe, None, [*words.split(), "--out", str(tmp_path / "no")]) == 2


def test_no_more_is_read_than_memory_holds(dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_datasets, "MOST", 2)
    assert len(load_folder(dataset, at_least=16)) == 2


def test_a_damaged_picture_is_named(dataset: str) -> None:
    (Path(dataset.removeprefix("hub:")) / "train" / "b.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"1 of 3 pictures .* cannot be read, for example .*#1"):
        load_folder(dataset, at_least=16)


def test_what_is_no_dataset_of_pictures_is_refused(dataset: str, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "train.csv").write_text("name,age\nAda,36\n")
    for source, message in (
        (f"hub:{tmp_path}/texts", "has no pictures, only name, age"),
        (f"{dataset}:nothing", "cannot be read: .*nothing"),
        (f"hub:{tmp_path}/missing", "cannot be read"),
        ("hub:", "a dataset is hub:user/name"),
    ):
        with pytest.raises(InputError, match=message):
            list(hub_pictures(source))


def test_without_the_library_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found: Callable[..., Any] = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name == "datasets":
            raise ImportError(name)
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InputError, match=r"pip install 'stylesr\[datasets\]'"):
        list(hub_pictures("hub:user/name"))
