"""Who we are at a registry: the auth files of docker and podman, and their credential helpers."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput
from rcrun.files import parse_json
from rcrun.formats.registriesconf import AUTH_FILES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

HUB_DOMAIN = "docker.io"
HUB_KEY = "https://index.docker.io/v1/"
_HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io")
HELPER_TIMEOUT = 30


class Credentials:
    """A user and password, or an identity token; `source` says where they stood, for messages."""

    __slots__ = ("identity_token", "password", "source", "username")

    def __init__(
        self, username: str, password: str, source: str, *, identity_token: str = ""
    ) -> None:
        self.username = username
        self.password = password
        self.source = source
        self.identity_token = identity_token

    def basic(self) -> str:
        """The value of an Authorization header."""
        import base64

        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


class Lookup:
    """What was found, and the trouble met on the way, which matters only when access is denied.

    `headers` are what the user wants to be sent along, to the registry alone.
    """

    __slots__ = ("credentials", "headers", "trouble")

    def __init__(self, credentials: Credentials | None, trouble: str = "") -> None:
        self.credentials = credentials
        self.headers: Mapping[str, str] = {}
        self.trouble = trouble


def from_option(text: str) -> Credentials:
    """`--creds USER[:PASSWORD]`."""
    user, _, password = text.partition(":")
    if not user:
        raise InvalidInput("--creds needs USER:PASSWORD")
    return Credentials(user, password, "--creds")


def auth_paths(environ: Mapping[str, str], explicit: str = "") -> list[str]:
    """The files to look in, first one wins; `explicit` is --authfile."""
    only = explicit or environ.get("REGISTRY_AUTH_FILE", "")
    if only:
        return [only]
    home = environ.get("HOME", "")
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    config = environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    docker = environ.get("DOCKER_CONFIG") or (f"{home}/.docker" if home else "")
    return [
        *([f"{runtime}/containers/auth.json"] if runtime else []),
        *([f"{config}/containers/auth.json"] if config else []),
        *([f"{docker}/config.json"] if docker else []),
        *([f"{home}/.dockercfg"] if home else []),
    ]


def find(
    environ: Mapping[str, str],
    domain: str,
    path: str,
    *,
    authfile: str = "",
    helpers: Sequence[str] = (),
) -> Lookup:
    """The credentials for a repository: from the helpers that registries.conf names, or from the files."""
    trouble = ""
    for helper in helpers or (AUTH_FILES,):
        if helper == AUTH_FILES:
            found = _in_files(environ, domain, path, authfile)
        else:
            found = _ask_helper(helper, server_name(domain), "registries.conf", environ)
        if found.credentials:
            return found
        trouble = trouble or found.trouble
    return Lookup(None, trouble)


def _in_files(environ: Mapping[str, str], domain: str, path: str, authfile: str) -> Lookup:
    """The longest key that covers the repository wins within a file."""
    trouble = ""
    for source, document in _documents(environ, authfile):
        found = _in_document(document, source, domain, path, environ)
        if found.credentials:
            return found
        trouble = trouble or found.trouble
    return Lookup(None, trouble)


def _documents(environ: Mapping[str, str], authfile: str) -> Iterator[tuple[str, dict[str, Any]]]:
    inline = environ.get("DOCKER_AUTH_CONFIG", "")
    if inline and not authfile:
        yield "DOCKER_AUTH_CONFIG", json_object("DOCKER_AUTH_CONFIG", inline.encode())
    for path in auth_paths(environ, authfile):
        try:
            with open(path, "rb") as file:
                document = json_object(path, file.read())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise InvalidInput(f'cannot read "{path}": {error.strerror}') from error
        # ~/.dockercfg is what later became the member "auths".
        yield path, {"auths": document} if path.endswith("/.dockercfg") else document


def json_object(source: str, data: bytes) -> dict[str, Any]:
    if not data.strip():
        return {}
    try:
        document = parse_json(data)
    except ValueError as error:
        raise InvalidInput(f'"{source}" is not valid JSON: {error}') from error
    if not isinstance(document, dict):
        raise InvalidInput(f'"{source}" does not hold a JSON object')
    return document


def _in_document(
    document: Mapping[str, Any], source: str, domain: str, path: str, environ: Mapping[str, str]
) -> Lookup:
    helpers = mapping(document.get("credHelpers"))
    auths = {plain_key(key): value for key, value in mapping(document.get("auths")).items()}
    for key in _keys(domain, path):
        if key in helpers:
            return _ask_helper(str(helpers[key]), server_name(key), source, environ)
        entry = _from_entry(auths.get(key), source)
        if entry:
            return Lookup(entry)
    store = document.get("credsStore")
    if store:
        return _ask_helper(str(store), server_name(domain), source, environ)
    return Lookup(None)


def mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _keys(domain: str, path: str) -> list[str]:
    """`host/a/b`, `host/a`, `host`; for Docker Hub every name that it goes by."""
    parts = path.split("/")
    keys = [f"{domain}/{'/'.join(parts[:count])}" for count in range(len(parts), 0, -1)]
    return [*keys, *(_HUB_NAMES if domain == HUB_DOMAIN else (domain,))]


def plain_key(key: str) -> str:
    """Old files have URLs as keys: `https://host/v1/` stands for `host`."""
    scheme, found, rest = key.partition("://")
    if not found or scheme not in ("http", "https"):
        return key.rstrip("/")
    rest = rest.rstrip("/")
    for version in ("/v1", "/v2"):
        rest = rest.removesuffix(version)
    return rest


def server_name(key: str) -> str:
    """How docker's helpers are asked."""
    return HUB_KEY if key in _HUB_NAMES else key


def _from_entry(entry: object, source: str) -> Credentials | None:
    fields = mapping(entry)
    token = fields.get("identitytoken") or ""
    user, password = fields.get("username") or "", fields.get("password") or ""
    encoded = fields.get("auth")
    if encoded:
        user, password = _decode_auth(str(encoded), source)
    if not user and not token:
        return None
    return Credentials(str(user), str(password), source, identity_token=str(token))


def _decode_auth(encoded: str, source: str) -> tuple[str, str]:
    import base64

    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError as error:
        raise InvalidInput(f'"{source}" has an "auth" that is not base64: {error}') from error
    if not colon:
        raise InvalidInput(f'"{source}" has an "auth" without a colon between user and password')
    return user, password.rstrip("\0")


def _ask_helper(name: str, server: str, source: str, environ: Mapping[str, str]) -> Lookup:
    """One that is missing or fails leaves us anonymous, which is often enough."""
    output, trouble = run_helper(name, "get", server.encode(), source, environ)
    if trouble:
        return Lookup(None, "" if "credentials not found" in trouble else trouble)
    return Lookup(_from_helper(output, helper_program(name, source)))


def helper_program(name: str, source: str) -> str:
    program = f"docker-credential-{name}"
    if os.path.basename(program) != program:
        raise InvalidInput(
            f'"{source}" names the credential helper "{name}", which is no plain name'
        )
    return program


def run_helper(
    name: str, verb: str, data: bytes, source: str, environ: Mapping[str, str]
) -> tuple[bytes, str]:
    """What docker-credential-NAME printed, and what went wrong, if anything did."""
    import subprocess

    program = helper_program(name, source)
    try:
        done = subprocess.run(
            [program, verb],
            input=data,
            capture_output=True,
            timeout=HELPER_TIMEOUT,
            env=dict(environ),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = error.strerror if isinstance(error, OSError) else "it did not answer in time"
        return b"", f'credential helper "{program}" of "{source}" cannot be used: {why}'
    if done.returncode != 0:
        said = (done.stdout or done.stderr).decode(errors="replace").strip()
        return b"", f'credential helper "{program}" failed: {said}'
    return done.stdout, ""


def _from_helper(output: bytes, program: str) -> Credentials | None:
    answer = json_object(program, output)
    user, secret = str(answer.get("Username") or ""), str(answer.get("Secret") or "")
    if user == "<token>":
        return Credentials("", "", program, identity_token=secret)
    return Credentials(user, secret, program) if user else None
