"""What the host has for its containers: hooks (hooks.d, --hooks-dir), mounts.conf, seccomp.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accounts import bin_dir
from engine.volumes import NO_NETWORK
from waiting import wait_for

pytestmark = pytest.mark.requires("userns", "overlay")
as_user = pytest.mark.parametrize("account", ["user"], indirect=True)
STAGES = ("createRuntime", "createContainer", "startContainer", "poststart", "poststop")


class Hooks:
    """A directory of hook files, and the file that the hooks write into, which the container has at the same place."""

    def __init__(self, rcrun: Any) -> None:
        self.folder = Path(rcrun.account.new_dir("hooks"))
        self.log = Path(rcrun.account.new_dir("log")) / "log"
        self.log.touch()
        self.log.chmod(0o666)
        self.log.parent.chmod(0o777)
        self.words = ("--hooks-dir", str(self.folder))
        self.volume = ("-v", f"{self.log.parent}:{self.log.parent}")

    def add(
        self, name: str, script: str, *stages: str, folder: Path | None = None, **when: Any
    ) -> None:
        hook = {
            "path": "/bin/sh",
            "args": ["sh", "-c", script],
            "env": ["PATH=/bin:/usr/bin", f"LOG={self.log}"],
        }
        document = {
            "version": "1.0.0",
            "hook": hook,
            "when": when or {"always": True},
            "stages": stages,
        }
        ((folder or self.folder) / f"{name}.json").write_text(json.dumps(document))

    def notes(self, name: str, *stages: str, **more: Any) -> None:
        self.add(name, f"cat >/dev/null; echo {name} >>$LOG", *stages, **more)

    def lines(self) -> list[str]:
        found = self.log.read_text().splitlines()
        self.log.write_text("")
        return found


@pytest.fixture
def hooks(rcrun: Any) -> Hooks:
    return Hooks(rcrun)


@as_user
def test_every_stage_in_its_order(rcrun: Any, hooks: Hooks) -> None:
    """Those of the host stand where the bundle is; the one that the container has itself is of its own root."""
    for stage in STAGES:
        hooks.add(stage, f"echo {stage} $(pwd) $(cat) >>$LOG", stage)
    hooks.add(
        "z", 'cat >/dev/null; test -e /bin/busybox && echo "$PPID" >/started', "startContainer"
    )
    words = (*NO_NETWORK, *hooks.volume, "--annotation", "key=value", "busybox", "cat", "/started")
    made = rcrun(*hooks.words, "run", "--name", "one", *words).check()
    assert made.out == "1\n"
    bundle = (
        rcrun.store_dir
        / "containers"
        / rcrun("inspect", "-f", "{{.ID}}", "one").check().out.strip()
    )
    told = [line.split(" ", 2) for line in hooks.lines()]
    assert [row[0] for row in told] == list(STAGES)
    states = [json.loads(row[2]) for row in told]
    assert [state["status"] for state in states] == [
        "creating",
        "creating",
        "created",
        "running",
        "stopped",
    ]
    assert {(state["bundle"], state["annotations"]["key"]) for state in states} == {
        (str(bundle), "value")
    }
    assert [row[1] == str(bundle) for row in told] == [True, False, False, True, True]
    # not at a start that was not told of them, and not forgotten by one that was
    rcrun("start", "-a", "one").check()
    assert hooks.lines() == []
    rcrun(*hooks.words, "start", "-a", "one").check()
    assert [line.partition(" ")[0] for line in hooks.lines()] == list(STAGES)


@as_user
def test_each_run_of_a_restarted_container_has_them(rcrun: Any, hooks: Hooks) -> None:
    hooks.notes("begun", "prestart")
    hooks.notes("ended", "poststop")
    rcrun(
        *hooks.words, "run", "-d", "--restart", "on-failure:2", *NO_NETWORK, "busybox", "false"
    ).check()
    wait_for(lambda: hooks.log.read_text().count("\n") == 6)
    assert hooks.lines() == ["begun", "ended"] * 3


@as_user
def test_which_hooks_are_for_a_container(rcrun: Any, hooks: Hooks) -> None:
    """By the order of their names; of two files of one name the later directory's counts."""
    other = Path(rcrun.account.new_dir("hooks"))
    hooks.notes("B-first", "createRuntime")
    hooks.notes("a-covered", "createRuntime")
    hooks.notes("a-covered", "poststart", folder=other)
    hooks.notes("c-command", "createRuntime", commands=["^tru.$"])
    hooks.notes("d-mounts", "createRuntime", hasBindMounts=True)
    hooks.notes("e-annotated", "createRuntime", annotations={"^trace": "^on$"})
    hooks.notes("f-never", "createRuntime", always=False)
    (other / "g.txt").write_text("no hook file")
    words = (*hooks.words, "--hooks-dir", str(other), "run", "--rm", *NO_NETWORK)
    rcrun(*words, "busybox", "true").check()
    assert hooks.lines() == ["B-first", "c-command", "a-covered"]
    rcrun(*words, *hooks.volume, "--annotation", "trace.x=on", "busybox", "echo").check()
    assert hooks.lines() == ["B-first", "d-mounts", "e-annotated", "a-covered"]


@as_user
def test_a_precreate_hook_changes_the_configuration(rcrun: Any, hooks: Hooks) -> None:
    hooks.add("a", 'sed \'s/"FROM=image"/"FROM=hook"/\'', "precreate")
    words = (
        "run",
        "--name",
        "one",
        *NO_NETWORK,
        "-e",
        "FROM=image",
        "busybox",
        "sh",
        "-c",
        "echo $FROM",
    )
    assert rcrun(*hooks.words, *words).check().out == "hook\n"
    assert rcrun("start", "-a", "one").check().out == "image\n"
    for script, reason in (("echo oh >&2; exit 3", "exit status 3, stderr: oh"), ("echo []", "what it wrote is not an object"), ("true", "what it wrote is not JSON")):  # fmt: skip
        hooks.add("a", script, "precreate")
        said = rcrun(*hooks.words, "start", "-a", "one")
        assert said.status == 1
        assert f'error running precreate hook: "/bin/sh": {reason}' in said.err


@as_user
def test_one_that_fails_fails_the_start(rcrun: Any, hooks: Hooks) -> None:
    """And what an earlier one has made can go: the poststop hooks are run."""
    hooks.notes("z", "poststop")
    for stage in STAGES[:-1]:
        hooks.add("a", "cat >/dev/null; echo no such thing >&2; exit 3", stage)
        failed = rcrun(*hooks.words, "run", "--rm", *NO_NETWORK, "busybox", "sleep", "100")
        assert failed.status == 125
        reason = f'error running {stage} hook #0: "/bin/sh": exit status 3, stderr: no such thing'
        assert failed.err == f"rcrun: error: {reason}\n"
        assert hooks.lines() == ["z"], stage
    assert rcrun("ps", "-aq").check().out == ""


@as_user
def test_hook_files_that_cannot_be_used(rcrun: Any, hooks: Hooks) -> None:
    words = ("run", "--rm", *NO_NETWORK, "busybox", "true")
    damaged = hooks.folder / "a.json"
    damaged.write_text("{")
    assert f'the hook file "{damaged}" is not JSON' in rcrun(*hooks.words, *words).err
    document = {
        "version": "1.0.0",
        "hook": {"path": "/no/hook"},
        "when": {"always": True},
        "stages": ["poststop"],
    }
    damaged.write_text(json.dumps(document))
    said = rcrun(*hooks.words, *words)
    assert said.status == 125
    assert f'"{damaged}" cannot be used: its program "/no/hook" does not exist' in said.err
    said = rcrun("--hooks-dir", str(hooks.folder / "none"), *words).check()
    assert (
        said.err == f'rcrun: warning: the directory of hooks "{hooks.folder}/none" does not exist\n'
    )


def test_hooks_with_a_single_id(single_rcrun: Any) -> None:
    hooks = Hooks(single_rcrun)
    for stage in STAGES:
        hooks.notes(stage, stage)
    words = ("run", "--rm", *NO_NETWORK, *hooks.volume, "busybox", "true")
    single_rcrun(*hooks.words, *words).check()
    assert hooks.lines() == list(STAGES)


# ---- mounts.conf


def entitlements(rcrun: Any) -> tuple[str, Path]:
    """A file as mounts.conf, and the directory that it names."""
    folder = Path(rcrun.account.new_dir("given"))
    (folder / "sub").mkdir(mode=0o750)
    (folder / "sub/deep").write_text("deep\n")
    (folder / "key").write_text("key\n")
    (folder / "key").chmod(0o640)
    (folder / "nothing").symlink_to("/not/there")
    (folder / "sub/loop").symlink_to("..")
    rcrun.account.prepare("chown", "-R", f"{rcrun.account.uid}:{rcrun.account.gid}", str(folder))
    conf = folder.parent / f"{folder.name}.conf"
    conf.write_text(
        f"# ours\n{folder}:/run/secrets\n{folder}/key:/opt/a/key\n/not/there\n/etc/hostname:/opt/mine\n"
    )
    conf.chmod(0o644)
    return str(conf), folder


SHOW = "cd /run/secrets; stat -c '%a %u %n' key sub sub/deep; ls sub; cat /opt/a/key; test -e /not/there || echo none"
SHOWN = "640 0 key\n750 0 sub\n644 0 sub/deep\ndeep\nkey\nnone\n"


@as_user
def test_default_mounts_are_copies(rcrun: Any) -> None:
    conf, folder = entitlements(rcrun)
    rcrun("secret", "create", "own", "-", input="x").check()
    words = ("--default-mounts-file", conf, "run", "--name", "one", *NO_NETWORK)
    mine = ("-v", f"{folder}/sub:/opt/mine", "--secret", "own")
    script = f"{SHOW}; cat own; echo; ls /opt/mine; echo changed >>key"
    made = rcrun(*words, *mine, "busybox", "sh", "-c", script).check()
    assert (made.out, made.err) == (f"{SHOWN}x\ndeep\nloop\n", "")
    assert (folder / "key").read_text() == "key\n"
    assert "secrets" not in rcrun("diff", "one").check().out
    assert rcrun("start", "-a", "one").check().out.splitlines()[4:6] == ["key", "none"]
    rcrun("container", "clone", "one", "two").check()
    rcrun("rm", "one").check()
    assert rcrun("start", "-a", "two").check().out == f"{SHOWN}x\ndeep\nloop\n"
    unreadable = Path(conf)
    unreadable.write_text("/etc/shadow:/x\n/etc/hostname:/\n/etc/hostname:/y\n")
    said = rcrun(
        "--default-mounts-file", conf, "run", "--rm", *NO_NETWORK, "busybox", "test", "-s", "/y"
    ).check()
    assert said.err.splitlines() == [
        f'rcrun: warning: cannot mount "/etc/shadow" of "{conf}": permission denied',
        f'rcrun: warning: "{conf}" mounts "/etc/hostname" on "/", which cannot be',
    ]


@as_user
def test_steps_of_a_build_have_hooks_and_default_mounts(rcrun: Any, hooks: Hooks) -> None:
    """None of it is in the image, and COPY is not in the way of it."""
    conf, _ = entitlements(rcrun)
    hooks.notes("begun", "createRuntime")
    hooks.notes("ended", "poststop")
    context = Path(rcrun.account.new_dir("context"))
    (context / "f").write_text("f\n")
    text = f"FROM busybox\nCOPY f /opt/a/f\nRUN ({SHOW}) >/shown\nCOPY f /opt/mine\n"
    (context / "Containerfile").write_text(text)
    words = ("build", *hooks.words, "-q", "-t", "made", str(context))
    rcrun("--default-mounts-file", conf, *words).check()
    assert hooks.lines() == ["begun", "ended"]
    script = "cat /shown; cat /opt/a/f /opt/mine; find /run/secrets /opt -type f"
    made = rcrun("run", "--rm", *NO_NETWORK, "made", "sh", "-c", script)
    assert made.out.splitlines() == [*SHOWN.splitlines(), "f", "f", "/opt/a/f", "/opt/mine"]


# ---- where they are found

VIEW = """
mount -t overlay -o "lowerdir=$0/etc:/etc" overlay /etc
mount -t overlay -o "lowerdir=$0/share:/usr/share" overlay /usr/share
exec "$@"
"""


@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_the_files_of_the_host(rcrun: Any, hooks: Hooks) -> None:
    """In a mount namespace whose /etc and /usr/share have them, too."""
    host = Path(rcrun.account.new_dir("host"))
    folders = {name: host / name / "containers/oci/hooks.d" for name in ("etc", "share")}
    for name, folder in folders.items():
        folder.mkdir(parents=True)
        hooks.notes(f"only-{name}", "createRuntime", folder=folder)
        hooks.add(
            "both", f"cat >/dev/null; echo both-{name} >>$LOG", "createRuntime", folder=folder
        )
        (folder / "../../mounts.conf").write_text(f"/etc/hostname:/from-{name}\n")
        profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [call], "action": "SCMP_ACT_ERRNO", "errnoRet": 99} for call in (["mkdir", "mkdirat"] if name == "etc" else ["unlink"])]}  # fmt: skip
        (folder / "../../seccomp.json").write_text(json.dumps(profile))

    def there(*words: str) -> Any:
        argv = (
            "unshare",
            "-m",
            "--propagation",
            "private",
            "sh",
            "-eu",
            "-c",
            VIEW,
            str(host),
            f"{bin_dir()}/rcrun",
        )
        return rcrun.account.run(*argv, *words, env=rcrun.env)

    run = ("run", "--rm", *NO_NETWORK)
    script = "ls -d /from-*; mkdir /new; touch /t && rm /t && echo removed"
    made = there(*run, "busybox", "sh", "-c", script)
    assert made.out == "/from-etc\nremoved\n"
    assert "/new" in made.err
    assert hooks.lines() == ["both-etc", "only-etc", "only-share"]
    there(*run, "--security-opt", "seccomp=builtin", "busybox", "mkdir", "/new").check()
    words = there("info", "-f", "{{json .SecurityOptions}}").check().out
    assert "name=seccomp,profile=/etc/containers/seccomp.json" in words
    (host / "etc/containers/seccomp.json").write_text("{}")
    refused = there(*run, "busybox", "true")
    assert refused.status == 125
    assert (
        'the seccomp profile "/etc/containers/seccomp.json" has no "defaultAction"' in refused.err
    )
