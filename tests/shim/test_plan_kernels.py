"""Older kernels: calls that they lack give ENOSYS or EINVAL here, by a filter around the shim."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import pytest

from shim.plans import PATH, PROC, Shim, memfd

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of system calls of x86-64"),
]
CLONE3, CLOSE_RANGE, OPENAT2, MOUNT_SETATTR = 435, 436, 437, 442
MEMFD_CREATE, MFD_EXEC = 319, 0x10
ENOSYS, EINVAL, EPERM = 38, 22, 1
LOAD, IF_EQUAL, IF_SET, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


def lacking(calls: dict[int, int]) -> bytes:
    """A filter under which these calls fail with these errors, and memfd_create(MFD_EXEC) as before 6.3."""
    rows = [(LOAD, 0, 0, 0)]
    for number, error in calls.items():
        rows += [(IF_EQUAL, 0, 1, number), (RETURN, 0, 0, ERRNO | error)]
    rows += [
        (IF_EQUAL, 0, 3, MEMFD_CREATE),
        (LOAD, 0, 0, 24),  # the lower half of the second argument
        (IF_SET, 0, 1, MFD_EXEC),
        (RETURN, 0, 0, ERRNO | EINVAL),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("<HBBI", *row) for row in rows)


class Older:
    """Starts the shim beneath another shim that only loads the filter."""

    def __init__(self, shim: Shim, calls: dict[int, int]) -> None:
        self.shim = shim
        self.fd = memfd(lacking(calls))
        self.calls = calls

    def program(self) -> list[str]:
        text = (
            "import ctypes, os, sys\n"
            "libc = ctypes.CDLL(None, use_errno=True)\n"
            "data = os.pread(int(sys.argv[1]), 65536, 0)\n"
            "code = ctypes.create_string_buffer(data)\n"
            "class Program(ctypes.Structure):\n"
            "    _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_void_p)]\n"
            "program = Program(len(data) // 8, ctypes.addressof(code))\n"
            "assert libc.prctl(38, 1, 0, 0, 0) == 0\n"
            "assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0\n"
            "os.execv(sys.argv[2], sys.argv[2:])\n"
        )
        return ["/usr/bin/python3", "-IS", "-c", text, str(self.fd), *map(str, self.shim.program)]

    def run(self, plan: list[list[str]], fds: tuple[int, ...] = ()) -> object:
        return self.shim.run(plan, program=self.program(), fds=[self.fd, *fds])


@pytest.fixture(params=["5.11", "5.8", "a filter of docker's"])
def older(request: pytest.FixtureRequest, shim: Shim) -> Iterator[Older]:
    calls = {
        "5.11": {MOUNT_SETATTR: ENOSYS},
        "5.8": {MOUNT_SETATTR: ENOSYS, CLOSE_RANGE: ENOSYS, CLONE3: ENOSYS},
        "a filter of docker's": {CLOSE_RANGE: EPERM, CLONE3: ENOSYS},
    }[request.param]
    older = Older(shim, calls)
    yield older
    os.close(older.fd)


def test_a_container(shim: Shim, older: Older) -> None:
    extra = memfd(b"of the caller")
    source = shim.dir / "source"
    source.mkdir()
    os.chown(source, shim.account.uid, shim.account.gid)
    plan = shim.plan(
        ["readonly", "/run"],
        ["root-readonly"],
        before=[
            PROC,
            ["mount", "tmpfs", "tmpfs", "/own", "nosuid,nodev", ""],
            ["bind", f"{shim.root}/own", "/closed", "ro,noexec,noatime"],
            ["bind", f"{shim.root}/own", "/open", "relatime"],
            ["mount-propagation", "/open", "shared"],
            ["tmpfs-copyup", "/etc", "ro", ""],
            ["bind", str(source), "/mnt", "ro"],
        ],
        end=[
            PATH,
            ["exec", "sh", "-c", "cat /proc/self/mountinfo; ls /proc/self/fd; cat /etc/motd"],
        ],
    )
    outcome = older.run(plan, (extra,))
    os.close(extra)
    assert outcome.report is None, repr(outcome)
    lines = outcome.out.splitlines()
    assert lines[-5:] == ["0", "1", "2", "3", "hello"]
    mounts = {words[4]: words for words in (line.split() for line in lines[:-5])}
    options = {path: set(words[5].split(",")) for path, words in mounts.items()}
    assert {"ro", "noexec", "noatime", "nosuid", "nodev"} <= options["/closed"]
    assert {"rw", "relatime", "nosuid", "nodev"} <= options["/open"]
    assert mounts["/open"][6].startswith("shared:")
    assert all("ro" in options[path] for path in ("/", "/run", "/etc", "/mnt"))


def test_work(shim: Shim, older: Older) -> None:
    assert older.run(shim.work(["exec", "/bin/echo", "done"])).out == "done\n"


def test_what_needs_5_12(shim: Shim) -> None:
    older = Older(shim, {MOUNT_SETATTR: ENOSYS})
    plan = shim.plan(before=[["bind", str(shim.dir), "/mnt", "rec,rro"]])
    outcome = older.run(plan)
    os.close(older.fd)
    assert outcome.failure[1:3] == ("mount_setattr", "ENOSYS")


def test_what_needs_5_6(shim: Shim) -> None:
    older = Older(shim, {OPENAT2: ENOSYS})
    plan = shim.plan(before=[PROC])
    outcome = older.run(plan)
    os.close(older.fd)
    assert outcome.failure[2] == "ENOSYS"
    assert plan[outcome.failure[0]] == PROC
