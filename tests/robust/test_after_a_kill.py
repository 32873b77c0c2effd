"""What the soak has found: a container whose monitor was killed, or that goes away while somebody looks into it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from accounts import bin_dir
from network.servers import free_port
from robust.conftest import NO_NETWORK, end, is_there
from waiting import wait_for

SLEEPS = ("busybox", "sleep", "1000")


def kill_monitor(rcrun, name):
    """And wait until its container has gone with it."""
    form = "{{.State.ConmonPid}} {{.State.Pid}}"
    pids = [int(word) for word in rcrun("inspect", "-f", form, name).check().out.split()]
    end(pids[0])
    wait_for(lambda: not any(map(is_there, pids)))


def state_of(rcrun, name):
    return rcrun("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name).check().out.split()


def test_a_container_with_rm_starts_again_with_its_files(rcrun):
    """Its overlay is volatile, and the kernel mounts such a one once."""
    words = ("sh", "-c", "echo text >/file; sleep 1000")
    rcrun("run", "-d", "--rm", "--name", "web", *NO_NETWORK, "busybox", *words).check()
    rcrun("exec", "web", "sh", "-c", "until grep -q text /file; do sleep 0.01; done").check()
    kill_monitor(rcrun, "web")
    rcrun("cp", "web:/file", "-").check()
    rcrun("start", "web").check()
    assert rcrun("exec", "web", "cat", "/file").check().out == "text\n"
    rcrun("rm", "-f", "web").check()


def test_a_container_with_rm_of_another_boot_is_not_trusted(rcrun):
    """It goes, as any with --rm whose start fails."""
    rcrun("run", "-d", "--rm", "--name", "web", *NO_NETWORK, *SLEEPS).check()
    kill_monitor(rcrun, "web")
    found = rcrun("inspect", "-f", "{{.Id}}", "web").check().out.strip()
    path = rcrun.store_dir / "containers" / found / "container.json"
    text = path.read_text()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert boot in text
    path.write_text(text.replace(boot, "another-boot"))
    answer = rcrun("start", "web")
    assert answer.status == 1
    assert 'cannot use the files of container "web": the host went down while it ran' in answer.err
    assert rcrun("ps", "-aq").out == ""


@pytest.mark.requires("network")
@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_a_start_that_fails_after_it_keeps_the_end(rcrun):
    port = free_port()
    rcrun("run", "-d", "--name", "web", "-p", f"127.0.0.1:{port}:80", *SLEEPS).check()
    kill_monitor(rcrun, "web")
    assert state_of(rcrun, "web") == ["exited", "137"]
    rcrun("stop", "web").check()
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
        holder.listen()
        assert "port is already allocated" in rcrun("start", "web").err
    assert state_of(rcrun, "web") == ["exited", "137"]


def test_one_that_was_paused_starts_again(delegated_account, shared_stores):
    rcrun = shared_stores(delegated_account)
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, *SLEEPS).check()
    rcrun("pause", "web").check()
    kill_monitor(rcrun, "web")
    rcrun("start", "web").check()
    assert state_of(rcrun, "web") == ["running", "0"]
    rcrun("rm", "-f", "web").check()
    assert delegated_account.groups_left() == []


@pytest.mark.parametrize("verb", ["export", "diff"])
def test_removed_while_somebody_reads(rcrun, verb):
    """What is left of it by then is not the whole: that must not look like success."""
    script = "mkdir /many; cd /many; i=0; while [ $i -lt 4000 ]; do : >a-file-with-a-very-long-name-that-fills-a-pipe-soon-$i; i=$((i+1)); done"
    words = ("run", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", script)
    rcrun(*words).check()
    process = rcrun.popen(verb, "web", stdout=-1, stderr=-1)
    with process:
        process.stdout.read(1)
        rcrun("rm", "-f", "web").check()
        errors = process.communicate(timeout=60)[1].decode()
    assert (process.returncode, errors) == (1, "rcrun: error: no such container: web\n")


def test_attach_that_comes_too_late(rcrun):
    """Between the look at it and the call: the client is stopped there."""
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, *SLEEPS).check()
    socket_path = rcrun.account.runtime_dir / "rcrun/containers"
    found = rcrun("inspect", "-f", "{{.Id}}", "web").check().out.strip()
    os.unlink(socket_path / found / "attach.sock")
    answer = rcrun("attach", "web")
    assert answer.status == 1
    assert answer.err == "rcrun: error: container not running: it has ended meanwhile\n"
    rcrun("rm", "-f", "web").check()


@pytest.mark.requires("strace")
def test_killed_before_the_record_names_its_cgroup(delegated_account, shared_stores, tmp_path):
    """Between the two a run leaves a group that only its note tells of."""
    rcrun = shared_stores(delegated_account)
    words = ("run", "-d", "--name", "web", *NO_NETWORK, *SLEEPS)
    rule = (
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=memfd_create",
        "-e",
        "inject=memfd_create:signal=SIGKILL",
    )
    folder = rcrun.store_dir / "containers"
    before = set(os.listdir(folder))  # of others with this store, killed while they began
    answer = rcrun.account.run("strace", *rule, bin_dir() / "rcrun", *words, env=rcrun.env)
    assert answer.status in (137, -9)
    (left,) = set(os.listdir(folder)) - before
    assert (folder / left / "cgroup").exists()
    os.utime(folder / left, (0, 0))
    rcrun("container", "prune", "-f").check()
    assert not (folder / left).exists()
    assert delegated_account.groups_left() == []


@pytest.mark.requires("network")
@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.parametrize("removed", [(), ("--rm",)])
def test_the_networks_process_was_about_to_begin(rcrun, traces, account, removed):
    """Nobody knows its number then: it has none in its file yet."""
    folder = account.new_dir("slow")
    (folder / "pasta").write_text('#!/bin/sh\nsleep 2\nexec /usr/bin/pasta "$@"\n')
    (folder / "pasta").chmod(0o755)
    path = f"{folder}:{account.environ['PATH']}"
    words = ("run", "-d", *removed, "--name", "web", "--network", "private", *SLEEPS)
    process = rcrun.popen(*words, env={"PATH": path}, stdout=-1, stderr=-1)
    with process:
        monitor = await_process(traces, "pasta")
        end(parent_of(monitor))
        process.communicate(timeout=60)
    rcrun("rm", "-f", "web").check()
    traces.check_nothing_left()


def await_process(traces, name):
    return wait_for(lambda: [pid for pid, found in traces.processes().items() if found == name])[0]


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_cp_waits_for_a_monitor_that_is_at_its_end(rcrun, account):
    """It takes a --rm container away, and asks nobody for the lock."""
    rcrun("run", "--name", "web", *NO_NETWORK, "busybox", "true").check()
    found = rcrun("inspect", "-f", "{{.Id}}", "web").check().out.strip()
    folder, name = rcrun.store_dir / "containers" / found, rcrun.store_dir / "names/web"
    with account.popen("sh", "-c", f"sleep 1; rm -r {folder} {name}") as monitor:
        start = int(Path(f"/proc/{monitor.pid}/stat").read_text().rpartition(")")[2].split()[19])
        state = {"monitor": monitor.pid, "monitor_start": start, "pid": 1, "pid_start": 1}
        live = account.runtime_dir / "rcrun/containers" / found
        (live / "state.json").write_text(json.dumps({**state, "started": 1}))
        answer = rcrun("cp", "web:/etc/passwd", "-")
    assert (answer.status, answer.err) == (1, "rcrun: error: no such container: web\n")


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_several_sweep_the_same_trash(rcrun, account):
    """Each finds it, and one is first."""
    trash = rcrun.store_dir / "trash"
    for _ in range(6):
        script = f"mkdir -p {trash} && cd {trash} && for n in 1 2 3 4 5 6; do mkdir -p $n/a/b; done"
        account.run("sh", "-c", script).check()
        words = ("container", "prune", "-f")
        processes = [rcrun.popen(*words, stdout=-1, stderr=-1) for _ in range(6)]
        answers = [process.communicate(timeout=60) for process in processes]
        assert [err for _, err in answers if err] == []
        assert os.listdir(trash) == []


# Its parent is gone before it has told the number, and it goes on.
FORKED = """#!/bin/sh
for word; do [ "$before" != --pid ] || : >"$word"; before=$word; done
python3 -c 'import time; time.sleep(1000)' "$@" &
kill -9 $$
"""
# The same, but whoever waits for it is killed.
STUCK = FORKED.replace("&\nkill -9 $$", "")


@pytest.mark.requires("network")
@pytest.mark.parametrize("script", [FORKED, STUCK])
def test_the_rooms_process_had_not_told_its_number(rcrun, traces, account, script):
    folder = account.new_dir("forked")
    (folder / "pasta").write_text(script)
    (folder / "pasta").chmod(0o755)
    path = f"{folder}:{account.environ['PATH']}"
    words = ("run", "-d", "--name", "web", "--network", "bridge", *SLEEPS)
    process = rcrun.popen(*words, env={"PATH": path}, stdout=-1, stderr=-1)
    with process:
        if script == STUCK:
            wait_for(lambda: any(is_stuck(pid) for pid in traces.processes()))
            process.kill()
        process.communicate(timeout=60)
    traces.clean()
    traces.check_nothing_left()


def is_stuck(pid):
    try:
        return b"sleep(1000)" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
