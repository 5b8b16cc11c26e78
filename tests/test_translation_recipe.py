"""train/translation.py, run as users run it, on pictures and networks made here."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from stylesr.models import ResnetGenerator, UNetGenerator
from stylesr.models.wrappers import BothWays
from tests.test_recipes import (
    TRAIN,
    assert_equal,
    assert_near,
    checkpoint,
    command,
    here,  # noqa: F401  a fixture
    interrupted,
    table,
    timeless,
    torchrun,
)
from train import translation

Here = Callable[..., int]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, works, and pairs of which the wanted one is the given one in negative."""
    folder = tmp_path_factory.mktemp("material")
    random = np.random.default_rng(0)
    for kind, low, high in [("photos", 0, 150), ("works", 100, 256)]:
        (folder / kind).mkdir()
        for name in "ab":
            picture = random.integers(low, high, (68, 76, 3), dtype=np.uint8)
            Image.fromarray(picture).save(folder / kind / f"{name}.png")
    (folder / "pairs").mkdir()
    for name in "ab":
        given = np.kron(random.integers(0, 256, (8, 9, 3)), np.ones((8, 8, 1)))
        pair = np.concatenate([given, 255 - given], 1).astype(np.uint8)
        Image.fromarray(pair).save(folder / "pairs" / f"{name}.png")
    return folder


def options(material: Path, out: Path, method: str) -> list[str]:
    kind = "photos" if method == "cyclegan" else "pairs"
    text = f"--method {method} --photos {material}/{kind} --preview-photos {material}/{kind}"
    if method == "cyclegan":
        text += f" --works {material}/works --cycle-noise 5"
    else:
        text += " --levels 3 --noise-levels 1"
    text += " --previews 1 --channels 4 --blocks 1 --critic 4 --patch 46 --crop 48 --batch 2"
    text += " --replay 3 --lattice 1 --steps 4 --log-every 1 --save-every 2 --preview-every 2"
    return [*text.split(), "--out", str(out)]


@pytest.fixture(scope="module")
def cycle_run(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps without a stop."""
    out = tmp_path_factory.mktemp("runs") / "cycle"
    command(TRAIN / "translation.py", *options(material, out, "cyclegan"))
    return out


def test_cyclegan_leaves_a_model_for_each_way(cycle_run: Path) -> None:
    there, back = (
        ResnetGenerator.from_pretrained(cycle_run / name) for name in ("model", "model-back")
    )
    assert there.config == back.config == {"channels": 4, "blocks": 1}
    assert there.fingerprint() != back.fingerprint()


def test_cyclegan_records_losses_and_previews(cycle_run: Path) -> None:
    losses = table(cycle_run / "losses.csv")
    assert [row["step"] for row in losses] == [1, 2, 3, 4]
    names = {"cycle", "identity", "adversarial", "lattice", "discriminator"}
    for row in losses:
        assert all(np.isfinite(value) for value in row.values())
        assert min(row[name] for name in names) > 0
    # falls to zero over the second half, as logged after the step
    assert [row["lr"] for row in losses] == pytest.approx([2e-4, 2e-4, 1e-4, 0])
    assert [row["step"] for row in table(cycle_run / "figures.csv")] == [2, 4]
    sheet = Image.open(cycle_run / "previews" / "step-0000004.png").convert("L")
    assert sheet.height > 2 * 68, "a photo there and back, and a work"
    assert len(np.unique(np.asarray(sheet))) > 50
    values = json.loads((cycle_run / "recipe.json").read_text())
    values.pop("processes")
    assert translation.Recipe(**values)


def test_cyclegan_resumes_exactly(
    cycle_run: Path,
    material: Path,
    tmp_path: Path,
    here: Here,  # noqa: F811
) -> None:
    """Its discriminators see the same earlier results."""
    out = interrupted(cycle_run, tmp_path / "cycle")
    assert here(translation, [*options(material, out, "cyclegan"), "--resume"]) == 0
    resumed = checkpoint(out, 4)
    assert len(resumed["replay_a"]["kept"]) == len(resumed["replay_b"]["kept"]) == 3
    assert_equal(resumed, checkpoint(cycle_run, 4))
    assert timeless(out / "losses.csv") == timeless(cycle_run / "losses.csv")
    assert table(out / "figures.csv") == table(cycle_run / "figures.csv")


def test_pix2pix_resumes_exactly_in_spite_of_dropout_and_noise(
    material: Path,
    tmp_path: Path,
    here: Here,  # noqa: F811
) -> None:
    straight = tmp_path / "straight"
    assert here(translation, options(material, straight, "pix2pix")) == 0
    config = UNetGenerator.from_pretrained(straight / "model").config
    assert (config["levels"], config["noise_levels"]) == (3, 1)
    assert not (straight / "model-back").exists()
    assert all(row["pixel"] > 0 for row in table(straight / "losses.csv"))
    out = interrupted(straight, tmp_path / "resumed")
    assert here(translation, [*options(material, out, "pix2pix"), "--resume"]) == 0
    assert_equal(checkpoint(out, 4), checkpoint(straight, 4))


def test_pix2pix_learns_its_pairs(
    material: Path,
    tmp_path: Path,
    here: Here,  # noqa: F811
) -> None:
    """Negatives: far from what is given."""
    more = "--lr 5e-3 --steps 50 --preview-every 25 --ema 0.9 --dropout 0 --gan-loss vanilla"
    more += " --save-every 50"
    assert here(translation, [*options(material, tmp_path / "x", "pix2pix"), *more.split()]) == 0
    figures = table(tmp_path / "x" / "figures.csv")
    assert figures[-1]["pixel"] < 0.8 * 255 / 3, "of two random pictures it is a third"


def test_other_losses_and_bfloat16_work_as_well(
    material: Path,
    tmp_path: Path,
    here: Here,  # noqa: F811
) -> None:
    more = "--gan-loss relativistic --weight-decay 1e-4 --mixed-precision bf16 --swap --steps 1"
    for method in ("pix2pix", "cyclegan"):
        out = tmp_path / method
        words = [w for w in more.split() if method == "pix2pix" or w != "--swap"]
        assert here(translation, [*options(material, out, method), *words]) == 0
        assert table(out / "losses.csv")[0]["adversarial"] > 0


def test_pix2pix_stops_early(
    material: Path,
    tmp_path: Path,
    here: Here,  # noqa: F811
) -> None:
    more = ["--lr", "1e-12", "--steps", "40", "--preview-every", "1", "--patience", "2"]
    assert here(translation, [*options(material, tmp_path / "x", "pix2pix"), *more]) == 0
    assert len(table(tmp_path / "x" / "figures.csv")) < 40


def test_a_run_goes_on_from_another(
    cycle_run: Path,
    material: Path,
    tmp_path: Path,
    here: Here,  # noqa: F811
) -> None:
    there, back = cycle_run / "model", cycle_run / "model-back"
    more = ["--init", str(there), "--init-back", str(back), "--lr", "1e-9", "--steps", "1"]
    assert here(translation, [*options(material, tmp_path / "x", "cyclegan"), *more]) == 0
    for name in ("model", "model-back"):
        one, two = (ResnetGenerator.from_pretrained(p / name) for p in (cycle_run, tmp_path / "x"))
        for a, b in zip(one.parameters(), two.parameters(), strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("method", "more", "message"),
    [
        ("pix2pix", "--works {}/works", "--works is of cyclegan"),
        ("pix2pix", "--crop 50", "--crop must be a multiple of 8, got 50"),
        ("pix2pix", "--crop 72", r"two pictures of 72×64, less than a --crop of 72"),
        ("cyclegan", "--crop 50", "--crop must be a multiple of 4, got 50"),
        ("cyclegan", "--patch 70", "--crop must be at least 72, got 48"),
        ("cyclegan", "--patch 60", "--patch must be 46 or 70, got 60"),
        ("cyclegan", "--patience 3", "--patience is of pix2pix"),
        ("cyclegan", "--cycle -1", "--cycle must be at least 0, got -1"),
        ("cyclegan", "--cycle-noise -1", "--cycle-noise must be at least 0, got -1"),
        ("cyclegan", "--works {}/none", "there is no folder"),
    ],
)
def test_what_cannot_work_is_refused(
    material: Path,
    tmp_path: Path,
    here: Here,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    method: str,
    more: str,
    message: str,
) -> None:
    arguments = [*options(material, tmp_path / "x", method), *more.format(material).split()]
    assert here(translation, arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x" / "checkpoints").exists()


def test_cyclegan_without_works_is_refused(
    material: Path,
    tmp_path: Path,
    here: Here,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert here(translation, ["--photos", f"{material}/photos", "--out", str(tmp_path / "x")]) == 2
    assert "cyclegan needs --works" in capsys.readouterr().err


def test_both_ways_are_six_calls(noise: Callable[..., torch.Tensor]) -> None:
    """What CycleGAN's equations ask for, each network called by itself."""
    there, back = ResnetGenerator(4, 1).eval(), ResnetGenerator(4, 1).eval()
    a, b = noise(2, 3, 16, 16), noise(2, 3, 16, 16, seed=1)
    made = BothWays(there, back)(a, b)
    expected = [there(a), back(b), back(there(a)), there(back(b)), back(a), there(b)]
    for one, two in zip(made, expected, strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=0)
    assert F.l1_loss(made.a_same, made.a_again) > 0


def test_the_way_back_sees_through_noise(noise: Callable[..., torch.Tensor]) -> None:
    there, back = ResnetGenerator(4, 1).eval(), ResnetGenerator(4, 1).eval()
    a, b = noise(2, 3, 16, 16), noise(2, 3, 16, 16, seed=1)
    torch.manual_seed(0)
    made, clear = BothWays(there, back, noise=0.1)(a, b), BothWays(there, back)(a, b)
    torch.manual_seed(0)
    veil, other = (0.1 * torch.randn(2, 3, 16, 16) for _ in "ab")
    torch.testing.assert_close(made.a_again, back(made.b + veil), atol=1e-5, rtol=0)
    torch.testing.assert_close(made.b_again, there(made.a + other), atol=1e-5, rtol=0)
    assert torch.equal(made.b, clear.b), "what is made and judged has none"


@pytest.mark.slow
def test_two_processes_train_as_one_with_their_batches(
    material: Path,
    tmp_path: Path,
    here: Here,  # noqa: F811
) -> None:
    """Each has crops of its own; without earlier results and noise, which each draws for itself."""
    one, two = tmp_path / "one", tmp_path / "two"
    alike = ["--replay", "0", "--lattice", "0", "--cycle-noise", "0"]  # lattice: slopes of rounding
    torchrun(TRAIN / "translation.py", *options(material, two, "cyclegan"), *alike)
    assert json.loads((two / "recipe.json").read_text())["processes"] == 2
    more = [*options(material, one, "cyclegan"), *alike, "--batch", "4"]
    assert here(translation, more) == 0
    ours, expected = checkpoint(two, 4), checkpoint(one, 4)
    for state in (ours, expected):  # normalisation takes a bias away: it moves by rounding alone
        for part in ("networks", "ema"):
            state[part] = {k: v for k, v in state[part].items() if not k.endswith(".bias")}
    assert_near(ours, expected, ("networks", "critics", "ema"))
