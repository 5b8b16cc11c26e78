"""Distances of styles from their works and photos, against figures computed by hand."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from stylesr import likeness, releases
from stylesr.errors import InputError
from stylesr.fidelity import hr_picture, low_resolution
from stylesr.likeness import Judge, SqueezeJudge, VggJudge
from stylesr.losses import perceptual
from stylesr.models import TransformerNet
from stylesr.picture import to_pil
from stylesr.pipeline import StyleSRPipeline
from stylesr.resample import resize
from tests import tiny, tiny_features

Scene = Callable[[int, int], Tensor]

pytestmark = pytest.mark.usefixtures("one_thread")

RELEASES = """
[held_out]
name = "holiday photos"
url = "https://example.org/photos"
licence = "CC0-1.0"

[models.photo]
description = "Enlarges."
data = []
preview = []

[models.dots]
description = "Paints dots."
data = []
preview = []
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
def words(tmp_path: Path) -> releases.Releases:
    path = tmp_path / "releases.toml"
    path.write_text(RELEASES)
    return releases.load(path)


class MeanColour(Judge):
    """A judge whose figures can be computed by hand."""

    name = "mean colour"

    def look(self, picture: Tensor) -> Tensor:
        assert picture.ndim == 3 and torch.equal(picture, (picture * 255).round() / 255)
        return picture.mean((1, 2))

    def statistics(self, seen: Tensor) -> dict[str, Tensor]:
        return {"mean": seen[None, :, None]}

    def content(self, seen: Tensor, photo: Tensor) -> float:
        return 10 * float((seen - photo).abs().sum())


def test_a_network_without_strengths_is_measured_once(photos: Path) -> None:
    net = TransformerNet(channels=4, blocks=1)
    pipe = StyleSRPipeline(tiny.photo(), painters={"udnie": net})
    paths = [photos / "one.png"]
    (row,) = likeness.style_rows(pipe, torch.ones(3, 40, 50), paths, [MeanColour()], "photos")
    assert (row["strength"], row["scale"]) == (1.0, 4)


def test_style_rows_equal_figures_by_hand(pipe: StyleSRPipeline, photos: Path) -> None:
    work = torch.ones(3, 40, 50)
    paths = [photos / "one.png", photos / "two.png"]
    rows = likeness.style_rows(pipe, work, paths, [MeanColour()], "holiday photos")
    assert [row["strength"] for row in rows] == [0.5, 1.0]
    for row in rows:
        far, left, kept, soft, ours, theirs = [], [], [], [], [], []
        for path in paths:
            hr = hr_picture(path)
            lr = low_resolution(hr, 4)
            options = {"style": "dots", "scale": 4, "strength": row["strength"], "brush": 1}
            result = pipe(to_pil(lr), **options, output_type="pt").images[0]
            seen, photo = ((x * 255).round() / 255 for x in (result, hr.pixels))
            bicubic = resize(lr.pixels[None], hr.pixels.shape[1:])[0].clamp(0, 1)
            means = [x.mean((1, 2)) for x in (seen, photo, (bicubic * 255).round() / 255)]
            ours.append(means[0])
            theirs.append(means[1])
            far.append(float((means[0] - 1).square().mean()))  # the work's is (1, 1, 1)
            left.append(float((means[1] - 1).square().mean()))
            kept.append(10 * float((means[0] - means[1]).abs().sum()))
            soft.append(10 * float((means[2] - means[1]).abs().sum()))
        assert row["style_distance"] == pytest.approx(sum(far) / 2, abs=2e-4)
        assert row["photo_style_distance"] == pytest.approx(sum(left) / 2, abs=2e-4)
        assert row["style_ratio"] == pytest.approx(sum(far) / sum(left), rel=1e-3)
        whole = [float((sum(means) / 2 - 1).square().mean()) for means in (ours, theirs)]
        assert row["style_ratio_together"] == pytest.approx(whole[0] / whole[1], rel=1e-3)
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
        likeness.CONTENT_LAYERS if judge is VggJudge else likeness.SQUEEZE_CONTENT_LAYERS
    )


def test_a_large_work_is_reduced_and_a_small_one_left(
    tmp_path: Path, words: releases.Releases
) -> None:
    Image.new("RGB", (2048, 400), "red").save(tmp_path / "dots.png")
    assert likeness.load_work(tmp_path, words, "dots").shape == (3, 200, 1024)
    Image.new("RGB", (800, 400), "red").save(tmp_path / "dots.png")
    assert likeness.load_work(tmp_path, words, "dots").shape == (3, 400, 800)


def test_a_photo_model_has_no_work(tmp_path: Path, words: releases.Releases) -> None:
    with pytest.raises(InputError, match=r"\[models.photo\] needs a work"):
        likeness.load_work(tmp_path, words, "photo")


def test_vgg_can_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file(tiny_features.weights(), str(tmp_path / "public.safetensors"))
    monkeypatch.setattr(perceptual, "_fetch", lambda: tmp_path / "public.safetensors")
    seen = VggJudge("fetch").look(torch.zeros(3, 64, 64))
    assert seen["relu1_1"].shape == (1, 4, 64, 64)
