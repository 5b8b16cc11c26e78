"""Folders of pictures: each is enlarged and painted once, however often the job is started.

What is done is noted in a manifest, a line of JSON a picture, beside the results. A second run of
the same job reads it and makes only what is missing, what failed, and what was changed since.
Under `torchrun` or `accelerate launch` each process takes its share of the pictures, by its rank,
and all write the one manifest. A Dask cluster (`pip install 'stylesr[cluster]'`) has them made by
whichever of its workers is free; a worker that is lost costs the pictures that it was working on,
which others make.
"""

import contextlib
import glob
import hashlib
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

from stylesr import __version__
from stylesr.data.datasets import find_pictures
from stylesr.errors import InputError, StyleSRError
from stylesr.exif import MARK, Metadata
from stylesr.files import sha256, sha256_each

__all__ = ["MANIFEST_FILE", "Item", "Job", "Outcome", "find", "run"]

MANIFEST_FILE = "manifest.jsonl"
PATIENCE = 10  # seconds for a cluster to answer
WAITING = 1000  # pictures at a cluster at a time

Status = Literal["made", "kept", "failed"]


@dataclass(frozen=True)
class Job:
    """What is done to each picture.

    Attributes:
        models: released names, folders or Hub ids with their weights, as `{"starry-night": 1.0}`.
        options: of `StyleSRPipeline.stream`, such as `{"scale": 2}`.
        metadata: "safe" keeps dates, "keep" all EXIF data, place and camera included, and both
            say that a model made the picture; "strip" writes none.
        quality: 1 to 100 for JPEG and lossy WebP; None as in `images.encode`.
    """

    models: Mapping[str, float]
    options: Mapping[str, Any] = field(default_factory=dict)
    metadata: Metadata = "safe"
    quality: int | None = None

    def __post_init__(self) -> None:
        if not self.models:
            raise InputError("name at least one model, for example 'photo'")
        if self.metadata not in get_args(Metadata):
            raise InputError(f"metadata is safe, keep or strip, got {self.metadata!r}")


@dataclass(frozen=True)
class Item:
    """A picture and the file that becomes of it."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Outcome:
    """What became of an item: a line of the manifest.

    Attributes:
        source, target: as found; the target relative to the job's folder.
        status: "kept" where an earlier run had made it.
        message: why it failed.
        notices: what was changed or left out in reading it, in words.
        source_sha256: of the file that was read.
        bytes: of the result.
        job: fingerprint of the models, the options and the version of the package.
        seconds: that it took.
    """

    source: str
    target: str
    status: Status
    message: str = ""
    notices: Sequence[str] = ()
    source_sha256: str = ""
    bytes: int = 0
    job: str = ""
    seconds: float = 0.0


# -- what there is to do ------------------------------------------------------------------------


def find(
    sources: str | Path, output: str | Path, *, format: str = "png", name: str = "{stem}"
) -> list[Item]:
    """List a job's pictures with the names of their results.

    Args:
        sources: a folder, searched with all below it, or a pattern such as `photos/*.jpg` or
            `photos/**/*.png`.
        output: folder of the results; subfolders are made as in the source.
        format: extension of the results, such as "png".
        name: of a result without its extension, from `{stem}` and `{extension}` of the source.

    Raises:
        InputError: no such folder, nothing found, or two results of one name.
    """
    text = str(sources)
    if os.path.isdir(text):
        root = Path(text)
        found = find_pictures(root, also=(".dcm",))
    elif glob.has_magic(text):
        fixed = Path(text[: next(i for i, c in enumerate(text) if c in "*?[")] + "x").parent
        root, found = fixed, [Path(p) for p in glob.glob(text, recursive=True) if os.path.isfile(p)]
    else:
        raise InputError(f"{text!r} is no folder and no pattern such as 'photos/*.jpg'")
    out = Path(output).resolve()
    found = sorted(p for p in found if not p.resolve().is_relative_to(out))
    if not found:
        raise InputError(f"no pictures in {text!r}, or none outside of {str(output)!r}")
    items: dict[Path, Item] = {}
    for source in found:
        try:
            stem = name.format(stem=source.stem, extension=source.suffix.lstrip(".").lower())
        except (KeyError, IndexError, ValueError) as error:
            raise InputError(
                f"name has {{stem}} and {{extension}} to fill in, got {name!r}"
            ) from error
        target = Path(output) / source.relative_to(root).parent / f"{stem}.{format}"
        if target in items:
            raise InputError(
                f"{items[target].source} and {source} would both become {target}; "
                "let the name have {extension}, such as '{stem}-{extension}'"
            )
        items[target] = Item(source, target)
    return list(items.values())


def share(items: Sequence[Item]) -> list[Item]:
    """This process's part of the items, by the environment's RANK and WORLD_SIZE."""
    rank, world = (int(os.environ.get(key, 0)) for key in ("RANK", "WORLD_SIZE"))
    return list(items[rank :: max(1, world)])


# -- doing it -----------------------------------------------------------------------------------


def run(
    items: Sequence[Item],
    output: str | Path,
    job: Job,
    workers: int = 1,
    *,
    cluster: str | None = None,
) -> Iterator[Outcome]:
    """Make what the manifest does not say is made; yields each outcome as it is noted.

    A picture that fails is noted and the others go on. One worker is this process; of several,
    each is a process with models of its own and a share of the processor's cores.

    Args:
        items: from `find`.
        output: folder of the results and the manifest; it is made.
        job: what to do.
        workers: how many pictures are worked on at once.
        cluster: address of a Dask scheduler, such as "tcp://host:8786": its workers make the
            pictures, a process each. They see the same disk under the same paths, and have the
            same version of the package.

    Raises:
        InputError: options that fit no picture, an output that cannot be a folder, fewer than one
            worker, or several of them for a cluster, which has its own.
        ModelError: a model cannot be loaded.
        StyleSRError: the manifest cannot be written, a worker was killed, the cluster cannot be
            reached, or its workers are not as said above.
    """
    if cluster is not None and workers != 1:
        raise InputError(f"a cluster has workers of its own; leave out the {workers} here")
    if workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    output = Path(output)
    manifest = output / MANIFEST_FILE
    here = _Worker(job)  # loads the models, so that a wrong one is refused before any work
    mark = here.fingerprint
    try:
        output.mkdir(parents=True, exist_ok=True)
        manifest.touch()
    except OSError as error:
        raise InputError(f"{str(output)!r} cannot be a folder of results: {error}") from error
    done = _read(manifest)
    mine = share(items)
    todo = []
    for item in mine:
        line = done.get(_relative(item, output))
        if line and _holds(line, item, mark):
            yield replace(line, status="kept", seconds=0.0)
        else:
            todo.append(item)
    workers = min(workers, len(todo))
    if cluster is not None:
        results = _spread(todo, job, mark, cluster)
    elif workers > 1:
        results = _pool(todo, job, workers)
    else:
        results = ((item, here.make(item)) for item in todo)
    for item, outcome in results:
        outcome = replace(outcome, target=_relative(item, output), job=mark)
        try:
            _append(manifest, outcome)
        except OSError as error:
            raise StyleSRError(
                f"what is made cannot be noted: {error}; when that is mended, the same command "
                "goes on"
            ) from error
        yield outcome


def _pool(items: Sequence[Item], job: Job, workers: int) -> Iterator[tuple[Item, Outcome]]:
    """Outcomes in the order in which they come, of processes of this machine."""
    context = multiprocessing.get_context("spawn")  # a forked torch hangs
    pool = ProcessPoolExecutor(workers, context, _prepare, (job, workers))
    running = dict[Future[Outcome], Item]()
    try:
        for item, future in _flow(pool, _make, items, 2 * workers, running):
            yield item, future.result()
    except KeyboardInterrupt:
        pool.shutdown(wait=True, cancel_futures=True)  # what was begun is finished, and noted
        for future, item in running.items():
            if not future.cancelled() and not future.exception():
                yield item, future.result()
        raise
    except BrokenProcessPool as error:
        raise StyleSRError(
            "a worker was killed, perhaps for want of memory; the same command goes on, "
            "fewer workers or a smaller tile size need less"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _spread(
    items: Sequence[Item], job: Job, mark: str, cluster: str
) -> Iterator[tuple[Item, Outcome]]:
    """The same, made by a cluster's workers; Dask gives a lost one's pictures to others."""
    try:
        dask = import_module("distributed")
    except ImportError as error:
        raise InputError(
            f"a cluster needs Dask: pip install 'stylesr[cluster]' ({error})"
        ) from error
    make = partial(_make_there, job, mark, os.getcwd())
    try:
        client = dask.Client(cluster, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise StyleSRError(f"no Dask scheduler answers at {cluster!r}: {error}") from error
    with client:
        pool = client.get_executor(pure=False)
        try:
            for item, future in _flow(pool, make, items, WAITING, {}):
                try:
                    yield item, future.result()
                except dask.KilledWorker:  # as often as Dask allows
                    lost = Outcome(str(item.source), str(item.target), "failed")
                    reason = "it ended each worker that had it, perhaps for want of memory"
                    yield item, replace(lost, message=reason)
        except (ImportError, OSError) as error:
            raise StyleSRError(
                f"the cluster's workers need stylesr and the folder {os.getcwd()!r}: {error}"
            ) from error
        finally:
            pool.shutdown(wait=False)


def _flow(
    pool: Executor,
    make: Callable[[Item], Outcome],
    items: Sequence[Item],
    ahead: int,
    running: dict[Future[Outcome], Item],
) -> Iterator[tuple[Item, Future[Outcome]]]:
    """What is done, in the order in which it is; so many items wait in the pool at a time."""
    rest = iter(items)
    while True:
        for item in islice(rest, ahead - len(running)):
            running[pool.submit(make, item)] = item
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), future


class _Worker:
    """The models of a job, in one process."""

    def __init__(self, job: Job) -> None:
        from stylesr.pipeline import open_mix

        self.job = job
        options = dict(job.options)
        self.pipe, asked = open_mix(job.models, options.pop("enlarger", None))
        self.options = {**options, **asked}
        self.pipe.plan((64, 64), **self.options)
        shown = {k: v for k, v in options.items() if k in ("style_image", "style_weights")}
        if shown:  # what cannot be read is refused before any work
            self.pipe.read_style(
                shown.get("style_image"), shown.get("style_weights"), asked["style"]
            )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that determines a result, but the picture."""
        models = [self.pipe.fingerprints, self.options["style"]]
        options = dict(self.job.options)
        if "style_image" in options:
            options["style_image"] = sha256_each(options["style_image"])
        parts = {**asdict(self.job), "options": options, "models": models, "version": __version__}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def make(self, item: Item) -> Outcome:
        """Enlarge, paint and save a picture."""
        from stylesr import images, tiling

        started = time.monotonic()
        outcome = Outcome(str(item.source), str(item.target), "made")
        try:
            outcome = replace(outcome, source_sha256=sha256(item.source))
            picture = images.decode(item.source, metadata=self.job.metadata)
            outcome = replace(outcome, notices=picture.notices)
            work = self.pipe.stream(picture, **self.options)
            result = tiling.drain(work, lambda _: None)
            if self.job.metadata != "strip":
                result = replace(result, metadata={**result.metadata, **MARK})
            item.target.parent.mkdir(parents=True, exist_ok=True)
            images.save(result, item.target, quality=self.job.quality)
            outcome = replace(outcome, bytes=item.target.stat().st_size)
        except (StyleSRError, OSError) as error:
            outcome = replace(outcome, status="failed", message=" ".join(str(error).split()))
        return replace(outcome, seconds=round(time.monotonic() - started, 3))


_worker: _Worker  # of this process, where it is one of a pool


def _prepare(job: Job, workers: int) -> None:
    import torch

    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: a picture is finished
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
    _worker = _Worker(job)


def _end_with_parent() -> None:
    """A parent that was killed tells nobody; its workers would wait forever, and write on."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _make(item: Item) -> Outcome:
    return _worker.make(item)


_there: dict[str, _Worker] = {}  # the last job's, where this is a cluster's process
_turn = threading.Lock()


def _make_there(job: Job, mark: str, folder: str, item: Item) -> Outcome:
    with _turn, contextlib.chdir(folder):  # paths are as they were given, where they were
        if mark not in _there:
            worker = _Worker(job)
            if worker.fingerprint != mark:
                raise StyleSRError(
                    "a worker of the cluster has other models or another version of stylesr; "
                    f"this is {__version__}"
                )
            _there.clear()
            _there[mark] = worker
        return _there[mark].make(item)


# -- the manifest -------------------------------------------------------------------------------


def _read(manifest: Path) -> dict[str, Outcome]:
    """The last line of each target; a line that was cut off by a crash is passed over."""
    lines: dict[str, Outcome] = {}
    if manifest.is_file():
        for text in manifest.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = Outcome(**json.loads(text))
            except (ValueError, TypeError):
                continue
            lines[line.target] = line
    return lines


def _append(manifest: Path, outcome: Outcome) -> None:
    """Add a line, in one write: other processes may add theirs."""
    line = json.dumps(asdict(outcome)) + "\n"
    if manifest.is_file() and manifest.stat().st_size and not _ends_with_newline(manifest):
        line = "\n" + line
    with manifest.open("ab", buffering=len(line) + 1) as file:  # ASCII: it goes in one write
        file.write(line.encode())


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _holds(line: Outcome, item: Item, mark: str) -> bool:
    """Whether what a line says of an item is still so."""
    try:
        return (
            line.status == "made"
            and line.job == mark
            and item.target.stat().st_size == line.bytes
            and line.source_sha256 == sha256(item.source)
        )
    except OSError:  # one of the files is gone
        return False


def _relative(item: Item, output: Path) -> str:
    return item.target.relative_to(output).as_posix()
