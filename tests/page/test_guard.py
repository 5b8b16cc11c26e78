"""The guard alone, in front of an application that says what it got."""

import asyncio
import json
from typing import Any

import pytest

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
    path: str, *chunks: bytes, method: str = "POST", headers: dict[str, str] | None = None
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
        "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
    }
    asyncio.run(Guard(echo, max_upload=500_000)(scope, receive, send))
    return sent[0]["status"], sent[-1]["body"]


JOIN = "/gradio_api/queue/join"
UPLOAD = "/gradio_api/upload"


def test_settings_pass_in_pieces() -> None:
    body = json.dumps({"data": ["dots", 4, None, "http: a style's name"]}).encode()
    assert ask(JOIN, body[:9], body[9:]) == (200, body)
    assert ask("/", method="GET") == (200, b"")


def test_a_large_body_is_refused_whatever_length_it_tells() -> None:
    assert ask(JOIN, *[b"x" * 10_000] * 7)[0] == 413
    assert ask(JOIN, b"x", headers={"content-length": "70000"})[0] == 413
    assert ask(JOIN, *[b"x" * 10_000] * 7, headers={"content-length": "5"})[0] == 413
    assert ask("/gradio_api/mcp/", b"x" * 100_000)[0] == 200


def test_an_upload_is_counted() -> None:
    assert ask(UPLOAD, b"x" * 400_000)[0] == 200
    assert ask(UPLOAD, b"x", headers={"content-length": "600000"})[0] == 413
    assert len(ask(UPLOAD, *[b"x" * 200_000] * 4)[1]) < 500_000  # cut off as if hung up


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
        guard = Guard(join, max_upload=1)
        scope = {"type": "http", "method": "POST", "path": JOIN, "headers": []}
        await asyncio.gather(*(guard(scope, receive, send) for _ in range(8)))

    asyncio.run(crowd())
    assert most == 1
