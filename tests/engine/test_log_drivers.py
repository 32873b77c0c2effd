"""--log-driver and --log-opt: where output goes, what is written there, and what is refused by name."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import threading
import time
from pathlib import Path

import pytest

from rcrun.engine import config_log, logdrivers
from rcrun.errors import InvalidInput

NO_NETWORK = ("--network", "none")
COUNT = "i=0; while [ $i -lt 1200 ]; do echo line $i; i=$((i+1)); case $i in *00) sleep 0.1;; esac; done"


def log_text(rcrun, name):
    path = rcrun("inspect", "-f", "{{.LogPath}}", name).check().out.strip()
    return rcrun.account.run("cat", path).check().out


def test_json_file_is_dockers(rcrun):
    rcrun(
        "run", "--name", "web", *NO_NETWORK, "--log-driver", "json-file", "--log-opt", "tag={{.Name}}",
        "--log-opt", "labels=role,none", "--log-opt", "env=X", "--label", "role=db", "-e", "X=1", "busybox",
        "sh", "-c", r'''echo one; printf 'a"b\\\t\001'; sleep 0.2; printf '\303'; sleep 0.2; printf '\251\377\n'; echo err >&2''',
    ).check()  # fmt: skip
    records = [json.loads(line) for line in log_text(rcrun, "web").splitlines()]
    assert all(r["attrs"] == {"X": "1", "role": "db", "tag": "web"} for r in records)
    assert all(len(r["time"]) == 30 and r["time"].endswith("Z") for r in records)
    out = "".join(r["log"] for r in records if r["stream"] == "stdout")
    assert out == 'one\na"b\\\t\x01é\ufffd\n'
    assert [r["log"] for r in records if r["stream"] == "stderr"] == ["err\n"]
    got = rcrun("logs", "web").check()
    assert (got.out, got.err) == (out, "err\n")
    assert rcrun("logs", "--details", "web").out.startswith("X=1,role=db,tag=web one\nX=1,")
    kind = rcrun(
        "inspect",
        "-f",
        "{{.HostConfig.LogConfig.Type}} {{.HostConfig.LogConfig.Config.tag}}",
        "web",
    )
    assert kind.out == "json-file {{.Name}}\n"


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_tail_of_a_json_file_counts_lines(rcrun, count):
    rcrun("run", "--name", "web", *NO_NETWORK, "--log-driver", "json-file", "busybox", "sh", "-c",
          r"echo one; printf tw; sleep 0.1; echo 'o\n'; echo three").check()  # fmt: skip
    whole = ["one", r"two\n", "three"]
    got = rcrun("logs", "-n", str(count), "web").check().out.splitlines()
    assert got == whole[-count:]


@pytest.mark.parametrize("driver", ["json-file", "k8s-file"])
def test_rotated_files_are_compressed_and_read(rcrun, driver):
    rcrun("run", "--name", "web", *NO_NETWORK, "--log-driver", driver, "--log-opt", "max-size=16k",
          "--log-opt", "max-file=20", "--log-opt", "compress=true", "busybox", "sh", "-c", COUNT).check()  # fmt: skip
    folder = rcrun("inspect", "-f", "{{.LogPath}}", "web").out.strip().rpartition("/")[0]
    until = time.monotonic() + 60
    while True:
        names = [n for n in rcrun.account.run("ls", folder).out.split() if n.startswith("log")]
        if all(name == "log" or name.endswith(".gz") for name in names):
            break
        assert time.monotonic() < until, names
        time.sleep(0.05)
    assert "log.1.gz" in names
    packed = rcrun.account.run("cat", f"{folder}/log.1.gz").check().stdout
    assert b"line " in gzip.decompress(packed)
    assert rcrun("logs", "web").check().out.split() == [w for i in range(1200) for w in ("line", str(i))]  # fmt: skip
    assert rcrun("logs", "-n", "1000", "web").check().out.splitlines()[0] == "line 200"


def test_follow_over_rotations_that_are_compressed(rcrun):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "--log-opt", "max-size=8k", "--log-opt", "max-file=30",
          "--log-opt", "compress=true", "busybox", "sh", "-c", COUNT).check()  # fmt: skip
    got = rcrun("logs", "-f", "web").check()
    assert got.out.splitlines() == [f"line {i}" for i in range(1200)]


def test_a_path_of_ones_own(rcrun):
    path = rcrun.account.new_dir("logs") / "web.log"
    rcrun("run", "--name", "web", *NO_NETWORK, "--log-opt", f"path={path}", "busybox", "echo", "text").check()  # fmt: skip
    assert path.read_text().endswith(" stdout F text\n")
    assert rcrun("logs", "web").check().out == "text\n"
    assert rcrun("inspect", "-f", "{{.LogPath}}", "web").out.strip() == str(path)
    wrong = rcrun("run", *NO_NETWORK, "--log-opt", "path=/nowhere/log", "busybox", "true")
    assert (wrong.status, wrong.err) == (
        125,
        'rcrun: error: cannot write the log "/nowhere/log": no such file or directory\n',
    )


def test_passthrough_gives_our_own_descriptors(rcrun):
    got = rcrun("run", "--rm", *NO_NETWORK, "--log-driver", "passthrough", "busybox", "sh", "-c",
                "cat; echo err >&2; exit 3", input="text")  # fmt: skip
    assert (got.status, got.out, got.err) == (3, "text", "err\n")
    detached = rcrun("run", "-d", "--name", "web", *NO_NETWORK, "--log-driver", "passthrough", "busybox",
                     "sh", "-c", "sleep 0.2; echo late").check()  # fmt: skip
    assert detached.out.splitlines()[1:] == [
        "late"
    ]  # whoever reads our output waits for the container's
    assert rcrun("inspect", "-f", "{{.LogPath}}", "web").out == "\n"


def test_passthrough_is_not_for_terminals_unless_that_is_said(rcrun):
    import pty

    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0), open(theirs, "wb", buffering=0) as terminal:
        wrong = rcrun("run", "--rm", *NO_NETWORK, "--log-driver", "passthrough", "busybox", "true", stdin=terminal)  # fmt: skip
        assert wrong.status == 125
        assert "hint: use --log-driver passthrough-tty" in wrong.err
        got = rcrun("run", "--rm", *NO_NETWORK, "--log-driver", "passthrough-tty", "busybox", "sh", "-c",
                    "test -t 0 && echo yes", stdin=terminal).check()  # fmt: skip
        assert got.out == "yes\n"
    assert (
        "conflicting options: --tty and --log-driver passthrough"
        in rcrun("create", "-t", "--log-driver", "passthrough", "busybox", "true").err
    )


@pytest.mark.parametrize("driver", ["none", "passthrough"])
def test_what_has_no_log_says_so_as_docker_does(rcrun, driver):
    rcrun("run", "--name", "web", *NO_NETWORK, "--log-driver", driver, "busybox", "true").check()
    got = rcrun("logs", "web")
    assert got.status == 1
    assert got.err == (
        "rcrun: error: configured logging driver does not support reading\n"
        f'hint: container "web" was made with --log-driver {driver}\n'
    )


@pytest.mark.parametrize(
    ("driver", "option", "words"),
    [
        ("syslog", None, '--log-driver "syslog" is not supported'),
        ("none", "max-size=1m", 'unknown --log-opt "max-size" of the driver none'),
        ("journald", "max-size=1m", 'unknown --log-opt "max-size" of the driver journald'),
        ("local", "bogus=1", 'unknown --log-opt "bogus" of the driver local'),
        ("", "compress=true", "compress needs files that are rotated"),
        ("", "compress=maybe", 'invalid --log-opt "compress=maybe"'),
        ("", "max-file=0", 'invalid --log-opt "max-file=0"'),
        ("", "max-size=much", 'invalid size "much"'),
        ("", "mode=fast", 'invalid --log-opt "mode=fast"'),
        ("", "max-buffer-size=1m", "goes with mode=non-blocking only"),
        ("", "path=", 'invalid --log-opt "path="'),
        ("", "tag", 'invalid --log-opt "tag"'),
    ],
)
def test_refused_by_name(driver, option, words):
    options = {"log_driver": driver, "log_opt": (option,) if option else ()}
    with pytest.raises(InvalidInput, match=words.replace("(", r"\(")):
        config_log.log_record(options)


def test_an_invalid_expression_is_told(rcrun):
    got = rcrun("create", "--log-opt", "labels-regex=(", "busybox", "true")
    assert got.status == 125
    assert 'invalid --log-opt "labels-regex=("' in got.err


def test_attributes_by_expression():
    container = {
        "id": "a" * 64, "name": "web", "image": "docker.io/library/busybox:latest", "image_id": "sha256:" + "b" * 64,
        "labels": {"app.role": "db", "app.tier": "1", "other": "x"},
        "log": {"options": {"labels-regex": "^app[.]", "env-regex": "^A", "tag": "{{.ImageName}}/{{.FullID}}"}},
    }  # fmt: skip
    config_log.add_attributes(container, ["A=1", "AB=2", "B=3"])
    tag = f"docker.io/library/busybox:latest/{'a' * 64}"
    assert container["log"]["attributes"] == {
        "A": "1", "AB": "2", "app.role": "db", "app.tier": "1", "tag": tag
    }  # fmt: skip
    assert container["log"]["tag"] == tag


def test_names_of_fields_of_the_journal():
    assert logdrivers.field_name("com.example/role-1") == "COM_EXAMPLE_ROLE_1"
    assert logdrivers.field_name("__1id") == "ID"
    assert logdrivers.field_name("é") == ""


def test_a_container_that_is_restarted_is_followed(rcrun):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", "echo begun; exec sleep 100").check()  # fmt: skip
    with rcrun.popen("logs", "-f", "web", stdout=-1) as process:
        assert process.stdout.readline() == b"begun\n"
        rcrun("restart", "-t", "0", "web").check()
        assert process.stdout.readline() == b"begun\n"
        rcrun("kill", "web").check()
        assert process.stdout.read() == b""
        assert process.wait(60) == 0


def test_who_follows_waits_for_a_restart_that_takes_its_time(rcrun):
    """Its lock tells of the second half."""
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", "echo begun; exec sleep 100").check()  # fmt: skip
    identity = rcrun("inspect", "-f", "{{.Id}}", "web").check().out.strip()
    path = Path(rcrun.account.environ["RCRUN_RUNROOT"], "containers", identity, "restart.lock")
    path.touch(0o600)
    os.chown(path, rcrun.account.uid, rcrun.account.gid)
    with rcrun.popen("logs", "-f", "web", stdout=-1) as process:
        assert process.stdout.readline() == b"begun\n"
        with path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            rcrun("kill", "web").check()
            time.sleep(0.5)
            assert process.poll() is None
            rcrun("start", "web").check()
        assert process.stdout.readline() == b"begun\n"
        rcrun("kill", "web").check()
        assert process.stdout.read() == b""
    rcrun("restart", "-t", "0", "web").check()
    with path.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody keeps it


def test_several_containers(rcrun):
    for name, text in (("one", "a"), ("two", "b"), ("three", "c")):
        rcrun("run", "--name", name, *NO_NETWORK, "busybox", "echo", text).check()
    assert rcrun("logs", "--names", "two", "one").check().out == "one a\ntwo b\n"
    lines = rcrun("logs", "two", "one").check().out.splitlines()
    assert [line.split()[1] for line in lines] == ["a", "b"]
    assert all(len(line.split()[0]) == 12 for line in lines)
    assert rcrun("logs", "--latest").check().out == "c\n"
    coloured = rcrun("logs", "--names", "--color", "one", "two").check().out
    assert coloured == "\x1b[36mone\x1b[0m a\n\x1b[33mtwo\x1b[0m b\n".replace("36", "33", 0)
    assert (
        "\x1b" not in rcrun("logs", "--names", "--color", "one", "two", env={"NO_COLOR": "1"}).out
    )
    assert rcrun("logs").status == 1
    assert rcrun("logs", "one", "nosuch").err.startswith("rcrun: error: no such container: nosuch")


def test_several_are_followed_at_once(rcrun):
    for name in ("one", "two"):
        rcrun("run", "-di", "--name", name, *NO_NETWORK, "busybox", "sh", "-c", f"echo {name}; read x; echo end").check()  # fmt: skip
    with rcrun.popen("logs", "-f", "--names", "one", "two", stdout=-1) as process:
        first = {process.stdout.readline(), process.stdout.readline()}
        assert first == {b"one one\n", b"two two\n"}
        for name in ("one", "two"):
            rcrun("kill", name).check()
        reader = threading.Thread(target=process.stdout.read)
        reader.start()
        assert process.wait(60) == 0
        reader.join()


def test_compression_races_with_rotation(tmp_path):
    """As the monitor renames: whatever happens in between, each text is in exactly one file."""

    from rcrun.engine import logcompress

    path = str(tmp_path / "log")
    tmp_path.joinpath("log").write_bytes(b"0" * 1000)
    threads = []
    for number in range(1, 60):
        with open(path, "rb") as current:
            fcntl.flock(current, fcntl.LOCK_EX)
            for at in range(99, 0, -1):
                for suffix in ("", ".gz"):
                    before = f"{path}.{at - 1}{suffix}" if at > 1 else path if not suffix else ""
                    if before and os.path.exists(before):
                        os.rename(before, f"{path}.{at}{suffix}")
            tmp_path.joinpath("log").write_bytes(b"%d\n" % number * 200)
        threads.append(threading.Thread(target=logcompress.compress, args=(path,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    logcompress.compress(path)
    texts = [
        gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        for file in tmp_path.iterdir()
    ]
    assert len(texts) == 60
    assert len(set(texts)) == 60
