"""Live pictures: the newest is painted, the rest is dropped, and a page shows it."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import av
import numpy as np
import pytest
from PIL import Image

from stylesr import live, video
from stylesr.cli import main
from stylesr.errors import InputError
from stylesr.picture import Picture
from stylesr.pipeline import StyleSRPipeline
from tests import tiny
from tests.test_video import SIZE, N, clip


@pytest.fixture
def pipe() -> StyleSRPipeline:
    photo = tiny.photo()
    return StyleSRPipeline(photo, {"dots": tiny.style(photo, 1)})


# -- painting -----------------------------------------------------------------------------------


def test_every_frame_is_painted_or_dropped(tmp_path: Path, pipe: StyleSRPipeline) -> None:
    moments = list(live.paint(pipe, clip(tmp_path / "a.mp4"), side=64, scale=2))
    assert [moment.painted for moment in moments] == list(range(1, len(moments) + 1))
    assert moments[-1].painted + moments[-1].dropped == N
    with Image.open(BytesIO(moments[-1].jpeg)) as image:
        assert (image.format, image.size) == ("JPEG", (128, 96))


def test_who_paints_slowly_gets_the_newest(
    tmp_path: Path, pipe: StyleSRPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, seen = threading.Event(), []

    end = live.Newest.end

    def noted(self: live.Newest[Any], error: BaseException | None = None) -> None:
        end(self, error)
        ended.set()

    def stream(picture: Picture, **options: Any) -> Generator[None, None, Picture]:
        assert ended.wait(60)  # the first takes as long as the film
        seen.append(picture)
        return picture
        yield

    monkeypatch.setattr(live.Newest, "end", noted)
    monkeypatch.setattr(pipe, "stream", stream)
    source = clip(tmp_path / "a.mp4", crf="0")
    *_, last = live.paint(pipe, source, side=64)
    assert last.painted == len(seen) == 2 and last.dropped == N - 2
    film = video.probe(source)
    *_, (_, pixels) = video._frames(source, film)
    assert (
        abs(np.asarray(seen[-1].pixels) - np.asarray(video.as_picture(pixels).pixels)).max() < 0.02
    )


def test_a_turned_camera_and_a_smaller_picture(tmp_path: Path, pipe: StyleSRPipeline) -> None:
    source = clip(tmp_path / "a.mp4", rotation=90)
    moments = live.paint(pipe, source, side=64)
    with Image.open(BytesIO(next(moments).jpeg)) as image:
        assert image.size == SIZE
    moments.close()
    assert "_read" not in {thread.name for thread in threading.enumerate()}


def test_what_is_held_is_the_newest() -> None:
    held = live.Newest[str]()
    for thing in "abc":
        held.put(thing)
    assert held.after(0) == held.after(2) == (3, "c")
    held.end()
    assert held.after(2) == (3, "c")  # the last one is not lost
    assert held.after(3) is None
    held.end(InputError("broken"))
    with pytest.raises(InputError, match="broken"):
        held.after(3)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("/dev/none", {}, "'/dev/none' cannot be opened: No such file .* give a camera such as"),
        ("http://127.0.0.1:9/a", {}, "cannot be opened: Connection refused"),
        ("text.mp4", {}, r"text\.mp4' cannot be opened: Invalid data"),
        ("sound.mp4", {}, "the source cannot be read: it shows no moving picture"),
        ("a.mp4", {"side": 12}, "side must be at least 64, got 12"),
        ("a.mp4", {"scale": 9}, "scale"),
    ],
)
def test_it_says_why_it_does_not_paint(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pipe: StyleSRPipeline,
    source: str,
    options: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.mp4").write_text("not a film")
    with av.open("sound.mp4", "w") as out:
        track = out.add_stream("aac", 48000, layout="mono")
        part = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        part.sample_rate = 48000
        out.mux([*track.encode(part), *track.encode(None)])
    with pytest.raises((video.VideoError, InputError), match=message):
        list(live.paint(pipe, source, **options))


# -- showing ------------------------------------------------------------------------------------


def test_the_page_shows_the_newest_picture_to_each_viewer() -> None:
    with live.Screen(port=0) as screen:
        with urlopen(screen.address) as page:
            assert b'<img src="frames"' in page.read()
        screen.show(b"first")
        viewers = [urlopen(screen.address + "frames") for _ in range(2)]
        for viewer in viewers:
            assert viewer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
            assert part(viewer) == b"first"
        viewers.pop().close()
        for picture in (b"second", b"third"):
            screen.show(picture)
            assert part(viewers[0]) == picture
        viewers[0].close()


def part(viewer: Any) -> bytes:
    """The next picture of a stream."""
    assert viewer.readline() == b"--frame\r\n"
    assert viewer.readline() == b"Content-Type: image/jpeg\r\n"
    length = int(viewer.readline().removeprefix(b"Content-Length: "))
    assert viewer.readline() == b"\r\n"
    return bytes(viewer.read(length + 2)[:-2])


def test_who_does_not_know_the_address_sees_nothing() -> None:
    with live.Screen(port=0) as screen:
        root = screen.address[: screen.address.index("/", 8)]
        for path in ("/", "/frames", "/guess/frames"):
            with pytest.raises(HTTPError, match="404") as caught:
                urlopen(root + path)
            caught.value.close()
        port = int(root.rpartition(":")[2])
        with pytest.raises(InputError, match=f"port {port} cannot be used"):
            live.Screen(port)
    with pytest.raises(OSError, match="refused"):
        HTTPConnection("127.0.0.1", port).connect()
    with pytest.raises(InputError, match="port 70000 cannot be used"):
        live.Screen(70000)


# -- the command --------------------------------------------------------------------------------


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.photo().save_pretrained(tmp_path / "photo")
    source = str(clip(tmp_path / "a.mp4"))
    words = ["live", source, "--style", str(tmp_path / "photo"), "--port", "0"]
    assert main([*words, "--frames", "3", "--side", "64", "--json"]) == 0
    printed = capsys.readouterr()
    lines = [json.loads(line) for line in printed.out.splitlines()]
    assert [line["painted"] for line in lines] == [1, 2, 3]
    assert lines[0].keys() == {"painted", "dropped", "seconds"}
    assert "open http://127.0.0.1:" in printed.err
    assert "3 frames painted, " in printed.err and "painted a second" in printed.err
    assert main([*words, "--frames", "0"]) == 2
    assert main(["live", "/dev/none"]) == 1
    assert "give a camera such as" in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    tiny.photo().save_pretrained(tmp_path / "photo")
    source = str(clip(tmp_path / "a.mp4"))
    words = ["live", source, "--style", str(tmp_path / "photo"), "--port", "0", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "stylesr.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "frames painted" in told and "Traceback" not in told
