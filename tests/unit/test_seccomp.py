"""The default filter, and what becomes of a filter's description."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats.seccomp_default import default_profile
from rcrun.kernel.seccomp import compile_filter, filter_fd_of

LIBC = ctypes.CDLL(None, use_errno=True)
X86 = os.uname().machine == "x86_64"


def errno_of_call(profile: dict, number: int, *arguments: int) -> int:
    """errno of one call (0: it worked) in a child that runs under the filter."""
    program = compile_filter(profile)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            buffer = ctypes.create_string_buffer(program, len(program))
            fprog = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
            assert LIBC.prctl(38, 1, 0, 0, 0) == 0
            assert LIBC.prctl(22, 2, fprog, 0, 0) == 0
            result = LIBC.syscall(number, *(ctypes.c_long(value) for value in arguments))
            os.write(writer, bytes([ctypes.get_errno() if result < 0 else 0]))
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answers:
        answer = answers.read()
    os.waitpid(pid, 0)
    assert answer, "the child was killed"
    return answer[0]


CALLS = {
    "unshare(CLONE_NEWUSER)": (272, 0x10000000),
    "mount": (165, 0, 0, 0, 0, 0),
    "keyctl": (250, 0, 0),
    "io_uring_setup": (425, 1, 0),
    "bpf": (321, 0, 0, 0),
    "kexec_load": (246, 0, 0, 0, 0),
    "userfaultfd": (323, 0),
    "add_key": (248, 0, 0, 0, 0, 0),
    "swapoff": (168, 0),
    "reboot": (169, 0, 0, 0, 0),
    "open_by_handle_at": (304, 0, 0, 0),
    "setns": (308, 0, 0),
    "clone with a new user namespace": (56, 0x10000000 | 17, 0, 0, 0, 0),
    "clone with a new network namespace": (56, 0x40000000 | 17, 0, 0, 0, 0),
    "socket of the hypervisor": (41, 40, 1, 0),
}


@pytest.mark.skipif(not X86, reason="numbers of system calls of x86-64")
@pytest.mark.parametrize("name", CALLS)
def test_refused_with_eperm(name: str) -> None:
    assert errno_of_call(default_profile([]), *CALLS[name]) == errno.EPERM


@pytest.mark.skipif(not X86, reason="numbers of system calls of x86-64")
def test_clone3_and_unknown_calls_do_not_exist() -> None:
    assert errno_of_call(default_profile([]), 435, 0, 0) == errno.ENOSYS
    assert errno_of_call(default_profile([]), 999) == errno.ENOSYS


@pytest.mark.skipif(not X86, reason="numbers of system calls of x86-64")
@pytest.mark.parametrize("call", [(39,), (102,), (41, 1, 1, 0), (135, 0xFFFFFFFF), (186,)])
def test_everyday_calls_work(call: tuple[int, ...]) -> None:
    assert errno_of_call(default_profile([]), *call) == 0


@pytest.mark.skipif(not X86, reason="numbers of system calls of x86-64")
def test_a_capability_unlocks_its_calls() -> None:
    # unlocked by the filter; the kernel then has its own reasons
    assert errno_of_call(default_profile(["CAP_SYS_CHROOT"]), 161, 0) == errno.EFAULT
    assert errno_of_call(default_profile([]), 161, 0) == errno.EPERM
    assert errno_of_call(default_profile(["CAP_SYS_ADMIN"]), 272, 0) == 0


def test_faults_are_named() -> None:
    with pytest.raises(InvalidInput, match='unknown seccomp action "SCMP_ACT_NO"'):
        compile_filter({"defaultAction": "SCMP_ACT_NO"})
    with pytest.raises(InvalidInput, match='unknown seccomp architecture "SCMP_ARCH_Z80"'):
        compile_filter({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_Z80"]})
    bad = {
        "names": ["read"],
        "action": "SCMP_ACT_KILL",
        "args": [{"index": 0, "op": "SCMP_CMP_XX"}],
    }
    with pytest.raises(InvalidInput, match='unknown seccomp operator "SCMP_CMP_XX"'):
        compile_filter({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [bad]})


@pytest.mark.skipif(not X86, reason="numbers of system calls of x86-64")
def test_two_conditions_on_one_argument_are_alternatives() -> None:
    equals = [{"index": 0, "value": n, "op": "SCMP_CMP_EQ"} for n in (1, 2)]
    rule = {"names": ["close"], "action": "SCMP_ACT_ERRNO", "errnoRet": 71, "args": equals}
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
    assert errno_of_call(profile, 3, 1) == 71
    assert errno_of_call(profile, 3, 2) == 71
    assert errno_of_call(profile, 3, 1000) == errno.EBADF


def test_an_annotation_makes_unknown_calls_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rule = {"names": ["no_such_call"], "action": "SCMP_ACT_ERRNO"}
    spec: Any = {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}}}
    fd = filter_fd_of(spec)
    assert fd is not None
    os.close(fd)
    for value in ("0", "1"):
        spec["annotations"] = {"run.oci.seccomp_fail_unknown_syscall": value}
        if value == "0":
            os.close(filter_fd_of(spec) or -1)
            continue
        with pytest.raises(InvalidInput, match='unknown system call "no_such_call"'):
            filter_fd_of(spec)
