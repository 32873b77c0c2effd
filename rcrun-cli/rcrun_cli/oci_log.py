"""The log of rcrun-oci: lines as runc writes them, to a file, to the journal or to syslog."""

from __future__ import annotations

import os
import time

from rcrun.files import dump_json

_PRIORITIES = {"error": 3, "warning": 4, "debug": 7}  # syslog(3)
_JOURNAL = "/run/systemd/journal/socket"
_SYSLOG = "/dev/log"
_USER_FACILITY = 1 << 3


def line(level: str, message: str, *, form: str) -> str:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if form == "json":
        return dump_json({"level": level, "msg": message, "time": now}) + "\n"
    return f'time="{now}" level={level} msg={dump_json(message)}\n'


def write(place: str, level: str, message: str, text: str) -> None:
    """`place` is an absolute path, `journald:ID` or `syslog:ID`; raises OSError."""
    if place.startswith("/"):
        fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, text.encode("utf-8", "surrogateescape"))
        finally:
            os.close(fd)
        return
    kind, _, name = place.partition(":")
    if kind == "journald":
        _send(_JOURNAL, journal_entry(name or "rcrun-oci", _PRIORITIES[level], message))
    else:
        priority = _USER_FACILITY | _PRIORITIES[level]
        _send(_SYSLOG, f"<{priority}>{name or 'rcrun-oci'}: {message}".encode())


def journal_entry(name: str, priority: int, message: str) -> bytes:
    """One datagram of journald's own protocol: a field with a newline is preceded by its length."""
    data = message.encode("utf-8", "surrogateescape")
    field = b"MESSAGE\n" + len(data).to_bytes(8, "little") + data + b"\n"
    return f"PRIORITY={priority}\nSYSLOG_IDENTIFIER={name}\n".encode() + field


def _send(path: str, data: bytes) -> None:
    import _socket

    sender = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        sender.connect(path)
        sender.send(data)
    finally:
        sender.close()
