"""A camera's pictures, painted while it films, on a page that this machine alone can open.

PyAV reads (`pip install 'stylesr[video]'`). The newest frame is painted and the newest painting is
shown; what comes in the meantime is dropped, so that nothing waits and nothing lags behind.
"""

import secrets
import sys
import threading
from collections.abc import Generator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any, Generic, TypeVar

import av
from av.error import FFmpegError

from stylesr import images, tiling, video
from stylesr.errors import InputError
from stylesr.pipeline import StyleSRPipeline

__all__ = ["CAMERA", "Painted", "Screen", "paint"]

T = TypeVar("T")

SIDE = 512
LEAST_SIDE = 64
PORT = 7861
QUALITY = 90  # of JPEG
PATIENCE = 5  # seconds for a camera's last frame
CAMERAS = {  # FFmpeg's names of the system's cameras, and of the first of them
    "linux": ("v4l2", "/dev/video0"),
    "darwin": ("avfoundation", "0"),
    "win32": ("dshow", "video=Integrated Camera"),
}
FORMAT, CAMERA = CAMERAS.get(sys.platform, CAMERAS["linux"])
PAGE = b"""<!doctype html>
<html lang="en">
<title>stylesr live</title>
<style>
  body { margin: 0; background: #111; }
  img { display: block; width: 100vw; height: 100vh; object-fit: contain; }
</style>
<img src="frames" alt="What the camera sees, painted">
</html>
"""


@dataclass(frozen=True)
class Painted:
    """A painted frame.

    Attributes:
        jpeg: the picture, as a file.
        painted, dropped: frames so far, this one included.
        seconds: since the first frame came.
    """

    jpeg: bytes
    painted: int
    dropped: int
    seconds: float


class Newest(Generic[T]):
    """Passes things between threads and holds one: who is slow gets fewer of them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0
        self._held: T | None = None
        self._ended = False
        self._error: BaseException | None = None

    def put(self, thing: T) -> None:
        """Replace what is held."""
        with self._changed:
            self._count, self._held = self._count + 1, thing
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more will come; who waits for it gets the error, if there was one."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def after(self, count: int) -> tuple[int, T] | None:
        """Wait for one that is newer than the first `count`; its number, or None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._count > count or self._ended)
            if self._count > count and self._held is not None:
                return self._count, self._held
            if self._error:
                raise self._error
            return None


# -- painting -----------------------------------------------------------------------------------


def paint(
    pipe: StyleSRPipeline,
    source: str | Path = CAMERA,
    *,
    side: int = SIDE,
    scale: float = 1,
    **options: Any,
) -> Generator[Painted, None, None]:
    """Paint what a camera sees now, again and again; close the iterator to stop.

    Args:
        pipe: its first style paints, unless the options name another.
        source: a camera by its name in FFmpeg, such as "/dev/video0"; a film, which is shown at
            its own pace; or the address of a stream, such as "rtsp://…".
        side: frames are reduced to this longest side in pixels before they are painted; at least
            64.
        scale: the result's size over that; the time goes by the result.
        options: of `StyleSRPipeline.stream`, such as `strength=0.8`.

    Yields:
        `Painted`, until the source ends.

    Raises:
        InputError: an option out of range, before the camera is opened.
        VideoError: the source cannot be opened or read.
    """
    if side < LEAST_SIDE:
        raise InputError(f"side must be at least {LEAST_SIDE}, got {side}")
    options["scale"] = scale
    pipe.plan((side, side), **options)
    if options.get("style_image") is not None:
        names = ("style_image", "style_weights", "style")
        options["style_image"] = pipe.read_style(*(options.get(name) for name in names))
        options.pop("style_weights", None)
    return _paint(pipe, _opened(str(source)), Path(source).is_file(), side, options)


def _paint(
    pipe: StyleSRPipeline, container: Any, is_film: bool, side: int, options: dict[str, Any]
) -> Generator[Painted, None, None]:
    frames, stopped = Newest[tuple[av.VideoFrame, video.Film]](), threading.Event()
    reader = threading.Thread(target=_read, args=(container, is_film, frames, stopped), daemon=True)
    reader.start()
    painted, count, start = 0, 0, None
    try:
        while (come := frames.after(count)) is not None:
            start = start or monotonic()
            count, (frame, film) = come
            picture = video.as_picture(video.to_rgb(_reduced(frame, side), film))
            result = tiling.drain(pipe.stream(picture, **options))
            jpeg = images.encode(result, "jpeg", quality=QUALITY)
            painted += 1
            yield Painted(jpeg, painted, count - painted, monotonic() - start)
    finally:
        stopped.set()
        reader.join(PATIENCE)


def _opened(source: str) -> Any:
    is_other = Path(source).is_file() or "://" in source
    try:
        return av.open(source, format=None if is_other else FORMAT)
    except (FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise video.VideoError(
            f"{source!r} cannot be opened: {reason}; give a camera such as {CAMERA}, a film, or a "
            "stream's address"
        ) from error


def _read(
    container: Any,
    is_film: bool,
    frames: Newest[tuple[av.VideoFrame, video.Film]],
    stopped: threading.Event,
) -> None:
    """Pass on frames as they come, those of a film when they are due."""
    film: video.Film | None = None
    start = monotonic()
    try:
        with container:
            stream = container.streams.video[0]
            for frame in container.decode(stream):
                if film is None:
                    film, first = video.film_of(stream, frame), frame.time or 0.0
                late = monotonic() - start
                if stopped.wait(max(0.0, (frame.time or 0.0) - first - late) if is_film else 0):
                    break
                frames.put((frame, film))
        frames.end()
    except (FFmpegError, OSError, IndexError) as error:
        reason = getattr(error, "strerror", None) or "it shows no moving picture"
        frames.end(video.VideoError(f"the source cannot be read: {reason}"))


def _reduced(frame: av.VideoFrame, side: int) -> av.VideoFrame:
    ratio = min(1.0, side / max(frame.height, frame.width))
    height, width = (max(1, round(n * ratio)) for n in (frame.height, frame.width))
    return frame.reformat(width, height, interpolation=video.SMOOTH)


# -- showing ------------------------------------------------------------------------------------


class Screen:
    """A page that shows the newest picture, at an address that nobody can guess.

    Args:
        port: of 127.0.0.1, which other machines cannot reach; 0 for any that is free.

    Attributes:
        address: of the page.

    Raises:
        InputError: the port is in use, or is none.
    """

    def __init__(self, port: int = PORT) -> None:
        self._shown = Newest[bytes]()
        path = f"/{secrets.token_urlsafe(9)}/"  # other pages and users of this machine lack it
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(path, self._shown))
        except (OSError, OverflowError) as error:
            raise InputError(f"port {port} cannot be used: {error}; give another") from error
        self.address = f"http://127.0.0.1:{self._server.server_port}{path}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def show(self, jpeg: bytes) -> None:
        """Replace the picture."""
        self._shown.put(jpeg)

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *error: object) -> None:
        self._shown.end()
        self._server.shutdown()
        self._server.server_close()


def _handler(path: str, shown: Newest[bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """The page, or its picture: a file that goes on, each part in place of the last."""
            if self.path == path:
                self._answer("text/html")
                self.wfile.write(PAGE)
            elif self.path == path + "frames":
                self._answer("multipart/x-mixed-replace; boundary=frame")
                self._stream()
            else:
                self.send_error(404)

        def _answer(self, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Cache-Control", "no-store")
            self.end_headers()

        def _stream(self) -> None:
            count = 0
            try:
                while (come := shown.after(count)) is not None:
                    count, jpeg = come
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}"
                    self.wfile.write(head.encode() + b"\r\n\r\n" + jpeg + b"\r\n")
            except OSError:  # the page was closed
                return

        def log_message(self, format: str, *values: object) -> None:
            """Nothing: standard error is the command's."""

    return Handler
