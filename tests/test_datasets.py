"""Training pictures: found, read, cut."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.data_loader import prepare_data_loader
from PIL import Image, ImageCms
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from stylesr.data import datasets
from stylesr.data.datasets import (
    RandomCrops,
    find_pictures,
    gather,
    load_folder,
    load_rgb,
    turn,
)
from stylesr.errors import ImageError, InputError


def save(path: Path, height: int, width: int, seed: int = 0, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def array(picture: Tensor) -> np.ndarray:
    return picture.permute(1, 2, 0).numpy()


# -- finding ------------------------------------------------------------------------------------


def test_pictures_are_found_below_a_folder_in_order(tmp_path: Path) -> None:
    for name in ("b.png", "deep/a.JPG", "a.webp"):
        save(tmp_path / name, 4, 4)
    (tmp_path / "notes.txt").write_text("no picture")
    assert find_pictures(tmp_path) == [tmp_path / n for n in ("a.webp", "b.png", "deep/a.JPG")]
    assert find_pictures(str(tmp_path / "b.png")) == [tmp_path / "b.png"]


def test_no_folder_and_no_pictures_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no folder '.*missing'"):
        find_pictures(tmp_path / "missing")
    with pytest.raises(InputError, match=r"no pictures \(\.avif, \.bmp, .*\) in"):
        find_pictures(tmp_path)


# -- reading ------------------------------------------------------------------------------------


def test_pixels_are_as_in_the_file(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 5, 7)
    picture = load_rgb(path)
    assert (picture.dtype, tuple(picture.shape)) == (torch.uint8, (3, 5, 7))
    assert picture.is_contiguous()
    assert np.array_equal(array(picture), np.asarray(Image.open(path)))


def test_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    path = save(tmp_path / "a.png", 5, 7, exif=exif)
    expected = np.rot90(np.asarray(Image.open(path)), -1)
    assert np.array_equal(array(load_rgb(path)), expected)


def test_gray_alpha_and_palette_become_rgb(tmp_path: Path) -> None:
    Image.new("L", (4, 3), 77).save(tmp_path / "gray.png")
    Image.new("RGBA", (4, 3), (10, 20, 30, 128)).save(tmp_path / "alpha.png")
    Image.fromarray(np.full((3, 4), 256 * 77 + 77, np.uint16)).save(tmp_path / "deep.png")
    Image.new("RGB", (4, 3), (255, 0, 0)).convert("P").save(tmp_path / "palette.png")
    for name, colour in {
        "gray": (77, 77, 77),
        "alpha": (10, 20, 30),
        "deep": (77, 77, 77),
        "palette": (255, 0, 0),
    }.items():
        picture = load_rgb(tmp_path / f"{name}.png")
        assert picture.shape == (3, 3, 4), name
        assert picture[:, 1, 1].tolist() == list(colour), name


def test_a_colour_profile_is_converted(tmp_path: Path) -> None:
    """In CIELAB's profile the bytes mean other colours than in sRGB; phones write Display P3."""
    wide = wide_profile()
    path = tmp_path / "wide.png"
    Image.new("RGB", (4, 4), (100, 200, 50)).save(path, icc_profile=wide)
    red, green, blue = load_rgb(path)[:, 0, 0].tolist()
    assert (red, green, blue) != (100, 200, 50)
    assert green > 195 and red < 100, "a wide gamut's green is beyond sRGB's"


def wide_profile() -> bytes:
    """sRGB's profile with the green primary of Display P3 in place of its own."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = profile.index(b"gXYZ")
    offset = int.from_bytes(profile[at + 4 : at + 8], "big")
    for place, value in enumerate((0.292, 0.692, 0.042)):
        start = offset + 8 + 4 * place
        profile[start : start + 4] = int(value * 65536).to_bytes(4, "big", signed=True)
    return bytes(profile)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_large_pictures_are_reduced(
    suffix: str, tmp_path: Path, scene: Callable[[int, int], Tensor]
) -> None:
    pixels = (scene(300, 400) * 255).byte().permute(1, 2, 0).numpy()
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(pixels).save(path, **({"quality": 95} if suffix == "jpg" else {}))
    assert load_rgb(path, at_most=400).shape == (3, 300, 400)
    for at_most, size in ((100, (75, 100)), (150, (112, 150)), (399, (299, 399))):
        picture = load_rgb(path, at_most=at_most)
        assert tuple(picture.shape[1:]) == size
        expected = Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BICUBIC)
        difference = np.abs(array(picture).astype(int) - np.asarray(expected, int))
        assert difference.mean() < 4, "the same picture, smaller"
    assert load_rgb(path, reduce=2).shape == (3, 150, 200)
    assert load_rgb(path, reduce=2, at_most=300).shape == (3, 150, 200)
    assert load_rgb(path, reduce=2, at_most=100).shape == (3, 75, 100)


def test_reduced_and_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "a.jpg", 300, 400, exif=exif)
    assert load_rgb(path, at_most=100).shape == (3, 100, 75)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"GIF89a"])
def test_what_is_no_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.png"):
        load_rgb(tmp_path / "a.png")
    with pytest.raises(ImageError, match="is not a file"):
        load_rgb(tmp_path / "missing.png")


def test_a_truncated_picture_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 60, 60)
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(ImageError):
        load_rgb(path)


def test_small_pictures_are_left_out(tmp_path: Path) -> None:
    for name, height, width in (("a", 20, 30), ("b", 18, 30), ("c", 40, 20)):
        save(tmp_path / f"{name}.png", height, width)
    shapes = [tuple(p.shape) for p in load_folder(tmp_path, at_least=20)]
    assert shapes == [(3, 20, 30), (3, 40, 20)]
    assert [tuple(p.shape) for p in load_folder(tmp_path, at_least=10, reduce=2)] == [
        (3, 10, 15),
        (3, 20, 10),
    ]
    with pytest.raises(InputError, match="sides of 50 pixels or more; give larger ones or"):
        load_folder(tmp_path, at_least=50)


def test_one_broken_picture_in_a_hundred_is_forgiven(tmp_path: Path) -> None:
    for index in range(99):
        save(tmp_path / f"{index}.bmp", 2, 2)
    (tmp_path / "broken.png").write_bytes(b"")
    assert len(load_folder(tmp_path, at_least=2)) == 99
    (tmp_path / "worse.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"2 of 101 .* example broken\.png, worse\.png; take"):
        load_folder(tmp_path, at_least=2)


def test_photos_of_a_phone_are_kept_at_2000_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert datasets.LARGEST == 2000
    monkeypatch.setattr(datasets, "LARGEST", 50)
    save(tmp_path / "a.jpg", 60, 80)
    assert [tuple(p.shape) for p in load_folder(tmp_path, at_least=8)] == [(3, 38, 50)]


def test_gather_halves_the_soft_ones(tmp_path: Path) -> None:
    save(tmp_path / "sharp" / "a.png", 20, 20)
    save(tmp_path / "soft" / "a.png", 60, 50)
    sizes = [p.shape[1:] for p in gather([tmp_path / "sharp"], [tmp_path / "soft"], at_least=20)]
    assert sizes == [(20, 20), (30, 25)]


# -- cutting ------------------------------------------------------------------------------------


def pictures() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)
        for height, width in ((16, 16), (40, 25), (33, 60))
    ]


def test_a_crop_depends_on_seed_and_index_alone() -> None:
    first, second = (RandomCrops(pictures(), 16, 100, seed=3) for _ in range(2))
    backwards = [second[index] for index in reversed(range(100))]
    crops = [first[index] for index in range(100)]
    for a, b in zip(crops, reversed(backwards), strict=True):
        assert torch.equal(a, b)
    assert len({crop.numpy().tobytes() for crop in crops}) > 60, "and they vary"
    other = RandomCrops(pictures(), 16, 100, seed=4)
    assert sum(torch.equal(other[index], crops[index]) for index in range(100)) < 10


def test_crops_are_pieces_of_the_pictures() -> None:
    """Without reduction each crop, turned back, lies in one of the pictures."""
    crops = RandomCrops(pictures(), 16, 30, reduce=0)
    assert len(crops) == 30
    places = [windows(picture.float() / 255, 16).flatten(0, 1).flatten(1) for picture in pictures()]
    everywhere = torch.cat(places)
    for crop in crops_of(crops):
        assert crop.shape == (3, 16, 16)
        assert crop.dtype == torch.float32
        ways = torch.stack([turn(crop, way).flatten() for way in range(8)])
        assert (torch.cdist(ways, everywhere, compute_mode=EXACT) < 1e-3).any()


EXACT = "donot_use_mm_for_euclid_dist"


def windows(picture: Tensor, size: int) -> Tensor:
    """(rows, columns, 3, size, size)"""
    return picture.unfold(1, size, 1).unfold(2, size, 1).permute(1, 2, 0, 3, 4)


def crops_of(crops: RandomCrops) -> list[Tensor]:
    return [crops[index] for index in range(len(crops))]


def test_reduced_crops_stay_in_range_and_hold_more_of_the_picture() -> None:
    plain, reduced = (RandomCrops(pictures()[1:], 16, 60, reduce=r) for r in (0.0, 1.0))
    for crop in crops_of(reduced):
        assert crop.shape == (3, 16, 16)
        assert crop.min() >= 0 and crop.max() <= 1
    # of white noise, averaging leaves less
    spread = [torch.stack(crops_of(crops)).std().item() for crops in (plain, reduced)]
    assert spread[1] < 0.9 * spread[0]


def test_a_picture_smaller_than_a_crop_is_refused() -> None:
    with pytest.raises(InputError, match=r"1 pictures are smaller than a crop of 17"):
        RandomCrops(pictures(), 17, 1)


def test_eight_ways_to_turn() -> None:
    picture = torch.arange(2 * 3 * 3).reshape(2, 3, 3)
    ways = {tuple(turn(picture, way).flatten().tolist()) for way in range(8)}
    assert len(ways) == 8
    assert torch.equal(turn(picture, 0), picture)
    assert all(turn(picture, way).is_contiguous() for way in range(8))


@pytest.mark.parametrize("workers", [0, 1])
def test_processes_share_the_rest_of_a_run_exactly(workers: int) -> None:
    """The recipes' way to resume: rank p of n gets at step s items s·n·b + p·b …, done or not."""
    batch, processes, steps = 3, 2, 5
    crops = RandomCrops(pictures(), 8, steps * batch * processes, seed=1)
    for done in (0, 2):
        for rank in range(processes):
            rest = Subset(crops, range(done * batch * processes, len(crops)))
            loader = prepare_data_loader(
                DataLoader(rest, batch, num_workers=workers if done and not rank else 0),
                device=torch.device("cpu"),
                num_processes=processes,
                process_index=rank,
                put_on_device=False,
            )
            batches = list(loader)
            assert len(batches) == steps - done
            for step, found in enumerate(batches, start=done):
                start = (step * processes + rank) * batch
                assert torch.equal(found, torch.stack([crops[start + i] for i in range(batch)]))


# -- pairs, and what must stay upright ------------------------------------------------------------


def test_upright_crops_are_mirrored_and_never_turned() -> None:
    """Rows darken downwards: so they do in each crop; columns do so in about half of them."""
    rows = torch.arange(40, dtype=torch.uint8).view(1, -1, 1).expand(1, 40, 40)
    picture = torch.cat([rows, rows.mT, rows])
    crops = RandomCrops([picture], 16, 60, upright=True)
    drawn = [crops[index] for index in range(60)]
    steps = [(float(c[0].diff(dim=0).mean()), float(c[1].diff(dim=1).mean())) for c in drawn]
    assert all(down > 0 for down, _ in steps)
    assert 10 < sum(right < 0 for _, right in steps) < 50


def test_six_channels_are_cut_in_one_place() -> None:
    picture = torch.randint(0, 256, (3, 40, 44), dtype=torch.uint8)
    crops = RandomCrops([torch.cat([picture, 255 - picture])], 16, 12)
    for index in range(12):
        crop = crops[index]
        torch.testing.assert_close(crop[:3], 1 - crop[3:], atol=0.15, rtol=0)  # clamped


def test_pictures_of_a_folder_can_be_reduced_to_a_side(tmp_path: Path) -> None:
    save(tmp_path / "wide.png", 40, 80)
    (picture,) = load_folder(tmp_path, at_least=10, at_most=20)
    assert picture.shape == (3, 10, 20)
