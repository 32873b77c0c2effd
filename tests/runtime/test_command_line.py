"""What callers read: version, features, spec, validate, the log, texts and statuses of errors."""

from __future__ import annotations

import json
import os

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
        'process.cwd: "x" does not match ^/',
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
