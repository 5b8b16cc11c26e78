"""The page as a process of its own, and visitors who speak plain HTTP with it."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from itertools import takewhile
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from PIL import Image

API = "/gradio_api"
PATIENCE = 30.0  # seconds for an answer that waits for no job
JOB_PATIENCE = 600.0
MOST_READ = 64_000_000  # bytes of one answer
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    """What a server said: status 0 where it hung up instead, -1 where it said nothing in time."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    """A running page."""

    port: int
    process: subprocess.Popen[bytes]
    cache: Path
    log: Path

    @property
    def worker(self) -> int | None:
        """The number of the process in which pictures are painted."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        children = path.read_text(encoding="ascii").split()
        return int(children[0]) if children else None

    def files(self) -> list[Path]:
        """What lies in the cache, whose folders may vanish meanwhile."""
        return [Path(folder, name) for folder, _, names in os.walk(self.cache) for name in names]

    def faults(self) -> list[str]:
        """Errors of our own code that nobody had foreseen: where and what, by the log."""
        said = self.log.read_text(encoding="utf-8", errors="replace")
        found = []
        for trace in said.split("Traceback (most recent call last):\n")[1:]:
            lines = list(takewhile(lambda line: line.startswith(" "), trace.splitlines()))
            ours = [x for x in lines if f'File "{ROOT}/' in x and "/site-packages/" not in x]
            own = [line.split(str(ROOT))[1] for line in ours]
            if own and "guard.py" not in own[-1]:  # through which all of Gradio's go
                found.append(f"{own[-1]}: {trace.splitlines()[len(lines)]}")
        return found


@contextmanager
def serve(folder: Path, *command: str, **environment: str) -> Iterator[Server]:
    """`python app.py` on a free port of this machine, with its cache and its log in `folder`.

    Args:
        folder: an existing folder.
        command: what starts the page instead, after `python`.
        environment: further variables of the process.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cache, log = folder / "cache", folder / "page.log"
    own = {"GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": str(cache), "PYTHONPATH": str(ROOT)}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *(command or ("app.py",))],
            cwd=ROOT,
            env=os.environ | own | environment,
            stdout=file,
            stderr=file,
        )
        try:
            server = Server(port, process, cache, log)
            end = time.monotonic() + 120
            while Visitor(port).get("/").status != 200:
                if process.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"the page did not start:\n{log.read_text(encoding='utf-8')}")
                time.sleep(0.2)
            yield server
        finally:
            process.terminate()
            process.wait()


def memory(process: int | None) -> float:
    """Megabytes of a process that are in memory; 0 for one that is gone."""
    with suppress(OSError):
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return 0.0


def send(port: int, *pieces: bytes, patience: float = PATIENCE) -> Answer:
    """Say anything to the server, right or wrong, and read its answer."""
    status, body, end = 0, b"", time.monotonic() + patience
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=patience) as line:
            with suppress(ConnectionError):  # it has heard enough
                for piece in pieces:
                    line.sendall(piece)
            answer = HTTPResponse(line, method="HEAD" if pieces[0][:5] == b"HEAD " else None)
            answer.begin()
            status = answer.status
            headers = {name.lower(): value for name, value in answer.getheaders()}
            while len(body) < MOST_READ and (piece := answer.read1(1_000_000)):
                body += piece
                if time.monotonic() > end:
                    return Answer(-1, body)
            return Answer(status, body, headers)
    except TimeoutError:
        return Answer(-1, body)
    except (HTTPException, OSError):
        return Answer(status, body)


def hang_up(port: int, said: bytes) -> None:
    """Say something and hang up in the middle of it."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as line:
        line.sendall(said)


def request(method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
    """A request that closes its connection; header names with _ for -."""
    said = {"Host": "127.0.0.1", "Connection": "close"}
    if body or method in ("POST", "PUT", "PATCH"):
        said["Content-Length"] = str(len(body))
    said |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items())]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


def form(files: Iterable[tuple[str, bytes]], boundary: str = "stylesr") -> bytes:
    """The body of an upload."""
    parts = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode("utf-8", "surrogateescape")
        + content
        + b"\r\n"
        for name, content in files
    )
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


def broken_upload() -> bytes:
    """The first part of a request that uploads a photo."""
    head = request("POST", f"{API}/upload", Content_Type=FORM, Content_Length="5000000")
    return head + form([("a.png", bytes(100_000))])[:-400]


FORM = "multipart/form-data; boundary=stylesr"
JSON = "application/json"


@dataclass
class Visitor:
    """One who visits the page at a port, as seen through a proxy under an address of its own."""

    port: int
    address: str = "93.184.215.14"
    session: str = field(default_factory=lambda: uuid4().hex[:11])

    def get(self, target: str, **headers: str) -> Answer:
        """What lies at an address."""
        return send(self.port, request("GET", target, **self._known(headers)))

    def post(self, target: str, value: Any, **headers: str) -> Answer:
        """The answer to a value, sent as JSON, or to bytes, sent as they are."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return send(
            self.port, request("POST", target, body, Content_Type=JSON, **self._known(headers))
        )

    def upload(self, *files: tuple[str, bytes]) -> Answer:
        """The answer to files, given as names and contents."""
        known = self._known({"Content_Type": FORM})
        return send(self.port, request("POST", f"{API}/upload", form(files), **known))

    def uploaded(self, content: bytes, name: str = "photo.png") -> dict[str, Any]:
        """A file as the page's components name it, once it is uploaded."""
        answer = self.upload((name, content))
        if answer.status != 200:
            raise SystemExit(f"an upload was answered with {answer.status} {answer.body[:200]!r}")
        return {"path": answer.json[0], "meta": {"_type": "gradio.FileData"}}

    def call(self, name: str, data: list[Any]) -> "Outcome":
        """What an endpoint for programs answers in the end."""
        joined = self.post(f"{API}/call/{name}", {"data": data})
        if joined.status != 200:
            return Outcome(joined.status, joined.body.decode("utf-8", "replace"))
        text = self._stream(f"{API}/call/{name}/{joined.json['event_id']}")
        if "event: complete" in text:
            return Outcome(200, text, done=True)
        return Outcome(200, text.rpartition("event: error\ndata: ")[2].strip())

    def do(self, function: int, data: list[Any]) -> "Outcome":
        """What a function of the page answers in the end, as the browser asks for it."""
        body = {"data": data, "fn_index": function, "session_hash": self.session}
        joined = self.post(f"{API}/queue/join", body)
        if joined.status != 200:
            return Outcome(joined.status, joined.body.decode("utf-8", "replace"))
        text = self._stream(f"{API}/queue/data?session_hash={self.session}")
        last = text.rpartition('"msg":"process_completed"')[2]
        return Outcome(200, text, done='"success":true' in last)

    def _stream(self, target: str) -> str:
        """All that the server tells of a job until it is done."""
        answer = send(self.port, request("GET", target, **self._known({})), patience=JOB_PATIENCE)
        return answer.body.decode("utf-8", "replace")

    def _known(self, headers: dict[str, str]) -> dict[str, str]:
        return {"X_Forwarded_For": self.address, **headers}


@dataclass(frozen=True)
class Outcome:
    """How a job ended: what joining the line was answered, and what was told after that."""

    status: int
    text: str
    done: bool = False

    @property
    def is_typed(self) -> bool:
        """Whether a refusal says why."""
        if self.status != 200:
            return self.status < 500
        return re.search(r'"error": ?"', self.text) is not None

    def file(self, ending: str = "png") -> str:
        """The path of the last file of a kind that it names."""
        return re.findall(rf'"path": ?"([^"]+\.{ending})"', self.text)[-1]


def functions(visitor: Visitor) -> dict[str, tuple[int, int]]:
    """The page's functions by name: their numbers, and how many values they take."""
    told = visitor.get("/config").json["dependencies"]
    return {one["api_name"]: (one["id"], len(one["inputs"])) for one in told}


def picture(width: int = 40, height: int = 30, seed: int = 0) -> bytes:
    """A small photo, as a PNG file."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


def enhance_values(photo: Any, **changes: Any) -> list[Any]:
    """The values of the endpoint `/enhance`, in their order."""
    usual = {
        "style": "photo",
        "mix": "",
        "share": 0.5,
        "scale": "2",
        "width": 64,
        "strength": 1,
        "detail": 0,
        "brush": "auto",
        "color": "style",
        "seed": 0,
        "enlarger": "",
        "format": "png",
        "language": "en",
    }
    return [photo, *(usual | changes).values()]
