"""More options of `run`: the environment, descriptors, accounts, devices by name, mounts of other kinds, what goes before."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from accounts import bin_dir
from engine.volumes import NO_NETWORK, up

pytestmark = pytest.mark.requires("userns", "overlay")


def sh(rcrun: Any, script: str, *options: str, **more: Any) -> list[str]:
    words = ("run", "--rm", *NO_NETWORK, *options, "busybox", "sh", "-c", script)
    out: str = rcrun(*words, **more).check().out
    return out.splitlines()


def refused(rcrun: Any, *options: str) -> str:
    result = rcrun("run", "--rm", *NO_NETWORK, *options, "busybox", "true")
    assert result.status == 125
    assert result.out == ""
    err: str = result.err
    return err


# ---- environment


def test_where_the_environment_begins(rcrun: Any) -> None:
    env = {"MINE": "1", "http_proxy": "http://p:1", "PATH_NOT": "x"}
    assert sh(rcrun, 'echo "$MINE-$http_proxy-$container"', "--env-host", env=env) == [
        "1-http://p:1-oci"
    ]
    assert sh(rcrun, 'echo "$MINE-$http_proxy"', "--http-proxy", env=env) == ["-http://p:1"]
    assert sh(rcrun, 'echo "-$http_proxy"', env=env) == ["-"]
    words = ("--unsetenv-all", "-e", "A=b")
    out = rcrun("run", "--rm", *NO_NETWORK, *words, "busybox", "/bin/env").check().out
    assert out == "A=b\n"
    assert sh(rcrun, "echo $PATH", "--env-merge", "PATH=${PATH}:/more")[0].endswith(":/more")
    assert "invalid --env-merge" in refused(rcrun, "--env-merge", "PATH")


# ---- descriptors


def passing(rcrun: Any, *words: str) -> str:
    """rcrun with files open as descriptors 3, 4 and 5, and what it says."""
    folder = Path(rcrun.account.new_dir("files"))
    script = 'for n in 3 4 5; do echo file$n >f$n; done; exec 3<f3 4<f4 5<f5; exec "$@"'
    command = [f"{bin_dir()}/rcrun", *words]
    done = rcrun.account.run("sh", "-c", script, "sh", *command, env=rcrun.env, cwd=folder)
    out: str = done.check().out
    return out


def test_descriptors_reach_only_where_they_should(rcrun: Any) -> None:
    script = "for n in 3 4 5; do test -e /proc/self/fd/$n && cat <&$n; done; true"
    run = ("run", "--rm", *NO_NETWORK)
    assert passing(rcrun, *run, "busybox", "sh", "-c", script) == ""
    assert (
        passing(rcrun, *run, "--preserve-fds", "2", "busybox", "sh", "-c", script)
        == "file3\nfile4\n"
    )
    assert (
        passing(rcrun, *run, "--preserve-fd", "3,5", "busybox", "sh", "-c", script)
        == "file3\nfile5\n"
    )
    passing(
        rcrun,
        "run",
        "-d",
        "--name",
        "kept",
        *NO_NETWORK,
        "--preserve-fd",
        "5",
        "busybox",
        "sleep",
        "100",
    )
    monitor = rcrun("inspect", "-f", "{{.State.ConmonPid}}", "kept").check().out.strip()
    held = [os.readlink(f"/proc/{monitor}/fd/{fd}") for fd in os.listdir(f"/proc/{monitor}/fd")]
    assert not [path for path in held if path.endswith(("/f3", "/f4", "/f5"))]
    assert passing(rcrun, "exec", "--preserve-fd", "4", "kept", "sh", "-c", script) == "file4\n"
    assert passing(rcrun, "exec", "kept", "sh", "-c", script) == ""
    # those of the first start are not those of the next
    rcrun("restart", "-t", "0", "kept").check()
    pid = rcrun("inspect", "-f", "{{.State.Pid}}", "kept").check().out.strip()
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]
    assert "descriptor 77 on: it is not open" in refused(rcrun, "--preserve-fd", "77")


# ---- accounts


def test_users_of_the_host(rcrun: Any) -> None:
    script = "tail -n 1 /etc/passwd /etc/group; echo 'x:x:5:5::/:' >>/etc/passwd && echo writable"
    found = sh(rcrun, script, "--hostuser", "daemon", "--group-entry", "made:x:77:")
    assert next(line for line in found if ":" in line).startswith("daemon:x:1:1:")
    assert "made:x:77:" in found
    assert found[-1] == "writable"
    line = sh(
        rcrun, "tail -n 1 /etc/passwd", "-u", "55", "--passwd-entry", "me:x:$UID:$GID::/h:/bin/sh"
    )
    assert line == ["me:x:55:0::/h:/bin/sh"]
    assert "the host has no such user" in refused(rcrun, "--hostuser", "nobody-at-all")


# ---- devices


def specification(kind: str, devices: dict[str, Any], **edits: Any) -> dict[str, Any]:
    rows = [{"name": name, "containerEdits": edit} for name, edit in devices.items()]
    return {"cdiVersion": "0.6.0", "kind": kind, "devices": rows, "containerEdits": edits}


def test_devices_by_their_names(rcrun: Any) -> None:
    folder = Path(rcrun.account.new_dir("cdi"))
    node = {"path": "/dev/mine", "hostPath": "/dev/null"}
    mount = {"hostPath": "/etc/hostname", "containerPath": "/opt/lib", "options": ["ro", "rbind"]}
    hook = {
        "hookName": "createContainer",
        "path": "/bin/sh",
        "args": ["sh", "-c", "echo hooked >etc/hooked"],
    }
    document = specification(
        "acme.com/dev", {"one": {"deviceNodes": [node], "env": ["ONE=1"]}, "two": {"env": ["TWO=2"]}},
        mounts=[mount], env=["ALL=yes"], hooks=[hook],
    )  # fmt: skip
    rcrun.account.run("tee", str(folder / "a.json"), input=json.dumps(document)).check()
    yaml = "cdiVersion: '0.6.0'\nkind: acme.com/other\ndevices:\n- name: x\n  containerEdits:\n    env: [Y=aml]\n"
    rcrun.account.run("tee", str(folder / "b.yaml"), input=yaml).check()
    words = (
        "--cdi-spec-dir",
        str(folder),
        "--device",
        "acme.com/dev=one",
        "--device",
        "acme.com/other=x",
    )
    script = 'test -c /dev/mine && echo "$ONE-$TWO-$ALL-$Y"; test -s /opt/lib && cat /etc/hooked'
    assert sh(rcrun, script, *words) == ["1--yes-aml", "hooked"]
    missing = refused(rcrun, "--cdi-spec-dir", str(folder), "--device", "acme.com/dev=three")
    assert f'"acme.com/dev=three" is in none of "{folder}"' in missing
    assert "there are: acme.com/dev=one, acme.com/dev=two" in missing
    no_gpu = refused(rcrun, "--cdi-spec-dir", str(folder), "--gpus", "all")
    assert f'no specification of "nvidia.com/gpu" is in "{folder}"' in no_gpu
    assert "nvidia-ctk cdi generate" in no_gpu
    rcrun.account.run("tee", str(folder / "c.json"), input='{"kind": "x"}').check()
    damaged = refused(rcrun, *words)
    assert f'the CDI specification "{folder}/c.json" is damaged' in damaged


def test_gpus_are_cdi_devices(rcrun: Any) -> None:
    folder = Path(rcrun.account.new_dir("gpu"))
    devices = {name: {"env": [f"GPU{name}=1"]} for name in ("0", "1", "all")}
    text = json.dumps(specification("nvidia.com/gpu", devices))
    rcrun.account.run("tee", str(folder / "n.json"), input=text).check()
    script = 'echo "$GPU0-$GPU1-$GPUall"'
    for word, expected in (
        ("all", "--1"), ("1", "1--"), ("2", "1-1-"), ("device=1", "-1-"), ('"device=0,1",capabilities=utility', "1-1-"),
    ):  # fmt: skip
        assert sh(rcrun, script, "--cdi-spec-dir", str(folder), "--gpus", word) == [expected], word
    assert "there are 2 GPUs" in refused(rcrun, "--cdi-spec-dir", str(folder), "--gpus", "3")


def test_a_directory_of_devices(rcrun: Any) -> None:
    found = sh(rcrun, "ls /dev/more", "--device", "/dev/net:/dev/more")
    assert found == sorted(os.listdir("/dev/net"))
    assert "no device is in" in refused(rcrun, "--device", "/etc:/dev/etc")


@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_rules_for_devices(rcrun: Any) -> None:
    script = "mknod /dev/it c 10 200 && echo made"
    assert sh(rcrun, script, "--device-cgroup-rule", "c 10:* rwm") == ["made"]
    assert "write it like: c 10:200 rwm" in refused(rcrun, "--device-cgroup-rule", "c 10 rwm")


# ---- mounts


def test_mounts_of_other_kinds(rcrun: Any) -> None:
    image = ("--mount", "type=image,source=busybox,destination=/i")
    assert sh(rcrun, "cat /i/var/www/index.html; touch /i/x 2>/dev/null || echo no", *image) == [
        "It works.",
        "no",
    ]
    assert sh(rcrun, "ls /i", "--mount", "type=image,src=busybox,dst=/i,subpath=var/www") == [
        "index.html"
    ]
    words = ("--mount", "type=devpts,dst=/pts2,max=5", "--mount", "type=ramfs,dst=/ram")
    found = sh(rcrun, "grep -E ' /(pts2|ram) ' /proc/mounts | cut -d' ' -f1,2", *words)
    assert found == ["devpts /pts2", "ramfs /ram"]
    folder = Path(rcrun.account.new_dir("globbed"))
    rcrun.account.run("sh", "-c", "touch a1 a2 b1; ln -s /nowhere link", cwd=folder).check()
    assert sh(rcrun, "ls /g", "--mount", f"type=glob,src={folder}/a*,dst=/g,ro") == ["a1", "a2"]
    assert "nothing matches it" in refused(rcrun, "--mount", f"type=glob,src={folder}/z*,dst=/g")
    link = ("--mount", f"type=bind,src={folder}/link,dst=/l,no-dereference")
    assert sh(rcrun, "readlink /l", *link) == ["/nowhere"]
    assert "no such image" in refused(rcrun, "--mount", "type=image,src=none,dst=/i")


def test_mounts_of_artifacts(rcrun: Any) -> None:
    """Their files by their titles, read-only; one alone on a file that the image has, as with podman."""
    folder = Path(rcrun.account.new_dir("files"))
    rcrun.account.run("sh", "-c", "echo 1 >one; echo 2 >two", cwd=folder).check()
    rcrun("artifact", "add", "arts:1", folder / "one", folder / "two").check()

    def mounted(more: str, script: str) -> list[str]:
        return sh(rcrun, script, "--mount", f"type=artifact,src=arts:1,{more}")

    assert mounted("dst=/a", "cat /a/one /a/two; echo x 2>/dev/null >/a/one || echo no") == [
        "1", "2", "no",
    ]  # fmt: skip
    assert mounted("dst=/a/b,name=f", "cd /a/b; cat f-0 f-1") == ["1", "2"]
    assert mounted("dest=/tmp,title=two,name=f", "ls /tmp; cat /tmp/f") == ["f", "2"]
    sum_of_one = hashlib.sha256(b"1\n").hexdigest()
    assert mounted(f"dst=/a,digest=sha256:{sum_of_one}", "cat /a") == ["1"]
    assert mounted("dst=/etc/passwd,title=two", "cat /etc/passwd") == ["2"]
    for words, reason in (
        ("src=arts:1,dst=/etc/passwd", 'cannot mount the 2 files of artifact "arts:1"'),
        ("src=arts:1,dst=/a,title=three", 'artifact "arts:1" has no file "three"'),
        ("src=none,dst=/a", "no such artifact"),
    ):
        assert reason in refused(rcrun, "--mount", f"type=artifact,{words}")
    rcrun("artifact", "rm", "arts:1").check()


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_idmapped_mounts_are_roots_alone(rcrun: Any) -> None:
    folder = rcrun.account.new_dir("idmapped")
    err = refused(rcrun, "--mount", f"type=bind,src={folder},dst=/m,idmap")
    assert "the kernel lets only root of the host map the ids of a mount" in err


def test_the_host_files_and_the_root(rcrun: Any) -> None:
    folder = Path(rcrun.account.new_dir("host"))
    rcrun.account.run("tee", str(folder / "hosts"), input="10.9.8.7 base").check()
    words = ("--hosts-file", str(folder / "hosts"), "--no-hostname", "--chrootdirs", "/jail")
    script = (
        "head -n 1 /etc/hosts; cmp /etc/hosts /jail/etc/hosts && ls /etc/hostname 2>&1 | grep -c No"
    )
    assert sh(rcrun, script, *words) == ["10.9.8.7 base", "1"]
    root = folder / "root"
    rcrun.account.run(
        "sh", "-c", f"mkdir -p {root}/bin && cp $(command -v busybox) {root}/bin/sh"
    ).check()
    shell = ("run", "--rm", *NO_NETWORK, "--rootfs", f"{root}:O", "/bin/sh", "-c")
    assert (
        rcrun(*shell, "echo made >/file && read line </file && echo $line").check().out == "made\n"
    )
    assert not (root / "file").exists()


def test_personality_and_init(rcrun: Any) -> None:
    assert sh(rcrun, "uname -m", "--personality", "LINUX32")[0] in ("i686", "armv8l", "armv7l")
    init = Path(rcrun.account.new_dir("init")) / "init"
    rcrun.account.run(
        "tee", str(init), input='#!/bin/sh\necho "init $1"; shift; exec "$@"\n'
    ).check()
    rcrun.account.run("chmod", "755", str(init)).check()
    assert sh(rcrun, "echo command", "--init", "--init-path", str(init)) == ["init --", "command"]


# ---- what goes before and after


def test_files_with_pids_and_a_name_that_is_taken(rcrun: Any) -> None:
    folder = Path(rcrun.account.new_dir("pids"))
    words = ("--pidfile", str(folder / "pid"), "--conmon-pidfile", str(folder / "monitor"))
    up(rcrun, "box", *words)
    form = "{{.State.Pid}} {{.State.ConmonPid}} {{.Id}}"
    pid, monitor, first = rcrun("inspect", "-f", form, "box").check().out.split()
    assert ((folder / "pid").read_text(), (folder / "monitor").read_text()) == (pid, monitor)
    assert rcrun("run", "-d", "--name", "box", *NO_NETWORK, "busybox", "true").status == 125
    up(rcrun, "box", "--replace")
    assert rcrun("inspect", "-f", "{{.Id}}", "box").check().out.strip() != first
    assert first not in rcrun("ps", "-aq", "--no-trunc").check().out


def test_what_it_requires_is_started_first(rcrun: Any) -> None:
    words = (
        "create",
        "--name",
        "base",
        "--stop-signal",
        "KILL",
        *NO_NETWORK,
        "busybox",
        "sleep",
        "100",
    )
    rcrun(*words).check()
    assert sh(rcrun, "echo on", "--requires", "base") == ["on"]
    assert rcrun("inspect", "-f", "{{.State.Running}}", "base").check().out == "true\n"
    assert "no such container: none" in refused(rcrun, "--requires", "none")


def test_the_image_goes_with_the_container(rcrun: Any) -> None:
    rcrun("tag", "busybox", "passing").check()
    commit = rcrun("create", "--name", "base", *NO_NETWORK, "busybox", "true").check().out.strip()
    rcrun("commit", commit, "short-lived").check()
    assert rcrun("run", "--rmi", *NO_NETWORK, "short-lived", "echo", "on").check().out == "on\n"
    for _ in range(100):
        if "short-lived" not in rcrun("images").check().out:
            break
    assert "short-lived" not in rcrun("images").check().out
    rcrun("rmi", "passing").check()


# ---- exec


def test_exec_chooses_its_container(rcrun: Any) -> None:
    folder = Path(rcrun.account.new_dir("cid"))
    up(rcrun, "old", "--cidfile", str(folder / "id"), "--hostname", "older")
    up(rcrun, "new", "--hostname", "newer")
    assert rcrun("exec", "-l", "hostname").check().out == "newer\n"
    assert rcrun("exec", "--cidfile", str(folder / "id"), "hostname").check().out == "older\n"
    assert rcrun("exec", "--no-session", "new", "hostname").check().out == "newer\n"
    assert "no command is given" in rcrun("exec", "new").err
    assert 'there is no file "/none"' in rcrun("exec", "--cidfile", "/none", "true").err
