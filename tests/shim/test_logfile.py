"""The container's log: its records, its rotation, and a disk that is full."""

from __future__ import annotations

import datetime
import re
import resource
import subprocess
from pathlib import Path

import pytest

RECORD = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr) ([FP]) (.*)\n", re.S
)


def records(text: bytes) -> list[tuple[bytes, bytes, bytes, bytes]]:
    found = []
    for line in text.splitlines(keepends=True) if b"\r" not in text else split_lines(text):
        match = RECORD.fullmatch(line)
        assert match, line
        found.append(match.groups())
    return found


def split_lines(text: bytes) -> list[bytes]:
    return [line + b"\n" for line in text.split(b"\n")[:-1]]


def original(text: bytes, stream: bytes = b"stdout") -> bytes:
    out = b""
    for _, name, kind, part in records(text):
        if name == stream:
            out += part + (b"\n" if kind == b"F" else b"")
    return out


def write(
    driver: str, path: Path, data: bytes, max_bytes: int = 0, files: int = 1, **options
) -> int:
    done = subprocess.run(
        [driver, "log", str(path), str(max_bytes), str(files)],
        input=data,
        capture_output=True,
        check=True,
        **options,
    )
    return int(done.stdout)


def test_records(relay):
    relay.run(
        *("--streams", "", "--log", relay.log, 0, 1),
        *(
            "--",
            "sh",
            "-c",
            "echo one; echo err >&2; printf part; sleep 0.2; printf 'ial\\n\\nlast'",
        ),
    )
    relay_text = relay.log.read_bytes()
    assert original(relay_text) == b"one\npartial\n\nlast"
    assert original(relay_text, b"stderr") == b"err\n"
    kinds = [(kind, text) for _, name, kind, text in records(relay_text) if name == b"stdout"]
    assert kinds == [(b"F", b"one"), (b"P", b"part"), (b"F", b"ial"), (b"F", b""), (b"P", b"last")]
    assert relay.log.stat().st_mode & 0o777 == 0o600


def test_the_time_is_now(driver, place):
    write(driver, place / "log", b"text\n")
    stamp = records((place / "log").read_bytes())[0][0].decode()
    then = datetime.datetime.strptime(stamp[:26] + "Z", "%Y-%m-%dT%H:%M:%S.%fZ")
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    assert abs((now - then).total_seconds()) < 10


def test_every_date(build_dir):
    """Of two centuries, against Python's calendar."""
    shim = Path(__file__).resolve().parents[2] / "rcrun" / "shim"
    source = build_dir / "dates.c"
    source.write_text(
        f'#include "{shim}/logfile.c"\n'
        "int main(void) { char at[11]; for (long long d = 0; d < 75000; d++) {"
        " *put_date(at, d) = 0; puts(at); } return 0; }\n"
    )
    program = build_dir / "dates"
    command = [
        "cc",
        "-std=c11",
        "-D_GNU_SOURCE",
        f"-I{shim}",
        "-o",
        program,
        source,
        f"{shim}/logjson.c",
    ]
    subprocess.run(command, check=True)
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    first = datetime.date(1970, 1, 1)
    assert printed == [str(first + datetime.timedelta(days)) for days in range(75000)]


def test_binary_and_long_lines(driver, place):
    data = bytes(range(256)) * 300 + b"x" * 100000 + b"\n\n\0\n" + b"end"
    assert write(driver, place / "log", data) == 0
    text = (place / "log").read_bytes()
    parts = [RECORD.fullmatch(line) for line in split_lines(text)]
    assert all(parts)
    joined = b"".join(p[4] + (b"\n" if p[3] == b"F" else b"") for p in parts if p)
    assert joined == data


def test_rotation_keeps_the_newest(driver, place):
    data = b"".join(b"line %d\n" % n for n in range(5000))
    write(driver, place / "log", data, 20000, 3)
    files = [place / "log.2", place / "log.1", place / "log"]
    assert sorted(place.iterdir()) == sorted(files)
    assert all(0 < file.stat().st_size <= 20000 for file in files)
    kept = b"".join(original(file.read_bytes()) for file in files)
    assert data.endswith(kept)
    assert kept.startswith(b"line ")


def test_rotation_of_one_file_begins_it_again(driver, place):
    data = b"".join(b"line %d\n" % n for n in range(5000))
    write(driver, place / "log", data, 20000, 1)
    assert [file.name for file in place.iterdir()] == ["log"]
    assert (place / "log").stat().st_size <= 20000
    assert data.endswith(original((place / "log").read_bytes()))


def test_a_record_larger_than_a_file_is_whole(driver, place):
    write(driver, place / "log", b"a" * 5000 + b"\n" + b"b" * 5000 + b"\n", 1000, 2)
    assert original((place / "log.1").read_bytes()) == b"a" * 5000 + b"\n"
    assert original((place / "log").read_bytes()) == b"b" * 5000 + b"\n"


def test_it_goes_on_where_it_was(driver, place):
    write(driver, place / "log", b"one\n")
    write(driver, place / "log", b"two\n")
    assert original((place / "log").read_bytes()) == b"one\ntwo\n"


def test_half_a_record_of_a_killed_monitor_is_ended(driver, place):
    (place / "log").write_bytes(b"2026-11-23T08:00:00.123456789Z stdout F hal")
    write(driver, place / "log", b"next\n")
    lines = (place / "log").read_bytes().splitlines()
    assert len(lines) == 2
    assert lines[1].endswith(b" stdout F next")


def test_a_link_is_not_followed(driver, place):
    (place / "log").symlink_to(place / "elsewhere")
    with pytest.raises(subprocess.CalledProcessError):
        write(driver, place / "log", b"text\n")
    assert not (place / "elsewhere").exists()


def test_what_does_not_fit_is_dropped_whole(fast_driver, place):
    """A limit on the file's size stands in for a full disk."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))

    data = b"".join(b"line %d\n" % n for n in range(20000))
    dropped = write(fast_driver, place / "log", data, preexec_fn=limit, restore_signals=False)
    assert dropped > 0
    kept = [text for _, _, kind, text in records((place / "log").read_bytes()) if kind == b"F"]
    assert len(kept) > 500
    assert set(kept) <= set(data.splitlines())


def test_a_container_goes_on_without_its_log(relay):
    done = relay.run(
        *("--streams", "o", "--log", relay.place / "absent" / "log", 0, 1, "--", "echo", "text")
    )
    assert (done.stdout, done.returncode) == (b"text\n", 0)
