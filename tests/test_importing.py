"""`stylesr import`: files that may be hostile, read in a process of its own."""

import json
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch

from stylesr import cli, importing
from stylesr.errors import InputError, ModelError
from stylesr.importing import import_checkpoint
from stylesr.models import Generator, ResnetGenerator
from tests.test_checkpoints import Trap, Weights, cyclegan, small_state


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """CycleGAN's, by its names, computed without modules."""
    w = Weights()
    cyclegan(w, torch.zeros(1, 3, 8, 8), 4, 1)
    torch.save(w.state, tmp_path / "net.pth")
    return tmp_path / "net.pth"


def test_the_command_makes_a_models_folder(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    assert cli.main(["import", str(checkpoint), "--to", str(folder)]) == 0
    digest = sha256(checkpoint.read_bytes()).hexdigest()
    said = capsys.readouterr().out
    assert "ResnetGenerator ×1" in said and digest in said and "licence" in said
    assert {p.name for p in folder.iterdir()} == {"config.json", "model.safetensors", "source.json"}
    source = json.loads((folder / "source.json").read_text())
    assert source["files"] == {"net.pth": digest}
    net, w = Generator.from_pretrained(folder), Weights()
    assert type(net) is ResnetGenerator
    x = torch.rand(1, 3, 16, 24)
    with torch.inference_mode():
        torch.testing.assert_close(net(x), cyclegan(w, x, 4, 1), atol=1e-4, rtol=1e-4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "net.pth"], "nothing else is left"


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (Trap(), "read safely"),
        (torch.zeros(1).expand(10**6, 10**6), "claims"),
    ],
    ids=["code", "a bomb"],
)
def test_hostile_files_are_refused_and_leave_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], extra: object, message: str
) -> None:
    torch.save({**small_state(), "x": extra}, tmp_path / "net.pth")
    with pytest.raises(ModelError, match=message):
        import_checkpoint(tmp_path / "net.pth", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["net.pth"]
    said = capfd.readouterr()
    assert "sprung" not in said.out + said.err


def test_a_file_that_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    torch.save({**small_state(), "x": torch.zeros(100_000_000)}, tmp_path / "large.pth")
    with pytest.raises(ModelError, match=r"large\.pth"):
        import_checkpoint(tmp_path / "large.pth", tmp_path / "out", memory=900 << 20)
    assert not (tmp_path / "out").exists()


def test_a_file_that_takes_too_long_is_given_up(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not be read within 0 s; it was given up"):
        import_checkpoint(checkpoint, tmp_path / "out", seconds=0)


def test_a_process_that_dies_is_an_error(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = subprocess.CompletedProcess([], -9, b"", b"Killed")
    monkeypatch.setattr(subprocess, "run", lambda *words, **options: died)
    with pytest.raises(ModelError, match=r"ended with -9, perhaps for want of memory .*Killed"):
        import_checkpoint(checkpoint, tmp_path / "out")


def test_what_the_child_leaves_is_checked(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it claims, the weights must fit their class and give the same picture."""
    real = importing._run_apart

    def tampered(path: Path, made: Path, *rest: Any) -> None:
        real(path, made, *rest)
        net = ResnetGenerator.from_pretrained(made)
        torch.nn.init.zeros_(next(net.parameters()))
        net.save_pretrained(made)

    monkeypatch.setattr(importing, "_run_apart", tampered)
    with pytest.raises(ModelError, match="gives another picture than before"):
        import_checkpoint(checkpoint, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_child_has_neither_secrets_nor_the_modules_of_its_folder(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, str] = {}
    real = subprocess.run

    def run(words: list[str], env: dict[str, str], **options: Any) -> Any:
        seen.update(env)
        return real(words, env=env, **options)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "torch.py").write_text("raise SystemExit('another torch')")
    import_checkpoint("net.pth", "out")
    assert "secret" not in seen.values() and seen["HOME"] != str(Path.home())


def test_a_folder_in_use_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    for folder, message in [(tmp_path, "in use"), (tmp_path / "a" / "b", "no folder for")]:
        with pytest.raises(InputError, match=message):
            import_checkpoint(checkpoint, folder)
    with pytest.raises(ModelError, match="no checkpoint"):
        import_checkpoint(tmp_path / "none.pth", tmp_path / "out")
