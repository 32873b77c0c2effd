"""Servers and clients of both sides. In the container they are the host's Python, over bind mounts."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable

# The host's programs in a busybox container.
INSIDE = ("-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro")
PYTHON = "/usr/bin/python3"
# TCP says by itself who has come, UDP answers what it was told. ADDRESS… are argv.
SERVER = """
import socket, sys, threading
def tcp(s):
    s.listen()
    while True:
        client, source = s.accept()
        client.sendall(f"from {source[0]}".encode())
        client.close()
def udp(s):
    while True:
        text, source = s.recvfrom(2000)
        s.sendto(text.upper(), source)
for address in sys.argv[1:]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for kind, port, serve in ((socket.SOCK_STREAM, 80, tcp), (socket.SOCK_DGRAM, 53, udp)):
        s = socket.socket(family, kind)
        s.bind((address, port))
        threading.Thread(target=serve, args=(s,)).start()
print("ready", flush=True)
"""
CLIENT = """
import socket, sys
for word in sys.argv[1:]:
    kind, address, port = word.split("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(10)
    try:
        s.connect((address, int(port)))
        if kind == "udp":
            s.send(b"ping")
        print(s.recv(2000).decode())
    except OSError as error:
        print(type(error).__name__)
"""
_ELSEWHERE = {socket.AF_INET: "198.51.100.1", socket.AF_INET6: "2001:db8::1"}


def host_address(family: int = socket.AF_INET) -> str:
    """The host's own, or nothing without a default route."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_ELSEWHERE[family], 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


class Server:
    """On the host: it answers `from ADDRESS` to everything."""

    def __init__(self, kind: int, address: str, family: int = socket.AF_INET) -> None:
        self.socket = socket.socket(family, kind)
        self.socket.bind((address, 0))
        self.socket.settimeout(0.05)
        self.port = int(self.socket.getsockname()[1])
        self.ends = False
        serve = self.serve_udp
        if kind == socket.SOCK_STREAM:
            self.socket.listen()
            serve = self.serve_tcp
        self.thread = threading.Thread(target=self.until_end, args=(serve,))
        self.thread.start()

    def until_end(self, serve: Callable[[], None]) -> None:
        while not self.ends:
            try:
                serve()
            except TimeoutError:
                continue

    def serve_tcp(self) -> None:
        client, source = self.socket.accept()
        with client:
            client.sendall(f"from {source[0]}".encode())

    def serve_udp(self) -> None:
        _, source = self.socket.recvfrom(2000)
        self.socket.sendto(f"from {source[0]}".encode(), source)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.ends = True
        self.thread.join()
        self.socket.close()


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """Below those that the kernel gives to clients, or one of them might have it before it is used."""
    while True:
        number = random.randrange(12_000, 20_900)
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("", number))
            except OSError:
                continue
            return number


def ask_tcp(address: str, port: int) -> str:
    """What the server says by itself; "" when the connection is taken and closed, or reset at once."""
    try:
        with socket.create_connection((address, port), timeout=60) as client:
            return client.recv(100).decode()
    except ConnectionResetError:
        return ""


def ask_udp(address: str, port: int, text: str = "ping") -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(0.3)
        client.sendto(text.encode(), (address, port))
        try:
            return client.recv(2000).decode()
        except OSError:
            return ""


def is_refused(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=60).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass  # taken, and given up since nobody listens inside
    return False
