"""Docker's json-file and the journal's datagrams, as the monitor writes them."""

from __future__ import annotations

import json
import random
import socket
import subprocess
from pathlib import Path

import pytest

ATTRIBUTES = '{"tag":"web"}'


def write_json(driver: str, path: Path, data: bytes, *options: str, limit: int = 0, files: int = 1):
    subprocess.run(
        [driver, "log", str(path), str(limit), str(files), *(options or ("",))],
        input=data, capture_output=True, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def test_records(driver, place):
    found = write_json(driver, place / "log", b'one\n"two"\\\n\nend', ATTRIBUTES)
    assert [record["log"] for record in found] == ["one\n", '"two"\\\n', "\n", "end"]
    assert list(found[0]) == ["log", "stream", "attrs", "time"]
    assert found[0]["attrs"] == {"tag": "web"}
    assert list(write_json(driver, place / "other", b"one\n")[0]) == ["log", "stream", "time"]


def test_every_byte_gives_json(driver, place):
    text = "".join(r["log"] for r in write_json(driver, place / "log", bytes(range(256))))
    assert text[:128] == bytes(range(128)).decode()
    assert set(text[128:]) == {"\ufffd"}


@pytest.mark.parametrize("shift", range(4))
def test_characters_that_come_in_two_reads(driver, place, shift):
    """The driver reads 16384 bytes at a time."""
    text = "x" * shift + "aé€😀" * 6000
    found = write_json(driver, place / "log", text.encode())
    assert "".join(record["log"] for record in found) == text


def test_what_is_no_utf8_is_replaced(driver, place):
    cases = {
        b"\xc3(": "\ufffd(", b"\xe2\x82": "", b"\xf0\x9f\x98": "", b"\xed\xa0\x80": "\ufffd\ufffd\ufffd",
        b"\xc0\xaf": "\ufffd\ufffd", b"\xf5a": "\ufffda", b"\xe2\x82z": "\ufffdz", b"\xf0\x9f\x98\n": "\ufffd\n",
    }  # fmt: skip
    for number, (data, wanted) in enumerate(cases.items()):
        found = write_json(driver, place / str(number), data)
        assert "".join(record["log"] for record in found) == wanted, data


def test_random_bytes(driver, place):
    choose = random.Random(1)
    alphabet = [
        b"\n",
        b'"',
        b"\\",
        b"\x00",
        b"\x7f",
        b"\xff",
        b"\x80",
        b"\xe2",
        "é".encode(),
        "😀".encode(),
        b"text",
    ]
    for number in range(50):
        data = b"".join(choose.choices(alphabet, k=choose.randrange(1, 9000)))
        found = write_json(driver, place / f"log{number}", data)
        text = "".join(record["log"] for record in found)
        for character in ("\n", '"', "\\", "\0", "\x7f"):
            assert text.count(character) == data.count(character.encode())


def test_rotation(driver, place):
    data = b"".join(b"line %d\n" % n for n in range(5000))
    write_json(driver, place / "log", data, limit=20000, files=3)
    files = [place / "log.2", place / "log.1", place / "log"]
    assert sorted(place.iterdir()) == sorted(files)
    assert all(0 < file.stat().st_size <= 20000 for file in files)
    kept = "".join(
        json.loads(line)["log"] for file in files for line in file.read_bytes().splitlines()
    )
    assert data.decode().endswith(kept)


# ---- the journal


class Journal:
    """What journald would be sent."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(str(path))

    def entry(self) -> dict[str, bytes]:
        data, found = self.socket.recv(1 << 20), {}
        while data:
            line, _, data = data.partition(b"\n")
            name, equals, value = line.partition(b"=")
            if not equals:
                size = int.from_bytes(data[:8], "little")
                value, data = data[8 : 8 + size], data[8 + size + 1 :]
            found[name.decode()] = value
        return found

    def close(self) -> None:
        self.socket.close()
        self.path.unlink()


@pytest.fixture
def journal(place):
    made = Journal(place / "socket")
    yield made
    made.close()


def send(driver: str, path: Path, data: bytes, buffer: int = 0) -> int:
    command = [driver, "journal", str(path), str(buffer), "CONTAINER_NAME=web", "A=b=c"]
    return int(subprocess.run(command, input=data, capture_output=True, check=True).stdout)


def test_entries(driver, journal):
    assert send(driver, journal.path, b"one\n\na\x01\xff=\nend") == 0
    found = [journal.entry() for _ in range(4)]
    assert [entry["MESSAGE"] for entry in found] == [b"one", b"", b"a\x01\xff=", b"end"]
    assert [entry.get("CONTAINER_PARTIAL_MESSAGE") for entry in found] == [None] * 3 + [b"true"]
    for entry in found:
        assert (entry["CONTAINER_NAME"], entry["A"], entry["PRIORITY"]) == (b"web", b"b=c", b"6")
        assert len(entry["SYSLOG_TIMESTAMP"]) == 30


def test_nobody_is_there(driver, place):
    with pytest.raises(subprocess.CalledProcessError):
        send(driver, place / "absent", b"one\n")


def test_a_journal_that_is_started_anew(driver, place):
    first = Journal(place / "socket")
    command = [driver, "journal", str(place / "socket"), "0", "A=b"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(b"one\n")
        process.stdin.flush()
        assert first.entry()["MESSAGE"] == b"one"
        first.close()
        second = Journal(place / "socket")
        process.stdin.write(b"two\n")
        process.stdin.close()
        assert second.entry()["MESSAGE"] == b"two"
        second.close()


def test_what_does_not_fit_is_dropped_and_counted(driver, journal):
    """Nobody reads: with a buffer the writer does not wait."""
    lines = b"x" * 1000 + b"\n"
    dropped = send(driver, journal.path, lines * 3000, buffer=1 << 16)
    assert 0 < dropped < len(lines) * 3000
    assert dropped % len(lines) == 0
