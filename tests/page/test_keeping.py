import asyncio
import ctypes
import gc
import platform
import subprocess
import sys
import threading
import time
import weakref
from asyncio import Queue
from itertools import count
from pathlib import Path

import gradio as gr
import pytest

from stylesr.page import keeping

ROOT = Path(__file__).parents[2]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> gr.Blocks:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))

    async def build() -> gr.Blocks:
        with gr.Blocks() as page:
            gr.Image()
        return page

    return asyncio.run(build())  # where no loop runs, Gradio opens some that nobody closes


def uploaded(page: gr.Blocks, name: str) -> Path:
    path = Path(page.GRADIO_CACHE, name, "photo.png")
    path.parent.mkdir()
    path.write_bytes(b"x")
    page.upload_file_set.add(str(path))
    return path


def test_results_are_kept_for_a_while_and_gone_at_once_after_an_error(page: gr.Blocks) -> None:
    with keeping.new_folder(page) as folder:
        (folder / "result.png").write_bytes(b"x")
        (folder / "settings.json").write_bytes(b"x")
    assert len(folder.name) == 32  # nobody guesses it
    keeping.sweep(page, 60)
    assert len(list(folder.iterdir())) == 2
    keeping.sweep(page, 0)
    assert not folder.exists()
    with pytest.raises(KeyError), keeping.new_folder(page) as failed:
        raise KeyError
    assert not failed.exists()


def test_what_gradio_knows_is_removed_but_for_what_the_page_shows(page: gr.Blocks) -> None:
    photo, example, thumbnail = (uploaded(page, name) for name in ("a", "b", "c"))
    (image,) = (block for block in page.blocks.values() if isinstance(block, gr.Image))
    image.keep_in_cache.add(str(example))
    image.temp_files.add(str(thumbnail))
    other = photo.with_name("not-ours.txt")
    other.write_bytes(b"x")
    keeping.sweep(page, 0)
    assert not photo.exists() and not thumbnail.parent.exists()
    assert example.exists() and other.exists()
    assert set().union(*page.temp_file_sets) == {str(example)}  # nothing is remembered for ever


def test_what_another_removed_or_nobody_may_remove_does_not_stop_it(
    page: gr.Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, held, photo = (uploaded(page, name) for name in ("a", "b", "c"))
    gone.unlink()
    unlink = Path.unlink

    def remove(path: Path, missing_ok: bool = False) -> None:
        if path == held:
            raise PermissionError
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", remove)
    keeping.sweep(page, 0)
    assert held.exists() and not photo.exists()
    assert page.upload_file_set == {str(held)}


def test_files_that_come_in_meanwhile_do_not_end_it(page: gr.Blocks) -> None:
    page.upload_file_set.update(str(Path(page.GRADIO_CACHE, f"{n}")) for n in range(2_000))
    done = threading.Event()

    def come() -> None:
        for number in count(2_000):
            page.upload_file_set.add(str(Path(page.GRADIO_CACHE, f"{number}")))
            if done.wait(0.0001):
                return

    visitors = threading.Thread(target=come)
    visitors.start()
    try:
        for _ in range(3):
            keeping.sweep(page, 60)  # as Gradio's own, on such a page: RuntimeError
    finally:
        done.set()
        visitors.join()


def test_what_is_left_of_broken_uploads_is_removed(tmp_path: Path) -> None:
    for name in ("broken", "photo/whole.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    keeping.sweep_broken(tmp_path, 60)
    assert (tmp_path / "broken").exists()  # it may be coming in
    keeping.sweep_broken(tmp_path, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["photo"]


def test_visitors_who_wait_for_nothing_are_forgotten(page: gr.Blocks) -> None:
    queue = page._queue
    for name, waiting in {"gone": set[str](), "waits": {"event"}}.items():
        queue.pending_messages_per_session[name] = Queue()
        queue.pending_event_ids_session[name] = waiting
    queue.pending_messages_per_session["was-cleared"] = Queue()
    keeping.forget(page)
    assert list(queue.pending_messages_per_session) == ["waits"]
    assert queue.pending_event_ids_session == {"waits": {"event"}}


HEAPS = """
import ctypes, sys, threading
from types import SimpleNamespace
import app

libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
everyone_is_here = threading.Barrier(6)

def heaps():
    file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
    libc.malloc_info(0, file)
    libc.fclose(file)
    return open(sys.argv[1]).read().count("<heap nr=")

def answer():
    answers.append(bytearray(10_000))
    everyone_is_here.wait()

answers, before = [], heaps()
app.launch(SimpleNamespace(fns={}, launch=lambda **options: None))
threads = [threading.Thread(target=answer) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(heaps() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others have one heap")
def test_threads_of_a_served_page_bring_no_heaps_of_their_own(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HEAPS, str(tmp_path / "heaps.xml")]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.split()[-1] == "0"


def test_rubbish_is_collected_and_its_memory_given_back() -> None:
    class Node:
        other: "Node"

    node = Node()
    node.other = node
    left = weakref.ref(node)
    del node
    keeping.give_back()
    assert left() is None


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    keeping.one_heap()
    keeping.give_back()


def test_a_served_page_sweeps_and_leaves_nothing(
    page: gr.Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(keeping, "KEEP_SECONDS", 0)
    first = uploaded(page, "a")
    broken = Path(page.GRADIO_CACHE, "broken")
    broken.write_bytes(b"x")

    async def serve() -> Path:
        async with keeping.keeping(page, None):
            assert gc.get_freeze_count()
            end = time.monotonic() + 20
            while (first.exists() or broken.exists()) and time.monotonic() < end:
                await asyncio.sleep(0.01)
            assert not first.exists() and not broken.exists()
            monkeypatch.setattr(keeping, "SWEEP_SECONDS", 60)
            await asyncio.sleep(0.1)
            return uploaded(page, "b")

    last = asyncio.run(serve())
    assert not last.exists()
