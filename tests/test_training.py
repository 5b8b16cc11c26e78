"""What the recipes share, each function by itself. The recipes as a whole: test_recipes.py."""

import argparse
import errno
import json
import os
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from stylesr import training
from stylesr.errors import InputError, ModelError
from stylesr.pipeline import StyleSRPipeline
from tests import tiny


@dataclass
class Recipe:
    photos: list[str]
    out: str = "runs/x"
    sizes: list[int] = field(default_factory=lambda: [16, 4])
    steps: int = 10
    lr: float = 1e-3
    ema: float = 0.9
    mixed_precision: Literal["no", "bf16"] = "no"
    preview_photos: str = ""
    log_every: int = 1
    preview_every: int = 1
    save_every: int = 1
    resume: bool = False


# -- the command --------------------------------------------------------------------------------


def parse(*words: str) -> Recipe:
    parser = argparse.ArgumentParser()
    training.add_options(parser, Recipe)
    return Recipe(**vars(parser.parse_args(words)))


def test_options_are_the_fields_of_the_recipe() -> None:
    assert parse("--photos", "a", "b") == Recipe(["a", "b"])
    some = ["--photos", "a", "--out", "o", "--sizes", "1", "2", "3", "--lr", "2"]
    given = parse(*some, "--mixed-precision", "bf16", "--resume")
    assert given == Recipe(["a"], "o", [1, 2, 3], lr=2.0, mixed_precision="bf16", resume=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--photos"),
        (["--photos", "a", "--mixed-precision", "fp16"], "invalid choice: 'fp16'"),
        (["--photos", "a", "--steps", "many"], "invalid int value: 'many'"),
    ],
)
def test_wrong_options_end_with_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        training.run(lambda recipe: None, Recipe, "about", words)
    assert raised.value.code == 2
    assert message in capsys.readouterr().err


def test_help_shows_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        training.run(lambda recipe: None, Recipe, "Train something.", ["--help"])
    text = capsys.readouterr().out
    for part in ("Train something.", "default: 0.001", "required", "{no,bf16}", "default: none"):
        assert part in text


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (None, 0, ""),
        (InputError("no"), 2, "error: no\n"),
        (ModelError("gone"), 2, "error: gone\n"),
        (training.Diverged("nan"), 1, "error: nan\n"),
        (KeyboardInterrupt(), 130, "stopped; the same command with --resume goes on\n"),
        (
            OSError(errno.ENOSPC, "no", "runs/x/model"),
            1,
            "error: No space left on device (runs/x/model); when that is mended, the same command "
            "with --resume goes on from the last checkpoint\n",
        ),
        (MemoryError(), 1, "error: not enough memory; a smaller --crop or --batch needs less\n"),
        (
            RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"),
            1,
            "error: a process of --workers was killed, perhaps for want of memory; the same "
            "command with --resume goes on from the last checkpoint\n",
        ),
    ],
)
def test_how_a_run_ends(
    error: BaseException | None, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(recipe: Recipe) -> None:
        training.Interrupt()
        if error:
            raise error

    before = signal.getsignal(signal.SIGINT)
    assert training.run(main, Recipe, None, ["--photos", "a"]) == code
    assert capsys.readouterr().err == said
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("bug", [KeyError(3), RuntimeError("sizes differ"), OSError("odd")])
def test_a_bug_is_not_hidden(bug: Exception) -> None:
    def main(recipe: Recipe) -> None:
        raise bug

    with pytest.raises(type(bug)):
        training.run(main, Recipe, None, ["--photos", "a"])


def test_first_ctrl_c_is_noted_the_second_interrupts() -> None:
    def main(recipe: Recipe) -> None:
        interrupt = training.Interrupt()
        assert not interrupt.noted
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.noted
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second one did not end it")

    assert training.run(main, Recipe, None, ["--photos", "a"]) == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_that_can_be_resumed(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(recipe: Recipe) -> None:
        interrupt = training.Interrupt()
        os.kill(os.getpid(), number)
        assert interrupt.noted, "the step goes on"
        raise KeyboardInterrupt  # as a recipe does when it has saved

    before = signal.getsignal(number)
    assert training.run(main, Recipe, None, ["--photos", "a"]) == 128 + number
    assert "--resume goes on" in capsys.readouterr().err
    assert signal.getsignal(number) is before


# -- the loop -----------------------------------------------------------------------------------


def test_schedule_warms_up_holds_and_falls_to_zero() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = training.schedule(optimizer, steps=10, warmup=4, cooldown=0.5)
    rates = []
    for _ in range(10):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([0.5, 1, 1.5, 2, 2, 2, 1.6, 1.2, 0.8, 0.4])
    assert scheduler.get_last_lr() == [0]


def test_average_is_an_exponential_moving_one() -> None:
    model = nn.Linear(1, 1, bias=False)
    ema = training.average(model, 0.75)
    values = []
    for value in (1.0, 2.0, 4.0):
        nn.init.constant_(model.weight, value)
        ema.update_parameters(model)
        values.append(ema.module.weight.item())
    assert values == [1.0, 1.25, 1.9375]


@pytest.mark.parametrize(
    ("count", "shares", "expected"),
    [
        (16, {4: 8, 2: 7, 1: 1}, [8, 7, 1]),
        (4, {4: 2, 2: 1, 1: 1}, [2, 1, 1]),
        (5, {4: 2, 2: 1, 1: 1}, [2, 2, 1]),
        (3, {4: 8, 2: 7, 1: 1}, [1, 1, 1]),
        (8, {4: 2, 2: 1, 1: 1}, [4, 2, 2]),
    ],
)
def test_share_out_leaves_nobody_without(
    count: int, shares: dict[int, int], expected: list[int]
) -> None:
    batch = torch.arange(count)
    parts = training.share_out(batch, shares)
    assert list(parts) == list(shares)
    assert [len(part) for part in parts.values()] == expected
    assert torch.equal(torch.cat(list(parts.values())), batch)


def test_steps_that_are_not_finite_are_skipped_and_counted() -> None:
    finite = training.Finite(limit=3)
    good, bad = torch.tensor(0.5), torch.tensor(float("nan"))
    answers = [finite(norm) for norm in (good, bad, bad, good, torch.tensor(torch.inf), bad)]
    assert answers == [True, False, False, True, False, False]
    assert finite.skipped == 4
    with pytest.raises(training.Diverged, match="3 steps in a row had gradients"):
        finite(bad)


def test_early_stop_counts_looks_without_a_gain() -> None:
    stop = training.EarlyStop(patience=2)
    assert [stop(value) for value in (1.0, 2.0, 2.0, 3.0, 2.5)] == [False] * 5
    assert stop.since == 1
    resumed = training.EarlyStop(patience=2)
    resumed.load_state_dict(stop.state_dict())
    assert [resumed(3.0), resumed(4.0)] == [True, False], "a gain starts the count anew"
    never = training.EarlyStop(patience=0)
    assert not any(never(-value) for value in range(100))


def test_a_figure_that_is_not_a_number_is_no_gain() -> None:
    stop = training.EarlyStop(patience=1)
    assert not stop(1.0)
    assert stop(float("nan"))


def test_means_of_named_losses() -> None:
    first = {"a": torch.tensor(1.0), "b": torch.tensor(2.0)}
    second = {"a": torch.tensor(3.0), "b": torch.tensor(4.0, dtype=torch.bfloat16)}
    assert training.means([first, second]) == {"a": 2.0, "b": 3.0}


# -- the run's folder: checkpoints --------------------------------------------------------------


def states(value: float) -> dict[str, Any]:
    return {"model": {"weight": torch.full((3,), value)}}


def test_checkpoints_come_back_and_old_ones_go(tmp_path: Path) -> None:
    for step in (5, 10, 100):
        training.save_checkpoint(tmp_path, step, states(step))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"step-{n:07d}.{end}" for n in (10, 100) for end in ("pt", "sha256")]
    state = training.load_checkpoint(tmp_path)
    assert state["step"] == 100
    assert torch.equal(state["model"]["weight"], torch.full((3,), 100.0))


@pytest.mark.parametrize("damage", ["cut", "flipped", "digest lost", "digest flipped"])
def test_a_damaged_checkpoint_is_passed_over(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training.save_checkpoint(tmp_path, 1, states(1))
    path = training.save_checkpoint(tmp_path, 2, states(2))
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[:-100])
    elif damage == "flipped":
        path.write_bytes(content[:600] + bytes([content[600] ^ 1]) + content[601:])
    elif damage == "digest lost":
        path.with_suffix(".sha256").unlink()
    else:
        digest = path.with_suffix(".sha256").read_bytes()
        path.with_suffix(".sha256").write_bytes(bytes([digest[0] ^ 128]) + digest[1:])
    assert training.load_checkpoint(tmp_path)["step"] == 1
    assert capsys.readouterr().out == f"{path} is damaged, or was not finished: passed over\n"


def test_no_checkpoint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no intact checkpoint in .*; remove it and start"):
        training.load_checkpoint(tmp_path / "nowhere")


def test_a_full_disk_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.save_checkpoint(tmp_path, 1, states(1), keep=1)

    def full(state: object, file: Any) -> None:
        file.write(b"the first bytes")
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(OSError, match="no space"):
            training.save_checkpoint(tmp_path, 2, states(2), keep=1)
    assert not list(tmp_path.glob("*.part"))
    assert training.load_checkpoint(tmp_path)["step"] == 1


def test_a_full_disk_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's own error speaks of positions in a file."""

    def full(state: object, file: Any) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            raise RuntimeError("unexpected pos 704 vs 598")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        training.save_checkpoint(tmp_path, 1, states(1))


def test_a_checkpoint_killed_at_any_moment_is_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace
    for renamed in (0, 1):  # killed before the digest is in its place, or the checkpoint
        folder, left = tmp_path / f"{renamed}", iter(range(renamed))

        def killed(path: Path, target: Path, left: Iterator[int] = left) -> Path:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return replace(path, target)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Path, "replace", killed)
            training.save_checkpoint(folder, 1, states(1))
        assert not list(folder.glob("*.pt"))
        assert len(list(folder.glob("*.sha256"))) == renamed
        training.save_checkpoint(folder, 1, states(1))
        assert training.load_checkpoint(folder)["step"] == 1


def test_half_a_checkpoint_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "step-0000001.pt.part").write_bytes(b"what a killed run left")
    training.save_checkpoint(tmp_path, 2, states(2))
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".pt", ".sha256"]


def test_restore_loads_each_part_and_says_where_it_was() -> None:
    model, stop = nn.Linear(1, 1), training.EarlyStop(3)
    state = {"step": 7, "model": {"weight": torch.tensor([[2.0]]), "bias": torch.tensor([3.0])}}
    state["stop"] = {"best": 1.5, "since": 2}
    assert training.restore({"model": model, "stop": stop}, state, steps=8) == 7
    assert (model.weight.item(), model.bias.item()) == (2, 3)
    assert (stop.best, stop.since) == (1.5, 2)


def test_restore_takes_checkpoints_without_early_stop() -> None:
    stop = training.EarlyStop(3)
    assert training.restore({"stop": stop}, {"step": 1}, steps=8) == 1
    assert stop.since == 0


def test_restore_refuses_what_does_not_fit() -> None:
    model = nn.Linear(1, 1)
    fits = {"step": 7, "model": model.state_dict()}
    with pytest.raises(InputError, match="has reached step 7; to go on, --steps must be larger"):
        training.restore({"model": model}, fits, steps=7)
    with pytest.raises(ModelError, match="the checkpoint's model does not fit"):
        training.restore({"model": nn.Linear(2, 1)}, fits, steps=9)
    with pytest.raises(ModelError, match="the checkpoint's critic does not fit"):
        training.restore({"critic": model}, fits, steps=9)


# -- the run's folder: tables, pictures ---------------------------------------------------------


def rows_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_begin_keeps_what_belongs_to_the_checkpoint(tmp_path: Path) -> None:
    recipe = Recipe(["a"], out=str(tmp_path / "deep" / "run"))
    out = Path(recipe.out)
    assert training.begin(recipe, 0, processes=2) == 0
    values = json.loads((out / "recipe.json").read_text())
    assert values.pop("processes") == 2
    assert Recipe(**values) == recipe
    for step in (1, 2, 3):
        training.write_row(out / "losses.csv", {"step": step, "l1": 0.1 * step, "minutes": step})
    training.write_row(out / "figures.csv", {"step": 3, "psnr": 30.25})
    assert training.begin(recipe, 2, processes=2) == 2
    assert rows_of(out / "losses.csv") == ["step,l1,minutes", "1,0.1,1", "2,0.2,2"]
    assert not (out / "figures.csv").exists()
    assert training.begin(recipe, 0, processes=2) == 0
    assert not (out / "losses.csv").exists(), "a run that starts anew has no rows"


@pytest.mark.parametrize("cut", ["3,0.3", "3,0.3,3", "3", "3,0.3,3,4\r\n", ""])
def test_a_row_that_was_cut_off_is_dropped(cut: str, tmp_path: Path) -> None:
    for step in (1, 2):
        training.write_row(tmp_path / "losses.csv", {"step": step, "l1": 0.1, "minutes": step})
    with (tmp_path / "losses.csv").open("a", newline="") as file:
        file.write(cut)
    assert training.begin(Recipe(["a"], out=str(tmp_path)), 5, processes=1) == 2
    training.write_row(tmp_path / "losses.csv", {"step": 3, "l1": 0.5, "minutes": 9})
    assert rows_of(tmp_path / "losses.csv")[2:] == ["2,0.1,2", "3,0.5,9"]


@pytest.mark.parametrize(
    ("precision", "machine", "capability", "gpu", "said"),
    [
        ("bf16", "x86_64", "AVX2", False, True),
        ("bf16", "AMD64", "DEFAULT", False, True),
        ("no", "x86_64", "AVX2", False, False),
        ("bf16", "x86_64", "AVX512", False, False),
        ("bf16", "arm64", "DEFAULT", False, False),
        ("bf16", "x86_64", "AVX2", True, False),
    ],
)
def test_a_run_says_where_bfloat16_is_emulated(
    precision: Literal["no", "bf16"],
    machine: str,
    capability: str,
    gpu: bool,
    said: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: capability)
    monkeypatch.setattr("torch.accelerator.is_available", lambda: gpu)
    training.begin(Recipe(["a"], str(tmp_path), mixed_precision=precision), 0, processes=1)
    assert ("leave --mixed-precision bf16 out" in capsys.readouterr().out) == said


def test_an_empty_table_gets_its_header(tmp_path: Path) -> None:
    (tmp_path / "losses.csv").touch()
    training.write_row(tmp_path / "losses.csv", {"step": 1})
    assert rows_of(tmp_path / "losses.csv") == ["step", "1"]


def test_rows_keep_large_steps(tmp_path: Path) -> None:
    training.write_row(tmp_path / "t.csv", {"step": 1_234_567, "l1": 0.123456789})
    assert rows_of(tmp_path / "t.csv") == ["step,l1", "1234567,0.12345679"]


def test_plot_draws_a_panel_a_column(tmp_path: Path) -> None:
    training.plot_tables(tmp_path)
    assert not (tmp_path / "losses.png").exists(), "nothing to draw yet"
    for step in range(1, 9):
        row = {"step": step, "l1": 1 / step, "minutes": step / 2}
        training.write_row(tmp_path / "losses.csv", row)
    training.plot_tables(tmp_path)
    small = np.asarray(Image.open(tmp_path / "losses.png").convert("L"))
    assert small.shape[1] > 2 * small.shape[0], "two panels side by side"
    assert small.min() < 100, "with something on them"
    training.write_row(tmp_path / "figures.csv", {"step": 8, "psnr": 30})
    training.plot_tables(tmp_path)
    large = np.asarray(Image.open(tmp_path / "losses.png"))
    assert large.shape[0] == 2 * small.shape[0], "and a second line"


@pytest.fixture
def photos(tmp_path: Path, scene: Callable[[int, int], Tensor]) -> Path:
    """Three photos: one large, two small."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, height, width in (("a", 70, 80), ("b", 70, 1500), ("c", 63, 90)):
        pixels = (scene(height, width) * 255).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def test_preview_photos_are_small_copies(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"b\.png is too small for a preview"):
        training.preview_photos(str(photos), 4, tmp_path / "run")  # reduced to 48×1024
    (photos / "b.png").unlink()
    with pytest.raises(InputError, match=r"c\.png is too small for a preview: 64×64"):
        training.preview_photos(str(photos), 4, tmp_path / "run")
    copies = training.preview_photos(str(photos), 1, tmp_path / "run")
    assert copies == [tmp_path / "run" / "previews" / "photos" / "1-a.png"]
    original = np.asarray(Image.open(photos / "a.png"))
    assert np.array_equal(np.asarray(Image.open(copies[0])), original)


def test_preview_draws_through_the_pipeline(photos: Path, tmp_path: Path) -> None:
    base = tiny.photo()
    path = training.preview(tmp_path, 30, base, {"mine": tiny.style(base, 1)}, [photos / "a.png"])
    assert path == tmp_path / "previews" / "step-0000030.png"
    cells = np.array_split(np.asarray(Image.open(path), np.int16)[40:], 3, axis=1)
    width = min(cell.shape[1] for cell in cells)
    plain, halfway, full = (cell[:, :width] for cell in cells)
    assert 0 < np.abs(halfway - plain).mean() < np.abs(full - plain).mean()


def test_preview_leaves_the_network_trainable(photos: Path, tmp_path: Path) -> None:
    net = tiny.photo().train()
    training.preview(tmp_path, 1, net, {}, [photos / "a.png"])
    net(torch.rand(1, 3, 8, 8)).mean().backward()
    assert net.last.bias.grad is not None
    assert StyleSRPipeline(net).styles == []


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"photos": ["nowhere"]}, "there is no folder 'nowhere'"),
        ({"preview_photos": "nowhere"}, "there is no folder 'nowhere'"),
        ({"steps": 0}, "--steps must be at least 1, got 0"),
        ({"log_every": -1}, "--log-every must be at least 1, got -1"),
        ({"lr": 1e-9}, "--lr must be at least 1e-08, got 1e-09"),
        ({"ema": 1.0}, "--ema must be from 0 to below 1, got 1.0"),
        ({"ema": -0.1}, "--ema must be from 0 to below 1, got -0.1"),
    ],
)
def test_check_run_names_the_option(
    change: dict[str, Any], message: str, photos: Path, tmp_path: Path
) -> None:
    values = {"photos": [str(photos)], "out": str(tmp_path / "run"), **change}
    with pytest.raises(InputError, match=message):
        training.check_run(Recipe(**values), lr=1e-8)


def test_check_run_keeps_a_run(photos: Path, tmp_path: Path) -> None:
    recipe = Recipe([str(photos)], out=str(tmp_path / "run"))
    training.check_run(recipe)
    training.save_checkpoint(tmp_path / "run" / "checkpoints", 1, states(1))
    with pytest.raises(InputError, match="holds a run: add --resume"):
        training.check_run(recipe)
    training.check_run(Recipe([str(photos)], out=recipe.out, resume=True))


# -- replay ---------------------------------------------------------------------------------------


def numbered(*numbers: int) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1, 1)


def test_replay_shows_each_result_at_most_once_more() -> None:
    """What is exchanged is not kept; half of the new ones are shown at once."""
    replay, rng, shown = training.Replay(5), random.Random(0), []
    for first in range(0, 200, 4):
        pictures = numbered(*range(first, first + 4))
        shown += replay(pictures, rng).flatten().int().tolist()
        assert len(replay.kept) <= 5
    assert shown[:5] == [0, 1, 2, 3, 4], "kept and shown, as there is room"
    late = [number for place, number in enumerate(shown) if number != place]
    assert 0.3 < len(late) / len(shown) < 0.7 and all(n < 200 for n in late)
    assert max(shown.count(number) for number in range(5, 200)) == 1


def test_replay_of_none_shows_what_comes() -> None:
    pictures = numbered(1, 2, 3).requires_grad_()
    shown = training.Replay(0)(pictures, random.Random(0))
    assert torch.equal(shown, pictures) and not shown.requires_grad


def test_replay_goes_on_from_its_state() -> None:
    one, two = training.Replay(3), training.Replay(3)
    one(numbered(*range(10)), random.Random(1))
    two.load_state_dict(one.state_dict())
    later = numbered(*range(10, 20))
    assert torch.equal(one(later, random.Random(2)), two(later, random.Random(2)))
