"""A Hub on this machine: what huggingface_hub asks for when it pushes, pulls and lists.

Accounts, private and gated repositories, branches, pull requests, LFS, and on request a connection
that breaks. Nothing is kept on disk.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from huggingface_hub import constants

LFS = (".safetensors", ".webp", ".bin")
TOKENS = {"mine": {"me", "an-org"}, "yours": {"you"}}  # a token and the accounts it may write to

Files = dict[str, bytes]


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, code: str = "", text: str = "") -> None:
        super().__init__(f"{status} {code} {text}")
        self.status, self.code, self.text = status, code, text


@dataclass
class Repository:
    private: bool = False
    gated: bool = False
    readers: set[str] = field(default_factory=set)  # tokens that may read although it is gated
    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)  # with which it was made

    def commit(self, files: Files, branch: str = "main") -> str:
        """Put files on a branch; returns the commit."""
        digest = hashlib.sha1(f"{len(self.commits)} {branch}".encode())
        for name, content in sorted(files.items()):
            digest.update(name.encode() + content)
        sha = digest.hexdigest()
        self.commits[sha], self.branches[branch] = dict(files), sha
        return sha

    def at(self, revision: str) -> tuple[str, Files]:
        sha = self.branches.get(revision, revision)
        if sha not in self.commits:
            raise Refusal(404, "RevisionNotFound")
        return sha, self.commits[sha]

    @property
    def files(self) -> Files:
        """What is on main."""
        return self.at("main")[1]


class Hub:
    """The state of the server, and what was asked of it.

    Attributes:
        repositories: by kind and id, such as ("model", "me/dots").
        requests: methods and paths, in order.
        break_after: send or take so many bytes of a file's content, then cut the connection.
        broken: how many more times that happens.
        down: answer everything with this status.
    """

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.lfs: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.break_after, self.broken, self.down = 0, 0, 0
        self.url = ""

    def __getitem__(self, repo_id: str) -> Repository:
        return self.repositories["model", repo_id]

    def add(self, repo_id: str, files: Files | Path, **options: Any) -> str:
        """A repository with a commit on main; returns that."""
        if isinstance(files, Path):
            files = {path.name: path.read_bytes() for path in files.iterdir()}
        repository = Repository(**options)
        self.repositories["model", repo_id] = repository
        return repository.commit(files)

    def breaks(self) -> bool:
        self.broken -= 1
        return self.broken >= 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *args: Any) -> None:
        pass

    def handle_request(self) -> None:
        self.hub.requests.append(f"{self.command} {self.path}")
        length = int(self.headers.get("Content-Length") or 0)
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        try:
            if self.hub.down:
                raise Refusal(self.hub.down)
            if self.command == "PUT" and self.hub.breaks():
                self.rfile.read(min(length, self.hub.break_after))
                self.close_connection = True
                self.connection.close()
                return
            self.body = self.chunks() if self.chunked() else self.rfile.read(length)
            answer = self.answer(parts)
        except Refusal as refusal:
            headers = {"X-Error-Code": refusal.code} if refusal.code else {}
            if refusal.text:
                headers["X-Error-Message"] = refusal.text
            self.send(json.dumps({"error": refusal.text}).encode(), headers, refusal.status)
        else:
            if answer is not None:
                self.send(json.dumps(answer).encode(), {"Content-Type": "application/json"})

    do_GET = do_HEAD = do_POST = do_PUT = handle_request

    def chunked(self) -> bool:
        return self.headers.get("Transfer-Encoding") == "chunked"

    def chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def send(self, content: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    # -- what is asked ----------------------------------------------------------------------------

    def answer(self, parts: list[str]) -> Any:
        match (self.command, *parts):
            case ("POST", "api", "repos", "create"):
                return self.create(json.loads(self.body))
            case ("POST", "api", "validate-yaml"):
                wrong = "license: nonsense" in json.loads(self.body)["content"]
                errors = [{"message": '"license" must be one of ours'}] if wrong else []
                if wrong:
                    self.send(json.dumps({"errors": errors}).encode(), {}, 400)
                    return None
                return {"errors": errors, "warnings": []}
            case ("GET", "api", "models"):
                return self.listed()
            case (_, "api", ("models" | "spaces") as kinds, owner, name, *rest):
                return self.api(kinds[:-1], f"{owner}/{name}", rest)
            case ("POST", *path, "info", "lfs", "objects", "batch"):
                return self.batch("/".join(path[-2:]).removesuffix(".git"))
            case ("PUT", "lfs", oid):
                if hashlib.sha256(self.body).hexdigest() != oid:
                    raise Refusal(400, text="wrong content")
                self.hub.lfs[oid] = self.body
                return {}
            case ("HEAD" | "GET", "spaces", owner, name, "resolve", revision, *file):
                return self.file("space", f"{owner}/{name}", revision, "/".join(file))
            case ("HEAD" | "GET", owner, name, "resolve", revision, *file):
                return self.file("model", f"{owner}/{name}", revision, "/".join(file))
        raise Refusal(404, text=f"no such address {self.path}")

    def api(self, kind: str, repo_id: str, rest: list[str]) -> Any:
        match (self.command, *rest):
            case ("GET",):
                return self.info(kind, repo_id, "main")
            case ("GET", "revision", revision):
                return self.info(kind, repo_id, revision)
            case ("GET", "tree", revision):
                return self.tree(kind, repo_id, revision)
            case ("POST", "branch", branch):
                repository = self.writable(kind, repo_id)
                if branch in repository.branches:
                    raise Refusal(409)
                sha = repository.branches.get("main")
                repository.branches[branch] = sha or repository.commit({}, "main")
                return {}
            case ("POST", "preupload", revision):
                return self.preupload(self.readable(kind, repo_id), revision)
            case ("POST", "commit", revision):
                return self.commit(kind, repo_id, revision)
        raise Refusal(404, text=f"no such address {self.path}")

    def token(self) -> str:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token and token not in TOKENS:
            raise Refusal(401, text="Invalid credentials in Authorization header")
        return token

    def may_write(self, repo_id: str) -> bool:
        return repo_id.split("/")[0] in TOKENS.get(self.token(), set())

    def readable(self, kind: str, repo_id: str) -> Repository:
        token = self.token()
        repository = self.hub.repositories.get((kind, repo_id))
        hidden = repository is not None and repository.private and not self.may_write(repo_id)
        if repository is None or hidden:
            raise Refusal(404 if token else 401, "RepoNotFound")
        return repository

    def writable(self, kind: str, repo_id: str) -> Repository:
        repository = self.readable(kind, repo_id)
        if not self.may_write(repo_id):
            raise Refusal(403, text="not your repository")
        return repository

    def create(self, wanted: dict[str, Any]) -> Any:
        owner = wanted.get("organization") or "me"
        repo_id, kind = f"{owner}/{wanted['name']}", wanted.get("type") or "model"
        if not self.token():
            raise Refusal(401, text="no token")
        if not self.may_write(repo_id):
            raise Refusal(403, text="not your account")
        address = f"{self.hub.url}/{'spaces/' if kind == 'space' else ''}{repo_id}"
        if (kind, repo_id) in self.hub.repositories:
            self.send(json.dumps({"url": address}).encode(), {}, 409)
            return None
        private = wanted.get("visibility") == "private"
        repository = Repository(private=private, options=wanted)
        repository.commit({".gitattributes": b"*.safetensors filter=lfs"})
        self.hub.repositories[kind, repo_id] = repository
        return {"url": address}

    def info(self, kind: str, repo_id: str, revision: str) -> Any:
        repository = self.readable(kind, repo_id)
        sha, files = repository.at(revision)
        card = re.search(rb"^tags:\n((?:- .*\n)+)", files.get("README.md", b""), re.MULTILINE)
        tags = card[1].decode().replace("- ", "").split() if card else []
        licence = re.search(rb"^license: (.*)$", files.get("README.md", b""), re.MULTILINE)
        tags += [f"license:{licence[1].decode()}"] if licence else []
        known = {"id": repo_id, "sha": sha, "private": repository.private, "tags": tags}
        siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
        return {**known, "gated": "auto" if repository.gated else False, "siblings": siblings}

    def listed(self) -> Any:
        public = [
            self.info("model", name, "main")
            for (kind, name), repository in self.hub.repositories.items()
            if kind == "model" and not repository.private
        ]
        wanted = set(self.query.get("filter", []))
        chosen = [info for info in public if wanted <= set(info["tags"])]
        return chosen[: int(self.query["limit"][0])]

    def tree(self, kind: str, repo_id: str, revision: str) -> Any:
        _, files = self.readable(kind, repo_id).at(revision)
        return [
            {"type": "file", "path": name, "size": len(data), "oid": _git_sha(data)}
            for name, data in files.items()
        ]

    def preupload(self, repository: Repository, revision: str) -> Any:
        _, files = repository.at(revision)
        answers = []
        for file in json.loads(self.body)["files"]:
            path, mode = file["path"], "lfs" if file["path"].endswith(LFS) else "regular"
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False})
            if path in files:
                sha = hashlib.sha256(files[path]).hexdigest()
                answers[-1]["oid"] = sha if mode == "lfs" else _git_sha(files[path])
        return {"files": answers}

    def batch(self, repo_id: str) -> Any:
        objects = []
        for wanted in json.loads(self.body)["objects"]:
            entry = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.hub.lfs:
                href = f"{self.hub.url}/lfs/{wanted['oid']}"
                entry["actions"] = {"upload": {"href": href}}
            objects.append(entry)
        return {"transfer": "basic", "objects": objects}

    def commit(self, kind: str, repo_id: str, revision: str) -> Any:
        is_proposal = "create_pr" in self.query
        repository = (self.readable if is_proposal else self.writable)(kind, repo_id)
        files = dict(repository.at(revision)[1])
        for line in self.body.decode().splitlines():
            match json.loads(line):
                case {"key": "file", "value": {"path": path, "content": content}}:
                    files[path] = base64.b64decode(content)
                case {"key": "lfsFile", "value": {"path": path, "oid": oid}}:
                    files[path] = self.hub.lfs[oid]
                case {"key": "deletedFile", "value": {"path": path}}:
                    del files[path]
        number = sum(name.startswith("refs/pr/") for name in repository.branches) + 1
        branch = f"refs/pr/{number}" if is_proposal else revision
        sha = repository.commit(files, branch)
        address = f"{self.hub.url}/{'spaces/' if kind == 'space' else ''}{repo_id}"
        answer = {"commitOid": sha, "commitUrl": f"{address}/commit/{sha}"}
        if is_proposal:
            answer["pullRequestUrl"] = f"{address}/discussions/{number}"
        return answer

    def file(self, kind: str, repo_id: str, revision: str, name: str) -> None:
        repository = self.readable(kind, repo_id)
        if repository.gated and self.token() not in repository.readers:
            raise Refusal(403, "GatedRepo")
        sha, files = repository.at(revision)
        if name not in files:
            raise Refusal(404, "EntryNotFound")
        content = files[name]
        headers = {"X-Repo-Commit": sha, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        first = int((self.headers.get("Range") or "bytes=0-")[6:].rstrip("-"))
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        if self.command == "GET" and len(content) > self.hub.break_after and self.hub.breaks():
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: self.hub.break_after])
            self.close_connection = True
            return
        self.send(content[first:], headers, 206 if first else 200)


def _git_sha(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def serving() -> Iterator[Hub]:
    """A Hub on a free port of this machine."""
    hub = Hub()
    handler = type("BoundHandler", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def point_to(url: str, cache: Path, patch: pytest.MonkeyPatch) -> None:
    """Let huggingface_hub, already imported, talk to `url` and nobody else, with an empty cache."""
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, url)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    patch.setattr(constants, "ENDPOINT", url)
    patch.setattr(constants, "HF_HUB_CACHE", str(cache))
    patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    patch.setattr(constants, "HF_TOKEN_PATH", str(cache / "no-token"))
    patch.delenv("HF_TOKEN", raising=False)
