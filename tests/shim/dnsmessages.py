"""Questions and answers of the DNS, as far as the tests need them."""

from __future__ import annotations

import ipaddress
import random
import socket
import struct

A, PTR, MX, TXT, AAAA, OPT, ANY = 1, 12, 15, 16, 28, 41, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)


def wire_name(name: str) -> bytes:
    labels = [label.encode() for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def question(name: str, kind: int = A, *, size: int = 0, number: int | None = None) -> bytes:
    """With EDNS0 when `size` says what may come."""
    number = random.randrange(1 << 16) if number is None else number
    head = struct.pack("!6H", number, 0x0100, 1, 0, 0, int(size > 0))
    options = struct.pack("!BHHIH", 0, OPT, size, 0, 0) if size else b""
    return head + wire_name(name) + struct.pack("!2H", kind, 1) + options


def reply_to(query: bytes, data: list[bytes], kind: int = A, rcode: int = 0) -> bytes:
    """Of an upstream server: records of one kind for the name that was asked."""
    end = 12
    while query[end]:
        end += query[end] + 1
    end += 5
    head = query[:2] + struct.pack("!5H", 0x8180 | rcode, 1, len(data), 0, 0)
    records = [struct.pack("!3HIH", 0xC00C, kind, 1, 60, len(each)) + each for each in data]
    return head + query[12:end] + b"".join(records)


class Answer:
    def __init__(self, message: bytes, query: bytes) -> None:
        number, flags, questions, count, authority, extra = struct.unpack("!6H", message[:12])
        assert number == int.from_bytes(query[:2], "big")
        assert flags & 0x8000
        assert questions == 1
        assert not authority
        self.message = message
        self.rcode = flags & 0xF
        self.truncated = bool(flags & 0x0200)
        self.edns = bool(extra)
        self.values: list[str] = []
        at = 12
        while message[at]:
            at += message[at] + 1
        at += 5
        assert message[12:at] == query[12:at]
        for _ in range(count):
            kind, _, ttl, length = struct.unpack("!2HIH", message[at + 2 : at + 12])
            self.ttl = ttl
            self.values.append(value_of(kind, message[at + 12 : at + 12 + length]))
            at += 12 + length


def value_of(kind: int, data: bytes) -> str:
    if kind in (A, AAAA):
        return str(ipaddress.ip_address(data))
    labels = []
    while data[0]:
        labels.append(data[1 : 1 + data[0]].decode())
        data = data[1 + data[0] :]
    return ".".join(labels)


def receive(stream: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = stream.recv(length - len(data))
        assert piece, "the connection was closed"
        data += piece
    return data


def receive_framed(stream: socket.socket) -> bytes:
    return receive(stream, int.from_bytes(receive(stream, 2), "big"))


def framed(message: bytes) -> bytes:
    return struct.pack("!H", len(message)) + message
