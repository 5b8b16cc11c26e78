"""Mutated input for everything that reads files of strangers, guided by what code it reaches.

    pip install atheris
    python -m tests.reliability.fuzz --seconds 600

Targets are `images.decode` and `encode`, the tiles of `tiling.run`, config.json, model.safetensors,
and community checkpoints. Each starts from good files and runs for so many seconds in a process of
its own, which may hold 6 GiB and take 10 seconds for one input. A find is any error that is not one
of stylesr's, counted once for each line of code that it comes from; a process that dies or hangs is
one too. The short form, by hypothesis, is `tests/test_fuzzing.py`.
"""

import argparse
import atexit
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import torch
from torch import Tensor
from torch.nn import functional as F

from stylesr import images, tiling
from stylesr.checkpoints import load_checkpoint
from stylesr.errors import InputError, StyleSRError
from stylesr.models import Generator
from tests import tiny
from tests.models.contract import plain
from tests.reliability import odd_pictures
from tests.test_checkpoints import Weights, compact, cyclegan, small_state

# Modules that are imported here tell of the branches that they take.
INSIDE = """
import sys

import atheris
import diffusers, torch  # as they are: they are large

with atheris.instrument_imports(include=["stylesr", "PIL", "pydicom"]):
    from tests.reliability import fuzz
fuzz.run(sys.argv[1], float(sys.argv[2]))
"""

SECONDS = 600
MEGABYTES = 6 * 1024
HANG = 10  # seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, print a table; 1 where something was found, 2 where there is no atheris."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", default=[], help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each target")
    options = parser.parse_args(arguments)
    try:
        import atheris  # noqa: F401
    except ImportError:
        print("fuzzing needs atheris: pip install atheris (Linux and macOS)", file=sys.stderr)
        return 2
    print("| Target | Runs | Accepted | Refused | Finds |")
    print("|---|---|---|---|---|")
    found = []
    for name in options.targets or TARGETS:
        report = _apart(name, options.seconds)
        counts = " | ".join(f"{report[key]:,}" for key in ("runs", "accepted", "refused"))
        print(f"| {name} | {counts} | {len(report['finds'])} |", flush=True)
        found += [f"{name}: {find}" for find in report["finds"]]
    print("\n\n".join(found), file=sys.stderr)
    return 1 if found else 0


# -- targets: each returns, or raises an error of stylesr's ---------------------------------------


def picture(data: bytes) -> None:
    """Any bytes as a picture's file."""
    read = images.decode(data, max_pixels=100_000, metadata="keep")
    assert images.check(data) == (read.height, read.width)
    back = images.decode(images.encode(read, "png"))
    assert (back.height, back.width, back.alpha is None) == (
        read.height,
        read.width,
        read.alpha is None,
    )


def tiles(data: bytes) -> None:
    """Any numbers as the sizes of a picture, of its tiles and their overlap."""
    if len(data) < 7:
        raise InputError(f"7 bytes are needed, got {len(data)}")
    height, width, tile_size, overlap, multiple = struct.unpack("<hhBBB", data[:7])
    if height * width > 100_000:
        raise InputError(f"at most 100,000 pixels, got {height}×{width}")
    check_tiles(height, width, tile_size, overlap, multiple)


def check_tiles(height: int, width: int, tile_size: int, overlap: int, multiple: int) -> None:
    """Raise AssertionError unless tiles give what the whole gives."""
    plan = tiling.plan(
        height, width, tile_size=tile_size, overlap=max(overlap, multiple), multiple=multiple
    )
    if len(plan) > 1_000:
        raise InputError(f"at most a thousand tiles, got {len(plan)}")
    x = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(0))
    sizes = {"overlap": max(overlap, multiple), "multiple": multiple}
    whole = tiling.drain(tiling.run(_blurred, x, factor=2, tile_size=None, **sizes))
    tiled = tiling.drain(tiling.run(_blurred, x, factor=2, tile_size=tile_size, **sizes))
    assert tiled.shape == (1, 1, 2 * height, 2 * width)
    assert torch.equal(tiled, whole)


def _blurred(x: Tensor, top: int, left: int) -> Tensor:
    """×2; a pixel depends on its neighbours."""
    around = F.pad(x, (1, 1, 1, 1))
    sums = around[..., :-2, 1:-1] + around[..., 2:, 1:-1] + around[..., 1:-1, :-2]
    return F.interpolate(sums + x, scale_factor=2)


def config(data: bytes) -> None:
    """Any bytes as config.json, beside the weights of a small StyleSRNet."""
    folder = _folder()
    (folder / "config.json").write_bytes(data)
    net = Generator.from_pretrained(folder)
    assert net.fingerprint() == tiny.photo().fingerprint()


def weights(data: bytes) -> None:
    """Any bytes as model.safetensors."""
    folder = _folder()
    (folder / "config.json").write_text(json.dumps(_config(tiny.photo())))
    (folder / "model.safetensors").write_bytes(data)
    net = Generator.from_pretrained(folder)
    assert all(bool(tensor.isfinite().all()) for tensor in net.state_dict().values())


def checkpoint(data: bytes) -> None:
    """Any bytes as somebody's .pth."""
    path = _folder() / "net.pth"
    path.write_bytes(data)
    net = load_checkpoint(path)
    assert all(bool(tensor.isfinite().all()) for tensor in net.state_dict().values())


@cache
def _folder() -> Path:
    """Of this process, with the small network in it."""
    folder = Path(mkdtemp(prefix="stylesr-fuzz-"))
    atexit.register(shutil.rmtree, folder)
    tiny.photo().save_pretrained(folder)
    return folder


def _config(net: Generator) -> dict[str, object]:
    return {"class_name": type(net).__name__, **plain(net.config)}


# -- where they start from ------------------------------------------------------------------------


def picture_seeds() -> list[bytes]:
    """Good files of every format."""
    return [data for _, data in odd_pictures.seeds()]


def tile_seeds() -> list[bytes]:
    """Sizes."""
    sizes = [(1, 1, 1, 0, 1), (513, 7, 64, 8, 1), (40, 52, 16, 8, 4), (300, 4, 8, 4, 4)]
    return [struct.pack("<hhBBB", *size) for size in sizes]


def config_seeds() -> list[bytes]:
    """The small network's own, and one of every class by its defaults."""
    configs = [_config(tiny.photo())]
    configs += [_config(kind()) for kind in Generator.__subclasses__()]
    return [json.dumps(config).encode() for config in configs]


def weight_seeds() -> list[bytes]:
    """The small network's own."""
    tiny.photo().save_pretrained(_folder())
    return [(_folder() / "model.safetensors").read_bytes()]


def checkpoint_seeds() -> list[bytes]:
    """Of three architectures, as zip archives and as plain pickles."""
    one, two = Weights(), Weights()
    compact(one, torch.zeros(1, 3, 8, 8), 4, 1, 2)
    cyclegan(two, torch.zeros(1, 3, 8, 8), 4, 1)
    seeds = []
    for state in (one.state, two.state, {"params": small_state()}):
        for is_zip in (True, False):
            file = io.BytesIO()
            torch.save(state, file, _use_new_zipfile_serialization=is_zip)
            seeds.append(file.getvalue())
    return seeds


Target = Callable[[bytes], None]
TARGETS: dict[str, tuple[Target, Callable[[], list[bytes]]]] = {
    "pictures": (picture, picture_seeds),
    "tiles": (tiles, tile_seeds),
    "config.json": (config, config_seeds),
    "model.safetensors": (weights, weight_seeds),
    "checkpoints": (checkpoint, checkpoint_seeds),
}


# -- running --------------------------------------------------------------------------------------


def _apart(name: str, seconds: float) -> dict[str, object]:
    """The report of a target, from a process of its own."""
    words = [sys.executable, "-c", INSIDE, name, str(seconds)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        report: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return report
    said = "\n".join(done.stderr.splitlines()[-30:])
    finds = [f"the process ended with {done.returncode}:\n{said}"]
    return {"runs": 0, "accepted": 0, "refused": 0, "finds": finds}


def run(name: str, seconds: float) -> None:
    """Run a target, print its report as JSON and end the process."""
    import atheris

    torch.set_num_threads(1)
    target, seeds = TARGETS[name]
    counts = {"runs": 0, "accepted": 0, "refused": 0}
    finds: dict[str, str] = {}
    end = time.monotonic() + seconds

    def once(data: bytes) -> None:
        counts["runs"] += 1
        try:
            target(data)
            counts["accepted"] += 1
        except StyleSRError:
            counts["refused"] += 1
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            finds.setdefault(
                f"{type(error).__name__} {place.filename}:{place.lineno}",
                f"{traceback.format_exc()}{data[:4000].hex()}",
            )
        if time.monotonic() > end:
            print(json.dumps({**counts, "finds": list(finds.values())}), flush=True)
            shutil.rmtree(_folder())
            os._exit(0)

    with TemporaryDirectory() as corpus:
        for number, data in enumerate(seeds()):
            Path(corpus, str(number)).write_bytes(data)
        options = [f"-timeout={HANG}", f"-rss_limit_mb={MEGABYTES}", "-max_len=65536"]
        atheris.Setup([sys.argv[0], *options, corpus], once)
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
