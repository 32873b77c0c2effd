"""What callers read: version, features, spec, validate, the log, texts and statuses of errors."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from runtime.conftest import Bundle

pytestmark = [pytest.mark.requires("userns"), pytest.mark.usefixtures("ours")]


def test_version(bundle: Bundle) -> None:
    for word in ("--version", "-v"):
        lines = bundle.runtime(word).check().out.splitlines()
        assert lines[0].startswith("rcrun-oci of rcrun version ")
        [features] = [line for line in lines if line.startswith("+")]
        assert "+SECCOMP" in features.split()


@pytest.mark.parametrize(
    "command", "create start run exec kill delete state list ps features spec validate".split()
)
def test_every_command_has_help(bundle: Bundle, command: str) -> None:
    assert "Usage: rcrun-oci" in bundle.runtime(command, "--help").check().out


def test_help_of_the_whole(bundle: Bundle) -> None:
    assert "create" in bundle.runtime("--help").check().out


# Every option of runc and crun, by command; what other engines' callers may write.
OPTIONS = {
    "": "--root=DIR --log=F --log-format=json --log-level=debug --debug --systemd-cgroup "
    "--cgroup-manager=cgroupfs --rootless=auto --criu=PATH -v -V --version",
    "create": "-b=D --bundle=D -f=F --config=F --console-socket=S --pid-file=F --pidfd-socket=S "
    "--preserve-fds=1 --no-pivot --no-new-keyring --no-subreaper",
    "run": "-b=D --bundle=D -f=F --config=F --console-socket=S --pid-file=F --pidfd-socket=S "
    "--preserve-fds=1 --no-pivot --no-new-keyring --no-subreaper --keep -d --detach",
    "exec": "--console-socket=S --pidfd-socket=S --cwd=D -e=A=1 --env=A=1 -t --tty --tty=true "
    "-u=1:2 --user=1 -g=3 --additional-gids=3 -p=F --process=F -d --detach --pid-file=F "
    "--process-label=L --apparmor=P --no-new-privs -c=CAP_KILL --cap=CAP_KILL "
    "--preserve-fds=1 --cgroup=/x --ignore-paused",
    "kill": "-a --all -r --regex",
    "delete": "-f --force -r --regex",
    "list": "-f=json --format=json -q --quiet",
    "ps": "-f=json --format=table",
    "spec": "-b=D --bundle=D -f=F --file=F --rootless",
}


@pytest.mark.parametrize("command", OPTIONS)
def test_every_option_is_understood(command: str) -> None:
    """By the parser that is asked first, or by click: none is an unknown option to both."""
    from rcrun_cli import oci

    program = oci.program()
    row = program.row(command)
    known = (program.load(row) if row else oci.rcrun_oci).table()
    for word in OPTIONS[command].split():
        name, equals, _ = word.partition("=")
        assert name in known, f"{command} {name}"
        assert known[name].is_flag == (not equals or word == "--tty=true"), word


@pytest.mark.parametrize("command", ["checkpoint", "restore"])
def test_checkpoints_are_refused_with_the_reason(bundle: Bundle, command: str) -> None:
    result = bundle.runtime(command, "--image-path", "x", "--leave-running", bundle.id)
    assert (result.status, result.out) == (1, "")
    assert f"cannot {command} a container: rcrun-oci does not support checkpoint" in result.err
    assert "hint: " in result.err


@pytest.mark.parametrize(
    "words", [["frob"], ["run"], ["run", "--frob", "x"], ["kill"], ["state", "a", "b"]]
)
def test_usage_errors(bundle: Bundle, words: list[str]) -> None:
    result = bundle.runtime(*words)
    assert (result.status, result.out) == (1, "")
    assert "rcrun-oci: error: " in result.err


def test_features(bundle: Bundle) -> None:
    features = json.loads(bundle.runtime("features").check().out)
    assert features["ociVersionMin"] == "1.0.0"
    assert "createRuntime" in features["hooks"]
    assert {"rbind", "ro", "rro", "tmpcopyup"} <= set(features["mountOptions"])
    assert "CAP_SYS_ADMIN" in features["linux"]["capabilities"]


def test_features_of_the_newest_specification(bundle: Bundle, ours: None) -> None:
    """Each is true: the tests of its field run it."""
    features = json.loads(bundle.runtime("features").check().out)
    linux = features["linux"]
    assert features["ociVersionMax"] == "1.3.0"
    assert len(features["hooks"]) == 6
    assert linux["intelRdt"] == {"enabled": True, "schemata": True, "monitoring": True}
    assert linux["netDevices"] == {"enabled": True}
    assert linux["mountExtensions"] == {"idmap": {"enabled": True}}
    assert "MPOL_WEIGHTED_INTERLEAVE" in linux["memoryPolicy"]["modes"]
    assert "MPOL_F_STATIC_NODES" in linux["memoryPolicy"]["flags"]
    assert "SCMP_ARCH_RISCV64" in linux["seccomp"]["archs"]
    assert set(linux["seccomp"]["supportedFlags"]) <= set(linux["seccomp"]["knownFlags"])
    assert "SECCOMP_FILTER_FLAG_LOG" in linux["seccomp"]["supportedFlags"]


@pytest.mark.parametrize("options", [[], ["--rootless"]])
def test_spec_writes_what_runs(bundle: Bundle, options: list[str]) -> None:
    bundle.runtime("spec", "-b", str(bundle.dir), *options).check()
    path = bundle.dir / "config.json"
    spec = json.loads(path.read_text(encoding="utf-8"))
    if options:
        [mapping] = spec["linux"]["uidMappings"]
        assert mapping == {"containerID": 0, "hostID": bundle.account.uid, "size": 1}
    bundle.runtime("validate", str(bundle.dir)).check()
    again = bundle.runtime("spec", "-b", str(bundle.dir))
    assert again.status == 1
    assert "exists" in again.err

    spec["process"].update(terminal=False, args=["/init", "ids"])
    spec["process"]["env"] = ["PATH=/"]
    bundle.config = spec
    assert bundle.run().check().out.split()[:2] == ["0", "0"]


def test_validate(bundle: Bundle) -> None:
    bundle.process(args=[5], cwd="x").write()
    result = bundle.runtime("validate", str(bundle.dir))
    assert result.status == 1
    assert result.out.splitlines() == [
        "process.args[0]: 5 is not of type string",
        'process.cwd: "x" is not an absolute path',
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("{}", '"ociVersion" None is not supported'),
        ('{"ociVersion":"2.0.0"}', "is not supported"),
        ('{"ociVersion":"1.0.0","process":[5]}', "process: [5] is not of type object"),
        (
            '{"ociVersion":"1.0.0","process":{"args":5,"cwd":"/"},"root":{"path":"r"}}',
            "process.args: 5 is not of type",
        ),
        ('{"ociVersion":"1.0.0","mounts":[5],"root":{"path":"r"}}', "mounts[0]: 5 is not of type"),
        (
            '{"ociVersion":"1.0.0","linux":{"namespaces":[{}]}}',
            'linux.namespaces[0]: "type" is missing',
        ),
    ],
)
def test_configurations_that_are_refused(bundle: Bundle, text: str, message: str) -> None:
    bundle.put("config.json", text)
    result = bundle.runtime("run", "-b", str(bundle.dir), bundle.id)
    assert result.status == 1
    assert message in result.err
    assert "Traceback" not in result.err
    assert bundle.runtime("state", bundle.id).status == 1


def test_no_bundle(bundle: Bundle) -> None:
    result = bundle.runtime("run", "-b", "/nowhere", bundle.id)
    assert result.status == 1
    assert 'no bundle: there is no "/nowhere/config.json"\nhint: ' in result.err


def test_the_log_in_json(bundle: Bundle) -> None:
    log = bundle.dir / "log"
    words = ("--log", str(log), "--log-format", "json", "state", "nothing")
    result = bundle.runtime(*words)
    assert result.status == 1
    entry = json.loads(log.read_text(encoding="utf-8"))
    assert entry["level"] == "error"
    assert entry["msg"] == 'container "nothing" does not exist'
    assert entry["time"].endswith("Z")


def test_the_log_in_a_named_file(bundle: Bundle) -> None:
    bundle.runtime("--log", f"file:{bundle.dir}/log", "state", "nothing")
    assert "level=error" in (bundle.dir / "log").read_text(encoding="utf-8")


def test_an_unknown_place_for_the_log(bundle: Bundle) -> None:
    result = bundle.runtime("--log=smoke:/signals", "list")
    assert (result.status, result.out) == (1, "")
    assert 'unknown log destination "smoke:/signals"\nhint: write [file:]PATH' in result.err


def test_the_log_in_the_journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from rcrun_cli import oci_log

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "journal"))
        monkeypatch.setattr(oci_log, "_JOURNAL", str(tmp_path / "journal"))
        monkeypatch.setattr(oci_log, "_SYSLOG", str(tmp_path / "journal"))
        oci_log.write("journald:box", "error", "two\nlines", "")
        head, _, field = journal.recv(4096).partition(b"MESSAGE\n")
        assert head == b"PRIORITY=3\nSYSLOG_IDENTIFIER=box\n"
        assert field == b"\x09\0\0\0\0\0\0\0two\nlines\n"
        oci_log.write("syslog:box", "warning", "words", "")
        assert journal.recv(4096) == b"<12>box: words"


def test_the_log_as_text(bundle: Bundle) -> None:
    log = bundle.dir / "log"
    bundle.runtime("--log", str(log), "state", "nothing")
    line = log.read_text(encoding="utf-8")
    assert 'level=error msg="container \\"nothing\\" does not exist"' in line


def test_a_failed_launch_is_in_the_log_too(bundle: Bundle) -> None:
    log = bundle.dir / "log"
    bundle.config["process"]["args"] = ["/missing"]
    bundle.write()
    words = ("--log", str(log), "--log-format=json", "run", "-b", str(bundle.dir), bundle.id)
    assert bundle.runtime(*words).status == 1
    entry = json.loads(log.read_text(encoding="utf-8"))
    assert entry["msg"] == 'cannot run "/missing": No such file or directory'


def test_debug_prints_the_plan(bundle: Bundle) -> None:
    result = bundle.args("echo", "x")
    bundle.write()
    result = bundle.runtime("--debug", "run", "-b", str(bundle.dir), bundle.id).check()
    assert result.out == "x\n"
    assert "level=debug" in result.err
    assert "exec /init echo x" in result.err


def test_words_of_other_runtimes_are_taken(bundle: Bundle) -> None:
    """What podman, containerd and cri-o pass."""
    bundle.args("echo", "x").write()
    options = [
        "--systemd-cgroup",
        "--rootless=auto",
        "--log-level=info",
        "--cgroup-manager=cgroupfs",
    ]
    run = [
        "run",
        "--no-pivot",
        "--no-new-keyring",
        "--no-subreaper",
        "-b",
        str(bundle.dir),
        bundle.id,
    ]
    run.remove("--no-pivot")
    assert bundle.runtime(*options, *run).check().out == "x\n"


def test_an_unwritable_root(bundle: Bundle) -> None:
    bundle.root = "/proc/rcrun"
    bundle.write()
    result = bundle.runtime("run", "-b", str(bundle.dir), bundle.id)
    assert result.status == 1
    assert "/proc/rcrun" in result.err
    assert "Traceback" not in result.err


def test_limits_without_a_cgroup_name_the_controller(bundle: Bundle) -> None:
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        pytest.skip("this host may delegate cgroups")
    bundle.linux(resources={"memory": {"limit": 1 << 20}})
    result = bundle.run()
    assert result.status == 1
    assert "memory" in result.err
    assert "hint: " in result.err


def test_the_device_list_of_default_configurations_is_no_limit(bundle: Bundle) -> None:
    bundle.linux(resources={"devices": [{"allow": False, "access": "rwm"}]})
    bundle.run().check()
