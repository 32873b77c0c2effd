"""inspect tells all that docker and podman tell, with the same types; fields of a container follow what it was made with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]
FIELDS = Path(__file__).with_name("inspect_fields.txt")
TYPES = {
    bool: "bool", int: "number", float: "number", str: "string", list: "list", dict: "map", type(None): "null",
}  # fmt: skip


def expected() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for line in FIELDS.read_text(encoding="ascii").splitlines():
        if not line.startswith("#"):
            what, path, kind = line.split()
            found.setdefault(what, []).append((path, kind))
    return found


def values(value: object, path: str) -> list[object]:
    """All that the path leads to; KeyError where a field is missing."""
    found = [value]
    for word in path.replace("[]", ".[]").strip(".").split("."):
        if word == "[]":
            found = [item for each in found for item in each]
        elif word == "*":
            found = [item for each in found for item in each.values()]
        else:
            found = [each[word] for each in found]
    return found


@pytest.fixture
def objects(rcrun):
    rcrun(
        "create",
        "--name",
        "web",
        "-p",
        "8080:80",
        "-v",
        "fields:/data",
        "-e",
        "A=b",
        "busybox",
        "true",
    ).check()
    rcrun("secret", "create", "--env", "fields", "HOME").check()
    commands = {
        "container": ("container", "inspect", "web"),
        "image": ("image", "inspect", "busybox"),
        "volume": ("volume", "inspect", "fields"),
        "secret": ("secret", "inspect", "fields"),
    }
    yield {kind: json.loads(rcrun(*words).check().out)[0] for kind, words in commands.items()}
    rcrun("rm", "-f", "web")
    rcrun("volume", "rm", "fields")
    rcrun("secret", "rm", "fields")


@pytest.mark.parametrize("kind", ["container", "image", "volume", "secret"])
def test_every_field_is_there_with_its_type(objects, kind):
    wrong = []
    for path, wanted in expected()[kind]:
        try:
            found = values(objects[kind], path)
        except (KeyError, TypeError) as error:
            wrong.append(f"{path}: missing ({error})")
            continue
        allowed = {wanted.rstrip("?"), *(["null"] if wanted.endswith("?") else [])}
        kinds = {TYPES[type(value)] for value in found}
        if wanted != "any" and not kinds <= allowed:
            wrong.append(f"{path}: {kinds}, not {allowed}")
    assert wrong == []


MADE_WITH = [
    ("--cap-add SYS_PTRACE --cap-drop CHOWN", "{{.HostConfig.CapAdd}} {{.HostConfig.CapDrop}}", "[CAP_SYS_PTRACE] [CAP_CHOWN]"),
    ("--network host", "{{.HostConfig.NetworkMode}}", "host"),
    ("--add-host a:192.0.2.1", "{{.HostConfig.ExtraHosts}}", "[a:192.0.2.1]"),
    ("--dns 192.0.2.1 --dns-search x.test --dns-option ndots:3", "{{.HostConfig.Dns}} {{.HostConfig.DnsSearch}} {{.HostConfig.DnsOptions}}", "[192.0.2.1] [x.test] [ndots:3]"),
    ("", "{{json .HostConfig.Dns}} {{json .HostConfig.CapAdd}} {{.HostConfig.ShmSize}}", "[] null 67108864"),
    ("--shm-size 1m", "{{.HostConfig.ShmSize}}", "1048576"),
    ("--tmpfs /x:size=1m", "{{index .HostConfig.Tmpfs \"/x\"}}", "size=1m"),
    ("--security-opt no-new-privileges", "{{.HostConfig.SecurityOpt}}", "[no-new-privileges]"),
    ("--device /dev/null:/dev/zilch:r", "{{range .HostConfig.Devices}}{{.PathOnHost}} {{.PathInContainer}} {{.CgroupPermissions}}{{end}}", "/dev/null /dev/zilch r"),
    ("--sysctl net.ipv4.ip_default_ttl=70", "{{json .HostConfig.Sysctls}}", '{"net.ipv4.ip_default_ttl":"70"}'),
    ("--annotation a=b", "{{json .HostConfig.Annotations}} {{.Config.Annotations.a}}", '{"a":"b"} b'),
    ("--umask 0077 --stop-timeout 3 --stop-signal INT", "{{.Config.Umask}} {{.Config.StopTimeout}} {{.Config.StopSignal}}", "0077 3 SIGINT"),
    ("--group-add 50", "{{.HostConfig.GroupAdd}}", "[50]"),
    ("-u 5:6 -w /tmp --hostname h", "{{.Config.User}} {{.Config.WorkingDir}} {{.Config.Hostname}}", "5:6 /tmp h"),
    ("--rm --init --read-only", "{{.HostConfig.AutoRemove}} {{.HostConfig.Init}} {{.HostConfig.ReadonlyRootfs}}", "true true true"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "form", "text"), MADE_WITH)
def test_what_was_asked_for(rcrun, options, form, text):
    network = [] if "--network" in options or "--dns" in options else ["--network", "none"]
    rcrun("create", "--name", "asked", *network, *options.split(), "busybox", "true").check()
    assert rcrun("inspect", "-f", form, "asked").check().out == f"{text}\n"


STATES = [
    ("created", "created false 0 0001-01-01T00:00:00Z 0001-01-01T00:00:00Z"),
    ("running", "running true 0 20* 0001-01-01T00:00:00Z"),
    ("exited", "exited false 3 20* 20*"),
]


@pytest.mark.parametrize(("state", "text"), STATES)
def test_the_state_in_each_state(rcrun, state, text):
    from fnmatch import fnmatchcase

    words = ["sleep", "100"] if state == "running" else ["sh", "-c", "exit 3"]
    verb = ["create"] if state == "created" else ["run", "-d"]
    rcrun(*verb, "--name", "state", "--network", "none", "busybox", *words).check()
    if state == "exited":
        rcrun("wait", "state").check()
    form = "{{.State.Status}} {{.State.Running}} {{.State.ExitCode}} {{json .State.StartedAt}} {{json .State.FinishedAt}}"
    got = rcrun("inspect", "-f", form, "state").check().out.replace('"', "")
    assert fnmatchcase(got, f"{text}\n"), got
    pid = int(rcrun("inspect", "-f", "{{.State.Pid}}", "state").out)
    assert (pid > 0) is (state == "running")


def test_several_kinds_in_one_call(rcrun, objects):
    got = rcrun("inspect", "-f", "{{if .Id}}{{.Id}}{{end}}", "web", "busybox").check()
    assert [len(line.rpartition(":")[2]) for line in got.out.split()] == [64, 64]
    mixed = json.loads(rcrun("inspect", "web", "busybox", "fields").check().out)
    assert len(mixed) == 3
    assert (
        json.loads(rcrun("inspect", "--type", "secret", "fields").check().out)[0]["Spec"]["Name"]
        == "fields"
    )
    assert rcrun("inspect", "--type", "volume", "web").status == 1
    assert rcrun("inspect", "--type", "nosuch", "web").status == 125
    size = json.loads(rcrun("inspect", "-s", "web").check().out)[0]
    assert size["SizeRootFs"] > 1_000_000
    assert size["SizeRw"] == 0
