"""How many of a camera's frames are painted in a second, by `stylesr live`.

    python -m tests.benchmarks.live photo starry-night

Protocol. A clip of 640 × 480 pixels and 30 frames a second, patches that move, stands for the
camera. `stylesr.live.paint` reads, reduces, paints and encodes it for ten seconds by the clock;
counted is from the first painted frame on. Other work on the machine takes its share, so beside it
stands how many seconds of a processor's core a frame took.
"""

import argparse
import contextlib
import time
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import torch

from stylesr import StyleSRPipeline, live
from stylesr.picture import Picture, to_pil
from stylesr.resample import resize

SIDES = (256, 384, 512, 640)
SIZE, RATE = (480, 640), 30
SECONDS = 10


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", help="names or folders of models")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--threads", type=int, default=2, help="of the network")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    print("| Longest side | " + " | ".join(options.models) + " |")
    print("|---|" + "---|" * len(options.models))
    with TemporaryDirectory() as folder:
        clip = film(Path(folder, "camera.mp4"), options.seconds + 2)
        for side in SIDES:
            cells = [rates(model, clip, side, options.seconds) for model in options.models]
            row = (f"{rate:.1f} a second, {core:.3f} s of a core each" for rate, core in cells)
            print(f"| {side} | {' | '.join(row)} |", flush=True)


def film(path: Path, seconds: float) -> Path:
    """What a camera might see: large patches that move."""
    scene = resize(
        torch.rand(1, 3, 12, 40, generator=torch.Generator().manual_seed(0)), (480, 1600)
    )
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", RATE, options={"preset": "ultrafast"})
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(round(seconds * RATE)):
            left = 2 * number % (scene.shape[3] - SIZE[1])
            frame = Picture(scene[0, :, :, left : left + SIZE[1]].clamp(0, 1).contiguous())
            out.mux(stream.encode(av.VideoFrame.from_image(to_pil(frame))))
        out.mux(stream.encode(None))
    return path


def rates(model: str, clip: Path, side: int, seconds: float) -> tuple[float, float]:
    """Frames painted a second, and seconds of a core for each."""
    with contextlib.closing(
        live.paint(StyleSRPipeline.from_pretrained(model), clip, side=side)
    ) as moments:
        first = next(moments)
        busy = time.process_time()
        *_, last = takewhile(lambda now: now.seconds - first.seconds < seconds, moments)
        busy = time.process_time() - busy
    painted = last.painted - first.painted
    return painted / (last.seconds - first.seconds), busy / painted


if __name__ == "__main__":
    main()
