"""Hooks: when they run, what they are told, what their failure does (config.md, "POSIX-platform Hooks")."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime.conftest import Bundle
from waiting import wait_for

pytestmark = pytest.mark.requires("userns")

KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def add_hook(bundle: Bundle, kind: str, script: str, **more: object) -> None:
    """One that reads the state that it is given: crun fails where nobody does."""
    if "cat" not in script:
        script = f"cat >/dev/null; {script}"
    hook = {"path": "/bin/sh", "args": ["sh", "-c", script], **more}
    bundle.config.setdefault("hooks", {}).setdefault(kind, []).append(hook)


def log_of(bundle: Bundle) -> Path:
    return bundle.put("hooks.log", mode=0o666)


def test_the_order(bundle: Bundle) -> None:
    """startContainer runs a program of the container; the others, of the host."""
    log = log_of(bundle)
    for kind in KINDS:
        if kind != "startContainer":
            add_hook(bundle, kind, f"echo {kind} >> {log}")
    bundle.config["hooks"]["startContainer"] = [
        {"path": "/init", "args": ["init", "write", "/started", "x"]}
    ]
    bundle.args("sleep", "1000")
    assert bundle.create().status == 0, bundle.said()
    assert log.read_text(encoding="utf-8").split() == [
        "prestart",
        "createRuntime",
        "createContainer",
    ]
    assert not (bundle.dir / "rootfs/started").exists()
    bundle.runtime("start", bundle.id).check()
    assert log.read_text(encoding="utf-8").split()[3:] == ["poststart"]
    assert (bundle.dir / "rootfs/started").exists()
    bundle.runtime("delete", "--force", bundle.id).check()
    assert log.read_text(encoding="utf-8").split()[4:] == ["poststop"]


def test_a_foreground_run_has_them_all(bundle: Bundle) -> None:
    log = log_of(bundle)
    for kind in ("prestart", "createRuntime", "createContainer", "poststart", "poststop"):
        add_hook(bundle, kind, f"echo {kind} >> {log}")
    bundle.run().check()
    assert log.read_text(encoding="utf-8").split() == [
        "prestart", "createRuntime", "createContainer", "poststart", "poststop",
    ]  # fmt: skip
    assert bundle.runtime("state", bundle.id).status != 0


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("createRuntime", "creating"),
        ("createContainer", "creating"),
        ("poststart", "running"),
        ("poststop", "stopped"),
    ],
)
def test_the_state_is_their_input(bundle: Bundle, kind: str, status: str, ours: None) -> None:
    log = log_of(bundle)
    bundle.config["annotations"] = {"key": "value"}
    add_hook(bundle, kind, f"cat > {log}")
    bundle.run().check()
    state = json.loads(log.read_text(encoding="utf-8"))
    assert (state["id"], state["bundle"], state["status"]) == (bundle.id, str(bundle.dir), status)
    assert state["ociVersion"] == bundle.config["ociVersion"]
    assert state["annotations"] == {"key": "value"}
    assert status == "stopped" or state["pid"] > 0


def test_the_environment_is_theirs_alone(bundle: Bundle) -> None:
    log = log_of(bundle)
    add_hook(bundle, "createRuntime", f'echo "$A:$HOME" > {log}', env=["A=1"])
    bundle.run().check()
    assert log.read_text(encoding="utf-8") == "1:\n"


def test_create_runtime_sees_the_host_and_create_container_the_mounts(bundle: Bundle) -> None:
    log = log_of(bundle)
    point = bundle.dir / "rootfs/proc"
    add_hook(bundle, "createRuntime", f"readlink /proc/self/ns/mnt >> {log}")
    add_hook(bundle, "createContainer", f"readlink /proc/self/ns/mnt >> {log}; grep -c '{point}' /proc/self/mountinfo >> {log}")  # fmt: skip
    bundle.run().check()
    host, container, count = log.read_text(encoding="utf-8").split()
    script = "readlink /proc/self/ns/mnt"
    assert host == bundle.account.run("sh", "-c", script).check().out.strip()
    assert container != host
    assert int(count) == 1


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_a_failure_before_the_start(bundle: Bundle, kind: str, ours: None) -> None:
    add_hook(bundle, kind, "exit 0")
    add_hook(bundle, kind, "echo no luck >&2; exit 3")
    result = bundle.args("echo", "ran").run()
    assert result.status == 1
    assert result.out == ""
    assert f"error running {kind} hook #1:" in result.err
    assert "exit status 3" in result.err
    assert "no luck" in result.err
    assert bundle.runtime("state", bundle.id).status == 1


def test_a_failure_of_start_container(bundle: Bundle, ours: None) -> None:
    bundle.config["hooks"] = {"startContainer": [{"path": "/init", "args": ["init", "exit", "5"]}]}
    bundle.args("echo", "ran")
    assert bundle.create().status == 0
    result = bundle.runtime("start", bundle.id)
    assert result.status == 1
    assert "error running startContainer hook #0:" in result.err
    bundle.status_soon("stopped")
    assert bundle.said() == ""


def test_a_failure_of_poststart_deletes_the_container(bundle: Bundle, ours: None) -> None:
    add_hook(bundle, "poststart", "exit 3")
    bundle.args("sleep", "1000")
    assert bundle.create().status == 0
    result = bundle.runtime("start", bundle.id)
    assert result.status == 1
    assert "error running poststart hook #0:" in result.err
    assert bundle.runtime("state", bundle.id).status == 1


def test_without_an_environment_they_have_ours(bundle: Bundle, ours: None) -> None:
    log = log_of(bundle)
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f'echo "$OUTSIDE:$A" >> {log}']}
    inside = {"path": "/init", "args": ["init", "env"]}
    bundle.config["hooks"] = {"createRuntime": [hook], "startContainer": [inside]}
    bundle.process(env=["A=1", "PATH=/"]).args("true")
    bundle.write()
    result = bundle.runtime("run", "-b", str(bundle.dir), bundle.id, env={"OUTSIDE": "2"})
    assert result.check().err == ""
    assert log.read_text(encoding="utf-8") == "2:\n"


def test_create_container_stands_in_the_root(bundle: Bundle) -> None:
    add_hook(bundle, "createContainer", "echo x > ./made-here")
    bundle.run().check()
    assert (bundle.dir / "rootfs/made-here").exists()


def test_a_failure_of_poststop_is_a_warning(bundle: Bundle, ours: None) -> None:
    log = log_of(bundle)
    add_hook(bundle, "poststop", "exit 3")
    add_hook(bundle, "poststop", f"echo second > {log}")
    bundle.args("true").started()
    bundle.status_soon("stopped")
    result = bundle.runtime("delete", bundle.id).check()
    assert "hook" in result.err
    assert log.read_text(encoding="utf-8") == "second\n"
    assert bundle.runtime("state", bundle.id).status != 0


def test_a_timeout(bundle: Bundle, ours: None) -> None:
    add_hook(bundle, "createRuntime", "exec sleep 30", timeout=1)
    result = bundle.run(timeout=60)
    assert result.status == 1
    assert "did not end within 1 seconds" in result.err


@pytest.mark.parametrize("kind", ["createRuntime", "poststop"])
def test_a_timeout_ends_what_the_hook_has_started(bundle: Bundle, ours: None, kind: str) -> None:
    """A shell's child has its streams, and would go on for ever."""
    pids = bundle.put("pids", "", 0o666)
    script = f"sleep 1000 & echo $! >{pids}; wait"
    add_hook(bundle, kind, script, timeout=1)
    if kind == "poststop":
        bundle.args("true").started()
        bundle.status_soon("stopped")
        assert "did not end within 1 seconds" in bundle.runtime("delete", bundle.id).check().err
    else:
        assert "did not end within 1 seconds" in bundle.run(timeout=60).err
    wait_for(lambda: is_gone(pids.read_text().strip()))


def is_gone(pid: str) -> bool:
    """Or a zombie, until somebody asks for it."""
    status = Path("/proc", pid, "status")
    return not status.exists() or "State:\tZ" in status.read_text(encoding="ascii")


def test_a_hook_that_is_missing(bundle: Bundle, ours: None) -> None:
    bundle.config["hooks"] = {"createRuntime": [{"path": "/no/hook"}]}
    result = bundle.run()
    assert result.status == 1
    assert "error running createRuntime hook #0:" in result.err


def test_what_hooks_say_goes_to_files_on_request(bundle: Bundle) -> None:
    """crun's annotations."""
    out, err = (bundle.put(name, "", 0o666) for name in ("out", "err"))
    kinds = ("prestart", "createContainer", "poststart", "poststop")
    for kind in kinds:
        add_hook(bundle, kind, f"echo {kind}; echo no {kind} >&2")
    bundle.config["annotations"] = {"run.oci.hooks.stdout": str(out)}
    bundle.config["annotations"]["run.oci.hooks.stderr"] = str(err)
    bundle.started()
    bundle.runtime("delete", "--force", bundle.id).check()
    assert out.read_text(encoding="utf-8").split() == [*kinds]
    assert err.read_text(encoding="utf-8").splitlines() == [f"no {kind}" for kind in kinds]


def test_a_file_for_hooks_that_cannot_be_written(bundle: Bundle, ours: None) -> None:
    add_hook(bundle, "prestart", "exit 3")
    bundle.config["annotations"] = {"run.oci.hooks.stdout": "/nowhere/out"}
    result = bundle.run()
    assert result.status != 0
    assert "/nowhere/out: No such file" in result.err
