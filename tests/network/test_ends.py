"""The process that makes the network: it ends with the container, and where it or the monitor was killed nothing is left."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from network.servers import ask_tcp, free_port, is_refused
from waiting import wait_for

pytestmark = pytest.mark.requires("userns", "overlay", "network")


def state(rcrun, container: str, field: str) -> str:
    return rcrun("inspect", "-f", "{{.State." + field + "}}", container).check().out.strip()


def live_dir(rcrun, container: str) -> Path:
    return Path(rcrun.account.environ["RCRUN_RUNROOT"], "containers", container)


@pytest.mark.parametrize("end", [("stop", "-t", "0"), ("rm", "-f"), ("kill",)])
def test_it_ends_with_the_container(rcrun, kind, serve, helper_pid, end):
    number = free_port()
    web = serve("--network", kind, "-p", f"127.0.0.1:{number}:80")
    pid = helper_pid(web)
    assert pid
    rcrun(*end, web).check()
    assert is_refused("127.0.0.1", number)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"))


def test_it_ends_with_a_container_that_ends(rcrun, kind):
    rcrun("run", "--rm", "--network", kind, "busybox", "true").check()
    wait_for(lambda: not [line for line in rcrun.account.processes() if "pasta.pid" in line])


def test_a_killed_one_is_noticed_and_a_restart_mends_it(rcrun, serve, helper_pid, kill):
    number = free_port()
    web = serve("--network", "private", "-p", f"127.0.0.1:{number}:80")
    assert state(rcrun, web, "Error") == ""
    kill(helper_pid(web))
    assert rcrun("ps", "-q").check().out.strip() == web[:12]
    assert state(rcrun, web, "Running") == "true"
    name = rcrun("inspect", "-f", "{{.Name}}", web).out.strip().removeprefix("/")
    assert state(rcrun, web, "Error") == (
        f"the process that makes its network has ended: rcrun restart {name}"
    )
    rcrun("restart", "-t", "0", web).check()
    wait_for(lambda: ask_tcp("127.0.0.1", number).startswith("from "))
    assert state(rcrun, web, "Error") == ""


def test_the_monitor_was_killed_and_rm_cleans_up(rcrun, serve, helper_pid, kill):
    number = free_port()
    web = serve("--network", "private", "-p", f"127.0.0.1:{number}:80")
    pid = helper_pid(web)
    kill(int(state(rcrun, web, "ConmonPid")))
    rcrun("rm", "-f", web).check()
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"))
    assert is_refused("127.0.0.1", number)
    assert not live_dir(rcrun, web).exists()


def test_the_monitor_was_killed_and_the_next_start_has_the_port(rcrun, kind, serve, kill):
    number = free_port()
    web = serve("--network", kind, "-p", f"127.0.0.1:{number}:80")
    kill(int(state(rcrun, web, "ConmonPid")))
    wait_for(lambda: state(rcrun, web, "Running") == "false")  # it dies with its monitor
    rcrun("start", web).check()
    wait_for(lambda: ask_tcp("127.0.0.1", number).startswith("from "))


def test_another_process_with_the_number_is_left_alone(rcrun, serve):
    web = serve("--network", "none")
    with subprocess.Popen(["sleep", "1000"]) as other:
        (live_dir(rcrun, web) / "pasta.pid").write_text(f"{other.pid}\n", encoding="ascii")
        rcrun("rm", "-f", web).check()
        assert other.poll() is None
        other.kill()


@pytest.fixture
def broken_pasta(account, tmp_path) -> dict[str, str]:
    """The environment with a pasta that starts, and fails."""
    folder = account.new_dir("bin")
    program = folder / "pasta"
    program.write_text(
        "#!/bin/sh\n# --no-copy-routes\necho first >&2\necho no luck today >&2\nexit 1\n",
        encoding="ascii",
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return {"PATH": f"{folder}:{account.environ['PATH']}"}


@pytest.mark.requires("pasta", "slirp4netns")
def test_where_pasta_fails_slirp4netns_takes_over(rcrun, broken_pasta, helper_pid):
    number = free_port()
    words = ("--network", "private", "-p", f"127.0.0.1:{number}:80", "busybox")
    got = rcrun("run", "-d", *words, "sleep", "1000", env=broken_pasta).check()
    assert got.err == (
        "rcrun: warning: pasta could not make the network, slirp4netns does it instead: "
        "no luck today\n"
    )
    assert not is_refused("127.0.0.1", number)
    pid = helper_pid(got.out.strip())
    assert b"slirp4netns" in Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.requires("pasta")
def test_who_asks_for_pasta_gets_no_other(rcrun, broken_pasta):
    got = rcrun("run", "--rm", "--network", "pasta", "busybox", "true", env=broken_pasta)
    assert got.status == 125
    assert got.err == (
        "rcrun: error: cannot set up the network: pasta: first; no luck today\n"
        "hint: without a network of its own: --network=host or --network=none\n"
    )
    assert rcrun("ps", "-aq").out == ""
