"""The same lines as rcrun, as docker and as podman: statuses and stdout, by what the real ones do (CONVENTIONS)."""

from __future__ import annotations

import shlex

import pytest

from accounts import bin_dir

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

# The line; statuses as rcrun, docker, podman; what all of them print on stdout (None: not the same, or not looked at).
READING = [
    ("ps", 0, 0, 0, None),
    ("ps --nosuch", 125, 125, 125, ""),
    ("ps extra", 1, 1, 125, ""),
    ("ps --filter nosuch=1", 1, 1, 125, ""),
    ("ps --format {{.Nosuch}}", 1, 1, 125, ""),
    ("ps --format {{.Names", 1, 1, 125, ""),
    ("nosuch", 1, 1, 125, ""),
    ("volume nosuch", 1, 1, 125, ""),
    ("volume ls --nosuch", 125, 125, 125, ""),
    ("inspect nosuch", 1, 1, 125, "[]\n"),
    ("inspect -f {{.Id}} nosuch", 1, 1, 125, ""),
    ("inspect --type container busybox", 1, 1, 125, "[]\n"),
    ("inspect", 1, 1, 125, ""),
    ("image inspect nosuch", 1, 1, 125, "[]\n"),
    ("volume inspect nosuch", 1, 1, 125, "[]\n"),
    ("rm", 1, 1, 125, ""),
    ("rmi", 1, 1, 125, ""),
    ("start", 1, 1, 125, ""),
    ("stop", 1, 1, 125, ""),
    ("rm nosuch", 1, 1, 1, ""),
    ("rm -f nosuch", 0, 0, 0, ""),
    ("rm one", 1, 1, 2, ""),
    ("rm nosuch one", 1, 1, 2, ""),
    ("rmi nosuch", 1, 1, 1, ""),
    ("rmi busybox", 1, 1, 2, ""),
    ("volume rm nosuch", 1, 1, 1, ""),
    ("volume rm held", 1, 1, 2, ""),
    ("stop nosuch", 1, 1, 125, ""),
    ("stop two", 0, 0, 0, "two\n"),
    ("start nosuch", 1, 1, 125, ""),
    ("start one", 0, 0, 0, "one\n"),
    ("kill two", 1, 1, 125, ""),
    ("kill nosuch", 1, 1, 125, ""),
    ("pause two", 1, 1, 125, ""),
    ("unpause nosuch", 1, 1, 125, ""),
    ("wait nosuch", 1, 1, 125, ""),
    ("wait two", 0, 0, 0, "3\n"),
    ("logs nosuch", 1, 1, 125, ""),
    ("logs two", 0, 0, 0, None),
    ("top two", 1, 1, 125, ""),
    ("attach two", 1, 1, 125, ""),
    ("port two", 0, 0, 0, ""),
    ("port nosuch", 1, 1, 125, ""),
    ("rename two one", 1, 1, 125, ""),
    ("tag nosuch x", 1, 1, 125, ""),
    ("history nosuch", 1, 1, 125, ""),
    ("save nosuch", 1, 1, 125, ""),
    ("commit nosuch", 1, 1, 125, ""),
    ("diff nosuch", 1, 1, 125, ""),
    ("export nosuch", 1, 1, 125, ""),
    ("cp nosuch:/x .", 1, 1, 125, ""),
    ("exec nosuch true", 1, 1, 125, ""),
    ("exec one sh -c 'exit 9'", 9, 9, 9, ""),
    ("exec one nosuch", 127, 127, 127, ""),
    ("exec one /etc", 126, 126, 126, ""),
    ("container exists one", 0, 0, 0, ""),
    ("container exists nosuch", 1, 1, 1, ""),
    ("image exists nosuch", 1, 1, 1, ""),
    ("volume exists nosuch", 1, 1, 1, ""),
    ("secret exists nosuch", 1, 1, 1, ""),
    ("run --rm --network none busybox sh -c 'exit 42'", 42, 42, 42, ""),
    ("run --rm --network none busybox nosuch", 127, 127, 127, ""),
    ("run --rm --network none busybox /etc", 126, 126, 126, ""),
    ("run --rm --nosuch busybox", 125, 125, 125, ""),
    ("run --rm --pull never nosuch", 125, 125, 125, ""),
    ("run --rm --name one --network none busybox", 125, 125, 125, ""),
    ("start -a two", 3, 3, 3, "out\n"),
]  # fmt: skip


@pytest.fixture
def stopped(rcrun):
    """`one` runs, `two` ended with status 3 and has a volume."""
    words = ["--network", "none", "--stop-signal", "KILL"]
    rcrun("run", "-d", "--name", "one", *words, "busybox", "sleep", "1000").check()
    script = "echo out; echo err >&2; exit 3"
    rcrun("run", "--name", "two", "-v", "held:/x", *words, "busybox", "sh", "-c", script)
    yield rcrun
    rcrun("rm", "-f", "one", "two")
    rcrun("volume", "rm", "held")


@pytest.mark.parametrize("name", ["rcrun", "docker", "podman"])
def test_statuses_and_output(stopped, name):
    folder = stopped.account.new_dir("bin")
    (folder / name).symlink_to(bin_dir() / "rcrun")
    column = ("rcrun", "docker", "podman").index(name)
    wrong = []
    for line, *statuses, out in READING:
        got = stopped.account.run(folder / name, *shlex.split(line), env=stopped.env)
        if got.status != statuses[column] or (out is not None and got.out != out):
            wrong.append(f"{line}: {got!r}")
        elif got.status == 125 and not got.err:
            wrong.append(f"{line}: says nothing")
    assert not wrong, "\n".join(wrong)


STREAMS = [
    # what prints its names as typed, one a line
    ("start two", "two\n"),
    ("restart -t 0 one two", "one\ntwo\n"),
    ("stop -t 0 two one", "two\none\n"),
    ("rm two one", "two\none\n"),
    ("volume create fresh", "fresh\n"),
    ("volume rm fresh", "fresh\n"),
]


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_names_are_printed_as_typed_and_nothing_else(stopped, name):
    folder = stopped.account.new_dir("bin")
    (folder / name).symlink_to(bin_dir() / "rcrun")
    for line, out in STREAMS:
        got = stopped.account.run(folder / name, *shlex.split(line), env=stopped.env)
        assert (got.status, got.out, got.err) == (0, out, ""), (line, got)


def test_lists_as_podman_has_them(rcrun):
    """Lists and maps where docker has texts, its own JSON, and the oldest first."""
    import json

    folder = rcrun.account.new_dir("bin")
    (folder / "podman").symlink_to(bin_dir() / "rcrun")

    def podman(*words):
        return rcrun.account.run(folder / "podman", *words, env=rcrun.env).check().out

    for name in ("first", "second"):
        words = ["--name", name, "--network", "none", "--label", f"n={name}", "-v", "/data"]
        rcrun("create", *words, "busybox", "sleep", "5").check()
    assert podman("ps", "-a", "--format", "{{.Names}}") == "first\nsecond\n"
    assert podman("ps", "-a", "--format", '{{index .Labels "n"}} {{.Mounts}} {{.Command}}') == (
        "first [/data] sleep 5\nsecond [/data] sleep 5\n"
    )
    listed = json.loads(podman("ps", "-a", "--format", "json"))
    assert [each["Names"] for each in listed] == [["first"], ["second"]]
    first = listed[0]
    assert (first["Command"], first["Labels"]["n"], first["Mounts"]) == (
        ["sleep", "5"],
        "first",
        ["/data"],
    )
    assert len(first["Id"]) == len(first["ImageID"]) == 64
    assert (first["State"], first["ExitCode"], first["Exited"], first["Pid"]) == (
        "created",
        0,
        False,
        0,
    )
    one = json.loads(podman("ps", "-a", "--filter", "name=first", "--format", "{{json .}}"))
    assert one["Id"] == first["Id"]
    images = json.loads(podman("images", "--format", "json"))
    assert images[0]["Names"] == ["docker.io/library/busybox:latest"]
    assert isinstance(images[0]["Size"], int)
    steps = json.loads(podman("history", "busybox", "--format", "json"))
    assert steps[0]["tags"] == ["docker.io/library/busybox:latest"]
    assert podman("images", "--format", "{{.Id}} {{.RepoTags}}").startswith(images[0]["Id"])
    lines = rcrun("ps", "-a", "--format", "json").check().out.splitlines()
    assert [json.loads(line)["Names"] for line in lines] == ["second", "first"]
    rcrun("rm", "-v", "first", "second").check()
