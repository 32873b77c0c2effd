"""What containers.conf says, seen from inside of containers; tests/unit/test_containersconf.py has all keys."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from accounts import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.requires("userns", "overlay"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

MUCH = """
[containers]
default_capabilities = ["CHOWN", "net_raw"]
default_ulimits = ["core=0:0", "nofile=500:99999999"]
env = ["A=file", "B=file", "FROM_CALLER", "PATH=/nowhere"]
env_host = false
host_containers_internal_ip = "10.9.8.7"
base_hosts_file = "none"
http_proxy = true
init = true
mounts = ["type=tmpfs,target=/small,tmpfs-size=1m"]
netns = "none"
read_only = true
shm_size = "1m"
umask = "0077"
volumes = ["{folder}:/conf:ro"]
[engine]
env = ["https_proxy=http://proxy:1", "LANG=xx"]
stop_timeout = 3
"""
LOOK = """
    echo "$A $B $FROM_CALLER $https_proxy $LANG"; umask; ulimit -n; grep CapEff /proc/self/status
    ls /sys/class/net; touch /x 2>/dev/null || echo read-only; df -k /small /dev/shm | grep -c ' 1024 '
    touch /conf/x 2>/dev/null || ls /conf; case $(head -c 2 /proc/1/cmdline) in sh) echo sh;; *) echo init;; esac
"""


def conf(rcrun: Any, text: str, name: str = "file.conf") -> Path:
    path: Path = rcrun.account.new_dir("conf") / name
    path.write_text(text.replace("{folder}", str(path.parent)), encoding="utf-8")
    return path


def test_what_a_file_says_and_what_is_given(rcrun: Any) -> None:
    env = {"CONTAINERS_CONF": str(conf(rcrun, MUCH)), "FROM_CALLER": "caller"}
    run = ("run", "--name", "box")
    done = rcrun(*run, "-e", "B=given", "busybox", "sh", "-c", LOOK, "LOOK", env=env).check()
    assert done.out.splitlines() == [
        "file given caller http://proxy:1 ", "0077", "500", "CapEff:\t0000000000002001",
        "lo", "read-only", "2", "file.conf", "init",
    ]  # fmt: skip
    assert rcrun("inspect", "-f", "{{.Config.StopTimeout}}", "box").check().out == "3\n"
    given = (
        "--read-only=false", "--init=false", "--http-proxy=false", "--umask", "022", "--shm-size", "2m", "--ulimit", "nofile=400",
        "--cap-add", "CHOWN,SYS_TIME", "--cap-drop", "NET_RAW", "--network", "host", "--tmpfs", "/conf", "--tmpfs", "/small",
    )  # fmt: skip
    done = rcrun("run", "--rm", *given, "busybox", "sh", "-c", LOOK, "LOOK", env=env).check()
    lines = done.out.splitlines()
    assert lines[:4] == ["file file caller  ", "0022", "400", "CapEff:\t0000000002000001"]
    assert "read-only" not in lines
    assert lines[-2:] == ["0", "sh"]  # no tmpfs of that size, and no init


def test_files_of_a_user_modules_and_names(rcrun: Any) -> None:
    """Those of his home, in their order; docker reads none; `ps` does without one that is damaged."""
    home = rcrun.account.new_dir("home")
    folder = home / ".config/containers"
    (folder / "containers.conf.d").mkdir(parents=True)
    (folder / "containers.conf.modules").mkdir()
    (folder / "containers.conf").write_text('[containers]\nenv = ["A=1"]\numask = "0077"\n')
    (folder / "containers.conf.d/9.conf").write_text('[containers]\nenv = ["B=2", {append=true}]\n')
    (folder / "containers.conf.modules/more").write_text('[containers]\nenv = ["C=3"]\n')
    last = folder / "last"
    last.write_text('[containers]\numask = "0027"\n')
    names = home / "bin"
    names.mkdir()
    for name in ("docker", "podman"):
        (names / name).symlink_to(CHECKOUT / "rcrun-cli/bin/rcrun")
    env = {**rcrun.env, "CONTAINERS_CONF": "", "HOME": str(home)}

    def seen(*words: Any, **more: str) -> str:
        command = [
            *words,
            "run",
            "--rm",
            "--network",
            "none",
            "busybox",
            "sh",
            "-c",
            'echo "$A$B$C"; umask',
        ]
        launcher = CHECKOUT / "rcrun-cli/bin/rcrun"
        begin = command if isinstance(words[0], os.PathLike) else [launcher, *command]
        out: str = rcrun.account.run(*begin, env={**env, **more}).check().out
        return out.replace("\n", " ").strip()

    assert seen("--log-level", "info") == "12 0077"
    assert seen("--module", "more", CONTAINERS_CONF_OVERRIDE=str(last)) == "123 0027"
    assert seen(names / "podman") == "12 0077"
    assert seen(names / "docker") == "0022"
    (folder / "containers.conf.d/10.conf").write_text('[containers]\npids_limit = "many"\n')
    failed = rcrun("create", "busybox", env=env)
    assert (failed.status, failed.err) == (
        125,
        f'rcrun: error: "{folder}/containers.conf.d/10.conf" cannot be used: containers.pids_limit is "many"\n'
        "hint: it is a whole number, without quotes\n",
    )
    for words in (["ps"], ["volume", "ls"], ["rm", "-fa"]):
        assert rcrun(*words, env=env).status == 0
    told = rcrun("doctor", "--json", env=env)
    assert "containers.pids_limit" in told.out
    (folder / "containers.conf.d/10.conf").write_text("[containers]\n")  # seen at once
    assert seen("--log-level", "info") == "12 0077"


def test_the_parser_is_loaded_for_a_file_that_changed(rcrun: Any) -> None:
    path = conf(
        rcrun,
        '[engine]\nstop_timeout = 4\nno_such_key = 1\n[containers]\nenv = ["A=1"]\ninit = true\n',
    )
    os.utime(path, ns=(1, 1_700_000_000_000_000_000))
    env = {**rcrun.env, "CONTAINERS_CONF": str(path)}

    def made(*before: str) -> tuple[str, set[str], str]:
        words = ["-IS", "-X", "importtime", CHECKOUT / "rcrun-cli/bin/rcrun", *before]
        done = rcrun.account.run(
            sys.executable, *words, "create", "--network", "none", "busybox", "true", env=env
        ).check()
        names = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
        timeout = rcrun("inspect", "-f", "{{.Config.StopTimeout}}", done.out.strip()).check().out
        return (
            timeout.strip(),
            names & {"rcrun.formats.containersconf", "tomllib", "tomli", "re"},
            done.err,
        )

    assert made()[1]
    assert made()[:2] == ("4", set())
    path.write_text("[engine]\nstop_timeout = 5\n", encoding="utf-8")
    assert made()[0] == "5"
    path.write_text("[engine]\nstop_timeout = 6\nno_such_key = 1\n", encoding="utf-8")
    timeout, _, told = made("--debug")
    assert timeout == "6"
    assert f'warning: nothing here looks at "{path}": engine.no_such_key' in told


CONTAINERS_OF_PODMAN_IN_A_CONTAINER = """
[containers]
netns = "host"
userns = "host"
ipcns = "host"
utsns = "host"
cgroupns = "host"
cgroups = "disabled"
log_driver = "k8s-file"
volumes = ["/proc:/proc"]
default_sysctls = []
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
"""


def test_the_file_of_images_that_have_podman(rcrun: Any) -> None:
    """All the host's: most hosts that have a file at all have this one."""
    env = {"CONTAINERS_CONF": str(conf(rcrun, CONTAINERS_OF_PODMAN_IN_A_CONTAINER))}
    script = "for kind in net ipc uts cgroup; do readlink /proc/self/ns/$kind; done; hostname"
    own = rcrun.account.run("sh", "-c", script).check().out
    assert rcrun("run", "--rm", "busybox", "sh", "-c", script, env=env).check().out == own
    folder = conf(
        rcrun, "FROM busybox\nRUN readlink /proc/self/ns/net >/net\n", "Containerfile"
    ).parent
    image = rcrun("build", "-q", folder, env=env).check().out.strip()
    built = rcrun("run", "--rm", image, "cat", "/net", env=env).check().out
    assert built == own.splitlines(keepends=True)[0]


def test_pods_images_and_networks(rcrun: Any) -> None:
    text = """
        [containers]
        default_capabilities = ["SYS_TIME", {append=true}]
        log_path = "{folder}/logs"
        container_name_as_hostname = true
        netns = "none"
        env = ["A=1"]
        [network]
        default_subnet_pools = [{"base" = "10.251.0.0/16", "size" = 28}]
        [engine]
        pod_exit_policy = "stop"
        image_default_format = "v2s2"
    """
    path = conf(rcrun, text)
    env = {"CONTAINERS_CONF": str(path)}
    rcrun("pod", "create", "--name", "site", env=env).check()
    assert rcrun("pod", "inspect", "-f", "{{.ExitPolicy}}", "site").check().out == "stop\n"
    script = 'grep CapEff /proc/self/status; hostname; ls /sys/class/net; echo "$A"'
    words = ("--name", "in_site", "busybox", "sh", "-c", script)
    done = rcrun("run", "--pod", "site", *words, env=env).check()
    assert done.out.split() == ["CapEff:", "00000000aa0425fb", "site", "lo", "1"]
    rcrun("pod", "rm", "-f", "site").check()
    done = rcrun("run", "--name", "own_name", "busybox", "hostname", env=env).check()
    assert done.out == "ownname\n"
    log = rcrun("inspect", "-f", "{{.LogPath}}", "own_name").check().out.strip()
    assert log.startswith(f"{path.parent}/logs/")
    assert rcrun("logs", "own_name").check().out == "ownname\n"
    image = rcrun("commit", "own_name", env=env).check().out.strip()
    assert "vnd.docker.distribution.manifest" in rcrun("image", "inspect", image).check().out
    rcrun("network", "create", "small", env=env).check()
    subnet = rcrun("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "small").check()
    assert subnet.out == "10.251.0.0/28\n"
    rcrun("run", "-d", "--name", "runs", "--network", "none", "busybox", "sleep", "1000").check()
    path.write_text("[containers]\nprivileged = true\n", encoding="utf-8")
    look = ("runs", "grep", "CapEff", "/proc/self/status")
    usual = rcrun("exec", *look).check().out
    assert rcrun("exec", *look, env=env).check().out != usual
    assert rcrun("exec", "--privileged=false", *look, env=env).check().out == usual
