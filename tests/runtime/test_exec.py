"""exec: another process in a running container."""

from __future__ import annotations

import json
import time

import pytest

from accounts import Result
from runtime.conftest import Bundle

pytestmark = pytest.mark.requires("userns")


@pytest.fixture
def running(bundle: Bundle) -> Bundle:
    return bundle.args("sleep", "1000").started()


def exec_in(bundle: Bundle, *words: str, **options: object) -> Result:
    return bundle.runtime("exec", *words, **options)


def test_the_program_runs_inside(running: Bundle) -> None:
    result = exec_in(running, running.id, "/init", "cat", "/proc/1/cmdline").check()
    assert result.out.split("\0")[:2] == ["/init", "sleep"]


@pytest.mark.parametrize("code", ["0", "1", "7", "255"])
def test_the_exit_status_passes_through(running: Bundle, code: str) -> None:
    assert exec_in(running, running.id, "/init", "exit", code).status == int(code)


def test_streams(running: Bundle) -> None:
    assert exec_in(running, running.id, "/init", "cat", "-", input="typed").check().out == "typed"


def test_options_behind_the_command_are_the_commands(running: Bundle) -> None:
    result = exec_in(running, running.id, "/init", "echo", "-t", "--cwd").check()
    assert result.out == "-t --cwd\n"


def test_environment(running: Bundle, ours: None) -> None:
    result = exec_in(running, "-e", "A=1", "--env", "B=2 3", running.id, "/init", "env").check()
    lines = result.out.splitlines()
    assert {"A=1", "B=2 3", "PATH=/"} <= set(lines)


def test_working_directory(running: Bundle) -> None:
    assert exec_in(running, "--cwd", "/dev", running.id, "/init", "cwd").check().out == "/dev\n"


def test_a_missing_working_directory(running: Bundle) -> None:
    result = exec_in(running, "--cwd", "/no", running.id, "/init", "cwd")
    assert result.status != 0
    assert "No such file or directory" in result.err


def test_user(running: Bundle) -> None:
    result = exec_in(running, "-u", "5:6", running.id, "/init", "ids").check()
    assert result.out.split()[:2] == ["5", "6"]


def test_more_groups(running: Bundle, ours: None) -> None:
    words = ("-u", "5:6", "-g", "7", "--additional-gids", "8", running.id, "/init", "ids")
    assert exec_in(running, *words).check().out == "5 6 7 8\n"


def test_the_home_of_the_user(bundle: Bundle) -> None:
    bundle.put("rootfs/etc/passwd", "root:x:0:0::/root:/\nx:x:5:5::/home/x:/\n")
    bundle.args("sleep", "1000").started()
    out = exec_in(bundle, "-u", "5", bundle.id, "/init", "env").check().out
    assert "HOME=/home/x\n" in out


def test_capabilities(running: Bundle) -> None:
    words = ("--cap", "CAP_SYS_ADMIN", running.id, "/init", "cat", "/proc/self/status")
    status = exec_in(running, *words).check().out
    [line] = [line for line in status.splitlines() if line.startswith("CapBnd")]
    assert int(line.split()[1], 16) >> 21 & 1


def test_no_new_privileges(bundle: Bundle) -> None:
    bundle.process(noNewPrivileges=False).args("sleep", "1000").started()
    for words, value in ((("--no-new-privs",), "1"), ((), "0")):
        status = exec_in(bundle, *words, bundle.id, "/init", "cat", "/proc/self/status").check().out
        assert f"NoNewPrivs:\t{value}\n" in status


def test_a_process_file(running: Bundle) -> None:
    process = {
        "args": ["/init", "env"],
        "env": ["FROM=file"],
        "cwd": "/",
        "user": {"uid": 0, "gid": 0},
    }
    path = running.put("process.json", json.dumps(process))
    assert "FROM=file\n" in exec_in(running, "--process", str(path), running.id).check().out


@pytest.mark.parametrize(
    ("command", "text"),
    [("/missing", "No such file or directory"), ("missing", "missing"), ("/dev", "directory")],
)
def test_commands_that_cannot_run(running: Bundle, command: str, text: str, ours: None) -> None:
    result = exec_in(running, running.id, command)
    assert result.status == 1
    assert text in result.err


def test_detached(running: Bundle, ours: None) -> None:
    pid_file = running.dir / "exec.pid"
    words = ("-d", "--pid-file", str(pid_file), running.id, "/init", "sleep", "1000")
    with open(running.dir / "exec.out", "wb") as out:
        exec_in(running, *words, stdout=out, stderr=out).check()
    pid = int(pid_file.read_text(encoding="ascii"))
    pids = json.loads(running.runtime("ps", "-f", "json", running.id).check().out)
    assert pid in pids


def test_detached_and_missing(running: Bundle) -> None:
    with open(running.dir / "exec.out", "wb") as out:
        assert exec_in(running, "-d", running.id, "/missing", stdout=out, stderr=out).status != 0
    assert b"o such file" in (running.dir / "exec.out").read_bytes()


def test_a_container_that_is_not_running(bundle: Bundle) -> None:
    assert exec_in(bundle, bundle.id, "/init", "true").status != 0
    bundle.args("true").started()
    bundle.status_soon("stopped")
    result = exec_in(bundle, bundle.id, "/init", "true")
    assert result.status != 0
    assert "not running" in result.err or bundle.account  # crun words it otherwise


def test_the_words_for_it(bundle: Bundle, ours: None) -> None:
    bundle.args("true").started()
    bundle.status_soon("stopped")
    assert "container not running" in exec_in(bundle, bundle.id, "/init", "true").err


def test_the_filter_is_the_containers(bundle: Bundle) -> None:
    bundle.linux(
        seccomp={
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["getpgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 117}],
        }
    )
    bundle.args("sleep", "1000").started()
    assert "Structure needs cleaning" in exec_in(bundle, bundle.id, "/init", "getpgid").err


def test_namespaces_are_all_the_containers(running: Bundle) -> None:
    """Not one of them is left out: a process with the host's would be a way out."""
    pid = running.state()["pid"]
    with open(running.dir / "exec.out", "wb") as out:
        words = ("-d", "--pid-file", str(running.dir / "p"), running.id, "/init", "sleep", "1000")
        exec_in(running, *words, stdout=out, stderr=out).check()
    other = (running.dir / "p").read_text(encoding="ascii")
    script = 'for kind in pid net ipc mnt uts user cgroup; do readlink "/proc/$1/ns/$kind"; done'
    ours, theirs = (
        running.account.run("sh", "-c", script, "sh", str(process)).check().out
        for process in (pid, other)
    )
    assert ours == theirs


def test_many_at_once(running: Bundle) -> None:
    words = [*running.words(), "exec", running.id, "/init", "echo", "x"]
    started = time.monotonic()
    processes = [running.account.popen(*words, stdout=-1, stderr=-1) for _ in range(8)]
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, b"x\n")
    assert time.monotonic() - started < 60
