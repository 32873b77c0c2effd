"""What the host forbids: the whole text that people see, as rcrun prints it."""

from __future__ import annotations

import errno

import pytest

from rcrun.kernel.shim import Report
from rcrun.runtime.hints import error_for
from rcrun.runtime.hints_host import HostFacts, single_id_hint
from rcrun_cli import output

UNSHARE = ["unshare", "user,mount,pid"]
GRANTED = "ann:100000:65536\nbob:165536:65536\n\nann:100000:65536\n"
SUBIDS = "sudo usermod --add-subuids 231072-296607 --add-subgids 231072-296607 $USER"
APPARMOR = (
    "kernel.apparmor_restrict_unprivileged_userns is 1 and no profile allows rcrun-shim; run: "
    "printf 'abi <abi/4.0>,\\nprofile rcrun-shim %s flags=(unconfined) { userns, }\\n' "
    "'/opt/rcrun-shim' | sudo tee /etc/apparmor.d/rcrun-shim && "
    "sudo apparmor_parser -r /etc/apparmor.d/rcrun-shim"
)
RESTRICTED = {"kernel.apparmor_restrict_unprivileged_userns": "1"}
ELSEWHERE = (
    "this process may make no user namespace: a container's seccomp filter or a chroot forbids it; "
    "start the outer container with --security-opt seccomp=unconfined"
)


def facts(sysctl: dict[str, str] | None = None, granted: str = GRANTED) -> HostFacts:
    return HostFacts(lambda name: (sysctl or {}).get(name, ""), granted, shim="/opt/rcrun-shim")


def told(
    capsys: pytest.CaptureFixture[str], record: list[str], report: Report, host: HostFacts
) -> str:
    """What stands on standard error."""
    error = error_for([["plan", "1"], ["session", "container"], record], report, host)
    output.complain(error.message, error.hint)
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "sysctl", "reason", "hint"),
    [
        (
            errno.ENOSPC,
            {"user.max_user_namespaces": "0"},
            "no space left on device",
            "user.max_user_namespaces is 0; run: sudo sysctl -w user.max_user_namespaces=15000",
        ),
        (
            errno.EPERM,
            {"kernel.unprivileged_userns_clone": "0"},
            "operation not permitted",
            "kernel.unprivileged_userns_clone is 0; run: "
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (errno.EACCES, RESTRICTED, "permission denied", APPARMOR),
        (errno.EPERM, {}, "operation not permitted", ELSEWHERE),
        (
            errno.EUSERS,
            {},
            "too many nested user namespaces",
            "too many namespaces exist or are nested; see: sysctl user",
        ),
        (
            errno.EINVAL,
            {},
            "invalid argument",
            "this kernel was built without user namespaces (CONFIG_USER_NS)",
        ),
    ],
)
@pytest.mark.parametrize("step", [2, -1])  # the shim knows the record, or only the call
def test_no_user_namespaces(capsys, error, sysctl, reason, hint, step) -> None:
    report = Report(step, error, 0, -1, "clone3", "")
    assert told(capsys, UNSHARE, report, facts(sysctl)) == (
        f"rcrun: error: cannot make the namespaces user,mount,pid: {reason}\nhint: {hint}\n"
    )


def test_namespaces_but_the_users(capsys) -> None:
    report = Report(2, errno.EPERM, 0, -1, "clone3", "")
    assert told(capsys, ["unshare", "mount"], report, facts()) == (
        "rcrun: error: cannot make the namespaces mount: operation not permitted\n"
        "hint: run: rcrun doctor\n"
    )


@pytest.mark.parametrize(
    ("record", "report", "sysctl", "expected"),
    [
        (
            ["uidmap", "", "0", "1000", "1"],
            Report(2, errno.EPERM, 0, -1, "write", ""),
            RESTRICTED,
            f"cannot map user ids: operation not permitted\nhint: {APPARMOR}",
        ),
        (
            ["uidmap", "", "0", "5", "1"],
            Report(2, errno.EPERM, 0, -1, "write", ""),
            {},
            "cannot map user ids: operation not permitted\n"
            f"hint: without newuidmap only your own id can be mapped; to have more: {SUBIDS}",
        ),
        (
            ["uidmap", "/usr/bin/newuidmap", "0", "1000", "1"],
            Report(2, errno.ENOENT, 1, -1, "execve", ""),
            {},
            'cannot map user ids ("/usr/bin/newuidmap"): no such file or directory\n'
            "hint: install newuidmap and newgidmap: sudo apt-get install uidmap",
        ),
        (
            ["gidmap", "/usr/bin/newgidmap", "0", "1000", "1", "1", "7", "9"],
            Report(2, errno.EIO, 0, 1, "", "newgidmap: gid range [1-10) -> [7-16) not allowed\n"),
            {},
            "cannot map group ids: newgidmap: gid range [1-10) -> [7-16) not allowed\n"
            "hint: the ids must be yours in /etc/subgid, and a container keeps those that it was made with: "
            "make it again, or give them back: sudo usermod --add-subgids 7-15 $USER",
        ),
        (
            ["mount", "proc", "proc", "/proc", "", ""],
            Report(2, errno.EACCES, 0, -1, "fsopen", ""),
            RESTRICTED,
            f'cannot mount proc on "/proc": Permission denied\nhint: {APPARMOR}',
        ),
    ],
)
def test_ids_and_confinement(capsys, record, report, sysctl, expected) -> None:
    assert told(capsys, record, report, facts(sysctl)) == f"rcrun: error: {expected}\n"


@pytest.mark.parametrize(
    ("granted", "first"),
    [("", 100000), ("ann:1000:10\nbroken\nx:y:z\n", 100000), ("ann:524288:65536\n", 589824)],
)
def test_a_range_that_is_free(granted: str, first: int) -> None:
    ids = f"{first}-{first + 65535}"
    assert facts(granted=granted).subids_command() == (
        f"sudo usermod --add-subuids {ids} --add-subgids {ids} $USER"
    )


def test_more_than_one_id() -> None:
    host = facts()
    missing = 'no subordinate ids for user "ann" in /etc/subuid'
    assert single_id_hint(missing, host) == f"to have more, run: {SUBIDS}"
    assert single_id_hint('"newuidmap" is not installed', host) == (
        "run: sudo apt-get install uidmap"
    )
    assert single_id_hint("RCRUN_IDMAP asks for it", host) == ""
