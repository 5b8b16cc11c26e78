"""What reaches the page: request bodies are small, and no one makes the server fetch an address.

An ASGI middleware in front of Gradio. Pictures come by `/upload`, which has a limit of its own;
everything else is settings, so a body of more than 64 kB is an attack, such as a picture in a
`data:` address, past the upload's limit. Gradio also fetches any address that stands for a file,
and passes on files of public hosts: both are refused.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import unquote

from stylesr.page.words import Words, words

__all__ = ["COOKIE", "Guard"]

MAX_BODY = 64_000
MAX_TOOL_BODY = 14_000_000  # a tool call holds its picture: 10 MB in base64
COOKIE = "stylesr-language"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)  # but see _is_ours
_FETCHES = re.compile(r"/gradio_api/(file=\s*[a-z][a-z0-9+.-]*:|proxy=)", re.IGNORECASE)
_JOINS = re.compile(r"/gradio_api/(queue/join|call/)")
_CLOSED = re.compile(
    r"/gradio_api/(api/|runs|run-history|vibe|undo-vibe|dev|profiling|process_rec|deep_link)"
    r"|/monitoring|/svelte|/login|/openapi.json"
)


class Guard:
    """Refuses requests that a page of settings and uploads has no use for.

    Args:
        app: the application behind it.
        max_body: bytes of a body.
        max_upload: bytes of an upload, all its files together.
    """

    def __init__(self, app: App, max_upload: int, max_body: int = MAX_BODY) -> None:
        self.app, self.max_upload, self.max_body = app, max_upload, max_body
        self._door = asyncio.Lock()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 403, 404 or 413."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path, say = unquote(scope["path"]), _language(scope)
        if _FETCHES.match(path):
            await _refuse(send, 403, "this page fetches no addresses")
        elif _CLOSED.match(path):
            await _refuse(send, 404, "there is nothing here")
        elif scope["method"] not in ("POST", "PUT", "PATCH"):
            await self.app(scope, receive, send)
        elif path.rstrip("/") == "/gradio_api/upload":
            await self._upload(scope, receive, send, say)
        else:
            await self._settings(scope, receive, _friendlier(send, say), say)

    async def _upload(self, scope: Message, receive: Receive, send: Send, say: Words) -> None:
        """Count while it comes in: a length that is told may be a lie."""
        if _length(scope) > self.max_upload:
            await _refuse(send, 413, say.crowded)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_upload:
                return {"type": "http.disconnect"}
            return message

        await self.app(scope, counted, send)

    async def _settings(self, scope: Message, receive: Receive, send: Send, say: Words) -> None:
        is_tool = scope["path"].startswith("/gradio_api/mcp")
        limit = MAX_TOOL_BODY if is_tool else self.max_body
        body = b""
        more = _length(scope) <= limit
        while more and len(body) <= limit:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if _length(scope) > limit or len(body) > limit:
            await _refuse(send, 413, say.crowded)
        elif _has_address(body, is_tool):
            await _refuse(send, 403, "give a picture as an upload: this page fetches no addresses")
        elif _JOINS.match(scope["path"]):
            # Gradio looks whether there is room, checks the photo, and only then takes the place:
            # of many at once all would find room.
            async with self._door:
                await self.app(scope, _replay(body, receive), send)
        else:
            await self.app(scope, _replay(body, receive), send)


def _length(scope: Message) -> int:
    value = dict(scope["headers"]).get(b"content-length", b"0")
    return int(value) if value.isdigit() else 0


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message


def _has_address(body: bytes, is_tool: bool) -> bool:
    """Whether a file is named by an address: any `path`, or a `url` that is not of this page.

    The page itself sends the `url` of an uploaded file along, of which Gradio reads the `path`.
    """
    try:
        values = json.loads(body) if body else None
    except (ValueError, RecursionError):
        return False  # Gradio refuses it
    waiting: list[tuple[object, object]] = [("", values)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.items()
        elif isinstance(value, list):
            waiting += [(key, inner) for inner in value]
        elif isinstance(value, str) and _ADDRESS.match(value):
            start = value.lstrip().lower()
            if is_tool and not start.startswith("data:image/") and start.startswith(_FOREIGN):
                return True
            if not is_tool and (key == "path" or (key == "url" and not _is_ours(value))):
                return True
    return False


_FOREIGN = ("http:", "https:", "ftp:", "file:")


def _is_ours(url: str) -> bool:
    return re.match(r"https?://[^/]+(/[^?#]*)?/gradio_api/file=/", url) is not None


def _friendlier(send: Send, say: Words) -> Send:
    """Tell a visitor for whom the queue has no room; the page shows the text of 429, not of 503."""
    full = False

    async def answer(message: Message) -> None:
        nonlocal full
        if message["type"] == "http.response.start" and message["status"] == 503:
            full = True
            return
        if not full:
            await send(message)
        elif not message.get("more_body"):
            await _refuse(send, 429, say.busy)

    return answer


def _language(scope: Message) -> Words:
    """As chosen on the page, or else as the browser prefers."""
    headers = dict(scope["headers"])
    try:
        cookie = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
        chosen = cookie[COOKIE].value if COOKIE in cookie else ""
    except CookieError:
        chosen = ""
    return words(chosen or headers.get(b"accept-language", b"").decode("latin-1")[:2].lower())


async def _refuse(send: Send, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
