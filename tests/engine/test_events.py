"""The log of events: who writes what, docker's and podman's forms, filters, following, rotation."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from accounts import bin_dir
from waiting import wait_for, waits

# Root is no other case here, and the whole takes long enough.
pytestmark = pytest.mark.parametrize("account", ["user"], indirect=True)

NO_NETWORK = ("--network", "none")


@pytest.fixture
def log(rcrun):
    """What was written since the test began, as `KIND ACTION` words."""
    begun = f"{time.time():.9f}"

    def read(*words, form="{{.Type}} {{.Action}}", run=rcrun):
        options = ["events", "--since", begun, "--no-stream", "--format", form]
        return run(*options, *words).check().out.splitlines()

    return read


@pytest.fixture
def podman(rcrun):
    """rcrun under that name."""
    link = rcrun.account.new_dir("bin") / "podman"
    link.symlink_to(bin_dir() / "rcrun")
    return lambda *words, **more: rcrun.account.run(
        link, *words, **{"env": {**rcrun.env, **more.pop("env", {})}, **more}
    )


def create(rcrun, *options, name="web", command=("sleep", "100")):
    words = ["run", "-d", "--name", name, *options, *NO_NETWORK, "busybox", *command]
    return rcrun(*words).check().out.strip()


def test_the_life_of_a_container(rcrun, log):
    create(rcrun)
    rcrun("stop", "-t", "0", "web").check()
    rcrun("start", "web").check()
    rcrun("rename", "web", "shop").check()
    rcrun("kill", "shop").check()
    rcrun("rm", "shop").check()
    assert log() == [
        "container create", "container start", "container kill", "container kill", "container die",
        "container stop", "container start", "container rename", "container kill", "container die",
        "container destroy",
    ]  # fmt: skip
    assert log("--filter", "event=die", form="{{.Actor.Attributes.name}}") == ["web", "shop"]
    codes = log("--filter", "status=died", form="{{.Actor.Attributes.exitCode}}")
    assert codes == ["137", "137"]


def test_the_foreground(rcrun, log):
    rcrun("run", "--rm", *NO_NETWORK, "busybox", "sh", "-c", "exit 3")
    words = [line.partition(" ")[2] for line in log()]
    assert words == ["create", "attach", "start", "die", "destroy"]


def test_restart_and_its_policy(rcrun, log):
    create(rcrun, "--restart", "on-failure:1", command=("sh", "-c", "exit 1"))
    wait_for(lambda: log().count("container die") == 2)
    assert log() == ["container create", *["container start", "container die"] * 2]
    rcrun("restart", "web").check()
    assert "container restart" in log()


def test_exec(rcrun, log):
    create(rcrun)
    rcrun("exec", "web", "sh", "-c", "exit 4")
    found = [line for line in log() if "exec" in line]
    assert found == [
        "container exec_create: sh -c exit 4", "container exec_start: sh -c exit 4", "container exec_die",
    ]  # fmt: skip
    ids = set(log("--filter", "event=exec_die", form="{{.Actor.Attributes.execID}}"))
    ids.update(log("--filter", "event=exec_create", form="{{.Actor.Attributes.execID}}"))
    assert len(ids) == 1
    assert log("--filter", "event=exec_die", form="{{.Actor.Attributes.exitCode}}") == ["4"]


def test_health(rcrun, log):
    create(rcrun, "--health-cmd", "true", "--health-interval", "50ms")
    wait_for(lambda: "container health_status: healthy" in log())
    assert log("--filter", "health_status=healthy")
    assert not log("--filter", "health_status=unhealthy")
    assert log("--filter", "event=health_status") == ["container health_status: healthy"]


def test_images_and_volumes(rcrun, log):
    rcrun("tag", "busybox", "other:1").check()
    rcrun("rmi", "other:1").check()
    rcrun("volume", "create", "--label", "x=y", "data").check()
    rcrun("volume", "create", "data").check()  # it is there
    rcrun("volume", "rm", "data").check()
    assert log() == ["image tag", "image untag", "volume create", "volume destroy"]
    assert log("--filter", "type=image", form="{{.Actor.Attributes.name}}") == ["other:1"] * 2
    assert log("--filter", "volume=data", form="{{.Actor.ID}}") == ["data"] * 2


def test_other_verbs(rcrun, log, tmp_path):
    create(rcrun)
    rcrun("cp", "web:/etc/passwd", "-").check()
    rcrun("export", "web").check()
    words = [line.partition(" ")[2] for line in log()]
    assert words[2:] == ["archive-path", "export"]


def test_dockers_line(rcrun, log):
    container_id = create(rcrun, "--label", "a=b")
    line = rcrun("events", "--since", "1m", "--no-stream", "--filter", f"container={container_id[:12]}", env={"TZ": "UTC"}).check().out.splitlines()[0]  # fmt: skip
    when, rest = line.split(" ", 1)
    assert rest.startswith(f"container create {container_id} (a=b, image=busybox, name=web")
    assert len(when) == len("2026-11-23T08:00:00.123456789Z")
    assert (when[10], when[-1]) == ("T", "Z")


def test_dockers_json(rcrun, log):
    container_id = create(rcrun)
    event = json.loads(log(form="json")[1])
    assert {key: event[key] for key in ("status", "id", "from", "Type", "Action", "scope")} == {
        "status": "start", "id": container_id, "from": "busybox", "Type": "container", "Action": "start",
        "scope": "local",
    }  # fmt: skip
    assert event["Actor"]["ID"] == container_id
    assert event["Actor"]["Attributes"]["name"] == "web"
    assert event["timeNano"] // 1_000_000_000 == event["time"]


def test_podmans_forms(rcrun, log, podman):
    create(rcrun, command=("sh", "-c", "exit 2"))
    rcrun("wait", "web").check()
    event = json.loads(log("--filter", "event=died", form="json", run=podman)[0])
    assert (event["Status"], event["Name"], event["ContainerExitCode"]) == ("died", "web", 2)
    words = ["events", "--until", "0s", "--stream=false", "--filter", "container=web"]
    line = podman(*words, env={"TZ": "UTC"}).check().out.splitlines()[-1]
    assert " +0000 UTC container died " in line
    assert "(image=busybox, name=web, " in line


def test_following(rcrun):
    words = ["events", "--filter", "container=web", "--format", "{{.Action}}"]
    with rcrun.popen(*words, stdout=-1) as process:
        wait_for(lambda: waits(process.pid, "anon_inode:inotify"))
        create(rcrun, command=("true",))
        seen = [process.stdout.readline() for _ in range(3)]
        process.terminate()
    assert seen == [b"create\n", b"start\n", b"die\n"]


def test_until_ends_it(rcrun):
    begun = time.monotonic()
    until = f"{time.time() + 1:.3f}"
    rcrun("events", "--since", "1m", "--until", until).check()
    assert 0.5 < time.monotonic() - begun < 60


def test_labels_and_types(rcrun, log):
    create(rcrun, "--label", "team=a")
    create(rcrun, "--label", "team=b", name="other")
    assert log("--filter", "label=team=a", "--filter", "event=create") == ["container create"]
    assert len(log("--filter", "label=team", "--filter", "event=create")) == 2
    assert len(log("--filter", "container=web", "--filter", "container=other")) == 4
    assert log("--filter", "type=volume") == []
    assert len(log("--filter", "image=busybox", "--filter", "event=start")) == 2


def test_what_is_refused(rcrun):
    got = rcrun("events", "--no-stream", "--filter", "colour=red")
    assert got.status == 1
    assert 'invalid filter "colour=red"' in got.err
    assert 'invalid time "soon"' in rcrun("events", "--since", "soon").err


def test_rotation_loses_nothing_that_is_followed(rcrun, log):
    """Two files of a megabyte; who follows goes on with the new one."""
    create(rcrun)
    path = Path(rcrun("info", "--format", "{{.Store.RunRoot}}").out.strip(), "events")
    with rcrun.popen("events", "--format", "{{.Action}}", stdout=-1) as process:
        wait_for(lambda: waits(process.pid, "anon_inode:inotify"))
        junk = b"x" * 1023 + b"\n"
        with path.open("ab") as file:
            while os.path.getsize(path) < 1 << 20:
                file.write(junk * 64)
                file.flush()
        rcrun("exec", "-d", "web", "true").check()  # its second writer finds a new file
        rcrun("kill", "web").check()
        seen = []
        while not seen or seen[-1] != b"die\n":
            seen.append(process.stdout.readline())
            assert seen[-1]
        process.terminate()
    assert [word for word in seen if b"exec" not in word] == [b"kill\n", b"die\n"]
    assert len([word for word in seen if b"exec" in word]) == 3
    assert path.with_name("events.1").stat().st_size >= 1 << 20
    assert path.stat().st_size < 1 << 20


def test_many_writers_at_once(rcrun, log):
    """Every line is whole."""
    names = [f"c{number}" for number in range(12)]
    running = [
        rcrun.popen("run", "-d", "--name", name, *NO_NETWORK, "busybox", "true", stdout=-3)
        for name in names
    ]
    for process in running:
        assert process.wait(60) == 0
    rcrun("wait", *names).check()
    found = log(form="json")
    assert len(found) == 3 * len(names)
    assert {json.loads(line)["Action"] for line in found} == {"create", "start", "die"}
