"""Debian's docker-registry for the tests: plain, or with TLS and a password."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from network.servers import free_port


class Secure:
    """A docker-registry with TLS and a user `me` whose password is `secret`."""

    def __init__(self, address: str, authority: Path) -> None:
        self.address = address
        self.authority = authority  # a directory with ca.crt


# bcrypt of "secret", as `htpasswd -B` writes it.
HTPASSWD = "me:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"


def serve(folder: Path, tls: str = "", auth: str = "") -> Iterator[str]:
    """A docker-registry that listens on this machine as long as it is needed."""
    port = free_port()
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'{', ' if tls else ''}{tls}}}\n{auth}",
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
        server.wait(60)


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text(encoding="utf-8")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise AssertionError("docker-registry does not listen: " + log.read_text(encoding="utf-8"))
