"""Logs of containers that have no file: read from systemd's journal by journalctl, or a word why there is none."""

from __future__ import annotations

import os

from rcrun.engine.logs import Line, next_run
from rcrun.engine.monitor import Ending
from rcrun.errors import HostLacks, RcrunError
from rcrun.files import parse_json
from rcrun.storage.containers import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from typing import Any

    from rcrun.storage.containers import Container

SECONDS_AFTER_THE_END = 1.0  # the journal takes a moment to write what it was sent
SECONDS_OF_SILENCE = 0.2
_BLOCK = 1 << 16


def read_other(
    container: Container, driver: str, follow: bool, tail: int | None
) -> Iterator[list[Line]]:
    if driver != "journald":
        raise RcrunError(
            "configured logging driver does not support reading",
            f'container "{container.name}" was made with --log-driver {driver}',
        )
    now = status(container)
    lines = _all(container)
    cursor = b""
    if lines:
        cursor = lines[-1].cursor
    yield list(_tail(lines, tail))
    if follow and now.is_running:
        yield from _followed(container, cursor)


class JournalLine(Line):
    __slots__ = ("cursor",)

    def __init__(self, record: bytes) -> None:
        value: dict[str, Any] = parse_json(record)
        self.cursor = str(value.get("__CURSOR", "")).encode()
        self.text = _bytes_of(value.get("MESSAGE"))
        self.stream = b"stderr" if str(value.get("PRIORITY")) == "3" else b"stdout"
        self.time = str(value.get("SYSLOG_TIMESTAMP", "")).strip().encode()
        self.whole = value.get("CONTAINER_PARTIAL_MESSAGE") != "true"


def _bytes_of(message: object) -> bytes:
    """A text, or a list of its bytes where it is none (systemd's JSON)."""
    if isinstance(message, str):
        return message.encode("utf-8", "surrogatepass")
    if isinstance(message, list) and all(isinstance(byte, int) for byte in message):
        return bytes(message)
    return b""


def _start(container: Container, *words: str) -> subprocess.Popen[bytes]:
    import subprocess

    command = ["journalctl", "--quiet", "--no-pager", "--all", "--output=json", *words]
    try:
        return subprocess.Popen(
            [*command, f"CONTAINER_ID_FULL={container.id}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError:
        raise HostLacks("journalctl is not installed on this host", "install systemd") from None


def _all(container: Container) -> list[JournalLine]:
    process = _start(container)
    out, err = process.communicate()
    if process.returncode and not out:
        reason = err.decode("utf-8", "replace").strip().splitlines() or ["it failed"]
        raise RcrunError(
            f"cannot read the journal: {reason[-1]}",
            "who may read it is in the group systemd-journal: sudo usermod -aG systemd-journal $USER",
        )
    return [JournalLine(record) for record in out.splitlines() if record]


def _tail(lines: list[JournalLine], tail: int | None) -> list[JournalLine]:
    """The last so many lines; one in several records counts once."""
    if tail is None:
        return lines
    starts, fresh = [], {b"stdout": True, b"stderr": True}
    for at, line in enumerate(lines):
        if fresh[line.stream]:
            starts.append(at)
        fresh[line.stream] = line.whole
    if not tail:
        return []
    return lines[starts[-tail] :] if len(starts) >= tail else lines


def _followed(container: Container, cursor: bytes) -> Iterator[list[Line]]:
    words = ["--follow", "--no-tail"]
    words += [f"--after-cursor={cursor.decode()}"] if cursor else []
    process = _start(container, *words)
    try:
        assert process.stdout is not None
        reader = _Reader(process.stdout.fileno())
        now = status(container)
        while now.is_running:
            with Ending(container, now) as ending:
                while not ending.wait(SECONDS_OF_SILENCE / 4):
                    yield reader.lines(0)
            now = next_run(container)
        while lines := reader.lines(SECONDS_AFTER_THE_END):
            yield lines
    finally:
        process.kill()
        process.communicate()


class _Reader:
    """Records as they come, without waiting longer than told."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.rest = b""
        os.set_blocking(fd, False)

    def lines(self, seconds: float) -> list[Line]:
        import select

        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return []
        records: list[bytes] = []
        try:
            while block := os.read(self.fd, _BLOCK):
                *whole, self.rest = (self.rest + block).split(b"\n")
                records += whole
        except BlockingIOError:
            pass
        return [JournalLine(record) for record in records if record]
