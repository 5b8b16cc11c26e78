"""Odd, damaged and hostile pictures, read, enlarged and written: what comes of each.

    python -m tests.reliability.pictures --corpus hostile.tar.gz

Each picture goes to another process, one after the other: `decode` with all metadata kept, a random
network at ×2, `encode` in every format (PNG alone for damaged files). What has more than a quarter
of a megapixel is read and written as PNG, not enlarged. It counts as hung where it takes more than
10 seconds of a core, and is killed after 60 by the clock. The process may take 6 GiB of address
space.

Good files are ten small ones of each format, of all kinds of pixels, with EXIF and profiles. They
are cut off after every 64 bytes, and 50 times each 1 to 8 of their bits are flipped. Bombs and
modes are listed in `odd_pictures.py`.

`--corpus` takes an archive or a folder of any files. Such collections are public: the seed corpora
of go-fuzz (github.com/dvyukov/go-fuzz-corpus), PngSuite (schaik.com/pngsuite), and the test
pictures of Pillow, image-rs and libwebp.
"""

import argparse
import random
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from stylesr import StyleSRPipeline, images, tiling
from tests import tiny
from tests.reliability import apart, odd_pictures

ENLARGED = 250_000  # pixels
KINDS = ("png", "webp", "jpeg", "tiff", "bmp")
PIECE = 64  # bytes
FLIPS = 50  # of each file

Source: TypeAlias = Image.Image | bytes


def main(arguments: Sequence[str] | None = None) -> int:
    """Go through them, print a table; 1 where something was neither read nor refused."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("groups", nargs="*", default=[], help="rows of the table; all by default")
    parser.add_argument("--corpus", type=Path, help="a tar archive or a folder of files")
    parser.add_argument("--flips", type=int, default=FLIPS, help="of each good file")
    options = parser.parse_args(arguments)
    good = list(odd_pictures.seeds())
    quickly = partial(through, kinds=KINDS[:1])
    groups: list[tuple[str, Callable[[Source], None], Iterable[tuple[str, Source]]]] = [
        ("modes and formats", through, odd_pictures.modes()),
        ("good files", through, good),
        ("cut off", quickly, cut_off(good)),
        ("bits flipped", quickly, flipped(good, options.flips)),
        ("bombs", through, odd_pictures.bombs()),
    ]
    if options.corpus:
        groups.append(("corpus", through, files(options.corpus)))
    print("| | Files | Pictures | Refused | Untyped | Crashed | Hung | Slowest, s | Peak, MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    has_faults = False
    for name, work, things in groups:
        if options.groups and name not in options.groups:
            continue
        outcomes = list(apart.each(work, things))
        kinds = [outcome.kind for outcome in outcomes]
        counts = [kinds.count(k) for k in ("done", "refused", "untyped", "crash", "hang")]
        slowest = max(outcomes, key=lambda outcome: outcome.seconds)
        peak = max(outcome.peak for outcome in outcomes) / 1e6
        cells = f"{slowest.seconds:.1f} ({slowest.name}) | {peak:,.0f}"
        print(f"| {name} | {len(outcomes)} | {' | '.join(map(str, counts))} | {cells} |")
        sys.stdout.flush()
        for line in apart.faults(outcomes):
            has_faults = True
            print(line, file=sys.stderr, flush=True)
    return int(has_faults)


def through(source: Source, kinds: Sequence[str] = KINDS) -> None:
    """Read, enlarge and write a picture; anything but a picture or an error of stylesr's raises."""
    picture = images.decode(source, metadata="keep")
    size = images.check(source)
    assert size == (picture.height, picture.width), f"check said {size}"
    if size[0] * size[1] > ENLARGED:
        kinds = KINDS[:1]
    else:
        pipe = StyleSRPipeline(tiny.photo())
        picture = tiling.drain(pipe.stream(picture, scale=2))
        assert (picture.height, picture.width) == (2 * size[0], 2 * size[1]), picture.pixels.shape
    low, high = picture.pixels.aminmax()
    assert low >= 0 and high <= 1, f"values from {low} to {high}"
    refused = None
    for kind in kinds:
        try:
            data = images.encode(picture, kind)
        except images.ImageError as error:  # transparency, or too large for it
            refused = error
            continue
        assert images.check(data) == (picture.height, picture.width), kind
    if refused is not None and picture.alpha is None:
        raise refused


def cut_off(good: Sequence[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Each file after every 64 bytes."""
    for kind, data in good:
        for length in range(0, len(data), PIECE):
            yield f"{kind} to {length}", data[:length]


def flipped(good: Sequence[tuple[str, bytes]], count: int) -> Iterator[tuple[str, bytes]]:
    """Each file with 1 to 8 wrong bits; half of them at its beginning, where headers are."""
    dice = random.Random(0)
    for kind, data in good:
        for number in range(count):
            wrong = bytearray(data)
            reach = len(data) if number % 2 else min(len(data), 256)
            for _ in range(dice.randint(1, 8)):
                wrong[dice.randrange(reach)] ^= 1 << dice.randrange(8)
            yield f"{kind} flip {number}", bytes(wrong)


def files(corpus: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of an archive or a folder."""
    if corpus.is_dir():
        for path in sorted(corpus.rglob("*")):
            if path.is_file():
                yield str(path.relative_to(corpus)), path.read_bytes()
        return
    with tarfile.open(corpus) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                yield member.name, file.read()


if __name__ == "__main__":
    sys.exit(main())
