"""train/from_noise.py, run as users run it, on pictures made here."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylesr.models import DCGAN
from tests.test_recipes import (
    assert_equal,
    checkpoint,
    here,  # noqa: F401  a fixture
    interrupted,
    table,
    timeless,
)
from train import from_noise

Here = Callable[..., int]


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """Of a run on red and blue pictures."""
    (tmp_path / "photos").mkdir()
    for name, colour in [("red", (230, 30, 20)), ("blue", (20, 40, 220))]:
        Image.new("RGB", (40, 36), colour).save(tmp_path / "photos" / f"{name}.png")
    text = f"--photos {tmp_path}/photos --size 16 --noise 4 --channels 4 --critic 4 --batch 4"
    return [*text.split(), "--log-every", "1", "--save-every", "2", "--preview-every", "2"]


def test_a_run_records_draws_and_resumes_exactly(
    options: list[str],
    tmp_path: Path,
    here: Here,  # noqa: F811
) -> None:
    straight = tmp_path / "straight"
    more = ["--steps", "4", "--r1", "1"]
    assert here(from_noise, [*options, *more, "--out", str(straight)]) == 0
    assert {p.name for p in (straight / "previews").iterdir()} == {
        "real.png",
        "step-0000002.png",
        "step-0000004.png",
    }
    assert all(row["variety"] > 0 for row in table(straight / "figures.csv"))
    assert {"discriminator", "r1", "generator"} <= table(straight / "losses.csv")[0].keys()
    assert DCGAN.from_pretrained(straight / "model").config["size"] == 16
    out = interrupted(straight, tmp_path / "resumed")
    assert here(from_noise, [*options, *more, "--out", str(out), "--resume"]) == 0
    assert_equal(checkpoint(out, 4), checkpoint(straight, 4))
    assert timeless(out / "losses.csv") == timeless(straight / "losses.csv")


def test_it_learns_both_colours(
    options: list[str],
    tmp_path: Path,
    here: Here,  # noqa: F811
) -> None:
    more = "--steps 150 --lr 5e-3 --critic-lr 5e-3 --ema 0.8 --batch 8 --preview-every 150"
    out = ["--log-every", "50", "--save-every", "150", "--out", str(tmp_path / "x")]
    assert here(from_noise, [*options, *more.split(), *out]) == 0
    with torch.inference_mode():
        drawn = DCGAN.from_pretrained(tmp_path / "x" / "model").draw(32).mean((2, 3))
    green = drawn[:, 1]
    assert green.mean() < 0.35, "neither has much green; gray has half"
    assert np.isfinite(drawn.numpy()).all()


def test_what_cannot_work_is_refused(
    options: list[str],
    tmp_path: Path,
    here: Here,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    for more, message in [
        (["--size", "48"], "size must be 16, 32, 64 or 128, got 48"),
        (["--size", "64", "--side", "64"], "sides of 64 pixels or more"),
        (["--batch", "1"], "--batch must be at least 2"),
        (["--side", "8"], "--side must be at least 16, got 8"),
    ]:
        assert here(from_noise, [*options, *more, "--out", str(tmp_path / "x")]) == 2
        assert message in capsys.readouterr().err
