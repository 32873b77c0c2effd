"""podman run: what the options ask for is what the container has."""

from __future__ import annotations

import os

import pytest

from peers.podman import NO_NETWORK, Podman, links

pytestmark = pytest.mark.requires("podman")
SHOW_STATUS = ("grep", "-E", "^(CapEff|CapBnd|NoNewPrivs|Seccomp):", "/proc/self/status")


def status_of(podman: Podman, *options: str) -> dict[str, str]:
    """Of /proc/self/status in a container with these options."""
    text = podman.run(*options, "busybox", *SHOW_STATUS).check().out
    return dict(line.split(":\t") for line in text.splitlines())


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("busybox", "true"), 0),
        (("busybox", "sh", "-c", "exit 3"), 3),
        (("busybox", "/etc/passwd"), 126),
        (("busybox", "/nowhere"), 127),
        (("--device", "/dev/nowhere", "busybox", "true"), 125),
    ],
)
def test_exit_status(podman, words, status):
    assert podman.run(*words).status == status


def test_the_engine_says_why(podman):
    assert "/nowhere" in podman.run("busybox", "/nowhere").err


def test_streams_are_apart(podman):
    data = os.urandom(300_000)
    given = podman.run("-i", "busybox", "sh", "-c", "cat; echo done >&2", input=data).check()
    assert (given.stdout, given.err) == (data, "done\n")


def test_detached_with_log_and_exit_status(podman):
    script = "echo out; echo err >&2; exit 7"
    name = podman(
        "run", "-d", *NO_NETWORK, "--log-driver", "k8s-file", "busybox", "sh", "-c", script
    )
    container = name.check().out.strip()
    assert podman("wait", container).out == "7\n"
    logs = podman("logs", container).check()
    assert (logs.out, logs.err) == ("out\n", "err\n")


def test_no_log(podman):
    assert podman.run("--log-driver", "none", "busybox", "echo", "out").check().out == "out\n"


def test_user_groups_directory_environment_and_host_name(podman):
    options = (
        "--user",
        "1000:1000",
        "--group-add",
        "10",
        "-w",
        "/tmp",
        "-e",
        "A=b c",
        "--hostname",
        "box",
    )
    script = "id -u; id -g; id -G; pwd; echo $A; echo $HOME; hostname"
    out = podman.run(*options, "busybox", "sh", "-c", script).check().out.splitlines()
    assert out == ["1000", "1000", "1000 10", "/tmp", "b c", "/home/guest", "box"]


def test_a_working_directory_is_made(podman):
    assert (
        podman.run("-w", "/made/here", "-v", "/made", "busybox", "pwd").check().out
        == "/made/here\n"
    )


def test_capabilities(podman):
    only = status_of(podman, "--cap-drop", "all", "--cap-add", "net_bind_service")
    assert (int(only["CapEff"], 16), int(only["CapBnd"], 16)) == (1 << 10, 1 << 10)
    user = status_of(podman, "--user", "1000", "--cap-add", "chown")
    assert int(user["CapEff"], 16) == 1  # podman makes it ambient
    every = status_of(podman, "--privileged")
    assert int(every["CapEff"], 16) > 1 << 36


def test_no_new_privileges_and_seccomp(podman):
    default = status_of(podman)
    assert (default["NoNewPrivs"], default["Seccomp"]) == ("0", "2")
    changed = status_of(
        podman, "--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined"
    )
    assert (changed["NoNewPrivs"], changed["Seccomp"]) == ("1", "0")


def test_a_seccomp_profile_of_ones_own(podman):
    profile = podman.account.home / "profile.json"
    profile.write_text(
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"],'
        ' "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}'
    )
    given = podman.run("--security-opt", f"seccomp={profile}", "busybox", "mkdir", "/tmp/new")
    assert (given.status, given.err) == (1, "mkdir: can't create directory '/tmp/new': No space left on device\n")  # fmt: skip


def test_labels_are_nothing_to_be_afraid_of(podman):
    podman.run("--security-opt", "label=disable", "busybox", "true").check()


def test_masked_and_unmasked_paths(podman):
    count = (
        "grep",
        "-cE",
        " /(proc/(kcore|keys|timer_list|sys|irq)|sys/firmware) ",
        "/proc/mounts",
    )
    assert int(podman.run("busybox", *count).check().out) >= 5
    assert podman.run("--security-opt", "unmask=ALL", "busybox", *count).out == "0\n"
    masked = podman.run("--security-opt", "mask=/proc/cpuinfo", "busybox", "cat", "/proc/cpuinfo")
    assert masked.check().out == ""


def test_read_only_root(podman):
    script = "touch /tmp/a && touch /dev/shm/b && touch /c"
    given = podman.run("--read-only", "busybox", "sh", "-c", script)
    assert (given.status, given.err) == (1, "touch: /c: Read-only file system\n")
    bare = podman.run("--read-only", "--read-only-tmpfs=false", "busybox", "touch", "/tmp/a")
    assert (bare.status, bare.err) == (1, "touch: /tmp/a: Read-only file system\n")


def test_volumes(podman):
    folder = podman.account.new_dir("volume")
    (folder / "program").write_text("#!/bin/sh\necho ran\n")
    (folder / "program").chmod(0o755)
    options = ("-v", f"{folder}:/ro:ro,noexec", "-v", f"{folder}:/rw", "-v", "named:/var/www")
    script = "/rw/program; /ro/program; touch /ro/x; echo new >/rw/file; cat /var/www/index.html"
    given = podman.run(*options, "busybox", "sh", "-c", script).check()
    assert given.out == "ran\nIt works.\n"  # an image's files are copied into a new volume
    assert "/ro/program: Permission denied" in given.err
    assert "touch: /ro/x: Read-only file system" in given.err
    assert (folder / "file").read_text() == "new\n"
    podman("volume", "rm", "named").check()


def test_a_volume_of_one_file_and_one_in_a_missing_place(podman):
    folder = podman.account.new_dir("volume")
    (folder / "file").write_text("bound\n")
    options = ("-v", f"{folder}/file:/etc/new/place:ro", "-v", f"{folder}/file:/etc/passwd")
    script = ("cat", "/etc/new/place", "/etc/passwd")
    assert podman.run(*options, "busybox", *script).check().out == "bound\nbound\n"


def test_tmpfs_and_shm_size(podman):
    options = ("--tmpfs", "/t:size=1m,mode=1700", "--shm-size", "2m",
               "--mount", "type=tmpfs,destination=/u,tmpfs-size=3m")  # fmt: skip
    script = "stat -c %a /t; df -k /t /dev/shm /u | awk 'NR > 1 { print $2 }'"
    out = podman.run(*options, "busybox", "sh", "-c", script).check().out
    assert out.split() == ["1700", "1024", "2048", "3072"]


def test_limits_of_the_process(podman):
    options = (
        "--ulimit",
        "nofile=100:200",
        "--ulimit",
        "nproc=50:60",
        "--ulimit",
        "core=0",
        "--oom-score-adj",
        "500",
    )
    script = "ulimit -n; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj"
    out = podman.run(*options, "busybox", "sh", "-c", script).check().out
    assert out.split() == ["100", "200", "0", "500"]


def test_sysctl(podman):
    options = (
        "--sysctl",
        "net.ipv4.ip_unprivileged_port_start=80",
        "--sysctl",
        "kernel.msgmax=4096",
    )
    files = ("/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/kernel/msgmax")
    assert podman.run(*options, "busybox", "cat", *files).check().out.split() == ["80", "4096"]


def test_devices(podman):
    script = "test -c /dev/fuse && exec 3<>/dev/fuse && echo opened; ls /dev"
    out = podman.run("--device", "/dev/fuse", "busybox", "sh", "-c", script).check().out.split()
    assert out[0] == "opened"
    assert {"full", "null", "random", "tty", "urandom", "zero", "fuse"} <= set(out)
    assert "fuse" not in podman.run("busybox", "ls", "/dev").check().out.split()


@pytest.mark.requires("catatonit")
def test_an_init(podman):
    out = podman.run("--init", "busybox", "sh", "-c", "cat /proc/1/comm; echo $$").check().out
    name, pid = out.split()
    assert name in ("catatonit", "podman-init") or name.startswith("init")
    assert pid != "1"


def test_without_systemd_and_with(podman):
    assert podman.run("--systemd=false", "busybox", "sh", "-c", "echo $container").out == "podman\n"
    mounts = podman.run(
        "--systemd=always", "busybox", "sh", "-c", "grep -c ' /run tmpfs ' /proc/mounts"
    )
    assert mounts.out == "1\n"


# For --ipc=host podman wants the host's /dev/mqueue, which systemd mounts.
KINDS = ["net", "pid", "uts", "cgroup", *(["ipc"] if os.path.exists("/dev/mqueue") else [])]


@pytest.mark.parametrize("kind", KINDS)
def test_namespaces_of_the_host_and_private(podman, kind, with_cgroup):
    option = {"net": "--network", "cgroup": "--cgroupns"}.get(kind, f"--{kind}")
    ours = podman.account.run(*links([kind])).check().out
    assert podman.run(f"{option}=host", "busybox", *links([kind])).check().out == ours
    private = "none" if kind == "net" else "private"
    assert podman.run(f"{option}={private}", "busybox", *links([kind])).check().out != ours


def test_namespaces_of_another_container(podman, with_cgroup):
    podman(
        "run",
        "-d",
        "--name",
        "first",
        *NO_NETWORK,
        "--ipc",
        "shareable",
        "busybox",
        "sleep",
        "1000",
    ).check()
    joined = [f"--{kind}=container:first" for kind in ("ipc", "network", "pid", "uts")]
    kinds = ("ipc", "net", "pid", "uts")
    out = podman.run(*joined, "busybox", *links(kinds)).check().out.split()
    assert out == podman.names("first", *kinds)
    assert podman.run(*joined, "busybox", "cat", "/proc/1/comm").out == "sleep\n"


def test_host_processes_are_seen(podman, with_cgroup):
    pid = podman.run("--pid=host", "busybox", "sh", "-c", "echo $$").check().out
    assert int(pid) > 10


def test_secrets(podman):
    podman("secret", "create", "word", "-", input="open sesame").check()
    try:
        options = ("--secret", "word", "--secret", "word,type=env,target=WORD")
        out = podman.run(*options, "busybox", "sh", "-c", "cat /run/secrets/word; echo; echo $WORD")
        assert out.check().out == "open sesame\nopen sesame\n"
    finally:
        podman("secret", "rm", "word").check()


def test_preserved_descriptors(podman):
    file = podman.account.home / "third"
    file.write_text("from three\n")
    words = ("run", "--rm", *NO_NETWORK, "--preserve-fds", "1", "busybox", "sh", "-c", "cat <&3")
    assert podman.behind("exec 3<third", *words).check().out == "from three\n"


def test_sockets_of_systemd(podman):
    words = (
        "run",
        "--rm",
        *NO_NETWORK,
        "busybox",
        "sh",
        "-c",
        "echo $LISTEN_FDS $LISTEN_PID; cat <&3",
    )
    (podman.account.home / "third").write_text("from three\n")
    setup = "exec 3<third; export LISTEN_FDS=1 LISTEN_PID=$$"
    assert podman.behind(setup, *words).check().out == "1 1\nfrom three\n"


def test_annotations(podman):
    podman("run", "-d", "--name", "noted", "--annotation", "org.example/a=b", *NO_NETWORK, "busybox", "sleep", "1000").check()  # fmt: skip
    container = podman("inspect", "-f", "{{.Id}}", "noted").check().out.strip()
    assert podman.state(container)["annotations"]["org.example/a"] == "b"
    assert podman.state(container)["status"] == "running"


def test_time_zone(podman):
    script = "date +%Z -d @0"
    assert podman.run("-e", "TZ=FOO-3", "busybox", "sh", "-c", script).check().out == "FOO\n"
    podman.run("--tz", "local", "busybox", "true").check()


def test_a_user_namespace_of_the_containers_own(podman):
    maps = ("--uidmap", "0:1:2000", "--gidmap", "0:1:2000")
    if podman.account.kind == "root":
        maps = ("--uidmap", "0:200000:2000", "--gidmap", "0:300000:2000")
    script = "id -u; cat /proc/self/uid_map; touch /tmp/x; stat -c %u:%g /tmp/x /etc/passwd"
    out = podman.run(*maps, "busybox", "sh", "-c", script).check().out.split()
    assert out[0] == "0"
    assert (out[1], out[3]) == ("0", "2000")
    assert out[4:] == ["0:0", "0:0"]


def test_many_at_once(podman):
    """Six at once, each with its own answer."""
    words = ("run", "--rm", *NO_NETWORK, "busybox", "sh", "-c")
    started = [podman.popen(*words, f"exit {number + 10}") for number in range(6)]
    assert [process.wait(60) for process in started] == [10, 11, 12, 13, 14, 15]


def test_notify_sockets(podman):
    """READY=1 of podman's monitor, and a socket in the container when that one is to tell."""
    with podman.notify_socket() as (path, received):
        words = ("run", "-d", "--sdnotify", "conmon", *NO_NETWORK, "busybox", "true")
        podman(*words, env={"NOTIFY_SOCKET": path}).check()
        assert b"READY=1" in received()
    with podman.notify_socket() as (path, _):
        script = 'test -S "$NOTIFY_SOCKET" && echo there'
        words = (
            "run",
            "--rm",
            "--sdnotify",
            "container",
            *NO_NETWORK,
            "busybox",
            "sh",
            "-c",
            script,
        )
        assert podman(*words, env={"NOTIFY_SOCKET": path}).out == "there\n"
