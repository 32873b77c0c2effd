"""The relay without a container: relay_driver.c, compiled once with sanitizers and once as shipped."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from accounts import Account
from shim.plans import Shim, is_alive
from shim.rooms import Room
from waiting import wait_for

HERE = Path(__file__).resolve().parent
SHIM = HERE.parent.parent / "rcrun" / "shim"
SOURCES = [
    "monitor.c",
    "peers.c",
    "logfile.c",
    "logjson.c",
    "journal.c",
    "client.c",
    "keyboard.c",
    "report.c",
]
WARNINGS = """-std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes
    -Wstrict-prototypes -Wswitch-enum -Wvla""".split()
SANITIZE = (
    "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover".split()
)

FAILED, LOST, DETACHED, BROKEN = 121, 122, 123, 124
IN, OUT, ERR = 1, 2, 4


def compile_c(output: Path, sources: list[Path], flags: list[str]) -> bool:
    command = ["cc", *WARNINGS, *flags, f"-I{SHIM}", "-o", str(output), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "error:" in done.stderr:
        pytest.fail(done.stderr, pytrace=False)
    return done.returncode == 0


@pytest.fixture(scope="session")
def build_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    return tmp_path_factory.mktemp("relay")


@pytest.fixture(scope="session")
def fast_driver(build_dir: Path) -> str:
    sources = [*(SHIM / name for name in SOURCES), HERE / "relay_driver.c"]
    assert compile_c(build_dir / "driver", sources, ["-O2"])
    return str(build_dir / "driver")


@pytest.fixture(scope="session")
def driver(build_dir: Path, fast_driver: str) -> str:
    """With address and undefined behaviour sanitizers where their libraries are installed."""
    sources = [*(SHIM / name for name in SOURCES), HERE / "relay_driver.c"]
    if compile_c(build_dir / "driver-asan", sources, SANITIZE):
        return str(build_dir / "driver-asan")
    return fast_driver


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path: a socket's has room for 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="relay"))
    yield path
    shutil.rmtree(path)


class Peer:
    """A client that says whatever a test wants."""

    def __init__(self, path: Path, flags: int | None = OUT | ERR, tries: int = 3000) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(60)
        try:
            wait_for(path.exists)
            self._connect(path, tries)
        except BaseException:
            self.socket.close()
            raise
        if flags is not None:
            self.send(b"H" + bytes([flags]))

    def _connect(self, path: Path, tries: int) -> None:
        """Between bind(2) and listen(2) nobody answers yet; where nobody ever will, a moment is enough."""
        for _ in range(tries):
            try:
                self.socket.connect(str(path))
                return
            except ConnectionRefusedError:
                time.sleep(0.01)
        self.socket.connect(str(path))

    def send(self, packet: bytes) -> None:
        self.socket.send(packet)

    def packet(self) -> bytes:
        return self.socket.recv(65536)

    def expect(self, kind: bytes) -> bytes:
        packet = self.packet()
        assert packet[:1] == kind, packet
        return packet[1:]

    def rest(self) -> list[bytes]:
        packets = []
        while packet := self.packet():
            packets.append(packet)
        return packets

    def is_closed(self) -> bool:
        """Whether the monitor hung up, after whatever it sent before."""
        try:
            self.rest()
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        self.socket.close()


class Relay:
    """Starts drivers and ends what they left."""

    def __init__(self, program: str, place: Path) -> None:
        self.program = program
        self.place = place
        self.socket = place / "attach"
        self.log = place / "log"
        self.started: list[subprocess.Popen[bytes]] = []
        self.peers: list[Peer] = []

    def start(self, *words: object, **options: object) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([self.program, *map(str, words)], **options)  # type: ignore[call-overload]
        self.started.append(process)
        return process  # type: ignore[no-any-return]

    def run(
        self, *words: object, data: bytes | None = None, **options: object
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            [self.program, "run", *map(str, words)],
            input=data,
            capture_output=True,
            timeout=60,
            check=False,
            **options,
        )

    def monitor(self, *words: object) -> subprocess.Popen[bytes]:
        """Only a monitor, which listens at `socket` and writes `log`."""
        return self.start(
            *("monitor", "--listen", self.socket, "--log", self.log, 0, 1, *words),
            stdin=subprocess.DEVNULL,
        )

    def peer(self, flags: int | None = OUT | ERR, tries: int = 3000) -> Peer:
        peer = Peer(self.socket, flags, tries)
        self.peers.append(peer)
        return peer

    def end_container(self, number: int = signal.SIGKILL) -> None:
        if self.socket.exists():
            try:
                peer = self.peer(0, tries=50)
                peer.send(b"S" + bytes([number]))
                peer.rest()
            except OSError:
                pass

    def clean(self) -> None:
        for peer in self.peers:
            peer.close()
        self.end_container()
        for peer in self.peers:
            peer.close()
        for process in self.started:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()


@pytest.fixture
def relay(driver: str, place: Path) -> Iterator[Relay]:
    relay = Relay(driver, place)
    yield relay
    relay.clean()


@pytest.fixture
def fast_relay(fast_driver: str, place: Path) -> Iterator[Relay]:
    relay = Relay(fast_driver, place)
    yield relay
    relay.clean()


class Keyboard:
    """A client on a terminal of its own; we hold the other end."""

    def __init__(self, relay: Relay, *words: object, rows: int = 24, columns: int = 80) -> None:
        self.master, self.slave = pty.openpty()
        self.seen = b""
        self.resize(rows, columns, None)
        self.before = termios.tcgetattr(self.slave)
        self.process = relay.start(
            *words,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def resize(self, rows: int, columns: int, number: int | None = signal.SIGWINCH) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
        if number is not None:
            self.process.send_signal(number)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def read(self, seconds: float) -> bool:
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        self.seen += os.read(self.master, 65536)
        return True

    def wait_for(self, text: bytes, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            self.read(0.1)
        self.seen = self.seen.partition(text)[2]

    @property
    def is_raw(self) -> bool:
        """As cfmakeraw leaves it; a shell that edits lines keeps OPOST."""
        return not termios.tcgetattr(self.slave)[1] & termios.OPOST

    @property
    def is_restored(self) -> bool:
        return termios.tcgetattr(self.slave) == self.before

    def wait(self) -> int:
        wait_for(lambda: self.process.poll() is not None or (self.read(0) and False))
        return self.process.wait()

    def close(self) -> None:
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def keyboard(relay: Relay) -> Iterator[Callable[..., Keyboard]]:
    made: list[Keyboard] = []

    def make(*words: object, **size: int) -> Keyboard:
        made.append(Keyboard(relay, *words, **size))
        return made[-1]

    yield make
    relay.clean()
    for keyboard in made:
        keyboard.close()


# ---- plans


@pytest.fixture
def shim(account: Account) -> Shim:
    """The real shim, as root and as the ordinary user."""
    return Shim(account)


@pytest.fixture
def files(shim: Shim) -> dict[str, Path]:
    return {
        name: shim.dir / name for name in ("state", "exit", "pid-file", "log", "attach", "start")
    }


@pytest.fixture
def detached(shim: Shim, files: dict[str, Path]) -> Iterator[list[list[str]]]:
    """Settings of a container with a monitor, which is ended after the test."""
    names = ("state", "exit", "pid-file", "attach")
    yield [["monitor"], *[[name, str(files[name])] for name in names]]
    if files["pid-file"].exists() and not files["exit"].exists():
        pid = int(files["pid-file"].read_text())
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not is_alive(pid))


# ---- networks


@pytest.fixture
def room(account: Account) -> Iterator[Room]:
    """The room of one user's networks, made by hand."""
    made = Room(account)
    yield made
    made.remove()
