import json
import threading
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from stylesr import hub, video
from stylesr import studio as studios
from stylesr.discovery import discover
from stylesr.errors import ImageError, InputError, ModelError
from stylesr.models import SRCNN, TransformerNet
from stylesr.orders import Batch, Choices, Painting, Sketch
from stylesr.pipeline import Progress, StyleSRPipeline
from stylesr.previews import CELL, PREVIEW_FILE, grid
from stylesr.studio import FILM_QUALITY, Studio
from stylesr.tiling import drain
from tests import tiny
from tests.hub_server import Hub
from tests.test_publishing import CARD


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
    return drain(studio.paint(photo, folder, chosen(**options)))


def chosen(**options: Any) -> Choices:
    return Choices(**{"style": "dots", "scale": 2, **options})


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
    steps = list(studio.paint(cat, tmp_path, chosen(scale=4, brush=2)))
    assert [step.done for step in steps] == [1, 2]
    assert all(step.total == 2 for step in steps)


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
    assert np.abs(before.astype(int) - (200, 100, 50)).max() <= 1  # it is a JPEG


def test_transparency_is_kept_in_the_file_and_shown_on_a_checkerboard(
    studio: Studio, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.png"
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(empty)
    painting = paint(studio, empty, tmp_path)
    assert (pixels(painting.file)[..., 3] == 0).all()
    for path in (painting.before, painting.after):
        shades = pixels(path)[[4, 4], [4, 20]].tolist()  # of two fields
        assert shades == [[179] * 3, [230] * 3]


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
    painting = paint(studio, photo, tmp_path, mix="waves", share=0.25, strength=0.5)
    for format in ("png", "webp", "jpeg"):
        file = studio.convert(painting, format)
        assert b"2020:01:02" not in file.read_bytes()
        assert b"compositeWithTrainedAlgorithmicMedia" in file.read_bytes()
        with Image.open(file) as image:
            assert image.getexif()[0x0131] == "stylesr"
            told = json.loads(image.getexif()[0x010E])
        weights = {"dots": 0.375, "waves": 0.125, "photo": 0.5}
        assert told["weights"] == weights and told["models"].keys() == weights.keys()
        assert (told["scale"], told["brush"], told["seed"]) == (2, 1, 0)


def test_other_formats_hold_the_same_pixels(studio: Studio, cat: Path, tmp_path: Path) -> None:
    painting = paint(studio, cat, tmp_path)
    assert studio.convert(painting, "png") == painting.file
    webp = studio.convert(painting, "webp")
    assert webp.name == "my-cat-1-dots-x2.webp"
    assert np.array_equal(pixels(webp), pixels(painting.file))
    assert pixels(studio.convert(painting, "jpeg")).shape == pixels(painting.file).shape
    with pytest.raises(InputError, match="png, webp or jpeg, got 'gif'"):
        studio.convert(painting, "gif")
    painting.file.unlink()
    webp.unlink()
    with pytest.raises(ImageError, match="not a file"):
        studio.convert(painting, "webp")


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
    with pytest.raises(InputError, match="120 × 90"):
        paint(small, save(tmp_path / "b.png", "RGB", (40, 30)), tmp_path, scale=3)


def test_measure_and_target_need_no_model(tmp_path: Path) -> None:
    studio = Studio(["no-such-model"], max_output_pixels=20_000)
    size = studio.measure(save(tmp_path / "a.png", "RGB", (40, 30)))
    assert size == (30, 40)
    assert studio.target(size, chosen(scale=4)) == (120, 160)
    with pytest.raises(InputError, match=r"40 × 30 at ×5 makes 200 × 150, more than 0.02 megapix"):
        studio.target(size, chosen(scale=5))


@pytest.mark.parametrize("width", [16, 39, 41, 97, 320])
def test_a_width_is_met_exactly(studio: Studio, cat: Path, tmp_path: Path, width: int) -> None:
    painting = paint(studio, cat, tmp_path, width=width)
    assert pixels(painting.file).shape == (int(width * 30 / 40 + 0.5), width, 3)
    assert painting.file.name == f"my-cat-1-dots-{width}px.png"


def test_a_width_out_of_range_is_refused(studio: Studio) -> None:
    for width in (15, 321, 100.5, True):
        with pytest.raises(InputError, match="width must be a whole number from 16 to 320"):
            studio.target((30, 40), chosen(width=width))


def test_a_mix_is_that_of_the_pipeline(studio: Studio, cat: Path, tmp_path: Path) -> None:
    painting = paint(studio, cat, tmp_path, mix="waves", share=0.3, strength=0.8)
    expected = studio.pipeline(cat, {"dots": 0.7, "waves": 0.3}, scale=2, strength=0.8).images[0]
    assert np.array_equal(pixels(painting.file), np.asarray(expected))
    assert painting.file.name == "my-cat-1-dots-waves-x2.png"
    alone = paint(studio, cat, tmp_path, mix="dots", share=0.3)
    assert alone.file.name == "my-cat-1-dots-x2.png"
    with pytest.raises(InputError, match="share must be a number from 0 to 1, got 2"):
        paint(studio, cat, tmp_path, mix="waves", share=2)


def test_detail_lies_between_the_photo_models(
    models: list[Path], cat: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "photo-vivid"
    tiny.restorer(tiny.photo(), 3).save_pretrained(folder)
    studio = Studio([*models, folder])
    assert studio.has_detail and studio.styles == ["dots", "waves"]
    painting = paint(studio, cat, tmp_path, style="photo", detail=0.4)
    expected = studio.pipeline(cat, "photo-vivid", scale=2, strength=0.4).images[0]
    assert np.array_equal(pixels(painting.file), np.asarray(expected))
    plain = paint(studio, cat, tmp_path, style="photo")
    assert not np.array_equal(pixels(plain.file), np.asarray(expected))


def test_a_chain_is_that_of_the_pipeline(models: list[Path], cat: Path, tmp_path: Path) -> None:
    SRCNN(channels=4, scale=2).save_pretrained(tmp_path / "srcnn")
    studio = Studio([*models, tmp_path / "srcnn"])
    assert studio.enlargers == ["srcnn"] and studio.styles == ["dots", "waves"]
    painting = paint(studio, cat, tmp_path, enlarger="srcnn")
    expected = studio.pipeline(cat, style="dots", scale=2, enlarger="srcnn").images[0]
    assert np.array_equal(pixels(painting.file), np.asarray(expected))
    assert painting.file.name == "my-cat-1-dots-srcnn-x2.png"
    told = json.loads(painting.metadata["Description"])
    assert told["enlarger"] == "srcnn" and list(told["models"]) == ["dots", "srcnn"]
    choices = chosen(enlarger="srcnn")
    assert studio.estimate((30, 40), choices) > 0, "its own rate is known, the other's measured"
    in_one = paint(studio, cat, tmp_path)
    shown = drain(studio.compare(cat, tmp_path, choices, "dots"))
    assert shown.read_bytes() == in_one.after.read_bytes(), "other ways work in one pass"
    alone = paint(studio, cat, tmp_path, style="photo", enlarger="srcnn")
    assert "enlarger" not in json.loads(alone.metadata["Description"])


def test_a_network_that_keeps_the_size_is_a_style(
    models: list[Path], cat: Path, tmp_path: Path
) -> None:
    TransformerNet(channels=4, blocks=1).save_pretrained(tmp_path / "udnie")
    studio = Studio([*models, tmp_path / "udnie"])
    assert studio.enlargers == [] and studio.styles[-1] == "udnie"
    assert studio.mixable == studio.styles[:-1]
    painting = paint(studio, cat, tmp_path, style="udnie")
    expected = studio.pipeline(cat, style="udnie", scale=2).images[0]
    assert np.array_equal(pixels(painting.file), np.asarray(expected))


def test_detail_needs_its_model(studio: Studio) -> None:
    assert not studio.has_detail
    with pytest.raises(InputError, match="no model 'photo-vivid', take 0"):
        studio.options((30, 40), chosen(style="photo", detail=0.5))


# -- before, beside and after the work --------------------------------------------------------


def test_the_estimate_grows_with_the_work_and_learns(studio: Studio, cat: Path) -> None:
    small, large = (studio.estimate((100, 100), chosen(scale=scale)) for scale in (1, 4))
    assert 0 < small < large
    slower = Studio(studio.models)
    slower.rates = {name: 10 * rate for name, rate in studio.rates.items()}
    assert slower.estimate((100, 100), chosen(scale=4)) == pytest.approx(10 * large)


def test_a_large_picture_begins_with_a_sketch(studio: Studio, tmp_path: Path) -> None:
    photo = save(tmp_path / "large.png", "RGB", (400, 320))
    steps = list(studio.paint(photo, tmp_path, chosen(scale=4)))
    assert [type(step) for step in steps][:2] == [Sketch, Progress]
    assert not any(isinstance(step, Sketch) for step in steps[1:])
    assert isinstance(steps[0], Sketch)
    assert pixels(steps[0].before).shape == pixels(steps[0].after).shape == (410, 512, 3)


def test_work_that_takes_too_long_is_given_up(
    models: list[Path], cat: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="given up after 0 seconds, with 1 of 2 tiles done"):
        paint(Studio(models, max_seconds=0), cat, tmp_path, brush=2)


def test_a_comparison_shows_any_other_way(studio: Studio, cat: Path, tmp_path: Path) -> None:
    choices = chosen(strength=0.5, mix="waves", share=0.5)
    shown = paint(studio, cat, tmp_path, strength=0.5, mix="waves", share=0.5)
    for other in ("bicubic", "photo", "waves", "two-stages"):
        result = pixels(drain(studio.compare(cat, tmp_path, choices, other)))
        assert result.shape == pixels(shown.after).shape
        assert not np.array_equal(result, pixels(shown.after))
    assert (tmp_path / "bicubic.jpg").read_bytes() == shown.before.read_bytes()
    waves = paint(studio, cat, tmp_path, style="waves", strength=0.5)
    assert (tmp_path / "waves.jpg").read_bytes() == waves.after.read_bytes()


# -- several ----------------------------------------------------------------------------------


def test_panels_enlarge_one_photo_in_every_way(studio: Studio, cat: Path, tmp_path: Path) -> None:
    panels = list(studio.panels(cat, tmp_path, ["bicubic", "photo", "dots"], scale=4))
    assert [(p.name, p.width, p.height, p.psnr) for p in panels] == [
        (name, 160, 120, None) for name in ("bicubic", "photo", "dots")
    ]
    expected = studio.pipeline(cat, style="dots", scale=4).images[0]
    assert np.array_equal(pixels(panels[2].file), np.asarray(expected))
    with pytest.raises(InputError, match="scale is 1, 2 or 4, got 3"):
        list(studio.panels(cat, tmp_path, ["photo"], scale=3))


def test_panels_are_measured_against_an_original(studio: Studio, tmp_path: Path) -> None:
    photo = save(tmp_path / "photo.png", "RGB", (1000, 401))
    (panel,) = studio.panels(photo, tmp_path, ["bicubic"], scale=4, original=True)
    assert (panel.width, panel.height) == (768, 308)
    assert panel.psnr is not None and 5 < panel.psnr < 25  # noise
    flat = tmp_path / "flat.png"
    Image.new("RGB", (64, 64), (9, 90, 200)).save(flat)
    (panel,) = studio.panels(flat, tmp_path, ["bicubic"], scale=2, original=True)
    assert panel.psnr == float("inf")


def test_a_batch_is_one_zip_file_and_tells_what_failed(
    studio: Studio, cat: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    other = save(tmp_path / "other", "RGB", (16, 16), format="PNG")
    folder = tmp_path / "out"
    folder.mkdir()
    work = studio.batch([cat, bad, cat, other], folder, chosen())
    steps: list[Progress] = []
    batch: Batch = drain(work, steps.append)
    assert [(step.done, step.total) for step in steps] == [(1, 4), (3, 4), (4, 4)]
    assert batch.painted == 3
    assert batch.failed == (("bad.png", "'bad.png' is not a JPEG, PNG, WebP, TIFF or BMP picture"),)
    assert batch.file is not None
    with zipfile.ZipFile(batch.file) as archive:
        names = [
            f"0{n}-{name}-dots-x2.png" for n, name in enumerate(["my-cat-1"] * 2 + ["other"], 1)
        ]
        assert archive.namelist() == names
        data = archive.read(names[1])
    expected = studio.pipeline(cat, style="dots", scale=2).images[0]
    assert np.array_equal(np.asarray(Image.open(BytesIO(data))), np.asarray(expected))


def test_a_batch_is_limited(models: list[Path], cat: Path, tmp_path: Path) -> None:
    studio = Studio(models, max_batch=2, max_output_pixels=5000)
    assert studio.check_batch([cat], chosen()) == 0.0048
    with pytest.raises(InputError, match="3 pictures; at least 1, at most 2"):
        studio.check_batch([cat] * 3, chosen())
    with pytest.raises(InputError, match=r"make 0\.0 megapixels, more than 0\.005"):
        studio.check_batch([cat] * 2, chosen())


def test_target_refuses_what_the_pipeline_refuses(studio: Studio, models: list[Path]) -> None:
    limited = Studio(models, max_output_pixels=10_000)
    for size in [(100, 100), (100, 101)]:
        results = []
        for check in (limited.target, lambda s, c: limited.pipeline.plan(s, scale=c.scale)):
            try:
                check(size, chosen(scale=1))
                results.append("accepted")
            except InputError:
                results.append("refused")
        assert results[0] == results[1]


def test_closing_stops_the_work(studio: Studio, cat: Path, tmp_path: Path) -> None:
    work = studio.paint(cat, tmp_path, chosen(scale=4, brush=2))
    next(work)
    work.close()
    assert [path.name for path in tmp_path.iterdir()] == [cat.name]


# -- films ------------------------------------------------------------------------------------


def test_a_film_is_cut_to_what_is_allowed(models: list[Path], tmp_path: Path) -> None:
    studio = Studio(models, max_output_pixels=480 * 240 * 6 + 5)
    clip = pan(tmp_path / "my clip.mkv", frames=9)
    steps: list[Progress] = []
    footage = drain(studio.film(clip, tmp_path, chosen(color="photo"), 480), steps.append)
    assert [(step.done, step.total) for step in steps] == [(n, 6) for n in range(1, 7)]
    assert footage.file == tmp_path / "my-clip-dots.mp4"
    assert (footage.height, footage.width, footage.frames) == (240, 480, 6)
    assert footage.length == pytest.approx(0.6) and not footage.whole
    with av.open(str(footage.file)) as film:
        assert "compositeWithTrainedAlgorithmicMedia" in film.metadata["comment"]
        assert json.loads(film.metadata["description"])["weights"] == {"dots": 1}
    whole = drain(Studio(models).film(clip, tmp_path, chosen(), 480))
    assert whole.frames == 9 and whole.whole


def test_steady_strokes_are_averaged_along_the_motion(models: list[Path], tmp_path: Path) -> None:
    clip = pan(tmp_path / "clip.mkv", frames=4)
    studio, files = Studio(models), []
    assert studio.can_steady
    for steady in (False, True):
        folder = tmp_path / str(steady)
        folder.mkdir()
        files.append(drain(studio.film(clip, folder, chosen(), 480, steady=steady)).file)
    options: dict[str, Any] = {"scale": 6, "quality": FILM_QUALITY, "bits": 8, "smooth": 0.7}
    mark = {"comment": "", "description": ""}
    expected = tmp_path / "expected.mp4"
    list(video.enhance(studio.pipeline, clip, expected, style="dots", metadata=mark, **options))
    plain, steadied, wanted = (
        np.stack([f.to_ndarray() for f in av.open(str(p)).decode(video=0)]).astype(float)
        for p in (*files, expected)
    )
    # Not equal to the bit: of the same pixels, x264 does not always make the same film.
    assert np.abs(steadied - wanted).mean() < 0.5 * np.abs(plain - wanted).mean()


def test_a_film_of_another_size_is_refused(studio: Studio, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="side is one of 480, 640, 960, got 500"):
        drain(studio.film(pan(tmp_path / "a.mp4"), tmp_path, chosen(), 500))


def pan(path: Path, frames: int = 2) -> Path:
    """A clip of 80 × 40 pixels, ten frames a second, in which noise moves."""
    values = np.random.default_rng(0).integers(0, 256, (40, 200, 3), dtype=np.uint8)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", 10)
        stream.height, stream.width, stream.pix_fmt = 40, 80, "yuv420p"
        for n in range(frames):
            pixels = np.ascontiguousarray(values[:, 4 * n : 4 * n + 80])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        out.mux(stream.encode(None))
    return path


def test_thumbnails_are_squares_painted_by_each_model(studio: Studio, cat: Path) -> None:
    thumbnails = {studio.thumbnail(cat, name) for name in studio.names}
    assert len(thumbnails) == 3
    for data in thumbnails:
        assert Image.open(BytesIO(data)).size == (160, 160)


def test_thumbnails_come_from_previews_where_there_are_some(models: list[Path]) -> None:
    for place, model in enumerate(models):
        cells = [Image.new("RGB", CELL, color) for color in ("red", "lime", "blue")]
        titles = ["a", "b", "c"] if place else ["a", "b"]  # another layout than `draw`'s
        grid([cells[: len(titles)]], titles).save(model / PREVIEW_FILE)
    samples = Studio(models).samples
    assert list(samples) == [model.name for model in models[1:]]
    for data in samples.values():
        with Image.open(BytesIO(data)) as image:
            red, green, blue = image.convert("RGB").getpixel((80, 80))
            assert image.size == (160, 160) and blue > 200 > 60 > max(red, green)
    grid([cells], ["a", "b", "c"]).save(models[0] / PREVIEW_FILE)
    with Image.open(BytesIO(Studio(models).samples[models[0].name])) as image:
        assert image.convert("RGB").getpixel((80, 80))[1] > 200  # the original is last


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


# -- styles of the Hub ----------------------------------------------------------------------------


def publish(the_hub: Hub, repo_id: str, net: Any, folder: Path) -> None:
    net.save_pretrained(folder)
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    the_hub.add(repo_id, folder)


def test_a_style_of_the_hub_is_loaded_once_and_painted(
    the_hub: Hub,
    models: list[Path],
    cat: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = tiny.style(tiny.photo(), 7)
    publish(the_hub, "you/lines", net, tmp_path / "lines")
    (found,) = discover()
    studio, loaded = Studio(models[:1]), []
    load = studios.load
    monkeypatch.setattr(studios, "load", lambda found: loaded.append(found) or load(found))
    for _ in range(2):
        done = drain(studio.paint_found(found, cat, tmp_path, chosen(style="lines")))
    expected = StyleSRPipeline(tiny.photo(), {"lines": net})(cat, scale=2).images[0]
    assert np.array_equal(pixels(done.file), np.asarray(expected))
    assert done.file.name == "my-cat-1-lines-x2.png"
    assert loaded == [found]
    assert "lines" not in studio.names


def test_a_style_of_the_hub_from_another_base_is_refused(
    the_hub: Hub, models: list[Path], cat: Path, tmp_path: Path
) -> None:
    publish(the_hub, "you/lines", tiny.style(tiny.photo(9), 7), tmp_path / "lines")
    (found,) = discover()
    with pytest.raises(ModelError, match="style 'lines' was trained from"):
        drain(Studio(models).paint_found(found, cat, tmp_path, chosen(style="lines")))
