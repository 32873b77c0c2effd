"""The kinds of network, and a container that serves in them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from network.servers import INSIDE, PYTHON, SERVER
from probes import lacking
from rcrun.paths import find_program
from waiting import wait_for


@pytest.fixture(params=["private", "pasta", "slirp4netns"])
def kind(request: pytest.FixtureRequest, account) -> str:
    """Each test with this runs over what is chosen by itself, and over each one that is there."""
    reason = None if request.param == "private" else lacking(request.param, account)
    if reason:
        pytest.skip(f"{reason}; Ubuntu 22.04 has no package of pasta")
    return str(request.param)


@pytest.fixture
def old_pasta(account) -> bool:
    """Debian 12's, which has faults in publishing; by itself slirp4netns is taken there."""
    path = find_program("pasta", account.environ["PATH"])
    return not path or b"--no-copy-routes" not in Path(path).read_bytes()


@pytest.fixture
def publishing(kind: str, old_pasta: bool) -> str:
    """`kind`; slirp4netns again where pasta is Debian 12's, which cannot do it right."""
    return "slirp4netns" if old_pasta else kind


@pytest.fixture
def serve(rcrun) -> Callable[..., str]:
    """Starts a container that serves tcp 80 and udp 53 on these addresses; its id, once it does."""

    def start(*options: str, addresses: tuple[str, ...] = ("0.0.0.0",)) -> str:
        command = (PYTHON, "-c", SERVER, *addresses)
        found = rcrun("run", "-d", *INSIDE, *options, "busybox", *command).check().out.strip()
        wait_for(lambda: rcrun("logs", found).out == "ready\n")
        return found

    return start


@pytest.fixture
def helper_pid(rcrun) -> Callable[..., int]:
    """Of a container's pasta or slirp4netns; 0 when it has none that runs."""

    def find(container_id: str, name: str = "pasta.pid") -> int:
        live = Path(rcrun.account.environ["RCRUN_RUNROOT"], "containers", container_id)
        try:
            pid = int((live / name).read_text(encoding="ascii"))
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return 0
        return 0 if ") Z " in state else pid

    return find


@pytest.fixture
def kill() -> Callable[[int], None]:
    """SIGKILL, and the wait for the end."""

    def end(pid: int) -> None:
        assert pid > 1
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: is_gone(pid))

    return end


def is_gone(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
