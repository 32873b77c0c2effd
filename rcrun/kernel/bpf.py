"""bpf(2) for programs of cgroups, by ctypes; only for cold code, since ctypes costs milliseconds."""

from __future__ import annotations

import ctypes
import os
import struct

_MACHINES = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351, "loongarch64": 280}  # fmt: skip
_libc = ctypes.CDLL(None, use_errno=True)

_PROG_LOAD, _PROG_ATTACH, _PROG_DETACH, _PROG_GET_FD_BY_ID, _PROG_QUERY = 5, 8, 9, 13, 16
_PROG_TYPE_CGROUP_DEVICE = 15  # Linux 4.15
_CGROUP_DEVICE = 6
_ALLOW_MULTI = 2  # beside those that others attached, such as systemd
_MOST_PROGRAMS = 64
_ATTR_SIZE = 128


def _bpf(command: int, attributes: bytes) -> bytes:
    """The attributes as the kernel left them; and its result in front, 4 bytes."""
    number = _MACHINES.get(os.uname().machine)
    if number is None:
        raise OSError(38, "no number of bpf(2) for this machine")
    buffer = ctypes.create_string_buffer(attributes.ljust(_ATTR_SIZE, b"\0"), _ATTR_SIZE)
    result: int = _libc.syscall(number, command, buffer, len(attributes))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return struct.pack("=i", result) + buffer.raw


def load_device_program(instructions: bytes) -> int:
    """A descriptor of the program; OSError where the kernel has none of these, or will not have ours."""
    code = ctypes.create_string_buffer(instructions, len(instructions))
    terms = ctypes.create_string_buffer(b"MIT")
    attributes = struct.pack(
        "=IIQQIIQII16sII",
        _PROG_TYPE_CGROUP_DEVICE, len(instructions) // 8, ctypes.addressof(code), ctypes.addressof(terms),
        0, 0, 0, 0, 0, b"rcrun_devices", 0, _CGROUP_DEVICE,
    )  # fmt: skip
    fd: int = struct.unpack_from("=i", _bpf(_PROG_LOAD, attributes))[0]
    return fd


def attach_to_group(group_fd: int, program_fd: int) -> None:
    """It lives as long as the group."""
    _bpf(_PROG_ATTACH, struct.pack("=IIIII", group_fd, program_fd, _CGROUP_DEVICE, _ALLOW_MULTI, 0))


def device_programs(group_fd: int) -> list[int]:
    """The ids of those attached to the group itself."""
    ids = (ctypes.c_uint32 * _MOST_PROGRAMS)()
    attributes = struct.pack(
        "=IIIIQI4x", group_fd, _CGROUP_DEVICE, 0, 0, ctypes.addressof(ids), _MOST_PROGRAMS
    )
    count = struct.unpack_from("=I", _bpf(_PROG_QUERY, attributes), 4 + 24)[0]
    return list(ids[:count])


def detach_from_group(group_fd: int, program_id: int) -> None:
    fd: int = struct.unpack_from(
        "=i", _bpf(_PROG_GET_FD_BY_ID, struct.pack("=III", program_id, 0, 0))
    )[0]
    try:
        _bpf(_PROG_DETACH, struct.pack("=IIII", group_fd, fd, _CGROUP_DEVICE, 0))
    finally:
        os.close(fd)
