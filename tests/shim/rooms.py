"""A room as the engine makes one, by hand: a bridge in a network namespace, and a container's network on it."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import threading
from pathlib import Path

from accounts import SYSTEM_PATH, Account
from shim.plans import SHIM
from waiting import wait_for

GATEWAY, CONTAINER = "10.89.0.1", "10.89.0.5"
GATEWAY6, CONTAINER6 = "fd89::1", "fd89::5"
SECOND = "10.89.0.6"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def start_time(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[19])


class Room:
    """Its namespaces belong to the account: to root without a user namespace, as the engine has it."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.started: list[subprocess.Popen[bytes]] = []
        self.sockets: list[socket.socket] = []
        user = [] if account.uid == 0 else ["--user", "--map-root-user"]
        self.pid = self._hold("unshare", *user, "--net")
        self.container = self._hold(*self.entering(), "unshare", "--net")
        self.add_bridge("br0", f"{GATEWAY}/24", f"{GATEWAY6}/64")
        self.ip(
            self.pid,
            f"link add veth0 master br0 up type veth peer name eth0 netns {self.container}",
        )
        for words in (
            "link set lo up",
            f"addr add {CONTAINER}/24 dev eth0",
            f"addr add {SECOND}/24 dev eth0",
            f"addr add {CONTAINER6}/64 dev eth0 nodad",
            "link set eth0 up",
            f"route add default via {GATEWAY}",
            f"route add default via {GATEWAY6}",
        ):
            self.ip(self.container, words)

    def entering(self) -> list[str]:
        """The words before a command of the account that is to run in the room."""
        user = [] if self.account.uid == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", *user, "--net", "--target", str(self.pid)]

    def _hold(self, *words: str) -> int:
        process = self.start(*words, "sleep", "infinity")
        wait_for(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n")
        return process.pid

    def start(self, *words: str | os.PathLike[str], **options: object) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes]
        process = self.account.popen(*words, env={"PATH": SYSTEM_PATH}, **options)
        self.started.append(process)
        return process

    def add_bridge(self, name: str, *addresses: str) -> None:
        self.ip(self.pid, f"link add {name} type bridge")
        for address in addresses:
            self.ip(self.pid, f"addr add {address} dev {name}" + " nodad" * (":" in address))
        self.ip(self.pid, f"link set {name} up")
        self.ip(self.pid, "link set lo up")

    def ip(self, pid: int, words: str) -> None:
        net = f"--net=/proc/{pid}/ns/net"
        subprocess.run(["nsenter", net, "ip", *words.split()], check=True)

    def socket(
        self, pid: int, kind: int, address: str = "", port: int = 0, *, listen: bool = True
    ) -> socket.socket:
        """One of that process's network, which stays in it whoever uses it."""
        found: list[socket.socket] = []

        def make() -> None:
            with open(f"/proc/{pid}/ns/net", encoding="ascii") as file:
                assert _libc.setns(file.fileno(), _CLONE_NEWNET) == 0
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            found.append(socket.socket(family, kind))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        made = found[0]
        made.settimeout(60)
        self.sockets.append(made)
        if port or address:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address, port))
        if kind == socket.SOCK_STREAM and port and listen:
            made.listen(1000)
        return made

    def shim(self, *words: str, inside: bool, **options: object) -> subprocess.Popen[bytes]:
        """A program of the shim that says when it is ready; `@READY@` is where."""
        reader, writer = os.pipe()
        try:
            process = self.start(
                *(self.entering() if inside else []),
                *(SHIM, *(word.replace("@READY@", str(writer)) for word in words)),
                pass_fds=[writer],
                **options,
            )
        finally:
            os.close(writer)
        with open(reader, "rb") as file:
            file.read(1)
        return process

    def remove(self) -> None:
        for made in self.sockets:
            made.close()
        for process in reversed(self.started):
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()


def private_kilobytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))
