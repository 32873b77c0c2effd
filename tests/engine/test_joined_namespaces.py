"""Namespaces that containers share: with each other, with the host, with a namespace at a path."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from engine.volumes import NO_NETWORK, up

pytestmark = pytest.mark.requires("userns", "overlay")
FILES = {"pid": "pid", "ipc": "ipc", "uts": "uts", "cgroupns": "cgroup", "network": "net", "userns": "user"}  # fmt: skip


def links(rcrun: Any, *words: str) -> dict[str, str]:
    """The namespaces that a process in a container sees itself in."""
    script = "for n in pid ipc uts cgroup net user; do readlink /proc/self/ns/$n; done"
    out = rcrun(*words, "sh", "-c", script).check().out.split()
    return dict(zip(("pid", "ipc", "uts", "cgroup", "net", "user"), out, strict=True))


def run(rcrun: Any, *options: str) -> tuple[str, ...]:
    network = () if "--network" in options else NO_NETWORK
    return ("run", "--rm", *network, *options, "busybox")


@pytest.fixture
def other(rcrun: Any) -> str:
    """A container whose namespaces are joined."""
    up(rcrun, "other", "--ipc", "shareable", "--hostname", "box")
    return "other"


@pytest.mark.parametrize("option", FILES)
def test_one_namespace_of_another_container(rcrun: Any, other: str, option: str) -> None:
    theirs = links(rcrun, "exec", other)
    ours = links(rcrun, *run(rcrun, f"--{option}", f"container:{other}"))
    assert ours[FILES[option]] == theirs[FILES[option]]
    assert ours["user"] == theirs["user"]  # which gives the rights over it
    if option != "userns":
        assert len(
            {kind for kind in ours if ours[kind] == theirs[kind]} - {"user", "cgroup"}
        ) <= 1 + (option == "cgroupns")


def test_all_of_them(rcrun: Any, other: str) -> None:
    options = [word for key in FILES for word in (f"--{key}", f"container:{other}")]
    assert links(rcrun, *run(rcrun, *options)) == links(rcrun, "exec", other)


@pytest.mark.requires("network")
@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_a_network_of_its_own_beside_it(rcrun: Any, other: str) -> None:
    """pasta, since nobody makes a bridge's interfaces in another container's user namespace."""
    for options in (("--pid",), ("--network", "pasta", "--userns")):
        words = ("run", "--rm", *options, f"container:{other}", "busybox", "ip", "-o", "-4", "addr")
        assert "scope global" in rcrun(*words).check().out
    words = ("run", "--rm", "--network", "bridge", "--pid", f"container:{other}", "busybox", "true")
    refused = rcrun(*words)
    assert refused.status == 125
    assert (
        "conflicting options: --network bridge, and a user namespace that is another" in refused.err
    )


def test_its_processes_memory_and_names(rcrun: Any, other: str) -> None:
    rcrun("exec", other, "sh", "-c", "echo shared >/dev/shm/file").check()
    script = "ps -o comm | grep -c sleep; cat /dev/shm/file; hostname; cat /etc/hostname"
    options = ["--pid", "--ipc", "--uts", "--network"]
    joined = [word for option in options for word in (option, f"container:{other}")]
    assert rcrun(*run(rcrun, *joined), "sh", "-c", script).check().out.split() == [
        "1", "shared", "box", "box",
    ]  # fmt: skip


def test_the_network_has_the_others_files(rcrun: Any) -> None:
    up(rcrun, "named", "--add-host", "db:10.1.2.3")
    hosts = rcrun("exec", "named", "cat", "/etc/hosts").check().out
    words = run(rcrun, "--network", "container:named")
    assert rcrun(*words, "cat", "/etc/hosts").check().out == hosts
    # docker's rule: what says something about the network is said to the other one
    refused = rcrun(*words[:-1], "--dns", "1.1.1.1", "busybox", "true")
    assert refused.status == 125
    assert "conflicting options: --dns and --network container:named" in refused.err


def test_exec_and_inspect(rcrun: Any, other: str) -> None:
    identity = rcrun("inspect", "-f", "{{.Id}}", other).check().out.strip()
    up(rcrun, "guest", "--pid", f"container:{other}")
    assert links(rcrun, "exec", "guest")["pid"] == links(rcrun, "exec", other)["pid"]
    found = rcrun("inspect", "-f", "{{.HostConfig.PidMode}}", "guest").check().out.strip()
    assert found == f"container:{identity}"


def test_each_start_finds_the_other_anew(rcrun: Any, other: str) -> None:
    words = (
        "create",
        "--name",
        "later",
        *NO_NETWORK,
        "--uts",
        f"container:{other}",
        "busybox",
        "hostname",
    )
    rcrun(*words).check()
    assert rcrun("start", "-a", "later").check().out == "box\n"
    rcrun("rename", other, "moved").check()
    rcrun("restart", "-t", "0", "moved").check()
    assert rcrun("start", "-a", "later").check().out == "box\n"
    rcrun("stop", "-t", "0", "moved").check()
    refused = rcrun("start", "-a", "later")
    assert refused.status != 0
    assert 'cannot join the namespace of container "moved": it is not running' in refused.err
    assert "hint: rcrun start moved" in refused.err
    rcrun("rm", "-f", "moved").check()
    assert "whose namespace it joins is gone" in rcrun("start", "later").err


def test_the_end_of_the_first_process_ends_both(rcrun: Any, other: str) -> None:
    up(rcrun, "guest", "--pid", f"container:{other}")
    rcrun("kill", other).check()
    assert rcrun("wait", "guest").check().out == "137\n"


def test_only_shareable_memory_is_shared(rcrun: Any) -> None:
    up(
        rcrun, "open", "--ipc", "host"
    )  # as for docker: whose is the host's keeps nothing for itself
    rcrun(*run(rcrun, "--ipc", "container:open"), "true").check()
    for name, word in (("closed", "private"), ("none", "none")):
        up(rcrun, name, "--ipc", word)
        refused = rcrun(*run(rcrun, "--ipc", f"container:{name}"), "true")
        assert refused.status == 125
        assert "it is not shareable" in refused.err
        assert "--ipc shareable" in refused.err


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_two_owners_are_one_too_many(rcrun: Any, other: str) -> None:
    up(rcrun, "second")
    options = ("--pid", "container:second", "--ipc", f"container:{other}")
    refused = rcrun(*run(rcrun, *options), "true")
    assert refused.status == 125
    assert "each belongs to a user namespace of its own" in refused.err
    # the hint's way
    up(rcrun, "third", "--userns", f"container:{other}")
    options = ("--pid", "container:third", "--ipc", f"container:{other}")
    assert rcrun(*run(rcrun, *options), "echo", "both").check().out == "both\n"
    refused = rcrun(*run(rcrun, "--pid", "container:other", "--userns", "keep-id"), "true")
    assert "conflicting options: --userns keep-id" in refused.err


def test_of_one_id_it_is_the_others_user(single_rcrun: Any) -> None:
    up(single_rcrun, "only", "-u", "guest")
    refused = single_rcrun(*run(single_rcrun, "--pid", "container:only"), "true")
    assert refused.status == 125
    assert "the container that is joined has one id, 1000" in refused.err
    words = run(single_rcrun, "--pid", "container:only", "-u", "guest")
    assert "sleep" in single_rcrun(*words, "ps", "-o", "comm").check().out


@pytest.mark.parametrize("link", ["/etc", "../../../etc", "/proc/1/root/etc"])
def test_memory_that_is_a_link_leads_nowhere(rcrun: Any, link: str) -> None:
    """A hostile container puts a link in the place of its /dev/shm: it is looked up within its own root."""
    up(rcrun, "hostile", "--ipc", "shareable", "--privileged")
    script = f"umount /dev/shm && rm -rf /dev/shm && ln -s {link} /dev/shm && echo trap >/etc/trap"
    rcrun("exec", "--privileged", "hostile", "sh", "-c", script).check()
    seen = rcrun(*run(rcrun, "--ipc", "container:hostile"), "ls", "/dev/shm")
    if seen.status == 0:
        assert seen.out.split() != sorted(os.listdir("/etc"))
        assert "trap" in seen.out  # its own /etc, which is what its own processes see there
    else:
        assert 'cannot share /dev/shm of container "hostile"' in seen.err


@pytest.fixture
def made(rcrun: Any) -> Iterator[int]:
    """A process of the account's in a user and a network namespace of its own."""
    words = ["unshare", "--user", "--map-root-user", "--net", "--uts", "sh", "-c"]
    process = rcrun.account.popen(
        *words, "hostname elsewhere; echo; exec sleep 100", stdout=subprocess.PIPE
    )
    process.stdout.readline()
    yield process.pid
    process.kill()
    process.communicate()


def test_a_namespace_at_a_path(rcrun: Any, made: int) -> None:
    """It gives one id, which is who made it; its owner is entered with it, by what the kernel says."""
    if rcrun.account.kind == "root":
        # its files are those of an id that the namespace has
        found = links(rcrun, *run(rcrun, "--uts", f"ns:/proc/{made}/ns/uts"))
        assert found["uts"] == os.readlink(f"/proc/{made}/ns/uts")
        return
    found = links(rcrun, *run(rcrun, "--network", f"ns:/proc/{made}/ns/net"))
    for kind in ("net", "user"):
        assert found[kind] == os.readlink(f"/proc/{made}/ns/{kind}")


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_a_namespace_that_is_not_ours(rcrun: Any) -> None:
    refused = rcrun(*run(rcrun, "--uts", "ns:/proc/self/ns/uts"), "true")
    assert refused.status == 125
    assert "only root may" in refused.err
    refused = rcrun(*run(rcrun, "--uts", "ns:/etc/passwd"), "true")
    assert 'the uts namespace "/etc/passwd": it is no namespace' in refused.err
    refused = rcrun(*run(rcrun, "--uts", "ns:/proc/self/ns/net"), "true")
    assert "it is a namespace, but no uts namespace" in refused.err
    refused = rcrun(*run(rcrun, "--uts", "ns:/no/where"), "true")
    assert "no such file or directory" in refused.err
