"""logs: order, bounds, tails, rotation, following."""

from __future__ import annotations

import os

import pytest

from rcrun.engine import logs
from rcrun.paths import Store
from rcrun.storage.containers import Container

NO_NETWORK = ("--network", "none")


@pytest.fixture
def container(tmp_path):
    store = Store(str(tmp_path / "root"), str(tmp_path / "live"))
    found = Container(store, "c" * 64, {"name": "web", "launched": 0})
    os.makedirs(found.dir)
    return found


def record(number, stream="stdout", tag="F", text=None):
    return f"2026-01-01T00:00:{number:02}.000000000Z {stream} {tag} {text or number}\n"


def write(container, name, *records):
    with open(container.path(name), "a") as file:
        file.write("".join(records))


def texts(container, **options):
    return [line.text.decode() for batch in logs.read(container, **options) for line in batch]


def test_rotated_files_come_first(container):
    write(container, "log.2", record(1), record(2))
    write(container, "log.1", record(3))
    write(container, "log", record(4))
    assert texts(container) == ["1", "2", "3", "4"]


def test_nothing_written(container):
    assert texts(container) == []
    assert texts(container, tail=3) == []


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 9])
def test_tail_over_several_files(container, count):
    write(container, "log.1", record(1), record(2))
    write(container, "log", record(3), record(4))
    assert texts(container, tail=count) == ["1", "2", "3", "4"][4 - min(count, 4) :]


def test_tail_of_a_long_file_reads_from_its_end(container):
    write(container, "log", *[record(n % 60, text=f"{n:0100}") for n in range(5000)])
    assert [int(text) for text in texts(container, tail=3)] == [4997, 4998, 4999]
    assert len(texts(container, tail=4000)) == 4000


def test_a_line_in_pieces_is_one_line_of_the_tail(container):
    write(container, "log", record(1), record(2, tag="P", text="a"), record(3, text="b"), record(4))
    assert texts(container, tail=2) == ["a", "b", "4"]


def test_since_and_until(container):
    write(container, "log", *[record(n) for n in range(1, 6)])
    bound = [record(n).split()[0].encode() for n in range(6)]
    assert texts(container, since=bound[3]) == ["3", "4", "5"]
    assert texts(container, until=bound[3]) == ["1", "2", "3"]
    assert texts(container, since=bound[2], until=bound[3]) == ["2", "3"]


def test_what_is_read_survives_a_rotation(container):
    write(container, "log", record(1), record(2))
    with logs._Files(container.path("log")) as files:
        batches = files.batches()
        assert len(next(batches)) == 2
        os.rename(container.path("log"), container.path("log.1"))
        write(container, "log.1", record(3))
        os.rename(container.path("log.1"), container.path("log.2"))
        write(container, "log.1", record(4))
        write(container, "log", record(5))
        rest = [line.split()[-1] for batch in batches for line in batch]
    assert rest == [b"3", b"4", b"5"]


def test_streams_and_options(rcrun):
    rcrun(
        "run",
        "--name",
        "web",
        *NO_NETWORK,
        "busybox",
        "sh",
        "-c",
        "echo out; echo err >&2; printf end",
    )
    got = rcrun("logs", "web").check()
    assert (got.out, got.err) == ("out\nend", "err\n")
    stamped = rcrun("logs", "-t", "web").out.splitlines()
    assert stamped[0].endswith("Z out")
    assert rcrun("logs", "--details", "web").out == " out\n end"
    assert rcrun("logs", "--since", "1h", "web").out == "out\nend"
    assert rcrun("logs", "--until", "1h", "web").out == ""
    assert rcrun("logs", "--tail", "x", "web").status == 1


def test_a_terminals_output_is_all_on_stdout(rcrun):
    rcrun("run", "-d", "-t", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", "echo out; echo err >&2").check()  # fmt: skip
    rcrun("wait", "web").check()
    got = rcrun("logs", "web").check()
    assert (got.out.split(), got.err) == (["out", "err"], "")


def test_follow_ends_with_the_container_and_has_everything(rcrun):
    script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; sleep 0.3; echo last"
    rcrun("run", "-d", "--name", "web", "--log-opt", "max-size=8k", "--log-opt", "max-file=20", *NO_NETWORK, "busybox", "sh", "-c", script).check()  # fmt: skip
    got = rcrun("logs", "-f", "web").check()
    assert got.out.splitlines() == [*[f"line {i}" for i in range(2000)], "last"]


def test_follow_shows_what_comes_at_once(rcrun):
    rcrun(
        "run",
        "-di",
        "--name",
        "web",
        *NO_NETWORK,
        "busybox",
        "sh",
        "-c",
        "echo one; while ! test -e /go; do sleep 0.05; done; echo two",
    ).check()
    with rcrun.popen("logs", "-f", "web", stdout=-1) as process:
        assert process.stdout.readline() == b"one\n"
        rcrun("exec", "web", "touch", "/go")
        assert process.stdout.read() == b"two\n"
        assert process.wait(60) == 0


def test_rotation_keeps_so_many_files(rcrun):
    rcrun("run", "--name", "web", "--log-opt", "max-size=4k", "--log-opt", "max-file=2", *NO_NETWORK, "busybox", "sh", "-c", "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done").check()  # fmt: skip
    folder = rcrun("inspect", "-f", "{{.LogPath}}", "web").out.strip().rpartition("/")[0]
    names = sorted(n for n in rcrun.account.run("ls", folder).out.split() if n.startswith("log"))
    assert names == ["log", "log.1"]
    lines = rcrun("logs", "web").out.splitlines()
    assert lines[-1] == "line 999"
    assert len(lines) < 300
