"""Terminals: of the caller in the foreground, by a console socket in the background."""

from __future__ import annotations

import array
import os
import pty
import socket
import subprocess
import threading

import pytest

from runtime.conftest import Bundle, not_on
from waiting import wait_for

pytestmark = pytest.mark.requires("userns")


class Console:
    """The caller's end of --console-socket."""

    def __init__(self, bundle: Bundle) -> None:
        self.path = bundle.dir / "console.sock"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.path))
        self.path.chmod(0o777)
        self.listener.listen(1)
        self.listener.settimeout(60)
        self.master = -1
        self.thread = threading.Thread(target=self.receive)
        self.thread.start()

    def receive(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            fds = array.array("i")
            _, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
            for _, _, data in ancillary:
                fds.frombytes(data[:4])
            self.master = fds[0]

    def fd(self) -> int:
        self.thread.join(60)
        assert self.master >= 0
        return self.master

    def close(self) -> None:
        self.listener.close()
        self.thread.join(1)
        if self.master >= 0:
            os.close(self.master)


def read_until_end(fd: int) -> str:
    data = b""
    while True:
        try:
            more = os.read(fd, 4096)
        except OSError:  # the slave's last holder has gone
            return data.decode()
        if not more:
            return data.decode()
        data += more


@pytest.fixture
def console(bundle: Bundle):  # type: ignore[no-untyped-def]
    made = Console(bundle)
    yield made
    made.close()


def test_a_console_socket(ours: None, bundle: Bundle, console: Console) -> None:
    bundle.process(terminal=True, consoleSize={"height": 11, "width": 22}).args("tty").write()
    words = ("create", "--console-socket", str(console.path), "-b", str(bundle.dir), bundle.id)
    bundle.runtime(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).check()
    master = console.fd()
    bundle.runtime("start", bundle.id).check()
    assert read_until_end(master) == "11 22 /dev/pts/0 onlcr=0\n"


def test_a_created_container_lets_the_callers_streams_go(bundle: Bundle, console: Console) -> None:
    """containerd reads them to their end before it asks for the start."""
    bundle.process(terminal=True).args("tty").write()
    words = ("create", "--console-socket", str(console.path), "-b", str(bundle.dir), bundle.id)
    bundle.runtime(*words, timeout=60).check()
    assert bundle.state()["status"] == "created"


@not_on("crun", "1.8 binds the terminal there, 1.28 does not")
def test_dev_console_is_the_terminal(bundle: Bundle, console: Console) -> None:
    bundle.process(terminal=True).args("cat", "/proc/self/mountinfo").write()
    words = ("run", "-d", "--console-socket", str(console.path), "-b", str(bundle.dir), bundle.id)
    bundle.runtime(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).check()
    assert " /dev/console " in read_until_end(console.fd())


def test_exec_with_a_console_socket(bundle: Bundle, console: Console) -> None:
    bundle.args("sleep", "1000").started()
    words = ("exec", "-d", "-t", "--console-socket", str(console.path), bundle.id, "/init", "tty")
    bundle.runtime(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).check()
    assert "/dev/pts/" in read_until_end(console.fd())


@pytest.mark.parametrize("command", ["create", "run"])
def test_a_terminal_in_the_background_needs_a_socket(
    bundle: Bundle, command: str, ours: None
) -> None:
    bundle.process(terminal=True).write()
    words = [command, *(["-d"] if command == "run" else []), "-b", str(bundle.dir), bundle.id]
    result = bundle.runtime(*words)
    assert result.status == 1
    assert "use --console-socket with --detach when a terminal is used" in result.err
    assert bundle.runtime("state", bundle.id).status == 1


def test_a_socket_where_nobody_listens(bundle: Bundle) -> None:
    bundle.process(terminal=True).write()
    words = (
        "create",
        "--console-socket",
        str(bundle.dir / "none"),
        "-b",
        str(bundle.dir),
        bundle.id,
    )
    result = bundle.runtime(*words)
    assert result.status == 1
    assert "none" in result.err


def on_a_terminal(bundle: Bundle, *words: str, typed: bytes = b"") -> tuple[int, str]:
    """Run the runtime on a pseudo-terminal of 30 rows and 90 columns; its status and what was shown."""
    import fcntl
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 90, 0, 0))
    os.fchmod(slave, 0o666)
    process = bundle.account.popen(
        *bundle.words(), *words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    if typed:
        wait_for(lambda: not termios.tcgetattr(master)[3] & termios.ICANON)
        os.write(master, typed)
    text = read_until_end(master)
    os.close(master)
    return process.wait(60), text


def test_a_foreground_run_on_a_terminal(bundle: Bundle, ours: None) -> None:
    bundle.process(terminal=True).args("tty").write()
    status, text = on_a_terminal(bundle, "run", "-b", str(bundle.dir), bundle.id)
    assert status == 0
    assert text.startswith("30 90 /dev/pts/0 ")


def test_a_foreground_exec_on_a_terminal(bundle: Bundle, ours: None) -> None:
    bundle.args("sleep", "1000").started()
    status, text = on_a_terminal(bundle, "exec", "-t", bundle.id, "/init", "tty")
    assert status == 0
    assert text.startswith("30 90 /dev/pts/")


def test_what_is_typed_arrives(bundle: Bundle) -> None:
    bundle.process(terminal=True).args("cat", "-").write()
    words = ("run", "-b", str(bundle.dir), bundle.id)
    status, text = on_a_terminal(bundle, *words, typed=b"typed\n\x04")
    assert status == 0
    assert text.count("typed") == 2  # the echo, and the answer


def test_the_status_passes_through_a_terminal(bundle: Bundle) -> None:
    bundle.process(terminal=True).args("exit", "9").write()
    assert on_a_terminal(bundle, "run", "-b", str(bundle.dir), bundle.id)[0] == 9
    assert bundle.runtime("state", bundle.id).status == 1


def test_a_failed_launch_on_a_terminal(bundle: Bundle, ours: None) -> None:
    bundle.config["process"]["args"] = ["/missing"]
    bundle.process(terminal=True).write()
    status, text = on_a_terminal(bundle, "run", "-b", str(bundle.dir), bundle.id)
    assert status == 1
    assert 'cannot run "/missing"' in text
    assert bundle.runtime("state", bundle.id).status == 1
