"""train/distil.py, run as users run it, on pictures and networks made here."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from stylesr.models import Generator, MicroAST, StyleSRNet, TransformerNet, UNetGenerator
from stylesr.pipeline import StyleSRPipeline
from stylesr.resample import downscale
from tests import tiny, tiny_features
from tests.test_recipes import (
    assert_equal,
    checkpoint,
    here,  # noqa: F401  a fixture
    interrupted,
    table,
    timeless,
    torchrun,
)
from train import distil

Here = Callable[..., int]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, a base, a teacher and a perceptual network of four channels."""
    folder = tmp_path_factory.mktemp("material")
    (folder / "photos").mkdir()
    random = np.random.default_rng(0)
    for name in "abc":
        picture = np.kron(random.integers(0, 256, (12, 13, 3)), np.ones((8, 8, 1)))
        Image.fromarray(picture.astype(np.uint8)).save(folder / "photos" / f"{name}.png")
    tiny.photo().save_pretrained(folder / "tiny-photo")
    torch.manual_seed(0)
    TransformerNet(channels=4, blocks=1).save_pretrained(folder / "teacher")
    MicroAST(channels=4).save_pretrained(folder / "shown")
    UNetGenerator(4, levels=7).save_pretrained(folder / "coarse")
    save_file(tiny_features.weights(), str(folder / "vgg.safetensors"))
    return folder


def options(material: Path, out: Path, *more: str) -> list[str]:
    text = f"--teacher {material}/teacher --photos {material}/photos --base {material}/tiny-photo"
    text += (
        f" --preview-photos {material}/photos --previews 1 --perceptual {material}/vgg.safetensors"
    )
    text += " --batch 3 --crop 96 --margin 8 --steps 4 --warmup 1 --log-every 1 --save-every 2"
    return [*text.split(), "--preview-every", "2", "--out", str(out), *more]


def test_a_run_leaves_a_style_and_resumes_exactly(
    material: Path,
    tmp_path: Path,
    here: Here,  # noqa: F811
) -> None:
    straight = tmp_path / "straight"
    assert here(distil, options(material, straight)) == 0
    net = StyleSRNet.from_pretrained(straight / "model")
    base = StyleSRNet.from_pretrained(material / "tiny-photo")
    assert (net.base, net.base_sha256) == ("tiny-photo", base.fingerprint())
    pipe = StyleSRPipeline.from_pretrained([material / "tiny-photo", straight / "model"])
    assert pipe(material / "photos" / "a.png", scale=4, strength=0.5).images[0].size == (416, 384)

    losses = table(straight / "losses.csv")
    assert [row["step"] for row in losses] == [1, 2, 3, 4]
    parts = ("pixel", "content", "style", "lattice", "discriminator", "steady")
    assert all(row[part] > 0 for row in losses for part in parts)
    assert [row["step"] for row in table(straight / "figures.csv")] == [2, 4]
    with Image.open(straight / "previews" / "step-0000004.png") as drawn:
        assert drawn.width > 4 * 96

    out = interrupted(straight, tmp_path / "resumed")
    assert here(distil, options(material, out, "--resume")) == 0
    assert_equal(checkpoint(out, 4), checkpoint(straight, 4))
    assert timeless(out / "losses.csv") == timeless(straight / "losses.csv")


def test_the_student_learns_what_the_teacher_does(
    material: Path,
    tmp_path: Path,
    here: Here,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(distil, "load_teacher", lambda recipe: distil.Teacher(Reddened()))
    out = tmp_path / "out"
    more = "--steps 20 --factors 2 --lr 1e-2 --batch 1 --adversarial 0 --steady 0 --ema 0.5"
    assert here(distil, options(material, out, *more.split(), "--preview-every", "20")) == 0
    photo = torch.from_numpy(np.array(Image.open(material / "photos" / "a.png")))
    photo = photo.permute(2, 0, 1)[None, :, :96, :96] / 255
    wanted = Reddened()(photo)
    base, style = (
        StyleSRNet.from_pretrained(model) for model in (material / "tiny-photo", out / "model")
    )
    with torch.no_grad():
        before, after = (
            (net(downscale(photo, 2), scale=2) - wanted).abs().mean() for net in (base, style)
        )
    assert after < 0.7 * before


def test_a_teacher_that_is_shown_works_paints_like_them_in_turn(
    material: Path,
    tmp_path: Path,
    here: Here,  # noqa: F811
) -> None:
    works = [str(material / "photos" / f"{name}.png") for name in "ab"]
    more = ["--teacher", str(material / "shown"), "--style-image", *works, "--steps", "1"]
    assert here(distil, options(material, tmp_path / "out", *more)) == 0
    assert (tmp_path / "out" / "model").is_dir()

    network = MicroAST.from_pretrained(material / "shown")
    random = torch.Generator().manual_seed(0)
    works, photos = (
        [torch.randint(0, 256, (3, 24, 32), dtype=torch.uint8, generator=random) for _ in range(2)]
        for _ in "12"
    )
    teacher = distil.Teacher(network, [work[None] / 255 for work in works])
    teacher.prepare(photos)
    x, other = (photo[None] / 255 for photo in photos)
    codes = [network.encode_style(work[None] / 255) for work in works]
    for turn in (0, 1, 2):
        code = codes[turn % 2]
        both = zip(network.statistics(x, code), network.statistics(other, code), strict=True)
        average = [((m + n) / 2, (d + e) / 2) for (m, d), (n, e) in both]
        torch.testing.assert_close(teacher(x, turn), network(x, code, by=average))
    assert not torch.allclose(teacher(x, 0), teacher(x, 1))

    own = distil.Teacher(network, teacher.works, average=False)
    own.prepare(photos)
    torch.testing.assert_close(own(x, 3), network(x, codes[1]))


def test_a_teacher_paints_alike_places_alike_whatever_is_far_away() -> None:
    random = torch.Generator().manual_seed(0)
    photos = [torch.randint(0, 256, (3, 96, 96), dtype=torch.uint8, generator=random) for _ in "12"]
    torch.manual_seed(0)
    network = TransformerNet(channels=4, blocks=1)
    teacher = distil.Teacher(network)
    x, other = (teacher.batch(photo) for photo in photos)
    x[..., :64], other[..., :64] = 0.5, 0.5  # a wall, and beside it one thing or another
    x[..., 64:] *= 0.2
    wall = (..., slice(None), slice(24))
    for conv in (part for part in network.modules() if isinstance(part, nn.Conv2d)):
        conv.weight.data *= 100  # it paints in [0, 255]
    assert (teacher(x)[wall] - teacher(other)[wall]).abs().max() > 0.01
    teacher.prepare(photos)
    torch.testing.assert_close(teacher(x)[wall], teacher(other)[wall])
    torch.testing.assert_close(teacher(x), network.pinned(map(teacher.batch, photos))(x))
    own = distil.Teacher(network, average=False)
    own.prepare(photos)
    assert torch.equal(own(x), network(x))


class Reddened(Generator):
    """A teacher whose work is easily told."""

    scales = (1,)
    paints = True

    def __init__(self) -> None:
        super().__init__()
        self.red = nn.Parameter(torch.tensor([1.0, 0, 0]).view(3, 1, 1))

    def receptive_field(self, scale: int) -> int:
        return 0

    def forward(self, x: Tensor, scale: int = 1) -> Tensor:
        return (x + self.red) / 2


@pytest.mark.slow
def test_two_processes_distil_and_resume(material: Path, tmp_path: Path) -> None:
    straight = tmp_path / "straight"
    recipe = Path(distil.__file__)
    torchrun(recipe, *options(material, straight))
    out = interrupted(straight, tmp_path / "resumed")
    torchrun(recipe, *options(material, out, "--resume"))
    assert_equal(checkpoint(out, 4), checkpoint(straight, 4))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("--teacher {material}/tiny-photo", "is a StyleSRNet; it takes a network that paints at"),
        ("--teacher {material}/nowhere", "nowhere"),
        ("--teacher {material}/shown", "is a MicroAST, which paints like a work; show it one with"),
        ("--teacher {material}/coarse", "has sides of 128 pixels or more"),
        ("--style-image {material}/photos/a.png", "which is shown no work; leave --style-image"),
        ("--teacher {material}/shown --style-image a.jpg", "a.jpg"),
        ("--factors 4 3", "--factors takes (1, 2, 4), got 3"),
        ("--crop 100", "--crop must be a multiple of 16, got 100"),
        ("--margin 20", "64 are the least"),
        ("--batch 1", "--batch must be at least 2, got 1"),
        ("--patience 2 --preview-photos=", "--patience needs --preview-photos"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    wrong: str,
    said: str,
    material: Path,
    tmp_path: Path,
    here: Here,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = wrong.format(material=material).split()
    assert here(distil, options(material, tmp_path / "out", *words)) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert said in lines[0]
    assert not (tmp_path / "out").exists(), "refused before any work"
