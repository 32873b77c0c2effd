"""What the options of `run` do, seen from inside of a container."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.requires("userns", "overlay")


def lines(rcrun: Any, *words: Any, **options: Any) -> list[str]:
    """The output of `run --rm --network none …`."""
    out: str = rcrun("run", "--rm", "--network", "none", *words, **options).check().out
    return out.splitlines()


def sh(rcrun: Any, script: str, *options: Any, **more: Any) -> list[str]:
    return lines(rcrun, *options, "busybox", "sh", "-c", script, **more)


def test_who_and_where(rcrun: Any) -> None:
    script = 'id -u; id -g; id -G; echo "$HOME"; pwd; umask; hostname; cat /etc/hostname; echo "$container"'
    assert sh(rcrun, script, "-u", "guest", "-w", "/new/dir", "--umask", "077", "--hostname", "box") == [
        "1000", "1000", "1000 10", "/home/guest", "/new/dir", "0077", "box", "box", "oci",
    ]  # fmt: skip


def test_environment(rcrun: Any) -> None:
    file = rcrun.account.new_dir("env") / "file"
    rcrun.account.run("tee", str(file), input="B=file\nC=file\nFROM_CALLER\n").check()
    found = sh(
        rcrun, 'echo "$B $C $D $FROM_CALLER"', "--env-file", str(file), "-e", "C=option", "-e", "D=a b",
        env={"FROM_CALLER": "caller"},
    )  # fmt: skip
    assert found == ["file option a b caller"]


def test_capabilities_filter_and_privileges(rcrun: Any) -> None:
    script = "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status | tr -s '[:space:]' ' '"
    assert sh(rcrun, script) == ["CapEff: 00000000a80425fb NoNewPrivs: 0 Seccomp: 2 "]
    found = sh(
        rcrun,
        script,
        "--cap-drop",
        "all",
        "--cap-add",
        "CHOWN",
        "--security-opt",
        "no-new-privileges",
    )
    assert found == ["CapEff: 0000000000000001 NoNewPrivs: 1 Seccomp: 2 "]
    found = sh(
        rcrun,
        script,
        "-u",
        "guest",
        "--cap-add",
        "net_bind_service",
        "--security-opt",
        "seccomp=unconfined",
    )
    assert found == ["CapEff: 0000000000000400 NoNewPrivs: 0 Seccomp: 0 "]


def test_privileged(rcrun: Any) -> None:
    script = "grep -c ' /proc/.* ro,' /proc/mounts; grep Seccomp: /proc/self/status; cat /proc/keys | wc -l"
    assert sh(rcrun, script, "--privileged")[:2] == ["0", "Seccomp:\t0"]


def test_limits(rcrun: Any) -> None:
    found = sh(
        rcrun, "ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; df -k /dev/shm | tail -1 | awk '{print $2}'",
        "--ulimit", "nofile=100:200", "--oom-score-adj", "300", "--shm-size", "1m",
    )  # fmt: skip
    assert found == ["100", "200", "300", "1024"]


def test_read_only_root_and_tmpfs(rcrun: Any) -> None:
    script = "touch /x 2>/dev/null || echo no; touch /t/x && echo yes; touch /dev/shm/x && echo yes"
    assert sh(rcrun, script, "--read-only", "--tmpfs", "/t:size=1m") == ["no", "yes", "yes"]
    assert sh(rcrun, "touch /tmp/x && echo yes", "--read-only", "--read-only-tmpfs") == ["yes"]


def test_host_directories(rcrun: Any) -> None:
    folder = rcrun.account.new_dir("bound")
    script = "echo in > /w/file; echo no > /r/other 2>/dev/null; ls /r; stat -c %u /w/file"
    assert sh(rcrun, script, "-v", f"{folder}:/w", "-v", f"{folder}:/r:ro") == ["file", "0"]
    assert (Path(folder) / "file").stat().st_uid == rcrun.account.uid
    assert sh(rcrun, "cat /w/file", "-v", f"{folder}/file:/w/file:ro") == ["in"]


def test_a_missing_source(rcrun: Any) -> None:
    folder = Path(rcrun.account.new_dir("missing"))
    sh(rcrun, "touch /w/x", "-v", f"{folder}/a/b:/w")
    assert (folder / "a/b/x").exists()
    words = ["run", "--rm", "--mount", f"type=bind,src={folder}/none,dst=/w", "busybox", "true"]
    refused = rcrun(*words)
    assert refused.status == 125
    assert refused.out == ""
    assert f'cannot mount "{folder}/none"' in refused.err
    assert sh(rcrun, "echo on", "-v", f"{folder}/docker.sock:/var/run/docker.sock") == ["on"]


def test_named_volumes_begin_with_the_images_content(rcrun: Any) -> None:
    volume = ("-v", "site:/var/www")
    assert sh(rcrun, "cat /var/www/index.html; echo more > /var/www/new", *volume) == ["It works."]
    assert sh(rcrun, "ls /var/www", *volume) == ["index.html", "new"]
    assert sh(rcrun, "ls /var/www", "--mount", "src=empty,dst=/var/www,volume-nocopy") == []


def volumes(rcrun: Any) -> set[str]:
    folder = rcrun.store_dir / "volumes"
    return set(os.listdir(folder)) if folder.exists() else set()


def assert_volumes(rcrun: Any, expected: set[str]) -> None:
    """The monitor removes trees after it has told its clients the end."""
    for _ in range(1200):
        if volumes(rcrun) == expected:
            return
        time.sleep(0.05)
    assert volumes(rcrun) == expected


def test_anonymous_volumes_go_with_rm(rcrun: Any) -> None:
    before = volumes(rcrun)
    assert sh(rcrun, "cat /var/www/index.html", "-v", "/var/www") == ["It works."]
    assert_volumes(rcrun, before)


def test_the_owner_option(rcrun: Any) -> None:
    assert sh(
        rcrun, "stat -c %u:%g /var/www /var/www/index.html", "-u", "guest", "-v", "owned:/var/www:U"
    ) == [
        "1000:1000",
        "1000:1000",
    ]


def test_namespaces_of_the_host(rcrun: Any) -> None:
    script = "for n in uts ipc net; do readlink /proc/self/ns/$n; done"
    found = rcrun(
        "run", "--rm", "--network", "host", "--uts", "host", "--ipc", "host", "busybox", "sh", "-c", script
    ).check()  # fmt: skip
    ours = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("uts", "ipc", "net")]
    assert found.out.split() == ours
    private = sh(rcrun, script)
    assert not set(private) & set(ours)


def test_keep_id(rcrun: Any) -> None:
    if rcrun.account.kind == "root":
        assert "not root" in rcrun("run", "--rm", "--userns", "keep-id", "busybox", "true").err
        return
    uid = rcrun.account.uid
    folder = rcrun.account.new_dir("kept")
    script = "id -u; stat -c %u /w; touch /w/x; stat -c %u /etc/passwd"
    assert sh(rcrun, script, "--userns", "keep-id", "-v", f"{folder}:/w") == [str(uid)] * 3
    assert (Path(folder) / "x").stat().st_uid == uid


@pytest.mark.requires("network")
@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_keep_id_with_a_network(rcrun: Any) -> None:
    """Its root is another user than the caller, whom pasta runs as."""
    shown = rcrun(
        "run", "--rm", "--userns", "keep-id", "--network", "private", "busybox", "ip", "addr"
    ).check()
    assert " 10.0.2.100/24 " in shown.out
    assert shown.err == ""


def test_files_of_the_caller_as_scripts_for_docker_ask_for_them(rcrun: Any) -> None:
    folder = rcrun.account.new_dir("own")
    rcrun.account.run("chmod", "700", folder).check()
    user = f"{rcrun.account.uid}:{rcrun.account.gid}"
    found = sh(rcrun, "touch made; id -u; id -g", "-v", f"{folder}:/w", "-w", "/w", "-u", user)
    assert found == user.split(":")
    made = (Path(folder) / "made").stat()
    assert (made.st_uid, made.st_gid) == (rcrun.account.uid, rcrun.account.gid)


def test_sysctls_devices_and_names(rcrun: Any) -> None:
    script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; ls /dev/nil; grep database /etc/hosts; cat /etc/resolv.conf"
    found = sh(
        rcrun, script, "--sysctl", "net.ipv4.ip_unprivileged_port_start=80", "--device", "/dev/null:/dev/nil",
        "--add-host", "database:10.1.2.3", "--dns", "10.9.9.9", "--dns-search", ".",
    )  # fmt: skip
    assert found == ["80", "/dev/nil", "10.1.2.3\tdatabase", "nameserver 10.9.9.9"]


def test_init_is_the_first_process(rcrun: Any) -> None:
    assert sh(rcrun, "echo $$; cat /proc/1/comm", "--init") == ["2", "rcrun:init"]


def test_one_id_runs_as_any_user(single_rcrun: Any) -> None:
    script = "id -u; touch /home/guest/x && stat -c %u /home/guest/x; cut -c1-32 /proc/self/uid_map"
    found = sh(single_rcrun, script, "-u", "guest")
    assert found[:2] == ["1000", "1000"]
    assert found[2].split()[0] == "1000"
    assert sh(single_rcrun, "id -u") == ["0"]


def test_a_root_directory(rcrun: Any) -> None:
    folder = Path(rcrun.account.new_dir("rootfs"))
    rcrun.account.run("mkdir", str(folder / "bin")).check()
    rcrun.account.run("cp", "/bin/busybox", str(folder / "bin/busybox")).check()
    found = rcrun(
        "run", "--rm", "--network", "none", "--rootfs", str(folder), "/bin/busybox", "echo", "hi"
    )
    assert found.check().out == "hi\n"


def test_a_bundle_with_changes(rcrun: Any) -> None:
    folder = Path(rcrun.account.new_dir("bundle"))
    rcrun.account.run("mkdir", "-p", str(folder / "rootfs/bin")).check()
    rcrun.account.run("cp", "/bin/busybox", str(folder / "rootfs/bin/sh")).check()
    rcrun.oci("spec", "--rootless", "--bundle", str(folder)).check()
    words = [
        "run",
        "--rm",
        "-t=false",
        "-e",
        "X=1",
        "--bundle",
        str(folder),
        "sh",
        "-c",
        "echo $X $TERM",
    ]
    config = (folder / "config.json").read_text().replace('"terminal": true', '"terminal": false')
    rcrun.account.run("tee", str(folder / "config.json"), input=config).check()
    assert rcrun(*words).check().out == "1 xterm\n"
    refused = rcrun("run", "--rm", "--privileged", "--bundle", str(folder), "sh")
    assert "conflicting options: --bundle and --privileged" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-v", "/a:b", "busybox"], 'invalid --volume "/a:b"'),
        (["-m", "1", "busybox"], "the least is 6m"),
        (["--cap-add", "FLY", "busybox"], 'unknown capability "FLY"'),
        (["-u", "nobody-here", "busybox"], 'unable to find user "nobody-here"'),
        (["--network", "mine", "busybox"], "no such network: mine"),
        (["--name", "-x", "busybox"], "invalid container name"),
        (["--rm"], "no image is given"),
    ],
)
def test_faults_leave_nothing_behind(rcrun: Any, words: list[str], message: str) -> None:
    before = sorted(os.listdir(rcrun.store_dir / "containers"))
    refused = rcrun("run", *words)
    assert refused.status == 125
    assert refused.out == ""
    assert message in refused.err
    assert sorted(os.listdir(rcrun.store_dir / "containers")) == before


@pytest.mark.parametrize(
    "words", [["busybox", "nosuch"], ["--cidfile", "/none/x", "busybox", "true"]]
)
def test_a_start_that_failed_takes_its_volumes_along(rcrun: Any, words: list[str]) -> None:
    before = volumes(rcrun)
    assert rcrun("run", "--rm", "--network", "none", "-v", "/var/www", *words).status in (125, 127)
    assert_volumes(rcrun, before)
