"""A small D-Bus client: method calls and signals over a Unix socket, for systemd. Little-endian only, no descriptors.

Own, because what the package index has costs 60 ms and more to import, and this is on the way of every container
that podman starts on a systemd host (the D-Bus Specification 0.43, "Message Protocol").
"""

from __future__ import annotations

import _socket
import struct
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FIXED = {"y": "B", "b": "I", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d"}
_ALIGNED = {"y": 1, "n": 2, "q": 2, "x": 8, "t": 8, "d": 8, "(": 8, "{": 8, "g": 1, "v": 1}
_CALL, _REPLY, _ERROR, _SIGNAL = 1, 2, 3, 4
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_SERIAL, _DESTINATION, _SENDER, _SIGNATURE = range(
    1, 9
)
_FIELD_TYPES = {_PATH: "o", _INTERFACE: "s", _MEMBER: "s", _DESTINATION: "s", _SIGNATURE: "g"}
_HEADER = struct.Struct("<4BIII")
_LONGEST = 1 << 27  # the specification's own limit


class DBusError(Exception):
    """What the other side answered."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message or name)
        self.name = name
        self.message = message


def first_type(signature: str) -> str:
    """The first complete type."""
    if signature[:1] == "a":
        return "a" + first_type(signature[1:])
    if signature[:1] not in ("(", "{"):
        return signature[:1]
    depth = 0
    for index, letter in enumerate(signature):
        depth += (letter in "({") - (letter in ")}")
        if not depth:
            return signature[: index + 1]
    raise ValueError(f'unbalanced D-Bus signature "{signature}"')


def types_of(signature: str) -> list[str]:
    found = []
    while signature:
        found.append(first_type(signature))
        signature = signature[len(found[-1]) :]
    return found


def marshal(signature: str, values: Any, data: bytearray | None = None) -> bytearray:
    """The bytes of these values, one a complete type; a variant is (signature, value)."""
    out = bytearray() if data is None else data
    for kind, value in zip(types_of(signature), values, strict=True):
        _put(out, kind, value)
    return out


def _put(out: bytearray, kind: str, value: Any) -> None:
    _align(out, _ALIGNED.get(kind[0], 4))
    if kind in _FIXED:
        out += struct.pack("<" + _FIXED[kind], value)
    elif kind in ("s", "o", "g"):
        text = value.encode("utf-8")
        out += struct.pack("<B" if kind == "g" else "<I", len(text)) + text + b"\0"
    elif kind == "v":
        _put(out, "g", value[0])
        _put(out, value[0], value[1])
    elif kind[0] == "a":
        _put_array(out, kind[1:], value)
    else:
        marshal(kind[1:-1], value, out)


def _put_array(out: bytearray, kind: str, value: Any) -> None:
    at = len(out)
    out += b"\0\0\0\0"
    _align(out, _ALIGNED.get(kind[0], 4))  # not part of the length
    start = len(out)
    if kind == "y":
        out += bytes(value)
    else:
        for item in value:
            _put(out, kind, item)
    struct.pack_into("<I", out, at, len(out) - start)


def _align(out: bytearray, size: int) -> None:
    out += bytes(-len(out) % size)


def unmarshal(signature: str, data: bytes, at: int = 0) -> tuple[list[Any], int]:
    """The values, and where they end."""
    values = []
    for kind in types_of(signature):
        value, at = _take(data, at, kind)
        values.append(value)
    return values, at


def _take(data: bytes, at: int, kind: str) -> tuple[Any, int]:
    at += -at % _ALIGNED.get(kind[0], 4)
    if kind in _FIXED:
        form = struct.Struct("<" + _FIXED[kind])
        return form.unpack_from(data, at)[0], at + form.size
    if kind in ("s", "o", "g"):
        form = struct.Struct("<B" if kind == "g" else "<I")
        start = at + form.size
        end = start + form.unpack_from(data, at)[0]
        return data[start:end].decode("utf-8", "replace"), end + 1
    if kind == "v":
        inner, at = _take(data, at, "g")
        return _take(data, at, inner)
    if kind[0] != "a":
        return unmarshal(kind[1:-1], data, at)
    length = struct.unpack_from("<I", data, at)[0]
    at += 4
    at += -at % _ALIGNED.get(kind[1], 4)
    return _take_array(data, at, kind[1:], at + length)


def _take_array(data: bytes, at: int, kind: str, end: int) -> tuple[list[Any], int]:
    found = []
    while at < end:
        value, at = _take(data, at, kind)
        found.append(value)
    return found, end


class Message:
    """One that came: `fields` are the header's, `body` the values."""

    __slots__ = ("body", "fields", "kind")

    def __init__(self, kind: int, fields: dict[int, Any], body: list[Any]) -> None:
        self.kind = kind
        self.fields = fields
        self.body = body


class Connection:
    """To a bus, or straight to a program's own socket (`peer`); raises OSError, DBusError, ValueError."""

    __slots__ = ("_late", "_serial", "_socket", "peer", "timeout")

    def __init__(self, path: str, *, peer: bool, timeout: float = 30.0) -> None:
        self.peer = peer
        self.timeout = timeout
        self._serial = 0
        self._late: list[Message] = []
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect("\0" + path[1:] if path.startswith("@") else path)
            self._authenticate()
            if not peer:
                self.call(
                    "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello"
                )
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def _authenticate(self) -> None:
        """EXTERNAL without a name: the other side asks the kernel, which knows us from outside our user namespace."""
        self._socket.sendall(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")
        for expected in (b"DATA", b"OK"):
            line = self._line()
            if not line.startswith(expected):
                raise PermissionError(13, line.decode("ascii", "replace"))

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\r\n"):
            more = self._socket.recv(1)
            if not more:
                raise ConnectionResetError(104, "the D-Bus connection was closed")
            line += more
        return line[:-2]

    def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        *values: Any,
    ) -> list[Any]:
        """The values of the reply."""
        fields = {_PATH: path, _INTERFACE: interface, _MEMBER: member, _DESTINATION: destination}
        if signature:
            fields[_SIGNATURE] = signature
        body = bytes(marshal(signature, values))
        self._serial += 1
        serial = self._serial
        rows = [(key, (_FIELD_TYPES[key], value)) for key, value in fields.items()]
        header = bytearray(_HEADER.pack(ord("l"), _CALL, 0, 1, len(body), serial, 0)[:12])
        marshal("a(yv)", [rows], header)
        _align(header, 8)
        self._socket.sendall(bytes(header) + body)
        until = time.monotonic() + self.timeout
        while True:
            message = self._receive(until)
            if message.fields.get(_REPLY_SERIAL) != serial:
                self._late.append(message)
            elif message.kind == _ERROR:
                text = message.body[0] if message.body and isinstance(message.body[0], str) else ""
                raise DBusError(message.fields.get(_ERROR_NAME, ""), text)
            else:
                return message.body

    def wait_signal(self, member: str, first: str) -> list[Any]:
        """The values of the signal of that name which has `first` among them; earlier ones count."""
        until = time.monotonic() + self.timeout
        while True:
            message = self._late.pop(0) if self._late else self._receive(until)
            is_it = message.kind == _SIGNAL and message.fields.get(_MEMBER) == member
            if is_it and first in message.body:
                return message.body

    def _receive(self, until: float) -> Message:
        start = self._exactly(16, until)
        order, kind, _, _, body_size, _, fields_size = _HEADER.unpack(start)
        padded = fields_size + -fields_size % 8
        if order != ord("l") or body_size + padded > _LONGEST:
            raise ValueError("a D-Bus message that is not understood")
        rest = self._exactly(padded + body_size, until)
        rows = unmarshal("a(yv)", start[12:] + bytes(4) + rest[:fields_size])[0][0]
        fields = dict(rows)
        body = unmarshal(fields.get(_SIGNATURE, ""), rest[padded:])[0]
        return Message(kind, fields, body)

    def _exactly(self, size: int, until: float) -> bytes:
        data = bytearray()
        while len(data) < size:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(110, "no answer over D-Bus")
            self._socket.settimeout(left)
            more = self._socket.recv(size - len(data))
            if not more:
                raise ConnectionResetError(104, "the D-Bus connection was closed")
            data += more
        return bytes(data)
