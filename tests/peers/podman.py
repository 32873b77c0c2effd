"""podman in the room, with the runtime under test; the store is the one that podman has by default."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from accounts import Result
from peers.room import RUNTIME, Inmate, may_make_cgroups
from waiting import wait_for

NO_NETWORK = ("--network", "none")


def links(kinds: Iterable[str]) -> list[str]:
    """A command that tells which namespaces it is in."""
    script = 'for kind; do readlink "/proc/self/ns/$kind"; done'
    return ["sh", "-c", script, "sh", *kinds]


def received(heard: socket.socket) -> bytes:
    """All packets until one says READY=1."""
    data = b""
    while b"READY=1" not in data:
        data += heard.recv(4096) + b"\n"
    return data


class Podman:
    """`podman("ps", "-aq").out` as one account of the room."""

    def __init__(self, account: Inmate) -> None:
        self.account = account
        self.env: dict[str, str] = {}
        # of a user's container podman leaves the cgroup to the runtime, unless it is told one
        self.cgroup = ("--cgroup-parent", f"/{account.kind}") if account.uid else ()
        self.leaves = False
        if not may_make_cgroups(account.kind):
            self.env["CONTAINERS_CONF"] = "/etc/containers/root.conf"

    def popen(self, *words: str | os.PathLike[str], **options: Any) -> subprocess.Popen[bytes]:
        self.leaves = self.leaves or "--rm" not in words
        env = {**self.env, **(options.pop("env", None) or {})}
        return self.account.popen("podman", "--runtime", RUNTIME, *words, env=env, **options)

    def __call__(self, *words: str | os.PathLike[str], **options: Any) -> Result:
        self.leaves = self.leaves or "--rm" not in words
        env = {**self.env, **(options.pop("env", None) or {})}
        return self.account.run("podman", "--runtime", RUNTIME, *words, env=env, **options)

    def tidy(self) -> None:
        """Remove the containers that a test may have left."""
        if self.leaves:
            self("rm", "-f", "-a", "-t", "0").check()
            self.leaves = False

    def names(self, container: str, *kinds: str) -> list[str]:
        """The names of the namespaces that the container's processes are in."""
        return self("exec", container, *links(kinds)).check().out.split()

    def run(self, *words: str, **options: Any) -> Result:
        """In the foreground, removed afterwards, without a network unless the words name one."""
        network = () if any(word.startswith(("--net", "--pod")) for word in words) else NO_NETWORK
        return self("run", "--rm", *network, *words, **options)

    def behind(self, setup: str, *words: str) -> Result:
        """podman started by a shell that first does this."""
        script = f'{setup}; exec podman --runtime "$0" "$@"'
        return self.account.run("sh", "-eu", "-c", script, RUNTIME, *words, env=self.env)

    def unshare(self, *words: str) -> Result:
        """In the user and mount namespace that a user's podman works in; root has none."""
        return (
            self("unshare", *words) if self.account.uid else self.account.run(*words, env=self.env)
        )

    def state(self, container: str) -> dict[str, Any]:
        """What the runtime itself says of a container."""
        found: dict[str, Any] = json.loads(self.unshare(RUNTIME, "state", container).check().out)
        return found

    @contextlib.contextmanager
    def notify_socket(self) -> Iterator[tuple[str, Callable[[], bytes]]]:
        """A socket as systemd gives its services, and what arrives there within a moment."""
        path = self.account.new_dir("notify") / "socket"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
            heard.bind(str(path))
            path.chmod(0o666)
            heard.settimeout(60)
            yield str(path), lambda: received(heard)

    def runtime(self, *words: str) -> Result:
        return self.unshare(RUNTIME, *words)

    def status(self, container: str) -> str:
        return self("inspect", "-f", "{{.State.Status}}", container).check().out.strip()

    def said(self, container: str, text: str) -> None:
        """Wait until the container has written this."""
        wait_for(lambda: text in self("logs", container).check().out)

    def until_exited(self, container: str) -> None:
        wait_for(lambda: self.status(container) == "exited")

    @functools.cached_property
    def version(self) -> tuple[int, ...]:
        words = self.account.run("podman", "--version").check().out.split()
        return tuple(int(part) for part in words[-1].split(".")[:2])
