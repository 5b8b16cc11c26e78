"""train/any_style.py, run as users run it, on pictures and networks made here."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylesr.models import AdaINNet, StyleSRNet
from stylesr.pipeline import StyleSRPipeline
from tests import tiny
from tests.test_recipes import (  # noqa: F401
    assert_equal,
    checkpoint,
    here,
    interrupted,
    material,
    table,
    timeless,
)
from train import any_style


@pytest.fixture(scope="module")
def works(material: Path) -> Path:  # noqa: F811
    """Two works to train with, one too small, and a base that can be cut."""
    (material / "works").mkdir()
    values = np.random.default_rng(5)
    for name, side in [("a", 80), ("b", 96), ("small", 40)]:
        picture = values.integers(0, 256, (side, side + 6, 3), dtype=np.uint8)
        Image.fromarray(picture).save(material / "works" / f"{name}.png")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        base = StyleSRNet(channels=8, blocks=3, tail_channels=(8, 4), noise_levels=2)
    tiny._perturb(base, 0)
    torch.nn.init.zeros_(base.noise.weight)
    base.save_pretrained(material / "deeper-photo")
    return material / "works"


def options(material: Path, out: Path) -> list[str]:  # noqa: F811
    words = f"--photos {material}/photos --preview-photos {material}/photos --previews 1"
    words += f" --styles {material}/works --held-out {material}/painting.png --works-size 128"
    words += f" --base {material}/deeper-photo --strokes= --perceptual {material}/vgg.safetensors"
    words += " --crop 80 --margin 8 --style-crop 64 --line 0.5 --warmup 1 --steps 4"
    words += " --log-every 1 --save-every 2 --preview-every 2"
    return [*words.split(), "--out", str(out)]


@pytest.fixture(scope="module")
def trained(
    material: Path,  # noqa: F811
    works: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Four steps without a stop."""
    from tests.test_recipes import TRAIN, command

    out = tmp_path_factory.mktemp("runs") / "any"
    command(TRAIN / "any_style.py", *options(material, out))
    return out


def test_a_run_leaves_a_network_that_paints_like_any_picture(
    trained: Path,
    material: Path,  # noqa: F811
) -> None:
    net = AdaINNet.from_pretrained(trained / "model")
    base = StyleSRNet.from_pretrained(material / "deeper-photo")
    assert net.base == "deeper-photo"
    for name, value in base.skips.state_dict().items():
        assert torch.equal(net.skips.state_dict()[name], value), "the linear path is not learnt"
    assert not torch.equal(net.last.weight, base.last.weight)
    assert net.widen.weight.any() and net.modulator.last.weight.any()
    pipe = StyleSRPipeline.from_pretrained([material / "deeper-photo", trained / "model"])
    photo, work = material / "photos" / "a.png", material / "painting.png"
    image = pipe(photo, scale=2, style_image=work).images[0]
    assert image.size == (200, 192)


def test_a_run_records_losses_figures_and_previews(trained: Path) -> None:
    losses = table(trained / "losses.csv")
    assert [row["step"] for row in losses] == [1, 2, 3, 4]
    for row in losses:
        assert all(np.isfinite(list(row.values())))
        assert min(row[name] for name in ("distil", "content", "style", "tone", "edge")) > 0
    assert any(row["faithful"] > 0 for row in losses) and any(
        row["faithful"] == 0 for row in losses
    )
    figures = table(trained / "figures.csv")
    assert [row["step"] for row in figures] == [2, 4]
    assert all(row["content"] > 0 and row["style"] > 0 for row in figures)
    with Image.open(trained / "previews" / "step-0000004.png") as sheet:
        assert sheet.width == 2 * 96 + 4  # a photo, and in the one work held out


def test_a_run_resumes_exactly(
    trained: Path,
    material: Path,  # noqa: F811
    tmp_path: Path,
    here: Callable[..., int],  # noqa: F811
) -> None:
    out = interrupted(trained, tmp_path / "any")
    assert here(any_style, [*options(material, out), "--resume"]) == 0
    assert_equal(checkpoint(out, 4), checkpoint(trained, 4))
    assert timeless(out / "losses.csv") == timeless(trained / "losses.csv")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("--styles {m}/missing", "there is no folder '{m}/missing'"),
        ("--styles {m}/works/small.png", "has sides of 64 pixels or more"),
        ("--held-out {m}/missing", "there is no folder '{m}/missing'"),
        ("--strokes starry-night", "starry-night is of another size than {m}/deeper-photo"),
        ("--base {m}/tiny-photo", "blocks must be a whole number from 3 to 32, got 1"),
        ("--init {m}/tiny-photo", "holds a StyleSRNet, not a AdaINNet"),
        ("--crop 72", "--crop must be a multiple of 16, got 72"),
        ("--style-crop 68", "--style-crop must be a multiple of 8, got 68"),
        ("--margin 12", "leaves 56 pixels; it must be a multiple of 4 from 64"),
        ("--batch 3", "--batch must be at least 4, got 3"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    wrong: str,
    message: str,
    material: Path,  # noqa: F811
    works: Path,
    tmp_path: Path,
    here: Callable[..., int],  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = wrong.format(m=material).split()
    assert here(any_style, [*options(material, tmp_path / "out"), *words]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("error: "), said
    assert message.format(m=material) in said[0]


def test_previews_need_photos_and_works(
    material: Path,  # noqa: F811
    works: Path,
    tmp_path: Path,
    here: Callable[..., int],  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--styles", str(works), "--photos", str(material / "photos"), "--out", str(tmp_path)]
    assert here(any_style, [*words, "--held-out", str(works)]) == 2
    assert "give both" in capsys.readouterr().err


def test_new_colours_keep_the_drawing() -> None:
    """Channels change places, are inverted, lit anew, paler: what is flat stays flat."""
    style = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    style[..., 2:] = torch.tensor([0.2, 0.5, 0.7])[:, None, None]
    seen = set()
    for seed in range(40):
        other = any_style.recolored(style, random.Random(seed))
        assert other.shape == style.shape and other.min() >= 0 and other.max() <= 1
        flat = other[0, :, :, 2:].flatten(1)
        assert torch.allclose(flat, flat[:, :1].expand_as(flat), atol=1e-6)
        seen.add(tuple(flat[:, 0].tolist()))
    assert len(seen) > 25
