"""`scope`: the set-up process waits until somebody has put it into a cgroup that did not exist before."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest

from shim.plans import PATH, PROC, Outcome, Shim

pytestmark = pytest.mark.requires("userns")


def answered(answer: bytes, asked: list[bytes]) -> Callable[[socket.socket], None]:
    """What whoever serves `scope` does."""

    def serve(ours: socket.socket) -> None:
        asked.append(ours.recv(64))
        if asked[0] and answer:
            ours.send(answer)
        ours.close()

    return serve


def scoped(shim: Shim, answer: bytes, script: str = "true") -> tuple[Outcome, list[bytes]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asked: list[bytes] = []
    thread = threading.Thread(target=answered(answer, asked), args=(ours,))
    thread.start()
    plan = shim.plan(
        settings=[["scope", str(theirs.fileno())]],
        before=[PROC],
        end=[PATH, ["exec", "sh", "-c", script]],
    )
    outcome = shim.run(plan, fds=[theirs.fileno()])
    theirs.close()
    thread.join()
    return outcome, asked


def test_a_process_that_is_to_be_in_a_scope_names_itself(shim: Shim) -> None:
    outcome, asked = scoped(
        shim, b"+", "ls /proc/self/fd | wc -l; readlink /proc/self/fd/* | grep -c socket"
    )
    assert outcome.report is None, repr(outcome)
    assert int(asked[0]) > 1
    assert outcome.out.split()[-1] == "0"  # the socket is not the container's


def test_why_it_could_not_be_put_there(shim: Shim) -> None:
    outcome, _ = scoped(shim, b"systemd refuses it\nask again")
    assert outcome.failure == (2, "scope", "EREMOTEIO", 0)
    assert outcome.report is not None
    assert outcome.report.text == "systemd refuses it\nask again"


def test_nobody_answers(shim: Shim) -> None:
    outcome, _ = scoped(shim, b"")
    assert outcome.failure == (2, "recv", "ECONNRESET", 0)
