"""Requests to one registry: the right scheme, credentials, redirects and another try, so that the client reads plainly."""

from __future__ import annotations

import email.utils
import http.client
import random
import socket
import ssl
import threading
import time
from urllib.parse import urljoin

from rcrun.errors import RegistryError
from rcrun.registry.auth import Authorizer
from rcrun.registry.faults import unreachable
from rcrun.registry.transport import origin_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rcrun.registry.credentials import Lookup
    from rcrun.registry.transport import Answer, Body, Transport

HUB_HOST = "registry-1.docker.io"
TRIES = 5
TRIES_TO_CONNECT = 3
FIRST_DELAY = 0.4
LONGEST_DELAY = 10.0
LONGEST_RETRY_AFTER = 90.0
MAX_REDIRECTS = 10
REDIRECTS = (301, 302, 303, 307, 308)
_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)
_HOPELESS = (ConnectionRefusedError, PermissionError, http.client.InvalidURL)
_BROKEN_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


class Patience:
    """How often and how long: shared rules for requests and for a blob that breaks off.

    Who says how often wants it even where nobody listens yet; `delay` are always the same seconds.
    """

    __slots__ = ("delay", "is_told", "sleep", "tries")

    def __init__(
        self,
        sleep: Callable[[float], object],
        retries: int | None = None,
        delay: float | None = None,
    ) -> None:
        self.sleep = sleep
        self.is_told = retries is not None
        self.tries = TRIES if retries is None else retries + 1
        self.delay = delay

    def wait(self, failures: int) -> bool:
        """False when it was enough; otherwise after a growing delay with jitter."""
        if failures >= self.tries:
            return False
        if self.delay is not None:
            self.sleep(self.delay)
            return True
        delay = min(FIRST_DELAY * 2 ** (failures - 1), LONGEST_DELAY)
        self.sleep(delay * random.uniform(0.5, 1.0))
        return True

    def is_hopeless(self, error: Exception, failures: int) -> bool:
        """Another try would end the same, or take longer than anybody waits for a host that is not there."""
        if isinstance(error, ConnectionRefusedError) and self.is_told:
            return False
        if isinstance(error, socket.gaierror):
            return error.errno != socket.EAI_AGAIN or failures >= TRIES_TO_CONNECT
        if isinstance(error, TimeoutError):
            return failures >= TRIES_TO_CONNECT
        if isinstance(error, ssl.SSLError):
            return not isinstance(error, _BROKEN_TLS)
        return isinstance(error, _HOPELESS)

    def wait_as_told(self, failures: int, retry_after: str | None, now: float) -> bool:
        """As `wait`, but the server may say how long; False too when that is longer than anybody would wait."""
        told = retry_after_seconds(retry_after, now)
        if told is None:
            return self.wait(failures)
        if failures >= self.tries or told > LONGEST_RETRY_AFTER:
            return False
        self.sleep(told)
        return True


def retry_after_seconds(text: str | None, now: float) -> float | None:
    """Seconds or a date; None when it is absent or neither."""
    if not text:
        return None
    if text.strip().isdecimal():
        return float(text.strip())
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


class Session:
    """`domain` is as in a reference; Docker Hub's API lives at another host than its name."""

    def __init__(
        self,
        transport: Transport,
        domain: str,
        lookup: Lookup,
        *,
        patience: Patience | None = None,
    ) -> None:
        self.domain = domain
        self.host = HUB_HOST if domain == "docker.io" else domain
        self.patience = patience or Patience(time.sleep)
        self.lookup = lookup
        self._transport = transport
        self._authorizer = Authorizer(transport, lookup, domain)
        self._base = ""
        self._base_lock = threading.Lock()

    def base(self) -> str:
        """`https://host`, or `http://host` where that is allowed and all that answers."""
        with self._base_lock:
            if not self._base:
                self._base = self._find_base()
            return self._base

    def request(
        self,
        method: str,
        path: str,
        *,
        scope: str = "",
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> Answer:
        """The last answer, whatever its status; unreachable() when there is none.

        `path` may be a whole URL, as a registry gives it out: another host gets no credentials.
        """
        failures = 0
        while True:
            failures += 1
            try:
                answer = self.request_once(method, path, scope=scope, headers=headers, body=body)
            except (OSError, http.client.HTTPException) as error:
                if self.patience.is_hopeless(error, failures) or not self.patience.wait(failures):
                    raise unreachable(self.host, error) from error
                continue
            if answer.status not in _TEMPORARY:
                return answer
            retry_after = answer.headers.get("Retry-After")
            if not self.patience.wait_as_told(failures, retry_after, time.time()):
                return answer
            answer.close()

    def request_once(
        self,
        method: str,
        path: str,
        *,
        scope: str = "",
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> Answer:
        """One try; a challenge is answered once, and what is refused then stays refused."""
        url, headers = urljoin(self.base(), path), headers or {}
        used = self._authorizer.header(scope)
        answer = self._follow(method, url, used, headers, body)
        own = origin_of(self.base())
        if answer.status != 401 or origin_of(answer.url) != own:
            return answer
        challenge = ", ".join(answer.headers.get_all("WWW-Authenticate") or [])
        try:
            accepted = self._authorizer.answer(challenge, scope, own, used)
        except BaseException:
            answer.close()
            raise
        if not accepted:
            return answer
        answer.close()
        return self._follow(method, url, self._authorizer.header(scope), headers, body)

    def _follow(
        self,
        method: str,
        url: str,
        authorization: str,
        headers: Mapping[str, str],
        body: Body | None,
    ) -> Answer:
        """Redirects followed by hand: credentials never leave the origin that they were given to."""
        own = origin_of(self.base())
        for _ in range(MAX_REDIRECTS):
            is_own = origin_of(url) == own
            sent = {**headers, **self.lookup.headers} if is_own else headers
            if authorization and is_own:
                sent = {**sent, "Authorization": authorization}
            answer = self._transport.send(method, url, sent, body)
            location = answer.headers.get("Location")
            if answer.status not in REDIRECTS or not location:
                return answer
            answer.close()
            url = urljoin(url, location)
        raise RegistryError(f'registry "{self.domain}" redirects without end')

    def _find_base(self) -> str:
        secure = f"https://{self.host}"
        host = origin_of(secure)[1]
        if not self._transport.trusts_plain(host):
            return secure
        try:
            self._transport.send("GET", f"{secure}/v2/", {}).close()
            return secure
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, socket.gaierror):
                raise
        plain = f"http://{self.host}"
        self._transport.send("GET", f"{plain}/v2/", {}).close()
        return plain
