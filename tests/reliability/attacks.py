"""Attacks on the running page: which are refused, and whether it is well after each.

    python -m tests.reliability.attacks

Protocol. `python app.py` serves the page with its own models on this machine; a file outside of its
folders, a variable of its environment and a photo of another visitor hold secrets, and a second
server notes whoever asks it for something. Each attack, of one request or of hundreds, is made in
turn; after each the page must answer `GET /` within ten seconds, and after every tenth it must
paint. A request is refused where it is answered with a status from 400 to 499, with a sentence that
says what is wrong, or by hanging up. Some requests are right to answer, though they were meant
badly: these must give nothing away. Ends with 1 if anything was let in, leaked, broke (a status
from 500, an error without a reason) or did not end within half a minute.
"""

import argparse
import gzip
import io
import json
import socket
import struct
import sys
import threading
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import av
import numpy as np
from PIL import Image

from tests.reliability.serving import (
    API,
    FORM,
    JSON,
    ROOT,
    Answer,
    Outcome,
    Server,
    Visitor,
    broken_upload,
    enhance_values,
    form,
    functions,
    hang_up,
    picture,
    request,
    send,
    serve,
)

HEALTHY_SECONDS = 10
PAINT_EVERY = 10  # attacks


@dataclass
class Scene:
    """The page, who attacks it, and what must not come out."""

    server: Server
    trap: int  # the port of a server that notes who asks
    secrets: list[str]
    outside: Path
    functions: dict[str, tuple[int, int]]
    photo: dict[str, Any]  # of the attacker
    victim: Visitor
    stolen: str  # path of a result of the victim
    attacker: Visitor
    made: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.server.port


Attack = Callable[[Scene], Iterable[Answer | Outcome]]
ATTACKS: list[tuple[str, str, Attack, bool]] = []


def attack(kind: str, *, harmless: bool = False) -> Callable[[Attack], Attack]:
    """Note an attack; `harmless` where some of its requests may be answered."""

    def note(function: Attack) -> Attack:
        ATTACKS.append((kind, function.__name__.replace("_", " "), function, harmless))
        return function

    return note


# -- files that are not the page's ------------------------------------------------------------

FILE_ROUTES = (
    f"{API}/file=",
    f"{API}/file/",
    f"{API}/custom_component/image/client/component/",
    f"{API}/monitoring/",
    "/static/",
    "/assets/",
    "/svelte/",
    "/pwa_icon/",
    "/",
)
UP = "../" * 12
WAYS_OUT: dict[str, Callable[[str], str]] = {
    "absolute": lambda path: path,
    "doubled slash": lambda path: "/" + path,
    "up": lambda path: UP + path[1:],
    "up, encoded": lambda path: quote(UP + path[1:], safe="").replace(".", "%2e"),
    "up, encoded twice": lambda path: quote(quote(UP + path[1:], safe="").replace(".", "%2e")),
    "up, backslashes": lambda path: (UP + path[1:]).replace("/", "\\"),
    "up, encoded backslashes": lambda path: (UP + path[1:]).replace("/", "%5c"),
    "up, doubled dots": lambda path: "....//" * 12 + path[1:],
    "up, overlong UTF-8": lambda path: "%c0%ae%c0%ae/" * 12 + path[1:],
    "up, wide dots": lambda path: quote("．．/" * 12) + path[1:],
    "up, from a folder": lambda path: f"image/{UP}{path[1:]}",
    "NUL": lambda path: f"{path}%00.png",
    "UNC": lambda path: f"%5c%5c127.0.0.1{path.replace('/', '%5c')}",
    "file scheme": lambda path: f"file://{path}",
    "query and fragment": lambda path: f"{path}?x=.png%23.png",
    "by /proc": lambda path: f"/proc/self/root{path}",
}


def leave(scene: Scene, way: Callable[[str], str]) -> Iterator[Answer]:
    """Ask every route for secrets in one manner of writing."""
    for route in FILE_ROUTES:
        for path in (str(scene.outside), "/etc/passwd", "/proc/self/environ"):
            yield scene.attacker.get(route + way(path))


for _name, _way in WAYS_OUT.items():
    ATTACKS.append(("Files outside", _name, partial(leave, way=_way), False))


@attack("Files outside")
def as_a_photo(scene: Scene) -> Iterator[Outcome]:
    for way in WAYS_OUT.values():
        photo = {"path": way(str(scene.outside)), "meta": {"_type": "gradio.FileData"}}
        yield scene.attacker.call("enhance", enhance_values(photo))
        yield scene.attacker.call("paint_like", [scene.photo, photo, 2, 1, "en"])


@attack("Files outside")
def the_cache_and_its_folders(scene: Scene) -> Iterator[Answer]:
    folder = Path(scene.stolen).parent
    for path in (folder, folder.parent, f"{folder}/", f"{folder}/.", f"{folder}/*"):
        yield scene.attacker.get(f"{API}/file={path}")


@attack("Files outside")
def a_model_named_like_a_file(scene: Scene) -> Iterator[Outcome]:
    for name in (
        "../../x", "/etc/passwd", str(scene.outside), "user/repo", "a@b", "photo/../photo", "\0",
        "hf://x", "starry-night/../../..", "..", ".", "C:\\x", "photo\n", "\u202e",
    ):  # fmt: skip
        for key in ("style", "mix", "enlarger"):
            values = {"style": "starry-night", key: name}
            yield scene.attacker.call("enhance", enhance_values(scene.photo, **values))


# -- addresses that the server is to ask ------------------------------------------------------

ADDRESSES: dict[str, str] = {
    "loopback": "http://127.0.0.1:{port}/",
    "loopback by name": "http://localhost:{port}/",
    "loopback by another name": "http://localtest.me:{port}/",
    "loopback, decimal": "http://2130706433:{port}/",
    "loopback, hexadecimal": "http://0x7f000001:{port}/",
    "loopback, short": "http://127.1:{port}/",
    "loopback, octal": "http://0177.0.0.1:{port}/",
    "any address": "http://0.0.0.0:{port}/",
    "loopback, IPv6": "http://[::1]:{port}/",
    "loopback, IPv4 in IPv6": "http://[::ffff:127.0.0.1]:{port}/",
    "with a name and password": "http://example.org@127.0.0.1:{port}/",
    "metadata of a cloud": "http://169.254.169.254/latest/meta-data/",
    "metadata of another cloud": "http://192.0.0.192/opc/v2/",
    "carrier's network": "http://100.64.0.1:{port}/",
    "private network": "http://10.0.0.1:{port}/",
    "redirected": "http://127.0.0.1:{port}/redirect",
    "https": "https://127.0.0.1:{port}/",
    "no slashes": "http:127.0.0.1:{port}/",
    "no scheme": "//127.0.0.1:{port}/",
    "a space before": "%20http://127.0.0.1:{port}/",
    "a newline before": "%0ahttp://127.0.0.1:{port}/",
    "capitals": "HTTP://127.0.0.1:{port}/",
    "gopher": "gopher://127.0.0.1:{port}/_GET",
    "ftp": "ftp://127.0.0.1:{port}/",
    "file": "file:///etc/passwd",
    "a public host": "https://example.org/",
}


def reach(scene: Scene, address: str) -> Iterator[Answer | Outcome]:
    """Have the server ask for an address, by every route."""
    url = address.format(port=scene.trap)
    for route in (f"{API}/file=", f"{API}/file/", f"{API}/proxy=", "/proxy=", "/file="):
        yield scene.attacker.get(route + url)
    plain = url.replace("%20", " ").replace("%0a", "\n")
    meta = {"_type": "gradio.FileData"}
    for photo in ({"path": plain, "meta": meta}, {"url": plain, "path": "", "meta": meta},
                  {"path": "x", "url": plain, "is_stream": True, "meta": meta}, plain):  # fmt: skip
        yield scene.attacker.call("enhance", enhance_values(photo))
        yield scene.attacker.post(f"{API}/call/v2/enhance", {"photo": photo, "style": "photo"})
        number, count = scene.functions["run_1"]
        yield scene.attacker.do(number, [photo, "photo", 480, 1, "style", "en"][:count])


for _name, _address in ADDRESSES.items():
    ATTACKS.append(("Addresses to fetch", _name, partial(reach, address=_address), False))


# -- too much ---------------------------------------------------------------------------------

POSTS = (
    "/queue/join", "/call/enhance", "/call/v2/enhance", "/run/predict", "/cancel", "/reset",
    "/api/predict", "/component_server", "/stream/x", "/process_recording", "/vibe-edit", "/x",
)  # fmt: skip


@attack("Too much")
def a_photo_larger_than_allowed(scene: Scene) -> Iterator[Answer]:
    yield scene.attacker.upload(("a.png", bytes(11_000_000)))
    yield scene.attacker.upload(("a.png", b"x"), ("b.png", bytes(10_600_000)))


@attack("Too much")
def an_upload_larger_than_allowed(scene: Scene) -> Iterator[Answer]:
    files = [(f"{n}.png", bytes(9_000_000)) for n in range(15)]
    yield scene.attacker.upload(*files)


@attack("Too much")
def an_endless_upload_without_a_length(scene: Scene) -> Iterator[Answer]:
    head = request("POST", f"{API}/upload", Content_Type=FORM, Transfer_Encoding="chunked")
    head = head.replace(b"Content-Length: 0\r\n", b"")
    start = form([("a.png", b"x")])[:-14]
    chunk = b"%x\r\n" % 1_000_000 + bytes(1_000_000) + b"\r\n"
    first = b"%x\r\n" % len(start) + start + b"\r\n"
    yield send(scene.port, head, first, *[chunk] * 200)


@attack("Too much")
def thousands_of_files(scene: Scene) -> Iterator[Answer]:
    yield scene.attacker.upload(*((f"{n}.png", b"x") for n in range(5000)))


@attack("Too much")
def thousands_of_fields(scene: Scene) -> Iterator[Answer]:
    field = b'--stylesr\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n'
    body = field * 20_000 + b"--stylesr--\r\n"
    yield send(scene.port, request("POST", f"{API}/upload", body, Content_Type=FORM))


@attack("Too much")
def a_picture_in_an_address(scene: Scene) -> Iterator[Answer]:
    photo = {"url": "data:image/png;base64," + "A" * 4_000_000}
    for route in POSTS:
        yield scene.attacker.post(API + route, {"data": enhance_values(photo), "fn_index": 13})


@attack("Too much")
def large_bodies_by_every_route(scene: Scene) -> Iterator[Answer]:
    for route in POSTS:
        yield scene.attacker.post(API + route, b" " * 70_000)


@attack("Too much")
def endless_bodies_by_every_route(scene: Scene) -> Iterator[Answer]:
    chunk = b"%x\r\n" % 10_000 + b" " * 10_000 + b"\r\n"
    for route in POSTS:
        head = request("POST", API + route, Content_Type=JSON, Transfer_Encoding="chunked")
        yield send(scene.port, head.replace(b"Content-Length: 0\r\n", b""), *[chunk] * 40)


@attack("Too much")
def a_packed_body(scene: Scene) -> Iterator[Answer]:
    body = gzip.compress(b" " * 50_000_000)[:60_000]
    for route in POSTS:
        known = {"Content_Type": JSON, "Content_Encoding": "gzip"}
        yield send(scene.port, request("POST", API + route, body, **known))


@attack("Too much")
def headers_without_end(scene: Scene) -> Iterator[Answer]:
    many = {f"X-{n}": "y" * 8000 for n in range(200)}
    yield send(scene.port, request("GET", "/", **many))
    yield send(scene.port, request("GET", "/", X="y" * 500_000))
    yield send(scene.port, request("GET", "/" + "a" * 200_000))


@attack("Too much", harmless=True)
def a_long_cookie_and_query(scene: Scene) -> Iterator[Answer]:
    yield scene.attacker.get("/", Cookie="a=b; " * 10_000)
    yield scene.attacker.get("/", Cookie="stylesr-language=../../x; \x01=\x02")
    yield scene.attacker.get("/?" + "a=b&" * 12_000)
    yield scene.attacker.get("/", Accept_Language="q" * 40_000)


@attack("Too much")
def deep_and_odd_json(scene: Scene) -> Iterator[Answer]:
    deep = (b"[" * 30_000, b'{"a":' * 10_000, b'{"data":' + b"[" * 20_000 + b"]" * 20_000 + b"}")
    odd = (b"9" * 60_000, b"NaN", b"1e999999", b'"\xff\xfe"', b"", b"{", b"[]", b"null", b"0")
    twice = (b'{"data":[],"data":[1]}', b"\xef\xbb\xbf{}", b'{"data":"\\ud800"}', b"{'a':1}")
    for route in ("/queue/join", "/call/enhance", "/call/v2/enhance", "/run/predict", "/cancel"):
        for body in (*deep, *odd, *twice):
            yield scene.attacker.post(API + route, body)


@attack("Too much", harmless=True)
def a_thousand_sessions(scene: Scene) -> Iterator[Answer | Outcome]:
    number, _ = scene.functions["choose"]
    for _ in range(1000):
        body = {"data": ["photo", "", "4", "en"], "fn_index": number, "session_hash": uuid4().hex}
        yield scene.attacker.post(f"{API}/run/predict", body)


@attack("Too much", harmless=True)
def a_flood_of_uploads(scene: Scene) -> Iterator[Answer]:
    flooder = Visitor(scene.port, "93.184.215.66")
    for n in range(12):
        files = [(f"{n}-{m}.png", bytes([n, m]) * 4_900_000) for m in range(12)]
        answer = flooder.upload(*files)
        yield answer
        if answer.status == 429:
            return
    yield Answer(200, scene.secrets[0].encode())  # it would have filled the disk


# -- lengths that lie -------------------------------------------------------------------------


def lie(scene: Scene, headers: dict[str, str], raw: bytes = b"") -> Iterator[Answer]:
    """The same upload and the same settings under headers that do not fit them."""
    whole = json.dumps({"data": enhance_values(scene.photo)}).encode()
    upload = form([("a.png", picture())])
    for route, kind, body in (("/call/enhance", JSON, whole), ("/upload", FORM, upload)):
        head = request("POST", API + route, Content_Type=kind, **headers)
        head = head.replace(b"\r\n\r\n", b"\r\n" + raw + b"\r\n") if raw else head
        if "Content_Length" not in headers:
            head = head.replace(b"Content-Length: 0\r\n", b"")
        yield waits(send(scene.port, head, body, patience=8))


def waits(answer: Answer) -> Answer:
    """A server may wait for the rest of what was said."""
    return Answer(0) if answer.status == -1 else answer


LIES: dict[str, tuple[dict[str, str], bytes]] = {
    "too short": ({"Content_Length": "40"}, b""),
    "none at all": ({}, b""),
    "negative": ({"Content_Length": "-1"}, b""),
    "not a number": ({"Content_Length": "ten"}, b""),
    "with a sign": ({"Content_Length": "+40"}, b""),
    "hexadecimal": ({"Content_Length": "0x20"}, b""),
    "astronomic": ({"Content_Length": "1" + "0" * 30}, b""),
    "a gigabyte": ({"Content_Length": "1000000000"}, b""),
    "two of them": ({}, b"Content-Length: 40\r\nContent-Length: 4000\r\n"),
    "two in one": ({"Content_Length": "40, 4000"}, b""),
    "and chunked": ({"Content_Length": "40", "Transfer_Encoding": "chunked"}, b""),
    "chunked, but not": ({"Transfer_Encoding": "chunked"}, b""),
    "chunked by another name": ({"Transfer_Encoding": "xchunked"}, b""),
    "chunked twice": ({"Transfer_Encoding": "chunked, chunked"}, b""),
    "chunked, folded": ({}, b"Transfer-Encoding:\r\n chunked\r\n"),
    "chunked, a space before the colon": ({}, b"Transfer-Encoding : chunked\r\n"),
}
for _name, (_headers, _raw) in LIES.items():
    ATTACKS.append(("Lying lengths", _name, partial(lie, headers=_headers, raw=_raw), True))


@attack("Lying lengths", harmless=True)
def longer_than_what_comes(scene: Scene) -> Iterator[Answer]:
    head = request("POST", f"{API}/call/enhance", Content_Type=JSON, Content_Length="10000")
    for said in (head + b'{"data": [', broken_upload()):
        hang_up(scene.port, said)
        yield scene.victim.get("/")


@attack("Lying lengths", harmless=True)
def a_hundred_uploads_broken_off(scene: Scene) -> Iterator[Answer]:
    for _ in range(100):
        hang_up(scene.port, broken_upload())
    yield scene.victim.get("/")


@attack("Lying lengths")
def a_hidden_second_request(scene: Scene) -> Iterator[Answer]:
    second = request("GET", f"{API}/file={scene.outside}")
    body = b"0\r\n\r\n" + second
    smuggled = {"Content_Length": str(len(body)), "Transfer_Encoding": "chunked"}
    yield send(scene.port, request("POST", f"{API}/queue/join", body, **smuggled))


# -- doors that are no doors ------------------------------------------------------------------


@attack("Hidden doors")
def routes_that_the_page_does_not_use(scene: Scene) -> Iterator[Answer]:
    for route in (
        "/monitoring", "/monitoring/summary", "/monitoring/x", "/login", "/logout", "/openapi.json",
        "/docs", "/redoc", "/svelte/x", f"{API}/runs", f"{API}/run-history/buckets",
        f"{API}/run-history/records", f"{API}/dev/reload", f"{API}/openapi.json", f"{API}/api/x",
        f"{API}/deep_link", f"{API}/vibe-code", f"{API}/vibe-starter-queries",
        f"{API}/profiling/traces", f"{API}/profiling/summary", f"{API}/stream/a/b/1/playlist.m3u8",
        f"{API}/stream/a/b/1/playlist-file", f"{API}/stream/a/b/1/c.ts", f"{API}/component_server",
        f"{API}/custom_component/image/client/component/style.css", "/hub", "/admin", "/.env",
        "/.git/config", "/app.py", "/requirements.txt", "/__pycache__/x", "/..;/x", "/manifest.jso",
    ):  # fmt: skip
        yield scene.attacker.get(route)
    for route in POSTS[6:]:
        yield scene.attacker.post(API + route, {"session_hash": "x", "event_id": "x"})
    for route in (
        "/login", f"{API}/run-history/connect", f"{API}/profiling/clear", f"{API}/stream/x/close",
        f"{API}/vibe-code", f"{API}/undo-vibe-edit",
    ):  # fmt: skip
        yield scene.attacker.post(route, {})


@attack("Hidden doors")
def numbers_of_no_function(scene: Scene) -> Iterator[Answer]:
    numbers = 9999, -1, "0", "x", None, 1.5, 10**30, True, [], {}
    for number in numbers:
        body = {"data": [], "fn_index": number, "session_hash": "x"}
        for route in ("/queue/join", "/run/predict", "/api/predict"):
            yield scene.attacker.post(API + route, body)


@attack("Hidden doors")
def names_of_no_endpoint(scene: Scene) -> Iterator[Answer]:
    for name in ("nothing", "paint", "welcome", "begin", "run", "find", "paint_found", "..", "%00",
                 "__init__", "load_example", "0", "enhance%2f", "lambda"):  # fmt: skip
        for route in ("/call/", "/call/v2/", "/run/", "/api/"):
            yield scene.attacker.post(f"{API}{route}{name}", {"data": []})


@attack("Hidden doors")
def heavy_work_past_the_line(scene: Scene) -> Iterator[Answer]:
    for name in ("paint", "run", "run_1", "run_2", "paint_1", "enhance", "paint_like", "welcome"):
        number, count = scene.functions[name]
        body = {"data": [None] * count, "fn_index": number, "session_hash": "x"}
        yield scene.attacker.post(f"{API}/run/predict", body)
        yield scene.attacker.post(f"{API}/run/{name}", body)


@attack("Hidden doors")
def too_few_and_too_many_values(scene: Scene) -> Iterator[Answer]:
    for number, count in scene.functions.values():
        for data in ([None] * (count + 3), [None] * (count - 1) if count else [1]):
            body = {"data": data, "fn_index": number, "session_hash": uuid4().hex}
            yield scene.attacker.post(f"{API}/queue/join", body)
            yield scene.attacker.post(f"{API}/run/predict", body)


@attack("Hidden doors", harmless=True)
def odd_values_for_the_pages_own_functions(scene: Scene) -> Iterator[Answer | Outcome]:
    for name, (number, count) in scene.functions.items():
        if name in ("welcome", "enhance", "paint_like", "estimate") or not count:
            continue  # the first takes a language alone; the others are another attack's
        for value in ([], {}, "x", 10**30, -1, True, None, {"path": "x"}, [["x", 1, None]]):
            visitor = Visitor(scene.port, scene.attacker.address)
            yield visitor.do(number, [value] * count)


@attack("Hidden doors")
def other_methods(scene: Scene) -> Iterator[Answer]:
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "get", "X" * 5000):
        for target in ("/", f"{API}/upload", f"{API}/queue/join", f"{API}/file={scene.outside}"):
            yield send(scene.port, request(method, target))


@attack("Hidden doors", harmless=True)
def things_that_are_no_http(scene: Scene) -> Iterator[Answer]:
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(512)
    for said in (hello, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /\r\n\r\n", bytes(5000) + b"\n",
                 b"GET / HTTP/9.9\r\n\r\n", b"GET  /  HTTP/1.1\r\n\r\n", b"\r\n" * 5000,
                 b"GET / HTTP/1.1\r\n\r\n", b"GET http://127.0.0.1/ HTTP/1.1\r\nHost : x\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n"):  # fmt: skip
        yield waits(send(scene.port, said, patience=8))


# -- of other visitors ------------------------------------------------------------------------


@attack("Other visitors")
def their_files_by_guessing(scene: Scene) -> Iterator[Answer]:
    path = Path(scene.stolen)
    flipped = path.parent.name[:-1] + ("a" if path.parent.name[-1] != "a" else "b")
    for guess in (path.parent.parent / flipped / path.name, path.with_name("x.png"),
                  str(path)[:-1], str(path).swapcase(), f"{path}.png",
                  path.parent.parent / "tmp" / path.name):  # fmt: skip
        yield scene.attacker.get(f"{API}/file={guess}")


@attack("Other visitors")
def their_files_by_the_names_of_temporary_folders(scene: Scene) -> Iterator[Answer]:
    for folder in scene.server.cache.iterdir():
        if len(folder.name) < 20 and any(folder.rglob("*.*")):  # it could be guessed or foreseen
            yield Answer(200, folder.name.encode())
    yield Answer(404)


@attack("Other visitors")
def their_sessions(scene: Scene) -> Iterator[Answer]:
    for session in ("", "x", "null", "0", "*", "../x", "%00", "a" * 5000, "undefined"):
        answer = scene.attacker.get(f"{API}/queue/data?session_hash={session}")
        yield told_nothing(answer)
    yield scene.attacker.get(f"{API}/queue/data")


@attack("Other visitors")
def their_jobs(scene: Scene) -> Iterator[Answer]:
    for event in ("0" * 32, uuid4().hex, "*", "%2e%2e", "a" * 5000):
        yield told_nothing(scene.attacker.get(f"{API}/call/enhance/{event}"))
        yield scene.attacker.post(f"{API}/stream/{event}", {"data": []})
        yield scene.attacker.post(f"{API}/stream/{event}/close", {})


def told_nothing(answer: Answer) -> Answer:
    """A stream that says at once that there is no such thing is a refusal."""
    empty = b"process_" not in answer.body and b"event: complete" not in answer.body
    return Answer(404 if answer.status == 200 and empty else answer.status, answer.body)


@attack("Other visitors", harmless=True)
def their_jobs_cancelled(scene: Scene) -> Iterator[Answer | Outcome]:
    outcome: list[Outcome] = []
    photo = scene.victim.uploaded(picture(400, 300))
    values = enhance_values(photo, style="starry-night", scale="4")
    job = threading.Thread(target=lambda: outcome.append(scene.victim.call("enhance", values)))
    job.start()
    number, _ = scene.functions["enhance"]
    while job.is_alive():
        for session in ("", "x", scene.attacker.session):
            body = {"session_hash": session, "fn_index": number, "event_id": uuid4().hex}
            yield scene.attacker.post(f"{API}/cancel", body)
        time.sleep(0.05)
    yield outcome[0] if outcome[0].done else Outcome(500, "the job of another was cancelled")


@attack("Other visitors", harmless=True)
def their_place_in_the_line(scene: Scene) -> Iterator[Answer]:
    yield from flood(scene, lambda n: {})


@attack("Other visitors", harmless=True)
def their_place_under_made_up_addresses(scene: Scene) -> Iterator[Answer]:
    yield from flood(scene, lambda n: {"X_Forwarded_For": f"8.8.{n}.8, 93.184.215.77"})


def flood(scene: Scene, headers: Callable[[int], dict[str, str]]) -> Iterator[Answer]:
    """Forty jobs by one visitor: four may wait at a time, and another visitor is not refused."""
    flooder = Visitor(scene.port, "93.184.215.77")
    photo = flooder.uploaded(picture(400, 300))
    values = {"data": enhance_values(photo, style="starry-night", scale="4")}
    answers = [flooder.post(f"{API}/call/enhance", values, **headers(n)) for n in range(40)]
    yield from answers
    waiting = sum(answer.status == 200 for answer in answers)
    other = scene.victim.call("estimate", [*enhance_values(scene.photo)[:12], "en"])
    painted = scene.victim.call("enhance", enhance_values(scene.photo))
    fair = other.done and painted.done and waiting <= 20
    yield Answer(200 if fair else 500, f"{waiting} were let in".encode())


# -- files that hurt --------------------------------------------------------------------------


@attack("Hurtful files", harmless=True)
def names_of_files(scene: Scene) -> Iterator[Answer | Outcome]:
    for name in (
        "../../../canary.png", "..\\..\\canary.png", "/etc/canary.png", "a\0b.png", "a\r\nX: y.png",
        "a" * 4000 + ".png", "\u202egnp.exe", ".htaccess", "", " ", ".", "..", "CON.png", "a;b.png",
        "<script>alert(1)</script>.png", "$(id).png", "%2e%2e%2fcanary.png", "é中.png", "~", "-rf",
    ):  # fmt: skip
        answer = scene.attacker.upload((name, picture()))
        yield answer
        if answer.status == 200:
            path = Path(answer.json[0])
            if not path.resolve().is_relative_to(scene.server.cache):
                yield Answer(200, scene.secrets[0].encode())  # it was written elsewhere
            photo = {"path": str(path), "meta": {"_type": "gradio.FileData"}}
            yield scene.attacker.call("enhance", enhance_values(photo))


@attack("Hurtful files", harmless=True)
def pages_instead_of_pictures(scene: Scene) -> Iterator[Answer | Outcome]:
    script = b"<script>alert(document.domain)</script>"
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    for name, content in {"a.html": script, "a.svg": svg, "a.xml": svg, "a.xhtml": svg,
                          "a.png": script, "a.js": b"alert(1)"}.items():  # fmt: skip
        photo = scene.attacker.uploaded(content, name)
        answer = scene.attacker.get(f"{API}/file={quote(photo['path'])}")
        kind = answer.headers.get("content-type", "")
        runs = any(word in kind for word in ("html", "svg", "xml", "javascript"))
        attached = "attachment" in answer.headers.get("content-disposition", "")
        yield Answer(500, b"a browser would run it") if runs and not attached else answer
        yield scene.attacker.call("enhance", enhance_values(photo))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *extra: bytes, data: bytes = b"") -> bytes:
    """A PNG of one bit a pixel, of any size and in few bytes."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    data = data or zlib.compress(bytes(min(width // 8 + 2, 4000)) * min(height, 13_000), 9)
    rest = [*extra, chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(rest)


def bombs() -> dict[str, bytes]:
    """Pictures that are larger than they look, or no pictures."""
    many = io.BytesIO()
    frames = [Image.new("P", (8, 8), n % 256) for n in range(3000)]
    frames[0].save(many, "GIF", save_all=True, append_images=frames[1:])
    packed = zlib.compress(bytes(90_000_000), 9)
    good = picture()
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(50_000_000))
    return {
        "13000 × 13000": png(13_000, 13_000),
        "4 billion wide": png(2**31 - 1, 2**31 - 1),
        "of no height": png(100, 0),
        "a text of 90 MB": png(64, 64, chunk(b"zTXt", b"a\0\0" + packed)),
        "a profile of 90 MB": png(64, 64, chunk(b"iCCP", b"a\0\0" + packed)),
        "broken off": good[: len(good) // 2],
        "3000 frames": many.getvalue(),
        "a zip file": zipped.getvalue(),
        "65535 × 65535, JPEG": bytes.fromhex("ffd8ffc0001108ffffffff03012200021101031101ffd9"),
        "16383 × 16383, WebP": b"RIFF\x1e\0\0\0WEBPVP8L\x11\0\0\0\x2f\xfe\xbf\xff\x0f" + bytes(13),
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "nothing": b"\x00",
    }


@attack("Hurtful files", harmless=True)
def pictures_by_the_endpoints(scene: Scene) -> Iterator[Answer | Outcome]:
    for content in bombs().values():
        photo = scene.attacker.uploaded(content)
        yield scene.attacker.call("enhance", enhance_values(photo))
        yield scene.attacker.call("estimate", [*enhance_values(photo)[:12], "en"])
        yield scene.attacker.call("paint_like", [photo, scene.photo, 2, 1, "en"])
        yield scene.attacker.call("paint_like", [scene.photo, photo, 2, 1, "en"])


@attack("Hurtful files", harmless=True)
def pictures_by_the_tabs(scene: Scene) -> Iterator[Answer | Outcome]:
    for content in bombs().values():
        photo = scene.attacker.uploaded(content)
        values = enhance_values(photo)
        compare, several = scene.functions["run"][0], scene.functions["run_2"][0]
        like = scene.functions["paint_1"][0]
        yield scene.attacker.do(scene.functions["paint"][0], [*values[:12], "en"])
        yield scene.attacker.do(compare, [photo, 4, True, "en"])
        yield scene.attacker.do(several, [[photo] * 12, "starry-night", 2, 1, "en"])
        yield scene.attacker.do(like, [scene.photo, photo, 2, 1, "en"])


@attack("Hurtful files")
def more_photos_than_a_batch_takes(scene: Scene) -> Iterator[Outcome]:
    number = scene.functions["run_2"][0]
    for photos in ([scene.photo] * 13, [scene.photo] * 150, [[scene.photo]], scene.photo):
        yield scene.attacker.do(number, [photos, "photo", 2, 1, "en"])


@attack("Hurtful files")
def clips(scene: Scene) -> Iterator[Outcome]:
    number = scene.functions["run_1"][0]
    trap = f"http://127.0.0.1:{scene.trap}/"
    large = io.BytesIO()
    with av.open(large, "w", format="mp4") as out:
        stream = out.add_stream("libx264", 30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 8192, 4320, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((4320 * 3 // 2, 8192), np.uint8), "yuv420p")
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    lists = {
        "a.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{scene.outside}\n",
        "b.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{trap}a.ts\n",
        "a.mp4": f"ffconcat version 1.0\nfile {scene.outside}\n",
        "b.mp4": f"ffconcat version 1.0\nfile {trap}\n",
        "a.mpd": f"<MPD><BaseURL>{trap}</BaseURL></MPD>",
        "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        "a.asx": f'<asx><entry><ref href="{trap}"/></entry></asx>',
        "a.avi": f"GAB2\x00{trap}",
    }
    films = {name: text.encode() for name, text in lists.items()}
    films |= {
        "large.mp4": large.getvalue(),
        "half.mp4": large.getvalue()[:2000],
        "nothing.webm": b"\x1aE\xdf\xa3" + bytes(100),
        "photo.mp4": png(13_000, 13_000),
    }
    for name, content in films.items():
        clip = scene.attacker.uploaded(content, name)
        yield scene.attacker.do(number, [clip, "photo", 480, 1, "style", "en"])


# -- values of every kind ---------------------------------------------------------------------

ODD: tuple[Any, ...] = (
    float("nan"), float("inf"), 1e308, -1, 10**30, "x", "", "\0", "../../x", "user/repo", [], {},
    [1, 2], {"path": "x"}, None, True, "1e3", "中" * 2000,
)  # fmt: skip


def mistype(scene: Scene, name: str, usual: list[Any]) -> Iterator[Outcome]:
    """Every odd value in the place of every other."""
    for place in range(len(usual)):
        for value in ODD:
            yield scene.attacker.call(name, [*usual[:place], value, *usual[place + 1 :]])


@attack("Odd values", harmless=True)
def for_enhance_in_a_style(scene: Scene) -> Iterator[Outcome]:
    yield from mistype(scene, "enhance", enhance_values(scene.photo, style="starry-night"))


@attack("Odd values", harmless=True)
def for_enhance_alone(scene: Scene) -> Iterator[Outcome]:
    values = enhance_values(scene.photo, scale="width")
    yield from mistype(scene, "enhance", values)


@attack("Odd values", harmless=True)
def for_estimate(scene: Scene) -> Iterator[Outcome]:
    usual = [*enhance_values(scene.photo, style="starry-night")[:12], "en"]
    yield from mistype(scene, "estimate", usual)


@attack("Odd values", harmless=True)
def for_paint_like(scene: Scene) -> Iterator[Outcome]:
    like = scene.attacker.uploaded(picture(90, 80), "like.png")
    yield from mistype(scene, "paint_like", [scene.photo, like, 1, 1, "en"])


# -- origins, hosts and many lines ------------------------------------------------------------


@attack("Origins and lines", harmless=True)
def another_sites_script(scene: Scene) -> Iterator[Answer]:
    for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example", "file://"):
        for target in ("/config", f"{API}/info", f"{API}/file={scene.stolen}"):
            answer = scene.victim.get(target, Origin=origin)
            shown = answer.headers.get("access-control-allow-origin", "") in (origin, "*")
            yield Answer(500, b"shared with another site") if shown else Answer(answer.status)
        answer = send(scene.port, request("OPTIONS", f"{API}/queue/join", Origin=origin,
                                          Access_Control_Request_Method="POST"))  # fmt: skip
        shown = answer.headers.get("access-control-allow-origin", "") in (origin, "*")
        yield Answer(500, b"allowed to another site") if shown else answer


@attack("Origins and lines", harmless=True)
def another_host_for_the_next_visitor(scene: Scene) -> Iterator[Answer]:
    for name, value in {
        "Host": "evil.example",
        "X_Forwarded_Host": "evil.example",
        "X_Forwarded_Prefix": "//evil.example",
        "Forwarded": "host=evil.example",
        "X_Forwarded_Proto": "javascript",
        "X_Original_URL": "/etc/passwd",
        "X_Rewrite_URL": "/monitoring",
        "X_Direct_URL": "http://evil.example",
        "X_Gradio_User": "admin",
        "Referer": "http://evil.example",
    }.items():
        for target in ("/", "/config", f"{API}/info", "/theme.css", "/manifest.json"):
            yield scene.attacker.get(target, **{name: value})
    for target in ("/", "/config", f"{API}/info", "/manifest.json"):
        clean = scene.victim.get(target)
        yield Answer(500, b"kept for others") if b"evil.example" in clean.body else clean


@attack("Origins and lines")
def websockets(scene: Scene) -> Iterator[Answer]:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
               "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
    for target in ("/queue/join", f"{API}/queue/join", "/ws", f"{API}/stream/x"):
        yield send(scene.port, request("GET", target, **headers))


@attack("Origins and lines", harmless=True)
def half_said_requests(scene: Scene) -> Iterator[Answer]:
    yield from hold(scene, b"GET / HTTP/1.1\r\nHost: x\r\nX: ", 200)


@attack("Origins and lines", harmless=True)
def half_sent_settings(scene: Scene) -> Iterator[Answer]:
    said = request("POST", f"{API}/call/enhance", Content_Type=JSON, Content_Length="5000")
    yield from hold(scene, said + b"{", 200)


@attack("Origins and lines", harmless=True)
def half_sent_uploads(scene: Scene) -> Iterator[Answer]:
    said = request("POST", f"{API}/upload", Content_Type=FORM, Content_Length="5000000")
    yield from hold(scene, said + form([("a.png", bytes(50_000))])[:-400], 200)


@attack("Origins and lines", harmless=True)
def heartbeats(scene: Scene) -> Iterator[Answer]:
    yield from hold(scene, request("GET", f"{API}/heartbeat/{uuid4().hex}"), 200)


@attack("Origins and lines", harmless=True)
def waiting_for_nothing(scene: Scene) -> Iterator[Answer]:
    yield from hold(scene, request("GET", f"{API}/upload_progress?upload_id=x"), 200)


@attack("Origins and lines", harmless=True)
def pages_that_nobody_reads(scene: Scene) -> Iterator[Answer]:
    yield from hold(scene, request("GET", "/config"), 200)


@attack("Origins and lines", harmless=True)
def a_thousand_lines_at_once(scene: Scene) -> Iterator[Answer]:
    yield from hold(scene, b"GET / HTTP/1.1\r\nHost: x\r\nX: ", 1000)


def hold(scene: Scene, said: bytes, count: int) -> Iterator[Answer]:
    """Many connections that say something and then wait; meanwhile another visitor is served."""
    lines = []
    try:
        for _ in range(count):
            lines.append(socket.create_connection(("127.0.0.1", scene.port), timeout=8))
            lines[-1].sendall(said)
        start = time.monotonic()
        answer = scene.victim.get("/")
        slow = time.monotonic() - start > HEALTHY_SECONDS
        yield Answer(-1) if slow else answer
    finally:
        for line in lines:
            line.close()


# -- the whole --------------------------------------------------------------------------------


class Trap(BaseHTTPRequestHandler):
    """Notes who asks."""

    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(302 if "redirect" in self.path else 200)
        self.send_header("Location", "/")
        self.end_headers()

    do_HEAD = do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


def verdict(answer: Answer | Outcome, scene: Scene, harmless: bool) -> str:
    """What an answer amounts to."""
    said = answer.text.encode() if isinstance(answer, Outcome) else answer.body
    if any(secret.encode() in said for secret in scene.secrets):
        return "leaked"
    if answer.status == -1:
        return "hung"
    if answer.status >= 500:
        return "broke"
    if isinstance(answer, Outcome):
        if not answer.done:
            return "refused" if answer.is_typed else "broke"
    elif answer.status == 0 or 400 <= answer.status < 500:
        return "refused"
    return "harmless" if harmless else "let in"


def is_well(scene: Scene, paint: bool) -> bool:
    """Whether another visitor finds the page as it should be."""
    start = time.monotonic()
    seen = scene.victim.get("/").status == 200
    quick = time.monotonic() - start < HEALTHY_SECONDS
    return seen and quick and (not paint or enhance(scene).done)


def enhance(scene: Scene) -> Outcome:
    photo = scene.victim.uploaded(picture(seed=1))
    return scene.victim.call("enhance", enhance_values(photo))


def main(arguments: Sequence[str] | None = None) -> int:
    """Attack, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="attacks whose kind or name holds this")
    parser.add_argument("--verbose", action="store_true", help="every answer that was no refusal")
    options = parser.parse_args(arguments)
    wanted = [one for one in ATTACKS if options.only in f"{one[0]}: {one[1]}"]
    trap = ThreadingHTTPServer(("127.0.0.1", 0), Trap)
    threading.Thread(target=trap.serve_forever, daemon=True).start()
    secret = uuid4().hex
    with TemporaryDirectory() as place:
        folder = Path(place).resolve()
        outside = folder / "outside" / "canary.txt"
        outside.parent.mkdir()
        outside.write_text(secret, encoding="utf-8")
        with serve(folder, STYLESR_CANARY=secret) as server:
            secrets = [secret, "root:x:0:0", str(ROOT)]
            scene = begin(server, trap.server_port, secrets, outside)
            good = run(scene, wanted, options.verbose)
    return 0 if good else 1


def begin(server: Server, trap: int, secrets: list[str], outside: Path) -> Scene:
    """Another visitor has painted a photo; the attacker has one too."""
    victim = Visitor(server.port, "93.184.215.20")
    attacker = Visitor(server.port)
    values = enhance_values(victim.uploaded(picture(seed=1)))
    path = victim.call("enhance", values).file()
    photo = attacker.uploaded(picture())
    known = functions(victim)
    return Scene(server, trap, secrets, outside, known, photo, victim, path, attacker)


def run(scene: Scene, wanted: list[tuple[str, str, Attack, bool]], verbose: bool) -> bool:
    """Make the attacks one after the other; whether all went as it should."""
    found: dict[str, Counter[str]] = {}
    trouble = []
    unwell = 0
    for place, (kind, name, make, harmless) in enumerate(wanted, 1):
        counts = found.setdefault(kind, Counter())
        counts["attacks"] += 1
        Trap.asked.clear()
        faults, start = len(scene.server.faults()), time.monotonic()
        for number, answer in enumerate(make(scene)):
            counts[said := verdict(answer, scene, harmless)] += 1
            counts["requests"] += 1
            if said not in ("refused", "harmless"):
                trouble.append(f"{kind}, {name}, request {number}: {said} {str(answer)[:300]}")
            if verbose and said != "refused":
                print(f"  {number} {said} {str(answer)[:200]}")
        if Trap.asked:
            counts["leaked"] += 1
            trouble.append(f"{kind}, {name}: the server asked {Trap.asked[:3]}")
        if new := scene.server.faults()[faults:]:
            counts["broke"] += len(new)
            errors = (f"{count} × {error}" for error, count in Counter(new).items())
            trouble.append(f"{kind}, {name}: in the log {'; '.join(errors)}")
        if not is_well(scene, paint=place % PAINT_EVERY == 0 or place == len(wanted)):
            unwell += 1
            trouble.append(f"{kind}, {name}: the page is not well afterwards")
        print(f"{kind}: {name}, {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
    print(table(found))
    print(f"\nThe page was well after {len(wanted) - unwell} of {len(wanted)} attacks.")
    for line in trouble:
        print(f"- {line}")
    return not trouble


def table(found: dict[str, Counter[str]]) -> str:
    """Counts by kind of attack, as Markdown."""
    columns = "attacks", "requests", "refused", "harmless", "let in", "leaked", "broke", "hung"
    rows = [["", *columns], ["---", *["---:"] * len(columns)]]
    total: Counter[str] = sum(found.values(), Counter())
    for kind, counts in (found | {"All": total}).items():
        rows.append([kind, *(str(counts[column]) for column in columns)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
