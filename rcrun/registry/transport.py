"""One HTTP exchange: connections kept alive, TLS, proxies; no redirects, no retries, no credentials of its own."""

from __future__ import annotations

import http.client
import threading
from urllib.parse import urlsplit

from rcrun.errors import RegistryError
from rcrun.registry.proxy import is_local, proxy_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

    Origin = tuple[str, str, int]
    # All of it, or what makes it anew for each try; then the headers tell its length.
    Body = bytes | Callable[[], Iterator[bytes]]

TIMEOUT = 30.0
CONNECT_TIMEOUT = 10.0
MAX_DOCUMENT = 4 * 1024 * 1024
USER_AGENT = "rcrun/1"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> Origin:
    """Scheme, host and port: what decides whether credentials may go along."""
    parts = urlsplit(url)
    try:
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
    except (KeyError, ValueError):
        raise RegistryError(f'"{url}" is not an address of a registry') from None
    if not parts.hostname:
        raise RegistryError(f'"{url}" is not an address of a registry')
    return parts.scheme, parts.hostname, port


class Answer:
    """Status and headers, and a body to be read in pieces; close() gives the connection back if it can be used again."""

    __slots__ = ("_connection", "_origin", "_response", "_transport", "headers", "status", "url")

    def __init__(
        self,
        transport: Transport,
        origin: Origin,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        url: str,
    ) -> None:
        self._transport = transport
        self._origin = origin
        self._connection = connection
        self._response = response
        self.status = response.status
        self.headers = response.headers
        self.url = url

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end. IncompleteRead when the connection broke before it."""
        data = self._response.read1(size)
        if not data and self._response.length:
            raise http.client.IncompleteRead(b"", self._response.length)
        return data

    def read_all(self, limit: int = MAX_DOCUMENT) -> bytes:
        """The whole body; a RegistryError if it is longer than `limit`."""
        pieces: list[bytes] = []
        total = 0
        while piece := self.read(65536):
            total += len(piece)
            if total > limit:
                raise RegistryError(
                    f'the answer from "{self._origin[1]}" is longer than {limit} bytes'
                )
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        response = self._response
        finished = (response.isclosed() or response.length == 0) and not response.length
        response.close()
        if finished and not response.will_close:
            self._transport.give_back(self._origin, self._connection)
        else:
            self._connection.close()

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Transport:
    """Connections to any number of hosts; may be shared by threads. `verify` is false for --tls-verify=false."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        verify: bool = True,
        cert_dirs: tuple[str, ...] = (),
        cert_dir: str = "",
        timeout: float = TIMEOUT,
    ) -> None:
        self.environ = environ
        self.verify = verify
        self.timeout = timeout
        self._cert_dirs = cert_dirs
        self._cert_dir = cert_dir
        self._idle: dict[Origin, list[http.client.HTTPConnection]] = {}
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def trusts_plain(self, host: str) -> bool:
        """True where TLS is not asked for: this machine, and everywhere with --tls-verify=false."""
        return not self.verify or is_local(host)

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | None = None
    ) -> Answer:
        """OSError and HTTPException pass through. A connection that was kept too long is replaced once."""
        origin = origin_of(url)
        kept = self._take(origin)
        if kept is not None:
            try:
                return self._exchange(kept, origin, method, url, headers, body)
            except (OSError, http.client.HTTPException):
                kept.close()
                if callable(body):
                    raise  # whoever sends much asks first how much has arrived
        fresh = self._connection_to(origin)
        try:
            fresh.connect()
            fresh.sock.settimeout(self.timeout)
            return self._exchange(fresh, origin, method, url, headers, body)
        except BaseException:
            fresh.close()
            raise

    def give_back(self, origin: Origin, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            self._idle.setdefault(origin, []).append(connection)

    def close(self) -> None:
        with self._lock:
            connections = [each for idle in self._idle.values() for each in idle]
            self._idle.clear()
        for connection in connections:
            connection.close()

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, origin: Origin) -> http.client.HTTPConnection | None:
        with self._lock:
            idle = self._idle.get(origin)
            return idle.pop() if idle else None

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        origin: Origin,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body | None,
    ) -> Answer:
        target, extra = self._target(origin, url)
        sent = {"User-Agent": USER_AGENT, **extra, **headers}
        try:
            connection.request(method, target, body() if callable(body) else body, sent)
        except (BrokenPipeError, ConnectionResetError):
            # It may have said why before it hung up: too large, not allowed.
            response = _last_words(connection)
            if response is None:
                raise
            return Answer(self, origin, connection, response, url)
        return Answer(self, origin, connection, connection.getresponse(), url)

    def _target(self, origin: Origin, url: str) -> tuple[str, dict[str, str]]:
        """What stands in the request line: the whole URL for a proxy that does not tunnel."""
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if parts.scheme == "http":
            proxy = proxy_for(*origin, self.environ)
            if proxy is not None:
                authorization = proxy.authorization
                extra = {"Proxy-Authorization": authorization} if authorization else {}
                return f"http://{parts.netloc.rpartition('@')[2]}{target}", extra
        return target, {}

    def _connection_to(self, origin: Origin) -> http.client.HTTPConnection:
        scheme, host, port = origin
        proxy = proxy_for(scheme, host, port, self.environ)
        at, at_port = (proxy.host, proxy.port) if proxy else (host, port)
        patience = min(self.timeout, CONNECT_TIMEOUT)
        if scheme == "http":
            return http.client.HTTPConnection(at, at_port, timeout=patience)
        context = self._context(host, port)
        connection = http.client.HTTPSConnection(at, at_port, timeout=patience, context=context)
        if proxy:
            secret = proxy.authorization
            connection.set_tunnel(host, port, {"Proxy-Authorization": secret} if secret else {})
        return connection

    def _context(self, host: str, port: int) -> ssl.SSLContext:
        from rcrun.registry.certificates import context_for

        key = f"{host}:{port}"
        with self._lock:
            if key not in self._contexts:
                verify = not self.trusts_plain(host)
                self._contexts[key] = context_for(
                    host, port, self._cert_dirs, self._cert_dir, verify=verify
                )
            return self._contexts[key]


def _last_words(connection: http.client.HTTPConnection) -> http.client.HTTPResponse | None:
    """An answer that came while we were still sending; the connection is of no more use."""
    if connection.sock is None:
        return None
    response = http.client.HTTPResponse(connection.sock)
    try:
        response.begin()
    except (OSError, http.client.HTTPException):
        response.close()
        return None
    response.will_close = True
    return response
