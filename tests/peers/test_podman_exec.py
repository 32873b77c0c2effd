"""podman exec, healthcheck run and top: more processes in a container that runs."""

from __future__ import annotations

import pytest

from peers.podman import NO_NETWORK, links

pytestmark = pytest.mark.requires("podman")


@pytest.fixture
def web(podman):
    """A container that runs, with little of everything; podman itself."""
    options = ("--user", "1000:1000", "-e", "A=one", "--hostname", "box", "-w", "/tmp")
    podman("run", "-d", "--name", "web", *options, *NO_NETWORK, "busybox", "sleep", "1000").check()
    return podman


@pytest.mark.parametrize(
    ("words", "status"),
    [(("true",), 0), (("sh", "-c", "exit 3"), 3), (("/etc/passwd",), 126), (("/nowhere",), 127),
     (("sh", "-c", "kill -9 $$"), 137)],
)  # fmt: skip
def test_exit_status(web, words, status):
    assert web("exec", "web", *words).status == status


def test_it_is_in_the_container(web, with_cgroup):
    kinds = ("ipc", "mnt", "net", "pid", "user", "uts", "cgroup")
    assert web.names("web", *kinds) != web.account.run(*links(kinds)).out.split()
    init = web("top", "web", "hpid").check().out.split()[1]
    script = f'for kind in {" ".join(kinds)}; do readlink "/proc/{init}/ns/$kind"; done'
    assert web.unshare("sh", "-c", script).check().out.split() == web.names("web", *kinds)


def test_it_begins_as_the_container_did(web):
    out = web("exec", "web", "sh", "-c", "id -u; id -g; pwd; echo $A; hostname").check().out
    assert out.split() == ["1000", "1000", "/tmp", "one", "box"]


def test_user_directory_and_environment(web):
    options = ("-u", "0:10", "-w", "/etc", "-e", "A=two", "-e", "B=new")
    script = "id -u; id -g; pwd; echo $A $B; grep CapEff /proc/self/status"
    out = web("exec", *options, "web", "sh", "-c", script).check().out.split()
    assert out[:5] == ["0", "10", "/etc", "two", "new"]
    assert int(out[-1], 16) > 0
    assert web("exec", "-w", "/nowhere", "web", "true").status != 0


def test_privileged(web):
    show = ("grep", "CapEff", "/proc/self/status")
    plain = int(web("exec", "-u", "0", "web", *show).check().out.split()[1], 16)
    everything = int(
        web("exec", "--privileged", "-u", "0", "web", *show).check().out.split()[1], 16
    )
    assert plain < everything
    assert everything > 1 << 36


def test_streams(web):
    given = web("exec", "-i", "web", "sh", "-c", "cat; echo done >&2", input=b"x" * 200_000).check()
    assert (given.stdout, given.err) == (b"x" * 200_000, "done\n")


def test_detached(web):
    web("exec", "-d", "-u", "0", "web", "sh", "-c", "echo here >/tmp/made; sleep 1000").check()
    script = "until grep here /tmp/made 2>/dev/null; do sleep 0.05; done"
    assert web("exec", "web", "sh", "-c", script).check().out == "here\n"


def test_preserved_descriptors(web):
    (web.account.home / "third").write_text("from three\n")
    words = ("exec", "--preserve-fds", "1", "web", "sh", "-c", "cat <&3")
    assert web.behind("exec 3<third", *words).check().out == "from three\n"


def test_several_at_once(web):
    started = [web.popen("exec", "web", "sh", "-c", f"exit {number + 10}") for number in range(6)]
    assert [process.wait(60) for process in started] == [10, 11, 12, 13, 14, 15]


def test_top(web, with_cgroup):
    web("exec", "-d", "web", "sleep", "2000").check()
    rows = web("top", "web", "pid", "args").check().out.splitlines()
    assert [row.split(maxsplit=1)[1].strip() for row in rows] == [
        "COMMAND",
        "sleep 1000",
        "sleep 2000",
    ]


def test_health(podman):
    check = ("--health-cmd", "test -e /tmp/well", "--health-interval", "disable")
    podman("run", "-d", "--name", "web", *check, *NO_NETWORK, "busybox", "sleep", "1000").check()
    assert podman("healthcheck", "run", "web").status == 1
    podman("exec", "web", "touch", "/tmp/well").check()
    podman("healthcheck", "run", "web").check()
    shown = podman("inspect", "-f", "{{.State.Health.Status}}", "web").check().out
    assert shown == "healthy\n"


def test_a_container_that_has_ended(podman):
    podman("run", "--name", "web", *NO_NETWORK, "busybox", "true").check()
    given = podman("exec", "web", "true")
    assert given.status == 255 or given.status == 125
    assert "running" in given.err
