"""The drawings from which styles can be trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylesr.errors import InputError
from train import drawings


@pytest.mark.parametrize("name", drawings.TECHNIQUES)
def test_a_drawing_repeats_with_its_seed_and_has_all_tones(name: str) -> None:
    picture = drawings.draw(name, seed=3, size=128)
    assert (picture.mode, picture.size) == ("RGB", (128, 128))
    assert picture.tobytes() == drawings.draw(name, seed=3, size=128).tobytes()
    tones, other = (np.asarray(p.convert("L")) for p in (picture, drawings.draw(name, 4, 128)))
    assert np.abs(tones.astype(int) - other).mean() > 10, "another seed, another picture"
    assert tones.std() > 30
    assert (tones < 80).mean() > 0.03
    assert (tones > 150).mean() > 0.03


@pytest.mark.parametrize("name", drawings.BOLD)
def test_a_plan_shows_the_parts_of_its_drawing(name: str) -> None:
    drawn = np.asarray(drawings.draw(name, 3, 128), float).reshape(-1, 3)
    shares = []
    for seed in (3, 4):
        flat = np.asarray(drawings.plan(name, seed, 128)).reshape(-1, 3)
        often = np.unique(flat, axis=0, return_counts=True)[1]
        assert often[often > 40].sum() > 0.8 * len(flat), "flat but for the borders of parts"
        shares.append(explained(drawn, flat // 32 @ [64, 8, 1]))
    assert shares[0] > 1.5 * shares[1], "not another landscape's"


def explained(values: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> float:
    """Share of the variance that lies between the labels."""
    sums = np.stack([np.bincount(labels, channel) for channel in values.T], 1)
    means = sums / np.maximum(np.bincount(labels), 1)[:, None]
    return float(means[labels].var(0).sum() / values.var(0).sum())


def test_pairs_are_plan_and_drawing(tmp_path: Path) -> None:
    assert drawings.main(["linocut", "--plans", "--out", str(tmp_path), "--size", "64"]) == 0
    with Image.open(tmp_path / "linocut.png") as pair:
        halves = pair.crop((0, 0, 64, 64)), pair.crop((64, 0, 128, 64))
    assert [half.tobytes() for half in halves] == [
        make("linocut", 0, 64).tobytes() for make in (drawings.plan, drawings.draw)
    ]
    out = tmp_path / "all"
    assert drawings.main(["--plans", "--out", str(out), "--size", "64"]) == 0
    assert {path.stem for path in out.iterdir()} == {*drawings.BOLD}


def test_lines_keep_apart_and_stay_in_their_part() -> None:
    part = np.zeros((200, 200), np.int16)
    part[:, 100:] = 1
    flow = np.full((200, 200), 0.4, np.float32)
    spacing = np.full((200, 200), 10, np.float32)
    spacing[150:] = 0
    lines = list(drawings.strokes(np.random.default_rng(0), part, flow, spacing, (20, 80)))
    assert len(lines) > 20
    for line in lines:
        assert len(np.unique(drawings.at(part, line))) == 1
        assert line[:, 1].max() < 150
        others = np.concatenate([other for other in lines if other is not line])
        gaps = np.hypot(*(line[:, None] - others).transpose(2, 0, 1))
        assert gaps.min() > 4


def test_blur_is_a_mean_that_keeps_the_level() -> None:
    assert np.allclose(drawings.blur(np.full((30, 30), 0.7, np.float32), 4), 0.7)
    point = np.zeros((61, 61), np.float32)
    point[30, 30] = 1
    soft = drawings.blur(point, 5)
    assert soft.sum() == pytest.approx(1, abs=1e-4)
    rows = np.arange(61) - 30
    assert np.sqrt((soft.sum(1) * rows**2).sum()) == pytest.approx(5, rel=0.15)
    assert np.allclose(soft, soft.T, atol=1e-7)


def test_the_command_draws_what_is_named(tmp_path: Path) -> None:
    out = tmp_path / "new" / "drawings"
    assert drawings.main(["stipple", "--out", str(out), "--size", "64", "--seed", "1"]) == 0
    assert [path.name for path in out.iterdir()] == ["stipple.png"]
    with Image.open(out / "stipple.png") as picture:
        assert picture.tobytes() == drawings.draw("stipple", 1, 64).tobytes()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["stipple", "mosaic"], f"no drawing 'mosaic'; there are {', '.join(drawings.TECHNIQUES)}"),
        (["--size", "20"], "--size must be at least 64, got 20"),
        (["--seed", "-1"], "--seed must be at least 0, got -1"),
        (["paper-cut", "--plans"], "'paper-cut' has no plan; these have one: ink-hatching"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    wrong: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert drawings.main([*wrong, "--out", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir()), "refused before any work"
    with pytest.raises(InputError, match="glass-mosaic"):
        drawings.draw("mosaic")
