"""What visitors leave on the disk, uploads, thumbnails and results, goes when its time is over.

Gradio's own `delete_cache` walks over a set that grows meanwhile: where a file comes in just then,
it ends for good, without a word. It also forgets uploads that were broken off, leaves folders, and
remembers visitors who are gone.
"""

import asyncio
import ctypes
import gc
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

__all__ = [
    "KEEP_SECONDS",
    "SWEEP_SECONDS",
    "forget",
    "give_back",
    "keeping",
    "new_folder",
    "one_heap",
    "sweep",
    "sweep_broken",
]

KEEP_SECONDS = 900  # of every file, since it came or was last shown anew
SWEEP_SECONDS = 300  # between two looks
M_ARENA_MAX = -8  # of glibc's malloc.h


@contextmanager
def new_folder(page: gr.Blocks) -> Iterator[Path]:
    """A folder for results in the page's cache, kept as long as uploads; on an error, gone at once.

    Whoever knows a file's path may fetch it, so the name is one that nobody can guess.
    """
    folder = Path(page.GRADIO_CACHE, secrets.token_hex(16))
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    page.upload_file_set.update(map(str, folder.iterdir()))  # Gradio knows those that it showed


def sweep(page: gr.Blocks, seconds: float) -> None:
    """Remove the page's files that are older, and the folders that this empties.

    What the page itself shows, such as an example, stays.
    """
    end = time.time() - seconds
    shown = {file for block in page.blocks.values() for file in block.keep_in_cache}
    for files in page.temp_file_sets:
        for file in set(files) - shown:
            path = Path(file)
            if _is_gone(path, end):
                files.discard(file)
                with suppress(OSError):  # it holds another
                    path.parent.rmdir()


def sweep_broken(uploads: Path, seconds: float) -> None:
    """Remove what is left of uploads that were broken off and got no byte for so long."""
    for path in uploads.glob("*"):
        if path.is_file():
            _is_gone(path, time.time() - seconds)


def _is_gone(path: Path, end: float) -> bool:
    """Whether a file is not there, or was not changed since and is removed."""
    try:
        if path.stat().st_ctime > end:
            return False
        path.unlink()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def forget(page: gr.Blocks) -> None:
    """Drop the message queues of visitors who wait for nothing, of which Gradio keeps 2,000.

    Only where the page's event loop runs; the next event of a visitor makes a new one.
    """
    queue = page._queue
    for session in list(queue.pending_messages_per_session):
        if not queue.pending_event_ids_session.get(session):
            queue.pending_messages_per_session.pop(session)
            queue.pending_event_ids_session.pop(session, None)


def one_heap() -> None:
    """Let all threads share one heap, where the C library is glibc; to be called before they start.

    Else each gets one of up to eight for each core. An answer's memory is taken now from one heap,
    now from another, and each of them keeps what the busiest moment took.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def give_back() -> None:
    """Hand freed memory back to the system, where the C library is glibc, which else keeps it."""
    gc.collect()
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


@asynccontextmanager
async def keeping(page: gr.Blocks, _app: Any) -> AsyncIterator[None]:
    """The lifespan of a served page: sweeps from time to time, and takes everything at its end."""
    gc.collect()
    gc.freeze()  # the page itself is no garbage: looking through it again would take long
    sweeping = asyncio.create_task(_sweep_for_ever(page))
    try:
        yield
    finally:
        sweeping.cancel()
        gc.unfreeze()
        sweep(page, 0)


async def _sweep_for_ever(page: gr.Blocks) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        forget(page)
        await asyncio.to_thread(sweep, page, KEEP_SECONDS)
        await asyncio.to_thread(sweep_broken, Path(get_upload_folder()), KEEP_SECONDS)
        await asyncio.to_thread(give_back)
