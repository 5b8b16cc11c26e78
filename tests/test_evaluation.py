"""Measuring, `metrics.json` and the pictures drawn beside it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor

from stylesr import evaluation, previews, releases
from stylesr.errors import InputError, ModelError
from stylesr.evaluation import Inputs, Report, SqueezeJudge, VggJudge
from stylesr.hub import bundled_folder, bundled_names
from stylesr.images import decode
from stylesr.metrics import LPIPS, psnr_y
from stylesr.models import CompactNet, StyleSRNet
from stylesr.picture import Picture, to_pil
from stylesr.pipeline import StyleSRPipeline
from stylesr.resample import downscale, resize
from stylesr.speed import time_ratio
from tests import tiny

Scene = Callable[[int, int], Tensor]

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


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def pipe() -> StyleSRPipeline:
    photo = tiny.photo()
    pipeline = StyleSRPipeline(photo, {"dots": tiny.style(photo, 1)})
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def photos(tmp_path: Path, scene: Scene) -> Path:
    """Two held-out photos whose sides are no multiples of four."""
    folder = tmp_path / "photos"
    folder.mkdir()
    to_pil(Picture(scene(66, 71))).save(folder / "one.png")
    to_pil(Picture(scene(51, 83).flip(1).contiguous())).save(folder / "two.png")
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Folders of a base and of a style that names it."""
    photo = tiny.photo()
    photo.save_pretrained(tmp_path / "photo")
    tiny.style(photo, 1, name=str(tmp_path / "photo")).save_pretrained(tmp_path / "dots")
    return tmp_path


@pytest.fixture
def words(tmp_path: Path) -> releases.Releases:
    path = tmp_path / "releases.toml"
    path.write_text(RELEASES)
    return releases.load(path)


class MeanColour:
    """A judge whose figures can be computed by hand."""

    name = "mean colour"

    def look(self, picture: Tensor) -> Tensor:
        assert picture.ndim == 3 and torch.equal(picture, (picture * 255).round() / 255)
        return picture.mean((1, 2))

    def style(self, seen: Tensor, work: Tensor) -> float:
        return float((seen - work).abs().sum())

    def content(self, seen: Tensor, photo: Tensor) -> float:
        return 10 * float((seen - photo).abs().sum())


# -- super-resolution ---------------------------------------------------------------------------


def test_hr_pictures_are_cut_to_multiples_of_four(photos: Path) -> None:
    picture = evaluation.hr_picture(photos / "one.png")
    assert picture.pixels.shape == (3, 64, 68)
    whole = decode(photos / "one.png")
    assert torch.equal(picture.pixels, whole.pixels[:, :64, :68])


def test_a_picture_that_is_too_small_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (47, 200)).save(tmp_path / "small.png")
    with pytest.raises(InputError, match=r"47×200; 48×48 is the least"):
        evaluation.hr_picture(tmp_path / "small.png")


def test_low_resolution_is_what_a_file_would_hold(photos: Path) -> None:
    hr = evaluation.hr_picture(photos / "one.png")
    lr = evaluation.low_resolution(hr, 4)
    assert lr.pixels.shape == (3, 16, 17)
    exact = downscale(hr.pixels[None], 4)[0].clamp(0, 1)
    assert torch.equal(lr.pixels * 255, (lr.pixels * 255).round())
    assert (lr.pixels - exact).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("scale", [2, 4])
def test_the_row_of_a_folder_equals_its_figures_by_hand(
    pipe: StyleSRPipeline, photos: Path, scale: int
) -> None:
    ours, bicubic = [], []
    for name in ("one", "two"):
        hr = evaluation.hr_picture(photos / f"{name}.png")
        small = downscale(hr.pixels[None], scale)[0].clamp(0, 1)
        lr = Picture((small * 255 + 0.5).floor() / 255)
        result = pipe(to_pil(lr), style="photo", scale=scale, output_type="pt").images[0]
        ours.append(psnr_y(result, hr.pixels, scale))
        soft = resize(lr.pixels[None], hr.pixels.shape[1:])[0]
        bicubic.append(psnr_y(soft, hr.pixels, scale))
    row = evaluation.super_resolution_row(pipe, photos, scale)
    assert row["dataset"] == "photos" and row["scale"] == scale and row["pictures"] == 2
    assert row["psnr_y"] == pytest.approx(sum(ours) / 2, abs=1e-4)
    assert row["bicubic_psnr_y"] == pytest.approx(sum(bicubic) / 2, abs=1e-4)
    assert row["gain_db"] == pytest.approx(row["psnr_y"] - row["bicubic_psnr_y"], abs=1e-4)
    assert "lpips" not in row


@pytest.mark.parametrize(("scale", "psnr", "ssim"), [(4, 28.42, 0.8104), (2, 33.66, 0.9299)])
def test_bicubic_has_its_published_figures_on_set5(
    pipe: StyleSRPipeline, shared_data: Path, scale: int, psnr: float, ssim: float
) -> None:
    """The cut to multiples of four instead of `scale` and the rounded LR change little."""
    row = evaluation.super_resolution_row(pipe, shared_data / "benchmarks" / "Set5", scale)
    assert row["bicubic_psnr_y"] == pytest.approx(psnr, abs=0.03)
    assert row["bicubic_ssim_y"] == pytest.approx(ssim, abs=0.001)


def test_lpips_of_the_original_is_zero(shared_weights: Path, photos: Path) -> None:
    files = "squeezenet1_1-features", "lpips-squeeze-v0.1"
    lpips = LPIPS(*(shared_weights / f"{file}.safetensors" for file in files))
    hr = evaluation.hr_picture(photos / "one.png").pixels
    same = evaluation._fidelity(hr, hr, 4, lpips)
    other = evaluation._fidelity(hr.flip(2), hr, 4, lpips)
    assert same["lpips"] == 0 and other["lpips"] > 0.01


# -- style ----------------------------------------------------------------------------------------


def test_style_rows_equal_figures_by_hand(pipe: StyleSRPipeline, photos: Path) -> None:
    work = torch.ones(3, 40, 50)
    paths = [photos / "one.png", photos / "two.png"]
    rows = evaluation.style_rows(pipe, work, paths, [MeanColour()], "holiday photos")
    assert [row["strength"] for row in rows] == [0.5, 1.0]
    for row in rows:
        far, left, kept, soft = [], [], [], []
        for path in paths:
            hr = evaluation.hr_picture(path)
            lr = evaluation.low_resolution(hr, 4)
            options = {"style": "dots", "scale": 4, "strength": row["strength"], "brush": 1}
            result = pipe(to_pil(lr), **options, output_type="pt").images[0]
            seen, photo = ((x * 255).round() / 255 for x in (result, hr.pixels))
            bicubic = resize(lr.pixels[None], hr.pixels.shape[1:])[0].clamp(0, 1)
            means = [x.mean((1, 2)) for x in (seen, photo, (bicubic * 255).round() / 255)]
            far.append(float((means[0] - 1).abs().sum()))
            left.append(float((means[1] - 1).abs().sum()))
            kept.append(10 * float((means[0] - means[1]).abs().sum()))
            soft.append(10 * float((means[2] - means[1]).abs().sum()))
        assert row["style_distance"] == pytest.approx(sum(far) / 2, abs=2e-4)
        assert row["photo_style_distance"] == pytest.approx(sum(left) / 2, abs=2e-4)
        assert row["style_ratio"] == pytest.approx(sum(far) / sum(left), abs=2e-4)
        assert row["content_distance"] == pytest.approx(sum(kept) / 2, abs=2e-3)
        assert row["bicubic_content_distance"] == pytest.approx(sum(soft) / 2, abs=2e-3)


@pytest.mark.parametrize(
    ("judge", "file"),
    [(VggJudge, "vgg19-distilled-16x"), (SqueezeJudge, "squeezenet1_1-features")],
)
def test_judges_know_a_picture_and_a_style_again(
    shared_weights: Path,
    noise: Callable[..., Tensor],
    scene: Scene,
    judge: type[VggJudge | SqueezeJudge],
    file: str,
) -> None:
    expert = judge(shared_weights / f"{file}.safetensors")
    picture, other, strange = scene(64, 64), scene(64, 64).roll(8, 2), noise(3, 64, 64)
    seen, moved, noisy = expert.look(picture), expert.look(other), expert.look(strange)
    assert expert.style(seen, seen) == 0 and expert.content(seen, seen) == 0
    assert 0 < expert.style(moved, seen) < 0.2 * expert.style(noisy, seen)
    assert expert.content(moved, seen) > 3 * expert.style(moved, seen)
    assert set(expert.look(picture)) >= set(
        evaluation.CONTENT_LAYERS if judge is VggJudge else evaluation.SQUEEZE_CONTENT_LAYERS
    )


def test_a_large_work_is_reduced_and_a_small_one_left(
    tmp_path: Path, words: releases.Releases
) -> None:
    Image.new("RGB", (2048, 400), "red").save(tmp_path / "dots.png")
    assert evaluation._work(tmp_path, words, "dots").shape == (3, 200, 1024)
    Image.new("RGB", (800, 400), "red").save(tmp_path / "dots.png")
    assert evaluation._work(tmp_path, words, "dots").shape == (3, 400, 800)


def test_a_photo_model_has_no_work(tmp_path: Path, words: releases.Releases) -> None:
    with pytest.raises(InputError, match=r"\[models.photo\] needs a work"):
        evaluation._work(tmp_path, words, "photo")


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
    net = StyleSRNet.from_pretrained(bundled_folder() / name)
    assert found.weights_sha256 == net.fingerprint()
    assert found.parameters == sum(p.numel() for p in net.parameters())
    assert found.protocol == evaluation._protocol(found.results)
    assert found.rows("super-resolution" if net.base is None else "style")
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


def test_a_photo_models_preview_ends_with_the_original(photos: Path) -> None:
    pipe = StyleSRPipeline(tiny.photo())
    pipe.set_progress_bar_config(disable=True)
    original = to_pil(evaluation.hr_picture(photos / "one.png"))
    columns = previews._columns(pipe, evaluation.hr_picture(photos / "one.png"), 4)
    assert columns[2].tobytes() == original.tobytes()
    assert len({column.tobytes() for column in columns}) == 3
    assert previews.draw(pipe, [photos / "one.png"]).width == 3 * 400 + 8


def test_pieces_come_from_the_middle_at_full_size() -> None:
    image = Image.linear_gradient("L").convert("RGB")  # row r has the value r
    piece = previews._middle(image, (10, 6))
    assert piece.size == (10, 6)
    assert [piece.getpixel((0, r))[0] for r in range(6)] == [125 + r for r in range(6)]


def test_contact_sheets_have_a_row_a_photo_for_each_factor(
    pipe: StyleSRPipeline, photos: Path
) -> None:
    sheets = dict(previews.contact_sheets(pipe, photos))
    assert list(sheets) == [4, 2, 1]
    size = (3 * 384 + 2 * previews.GAP, previews.HEAD + 2 * 384 + previews.GAP)
    assert all(sheet.size == size for sheet in sheets.values())
    assert len({sheet.tobytes() for sheet in sheets.values()}) == 3


def test_the_first_column_of_a_styles_sheet_is_its_base(
    pipe: StyleSRPipeline, photos: Path
) -> None:
    hr = evaluation.hr_picture(photos / "one.png")
    first = previews._columns(pipe, hr, 2, sheet=True)[0]
    plain = pipe(evaluation.low_resolution(hr, 2), style="photo", scale=2).images[0]
    assert first.tobytes() == plain.tobytes()


@pytest.mark.parametrize("sheet", [False, True])
def test_titles_can_be_drawn_and_match_their_columns(
    pipe: StyleSRPipeline, photos: Path, sheet: bool
) -> None:
    for each in (pipe, StyleSRPipeline(tiny.photo())):
        titles = previews._titles(each, 2, sheet)
        columns = previews._columns(each, evaluation.hr_picture(photos / "one.png"), 2, sheet)
        assert len(titles) == len(columns) == 3
        assert all(title.isascii() for title in titles)


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


def test_an_unknown_model_is_named(words: releases.Releases) -> None:
    with pytest.raises(InputError, match=r"tells of photo, dots; add \[models.waves\]"):
        words["waves"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
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
        assert (release.work is None) == (name == "photo")
        assert release.data and release.preview and release.description.endswith(".")


def test_the_works_of_the_repositorys_releases_can_be_had(shared_data: Path) -> None:
    words = releases.load()
    works = [release.work for release in words.models.values() if release.work]
    missing = [w.image for w in works if not (shared_data / "styles" / w.image).is_file()]
    assert works and not missing
    for release in words.models.values():
        assert len(previews.find_photos(shared_data / "eval_photos", release.preview)) == 3
