"""How many pictures an hour of one processor core makes, by the folder job.

    python -m tests.benchmarks.throughput photo starry-night

Protocol. Three pictures of each size, smooth noise, written as JPEG; `stylesr.jobs.run` with one
worker and one thread reads, enlarges and writes them as JPEG, after one more to warm up. Counted is
the process's time on the processor, so that other work on the machine does not.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from stylesr import jobs
from stylesr.errors import StyleSRError
from stylesr.images import save
from stylesr.picture import Picture
from stylesr.resample import resize

CASES = (((512, 512), 4), ((1024, 1024), 2), ((768, 1024), 1))  # (height, width), factor
COUNT = 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", help="names or folders of models")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print("| Picture | Result | " + " | ".join(options.models) + " |")
    print("|---|---|" + "---|" * len(options.models))
    for size, scale in CASES:
        seconds = [seconds_each(model, size, scale) for model in options.models]
        height, width = size
        cells = " | ".join(f"{3600 / each:,.0f}" for each in seconds)
        result = f"{width * scale} × {height * scale}"
        print(f"| {width} × {height} | {result} | {cells} |", flush=True)


def seconds_each(model: str, size: tuple[int, int], scale: int) -> float:
    """Of the processor, for one picture."""
    with TemporaryDirectory() as folder:
        given, made = Path(folder, "in"), Path(folder, "out")
        given.mkdir()
        for seed in range(COUNT + 1):
            coarse = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
            save(Picture(resize(coarse, size)[0].clamp(0, 1)), given / f"{seed}.jpg")
        job = jobs.Job({model: 1.0}, {"scale": scale})
        start = 0.0
        for outcome in jobs.run(jobs.find(given, made, format="jpg"), made, job):
            if outcome.status != "made":
                raise StyleSRError(outcome.message)
            start = start or time.process_time()  # after the first one
        return (time.process_time() - start) / COUNT


if __name__ == "__main__":
    main()
