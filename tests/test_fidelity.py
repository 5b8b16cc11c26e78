"""Figures of photo models on benchmarks, against figures computed step by step."""

import random
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from stylesr import blending, fidelity
from stylesr.data.degradations import REAL_ESRGAN, degrade
from stylesr.errors import InputError
from stylesr.fidelity import Peer
from stylesr.images import decode
from stylesr.metrics import LPIPS, psnr_y
from stylesr.models import ESPCN, Generator
from stylesr.picture import Picture, to_pil
from stylesr.pipeline import StyleSRPipeline
from stylesr.resample import downscale, resize
from tests import tiny

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def plain() -> StyleSRPipeline:
    """A base alone."""
    pipeline = StyleSRPipeline(tiny.photo())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def vivid() -> StyleSRPipeline:
    """A photo model with its base."""
    photo = tiny.photo()
    pipeline = StyleSRPipeline(photo, {"vivid": tiny.restorer(photo, 1)})
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


class Repeat(Generator):
    """Enlarges by repeating pixels, on sizes that are multiples of eight."""

    scales: ClassVar[tuple[int, ...]] = (4,)  # type: ignore[misc]

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def multiple_of(self, scale: int) -> int:
        return 8

    def forward(self, x: Tensor, scale: int) -> Tensor:
        self.shapes.append(tuple(x.shape))
        return F.interpolate(x, scale_factor=scale)


def test_hr_pictures_are_cut_to_multiples_of_four(photos: Path) -> None:
    picture = fidelity.hr_picture(photos / "one.png")
    assert picture.pixels.shape == (3, 64, 68)
    whole = decode(photos / "one.png")
    assert torch.equal(picture.pixels, whole.pixels[:, :64, :68])


def test_a_picture_that_is_too_small_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (47, 200)).save(tmp_path / "small.png")
    with pytest.raises(InputError, match=r"47×200; 48×48 is the least"):
        fidelity.hr_picture(tmp_path / "small.png")


def test_low_resolution_is_what_a_file_would_hold(photos: Path) -> None:
    hr = fidelity.hr_picture(photos / "one.png")
    lr = fidelity.low_resolution(hr, 4)
    assert lr.pixels.shape == (3, 16, 17)
    exact = downscale(hr.pixels[None], 4)[0].clamp(0, 1)
    assert torch.equal(lr.pixels * 255, (lr.pixels * 255).round())
    assert (lr.pixels - exact).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("scale", [2, 4])
def test_the_row_of_a_folder_equals_its_figures_by_hand(
    plain: StyleSRPipeline, photos: Path, scale: int
) -> None:
    ours, bicubic = [], []
    for name in ("one", "two"):
        hr = fidelity.hr_picture(photos / f"{name}.png")
        small = downscale(hr.pixels[None], scale)[0].clamp(0, 1)
        lr = Picture((small * 255 + 0.5).floor() / 255)
        result = plain(to_pil(lr), style="photo", scale=scale, output_type="pt").images[0]
        ours.append(psnr_y(result, hr.pixels, scale))
        soft = resize(lr.pixels[None], hr.pixels.shape[1:])[0]
        bicubic.append(psnr_y(soft, hr.pixels, scale))
    row = fidelity.super_resolution_row(plain, photos, scale)
    assert row["dataset"] == "photos" and row["scale"] == scale and row["pictures"] == 2
    assert row["psnr_y"] == pytest.approx(sum(ours) / 2, abs=1e-4)
    assert row["bicubic_psnr_y"] == pytest.approx(sum(bicubic) / 2, abs=1e-4)
    assert row["gain_db"] == pytest.approx(row["psnr_y"] - row["bicubic_psnr_y"], abs=1e-4)
    assert "lpips" not in row


@pytest.mark.parametrize(("scale", "psnr", "ssim"), [(4, 28.42, 0.8104), (2, 33.66, 0.9299)])
def test_bicubic_has_its_published_figures_on_set5(
    plain: StyleSRPipeline, shared_data: Path, scale: int, psnr: float, ssim: float
) -> None:
    """The cut to multiples of four instead of `scale` and the rounded LR change little."""
    row = fidelity.super_resolution_row(plain, shared_data / "benchmarks" / "Set5", scale)
    assert row["bicubic_psnr_y"] == pytest.approx(psnr, abs=0.03)
    assert row["bicubic_ssim_y"] == pytest.approx(ssim, abs=0.001)


def test_lpips_of_the_original_is_zero(shared_weights: Path, photos: Path) -> None:
    files = "squeezenet1_1-features", "lpips-squeeze-v0.1"
    lpips = LPIPS(*(shared_weights / f"{file}.safetensors" for file in files))
    hr = fidelity.hr_picture(photos / "one.png").pixels
    same = fidelity._fidelity(hr, hr, 4, lpips)
    other = fidelity._fidelity(hr.flip(2), hr, 4, lpips)
    assert same["lpips"] == 0 and other["lpips"] > 0.01


# -- blind degradation ----------------------------------------------------------------------------


def test_bad_pictures_follow_from_their_index(photos: Path) -> None:
    hr = fidelity.hr_picture(photos / "one.png")
    lr = fidelity.blind_low_resolution(hr, 4, 0)
    expected = degrade(hr.pixels, 4, random.Random("blind 0"), REAL_ESRGAN)
    assert lr.pixels.shape == (3, hr.height // 4, hr.width // 4)
    assert torch.equal(lr.pixels, expected)
    assert torch.equal(lr.pixels, fidelity.blind_low_resolution(hr, 4, 0).pixels)
    assert not torch.equal(lr.pixels, fidelity.blind_low_resolution(hr, 4, 1).pixels)


def test_a_bad_gray_picture_may_have_colour(tmp_path: Path) -> None:
    Image.linear_gradient("L").save(tmp_path / "gray.png")
    hr = fidelity.hr_picture(tmp_path / "gray.png")
    assert hr.gray and fidelity.low_resolution(hr, 4).gray
    assert not fidelity.blind_low_resolution(hr, 4, 0).gray


def test_the_row_of_bad_pictures_equals_its_figures_by_hand(
    plain: StyleSRPipeline, photos: Path
) -> None:
    ours = []
    for index, name in enumerate(("one", "two")):
        hr = fidelity.hr_picture(photos / f"{name}.png")
        lr = Picture(degrade(hr.pixels, 4, random.Random(f"blind {index}"), REAL_ESRGAN))
        result = plain(to_pil(lr), scale=4, output_type="pt").images[0]
        ours.append(psnr_y(result, hr.pixels, 4))
    row = fidelity.super_resolution_row(plain, photos, 4, blind=True)
    assert row["task"] == "blind super-resolution"
    assert row["psnr_y"] == pytest.approx(sum(ours) / 2, abs=1e-4)
    assert row["bicubic_psnr_y"] < fidelity.super_resolution_row(plain, photos, 4)["bicubic_psnr_y"]


def test_the_protocol_states_the_degradations_ranges() -> None:
    text = fidelity.PROTOCOL[fidelity.BLIND]
    assert "blind i" in text
    first, second = text.split("Second round")
    for part, stage in ((first, REAL_ESRGAN.first), (second, REAL_ESRGAN.second)):
        for low, high in (stage.sigma, stage.scale, stage.gaussian, stage.poisson, stage.jpeg):
            assert f"{low:g} to {high:g}" in part


# -- rivals ---------------------------------------------------------------------------------------


def test_a_model_with_a_base_is_measured_beside_it(vivid: StyleSRPipeline, photos: Path) -> None:
    row = fidelity.super_resolution_row(vivid, photos, 2)
    alone = fidelity.super_resolution_row(StyleSRPipeline(tiny.photo()), photos, 2)
    assert row["base_psnr_y"] == alone["psnr_y"] and row["base_ssim_y"] == alone["ssim_y"]
    assert row["psnr_y"] != row["base_psnr_y"]
    assert not [key for key in alone if key.startswith(("base_", "peer"))]


@pytest.mark.parametrize("blind", [False, True])
def test_a_peer_gets_the_same_input(plain: StyleSRPipeline, photos: Path, blind: bool) -> None:
    peer = Peer("repeat", Repeat())
    row = fidelity.super_resolution_row(plain, photos, 4, peer=peer, blind=blind)
    theirs = []
    for index, name in enumerate(("one", "two")):
        hr = fidelity.hr_picture(photos / f"{name}.png")
        small = fidelity.low_resolution(hr, 4)
        lr = fidelity.blind_low_resolution(hr, 4, index) if blind else small
        repeated = lr.pixels.repeat_interleave(4, 1).repeat_interleave(4, 2)
        theirs.append(psnr_y(repeated, hr.pixels, 4))
    assert row["peer"] == "repeat"
    assert row["peer_psnr_y"] == pytest.approx(sum(theirs) / 2, abs=1e-4)
    assert peer.network.shapes == [(1, 3, 16, 24), (1, 3, 16, 24)]  # padded to multiples of 8


def test_a_peer_is_left_out_where_it_has_no_such_factor(
    plain: StyleSRPipeline, photos: Path
) -> None:
    row = fidelity.super_resolution_row(plain, photos, 2, peer=Peer("repeat", Repeat()))
    assert not [key for key in row if key.startswith("peer")]


# -- strengths ------------------------------------------------------------------------------------


def test_strengths_lead_from_the_base_to_the_model(vivid: StyleSRPipeline, photos: Path) -> None:
    rows = fidelity.interpolation_rows(vivid, photos)
    assert [row["strength"] for row in rows] == [0, 0.25, 0.5, 0.75, 1]
    ends = fidelity.super_resolution_row(vivid, photos, 4)
    assert rows[0]["psnr_y"] == ends["base_psnr_y"]
    assert rows[-1]["psnr_y"] == ends["psnr_y"]
    photo = tiny.photo()
    blend = blending.strength(photo, tiny.restorer(photo, 1), 0.5)
    photo.load_state_dict(blend.state_dict())
    half = fidelity.super_resolution_row(StyleSRPipeline(photo), photos, 4)
    assert rows[2]["psnr_y"] == half["psnr_y"]


def test_all_rows_of_a_photo_model(
    plain: StyleSRPipeline, vivid: StyleSRPipeline, photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    photos.rename(folder / "BSD100")
    clean = [("super-resolution", 2), ("super-resolution", 4)]
    both = [*clean, ("blind super-resolution", 4)]
    for pipe, expected in ((plain, both), (vivid, [*both, *[("interpolation", 4)] * 5])):
        rows = fidelity.fidelity_rows(pipe, folder)
        assert [(row["task"], row["scale"]) for row in rows] == expected
    for scale, expected in ((4, both[1:]), (2, clean[:1]), (3, [])):
        rows = fidelity.fidelity_rows(StyleSRPipeline(ESPCN(4, scale)), folder)
        assert [(row["task"], row["scale"]) for row in rows] == expected
    (folder / "BSD100").rename(folder / "Set14")
    rows = fidelity.fidelity_rows(vivid, folder)
    assert [(row["task"], row["scale"]) for row in rows] == clean
