"""What reaches the page: request bodies are small, and no one makes the server fetch an address.

An ASGI middleware in front of Gradio. Pictures come by `/upload`, which has limits of its own, for
a file, a request and a visitor; everything else is settings, so a body of more than 64 kB is an
attack, such as a picture in a `data:` address, past the upload's limit. Gradio also fetches any
address that stands for a file, and passes on files of public hosts: both are refused. And it fails
where a function is asked for that is not there, or with other values than the page sends.
"""

import asyncio
import json
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from stylesr.page.visitors import address
from stylesr.page.words import Words, words

__all__ = ["COOKIE", "Guard"]

MAX_BODY = 64_000
MAX_TOOL_BODY = 14_000_000  # a tool call holds its picture: 10 MB in base64
MAX_NUMBER = 1e9
KEPT_SECONDS = 1200  # for as long uploads may be on the disk
MAX_KEPT = 6_000_000_000  # bytes of all uploads in that time
MAX_KEPT_OF_ONE = 600_000_000  # of these, one visitor's
LEAST_KEPT = 100_000  # what an upload counts at least: many small ones fill a disk too
COOKIE = "stylesr-language"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Functions = Mapping[int | str, Mapping[str, str]]

_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)  # but see _is_ours
_FETCHES = re.compile(r"/gradio_api/(file[=/]\s*[a-z][a-z0-9+.-]*:|proxy=)", re.IGNORECASE)
_JOINS = re.compile(r"/gradio_api/(queue/join|call/)")
_CALLS = re.compile(r"/gradio_api/call/(?:v2/)?([^/]*)/?$")
_RUNS = re.compile(r"/gradio_api/(queue/join|run/)")
_CLOSED = re.compile(
    r"/gradio_api/(api/|runs|run-history|vibe|undo-vibe|dev|profiling|process_rec|deep_link)"
    r"|/gradio_api/(file/|component_server|custom_component|stream/|openapi.json)"
    r"|/monitoring|/svelte|/login|/logout|/openapi.json"
)


class Guard:
    """Refuses requests that a page of settings and uploads has no use for.

    Args:
        app: the application behind it.
        max_body: bytes of a body.
        max_upload: bytes of an upload, all its files together.
        uploads: the folder in which files must be that a request names; None for any.
        functions: what the page's functions take, by their numbers, and those for programs by their
            names too: by its name each value's kind, "file", "files", "setting", "place" (a number
            from 0) or "state". None for anything.
    """

    def __init__(
        self,
        app: App,
        max_upload: int,
        max_body: int = MAX_BODY,
        *,
        uploads: str | None = None,
        functions: Functions | None = None,
    ) -> None:
        self.app, self.max_upload, self.max_body = app, max_upload, max_body
        self.uploads, self.functions = uploads, functions
        self._door = asyncio.Lock()
        self._kept: deque[_Upload] = deque()

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
        upload = _Upload(_visitor(scope))
        if _length(scope) > self.max_upload:
            await _refuse(send, 413, say.crowded)
            return
        if not self._has_room(upload):
            await _refuse(send, 429, say.full)
            return
        self._kept.append(upload)

        async def counted() -> Message:
            message = await receive()
            upload.size += len(message.get("body", b""))
            if upload.size > self.max_upload + LEAST_KEPT:
                return {"type": "http.disconnect"}
            return message

        await self.app(scope, counted, send)

    def _has_room(self, upload: "_Upload") -> bool:
        """Whether the disk has room for one more, and this visitor has not filled it alone."""
        while self._kept and upload.time - self._kept[0].time > KEPT_SECONDS:
            self._kept.popleft()
        own = sum(kept.size for kept in self._kept if kept.visitor == upload.visitor)
        return own < MAX_KEPT_OF_ONE and sum(kept.size for kept in self._kept) < MAX_KEPT

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
            return
        try:
            values = _parse(body)
        except (ValueError, RecursionError):
            await _refuse(send, 400, "the body must be JSON")
            return
        if _has_address(values, is_tool):
            await _refuse(send, 403, "give a picture as an upload: this page fetches no addresses")
        elif self.uploads and not is_tool and not _are_in(self.uploads, values):
            await _refuse(send, 403, say.not_uploaded)
        elif self.functions is not None and (reason := _misfit(scope, values, self.functions)):
            await _refuse(send, 422, reason)
        elif _JOINS.match(scope["path"]):
            # Gradio looks whether there is room, checks the photo, and only then takes the place:
            # of many at once all would find room.
            async with self._door:
                await self.app(scope, _replay(body, receive), send)
        else:
            await self.app(scope, _replay(body, receive), send)


class _Upload:
    """Who uploads since when how many bytes."""

    def __init__(self, visitor: str) -> None:
        self.visitor, self.time, self.size = visitor, time.monotonic(), LEAST_KEPT


def _visitor(scope: Message) -> str:
    """As `visitors.visitor`."""
    headers = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    peer = (scope.get("client") or ("",))[0]
    return address(peer, [value.decode("latin-1") for value in headers])


def _length(scope: Message) -> int:
    value = dict(scope["headers"]).get(b"content-length", b"0")
    return int(value) if value.isdigit() else 0


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message


def _parse(body: bytes) -> Any:
    """The values of a body, which can be said again: an answer may quote them.

    Raises:
        ValueError, RecursionError: they are no JSON, or too deep.
    """
    values = json.loads(body) if body else None
    json.dumps(values, ensure_ascii=False, allow_nan=False).encode()
    return values


def _texts(values: Any) -> list[tuple[object, str]]:
    """All texts, wherever they are, with the names that they have."""
    found: list[tuple[object, str]] = []
    waiting: list[tuple[object, object]] = [("", values)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.items()
        elif isinstance(value, list):
            waiting += [(key, inner) for inner in value]
        elif isinstance(value, str):
            found.append((key, value))
    return found


def _has_address(values: Any, is_tool: bool) -> bool:
    """Whether a file is named by an address: any `path`, or a `url` that is not of this page.

    The page itself sends the `url` of an uploaded file along, of which Gradio reads the `path`.
    """
    for key, text in _texts(values):
        if _ADDRESS.match(text):
            start = text.lstrip().lower()
            if is_tool and not start.startswith("data:image/") and start.startswith(_FOREIGN):
                return True
            if not is_tool and (key == "path" or (key == "url" and not _is_ours(text))):
                return True
    return False


def _are_in(folder: str, values: Any) -> bool:
    """Whether all files that are named lie in a folder; what they are is seen later."""
    home = Path(folder).resolve()
    paths = [text for key, text in _texts(values) if key == "path"]
    return all("\0" not in path and Path(path).resolve().is_relative_to(home) for path in paths)


def _misfit(scope: Message, values: Any, functions: Functions) -> str:
    """Why a function of the page cannot be called so; nothing where it can."""
    path, call = scope["path"], _CALLS.match(scope["path"])
    if path.startswith("/gradio_api/mcp"):
        return ""
    if not isinstance(values, dict):
        return "the body must be a JSON object"
    if not call and not _RUNS.match(path):
        return ""
    name = call[1] if call else values.get("fn_index")
    if not isinstance(name, int | str) or name not in functions:
        return f"there is no function {str(name)[:40]!r}"
    kinds = functions[name]
    if path.startswith("/gradio_api/call/v2/"):  # by name, and all but files have defaults
        given = values
        if missing := [key for key in kinds if kinds[key] == "file" and key not in values]:
            return f"{missing[0]} is missing"
    else:
        data = values.get("data")
        if not isinstance(data, list) or len(data) != len(kinds):
            return f"data must be a list of {len(kinds)} values"
        given = dict(zip(kinds, data, strict=True))
    for key, value in given.items():
        if key not in kinds:
            return f"there is no {key[:40]!r}; there are {', '.join(kinds)}"
        if not _fits(value, kinds[key]):
            return f"{key} cannot be {str(value)[:40]!r}: give a {kinds[key]}"
    return ""


def _fits(value: object, kind: str) -> bool:
    if kind == "place":
        return isinstance(value, int) and 0 <= value < MAX_NUMBER
    if value is None or kind == "state":  # that of the server counts
        return True
    if kind == "files":
        return isinstance(value, list) and all(map(_is_file, value))
    if kind == "file":
        return _is_file(value)
    if isinstance(value, int | float):
        return -MAX_NUMBER < value < MAX_NUMBER  # which NaN is not
    return isinstance(value, str)


def _is_file(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("path"), str)


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
