"""Registries for the tests: one of our own that misbehaves on request, and Debian's docker-registry."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from typing import TYPE_CHECKING

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
        transport.timeout = 5.0
        transports.append(transport)
        return client

    yield make
    for transport in transports:
        transport.close()


@pytest.fixture(scope="session")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of a docker-registry with an empty store; the test says requires("docker-registry")."""
    folder = tmp_path_factory.mktemp("docker-registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n",
        encoding="utf-8",
    )
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(
            ["docker-registry", "serve", str(config)],
            stdout=log,
            stderr=log,
            env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
        )
    try:
        wait_for(port, server, folder / "log")
        yield f"127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(10)


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text(encoding="utf-8")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise AssertionError("docker-registry does not listen: " + log.read_text(encoding="utf-8"))
