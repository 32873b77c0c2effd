"""A registry in a thread that records what it is asked and misbehaves by rule."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tiny_image import MANIFEST, TinyImage, digest_of


class Asked:
    """One request as it came in."""

    def __init__(self, handler: Handler) -> None:
        self.method = handler.command
        self.path = handler.path
        self.headers = dict(handler.headers.items())
        length = int(handler.headers.get("Content-Length") or 0)
        self.body = handler.rfile.read(length)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self.server.registry.serve(self)

    do_POST = do_GET  # noqa: N815  # the names that http.server calls
    do_HEAD = do_GET  # noqa: N815
    do_PUT = do_GET  # noqa: N815
    do_PATCH = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status: int, code: str, message: str, **headers: str) -> None:
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        self.answer(status, body, Content_Type="application/json", **headers)

    def break_after(self, body: bytes, count: int, status: int = 200, **headers: str) -> None:
        """Promise all of it, send some of it, hang up."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:count])
        self.wfile.flush()
        self.close_connection = True

    def redirect(self, url: str, status: int = 307) -> None:
        self.answer(status, Location=url)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    registry: TinyRegistry

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients may hang up


Action = Callable[[Handler], None]


class TinyRegistry:
    """Holds blobs and manifests of one repository, whatever its name; see `rule` for the misbehaviour."""

    def __init__(self) -> None:
        self.server = _Server(("127.0.0.1", 0), Handler)
        self.server.registry = self
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.address}"
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.asked: list[Asked] = []
        self.ranges = True
        self.uploads: dict[str, bytes] = {}  # by the number at the end of their path
        self.mounts = False  # blobs may be taken over from other repositories
        self.auth = ""  # "", "basic" or "bearer"
        self.anonymous = True
        self.users: dict[str, str] = {}
        self.realm = f"{self.url}/token"
        self.token = "secret-token"
        self.headers: dict[str, str] = {}  # of the answer to /v2/
        self._rules: list[tuple[str, int, Action]] = []
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> TinyRegistry:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(5)

    def put(self, image: TinyImage, *tags: str) -> None:
        self.blobs.update(image.blobs)
        for target in (image.digest, *tags):
            self.manifests[target] = (MANIFEST, image.manifest)

    def rule(self, part: str, action: Action, times: int = 1) -> None:
        """The next `times` requests whose path contains `part` get `action` instead of an answer."""
        self._rules.append((part, times, action))

    def paths(self, part: str = "/v2/") -> list[str]:
        return [asked.path for asked in self.asked if part in asked.path]

    def serve(self, handler: Handler) -> None:
        asked = Asked(handler)
        self.asked.append(asked)
        for number, (part, times, action) in enumerate(self._rules):
            if part in handler.path and times:
                self._rules[number] = (part, times - 1, action)
                action(handler)
                return
        if handler.path.startswith("/token"):
            self._give_token(handler, asked)
        elif self._may(handler):
            self._serve(handler)

    def _serve(self, handler: Handler) -> None:
        kind, _, target = handler.path.rpartition("/")
        if handler.path == "/v2/":
            handler.answer(200, b"{}", **self.headers)
        elif "/blobs/uploads/" in handler.path:
            self._serve_upload(handler)
        elif handler.command == "PUT" and kind.endswith("/manifests"):
            body = self.asked[-1].body
            kept = (handler.headers["Content-Type"], body)
            self.manifests[target] = self.manifests[digest_of(body)] = kept
            handler.answer(201, Docker_Content_Digest=digest_of(body))
        elif kind.endswith("/tags") and target.startswith("list"):
            self._list_tags(handler)
        elif kind.endswith("/manifests") and target in self.manifests:
            media_type, data = self.manifests[target]
            digest = digest_of(data)
            handler.answer(200, data, Content_Type=media_type, Docker_Content_Digest=digest)
        elif kind.endswith("/blobs") and target in self.blobs:
            self._serve_blob(handler, self.blobs[target])
        elif kind.endswith("/manifests"):
            handler.fail(404, "MANIFEST_UNKNOWN", "manifest unknown")
        else:
            handler.fail(404, "BLOB_UNKNOWN", "blob unknown to registry")

    def _serve_upload(self, handler: Handler) -> None:
        """POST begins, PATCH appends, GET tells how much there is, PUT makes the blob."""
        parts = urlsplit(handler.path)
        query, body = parse_qs(parts.query), self.asked[-1].body
        where, _, number = parts.path.rpartition("/")
        mount = query.get("mount", [""])[0]
        if handler.command == "POST" and self.mounts and mount in self.blobs:
            handler.answer(201)
            return
        if handler.command == "POST":
            number = str(len(self.uploads) + 1)
            self.uploads[number] = b""
        if number not in self.uploads:
            handler.fail(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
            return
        self.uploads[number] += body
        data = self.uploads[number]
        if handler.command == "PUT":
            digest = query["digest"][0]
            if digest_of(data) != digest:
                handler.fail(
                    400, "DIGEST_INVALID", "provided digest did not match uploaded content"
                )
                return
            self.blobs[digest] = data
            handler.answer(201, Docker_Content_Digest=digest)
            return
        span = f"0-{max(0, len(data) - 1)}"
        status = 204 if handler.command == "GET" else 202
        handler.answer(status, Location=f"{where}/{number}?state=x%2By", Range=span)

    def _list_tags(self, handler: Handler) -> None:
        """Two a page."""
        tags = sorted(target for target in self.manifests if ":" not in target)
        parts = urlsplit(handler.path)
        last = parse_qs(parts.query).get("last", [""])[0]
        page = [tag for tag in tags if tag > last][:2]
        more = {}
        if page and page[-1] != tags[-1]:
            more["Link"] = f'<{parts.path}?last={page[-1]}&n=2>; rel="next"'
        body = json.dumps({"name": "x", "tags": page}).encode()
        handler.answer(200, body, Content_Type="application/json", **more)

    def _serve_blob(self, handler: Handler, data: bytes) -> None:
        wanted = handler.headers.get("Range", "")
        if not (wanted and self.ranges):
            handler.answer(200, data)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        span = f"bytes {start}-{len(data) - 1}/{len(data)}"
        handler.answer(206, data[start:], Content_Range=span)

    def _may(self, handler: Handler) -> bool:
        given = handler.headers.get("Authorization", "")
        if self.auth == "basic" and given not in self._basics():
            handler.fail(401, "UNAUTHORIZED", "who are you", WWW_Authenticate='Basic realm="tiny"')
            return False
        if self.auth == "bearer" and given != f"Bearer {self.token}":
            challenge = (
                f'Bearer realm="{self.realm}",service="tiny, really",scope="repository:x:pull"'
            )
            handler.fail(401, "UNAUTHORIZED", "who are you", WWW_Authenticate=challenge)
            return False
        return True

    def _basics(self) -> list[str]:
        pairs = [f"{user}:{password}" for user, password in self.users.items()]
        return ["Basic " + base64.b64encode(pair.encode()).decode() for pair in pairs]

    def _give_token(self, handler: Handler, asked: Asked) -> None:
        given = asked.headers.get("Authorization", "")
        form = parse_qs(asked.body.decode())
        known = given in self._basics() or form.get("refresh_token", [""])[0] in self.users
        if not known and (given or not self.anonymous):
            handler.answer(401, b'{"details":"incorrect username or password"}')
            return
        handler.answer(200, json.dumps({"token": self.token, "expires_in": 300}).encode())

    def token_queries(self) -> list[dict[str, list[str]]]:
        return [parse_qs(urlsplit(path).query) for path in self.paths("/token")]
