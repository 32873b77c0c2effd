"""inspect: what scripts ask for."""

from __future__ import annotations

import json

import pytest

NO_NETWORK = ("--network", "none")


@pytest.fixture
def web(rcrun):
    rcrun(
        "run", "-d", "--name", "web", "--label", "k=v", "-e", "A=b", "-w", "/tmp", "-v", "/usr:/host:ro",
        *NO_NETWORK, "busybox", "sleep", "100",
    ).check()  # fmt: skip
    return rcrun


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("{{.State.Running}} {{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}", "true running 0 false"),
        ("{{.Name}} {{.Config.Image}} {{.RestartCount}}", "/web busybox 0"),
        ("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "none"),
        ('{{index .Config.Labels "k"}}', "v"),
        ("{{range .Mounts}}{{.Type}} {{.Source}} {{.Destination}} {{.RW}}{{end}}", "bind /usr /host false"),
        ("{{.Config.WorkingDir}} {{.Config.Cmd}} {{.Path}} {{.Args}}", "/tmp [sleep 100] sleep [100]"),
        ("{{range $name, $net := .NetworkSettings.Networks}}{{$name}}{{end}}", "none"),
        ("{{.HostConfig.NetworkMode}} {{.HostConfig.AutoRemove}} {{.HostConfig.Binds}}", "none false [/usr:/host:ro]"),
        ("{{.State.FinishedAt}}", "0001-01-01T00:00:00Z"),
        ("{{.Driver}} {{.GraphDriver.Name}}", "overlay overlay"),
        ("{{.Config.StopSignal}}", "SIGTERM"),
    ],
)  # fmt: skip
def test_fields(web, form, text):
    assert web("inspect", "--format", form, "web").check().out == text + "\n"


def test_env_and_ids(web):
    assert "A=b\n" in web("inspect", "-f", "{{range .Config.Env}}{{println .}}{{end}}", "web").out
    container_id = web("ps", "-q", "--no-trunc").out.strip()
    assert web("inspect", "-f", "{{.Id}} {{.ID}}", "web").out == f"{container_id} {container_id}\n"


def test_json_is_a_list_of_all(web):
    found = json.loads(web("inspect", "web", "busybox").check().out)
    assert [sorted(each)[0] for each in found] == ["AppArmorProfile", "Annotations"]
    assert found[0]["Image"] == found[1]["Id"]


def test_what_is_missing(web):
    got = web("inspect", "nosuch")
    assert (got.status, json.loads(got.out)) == (1, [])
    assert got.err == "rcrun: error: no such object: nosuch\n"
    got = web("inspect", "web", "nosuch")
    assert (got.status, len(json.loads(got.out))) == (1, 1)
    got = web("inspect", "--type", "container", "busybox")
    assert got.status == 1
    assert "no such container: busybox" in got.err
    assert web("inspect", "-f", "{{.Id}}", "nosuch").out == ""


def test_size(web):
    web("exec", "web", "sh", "-c", "head -c 5000 /dev/zero > /tmp/file").check()
    size = int(web("inspect", "-s", "-f", "{{.SizeRw}}", "web").check().out)
    assert 5000 <= size < 20000


def test_after_the_end(web):
    web("stop", "-t", "0", "web").check()
    got = web("inspect", "-f", "{{.State.Status}} {{.State.Pid}} {{.State.ExitCode}}", "web")
    assert got.out == "exited 0 137\n" or got.out == "exited 0 143\n"
    assert web("inspect", "-f", "{{.State.FinishedAt}}", "web").out > "2026"
