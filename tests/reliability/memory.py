"""How much memory `stylesr enhance` takes at most, against the formula, and what happens without.

    python -m tests.reliability.memory photo --megapixels 1 4 16 --scales 1 2 4

Protocol. A square PNG of smooth noise of each size is enlarged to a PNG by the command's own
function, in a process of its own, with one thread. The peak is that of its resident memory, above
what the process took before; the formula is

    bytes ≤ FIXED + PER_INPUT × pixels read + PER_OUTPUT × pixels written

Then each is run again with a limit on the memory it may map (RLIMIT_AS): a quarter, a half and
three quarters of that peak. It must end with 1 and say in a line that the memory is not enough,
with no result and no part of one, or make the same file.
"""

import argparse
import hashlib
import resource
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from stylesr import cli
from stylesr.images import MAX_PIXELS
from stylesr.pipeline import MAX_OUTPUT_PIXELS
from tests.reliability.faults import Process, ended

FIXED, PER_INPUT, PER_OUTPUT = 300_000_000, 45, 30  # bytes
SHARES = (0.25, 0.5, 0.75)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table; 1 where something was above the formula, or not told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="name or folder")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 4, 16, 96])
    parser.add_argument("--scales", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    wrong = 0
    print("| Picture | Factor | Result | Peak | Formula | Limited to 1/4, 1/2, 3/4 |")
    print("|---|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        given, made = Path(folder, "in.png"), Path(folder, "out.png")
        for megapixels in options.megapixels:
            side = round((megapixels * 1e6) ** 0.5)
            assert ended(Process(partial(draw, given, side), Path(folder, "log")))[0] == 0
            for scale in options.scales:
                words = f"enhance {given} {made} --style {options.model} --scale {scale}".split()
                right, row = measure(words, made, side, scale)
                wrong += not right
                print(f"| {side} × {side} | ×{scale} | {row} |", flush=True)
    return 1 if wrong else 0


def draw(path: Path, side: int) -> int:
    """A picture of smooth noise."""
    coarse = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(path)
    return 0


def measure(words: list[str], made: Path, side: int, scale: int) -> tuple[bool, str]:
    """Whether all was right, and the last columns of the row."""
    pixels = (side * scale) ** 2
    log = made.with_name("log")
    code, said = ended(Process(partial(enhance, words), log), within=3600)
    if side**2 > MAX_PIXELS or pixels > MAX_OUTPUT_PIXELS:
        limit = MAX_PIXELS if side**2 > MAX_PIXELS else MAX_OUTPUT_PIXELS
        right = code == 2 and f"{limit:,}" in said and not made.exists()
        return right, f"{pixels / 1e6:.0f} MP | – | – | {'refused before work' if right else said}"
    if code:
        return False, f"– | – | – | exit code {code}: {said[-200:]}"
    peak = int(said.split()[-1])
    formula = FIXED + PER_INPUT * side**2 + PER_OUTPUT * pixels
    expected = hashlib.sha256(made.read_bytes()).digest()
    made.unlink()
    outcomes = []
    for share in SHARES:
        command = partial(enhance, words, room=round(share * peak))
        code, said = ended(Process(command, log), within=3600)
        told = said.count("\n") == 1 and "not enough memory" in said
        if code == 1 and told and not list(made.parent.glob("out.png*")):
            outcomes.append("told")
        elif code == 0 and hashlib.sha256(made.read_bytes()).digest() == expected:
            outcomes.append("made")
        else:
            outcomes.append(f"exit code {code}: {said[-300:]}")
        made.unlink(missing_ok=True)
    right = peak <= formula and set(outcomes) <= {"told", "made"}
    sizes = f"{pixels / 1e6:.0f} MP | {peak / 1e6:,.0f} MB | {formula / 1e6:,.0f} MB"
    return right, f"{sizes} | {', '.join(outcomes)}"


def enhance(words: list[str], room: int | None = None) -> int:
    """Run the command, with so many bytes more than are mapped now; prints its peak where free."""
    if room is not None:
        limit = status("VmSize") + room
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    before = status("VmRSS")
    code = cli.main(words)
    if room is None and code == 0:
        print(status("VmHWM") - before)
    return code


def status(name: str) -> int:
    """Bytes, by the kernel's account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


if __name__ == "__main__":
    sys.exit(main())
