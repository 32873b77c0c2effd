"""bpf(2) for programs of cgroups: every container of root with device rules needs one.

By the core of ctypes alone: the package around it takes a millisecond more.
"""

from __future__ import annotations

import _ctypes
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MACHINES = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351, "loongarch64": 280}  # fmt: skip


class _Long(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "l"


class _Char(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "c"


class _Function(_ctypes.CFuncPtr):
    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = _Long


_itself: Any = None  # what dlopen(3) takes for the program and its libraries
_syscall: Any = _Function(_ctypes.dlsym(_ctypes.dlopen(_itself, 0), "syscall"))

_PROG_LOAD, _PROG_ATTACH, _PROG_DETACH, _PROG_GET_FD_BY_ID, _PROG_QUERY = 5, 8, 9, 13, 16
_PROG_TYPE_CGROUP_DEVICE = 15  # Linux 4.15
_CGROUP_DEVICE = 6
_ALLOW_MULTI = 2  # beside those that others attached, such as systemd
_MOST_PROGRAMS = 64
_ATTR_SIZE = 128


def _buffer(data: bytes) -> Any:
    """A copy that the kernel may write."""
    kind: Any = type("Buffer", (_ctypes.Array,), {"_type_": _Char, "_length_": len(data)})
    return kind.from_buffer_copy(data)


def _bpf(command: int, attributes: bytes) -> bytes:
    """The attributes as the kernel left them; and its result in front, 4 bytes."""
    number = _MACHINES.get(os.uname().machine)
    if number is None:
        raise OSError(38, "no number of bpf(2) for this machine")
    buffer = _buffer(attributes.ljust(_ATTR_SIZE, b"\0"))
    result: int = _syscall(number, command, buffer, len(attributes))
    if result < 0:
        error = _ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return struct.pack("=i", result) + bytes(buffer)


def load_device_program(instructions: bytes) -> int:
    """A descriptor of the program; OSError where the kernel has none of these, or will not have ours."""
    code, terms = _buffer(instructions), _buffer(b"MIT\0")
    attributes = struct.pack(
        "=IIQQIIQII16sII",
        _PROG_TYPE_CGROUP_DEVICE, len(instructions) // 8, _ctypes.addressof(code), _ctypes.addressof(terms),
        0, 0, 0, 0, 0, b"rcrun_devices", 0, _CGROUP_DEVICE,
    )  # fmt: skip
    fd: int = struct.unpack_from("=i", _bpf(_PROG_LOAD, attributes))[0]
    return fd


def attach_to_group(group_fd: int, program_fd: int) -> None:
    """It lives as long as the group."""
    _bpf(_PROG_ATTACH, struct.pack("=IIIII", group_fd, program_fd, _CGROUP_DEVICE, _ALLOW_MULTI, 0))


def device_programs(group_fd: int) -> list[int]:
    """The ids of those attached to the group itself."""
    ids = _buffer(bytes(4 * _MOST_PROGRAMS))
    attributes = struct.pack(
        "=IIIIQI4x", group_fd, _CGROUP_DEVICE, 0, 0, _ctypes.addressof(ids), _MOST_PROGRAMS
    )
    count = struct.unpack_from("=I", _bpf(_PROG_QUERY, attributes), 4 + 24)[0]
    return list(struct.unpack_from(f"={count}I", ids))


def detach_from_group(group_fd: int, program_id: int) -> None:
    fd: int = struct.unpack_from(
        "=i", _bpf(_PROG_GET_FD_BY_ID, struct.pack("=III", program_id, 0, 0))
    )[0]
    try:
        _bpf(_PROG_DETACH, struct.pack("=IIII", group_fd, fd, _CGROUP_DEVICE, 0))
    finally:
        os.close(fd)
