"""The recipes of train/, run as users run them, on pictures and networks made here."""

import argparse
import csv
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.commands.launch import launch_command_parser as accelerate_parser
from accelerate.state import AcceleratorState
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.distributed.run import get_args_parser as torchrun_parser

from stylesr import training
from stylesr.blending import strength
from stylesr.errors import ModelError
from stylesr.models import Generator, StyleSRNet, TransformerNet
from stylesr.pipeline import StyleSRPipeline
from tests import tiny, tiny_features
from train import any_style, distil, from_noise, style, super_resolution, translation

ROOT = Path(__file__).parents[1]
TRAIN = ROOT / "train"
RECIPES = (super_resolution, style, distil, translation, from_noise, any_style)
TINY = ["--channels", "8", "--blocks", "1", "--tail-channels", "8", "4"]


# -- what the recipes are given -----------------------------------------------------------------


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, a painting, a base, and a perceptual network of four channels."""
    folder = tmp_path_factory.mktemp("material")
    (folder / "photos").mkdir()
    random = np.random.default_rng(0)
    for name, low, high in [("a", 0, 150), ("b", 60, 256), ("c", 100, 200)]:
        picture = random.integers(low, high, (96, 100, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / "photos" / f"{name}.png")
    picture = random.integers(0, 256, (90, 80, 3), dtype=np.uint8) // [1, 2, 4]
    Image.fromarray(picture.astype(np.uint8)).save(folder / "painting.png")
    tiny.photo().save_pretrained(folder / "tiny-photo")
    save_file(tiny_features.weights(), str(folder / "vgg.safetensors"))
    return folder


def photo_options(material: Path, out: Path) -> list[str]:
    photos = str(material / "photos")
    options = f"--photos {photos} --validation {photos} --preview-photos {photos} --previews 1"
    options += " --batch 3 --crop 40 --steps 4 --log-every 1 --save-every 2 --preview-every 2"
    return [*TINY, *options.split(), "--frequency", "0.1", "--warmup", "1", "--out", str(out)]


def style_options(material: Path, out: Path) -> list[str]:
    options = f"--photos {material}/photos --preview-photos {material}/photos --previews 2"
    options += f" --style-image {material}/painting.png --base {material}/tiny-photo"
    options += f" --perceptual {material}/vgg.safetensors --line 0.5 --warmup 1"
    options += " --batch 4 --crop 72 --margin 4 --steps 4 --log-every 1 --save-every 2"
    return [*options.split(), "--preview-every", "2", "--init", "", "--out", str(out)]


# -- how they are run ---------------------------------------------------------------------------


def environment() -> dict[str, str]:
    """One thread, no GPU: so that a run repeats exactly."""
    own = {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "PYTHONPATH": str(ROOT)}
    return {**os.environ, **own}


def command(*words: str | Path, timeout: float = 600) -> str:
    """Run a command to its end, with all that it starts; returns what it wrote."""
    process = subprocess.Popen(
        [sys.executable, *map(str, words)],
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        pytest.fail(f"no end after {timeout} s: {said}")
    assert process.returncode == 0, said
    return said


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """`here(recipe, options)`: run a recipe in this process; returns its exit code."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def run(recipe: Any, options: list[str]) -> int:
        try:
            return training.run(recipe.main, recipe.Recipe, recipe.__doc__, options)
        finally:
            AcceleratorState._reset_state(reset_partial_state=True)

    yield run
    torch.set_num_threads(threads)


def interrupted(straight: Path, out: Path) -> Path:
    """A copy of a run of four steps as if it had been killed after step 3, resumable at 2."""
    shutil.copytree(straight, out)
    for file in (out / "checkpoints").glob("step-0000004.*"):
        file.unlink()
    for table in ("losses.csv", "figures.csv"):
        lines = (out / table).read_text().splitlines(keepends=True)
        (out / table).write_text("".join(line for line in lines if not line.startswith("4,")))
    return out


def table(path: Path) -> list[dict[str, float]]:
    with path.open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def timeless(path: Path) -> list[dict[str, float]]:
    """The rows of losses.csv without the column that differs between two runs."""
    return [{k: v for k, v in row.items() if k != "minutes"} for row in table(path)]


def assert_equal(a: Any, b: Any, place: str = "") -> None:
    """Two states are equal, every bit of every tensor in them."""
    assert type(a) is type(b), place
    if isinstance(a, dict):
        assert list(a) == list(b), place
        for key in a:
            assert_equal(a[key], b[key], f"{place}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), place
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_equal(x, y, f"{place}/{index}")
    elif isinstance(a, Tensor):
        assert torch.equal(a, b), place
    else:
        assert a == b, place


def checkpoint(out: Path, step: int) -> dict[str, Any]:
    return torch.load(out / "checkpoints" / f"step-{step:07d}.pt", weights_only=True)


# -- super-resolution ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photo_run(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps without a stop, by `accelerate launch`."""
    out = tmp_path_factory.mktemp("runs") / "photo"
    launch = "-m accelerate.commands.launch --cpu --num_processes 1 --num_machines 1"
    launch += " --mixed_precision no --dynamo_backend no"
    recipe = TRAIN / "super_resolution.py"
    command(*launch.split(), recipe, *photo_options(material, out))
    return out


def test_photo_run_leaves_a_model_that_loads(photo_run: Path) -> None:
    net = StyleSRNet.from_pretrained(photo_run / "model")
    assert net.base is None
    assert net.config["tail_channels"] == [8, 4]
    assert torch.count_nonzero(net.noise.weight) == 0
    assert torch.count_nonzero(net.last.weight) > 0, "the last layer starts at zero and learns"
    assert StyleSRPipeline.from_pretrained(photo_run / "model").styles == []


def test_photo_run_records_losses_figures_and_previews(photo_run: Path) -> None:
    losses = table(photo_run / "losses.csv")
    assert [row["step"] for row in losses] == [1, 2, 3, 4]
    assert all(0 < row["l1"] < 1 and 0 < row["frequency"] < 1 for row in losses)
    assert [row["minutes"] for row in losses] == sorted(row["minutes"] for row in losses)
    # warmed up after one step; the rate falls to zero over the last 40 %, as logged after the step
    assert [row["lr"] for row in losses] == pytest.approx([1e-3, 1e-3, 6.25e-4, 0])
    figures = table(photo_run / "figures.csv")
    assert [row["step"] for row in figures] == [2, 4]
    assert all(5 < row["photos_x2"] < 60 and 5 < row["photos_x4"] < 60 for row in figures)
    assert_run_folder(photo_run, [2, 4], b"photos_x2")
    values = json.loads((photo_run / "recipe.json").read_text())
    assert values["processes"] == 1
    assert super_resolution.Recipe(**{k: v for k, v in values.items() if k != "processes"})


def assert_run_folder(out: Path, previews: list[int], tag: bytes) -> None:
    sheets = sorted((out / "previews").glob("step-*.png"))
    assert [sheet.stem for sheet in sheets] == [f"step-{step:07d}" for step in previews]
    for sheet in sheets:
        assert len(np.unique(Image.open(sheet).convert("L"))) > 50, "a preview shows something"
    assert np.asarray(Image.open(out / "losses.png")).shape[1] > 600
    assert tag in b"".join(file.read_bytes() for file in out.rglob("events.out.tfevents.*"))
    assert StyleSRNet.from_pretrained(out / "best").config["channels"] == 8


def test_photo_run_averages_the_weights(photo_run: Path) -> None:
    """`model/` holds the moving average: after the first step a copy, then lerp by 1 - decay."""
    at2, at4 = checkpoint(photo_run, 2), checkpoint(photo_run, 4)
    assert at4["ema"]["n_averaged"] == 4
    saved = load_file(photo_run / "model" / "model.safetensors")
    for name, value in at4["model"].items():
        average = at4["ema"][f"module.{name}"]
        assert torch.equal(saved[name], average)
        slow = (average - at2["ema"][f"module.{name}"]).abs().max()
        assert slow <= (value - at2["model"][name]).abs().max()
    bias = "last.bias"
    assert not torch.equal(saved[bias], at4["model"][bias])


def test_photo_run_resumes_exactly(
    photo_run: Path, material: Path, tmp_path: Path, here: Callable[..., int]
) -> None:
    out = interrupted(photo_run, tmp_path / "photo")
    assert here(super_resolution, [*photo_options(material, out), "--resume"]) == 0
    assert_equal(checkpoint(out, 4), checkpoint(photo_run, 4))
    assert timeless(out / "losses.csv") == timeless(photo_run / "losses.csv")
    assert table(out / "figures.csv") == table(photo_run / "figures.csv")
    assert load_file(out / "model/model.safetensors").keys() == StyleSRNet(8, 1).state_dict().keys()


# -- restoration --------------------------------------------------------------------------------


def restore_options(material: Path, out: Path) -> list[str]:
    options = f"--photos {material}/photos --preview-photos {material}/photos --previews 1"
    options += f" --base {material}/tiny-photo --degradation blind --clean 0.3"
    options += f" --validation {material}/photos"
    options += f" --perceptual {material}/vgg.safetensors --perceptual-weight 1"
    options += " --lattice 1 --spectrum 1 --adversarial 0.1 --critic 4 --warmup 1"
    options += " --log-every 1 --save-every 2 --batch 4 --crop 40 --steps 4 --preview-every 2"
    return [*options.split(), "--out", str(out)]


@pytest.fixture(scope="module")
def restored_run(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps without a stop."""
    out = tmp_path_factory.mktemp("runs") / "vivid"
    command(TRAIN / "super_resolution.py", *restore_options(material, out))
    return out


def test_restored_run_leaves_a_model_that_blends_with_its_base(
    restored_run: Path, material: Path
) -> None:
    base = StyleSRNet.from_pretrained(material / "tiny-photo")
    net = StyleSRNet.from_pretrained(restored_run / "model")
    assert (net.base, net.base_sha256) == ("tiny-photo", base.fingerprint())
    assert torch.count_nonzero(net.noise.weight) == 0
    assert not torch.equal(net.last.weight, base.last.weight)
    assert net.fingerprint() != base.fingerprint()
    half = strength(base, net, 0.5)
    assert torch.allclose(half.last.bias, (base.last.bias + net.last.bias) / 2)
    pipe = StyleSRPipeline.from_pretrained([material / "tiny-photo", restored_run / "model"])
    assert pipe.styles == ["model"]


def test_restored_run_records_each_loss(restored_run: Path) -> None:
    losses = table(restored_run / "losses.csv")
    assert [row["step"] for row in losses] == [1, 2, 3, 4]
    for row in losses:
        assert all(math.isfinite(value) for value in row.values())
        assert min(row["l1"], row["perceptual"], row["discriminator"]) > 0
        assert row["adversarial"] != 0
    sheets = sorted((restored_run / "previews").glob("step-*.png"))
    assert [sheet.stem for sheet in sheets] == ["step-0000002", "step-0000004"]


def test_restored_run_resumes_exactly(
    restored_run: Path, material: Path, tmp_path: Path, here: Callable[..., int]
) -> None:
    out = interrupted(restored_run, tmp_path / "vivid")
    assert here(super_resolution, [*restore_options(material, out), "--resume"]) == 0
    resumed = checkpoint(out, 4)
    assert {"model", "ema", "critic", "d_optimizer", "optimizer", "scheduler"} <= resumed.keys()
    assert_equal(resumed, checkpoint(restored_run, 4))
    assert timeless(out / "losses.csv") == timeless(restored_run / "losses.csv")


@pytest.mark.slow
def test_two_processes_restore_and_resume(
    restored_run: Path, material: Path, tmp_path: Path
) -> None:
    straight = tmp_path / "straight"
    torchrun(TRAIN / "super_resolution.py", *restore_options(material, straight))
    one, two = (StyleSRNet.from_pretrained(out / "model") for out in (restored_run, straight))
    assert one.fingerprint() != two.fingerprint(), "the second process adds photos of its own"
    out = interrupted(straight, tmp_path / "resumed")
    torchrun(TRAIN / "super_resolution.py", *restore_options(material, out), "--resume")
    assert_equal(checkpoint(out, 4), checkpoint(straight, 4))


def test_each_loss_works_by_itself(
    material: Path, tmp_path: Path, here: Callable[..., int]
) -> None:
    """Bad pictures with the loss of pixels alone; a discriminator without features."""
    plain = [*photo_options(material, tmp_path / "a"), "--degradation", "mild", "--steps", "1"]
    assert here(super_resolution, plain) == 0
    assert {"l1", "frequency"} <= (row := table(tmp_path / "a/losses.csv")[0]).keys()
    assert not {"perceptual", "adversarial", "discriminator"} & row.keys()
    judged = [*photo_options(material, tmp_path / "b"), "--adversarial", "0.1", "--critic", "4"]
    assert here(super_resolution, [*judged, "--steps", "1"]) == 0
    row = table(tmp_path / "b/losses.csv")[0]
    assert {"adversarial", "discriminator"} <= row.keys() and "perceptual" not in row
    assert StyleSRNet.from_pretrained(tmp_path / "b" / "model").base is None


def test_a_last_leg_can_minimise_the_squared_error(
    photo_run: Path, material: Path, tmp_path: Path, here: Callable[..., int]
) -> None:
    options = [*photo_options(material, tmp_path / "photo"), "--steps", "1", "--pixel", "l2"]
    assert here(super_resolution, [*options, "--init", str(photo_run / "model")]) == 0
    row = table(tmp_path / "photo/losses.csv")[0]
    assert "l1" not in row
    first = table(photo_run / "losses.csv")[0]
    assert 0 < row["l2"] < first["l1"], "the mean of squares of differences below 1"


@pytest.mark.parametrize("option", ["--weight-decay", "--weight-l1"])
def test_weights_are_kept_small(
    option: str, material: Path, tmp_path: Path, here: Callable[..., int]
) -> None:
    """Both pull all of them towards zero, by about the rate at each step."""
    words = f"--photos {material}/photos --network espcn --config channels=8 --crop 40 --batch 2"
    words += " --steps 3 --warmup 0 --lr 1e-2 --pixel-weight 0.001 --log-every 1"
    sizes = []
    for out, weight in (("free", "0"), ("kept", "10")):
        more = [option, weight, "--out", str(tmp_path / out)]
        assert here(super_resolution, [*words.split(), *more]) == 0
        state = checkpoint(tmp_path / out, 3)["model"]
        sizes.append(sum(float(value.abs().sum()) for value in state.values()))
    assert sizes[1] < 0.9 * sizes[0]
    assert ("weights" in table(tmp_path / "kept" / "losses.csv")[0]) == (option == "--weight-l1")


def test_bicubic_and_blind_inputs_differ(
    photo_run: Path, material: Path, tmp_path: Path, here: Callable[..., int]
) -> None:
    options = [*photo_options(material, tmp_path / "photo"), "--steps", "1", "--warmup", "0"]
    assert here(super_resolution, [*options, "--degradation", "blind", "--clean", "0"]) == 0
    first, second = table(photo_run / "losses.csv")[0], table(tmp_path / "photo/losses.csv")[0]
    assert second["l1"] > 1.05 * first["l1"]


def test_another_seed_gives_another_network(
    photo_run: Path, material: Path, tmp_path: Path, here: Callable[..., int]
) -> None:
    options = [*photo_options(material, tmp_path / "photo"), "--seed", "1"]
    assert here(super_resolution, [*options, "--steps", "1", "--warmup", "0"]) == 0
    first, second = table(photo_run / "losses.csv")[0], table(tmp_path / "photo/losses.csv")[0]
    assert first["l1"] != second["l1"]


def test_two_processes_stop_early_together(material: Path, tmp_path: Path) -> None:
    """Nothing is learnt at rate 0, so the second look brings no gain: both must leave the loop."""
    out = tmp_path / "photo"
    options = [*photo_options(material, out), "--lr", "0", "--patience", "1"]
    options += ["--steps", "50", "--preview-every", "1"]
    torchrun(TRAIN / "super_resolution.py", *options)
    assert [row["step"] for row in table(out / "figures.csv")] == [1, 2]
    assert checkpoint(out, 2)["stop"]["since"] == 1
    assert json.loads((out / "recipe.json").read_text())["processes"] == 2


@pytest.mark.slow
def test_two_processes_train_as_one_with_their_batches(
    material: Path, tmp_path: Path, here: Callable[..., int]
) -> None:
    """With a discriminator, where all pictures of a batch are enlarged by the same factor."""
    one, two = tmp_path / "one", tmp_path / "two"
    words = f"--photos {material}/photos --network espcn --config channels=8 --crop 40 --steps 4"
    words += " --adversarial 0.1 --discriminator vgg --critic 4 --r1 1 --warmup 1 --log-every 1"
    words += " --gan-loss vanilla"  # hinge moves no bias at first, but for rounding
    torchrun(TRAIN / "super_resolution.py", *words.split(), "--batch", "2", "--out", two)
    assert here(super_resolution, [*words.split(), "--batch", "4", "--out", str(one)]) == 0
    assert_near(checkpoint(two, 4), checkpoint(one, 4), ("model", "critic", "ema"))


def assert_near(a: dict[str, Any], b: dict[str, Any], parts: Sequence[str]) -> None:
    """Weights of two runs whose sums were made in another order: within 1e-5, Adam's rate 1e-3."""
    for part in parts:
        assert a[part].keys() == b[part].keys()
        for name, value in a[part].items():
            torch.testing.assert_close(value, b[part][name], atol=1e-5, rtol=1e-4, msg=name)


def torchrun(*words: str | Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = f"-m torch.distributed.run --nproc_per_node 2 --master_port {port}"
    command(*launch.split(), *words)


def test_ctrl_c_ends_a_run_after_a_whole_step(material: Path, tmp_path: Path) -> None:
    out = tmp_path / "photo"
    words = [*photo_options(material, out), "--steps", "1000000", "--save-every", "1000000"]
    words += ["--preview-every", "1000000"]
    process = subprocess.Popen(
        [sys.executable, str(TRAIN / "super_resolution.py"), *words],
        env=environment(),
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 240
        while not (out / "losses.csv").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    assert said.splitlines()[-1] == "stopped; the same command with --resume goes on"
    assert "Traceback" not in said
    last = int(table(out / "losses.csv")[-1]["step"])
    assert checkpoint(out, last)["step"] == last
    assert StyleSRNet.from_pretrained(out / "model").base is None


def test_a_run_that_diverges_leaves_its_good_checkpoint(
    material: Path, tmp_path: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """A rate of 1e30 breaks the network with the first step: every later one is skipped."""
    out = tmp_path / "photo"
    options = [*photo_options(material, out), "--steps", "100", "--lr", "1e30", "--warmup", "0"]
    assert here(super_resolution, [*options, "--save-every", "1", "--preview-every", "100"]) == 1
    captured = capsys.readouterr()
    assert "error: 5 steps in a row had gradients that are not finite" in captured.err
    assert "Traceback" not in captured.err
    assert captured.out.count("a step skipped") == 5
    state = training.load_checkpoint(out / "checkpoints")
    assert state["step"] == 5, "steps 2 to 6 were skipped; the sixth ended the run"
    assert all(bool(value.isfinite().all()) for value in state["model"].values())
    assert [row["step"] for row in table(out / "losses.csv")] == [1], "skipped steps are not logged"


# -- other networks -----------------------------------------------------------------------------


def network_options(material: Path, out: Path, network: str, *config: str) -> list[str]:
    photos = str(material / "photos")
    options = f"--photos {photos} --validation {photos} --preview-photos {photos} --previews 1"
    options += " --batch 2 --crop 48 --steps 2 --warmup 0 --log-every 1"
    return [*options.split(), "--network", network, "--config", *config, "--out", str(out)]


NETWORKS = {
    "srcnn": ["channels=4", "scale=3"],
    "espcn": ["channels=4", "scale=2"],
    "vdsr": ["channels=4", "layers=3", "scales=[2,4]"],
    "transformer": ["channels=4", "blocks=1"],
    "srresnet": ["channels=4", "blocks=1"],
    "rrdbnet": ["channels=4", "blocks=1", "growth=2", "scale=2"],
    "compact": ["channels=4", "convolutions=1", "scale=4"],
    "span": ["channels=4", "centred=false"],
}


def test_every_network_has_its_case() -> None:
    assert {"stylesr", *NETWORKS} == set(super_resolution.NETWORKS)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_is_trained_at_its_factors(
    network: str, material: Path, tmp_path: Path, here: Callable[..., int]
) -> None:
    out = tmp_path / "run"
    assert here(super_resolution, network_options(material, out, network, *NETWORKS[network])) == 0
    net = Generator.from_pretrained(out / "model")
    assert type(net) is super_resolution.NETWORKS[network]
    with pytest.raises(ModelError):
        StyleSRNet.from_pretrained(out / "model")
    assert net.config["channels"] == 4
    (row,) = table(out / "figures.csv")
    assert row.keys() == {"step", *(f"photos_x{scale}" for scale in net.scales)}
    assert len(table(out / "losses.csv")) == 2
    assert len(list((out / "previews").glob("step-*.png"))) == 1
    first, last = checkpoint(out, 2)["model"], net.state_dict()
    assert all(value.isfinite().all() for value in first.values())
    again = tmp_path / "again"
    options = [*network_options(material, again, network), "--init", str(out / "best")]
    options.remove("--config")
    assert here(super_resolution, [*options, "--lr", "0"]) == 0
    assert Generator.from_pretrained(again / "model").fingerprint() == net.fingerprint()
    assert last.keys() == first.keys()


def judged_options(material: Path, out: Path, loss: str) -> list[str]:
    options = network_options(material, out, "srresnet", "channels=4", "blocks=1")
    options += f"--gan-loss {loss} --adversarial 0.1 --discriminator vgg --critic 4".split()
    return [*options, "--pixel", "charbonnier", "--pixel-weight", "0.5", "--steps", "4"]


@pytest.mark.parametrize("loss", ["vanilla", "least-squares", "wasserstein", "relativistic"])
def test_a_network_is_trained_against_a_discriminator(
    loss: str, material: Path, tmp_path: Path, here: Callable[..., int]
) -> None:
    options = [*judged_options(material, tmp_path / "run", loss), "--steps", "1"]
    assert here(super_resolution, options) == 0
    (row,) = table(tmp_path / "run" / "losses.csv")
    assert {"charbonnier", "adversarial", "discriminator"} <= row.keys()
    assert all(math.isfinite(value) for value in row.values())
    scores_near_zero = {"vanilla": 2 * math.log(2), "least-squares": 0.5, "wasserstein": 0}
    expected = scores_near_zero.get(loss, math.log(2))
    assert row["discriminator"] == pytest.approx(expected, abs=0.3)


def test_penalties_are_part_of_the_discriminators_loss_and_resume_exactly(
    material: Path, tmp_path: Path, here: Callable[..., int]
) -> None:
    def options(out: Path) -> list[str]:
        penalties = ["--r1", "5", "--gradient-penalty", "10", "--save-every", "2"]
        return [*judged_options(material, out, "wasserstein"), *penalties]

    straight, out = tmp_path / "straight", tmp_path / "resumed"
    assert here(super_resolution, options(straight)) == 0
    rows = table(straight / "losses.csv")
    assert all(row["r1"] > 0 and row["gradient_penalty"] > 0 for row in rows)
    without = judged_options(material, tmp_path / "without", "wasserstein")
    assert here(super_resolution, [*without, "--save-every", "2"]) == 0
    critics = [checkpoint(run, 4)["critic"] for run in (straight, tmp_path / "without")]
    assert any(not torch.equal(critics[0][name], critics[1][name]) for name in critics[0])
    interrupted(straight, out)
    assert here(super_resolution, [*options(out), "--resume"]) == 0
    assert_equal(checkpoint(out, 4), checkpoint(straight, 4))


# -- style --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def style_run(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps without a stop."""
    out = tmp_path_factory.mktemp("runs") / "my-style"
    command(TRAIN / "style.py", *style_options(material, out))
    return out


def test_style_run_leaves_a_style_of_its_base(style_run: Path, material: Path) -> None:
    base = StyleSRNet.from_pretrained(material / "tiny-photo")
    net = StyleSRNet.from_pretrained(style_run / "model")
    assert net.base == "tiny-photo"
    assert net.base_sha256 == base.fingerprint()
    assert torch.count_nonzero(net.noise.weight) > 0, "a style sees the noise"
    for name, value in base.skips.state_dict().items():
        assert torch.equal(net.skips.state_dict()[name], value), "the linear path is not learnt"
    assert not torch.equal(net.skip_gain, base.skip_gain)
    half = strength(base, net, 0.5)
    assert torch.allclose(half.last.bias, (base.last.bias + net.last.bias) / 2)


def test_style_run_paints_through_the_pipeline(style_run: Path, material: Path) -> None:
    pipe = StyleSRPipeline.from_pretrained([material / "tiny-photo", style_run / "model"])
    assert pipe.styles == ["model"]
    plain, painted = (
        pipe(material / "photos" / "a.png", scale=2, strength=s, output_type="np").images[0]
        for s in (0.0, 1.0)
    )
    assert painted.shape == (192, 200, 3)
    assert np.abs(painted - plain).max() > 0.01


def test_style_run_records_losses_figures_and_previews(style_run: Path) -> None:
    losses = table(style_run / "losses.csv")
    assert [row["step"] for row in losses] == [1, 2, 3, 4]
    for row in losses:
        assert all(math.isfinite(value) for value in row.values())
        assert min(row[name] for name in ("content", "style", "tone", "edge", "tv")) > 0
    assert all(row["discriminator"] > 0 for row in losses)
    assert [row["step"] for row in table(style_run / "figures.csv")] == [2, 4]
    assert_run_folder(style_run, [2, 4], b"distance")
    assert len(list((style_run / "previews" / "photos").iterdir())) == 2


def test_style_run_resumes_exactly(
    style_run: Path, material: Path, tmp_path: Path, here: Callable[..., int]
) -> None:
    out = interrupted(style_run, tmp_path / "my-style")
    assert here(style, [*style_options(material, out), "--resume"]) == 0
    resumed = checkpoint(out, 4)
    assert {"model", "ema", "critic", "g_optimizer", "d_optimizer", "scheduler"} <= resumed.keys()
    assert_equal(resumed, checkpoint(style_run, 4))
    assert timeless(out / "losses.csv") == timeless(style_run / "losses.csv")
    assert table(out / "figures.csv") == table(style_run / "figures.csv")


@pytest.mark.slow
def test_two_processes_train_a_style_and_resume(
    style_run: Path, material: Path, tmp_path: Path
) -> None:
    straight = tmp_path / "straight"
    torchrun(TRAIN / "style.py", *style_options(material, straight))
    assert json.loads((straight / "recipe.json").read_text())["processes"] == 2
    assert StyleSRNet.from_pretrained(straight / "model").base == "tiny-photo"
    one, two = (StyleSRNet.from_pretrained(out / "model") for out in (style_run, straight))
    assert one.fingerprint() != two.fingerprint(), "the second process adds photos of its own"
    assert [row["step"] for row in table(straight / "losses.csv")] == [1, 2, 3, 4]

    out = interrupted(straight, tmp_path / "resumed")
    torchrun(TRAIN / "style.py", *style_options(material, out), "--resume")
    assert_equal(checkpoint(out, 4), checkpoint(straight, 4))


def test_a_transformer_net_is_trained_by_the_same_recipe(
    material: Path, tmp_path: Path, here: Callable[..., int]
) -> None:
    out = tmp_path / "fast"
    options = [*style_options(material, out), "--network", "transformer", "--line", "0"]
    assert here(style, options) == 0
    net = TransformerNet.from_pretrained(out / "model")
    assert not (net.encoder[0].conv.weight == TransformerNet().encoder[0].conv.weight).any()
    assert [row["step"] for row in table(out / "losses.csv")] == [1, 2, 3, 4]
    assert len(table(out / "figures.csv")) == 2
    with Image.open(out / "previews" / "step-0000004.png") as drawn:
        assert drawn.width > 2 * 96


def test_a_palette_draws_the_colours_to_another_style(
    material: Path, tmp_path: Path, here: Callable[..., int]
) -> None:
    """With little else asked for, what is painted comes to have that style's colours."""
    base = StyleSRNet.from_pretrained(material / "tiny-photo")
    tiny.style(base, 1).save_pretrained(tmp_path / "colours")
    options = style_options(material, tmp_path / "out")
    options += ["--palette", str(tmp_path / "colours"), "--palette-weight", "100", "--style", "0"]
    options += ["--steps", "20", "--lr", "0.01", "--preview-every", "20", "--save-every", "20"]
    assert here(style, options) == 0
    rows = [row["palette"] for row in table(tmp_path / "out" / "losses.csv")]
    assert sum(rows[-5:]) < 0.5 * sum(rows[:5])


def test_works_of_one_hand_are_brought_to_one_brush_scale(
    material: Path, tmp_path: Path, here: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    mean_grams = style.mean_grams
    monkeypatch.setattr(style, "mean_grams", lambda v, w: taken.append(w) or mean_grams(v, w))
    works = ["--style-image", *2 * [str(material / "painting.png")], "--style-size", "90", "80"]
    options = style_options(material, tmp_path / "out")
    assert here(style, [*options, *works, "--steps", "1"]) == 0
    assert [tuple(work.shape[2:]) for work in taken[0]] == [(90, 80), (80, 71)]


def test_a_softened_work_has_its_colours_and_less_grain(material: Path) -> None:
    path = str(material / "painting.png")
    sharp, soft = (style.load_style(path, 90, 64, soften).float() for soften in (0, 1.5))
    assert sharp.shape == soft.shape == (3, 90, 80)
    torch.testing.assert_close(soft.mean((1, 2)), sharp.mean((1, 2)), atol=1.0, rtol=0)
    assert soft.diff(dim=-1).abs().mean() < 0.7 * sharp.diff(dim=-1).abs().mean()


def test_a_style_starts_from_its_base_or_from_a_style(style_run: Path, material: Path) -> None:
    where = {"style_image": [], "photos": [], "base": str(material / "tiny-photo")}
    base = StyleSRNet.from_pretrained(material / "tiny-photo")
    fresh = style.new_style(base, style.Recipe(**where, init="", gain=0.25))
    assert fresh.skip_gain.item() == 0.25
    assert torch.equal(fresh.last.weight, base.last.weight)
    model = str(style_run / "model")
    again = style.new_style(base, style.Recipe(**where, init=model))
    trained = StyleSRNet.from_pretrained(model)
    assert again.fingerprint() == trained.fingerprint()
    assert (again.base, again.base_sha256) == ("tiny-photo", base.fingerprint())


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("runs/sharp/model", "sharp"),
        ("my-photo", "my-photo"),
        ("user/photo", "user/photo"),
        ("photo", "photo"),
    ],
)
def test_what_a_model_calls_its_base(
    given: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path says nothing elsewhere; a Hub id or a bundled name does."""
    (tmp_path / "runs/sharp/model").mkdir(parents=True)
    (tmp_path / "my-photo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert training.base_name(given) == name


# -- what is refused ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def odd(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders and files that will not do."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "empty").mkdir()
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    Image.new("RGB", (40, 40), "red").save(folder / "small.png")
    Image.new("RGB", (2000, 90), "red").save(folder / "long.png")
    base = StyleSRNet.from_pretrained(material / "tiny-photo")
    tiny.style(base, 1).save_pretrained(folder / "a-style")
    StyleSRNet(12, 1, (8, 4)).save_pretrained(folder / "wider")
    base.save_pretrained(folder / "own-base")
    (folder / "vgg.safetensors").write_bytes(b"not this")
    return folder


REFUSED_PHOTO = {
    "--photos {odd}/missing": "there is no folder '{odd}/missing'",
    "--photos {odd}/empty": "no pictures",
    "--crop 100": "has sides of 100 pixels or more",
    "--validation {odd}/missing": "there is no folder '{odd}/missing'",
    "--preview-photos {odd}/missing": "there is no folder '{odd}/missing'",
    "--crop 34": "--crop must be a multiple of 4, got 34",
    "--crop 8": "--crop must be at least 16, got 8",
    "--batch 2": "--batch must be at least 3, got 2",
    "--steps 0": "--steps must be at least 1, got 0",
    "--save-every 0": "--save-every must be at least 1, got 0",
    "--ema 1": "--ema must be from 0 to below 1, got 1.0",
    "--channels 4": "channels must be a whole number from 8 to 128, got 4",
    "--init {odd}/missing": "no model",
    "--init {odd}/a-style": "is a style of photo; --init takes a photo",
    "--resume": "no intact checkpoint",
    "--base {odd}/missing": "no model",
    "--base {odd}/a-style": "is a style of photo; --base takes a photo model",
    "--base {odd}/wider --init {odd}/a-style": "is of another size than",
    "--base {odd}/own-base --init {odd}/a-style": "a-style paints with noise",
    "--clean 2": "--clean is a share from 0 to 1, got 2.0",
    "--adversarial -1": "--adversarial must be at least 0, got -1.0",
    "--adversarial 1 --crop 44": "--crop must be a multiple of 8, got 44",
    "--adversarial 1 --critic 0": "--critic must be at least 1, got 0",
    "--perceptual-weight 1 --crop 16": "--crop must be at least 40, got 16",
    "--perceptual-weight 1 --perceptual {odd}/missing": "no perceptual network at",
    "--perceptual-weight 1 --patience 2": "--patience watches PSNR",
    "--r1 1": "--r1 and --gradient-penalty are of a discriminator: add --adversarial",
    "--config scale=4": "--config is of the other networks",
    "--network srcnn --base {odd}/own-base": "--base is of stylesr: srcnn cannot blend",
    "--network srcnn --config scale=5": "--config scale=5: scale must be a whole number from 2",
    "--network srcnn --config size=5": "--config size=5: ",
    "--network srcnn --config scale": "--config scale: ",
    "--network espcn --config scale=3": "--crop must be a multiple of 12, got 40",
    "--network espcn --config scale=3 --crop 48 --degradation mild": "for factors 2 and 4, not",
    "--network srcnn --init {odd}/own-base": "holds a StyleSRNet, not a SRCNN",
    "--network srcnn --batch 0": "--batch must be at least 1, got 0",
    "--gradient-penalty -1": "--gradient-penalty must be at least 0, got -1.0",
}

REFUSED_STYLE = {
    "--photos {odd}/missing": "there is no folder '{odd}/missing'",
    "--style-image {odd}/missing.jpg": "is not a file",
    "--style-image {odd}/broken.png": "'broken.png' is",
    "--style-image {odd}/small.png": "small.png is too small",
    "--style-image {odd}/long.png": "it has 1024×46 pixels, and 64×64 are the least",
    "--base {odd}/missing": "no model",
    "--base {odd}/a-style": "is a style of photo; --base takes a photo model",
    "--init {odd}/wider": "is of another size",
    "--perceptual {odd}/missing": "no perceptual network at",
    "--perceptual {odd}/vgg.safetensors": "is not a readable safetensors file",
    "--crop 70": "--crop must be a multiple of 4, got 70",
    "--margin 8": "--crop 72 less a --margin of 8 on each side leaves 56 pixels; 64 are the least",
    "--margin -1": "--margin must be at least 0, got -1",
    "--batch 1": "--batch must be at least 2, got 1",
    "--r1 -1": "--r1 must be at least 0, got -1",
    "--soften -1": "--soften must be at least 0, got -1",
    "--network transformer": "has no strengths to train; give --line 0",
    "--network transformer --line 0 --init {odd}/a-style": "holds a StyleSRNet, not a",
    "--network transformer --line 0 --palette starry-night": "--palette is of --network stylesr",
    "--palette {odd}/missing": "no model",
    "--palette {odd}/wider": "is of another size",
    "--palette-weight -1": "--palette-weight must be at least 0, got -1",
    "--style-size 90 80": "--style-size takes one value for all or one for each --style-image, "
    "got 2 for 1",
    "--previews 0": "--previews must be at least 1, got 0",
    "--preview-photos {odd}/small.png": "too small for a preview",
    "--resume": "no intact checkpoint",
}


@pytest.mark.parametrize(
    ("recipe", "wrong"),
    [(super_resolution, wrong) for wrong in REFUSED_PHOTO]
    + [(style, wrong) for wrong in REFUSED_STYLE],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_bad_input_is_refused_in_one_line(
    recipe: Any,
    wrong: str,
    material: Path,
    odd: Path,
    tmp_path: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    is_style = recipe is style
    options = (style_options if is_style else photo_options)(material, tmp_path / "out")
    expected = (REFUSED_STYLE if is_style else REFUSED_PHOTO)[wrong].format(odd=odd)
    assert here(recipe, [*options, *wrong.format(odd=odd).split()]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if line.startswith("error: ")] == said[-1:], said
    assert len(said) == 1, said
    assert expected in said[0]
    assert not list(tmp_path.rglob("*.safetensors")), "refused before any work"


def test_patience_needs_something_to_measure(
    material: Path, tmp_path: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    photos = ["--photos", str(material / "photos"), "--out", str(tmp_path / "out")]
    assert here(super_resolution, [*photos, "--patience", "2"]) == 2
    assert "--patience needs --validation" in capsys.readouterr().err
    painting = ["--style-image", str(material / "painting.png")]
    assert here(style, [*photos, *painting, "--patience", "2"]) == 2
    assert "--patience needs --preview-photos" in capsys.readouterr().err


def test_a_run_in_use_is_kept(
    style_run: Path, material: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in style_run.rglob("*")}
    assert here(style, style_options(material, style_run)) == 2
    assert "holds a run: add --resume" in capsys.readouterr().err
    assert here(style, [*style_options(material, style_run), "--resume"]) == 2
    assert "has reached step 4; to go on, --steps must be larger" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in style_run.rglob("*")} == before


def test_a_run_resumes_with_its_own_network_only(
    photo_run: Path, material: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*photo_options(material, photo_run), "--channels", "12", "--resume"]
    assert here(super_resolution, [*options, "--steps", "8"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "the checkpoint's model does not fit" in said[0]


# -- the guide ----------------------------------------------------------------------------------


def test_every_option_in_the_guide_exists() -> None:
    text = (TRAIN / "README.md").read_text().replace("\\\n", " ")
    for recipe in RECIPES:
        name = Path(recipe.__file__).name
        commands = re.findall(rf"^python train/{name} (.*)$", text, re.MULTILINE)
        assert commands, name
        for words in [*commands, recipe.__doc__.split(f"train/{name} ")[1].split("\n\n")[0]]:
            assert parse(recipe, words.split()).photos, words
    for words in re.findall(r"`(--[a-z].*?)`", text):
        options = {word for word in words.split() if word.startswith("--")}
        assert any(options <= options_of(recipe) for recipe in RECIPES), words
        for recipe in RECIPES:
            if " " in words and options <= options_of(recipe):  # with a value
                needs = ["--photos", "a", *(["--style-image", "b"] if recipe is style else [])]
                needs += ["--styles", "b"] if recipe is any_style else []
                needs += ["--teacher", "b"] if recipe is distil else []
                assert parse(recipe, [*needs, *words.split()]), words


@pytest.mark.parametrize("launcher", [torchrun_parser, accelerate_parser])
def test_launchers_pass_every_option_on(launcher: Callable[[], argparse.ArgumentParser]) -> None:
    """They would take an option that begins like several of theirs for one of their own."""
    for option in set().union(*map(options_of, RECIPES)):
        words = ["train/recipe.py", option, "1"]
        assert launcher().parse_args(words).training_script_args == words[1:]


def options_of(recipe: Any) -> set[str]:
    return {"--" + f.name.replace("_", "-") for f in fields(recipe.Recipe)}


def parse(recipe: Any, words: list[str]) -> Any:
    parser = argparse.ArgumentParser(exit_on_error=False)
    training.add_options(parser, recipe.Recipe)
    return recipe.Recipe(**vars(parser.parse_args(words)))
