"""Reports of what ended, or was taken, while something was launched."""

from __future__ import annotations

import errno

import pytest

from rcrun.errors import StepFailed
from rcrun.kernel.shim import Report
from rcrun.runtime.hints import error_for
from rcrun.runtime.hints_host import HostFacts

# A host that forbids nothing.
FACTS = HostFacts(lambda name: "", granted="", shim="/opt/rcrun-shim")


def told(
    record: list[str],
    error: int,
    *,
    call: str = "",
    word: int = 0,
    child: int = -1,
    said: str = "",
) -> StepFailed:
    plan = [["plan", "1"], ["session", "container"], record]
    report = Report(2, error, word, child, call, said)
    return error_for(plan, report, FACTS)


def test_a_container_that_ended_before_exec_was_in_it() -> None:
    """As of one that was not running before: status 1, and the words that callers of a runtime look for."""
    joins = ["join-pid", "7", "8", "user"]
    error = told(joins, errno.ESRCH, call="pidfd_open", word=1)
    assert (error.message, error.status) == ("container not running: it has ended meanwhile", 1)
    plan = [["plan", "1"], ["session", "exec"], joins, ["exec", "true"]]
    report = Report(-1, errno.ENOMEM, 0, -1, "clone3", "")
    assert error_for(plan, report, FACTS).status == 1
    killed = Report(-1, errno.ECONNRESET, 0, -1, "recvmsg", "")
    assert error_for(plan, killed, FACTS).status == 1
    assert error_for(plan, Report(-1, errno.EPERM, 0, -1, "clone3", ""), FACTS).status == 125
    for call, error in (("sync_send", errno.EPIPE), ("clone3", errno.ENODEV)):
        assert error_for(plan, Report(-1, error, 0, -1, call, ""), FACTS).status == 1
    group = [*plan[:2], ["cgroup", "/sys/fs/cgroup/x"], *plan[2:]]
    assert error_for(group, Report(2, errno.ENOENT, 1, -1, "open", ""), FACTS).status == 1
    assert error_for(group[:3], Report(2, errno.ENOENT, 1, -1, "open", ""), FACTS).status == 125


def test_an_attach_that_found_nobody() -> None:
    plan = [["plan", "1"], ["session", "attach"], ["attach", "/run/x"]]
    error = error_for(plan, Report(-1, errno.ENOENT, 0, -1, "connect", ""), FACTS)
    assert (error.message, error.status) == ("container not running: it has ended meanwhile", 1)


@pytest.mark.parametrize(
    ("option", "shown"),
    [
        ("-t 127.0.0.1/80:8080", "127.0.0.1:80/tcp"),
        ("-u 53:53", "53/udp"),
        ("-t ::1/80:80", "::1:80/tcp"),
    ],
)
def test_a_port_that_somebody_took_before_pasta_did(option: str, shown: str) -> None:
    text = f"Failed to send 67 bytes to syslog\nFailed to bind any port for '{option}', exiting\n"
    plan = [["plan", "1"], ["helper", "/run/pid", "/usr/bin/pasta", *option.split()]]
    error = error_for(plan, Report(1, errno.EIO, 0, 1, "helper", text), FACTS)
    assert error.message == f"cannot publish {shown}: port is already allocated"


def test_a_port_that_somebody_took_before_the_proxy_did() -> None:
    text = "cannot listen on 127.0.0.1:80/tcp: Address already in use\n"
    plan = [["plan", "1"], ["helper", "/run/pid", "/x/rcrun-shim", "proxy"]]
    error = error_for(plan, Report(1, errno.EIO, 0, 1, "helper", text), FACTS)
    assert error.message == "cannot publish 127.0.0.1:80/tcp: port is already allocated"
    assert error.hint == "somebody else has it since a moment: try again, or publish another one"
