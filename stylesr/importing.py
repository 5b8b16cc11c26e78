"""A community checkpoint of doubtful origin becomes a model's folder, in a process of its own.

    folder = import_checkpoint("net.pth", "my-upscaler")  # or: stylesr import net.pth --to …

Only a child process, with limits on memory, time and file size and without the user's environment,
ever opens the file. What it leaves is config.json and safetensors; these are loaded strictly here,
and have to give the same picture as they gave there.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from stylesr import __version__
from stylesr.checkpoints import files_of, load_checkpoint
from stylesr.errors import InputError, ModelError, StyleSRError
from stylesr.files import check_unused, sha256
from stylesr.hub import CONFIG_FILE, SOURCE_FILE, WEIGHTS_FILE
from stylesr.models import Generator, MicroAST

__all__ = ["Imported", "import_checkpoint"]

SEEN_FILE = "seen.safetensors"  # what the child's network makes of a fixed picture
MEMORY = 4 << 30  # bytes of address space; a file has half a gigabyte at most
SECONDS = 120
TOLERANCE = 1e-4
REFUSED = 3  # exit code of the child where the file is not what it should be
KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG")  # of the environment


@dataclass(frozen=True)
class Imported:
    """What came of a checkpoint.

    Attributes:
        folder: holds config.json, model.safetensors and source.json.
        model: loaded from there.
        sources: SHA-256 of each file that was read, by its name.
    """

    folder: Path
    model: Generator
    sources: dict[str, str]


def import_checkpoint(
    path: str | Path, folder: str | Path, *, memory: int = MEMORY, seconds: int = SECONDS
) -> Imported:
    """Make a model's folder of a checkpoint, whatever the file may try.

    Args:
        path: a file that `load_checkpoint` knows.
        folder: is made; or is there and empty.
        memory: bytes that the process which reads the file may map. Where the system has no such
            limit (Windows), there is none.
        seconds: that it may take.

    Raises:
        InputError: the folder is in use, or cannot be made.
        ModelError: the file is missing, of no known architecture, damaged or hostile, needs more
            memory or time, or gives another picture once it is stored.
    """
    path, folder = Path(path), Path(folder)
    if not path.is_file():
        raise ModelError(f"there is no checkpoint {str(path)!r}")
    check_unused(folder)
    if not folder.absolute().parent.is_dir():
        raise InputError(f"there is no folder for {str(folder)!r}; make it first")
    with TemporaryDirectory(prefix="stylesr-", dir=folder.absolute().parent) as temporary:
        made = Path(temporary, "model")
        _run_apart(path, made, Path(temporary), memory, seconds)
        model = Generator.from_pretrained(made)
        _compare(path, model, load_file(made / SEEN_FILE)["seen"])
        sources = {file.name: sha256(file) for file in files_of(path, model)}
        source = {"files": sources, "imported_by": f"stylesr {__version__}"}
        folder.mkdir(exist_ok=True)
        for name in (CONFIG_FILE, WEIGHTS_FILE):
            os.replace(made / name, folder / name)
        (folder / SOURCE_FILE).write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")
    return Imported(folder, Generator.from_pretrained(folder), sources)


def _run_apart(path: Path, made: Path, home: Path, memory: int, seconds: int) -> None:
    """Read the file in another process."""
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment |= {"HOME": str(home), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    words = ["-P", "-m", "stylesr.importing", str(path.absolute()), str(made), str(memory)]
    try:
        done = subprocess.run(
            [sys.executable, *words, str(seconds)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{path} could not be read within {seconds} s; it was given up") from error
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode == REFUSED:
        raise ModelError(said.splitlines()[-1])
    if done.returncode:
        raise ModelError(
            f"the process that read {path} ended with {done.returncode}, perhaps for want of "
            f"memory (it had {memory >> 20} MB): {' '.join(said.split())[-200:]}"
        )


def _compare(path: Path, model: Generator, expected: Tensor) -> None:
    """Raise ModelError unless the stored network gives what the one of the file gave."""
    seen = _look(model)
    if seen.shape != expected.shape or not bool(((seen - expected).abs() < TOLERANCE).all()):
        raise ModelError(f"{path}: once stored, its network gives another picture than before")


@torch.inference_mode()
def _look(model: Generator) -> Tensor:
    """What a network makes of a fixed picture, 64×64; float32."""
    places = torch.arange(3 * 64 * 64, dtype=torch.float32).view(1, 3, 64, 64)
    picture = (places * 0.37).sin() / 2 + 0.5
    style = [picture.flip(-1)] if isinstance(model, MicroAST) else []
    result: Tensor = model(picture, *style)
    return result


# -- the process of its own -----------------------------------------------------------------------


def _main(arguments: Sequence[str]) -> int:
    """Read a checkpoint under limits, write a model's folder; the exit code."""
    path, made, memory, seconds = arguments
    _limit(int(memory), int(seconds))
    try:
        model = load_checkpoint(path)
        model.save_pretrained(made)
        save_file({"seen": _look(model).contiguous()}, str(Path(made, SEEN_FILE)))
    except StyleSRError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return REFUSED
    return 0


def _limit(memory: int, seconds: int) -> None:
    """Bound what this process may take; its children too."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: memory,
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in limits.items():
        most = resource.getrlimit(kind)[1]
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
