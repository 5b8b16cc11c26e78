"""The guard alone, in front of an application that says what it got."""

import asyncio
import json
from typing import Any

import pytest

from stylesr.page import guard
from stylesr.page.guard import Guard

Answer = tuple[int, bytes]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the body; as Gradio's queue if it is told to be full."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    full = b"the queue is full" in body
    await send({"type": "http.response.start", "status": 503 if full else 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def ask(
    path: str,
    *chunks: bytes,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    page: Guard | None = None,
) -> Answer:
    parts = [
        {"type": "http.request", "body": chunk, "more_body": place < len(chunks)}
        for place, chunk in enumerate(chunks, 1)
    ] or [{"type": "http.request", "body": b"", "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "client": ("127.0.0.1", 1),
        "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
    }
    page = page or Guard(echo, max_upload=500_000)
    asyncio.run(page(scope, receive, send))
    return sent[0]["status"], sent[-1]["body"]


JOIN = "/gradio_api/queue/join"
UPLOAD = "/gradio_api/upload"


def say(value: Any, path: str = JOIN, page: Guard | None = None) -> int:
    return ask(path, json.dumps(value).encode(), page=page)[0]


def test_settings_pass_in_pieces() -> None:
    body = json.dumps({"data": ["dots", 4, None, "http: a style's name"]}).encode()
    assert ask(JOIN, body[:9], body[9:]) == (200, body)
    assert ask("/", method="GET") == (200, b"")


def test_a_large_body_is_refused_whatever_length_it_tells() -> None:
    assert ask(JOIN, *[b"x" * 10_000] * 7)[0] == 413
    assert ask(JOIN, b"x", headers={"content-length": "70000"})[0] == 413
    assert ask(JOIN, *[b"x" * 10_000] * 7, headers={"content-length": "5"})[0] == 413
    assert ask("/gradio_api/mcp/", b"[%s]" % (b" " * 100_000))[0] == 200


def test_an_upload_is_counted() -> None:
    assert ask(UPLOAD, b"x" * 400_000)[0] == 200
    assert ask(UPLOAD, b"x", headers={"content-length": "600000"})[0] == 413
    assert len(ask(UPLOAD, *[b"x" * 200_000] * 4)[1]) < 500_000  # cut off as if hung up


def test_a_visitor_cannot_fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_KEPT_OF_ONE", 900_000)
    monkeypatch.setattr(guard, "MAX_KEPT", 1_500_000)
    page = Guard(echo, max_upload=500_000)

    def upload(visitor: int) -> int:
        headers = {"x-forwarded-for": f"93.184.215.{visitor}"}
        return ask(UPLOAD, b"x" * 400_000, headers=headers, page=page)[0]

    assert [upload(1) for _ in range(3)] == [200, 200, 429]
    assert [upload(2), upload(3)] == [200, 429]  # the disk has room no more
    monkeypatch.setattr(guard, "KEPT_SECONDS", -1)  # all of it is deleted
    assert upload(1) == 200


@pytest.mark.parametrize("body", [b"{", b"NaN", b'{"data": [1e999]}', b'"\\ud800"', b"[" * 50_000])
def test_what_no_answer_could_quote_is_refused(body: bytes) -> None:
    assert ask(JOIN, body)[0] == 400


def test_only_uploaded_files_may_be_named() -> None:
    page = Guard(echo, max_upload=1, uploads="/tmp/gradio")
    paths = "/tmp/gradio/a/cat.png", "/tmp/gradio/../cat.png", "/etc/passwd", "cat.png", "", "a\0"
    answers = [say({"data": [[{"path": path}]]}, page=page) for path in paths]
    assert answers == [200, 403, 403, 403, 403, 403]


PHOTO = {"path": "cat.png"}


@pytest.mark.parametrize(
    ("path", "value", "status"),
    [
        (JOIN, {"fn_index": 3, "data": [PHOTO, "dots", {"of": "the server"}]}, 200),
        (JOIN, {"fn_index": 3, "data": [None, 0.5, None]}, 200),
        (JOIN, {"fn_index": 3, "data": [[PHOTO, PHOTO], 0.5, None]}, 422),
        (JOIN, {"fn_index": 5, "data": [[PHOTO, PHOTO]]}, 200),
        (JOIN, {"fn_index": 5, "data": [PHOTO]}, 422),
        (JOIN, {"fn_index": 3, "data": [PHOTO, "dots"]}, 422),  # too few
        (JOIN, {"fn_index": 3, "data": [PHOTO, ["dots"], None]}, 422),
        (JOIN, {"fn_index": 3, "data": [PHOTO, 1e30, None]}, 422),
        (JOIN, {"fn_index": 3, "data": ["cat.png", "dots", None]}, 422),
        (JOIN, {"fn_index": 3, "data": "cat.png"}, 422),
        (JOIN, {"fn_index": 9, "data": []}, 422),
        (JOIN, {"fn_index": [3], "data": []}, 422),
        (JOIN, [3], 422),
        ("/gradio_api/run/predict", {"fn_index": -1, "data": []}, 422),
        ("/gradio_api/run/predict", {"fn_index": 4, "data": [0]}, 200),
        ("/gradio_api/run/predict", {"fn_index": 4, "data": ["x"]}, 422),
        ("/gradio_api/call/paint", {"data": [PHOTO, "dots"]}, 200),
        ("/gradio_api/call/hidden", {"data": []}, 422),
        ("/gradio_api/call/v2/paint", {"photo": PHOTO, "style": "dots"}, 200),
        ("/gradio_api/call/v2/paint", {"photo": PHOTO, "style": {}}, 422),
        ("/gradio_api/call/v2/paint", {"style": "dots"}, 422),
        ("/gradio_api/call/v2/paint", {"data": []}, 422),
        ("/gradio_api/cancel", {"event_id": "x"}, 200),
        ("/gradio_api/mcp/", [3], 200),
    ],
)
def test_functions_are_called_as_the_page_calls_them(path: str, value: Any, status: int) -> None:
    functions: guard.Functions = {
        3: {"value 0": "file", "value 1": "setting", "value 2": "state"},
        4: {"value 0": "place"},
        5: {"value 0": "files"},
        "paint": {"photo": "file", "style": "setting"},
    }
    assert say(value, path, Guard(echo, max_upload=1, functions=functions)) == status


@pytest.mark.parametrize(
    "photo",
    [
        {"path": "http://example.org/a.png"},
        {"path": " HTTPS://example.org/a.png"},
        {"path": "file:///etc/passwd"},
        {"url": "http://example.org/a.png"},
        {"url": "data:image/png;base64,AAAA"},
        {"url": "http://page.org/gradio_api/file=http://example.org"},
        [{"deep": {"path": "http://example.org"}}],
    ],
)
def test_addresses_of_files_are_refused(photo: Any) -> None:
    status, body = ask(JOIN, json.dumps({"data": [photo]}).encode())
    assert status == 403 and b"fetches no addresses" in body


def test_the_page_may_tell_where_an_upload_is() -> None:
    photo = {"path": "/tmp/gradio/a.png", "url": "http://page.org/gradio_api/file=/tmp/a.png"}
    assert ask(JOIN, json.dumps({"data": [photo]}).encode())[0] == 200


def test_tools_bring_pictures_but_no_addresses() -> None:
    def call(photo: str) -> int:
        body = {"method": "tools/call", "params": {"arguments": {"photo": photo}}}
        return ask("/gradio_api/mcp/", json.dumps(body).encode())[0]

    assert call("data:image/png;base64,AAAA") == 200
    assert call("https://example.org/a.png") == call("file:///etc/passwd") == 403


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/gradio_api/file=http://example.org/", 403),
        ("/gradio_api/file=%20https://example.org/", 403),
        ("/gradio_api/proxy=https://example.hf.space/", 403),
        ("/gradio_api/file=/tmp/gradio/a.png", 200),
        ("/monitoring/summary", 404),
        ("/gradio_api/vibe-edit", 404),
        ("/gradio_api/file/https://example.org/", 403),
        ("/gradio_api/file/etc/passwd", 404),
        ("/gradio_api/component_server", 404),
        ("/gradio_api/stream/x/y/1/playlist.m3u8", 404),
        ("/gradio_api/app_id", 200),
        ("/gradio_api/run/predict", 200),
    ],
)
def test_doors_are_closed(method: str, path: str, status: int) -> None:
    assert ask(path, method=method)[0] == status


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({}, "in a minute"),
        ({"accept-language": "zh-TW,zh;q=0.9"}, "请一分钟后再试"),
        ({"accept-language": "zh", "cookie": "a=b; stylesr-language=en"}, "in a minute"),
    ],
)
def test_a_full_queue_is_told_in_the_visitors_language(headers: dict[str, str], word: str) -> None:
    status, body = ask(JOIN, b'"the queue is full"', headers=headers)
    assert status == 429 and word in json.loads(body)["detail"]


def test_visitors_join_the_line_one_at_a_time() -> None:
    inside, most = 0, 0

    async def join(scope: Any, receive: Any, send: Any) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1
        await echo(scope, receive, send)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    async def crowd() -> None:
        door = Guard(join, max_upload=1)
        scope = {"type": "http", "method": "POST", "path": JOIN, "headers": []}
        await asyncio.gather(*(door(scope, receive, send) for _ in range(8)))

    asyncio.run(crowd())
    assert most == 1
