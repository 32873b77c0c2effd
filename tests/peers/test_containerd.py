"""containerd's ctr and containerd-shim-runc-v2, with the runtime under test; containerd is root's alone."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from accounts import Result
from peers.room import RUNTIME, Inmate, may_make_cgroups
from skips import unmet
from waiting import wait_for

pytestmark = [
    pytest.mark.requires("containerd"),
    pytest.mark.parametrize("inmate", ["root"], indirect=True),
]
# In the room: /run and /var/lib/containerd are its own.
CONFIG = """
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
[grpc]
address = "/run/containerd/containerd.sock"
"""


class Containerd:
    """A containerd of the room, and ctr in the namespace `peers`."""

    def __init__(self, account: Inmate, image: Path) -> None:
        self.account = account
        config = account.home / "containerd.toml"
        config.write_text(CONFIG)
        log = open(account.home / "containerd.log", "wb")
        self.process = account.popen("containerd", "-c", str(config), stdout=log, stderr=log)
        log.close()
        wait_for(lambda: self("version").status == 0)
        self("image", "import", "--no-unpack", str(image)).check()
        [self.image] = self("image", "ls", "-q").check().out.split()

    def __call__(self, *words: str | os.PathLike[str], **options: Any) -> Result:
        return self.account.run("ctr", "-n", "peers", *words, **options)

    def options(self, *words: str) -> list[str]:
        given = [
            "--snapshotter",
            "native",
            "--runc-binary",
            RUNTIME,
            "--runc-root",
            "/run/peers-runc",
        ]
        if "cpu" not in self.account.room.controllers:
            given += ["--cpu-shares", "0"]
        return ["run", *given, *words]

    def run(self, name: str, *words: str, options: tuple[str, ...] = (), **more: Any) -> Result:
        return self(*self.options("--rm", *options), self.image, name, *words, **more)

    def started(self, name: str, *words: str) -> None:
        self(*self.options("-d"), self.image, name, *(words or ("sleep", "1000"))).check()

    def status(self, name: str) -> str:
        for line in self("task", "ls").check().out.splitlines():
            if line.split()[0] == name:
                return line.split()[2]
        return ""

    def popen(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        return self.account.popen("ctr", "-n", "peers", *words, **options)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture(scope="module")
def daemon(inmates, image):
    account = inmates("root")
    if not account.room.has("containerd"):
        unmet("containerd is not installed", "containerd")
    if not may_make_cgroups("root"):
        pytest.skip(f"{RUNTIME} makes no cgroup here: it may not load the filter of devices")
    made = Containerd(account, image)
    yield made
    made.close()


@pytest.fixture
def ctr(inmate, daemon):
    """Its containers go with the test."""
    yield daemon
    for name in daemon("container", "ls", "-q").check().out.split():
        daemon("task", "rm", "-f", name)
        daemon("container", "rm", name).check()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 3"), 3),
        (("sh", "-c", "sh -c 'kill -9 $$'; exit $?"), 137),
    ],
)
def test_exit_status(ctr, words, status):
    assert ctr.run("one", *words).status == status


def test_a_command_that_is_not_there(ctr):
    given = ctr.run("one", "/nowhere")
    assert given.status != 0
    assert "/nowhere" in given.err  # from the log file that the shim reads


def test_streams(ctr):
    given = ctr.run("one", "sh", "-c", "echo out; echo err >&2").check()
    assert (given.out, given.err) == ("out\n", "err\n")


def test_what_the_options_give(ctr):
    folder = ctr.account.new_dir("volume")
    (folder / "file").write_text("bound\n")
    options = ("--env", "A=b", "--cwd", "/tmp", "--read-only", "--cap-drop", "CAP_CHOWN",
               "--mount", f"type=bind,src={folder},dst=/v,options=rbind:ro")  # fmt: skip
    script = "pwd; echo $A; cat /v/file; touch /tmp/x || echo kept; grep CapEff /proc/self/status"
    out = ctr.run("one", "sh", "-c", script, options=options).check().out.split()
    assert out[:5] == ["/tmp", "b", "bound", "kept", "CapEff:"]
    assert int(out[5], 16) & 3 == 2  # CAP_DAC_OVERRIDE is still there


def test_privileged_and_the_hosts_network(ctr):
    ours = ctr.account.run("readlink", "/proc/self/ns/net").check().out
    options = ("--privileged", "--net-host")
    script = "readlink /proc/self/ns/net; grep CapEff /proc/self/status | cut -f2"
    out = ctr.run("one", "sh", "-c", script, options=options).check().out.splitlines()
    assert out[0] == ours.strip()
    assert int(out[1], 16) > 1 << 36


def test_the_runtimes_root_and_its_state(ctr):
    ctr.started("one")
    state = ctr.account.run(RUNTIME, "--root", "/run/peers-runc/peers", "state", "one").check().out
    document = json.loads(state)
    assert (document["id"], document["status"]) == ("one", "running")
    assert document["bundle"].startswith("/run/containerd/")


def test_exec(ctr):
    ctr.started("one")
    given = ctr(
        "task", "exec", "--exec-id", "e1", "one", "sh", "-c", "echo out; echo err >&2; exit 4"
    )
    assert (given.status, given.out, given.err.splitlines()[:1]) == (4, "out\n", ["err"])
    options = ("--exec-id", "e2", "--user", "1000", "--cwd", "/tmp")
    out = ctr("task", "exec", *options, "one", "sh", "-c", "id -u; pwd").check().out
    assert out == "1000\n/tmp\n"
    ctr("task", "exec", "-d", "--exec-id", "e3", "one", "sleep", "2000").check()
    assert "sleep 2000" in ctr("task", "exec", "--exec-id", "e4", "one", "ps").check().out
    given = ctr("task", "exec", "--exec-id", "e5", "one", "/nowhere")
    assert given.status != 0
    assert "/nowhere" in given.err


def test_processes(ctr):
    ctr.started("one", "sh", "-c", "sleep 1000 & sleep 1000")
    wait_for(lambda: len(ctr("task", "ps", "one").check().out.splitlines()) >= 3)


def test_pause_and_resume(ctr):
    ctr.started("one")
    ctr("task", "pause", "one").check()
    assert ctr.status("one") == "PAUSED"
    assert ctr("task", "exec", "--exec-id", "e", "one", "true").status != 0
    ctr("task", "resume", "one").check()
    assert ctr.status("one") == "RUNNING"
    ctr("task", "exec", "--exec-id", "f", "one", "true").check()


def test_kill_and_delete(ctr):
    script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    ctr.started("one", "sh", "-c", script)
    wait_for(
        lambda: "sleep" in ctr("task", "exec", "--exec-id", os.urandom(3).hex(), "one", "ps").out
    )
    ctr("task", "kill", "-s", "SIGTERM", "one").check()
    wait_for(lambda: ctr.status("one") == "STOPPED")
    assert "exit code 9" in ctr("task", "delete", "one").err
    assert ctr.status("one") == ""
    assert ctr.account.run(RUNTIME, "--root", "/run/peers-runc/peers", "state", "one").status != 0


def test_killed_with_all(ctr):
    ctr.started("one", "sh", "-c", "sleep 1000 & sleep 1000")
    ctr("task", "kill", "-a", "-s", "SIGKILL", "one").check()
    wait_for(lambda: ctr.status("one") == "STOPPED")
    ctr("task", "delete", "one")


def test_metrics(ctr):
    """The shim reads them from the cgroup that the runtime made."""
    ctr.started("one")
    found = json.loads(ctr("task", "metrics", "--format", "json", "one").check().out)
    assert any(found.values())
    if "pids" in ctr.account.room.controllers:
        assert int(found["pids"]["current"]) == 1


def test_a_terminal(ctr, screen):
    shown = screen(
        ctr,
        *ctr.options("--rm", "-t", "--env", "PS1=ready>"),
        ctr.image,
        "one",
        "sh",
        rows=33,
        columns=91,
    )
    shown.expect(b"ready>")
    for _ in range(50):
        if shown.ask("stty size", b"ready>").strip() == "33 91":
            break
    else:
        raise AssertionError("the size did not become 33 91")
    shown.type(b"exit 5\r")
    assert shown.end() == 5


def test_a_terminal_of_exec(ctr, screen):
    ctr.started("one")
    shown = screen(
        ctr, "task", "exec", "-t", "--exec-id", "e", "one", "sh", "-c", "PS1='ready>' exec sh"
    )
    shown.expect(b"ready>")
    shown.type(b"exit 6\r")
    assert shown.end() == 6


def test_several_at_once(ctr):
    words = [ctr.options("--rm"), [ctr.image]]
    started = [
        ctr.popen(*words[0], *words[1], f"c{number}", "sh", "-c", f"exit {number + 10}")
        for number in range(4)
    ]
    assert [process.wait(60) for process in started] == [10, 11, 12, 13]
