"""Many visitors at once, and a few for long: how the page answers, and whether it grows.

    python -m tests.reliability.crowd
    python -m tests.reliability.crowd --clients 4 --soak 30

Protocol. `python app.py` serves the page with its own models on this machine. Each client has an
address of its own and does what a browser does: loads the page and its example, uploads a photo of
320 × 240, has it measured and painted twice as large in the next style, fetches the result, and
leaves; one who is refused comes again after five seconds. 1, 4, 16 and 32 clients do so for a
while each, then four for as long as the soak says. Meanwhile a further visitor asks for `/` twice a
second. A job's time is from joining the line to the last word about it. Memory is read every five
seconds from /proc, of the page's process and of the one that paints, which is replaced after 100
jobs or 900 MB; the slope is that of a straight line through the page's, without the first fifth
of the soak. After it, the script waits as long as files are kept, 20 minutes, and counts what is
left of them and of ten uploads that were broken off. Ends with 1 if anything broke, the page took
more than a second (95 %), grew by more than 20 MB an hour in a soak of half an hour or more, or
files were left.
"""

import argparse
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import numpy as np

from tests.reliability.serving import (
    API,
    Answer,
    Outcome,
    Server,
    Visitor,
    broken_upload,
    enhance_values,
    functions,
    hang_up,
    memory,
    picture,
    serve,
)

STYLES = "photo", "starry-night", "great-wave", "gouache"
AGAIN_SECONDS = 5
MOST_SECONDS = 1.0  # for `/`, of 95 %
MOST_SLOPE = 20.0  # MB an hour
SHORT = """
import app
from stylesr.page import keeping
keeping.KEEP_SECONDS = {keep}
keeping.SWEEP_SECONDS = {keep} // 3
app.launch(app.build_page())
"""


@dataclass
class Record:
    """What the visitors saw in one phase."""

    counts: Counter[str] = field(default_factory=Counter)
    jobs: list[float] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)
    memory: list[tuple[float, float, float]] = field(default_factory=list)
    words: Counter[str] = field(default_factory=Counter)

    def see(self, answer: Answer | Outcome) -> bool:
        """Note whether an answer was good, a friendly refusal, or neither."""
        if answer.status == 200 and (isinstance(answer, Answer) or answer.done):
            return True
        friendly = isinstance(answer, Outcome) and answer.is_typed
        text = (
            answer.text if isinstance(answer, Outcome) else answer.body.decode("utf-8", "replace")
        )
        told = re.search(r'"(?:error|message|detail)": ?"([^"]+)"', text)
        if friendly or answer.status in (422, 429):
            self.counts["refused"] += 1
        else:
            self.counts["broke"] += 1
        self.words[f"{answer.status} {told[1] if told else text[:200]}"] += 1
        return False


def visit(server: Server, record: Record, address: str, photo: bytes, style: str) -> bool:
    """One visit from the first look to the result; whether there was one."""
    visitor = Visitor(server.port, address)
    known = functions(visitor)
    values = enhance_values(None, style=style)[:12]

    def do(name: str, *data: object) -> Outcome:
        return visitor.do(known[name][0], list(data))

    record.see(visitor.get("/"))
    record.see(do("welcome", "en"))
    upload = visitor.upload(("photo.png", photo))
    if not record.see(upload):
        return False
    values[0] = {"path": upload.json[0], "meta": {"_type": "gradio.FileData"}}
    if not (record.see(do("look", *values, "en")) and record.see(do("begin", *values, "en"))):
        return False
    start = time.monotonic()
    painted = do("paint", *values, "en")
    if not record.see(painted):
        return False
    record.jobs.append(time.monotonic() - start)
    record.counts["jobs"] += 1
    result = visitor.get(f"{API}/file={quote(painted.file())}")
    if result.body[:4] != b"\x89PNG":
        record.counts["broke"] += 1
    return True


def phase(server: Server, clients: int, seconds: float) -> Record:
    """So many clients for so long."""
    record, end = Record(), time.monotonic() + seconds
    numbers = count()

    def come(client: int) -> None:
        while time.monotonic() < end:
            number = next(numbers)
            style = STYLES[number % len(STYLES)]
            address = f"93.184.{client}.15"
            if not visit(server, record, address, picture(320, 240, number), style):
                time.sleep(AGAIN_SECONDS)

    def look() -> None:
        visitor = Visitor(server.port, "93.185.0.1")
        while time.monotonic() < end:
            start = time.monotonic()
            record.see(visitor.get("/"))
            record.looks.append(time.monotonic() - start)
            time.sleep(0.5)

    def weigh() -> None:
        while time.monotonic() < end:
            now = time.monotonic()
            record.memory.append((now, memory(server.process.pid), memory(server.worker)))
            time.sleep(5)

    work: list[Callable[[], None]] = [partial(come, n) for n in range(clients)]
    threads = [threading.Thread(target=do) for do in (*work, look, weigh)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return record


def slope(record: Record) -> float:
    """Megabytes an hour by which the page's process grew, after the first fifth."""
    times, sizes = np.array([(now, page) for now, page, _ in record.memory]).T
    late = slice(len(times) // 5, None)
    return float(np.polyfit(times[late] / 3600, sizes[late], 1)[0])


def files_left(server: Server, before: set[Path], seconds: float) -> tuple[int, float]:
    """How many files there are when they should be gone, and when the last one was gone."""
    start = time.monotonic()
    while left := set(server.files()) - before:
        if time.monotonic() - start > seconds:
            break
        time.sleep(5)
    return len(left), time.monotonic() - start


def main(arguments: Sequence[str] | None = None) -> int:
    """Let them come, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 4, 16, 32])
    parser.add_argument("--minutes", type=float, default=2, help="for each number of clients (2)")
    parser.add_argument("--soak", type=float, default=0, help="minutes of four clients (0)")
    parser.add_argument("--keep", type=int, help="seconds that files are kept, for a shorter try")
    options = parser.parse_args(arguments)
    good = True
    with TemporaryDirectory() as place:
        command = ("-c", SHORT.format(keep=options.keep)) if options.keep else ()
        with serve(Path(place), *command) as server:
            first = Visitor(server.port)
            first.do(functions(first)["welcome"][0], ["en"])
            before = set(server.files())
            print(head())
            for clients in options.clients:
                record = phase(server, clients, 60 * options.minutes)
                print(row(f"{clients}", record), flush=True)
                good &= is_good(record)
            if options.soak:
                record = phase(server, 4, 60 * options.soak)
                print(row(f"4, for {options.soak:g} minutes", record))
                print(f"\n{growth(record)}", flush=True)
                good &= is_good(record) and (options.soak < 30 or slope(record) <= MOST_SLOPE)
            for _ in range(10):
                hang_up(server.port, broken_upload())
            now = len(set(server.files()) - before)
            kept = options.keep * 4 / 3 if options.keep else 1200
            left, seconds = files_left(server, before, kept + 30)
            print(f"Of {now} files {left} were left after {seconds:.0f} seconds.")
            for fault, often in Counter(server.faults()).items():
                print(f"- in the log, {often} times: {fault}")
                good = False
    return 0 if good and not left else 1


def is_good(record: Record) -> bool:
    """Whether nothing broke and the page was quick."""
    for said, often in record.words.most_common(5):
        print(f"  {often} × {said}", file=sys.stderr)
    return not record.counts["broke"] and float(np.percentile(record.looks, 95)) < MOST_SECONDS


def head() -> str:
    """The table's head."""
    names = (
        "Clients",
        "jobs",
        "refused",
        "broke",
        "a job: 50 %, 95 %, 99 %",
        "`/`: 50 %, 95 %, 99 %",
    )
    return f"| {' | '.join(names)} |\n|---|---:|---:|---:|---:|---:|"


def row(name: str, record: Record) -> str:
    """A line of the table."""
    counts = [str(record.counts[kind]) for kind in ("jobs", "refused", "broke")]
    times = [shares(record.jobs), shares(record.looks)]
    return f"| {' | '.join([name, *counts, *times])} |"


def shares(seconds: Sequence[float]) -> str:
    """The times within which half, 95 and 99 of a hundred were done."""
    if not seconds:
        return "–"
    found = np.percentile(seconds, (50, 95, 99))
    return ", ".join(f"{value:.2f}" for value in found) + " s"


def growth(record: Record) -> str:
    """What the memory did, in a sentence."""
    pages, workers = ([sample[place] for sample in record.memory] for place in (1, 2))
    return (
        f"The page's process had {pages[0]:.0f} MB at first and {pages[-1]:.0f} MB at last, "
        f"{slope(record):+.1f} MB an hour; the one that paints at most {max(workers):.0f} MB."
    )


if __name__ == "__main__":
    sys.exit(main())
