"""Measuring, `metrics.json` and the pictures drawn beside it."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageColor, ImageOps
from torch import Tensor

from stylesr import evaluation, previews, releases
from stylesr.errors import InputError, ModelError
from stylesr.evaluation import Inputs, Report
from stylesr.hub import bundled_folder, bundled_names
from stylesr.metrics import psnr_y
from stylesr.models import ESPCN, CompactNet, Generator, StyleSRNet, TransformerNet
from stylesr.picture import Picture, to_pil
from stylesr.pipeline import StyleSRPipeline
from stylesr.speed import time_ratio
from tests import tiny
from train import drawings

Scene = Callable[[int, int], Tensor]

pytestmark = pytest.mark.usefixtures("one_thread")

RELEASES = """
[held_out]
name = "holiday photos"
url = "https://example.org/photos"
licence = "CC0-1.0"

[data.mine]
name = "my photos"
url = "https://example.org/mine"
licence = "CC BY 4.0"

[models.photo]
description = "Enlarges."
data = ["mine"]
preview = ["one", "two"]
[models.photo.effort]
hardware = "a laptop"
hours = 2.5
watts = 40

[models.dots]
description = "Paints dots."
data = ["mine"]
preview = ["two"]
[models.dots.work]
artist = "A. Painter"
title = "Dots"
year = "1900"
image = "dots.png"
provenance = "her studio"
licence = "public domain"
"""


@pytest.fixture
def pipe() -> StyleSRPipeline:
    photo = tiny.photo()
    pipeline = StyleSRPipeline(photo, {"dots": tiny.style(photo, 1)})
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Folders of a base, and of a style and a photo model that name it."""
    photo = tiny.photo()
    photo.save_pretrained(tmp_path / "photo")
    tiny.style(photo, 1, name=str(tmp_path / "photo")).save_pretrained(tmp_path / "dots")
    tiny.restorer(photo, 2, name=str(tmp_path / "photo")).save_pretrained(tmp_path / "vivid")
    return tmp_path


@pytest.fixture
def words(tmp_path: Path) -> releases.Releases:
    path = tmp_path / "releases.toml"
    path.write_text(RELEASES)
    return releases.load(path)


# -- the whole ------------------------------------------------------------------------------------


def test_what_is_not_given_is_not_measured(models: Path) -> None:
    report = evaluation.measure(str(models / "photo"), Inputs())
    net = StyleSRNet.from_pretrained(models / "photo")
    assert report == Report(net.fingerprint(), sum(p.numel() for p in net.parameters()), {}, [])


def test_a_photo_model_is_measured_on_the_benchmarks_that_are_there(
    models: Path, photos: Path
) -> None:
    photos.rename(models / "Set14")
    report = evaluation.measure(str(models / "photo"), Inputs(benchmarks=models))
    assert [(r["dataset"], r["scale"]) for r in report.results] == [("Set14", 2), ("Set14", 4)]
    assert list(report.protocol) == ["super-resolution"]
    assert evaluation.measure(str(models / "dots"), Inputs(benchmarks=models)).results == []


def test_a_network_of_one_factor_is_measured_at_it(models: Path, photos: Path) -> None:
    photos.rename(models / "Set5")
    net = ESPCN(4, scale=2)
    net.save_pretrained(models / "espcn")
    report = evaluation.measure(str(models / "espcn"), Inputs(benchmarks=models, speed=True))
    assert [(r["task"], r["scale"]) for r in report.results] == [("super-resolution", 2)]
    assert report.weights_sha256 == net.fingerprint()


def test_a_photo_model_with_a_base_is_measured_as_one(
    models: Path, photos: Path, words: releases.Releases
) -> None:
    photos.rename(models / "BSD100")
    Image.new("RGB", (64, 64)).save(models / "dots.png")
    report = evaluation.measure(str(models / "vivid"), Inputs(benchmarks=models), words)
    assert [(r["task"], r["scale"], r.get("strength")) for r in report.results] == [
        ("super-resolution", 2, None),
        ("super-resolution", 4, None),
        ("blind super-resolution", 4, None),
        *[("interpolation", 4, strength) for strength in (1, 0.75, 0.5, 0.25, 0)],
    ]
    assert list(report.protocol) == ["super-resolution", "blind super-resolution", "interpolation"]
    assert len(report.rows("interpolation", "super-resolution")) == 7


def test_a_peer_is_named_by_its_file(models: Path, photos: Path, tmp_path: Path) -> None:
    photos.rename(models / "Set5")
    net = CompactNet(channels=4, convolutions=1)
    torch.save({"params": net.state_dict()}, tmp_path / "small-x4.pth")
    given = Inputs(benchmarks=models, peer=tmp_path / "small-x4.pth")
    rows = evaluation.measure(str(models / "photo"), given).results
    assert [row.get("peer") for row in rows] == [None, "small-x4"]
    hr = [evaluation.hr_picture(path) for path in sorted((models / "Set5").iterdir())]
    with torch.inference_mode():
        results = [net(evaluation.low_resolution(x, 4).pixels[None])[0] for x in hr]
    expected = [psnr_y(a, b.pixels, 4) for a, b in zip(results, hr, strict=True)]
    assert rows[1]["peer_psnr_y"] == pytest.approx(sum(expected) / 2, abs=1e-4)


def test_a_peer_that_does_not_enlarge_by_2_or_4_is_refused(
    models: Path, photos: Path, tmp_path: Path
) -> None:
    photos.rename(models / "Set5")
    net = CompactNet(channels=4, convolutions=1, scale=3)
    torch.save({"params": net.state_dict()}, tmp_path / "x3.pth")
    with pytest.raises(InputError, match=r"x3.pth enlarges by \(3,\), a peer by 2 or 4"):
        given = Inputs(benchmarks=models, peer=tmp_path / "x3.pth")
        evaluation.measure(str(models / "photo"), given)


def test_a_folder_without_benchmarks_is_refused(models: Path) -> None:
    with pytest.raises(InputError, match="none of the folders Set5"):
        evaluation.measure(str(models / "photo"), Inputs(benchmarks=models))


def test_a_style_is_measured_against_its_work(
    models: Path, photos: Path, words: releases.Releases, shared_weights: Path
) -> None:
    Image.radial_gradient("L").convert("RGB").save(models / "dots.png")
    inputs = Inputs(
        photos=photos,
        paintings=models,
        vgg=shared_weights / "vgg19-distilled-16x.safetensors",
        squeezenet=shared_weights / "squeezenet1_1-features.safetensors",
    )
    report = evaluation.measure(str(models / "dots"), inputs, words)
    assert [(r["features"], r["strength"]) for r in report.results] == [
        ("VGG-19 (distilled)", 1.0),
        ("VGG-19 (distilled)", 0.5),
        ("SqueezeNet 1.1", 1.0),
        ("SqueezeNet 1.1", 0.5),
    ]
    assert {row["dataset"] for row in report.results} == {"holiday photos"}
    assert evaluation.measure(str(models / "photo"), inputs, words).results == []


@pytest.mark.parametrize(
    "inputs",
    [
        {"lpips": "heads"},
        {"peer": "file"},
        {"paintings": "here", "vgg": "file"},
        {"paintings": "here", "photos": "there"},
    ],
)
def test_inputs_that_miss_their_companions_are_refused(inputs: dict[str, str]) -> None:
    with pytest.raises(InputError, match="need"):
        Inputs(**inputs)


def row(dataset: str, psnr: float, task: str = "super-resolution") -> evaluation.Row:
    return {"task": task, "dataset": dataset, "scale": 4, "pictures": 5, "psnr_y": psnr}


def report(*rows: evaluation.Row, weights: str = "abc") -> Report:
    return Report(weights, 1000, evaluation._protocol(rows), list(rows))


def test_new_figures_replace_old_ones_and_the_rest_stays() -> None:
    old = report(row("Set5", 30.0), row("BSD100", 26.0))
    both = evaluation.merged(old, report(row("Set5", 31.0), row("Set14", 28.0)))
    assert [(r["dataset"], r["psnr_y"]) for r in both.results] == [
        ("Set5", 31.0),
        ("Set14", 28.0),
        ("BSD100", 26.0),
    ]


def test_figures_that_a_new_row_lacks_stay() -> None:
    old = report({**row("Set5", 30.0), "lpips": 0.2, "peer": "a", "peer_psnr_y": 29.0})
    both = evaluation.merged(old, report(row("Set5", 30.0)))
    assert both.results == old.results
    more = report({**row("Set5", 30.0), "peer": "b", "peer_psnr_y": 28.0})
    assert evaluation.merged(old, more).results == more.results  # nothing of another peer's
    fewer = report({**row("Set5", 30.0), "pictures": 4})
    assert evaluation.merged(old, fewer).results == fewer.results


def test_clean_and_bad_pictures_and_strengths_are_different_results() -> None:
    kinds = [
        row("BSD100", 26.0),
        row("BSD100", 24.0, task="blind super-resolution"),
        {**row("BSD100", 25.0, task="interpolation"), "strength": 0.5},
        {**row("BSD100", 25.5, task="interpolation"), "strength": 0.25},
    ]
    found = report()
    for each in kinds:
        found = evaluation.merged(found, report(each))
    assert found.results == kinds


def test_figures_of_other_weights_or_another_protocol_are_dropped() -> None:
    new = report(row("Set14", 28.0))
    assert evaluation.merged(report(row("Set5", 30.0), weights="xyz"), new) == new
    other = replace(report(row("Set5", 30.0)), protocol={"super-resolution": "PSNR on RGB"})
    assert evaluation.merged(other, new) == new
    assert evaluation.merged(None, new) == new


def test_metrics_json_is_written_the_same_twice_and_read_back(tmp_path: Path) -> None:
    first = evaluation.write(tmp_path, report(row("Set5", 30.0)))
    text = (tmp_path / "metrics.json").read_text()
    assert evaluation.write(tmp_path, report(row("Set5", 30.0))) == first
    assert (tmp_path / "metrics.json").read_text() == text
    assert evaluation.read(tmp_path) == first
    assert list(json.loads(text)) == ["weights_sha256", "parameters", "protocol", "results"]


def test_a_folder_without_figures_has_none(tmp_path: Path) -> None:
    assert evaluation.read(tmp_path) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"weights_sha256": "a", "speed": 9}'])
def test_a_metrics_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(ModelError, match=r"metrics.json is not what"):
        evaluation.read(tmp_path)


@pytest.mark.parametrize("name", bundled_names())
def test_committed_figures_belong_to_the_weights_beside_them(name: str) -> None:
    found = evaluation.read(bundled_folder() / name)
    assert found is not None, f"run stylesr evaluate {name} … --write"
    net = Generator.from_pretrained(bundled_folder() / name)
    assert found.weights_sha256 == net.fingerprint()
    assert found.parameters == sum(p.numel() for p in net.parameters())
    assert found.protocol == evaluation._protocol(found.results)
    assert found.rows(*(("style", "any style") if net.paints else ("super-resolution",)))
    text = (bundled_folder() / name / "metrics.json").read_text(encoding="utf-8")
    assert text == json.dumps(asdict(found), indent=2, ensure_ascii=False) + "\n"


# -- speed ----------------------------------------------------------------------------------------


def test_the_peer_is_the_known_network(shared_weights: Path) -> None:
    path = shared_weights / "peers" / "realesr-general-x4v3.pth"
    state = torch.load(path, map_location="cpu", weights_only=True)["params"]
    CompactNet().load_state_dict(state)
    assert sum(p.numel() for p in CompactNet().parameters()) == 1_213_296


def test_the_peer_starts_from_the_enlarged_picture() -> None:
    net = CompactNet(channels=4, convolutions=1)
    torch.nn.init.zeros_(net.body[-1].weight)
    torch.nn.init.zeros_(net.body[-1].bias)
    x = torch.rand(1, 3, 5, 6)
    assert torch.equal(net(x), x.repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_a_ratio_is_taken_and_threads_are_set_back(pipe: StyleSRPipeline) -> None:
    assert time_ratio(pipe, "dots", size=16, runs=2, threads=2) > 0
    assert torch.get_num_threads() == 1


# -- pictures -------------------------------------------------------------------------------------


def test_a_styles_preview_shows_bicubic_half_and_full_strength(
    pipe: StyleSRPipeline, photos: Path
) -> None:
    shown = previews.find_photos(photos, ["two", "one"])
    assert [path.stem for path in shown] == ["two", "one"]
    preview = previews.draw(pipe, shown)
    width, height = previews.CELL
    assert preview.size == (3 * width + 2 * previews.GAP, previews.HEAD + 2 * (height + 4) - 4)
    left = [column * (width + previews.GAP) for column in range(3)]
    cells = [preview.crop((x, previews.HEAD, x + width, previews.HEAD + height)) for x in left]
    lr = evaluation.low_resolution(evaluation.hr_picture(photos / "two.png"), 4)
    for cell, strength in zip(cells[1:], (0.5, 1.0), strict=True):
        result = pipe(lr, style="dots", scale=4, strength=strength, brush=1).images[0]
        fitted = ImageOps.fit(result, (width, height), Image.Resampling.LANCZOS)
        assert cell.tobytes() == fitted.tobytes()


def test_the_preview_of_a_network_that_keeps_the_size(photos: Path) -> None:
    pipe = StyleSRPipeline(tiny.photo(), painters={"udnie": TransformerNet(4, blocks=1)})
    pipe.set_progress_bar_config(disable=True)
    hr = evaluation.hr_picture(photos / "one.png")
    photo, *painted = previews._columns(pipe, hr)
    assert photo.tobytes() == to_pil(hr).tobytes()
    for brush, found in zip((1, 2), painted, strict=True):
        expected = pipe(to_pil(hr), style="udnie", scale=1, brush=brush).images[0]
        assert found.tobytes() == expected.tobytes()
    assert previews._titles(pipe) == ["photo", "udnie", "udnie, brush 2"]
    assert previews.draw(pipe, [photos / "one.png"]).width == 3 * 400 + 8
    assert previews.contact_sheet(pipe, photos).width < 3 * 4 * 64, "a column a factor"


def test_a_photo_models_preview_ends_with_the_original(photos: Path) -> None:
    pipe = StyleSRPipeline(tiny.photo())
    pipe.set_progress_bar_config(disable=True)
    original = to_pil(evaluation.hr_picture(photos / "one.png"))
    columns = previews._columns(pipe, evaluation.hr_picture(photos / "one.png"))
    assert columns[2].tobytes() == original.tobytes()
    assert len({column.tobytes() for column in columns}) == 3
    assert previews.draw(pipe, [photos / "one.png"]).width == 3 * 400 + 8


def test_pieces_come_from_the_middle_at_full_size() -> None:
    image = Image.linear_gradient("L").convert("RGB")  # row r has the value r
    piece = previews._middle(image, (10, 6))
    assert piece.size == (10, 6)
    assert [piece.getpixel((0, r))[0] for r in range(6)] == [125 + r for r in range(6)]


def test_a_gallery_shows_the_photo_and_then_each_style_of_it(tmp_path: Path) -> None:
    colors = {"one": "red", "two": "lime", "three": "blue"}
    for name, color in colors.items():
        row = [Image.new("RGB", previews.CELL, c) for c in ("gray", "white", color)]
        previews.grid([row, row], ["before", "half", "full"]).save(tmp_path / f"{name}.png")
    names = [*colors, "one", "two", "three", "one"]
    drawn = {f"{name} {n}": tmp_path / f"{name}.png" for n, name in enumerate(names)}
    gallery = previews.gallery(drawn)
    side, step = 240, 240 + previews.GAP
    assert gallery.size == (6 * step - 4, 2 * (previews.HEAD + step) - 4), "eight cells, six a row"
    for place, name in enumerate(["gray", *(colors[name] for name in names)]):
        row, column = divmod(place, 6)
        left, top = column * step, row * (previews.HEAD + step) + previews.HEAD
        cell = gallery.crop((left, top, left + side, top + side))
        assert cell.getcolors() == [(side * side, ImageColor.getrgb(name))]
    with pytest.raises(InputError, match="is not laid out as"):
        previews.gallery({"sheet": save_blank(tmp_path / "blank.png")})


def save_blank(path: Path) -> Path:
    Image.new("RGB", (500, 500)).save(path)
    return path


def test_a_photo_model_with_a_base_shows_pieces_at_full_size(photos: Path) -> None:
    photo = tiny.photo()
    pipe = StyleSRPipeline(photo, {"vivid": tiny.restorer(photo, 1)})
    preview = previews.draw(pipe, [photos / "two.png"])
    hr = evaluation.hr_picture(photos / "two.png")
    result = evaluation.enlarge(pipe, evaluation.low_resolution(hr, 4), "vivid", 4)
    cell = previews._middle(to_pil(Picture(result)), previews.CELL)
    box = (808, previews.HEAD, 1208, previews.HEAD + 300)
    assert preview.crop(box).tobytes() == cell.tobytes()


def test_a_contact_sheet_has_a_cell_for_each_factor_and_strength(
    pipe: StyleSRPipeline, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "SHEET_SIDE", 56)
    sheet = previews.contact_sheet(pipe, photos)
    step, height = 56 + previews.GAP, 56 + previews.GAP
    assert sheet.size == (9 * step - previews.GAP, previews.HEAD + 2 * height - previews.GAP)
    whole = evaluation.hr_picture(photos / "one.png").pixels  # 64×68
    hr = Picture(whole[:, 4:60, 6:62].contiguous())
    cells = [(scale, strength) for scale in (1, 2, 4) for strength in (0.0, 0.5, 1.0)]
    for column, (scale, strength) in enumerate(cells):
        lr = evaluation.low_resolution(hr, scale)
        expected = pipe(lr, style="dots", scale=scale, strength=strength, brush=1).images[0]
        left = column * step
        cell = sheet.crop((left, previews.HEAD, left + 56, previews.HEAD + 56))
        assert cell.tobytes() == expected.tobytes(), (scale, strength)


def test_the_contact_sheet_of_a_base_has_a_column_a_factor(photos: Path) -> None:
    sheet = previews.contact_sheet(StyleSRPipeline(tiny.photo()), photos)
    width = 80  # of the larger photo; the other one is in the middle of its cells
    assert sheet.width == 3 * (width + previews.GAP) - previews.GAP
    assert sheet.getpixel((1, previews.HEAD + 30)) == (255, 255, 255)


def test_many_photos_are_taken_evenly(pipe: StyleSRPipeline, scene: Scene, tmp_path: Path) -> None:
    for index in range(17):
        to_pil(Picture(scene(48, 48))).save(tmp_path / f"{index:02}.png")
    sheet = previews.contact_sheet(pipe, tmp_path)
    assert sheet.height == previews.HEAD + 6 * (48 + previews.GAP) - previews.GAP


def test_titles_can_be_drawn_and_match_their_columns(pipe: StyleSRPipeline, photos: Path) -> None:
    for each in (pipe, StyleSRPipeline(tiny.photo())):
        titles = previews._titles(each)
        columns = previews._columns(each, evaluation.hr_picture(photos / "one.png"))
        assert len(titles) == len(columns) == 3
        assert all(title.isascii() for title in titles)
    assert previews._titles(pipe)[1:] == ["4x dots, strength 0.5", "4x dots"]


def test_a_preview_fits_its_limit_or_is_refused() -> None:
    noise = Image.effect_noise((300, 300), 120).convert("RGB")
    large = len(previews.encode(noise, 10**6))
    small = previews.encode(noise, large - 1)
    assert len(small) < large
    assert Image.open(BytesIO(small)).format == "WEBP"
    with pytest.raises(InputError, match="300×300 pixels do not fit 1,000 bytes"):
        previews.encode(noise, 1000)


def test_a_photo_that_is_not_there_is_named(photos: Path) -> None:
    with pytest.raises(InputError, match="named three, four"):
        previews.find_photos(photos, ["one", "three", "four"])


# -- releases -------------------------------------------------------------------------------------


def test_releases_are_read(words: releases.Releases) -> None:
    assert words["dots"].work is not None and words["dots"].work.image == "dots.png"
    assert [source.name for source in words["photo"].data] == ["my photos"]
    assert words["photo"].preview == ("one", "two")
    assert words["dots"].effort is None
    assert words["photo"].effort == releases.Effort("a laptop", 2.5, 40)
    assert words["photo"].effort.kilowatt_hours == pytest.approx(0.1)


def test_an_unknown_model_is_named(words: releases.Releases) -> None:
    with pytest.raises(InputError, match=r"tells of photo, dots; add \[models.waves\]"):
        words["waves"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hours = 2.5", "", r"\[models.photo\], effort.*'hours'"),
        ("hours = 2.5", 'hours = "long"', r"effort: hours must be a number above 0, got 'long'"),
        ("watts = 40", "watts = 0", r"effort: watts must be a number above 0, got 0"),
        ('url = "https://example.org/mine"', "", r"\[data.mine\].*'url'"),
        ('description = "Enlarges."', 'about = "x"', r"\[models.photo\].*'about'"),
        ('data = ["mine"]', 'data = ["yours"]', "data names yours; known are mine"),
        ('artist = "A. Painter"', "", r"\[models.dots\], work.*'artist'"),
        ("[held_out]", "[held]", "unknown tables held"),
        ("[held_out]", "[held_out", "is not TOML"),
    ],
)
def test_mistakes_in_releases_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in RELEASES
    path = tmp_path / "releases.toml"
    path.write_text(RELEASES.replace(old, new))
    with pytest.raises(InputError, match=message):
        releases.load(path)


def test_missing_releases_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.toml' cannot be read"):
        releases.load(tmp_path / "nowhere.toml")


def test_the_repositorys_releases_tell_of_every_model() -> None:
    words = releases.load()
    assert set(bundled_names()) <= set(words.models)
    for name, release in words.models.items():
        if name in bundled_names():
            shown = release.work is not None or bool(release.unseen)
            assert Generator.from_pretrained(name).paints == shown
        assert release.data and release.preview and release.description.endswith(".")


def test_the_works_of_the_repositorys_releases_can_be_had(shared_data: Path) -> None:
    words = releases.load()
    works = {release.work.image for release in words.models.values() if release.work}
    drawn = {f"{name}.png" for name in drawings.TECHNIQUES}
    missing = [name for name in works - drawn if not (shared_data / "styles" / name).is_file()]
    assert works - drawn and works & drawn and not missing
    for release in words.models.values():
        assert len(previews.find_photos(shared_data / "eval_photos", release.preview)) == 3
