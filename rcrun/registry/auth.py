"""Answers a registry's challenge: Basic, or a bearer token fetched from the realm that it names."""

from __future__ import annotations

import http.client
import threading
import time
from urllib.parse import urlencode, urlsplit

from rcrun.errors import RegistryError
from rcrun.files import parse_json
from rcrun.registry.transport import origin_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rcrun.registry.credentials import Credentials, Lookup
    from rcrun.registry.transport import Answer, Transport

CLIENT_ID = "rcrun"
SHORTEST_TOKEN_LIFE = 60.0
SPARE_SECONDS = 10.0


class Challenge:
    """One scheme of WWW-Authenticate with its parameters; names are lower case."""

    __slots__ = ("parameters", "scheme")

    def __init__(self, scheme: str, parameters: dict[str, str]) -> None:
        self.scheme = scheme
        self.parameters = parameters


def parse_challenges(text: str) -> list[Challenge]:
    """Schemes and parameters of a WWW-Authenticate header; what cannot be read is skipped."""
    found: list[Challenge] = []
    for item in _split_outside_quotes(text, ","):
        name, equals, value = item.partition("=")
        scheme, blank, first = name.strip().rpartition(" ")
        if not equals:
            found.append(Challenge(item.strip().lower(), {}))
            continue
        if blank:
            found.append(Challenge(scheme.strip().lower(), {}))
        if found:
            found[-1].parameters[(first if blank else name).strip().lower()] = _unquote(value)
    return [each for each in found if each.scheme]


def _split_outside_quotes(text: str, separator: str) -> list[str]:
    items, current, quoted, escaped = [], "", False, False
    for character in text:
        if character == separator and not quoted:
            items.append(current)
            current = ""
            continue
        current += character
        if escaped:
            escaped = False
        elif character == "\\" and quoted:
            escaped = True
        elif character == '"':
            quoted = not quoted
    return [item for item in [*items, current] if item.strip()]


def _unquote(value: str) -> str:
    value = value.strip()
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    plain, escaped = "", False
    for character in value[1:-1]:
        if character == "\\" and not escaped:
            escaped = True
            continue
        plain += character
        escaped = False
    return plain


class Authorizer:
    """The Authorization header of each scope at one registry; shared by the threads of a pull.

    Credentials go to the registry's own origin and to the realm that it names, nowhere else.
    """

    def __init__(
        self,
        transport: Transport,
        lookup: Lookup,
        domain: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lookup = lookup
        self._transport = transport
        self._domain = domain
        self._clock = clock
        self._headers: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def header(self, scope: str) -> str:
        """What is known to be accepted for a scope; empty before the first challenge."""
        with self._lock:
            value, until = self._headers.get(scope, ("", 0.0))
        return value if self._clock() < until else ""

    def answer(
        self, challenge_text: str, scope: str, origin: tuple[str, str, int], used: str
    ) -> bool:
        """Get a header for a challenge; False when there is none better than `used`, which was refused."""
        with self._lock:
            value, until = self._headers.get(scope, ("", 0.0))
            if value and value != used and self._clock() < until:
                return True  # another thread did it while we waited
            made = self._respond(parse_challenges(challenge_text), scope, origin)
            if not made or made[0] == used:
                return False
            self._headers[scope] = (made[0], self._clock() + made[1])
            return True

    def _respond(
        self, challenges: list[Challenge], scope: str, origin: tuple[str, str, int]
    ) -> tuple[str, float] | None:
        """The header's value and how long it is good for."""
        for challenge in challenges:
            if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
                return self._fetch_token(challenge.parameters, scope, origin)
        credentials = self.lookup.credentials
        if credentials and credentials.username:
            for challenge in challenges:
                if challenge.scheme == "basic":
                    return credentials.basic(), float("inf")
        return None

    def _fetch_token(
        self, parameters: Mapping[str, str], scope: str, origin: tuple[str, str, int]
    ) -> tuple[str, float]:
        realm = parameters["realm"]
        scheme, host, _ = origin_of(realm)
        credentials = self.lookup.credentials
        if credentials and scheme != "https" and origin[0] == "https":
            raise RegistryError(
                f'registry "{self._domain}" asks to send credentials to "{host}" without TLS: refused'
            )
        wanted = parameters.get("scope") or scope
        fields: dict[str, str] = {"scope": wanted} if wanted else {}
        if parameters.get("service"):
            fields["service"] = parameters["service"]
        try:
            with self._ask(realm, fields, credentials) as answer:
                return self._token(answer, host)
        except (OSError, http.client.HTTPException) as error:
            from rcrun.registry.faults import unreachable

            raise unreachable(host, error) from error

    def _ask(self, realm: str, fields: dict[str, str], credentials: Credentials | None) -> Answer:
        if credentials and credentials.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": credentials.identity_token,
                "client_id": CLIENT_ID,
                **fields,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return self._transport.send("POST", realm, headers, urlencode(form).encode())
        headers = {}
        if credentials:
            headers["Authorization"] = credentials.basic()
            fields = {**fields, "account": credentials.username}
        joint = "&" if urlsplit(realm).query else "?"
        scopes = [("scope", scope) for scope in fields.pop("scope", "").split()]
        query = urlencode([*scopes, *fields.items()])
        return self._transport.send("GET", f"{realm}{joint}{query}", headers)

    def _token(self, answer: Answer, host: str) -> tuple[str, float]:
        body = answer.read_all()
        if answer.status != 200:
            from rcrun.registry.faults import refused

            raise refused(answer.status, body, self._domain, self.lookup, host=host)
        try:
            document = parse_json(body)
            token = str(document.get("token") or document.get("access_token") or "")
            life = max(float(document.get("expires_in") or 0), SHORTEST_TOKEN_LIFE)
        except (ValueError, AttributeError, TypeError) as error:
            raise RegistryError(f'"{host}" answered with something other than a token') from error
        if not token or not token.isprintable() or not token.isascii():
            raise RegistryError(f'"{host}" answered without a token')
        return f"Bearer {token}", life - SPARE_SECONDS
