"""podman create, start, kill, stop, restart, pause, stats, update, commit: a container's way through its life."""

from __future__ import annotations

import pytest

from peers.podman import NO_NETWORK

pytestmark = pytest.mark.requires("podman")
HANDLER = "trap 'echo caught; exit 9' TERM; trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done"


@pytest.fixture
def web(podman):
    """podman, with a container `web` that listens to signals."""
    options = ("--name", "web", *podman.cgroup, *NO_NETWORK)
    podman("run", "-d", *options, "busybox", "sh", "-c", HANDLER).check()
    podman.said("web", "ready")
    return podman


def test_create_start_and_wait(podman):
    podman(
        "create", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", "echo ran; exit 4"
    ).check()
    assert podman.status("web") == "created"
    assert podman("start", "-a", "web").status == 4
    assert podman("wait", "web").check().out == "4\n"
    assert podman.status("web") == "exited"
    assert podman("start", "-a", "web").out == "ran\n"


def test_init_prepares_the_runtimes_container(podman):
    podman("create", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", "echo ran").check()
    podman("init", "web").check()
    assert podman.status("web") == "initialized"
    container = podman("inspect", "-f", "{{.Id}}", "web").check().out.strip()
    assert podman.state(container)["status"] == "created"
    assert podman("start", "-a", "web").check().out == "ran\n"


def test_signals(web):
    web("kill", "-s", "USR1", "web").check()
    web.said("web", "usr1")
    web("kill", "-s", "TERM", "web").check()
    assert web("wait", "web").check().out == "9\n"
    assert "caught" in web("logs", "web").out


def test_killed(web):
    web("kill", "web").check()
    assert web("wait", "web").check().out == "137\n"
    assert web("kill", "web").status == 125


def test_stop_start_restart(web):
    web("stop", "-t", "10", "web").check()
    assert web("inspect", "-f", "{{.State.ExitCode}}", "web").out == "9\n"
    web("start", "web").check()
    before = web("inspect", "-f", "{{.State.Pid}}", "web").check().out
    web("restart", "-t", "10", "web").check()
    assert web.status("web") == "running"
    assert web("inspect", "-f", "{{.State.Pid}}", "web").check().out != before


def test_stop_of_one_that_does_not_listen(podman):
    podman("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "1000").check()
    podman("stop", "-t", "0", "web").check()
    assert podman("wait", "web").check().out == "137\n"


def test_removed_while_it_runs(web):
    container = web("inspect", "-f", "{{.Id}}", "web").check().out.strip()
    assert web("rm", "web").status != 0
    web("rm", "-f", "-t", "0", "web").check()
    assert web("container", "exists", "web").status == 1
    assert web.runtime("state", container).status != 0


def test_pause(web, with_cgroup):
    web("pause", "web").check()
    container = web("inspect", "-f", "{{.Id}}", "web").check().out.strip()
    assert web.status("web") == "paused"
    assert web.state(container)["status"] == "paused"
    assert web("exec", "web", "true").status != 0
    web("unpause", "web").check()
    assert web.status("web") == "running"
    web("exec", "web", "true").check()


def test_removed_while_it_is_paused(web, with_cgroup):
    web("pause", "web").check()
    web("rm", "-f", "-t", "0", "web").check()
    assert web("container", "exists", "web").status == 1


def test_stats(web, with_cgroup):
    row = web("stats", "--no-stream", "--format", "{{.Name}} {{.CPU}}", "web").check().out.split()
    assert row[0] == "web"
    assert float(row[1].rstrip("%") or 0) >= 0


def test_what_it_changed(web):
    web("exec", "web", "touch", "/tmp/new").check()
    assert "A /tmp/new" in web("diff", "web").check().out
    web("commit", "-q", "web", "changed").check()
    web.run("changed", "test", "-e", "/tmp/new").check()
    web("rmi", "-f", "changed").check()


def test_copy(web):
    web("cp", "web:/etc/os-release", "-").check()
    file = web.account.home / "copied"
    file.write_text("copied\n")
    web("cp", str(file), "web:/tmp/copied").check()
    assert web("exec", "web", "cat", "/tmp/copied").check().out == "copied\n"


def test_checkpoint_is_refused(web):
    given = web("container", "checkpoint", "web")
    assert given.status == 125
    assert web.status("web") == "running"


def test_events_of_a_death(web):
    web("kill", "web").check()
    web("wait", "web").check()
    events = web(
        "events", "--stream=false", "--filter", "container=web", "--format", "{{.Status}}"
    ).out
    assert {"start", "died"} <= set(events.split())


def test_a_restart_policy(podman):
    script = 'echo x >>/data/count; test "$(wc -l </data/count)" = 3'
    folder = podman.account.new_dir("count")
    options = ("--restart", "on-failure:5", "-v", f"{folder}:/data")
    podman(
        "run", "-d", "--name", "web", *options, *NO_NETWORK, "busybox", "sh", "-c", script
    ).check()
    podman.until_exited("web")
    assert (folder / "count").read_text() == "x\n" * 3


def test_update_of_limits(web, with_cgroup):
    """Where the controller is there; else an error that names it."""
    if web("update", "--help").status != 0:
        pytest.skip("this podman has no update")
    given = web("update", "--cpus", "0.5", "web")
    if "cpu" in web.account.room.controllers:
        assert given.check().out.strip()
    else:
        assert given.status != 0
        assert "cpu" in given.err
