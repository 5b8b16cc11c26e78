import threading
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylesr import hub
from stylesr.errors import ImageError, InputError, ModelError
from stylesr.pipeline import StyleSRPipeline
from stylesr.studio import Painting, Studio
from stylesr.tiling import drain
from tests import tiny


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    photo = tiny.photo()
    nets = {"photo": photo, "dots": tiny.style(photo, 1), "waves": tiny.style(photo, 2)}
    for name, net in nets.items():
        net.save_pretrained(folder / name)
    return [folder / name for name in nets]


@pytest.fixture(scope="module")
def studio(models: list[Path]) -> Studio:
    return Studio(models)


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    return save(tmp_path / "my cat (1).jpg", "RGB", (40, 30))


def save(path: Path, mode: str, size: tuple[int, int], **options: Any) -> Path:
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    Image.fromarray(values).convert(mode).save(path, **options)
    return path


def paint(studio: Studio, photo: Path, folder: Path, **options: Any) -> Painting:
    return drain(studio.paint(photo, folder, **{"style": "dots", "scale": 2, **options}))


def pixels(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as image:
        return np.asarray(image)


def test_the_file_holds_the_pipelines_pixels(studio: Studio, cat: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"strength": 0.5, "brush": 2, "color": "photo", "seed": 3}
    painting = paint(studio, cat, tmp_path, **options)
    expected = studio.pipeline(cat, style="dots", scale=2, **options).images[0]
    assert np.array_equal(pixels(painting.file), np.asarray(expected))
    assert (painting.height, painting.width) == (60, 80)
    assert painting.seconds > 0


@pytest.mark.parametrize(
    ("style", "scale", "name"),
    [("dots", 2, "my-cat-1-dots-x2.png"), ("photo", 4, "my-cat-1-x4.png")],
)
def test_the_file_is_named_after_photo_style_and_factor(
    studio: Studio, cat: Path, tmp_path: Path, style: str, scale: int, name: str
) -> None:
    assert paint(studio, cat, tmp_path, style=style, scale=scale).file == tmp_path / name


def test_progress_counts_all_tiles(studio: Studio, cat: Path, tmp_path: Path) -> None:
    steps = list(studio.paint(cat, tmp_path, style="dots", scale=4, tile_size=64))
    assert [step.done for step in steps] == list(range(1, steps[0].total + 1))
    assert len(steps) > 1


def test_what_is_compared_has_one_size_and_is_reduced_for_the_screen(
    studio: Studio, tmp_path: Path
) -> None:
    wide = save(tmp_path / "wide.png", "RGB", (1100, 8))
    painting = paint(studio, wide, tmp_path)
    assert painting.width == 2200
    assert pixels(painting.before).shape == pixels(painting.after).shape == (15, 2048, 3)


def test_before_is_the_photo_enlarged(studio: Studio, tmp_path: Path) -> None:
    flat = tmp_path / "flat.png"
    Image.new("RGB", (20, 10), (200, 100, 50)).save(flat)
    before = pixels(paint(studio, flat, tmp_path).before)
    assert before.shape == (20, 40, 3)
    assert (before == (200, 100, 50)).all()


def test_transparency_is_kept_in_the_file_and_shown_on_a_checkerboard(
    studio: Studio, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.png"
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(empty)
    painting = paint(studio, empty, tmp_path)
    assert (pixels(painting.file)[..., 3] == 0).all()
    for path in (painting.before, painting.after):
        assert set(np.unique(pixels(path)).tolist()) == {179, 230}


def test_deep_gray_keeps_its_bits_in_the_file_alone(studio: Studio, tmp_path: Path) -> None:
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((12, 16), 12345, dtype=np.uint16)).save(deep)
    painting = paint(studio, deep, tmp_path, style="photo")
    assert pixels(painting.file).dtype == np.uint16
    assert pixels(painting.after).dtype == pixels(painting.before).dtype == np.uint8


def test_the_uploads_metadata_is_left_out_and_the_model_named(
    studio: Studio, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0132] = "2020:01:02 03:04:05"
    exif[0x8825] = {1: "N"}
    photo = save(tmp_path / "dated.jpg", "RGB", (16, 16), exif=exif)
    data = paint(studio, photo, tmp_path).file.read_bytes()
    assert b"2020:01:02" not in data
    assert b"compositeWithTrainedAlgorithmicMedia" in data


def test_notices_come_along(studio: Studio, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    path = tmp_path / "frames.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert paint(studio, path, tmp_path).notices == ("first of 2 frames used",)


def test_what_is_too_large_is_refused_before_it_is_decoded(
    models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Studio(models, max_input_pixels=1200, max_output_pixels=4800)
    monkeypatch.setattr("stylesr.studio.decode", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(ImageError, match=r"41×30 = 1,230 pixels; at most 1,200"):
        paint(small, save(tmp_path / "a.png", "RGB", (41, 30)), tmp_path)
    with pytest.raises(InputError, match="120×90"):
        paint(small, save(tmp_path / "b.png", "RGB", (40, 30)), tmp_path, scale=3)


def test_measure_and_target_need_no_model(tmp_path: Path) -> None:
    studio = Studio(["no-such-model"], max_output_pixels=20_000)
    size = studio.measure(save(tmp_path / "a.png", "RGB", (40, 30)))
    assert size == (30, 40)
    assert studio.target(size, 4) == (120, 160)
    with pytest.raises(InputError, match=r"40 × 30 at ×5 makes 200 × 150, more than 0.02 megapix"):
        studio.target(size, 5)


def test_target_refuses_what_the_pipeline_refuses(studio: Studio, models: list[Path]) -> None:
    limited = Studio(models, max_output_pixels=10_000)
    for size in [(100, 100), (100, 101)]:
        results = []
        for check in (limited.target, lambda s, f: limited.pipeline.plan(s, scale=f)):
            try:
                check(size, 1)
                results.append("accepted")
            except InputError:
                results.append("refused")
        assert results[0] == results[1]


def test_closing_stops_the_work(studio: Studio, cat: Path, tmp_path: Path) -> None:
    work = studio.paint(cat, tmp_path, style="dots", scale=4, tile_size=64)
    next(work)
    work.close()
    assert [path.name for path in tmp_path.iterdir()] == [cat.name]


def test_thumbnails_are_squares_painted_by_each_model(studio: Studio, cat: Path) -> None:
    thumbnails = studio.thumbnails(cat)
    assert list(thumbnails) == ["photo", "dots", "waves"]
    assert len(set(thumbnails.values())) == 3
    for data in thumbnails.values():
        assert Image.open(BytesIO(data)).size == (192, 192)


def test_models_are_loaded_once_by_whichever_thread_comes_first(
    models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    load = StyleSRPipeline.from_pretrained
    monkeypatch.setattr(
        StyleSRPipeline, "from_pretrained", lambda *a, **k: calls.append(a) or load(*a, **k)
    )
    studio = Studio(models)
    assert not calls
    threads = [threading.Thread(target=lambda: studio.pipeline) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_without_models_it_says_where_they_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "bundled_folder", lambda: tmp_path)
    monkeypatch.setattr("stylesr.studio.bundled_folder", lambda: tmp_path)
    with pytest.raises(ModelError, match=tmp_path.name):
        Studio()
