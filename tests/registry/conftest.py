"""Registries for the tests: one of our own that misbehaves on request, and Debian's docker-registry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from typing import TYPE_CHECKING

from real_registry import HTPASSWD, Secure, serve
from tiny_registry import TinyRegistry

from rcrun.formats.reference import Reference, parse
from rcrun.registry.client import Client, reach
from rcrun.registry.session import Patience
from tiny_image import TinyImage, tiny_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rcrun.registry.credentials import Credentials


@pytest.fixture
def image() -> TinyImage:
    return tiny_image()


@pytest.fixture
def registry() -> Iterator[TinyRegistry]:
    with TinyRegistry() as server:
        yield server


@pytest.fixture
def elsewhere() -> Iterator[TinyRegistry]:
    """Another host, as far as credentials are concerned."""
    with TinyRegistry() as server:
        yield server


@pytest.fixture
def pauses() -> list[float]:
    """How long the client would have waited between its tries."""
    return []


@pytest.fixture
def client_of(pauses: list[float]) -> Iterator[Callable[..., Client]]:
    """Makes clients that do not really wait and know no auth files."""
    transports = []

    def make(
        reference: Reference | str,
        *,
        environ: dict[str, str] | None = None,
        credentials: Credentials | None = None,
        verify: bool = True,
        authfile: str = "",
        retries: int | None = None,
        delay: float | None = None,
    ) -> Client:
        where = parse(reference) if isinstance(reference, str) else reference
        lookup, transport = reach(
            where, environ or {}, verify=verify, credentials=credentials, authfile=authfile
        )
        client = Client(transport, where, lookup, patience=Patience(pauses.append, retries, delay))
        transport.timeout = 30.0
        transports.append(transport)
        return client

    yield make
    for transport in transports:
        transport.close()


@pytest.fixture(scope="session")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of a docker-registry with an empty store; the test says requires("docker-registry")."""
    yield from serve(tmp_path_factory.mktemp("docker-registry"))


@pytest.fixture(scope="session")
def secure_docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("secure-docker-registry")
    authority = folder / "authority"
    authority.mkdir(mode=0o755)
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", "/CN=registry", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", str(folder / "key"), "-out", str(authority / "ca.crt"),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    (folder / "htpasswd").write_text(HTPASSWD, encoding="utf-8")
    tls = f"tls: {{certificate: '{authority}/ca.crt', key: '{folder}/key'}}"
    auth = f"auth: {{htpasswd: {{realm: test, path: '{folder}/htpasswd'}}}}\n"
    for address in serve(folder, tls, auth):
        yield Secure(address, authority)
