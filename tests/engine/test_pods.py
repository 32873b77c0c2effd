"""Pods: what their containers share, their lives and ends, lists, and what is left of commands that were killed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from typing import Any

import pytest

from engine.volumes import NO_NETWORK

pytestmark = [
    pytest.mark.requires("userns", "overlay"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]
SLEEP = ("busybox", "sleep", "1000")
KINDS = ("cgroup", "ipc", "net", "pid", "user", "uts")
LINKS = f"for n in {' '.join(KINDS)}; do readlink /proc/self/ns/$n; done"


def wait_for(fact, seconds=30.0):
    until = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.05)


def links(rcrun: Any, name: str) -> dict[str, str]:
    out = rcrun("exec", name, "sh", "-c", LINKS).check().out.split()
    return dict(zip(KINDS, out, strict=True))


def member(rcrun: Any, pod: str, name: str, *options: str) -> None:
    rcrun("run", "-d", "--pod", pod, "--name", name, "--stop-signal", "KILL", *options, *SLEEP).check()  # fmt: skip


def create(rcrun: Any, name: str, *options: str) -> str:
    network = () if "--network" in options or "--infra=false" in options else NO_NETWORK
    return str(rcrun("pod", "create", "--name", name, *network, *options).check().out.strip())


def states(rcrun: Any, pod: str) -> dict[str, str]:
    out = rcrun("ps", "-a", "--filter", f"pod={pod}", "--format", "{{.Names}} {{.State}}").check().out  # fmt: skip
    return dict(line.split() for line in out.splitlines())


def state(rcrun: Any, pod: str) -> str:
    return str(rcrun("pod", "ps", "--filter", f"name=^{pod}$", "--format", "{{.Status}}").check().out.strip())  # fmt: skip


def test_what_is_shared(rcrun: Any) -> None:
    create(rcrun, "box", "--share", "+pid", "--add-host", "far:10.1.2.3", "--sysctl", "kernel.shmmni=77")  # fmt: skip
    member(rcrun, "box", "one")
    member(rcrun, "box", "two", "--pid", "private")
    one, two = links(rcrun, "one"), links(rcrun, "two")
    assert {kind for kind in KINDS if one[kind] == two[kind]} >= {"ipc", "net", "user", "uts"}
    assert one["pid"] != two["pid"]
    rcrun("exec", "one", "sh", "-c", "echo shared >/dev/shm/file").check()
    script = "hostname; cat /dev/shm/file /proc/sys/kernel/shmmni; grep -c -e one -e two -e far /etc/hosts; cat /proc/1/comm"  # fmt: skip
    out = rcrun("run", "--rm", "--pod", "box", "busybox", "sh", "-c", script).check().out.split()
    assert out == ["box", "shared", "77", "3", "rcrun:pause"]


def test_the_names_in_hosts_are_those_of_its_containers(rcrun: Any) -> None:
    create(rcrun, "box", "--add-host", "gone:127.0.0.1")
    member(rcrun, "box", "one")
    member(rcrun, "box", "gone", "--rm")  # a name that the user has given an address

    def names() -> list[str]:
        out = rcrun("exec", "one", "grep", "^127.0.0.1", "/etc/hosts").check().out
        return [line.split()[1] for line in out.splitlines()]

    before = names()
    assert (before[-1], before.count("gone")) == ("one", 1)
    for name in ("two", "three"):
        member(rcrun, "box", name, *(["--rm"] if name == "two" else []))
    assert names() == [*before, "two", "three"]
    rcrun("rename", "three", "third").check()
    assert names() == [*before, "two", "third"]
    rcrun("rm", "-f", "third").check()
    assert names() == [*before, "two"]
    rcrun("kill", "two", "gone").check()
    wait_for(lambda: names() == before)
    rcrun("exec", "one", "sh", "-c", "echo 127.0.0.1 mine >>/etc/hosts").check()
    rcrun("run", "--rm", "--pod", "box", "--name", "two", "busybox", "true").check()
    wait_for(lambda: names() == [*before, "mine"])


def test_a_clone(rcrun: Any) -> None:
    create(rcrun, "box", "--label", "a=b", "--sysctl", "kernel.shmmni=77", "--exit-policy", "stop")
    member(rcrun, "box", "one", "-e", "X=1")
    member(rcrun, "box", "two", "--requires", "one")
    made = rcrun("pod", "clone", "--start", "--label", "c=d", "--shm-size", "3m", "box", "far").check().out.strip()  # fmt: skip
    assert states(rcrun, "far") == dict.fromkeys((f"{made[:12]}-infra", "one-clone", "two-clone"), "running")  # fmt: skip
    one, two, first = links(rcrun, "one-clone"), links(rcrun, "two-clone"), links(rcrun, "one")
    assert {kind for kind in KINDS if one[kind] == two[kind]} >= {"ipc", "net", "user", "uts"}
    assert not {kind for kind in ("ipc", "net", "user", "uts") if one[kind] == first[kind]}
    script = "hostname; echo $HOSTNAME $X; cat /proc/sys/kernel/shmmni; grep -c -e one-clone -e two-clone /etc/hosts; df -k /dev/shm | grep -c 3072"  # fmt: skip
    out = rcrun("exec", "one-clone", "sh", "-c", script).check().out.split()
    assert out == ["far", "far", "1", "77", "2", "1"]
    assert rcrun("inspect", "-f", "{{.Config.Hostname}}", "one-clone").out == "far\n"
    shown = rcrun("pod", "inspect", "-f", "{{.Labels.a}} {{.Labels.c}} {{.ExitPolicy}}", "far").out
    assert shown == "b d stop\n"
    got = rcrun("pod", "clone", "--volume", "v:/v", "far")
    assert (got.status, "--volume is not supported for a pod with containers" in got.err) == (125, True)  # fmt: skip
    assert rcrun("pod", "clone", "--name", "far", "box").status == 125
    rcrun("pod", "clone", "--destroy", "box").check()
    assert sorted(states(rcrun, "box-clone").values()) == ["created"] * 3
    assert rcrun("pod", "exists", "box").status == 1
    rcrun("pod", "rm", "-f", "far", "box-clone").check()
    create(rcrun, "empty", "--infra=false", "--share", "")
    rcrun("pod", "clone", "--restart", "always", "empty").check()
    assert rcrun("pod", "inspect", "-f", "{{.RestartPolicy}} {{.NumContainers}}", "empty-clone").out == "always 0\n"  # fmt: skip


def test_what_is_each_containers_own(rcrun: Any) -> None:
    """Nothing shared, no infra container, and what one says for itself; a new pod that goes when its container is not made."""
    create(rcrun, "loose", "--infra=false", "--share", "")
    member(rcrun, "loose", "one", *NO_NETWORK, "--hostname", "own")
    assert rcrun("exec", "one", "hostname").check().out == "own\n"
    assert (states(rcrun, "loose"), state(rcrun, "loose")) == ({"one": "running"}, "Running")
    create(rcrun, "box", "--volume", "given:/given", "--shm-size", "3m")
    words = ("run", "--rm", "--pod", "box", "--uts", "private", "--hostname", "own", "--network", "none")  # fmt: skip
    assert rcrun(*words, "busybox", "sh", "-c", "hostname; test -d /given && echo volume").out == "own\nvolume\n"  # fmt: skip
    got = rcrun("create", "--pod", "new:other", "--network", "none", "--pull", "never", "nosuch")
    assert got.status == 125
    assert rcrun("pod", "exists", "other").status == 1
    rcrun("create", "--pod", "new:other", "--network", "none", "--hostname", "its", "busybox").check()  # fmt: skip
    assert rcrun("pod", "inspect", "-f", "{{.Hostname}} {{.NumContainers}}", "other").out == "its 2\n"  # fmt: skip
    refusals = [
        (("run", "--pod", "box", "-p", "80:80", "busybox"), "must be defined when the pod is created"),
        (("rm", "-f", *_infra(rcrun, "box")), 'it is the infra container of pod "box" and cannot be removed'),
        (("pod", "create", "one"), 'the name "one" is already in use by container'),
    ]  # fmt: skip
    for words, reason in refusals:
        got = rcrun(*words)
        assert (got.status != 0, reason in got.err) == (True, True), got
    rcrun("rm", "-fa").check()  # all that it can be done to
    assert len(states(rcrun, "box")) == 1


def _infra(rcrun: Any, pod: str) -> list[str]:
    return [str(rcrun("pod", "inspect", "-f", "{{.InfraContainerID}}", pod).check().out.strip())]


def test_of_the_infra_container_alone(rcrun: Any) -> None:
    pod_id = create(rcrun, "box")
    rcrun("pod", "start", "box").check()
    infra = f"{pod_id[:12]}-infra"
    (infra_id,) = _infra(rcrun, "box")
    assert states(rcrun, "box") == {infra: "running"}
    refused = rcrun("rm", infra)
    assert (refused.status, "cannot be removed without removing the pod" in refused.err) == (
        1,
        True,
    )
    for value, found in ((pod_id[:2], 1), (f"^{pod_id[:2]}", 1), (f".{pod_id[:9]}", 0)):
        assert len(rcrun("pod", "ps", "-q", "--filter", f"id={value}").check().out.split()) == found
    assert rcrun("rm", "--depend", infra).check().out == f"{infra_id}\n"
    assert rcrun("pod", "ps", "-q").check().out == ""


def test_a_life(rcrun: Any) -> None:
    pod_id = create(rcrun, "box", "--label", "a=b", "--exit-policy", "stop")
    rcrun("create", "--pod", "box", "--name", "job", "--init-ctr", "once", "busybox", "sh", "-c", "echo made >/dev/shm/made").check()  # fmt: skip
    rcrun("create", "--pod", pod_id[:9], "--name", "one", "--stop-signal", "KILL", "busybox", "sh", "-c", "cat /dev/shm/made; exec sleep 1000").check()  # fmt: skip
    rcrun("create", "--pod", "box", "--name", "two", "--requires", "one", "--stop-signal", "KILL", *SLEEP).check()  # fmt: skip
    assert state(rcrun, "box") == "Created"
    assert rcrun("pod", "start", "box").check().out == "box\n"
    infra = f"{pod_id[:12]}-infra"
    assert states(rcrun, "box") == {"one": "running", "two": "running", infra: "running"}
    assert state(rcrun, "box") == "Running"
    wait_for(lambda: rcrun("logs", "one").out == "made\n")
    refused = rcrun("pod", "rm", "box")
    assert (refused.status, "cannot be removed without force" in refused.err) == (1, True)
    rcrun("kill", "two").check()
    assert state(rcrun, "box") == "Degraded"
    rcrun("pod", "restart", "box").check()
    assert state(rcrun, "box") == "Running"
    listed = json.loads(rcrun("pod", "ps", "--format", "json").check().out)
    assert (listed["Id"], listed["Labels"], len(listed["Containers"])) == (pod_id, {"a": "b"}, 3)
    assert rcrun("ps", "-p", "--filter", "name=^one$", "--format", "{{.Pod}} {{.PodName}}").out == f"{pod_id[:12]} box\n"  # fmt: skip
    assert rcrun("inspect", "-f", "{{.Pod}}", "one").out == f"{pod_id}\n"
    assert rcrun("pod", "top", "box", "pid", "comm").check().out.count("sleep") == 2
    for name in ("one", "two"):  # the last one that ends is the end of the pod
        rcrun("stop", name).check()
    wait_for(lambda: state(rcrun, "box") == "Exited")
    rcrun("start", "one").check()  # and the infra container before it
    assert states(rcrun, "box") == {"one": "running", "two": "exited", infra: "running"}
    rcrun("pod", "kill", "box").check()
    wait_for(lambda: state(rcrun, "box") == "Exited")
    assert rcrun("pod", "prune", "-f").check().out == f"{pod_id}\n"
    events = rcrun("events", "--since", "10m", "--until", "0s", "--filter", "type=pod", "--filter", f"pod={pod_id}", "--format", "{{.Action}}").check().out.split()  # fmt: skip
    assert events == ["create", "start", "stop", "start", "restart", "kill", "remove"]
    assert rcrun("ps", "-aq").out == ""


@pytest.mark.requires("network")
def test_a_published_port(rcrun: Any) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    create(rcrun, "web", "--network", "bridge", "-p", f"127.0.0.1:{port}:80")
    rcrun("run", "-d", "--pod", "web", "--name", "server", "busybox", "httpd", "-f", "-p", "80", "-h", "/etc").check()  # fmt: skip

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/hostname", timeout=20) as answer:
                return bool(answer.read() == b"web\n")
        except OSError:
            return False

    wait_for(answers)
    bindings = json.loads(rcrun("pod", "inspect", "-f", "{{json .InfraConfig.PortBindings}}", "web").check().out)  # fmt: skip
    assert bindings == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    rcrun("pod", "rm", "-f", "-t", "0", "web").check()


def test_logs_of_all(rcrun: Any) -> None:
    create(rcrun, "box")
    for name in ("one", "two"):
        rcrun("run", "--pod", "box", "--name", name, "busybox", "echo", f"from {name}").check()
    out = rcrun("pod", "logs", "-n", "box").check().out
    assert sorted(out.splitlines()) == ["one from one", "two from two"]
    assert rcrun("pod", "logs", "-n", "-c", "two", "box").check().out == "two from two\n"


def test_many_at_once(rcrun: Any) -> None:
    """A pod is made, filled, started and removed by several processes: each of them works or says why, nothing is left."""
    makers = [rcrun.popen("pod", "create", *NO_NETWORK, "--name", "box") for _ in range(4)]
    assert sorted(process.wait(60) for process in makers) == [0, 125, 125, 125]
    fillers = [rcrun.popen("run", "-d", "--pod", "box", "--stop-signal", "KILL", *SLEEP) for _ in range(4)]  # fmt: skip
    starters = [rcrun.popen("pod", "start", "box") for _ in range(2)]
    assert [process.wait(90) for process in fillers + starters] == [0] * 6
    assert sorted(states(rcrun, "box").values()) == ["running"] * 5
    both = [rcrun.popen("pod", "rm", "-f", "-t", "0", "box") for _ in range(2)]
    last = rcrun.popen("run", "-d", "--pod", "box", "--stop-signal", "KILL", *SLEEP)
    assert {process.wait(90) for process in both} == {0}
    last.wait(90)
    assert rcrun("ps", "-aq").out == ""
    for folder in ("pods", "podnames", "containers", "names"):
        assert os.listdir(rcrun.store_dir / folder) == []


@pytest.mark.timeout(240)
def test_killed_anywhere(rcrun: Any) -> None:
    """Commands killed at some point: what they leave can be removed, started or swept, and `system check` finds no fault."""
    for words in (("pod", "create", *NO_NETWORK, "--name", "box"), ("pod", "start", "box"), ("pod", "rm", "-f", "-t", "0", "box")):  # fmt: skip
        for milliseconds in (80, 140, 220):
            if words[1] != "create":
                rcrun("pod", "create", *NO_NETWORK, "--name", "box")
                rcrun("create", "--pod", "box", "--stop-signal", "KILL", *SLEEP)
            process = rcrun.popen(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                process.wait(milliseconds / 1000)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(30)
            if rcrun("pod", "exists", "box").status == 0:
                rcrun("pod", "rm", "-f", "-t", "0", "box").check()
    for folder in (rcrun.store_dir / "pods").iterdir():
        os.utime(folder, (0, 0))  # as if a minute had gone by
    for folder in (rcrun.store_dir / "containers").iterdir():
        os.utime(folder, (0, 0))
    rcrun("rm", "-fa").check()
    assert os.listdir(rcrun.store_dir / "pods") == []
    assert os.listdir(rcrun.store_dir / "podnames") == []
    assert rcrun("ps", "-aq").out == ""
    assert rcrun("system", "check", "--quick").check().out == "no faults\n"


def test_damage_is_told(rcrun: Any) -> None:
    pod_id = create(rcrun, "box")
    (rcrun.store_dir / "podnames/box").unlink()
    got = rcrun("system", "check", "--quick")
    assert (got.status, 'its name "box" does not lead to it' in got.out + got.err) == (1, True)
    rcrun("system", "check", "--quick", "--repair")
    assert rcrun("pod", "exists", "box").status == 0
    path = rcrun.store_dir / f"pods/{pod_id}/pod.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "infra": "0" * 64}))
    got = rcrun("pod", "start", "box")
    assert (got.status, "its infra container 000000000000 is gone" in got.err) == (1, True)
    rcrun("pod", "rm", "-f", "box").check()
