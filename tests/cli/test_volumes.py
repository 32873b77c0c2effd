"""`volume` and `secret` as scripts rely on them: statuses, streams, words, as rcrun, as docker and as podman."""

from __future__ import annotations

import json
import os
import re

import pytest

from accounts import bin_dir
from engine.volumes import clean, up

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]


@pytest.fixture
def called(rcrun):
    """`called(NAME)(ARG…)` starts rcrun through a link of that name."""
    folder = rcrun.account.new_dir("bin")

    def link(name):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(bin_dir() / "rcrun")
        return lambda *words, **more: rcrun.account.run(
            folder / name, *words, env=rcrun.env, **more
        )

    return link


@pytest.fixture
def stocked(rcrun):
    """`used` has a container, `free` has none, `pw` is a secret."""
    clean(rcrun)
    rcrun("volume", "create", "free").check()
    up(rcrun, "web", "-v", "used:/d")
    rcrun("secret", "create", "pw", "-", input="x").check()
    yield rcrun
    clean(rcrun)


# words, then status, stdout and what stderr holds, as rcrun or docker; the status as podman
TABLE = [
    ("volume create new", 0, "new\n", "", 0),
    ("volume create free", 0, "free\n", "", 125),
    ("volume create --ignore free", 0, "free\n", "", 0),
    ("volume create --name new", 0, "new\n", "", 0),
    ("volume create a/b", 1, "", 'invalid volume name "a/b"', 125),
    ("volume create -d nfs new", 1, "", 'unknown volume driver "nfs"', 125),
    ("volume create -o type=nfs new", 1, "", 'volumes of type "nfs" are not supported', 125),
    ("volume create -o size=1 new", 1, "", 'unknown option "size" of a volume', 125),
    ("volume create --nosuch new", 125, "", "--nosuch", 125),
    ("volume rm free", 0, "free\n", "", 0),
    ("volume rm nosuch", 1, "", "o such volume: nosuch", 1),
    ("volume rm used", 1, "", "volume is in use - [", 2),
    ("volume rm nosuch used free", 1, "free\n", "volume is in use - [", 2),
    ("volume rm -f nosuch", 0, "", "", 0),
    ("volume rm", 1, "", "rm needs at least one volume", 125),
    ("volume inspect nosuch", 1, "[]\n", "o such volume: nosuch", 125),
    ("volume inspect -f {{.Name}} free nosuch", 1, "free\n", "o such volume: nosuch", 125),
    ("volume inspect", 1, "", "inspect needs at least one volume", 125),
    ("volume exists free", 0, "", "", 0),
    ("volume exists nosuch", 1, "", "", 1),
    ("volume ls -q", 0, "free\nused\n", "", 0),
    ("volume ls", 0, "DRIVER    VOLUME NAME\nlocal     free\nlocal     used\n", "", 0),
    ("volume ls -n", 0, "local     free\nlocal     used\n", "", 0),
    ("volume ls --format {{.Name}}:{{.Driver}}:{{.Scope}}", 0, "free:local:local\nused:local:local\n", "", 0),
    ("volume ls -f nosuch=1", 1, "", 'invalid filter "nosuch=1"', 125),
    ("volume ls -f dangling=maybe", 1, "", 'invalid filter "dangling=maybe"', 125),
    ("volume ls -f name=(", 1, "", 'invalid filter "name=("', 125),
    ("volume prune", 1, "", "standard input is no terminal", 125),
    ("volume mount free", 1, "", 'there is no command "volume mount" yet', 125),
    ("secret exists pw", 0, "", "", 0),
    ("secret exists nosuch", 1, "", "", 1),
    ("secret rm nosuch", 1, "", "no such secret: nosuch", 1),
    ("secret rm", 1, "", "rm needs at least one secret", 125),
    ("secret inspect nosuch", 1, "[]\n", "no such secret: nosuch", 125),
    ("secret ls -f name=none", 0, "ID        NAME      DRIVER    CREATED   UPDATED\n", "", 0),
    ("secret create pw /etc/hostname", 1, "", 'the secret name "pw" is already in use', 125),
    ("secret create pw", 1, "", "missing argument", 125),
]  # fmt: skip


# What each says instead.
THEIRS = {
    ("docker", "o such volume: nosuch"): "get nosuch: no such volume",
    ("podman", "o such volume: nosuch"): 'no volume with name "nosuch" found: no such volume',
    ("docker", "no such secret: nosuch"): "secret nosuch not found",
    ("podman", "no such secret: nosuch"): 'no secret with name or id "nosuch": no such secret',
    ("docker", 'there is no command "volume mount" yet'): "unknown command: docker volume mount",
    ("podman", 'there is no command "volume mount" yet'): "unrecognized command `podman volume mount`",
}  # fmt: skip


@pytest.mark.parametrize("name", ["rcrun", "docker", "podman"])
@pytest.mark.parametrize(("line", "status", "out", "err", "podman_status"), TABLE)
def test_status_and_streams(stocked, called, name, line, status, out, err, podman_status):
    got = called(name)(*line.split())
    expected = podman_status if name == "podman" else status
    assert got.status == expected, repr(got)
    if status == expected or not podman_status:
        apart = (lambda text: re.sub("  +", "  ", text)) if name == "podman" else str
        assert apart(got.out) == apart(out), repr(got)
    if err:
        assert THEIRS.get((name, err), err) in got.err, repr(got)
    elif got.status == 0:
        assert got.err == ""


def test_docker_says_no_such_volume_as_scripts_look_for_it(stocked, called):
    got = called("docker")("volume", "rm", "nosuch")
    assert got.err.startswith("Error response from daemon: get nosuch: no such volume\n")


def test_json_of_lists(stocked, called):
    lines = called("docker")("volume", "ls", "--format", "json").check().out.splitlines()
    assert [json.loads(line)["Name"] for line in lines] == ["free", "used"]
    assert json.loads(lines[0])["Labels"] == ""
    rows = json.loads(called("podman")("volume", "ls", "--format", "json").check().out)
    assert [(row["Name"], row["Labels"], row["MountCount"]) for row in rows] == [
        ("free", {}, 0), ("used", {}, 1),
    ]  # fmt: skip


def test_podmans_force_takes_the_containers_along(stocked, called):
    assert called("podman")("volume", "rm", "-f", "used", "nosuch").check().out == "used\n"
    assert stocked("ps", "-aq").out == ""


def test_prunes_of_each(stocked, called):
    stocked("volume", "create").check()
    name = stocked("volume", "ls", "-q", "-f", "anonymous=1").out
    assert called("podman")("volume", "prune", "-f").check().out == name
    got = called("docker")("volume", "prune", "-f", "--filter", "all=1").check()
    assert got.out == "Deleted Volumes:\nfree\n\nTotal reclaimed space: 0B\n" or re.fullmatch(
        r"Deleted Volumes:\nfree\n\nTotal reclaimed space: \d+B\n", got.out
    )


def test_secrets_of_each(stocked, called):
    made = called("podman")("secret", "create", "new", "/etc/hostname").check().out
    assert re.fullmatch(r"[0-9a-f]{25}\n", made)
    assert called("podman")("secret", "rm", "new").check().out == made
    assert called("docker")("secret", "rm", "pw").check().out == "pw\n"


# ---- a terminal


@pytest.fixture
def terminal():
    controller, terminal = os.openpty()
    yield controller, terminal
    os.close(controller)
    os.close(terminal)


def test_archives_are_not_for_terminals(stocked, terminal):
    _, fd = terminal
    got = stocked("volume", "export", "free", stdout=fd)
    assert got.status == 1
    assert "the archive is not for a terminal\nhint: rcrun volume export -o FILE free" in got.err
    got = stocked("volume", "import", "free", stdin=fd)
    assert "no archive on standard input\nhint: rcrun volume import free FILE" in got.err
    got = stocked("secret", "create", "new", "-", stdin=fd)
    assert "no secret on standard input" in got.err


@pytest.mark.parametrize(
    ("answer", "left"), [(b"y\n", "used\n"), (b"n\n", "free\nused\n"), (b"\n", "free\nused\n")]
)
def test_prune_asks(stocked, terminal, answer, left):
    controller, fd = terminal
    os.write(controller, answer)
    got = stocked("volume", "prune", "-a", stdin=fd).check()
    assert got.err == (
        "WARNING! This will remove all local volumes not used by at least one container.\n"
        "Are you sure you want to continue? [y/N] "
    )
    assert stocked("volume", "ls", "-q").out == left
