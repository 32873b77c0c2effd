"""What a newcomer meets first: the whole text, and the hint that gets him on. The host is changed in a mount namespace."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from accounts import bin_dir
from rcrun.storage.containers import boot_id

pytestmark = pytest.mark.requires("userns", "overlay")
RUN = ("run", "--rm", "--network", "none")


@pytest.fixture
def on_host(rcrun):
    """Runs rcrun as the account on a host that a script of root has changed."""

    def run(prepare: str, *words: str, env: dict[str, str] | None = None, of=None):
        shown = of or rcrun
        account = shown.account
        become = f"setpriv --reuid {account.uid} --regid {account.gid} --clear-groups"
        script = f'enter=\n{prepare}\nexec $enter {become} "$@"'
        command = ["unshare", "-m", "--propagation", "slave", "sh", "-euc", script, "sh"]
        return subprocess.run(
            [*command, bin_dir() / "rcrun", *words],
            env={**account.environ, **shown.env, **(env or {})},
            cwd=account.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.requires("root")
def test_user_namespaces_are_forbidden(on_host, tmp_path):
    """As in a container with docker's filter: here since a process in a chroot may make none."""
    got = on_host(f'mount --rbind / {tmp_path}; enter="chroot {tmp_path}"', *RUN, "busybox", "true")
    assert got.returncode == 125
    assert got.stderr.endswith(
        ": operation not permitted\n"
        "hint: this process may make no user namespace: a container's seccomp filter or a chroot forbids it; "
        "start the outer container with --security-opt seccomp=unconfined\n"
    )


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.requires("root")
def test_without_newuidmap_one_id_is_enough(on_host, fresh_rcrun, accounts):
    hidden = "for tool in newuidmap newgidmap; do mount --bind /dev/null /usr/bin/$tool; done"
    fresh = fresh_rcrun()
    archive = str(accounts.base_dir / "busybox.tar")
    assert on_host(hidden, "load", "-i", archive, of=fresh).returncode == 0
    got = on_host(hidden, *RUN, "busybox", "id", "-u", of=fresh)
    assert (got.stdout, got.stderr) == ("0\n", "")
    assert on_host(hidden, "info", of=fresh).stderr.splitlines()[0] == (
        'rcrun: warning: one id is mapped into containers: "newuidmap" is not installed; '
        "run: sudo apt-get install uidmap"
    )


def test_without_subordinate_ids_one_is_enough(single_rcrun):
    got = single_rcrun(*RUN, "busybox", "id", "-u")
    assert (got.out, got.err) == ("0\n", "")
    told = single_rcrun("info").err.splitlines()[0]
    name = single_rcrun.account.name
    assert told.startswith(
        "rcrun: warning: one id is mapped into containers: no subordinate ids for user "
        f'"{name}" in /etc/subuid; to have more, run: sudo usermod --add-subuids '
    )


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.requires("root", "subids")
def test_other_subordinate_ids_than_before(on_host, fresh_rcrun, accounts):
    """As after somebody changed /etc/subuid, and where two hosts share a home: each has layers of its own ids."""
    fresh = fresh_rcrun()
    fresh("load", "-q", "-i", accounts.base_dir / "busybox.tar").check()
    script = "mkdir /made; touch /made/inside; chown -R 7:7 /made"
    fresh("run", "--network", "none", "--name", "old", "busybox", "sh", "-c", script).check()
    row = f"{fresh.account.name}:1000000000:65536"
    changed = f"""
        mount -t tmpfs none /mnt
        echo {row} >/mnt/ids
        for file in subuid subgid; do mount --bind /mnt/ids /etc/$file; done
    """
    got = on_host(changed, *RUN, "busybox", "true", of=fresh)
    assert (got.returncode, len(list((fresh.store_dir / "layers").iterdir()))) == (0, 2), got
    got = on_host(changed, "start", "old", of=fresh)
    assert (
        got.returncode,
        "make it again, or give them back: sudo usermod --add-" in got.stderr,
    ) == (1, True)
    got = on_host(changed, "rm", "old", of=fresh)
    stuck = str(next((fresh.store_dir / "trash").iterdir()))
    assert (got.returncode, got.stderr.splitlines()) == (
        1,
        [
            f'rcrun: error: cannot remove "{stuck}": directory not empty',
            "hint: its files may belong to ids that /etc/subuid and /etc/subgid do not give you any more; "
            f"run: sudo rm -rf {stuck}",
        ],
    )
    assert on_host(changed, "create", "--name", "new", "busybox", of=fresh).returncode == 0
    got = on_host(changed, "rm", "new", of=fresh)
    assert (got.returncode, got.stdout, got.stderr) == (0, "new\n", "")
    for layer in fresh.store_dir.glob("layers/*/*/diff"):
        (layer / "others/file").mkdir(parents=True)  # root's
    got = fresh("rmi", "busybox")
    assert (got.status, "run: sudo rm -rf " in got.err) == (1, True)
    assert fresh("image", "prune", "-f").check().err == ""


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.parametrize("given", ["", "/nonexistent", "/root"])
def test_without_a_runtime_directory_one_is_made(rcrun, given):
    boot = boot_id()[:8]
    made = f"/tmp/rcrun-{rcrun.account.uid}-{boot}"
    was_there = os.path.exists(made)
    env = {"XDG_RUNTIME_DIR": given, "RCRUN_RUNROOT": ""}
    got = rcrun(*RUN, "busybox", "echo", "fine", env=env)
    assert (got.out, got.err) == ("fine\n", "")
    if not was_there and os.path.exists(made):
        assert os.stat(made).st_mode & 0o077 == 0
        rcrun.account.prepare("rm", "-rf", made)


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.requires("root")
def test_a_home_that_overlay_cannot_use(on_host, fresh_rcrun, accounts):
    """Here an overlay; a home on NFS says the same."""
    fresh = fresh_rcrun()
    where = str(fresh.store_dir)
    prepare = f"""
        mount -t tmpfs -o mode=755 none /mnt
        mkdir /mnt/lower /mnt/upper /mnt/work
        mount -t overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work none {where}
        chown {fresh.account.uid}:{fresh.account.gid} {where}
        for tool in fuse-overlayfs; do
            test ! -e /usr/bin/$tool || mount --bind /dev/null /usr/bin/$tool
        done
        setpriv --reuid {fresh.account.uid} --regid {fresh.account.gid} --clear-groups \\
            {bin_dir()}/rcrun load -q -i {accounts.base_dir}/busybox.tar >/dev/null
    """
    got = on_host(prepare, *RUN, "busybox", "echo", "fine", of=fresh)
    assert got.stdout == "fine\n"
    message, hint = got.stderr.splitlines()
    assert message.startswith(
        "rcrun: warning: every container copies its whole image, since overlay does not work here: "
    )
    assert message.endswith("; fuse-overlayfs is not installed")
    assert hint == (
        "hint: install fuse-overlayfs; or keep the store on another file system: "
        f"rcrun --root DIR, or RCRUN_ROOT (now {where})"
    )


NO_TUN = "mount -t tmpfs none /dev/net"
CLOSED_TUN = f"{NO_TUN}; mknod -m 600 /dev/net/tun c 10 200"
NO_PROGRAMS = """
    for tool in pasta slirp4netns; do
        test ! -e /usr/bin/$tool || mount --bind /dev/null /usr/bin/$tool
    done
"""


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.requires("root", "network")
@pytest.mark.parametrize(
    ("prepare", "message", "hint"),
    [
        (
            NO_TUN,
            'cannot make a network: "/dev/net/tun": no such device',
            "load its module: sudo modprobe tun; in an outer container: --device /dev/net/tun; "
            "or use --network host or --network none",
        ),
        (
            CLOSED_TUN,
            'cannot make a network: "/dev/net/tun": permission denied',
            "let everybody use it, which gives no right over the host: sudo chmod 666 /dev/net/tun; "
            "or use --network host or --network none",
        ),
        (
            NO_PROGRAMS,
            'cannot make a network: "pasta" is not installed',
            "run: sudo apt-get install passt, or slirp4netns where there is none; "
            "or use --network host or none",
        ),
    ],
)
def test_no_network(on_host, prepare, message, hint):
    got = on_host(prepare, "run", "--rm", "busybox", "true")
    assert got.returncode == 125
    assert got.stderr == f"rcrun: error: {message}\nhint: {hint}\n"
    got = on_host(prepare, *RUN, "busybox", "echo", "fine")
    assert (got.stdout, got.stderr) == ("fine\n", "")


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (
            ("--pull", "never", "nosuch"),
            125,
            "rcrun: error: no such image: nosuch\nhint: rcrun pull nosuch\n",
        ),
        (
            ("localhost:1/nosuch",),
            125,
            "Unable to find image 'localhost:1/nosuch:latest' locally\n"
            'rcrun: error: cannot reach registry "localhost:1": connection refused\n'
            "hint: check that the registry runs and the network; behind a proxy set HTTPS_PROXY\n",
        ),
        (
            ("busybox", "nosuch"),
            127,
            'rcrun: error: "nosuch": executable file not found in $PATH\n'
            "hint: no directory of the container's PATH has it; if it is elsewhere, give its whole path\n",
        ),
        (
            ("busybox", "-it", "sh"),
            127,
            'rcrun: error: "-it": executable file not found in $PATH\n'
            "hint: options of rcrun stand before the image; what stands after it is the command\n",
        ),
        (
            ("busybox", "/no/such"),
            127,
            'rcrun: error: cannot run "/no/such": No such file or directory\n'
            "hint: the file, or the interpreter that its first line names, is missing in the container\n",
        ),
        (
            ("busybox", "/etc"),
            126,
            'rcrun: error: cannot run "/etc": Is a directory\n'
            "hint: name a program: a directory cannot be run\n",
        ),
        (
            ("busybox", "/etc/passwd"),
            126,
            'rcrun: error: cannot run "/etc/passwd": Permission denied\n'
            "hint: it is not executable, or its file system is mounted noexec\n",
        ),
    ],
)
def test_images_and_commands(rcrun, words, status, text):
    got = rcrun(*RUN, *words)
    assert (got.status, got.out, got.err) == (status, "", text)


def test_a_name_in_use(rcrun):
    first = rcrun("create", "--name", "web", "busybox", "true").check().out.strip()
    got = rcrun(*RUN, "--name", "web", "busybox", "true")
    assert (got.status, got.err) == (
        125,
        f'rcrun: error: the container name "web" is already in use by container "{first}"\n'
        "hint: remove or rename that container, or choose another name: rcrun rm web\n",
    )


@pytest.mark.requires("network")
def test_a_port_in_use(rcrun):
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))
        server.listen()
        port = server.getsockname()[1]
        got = rcrun("run", "--rm", "-p", f"{port}:80", "busybox", "true")
    assert (got.status, got.err) == (
        125,
        f"rcrun: error: cannot publish 0.0.0.0:{port}/tcp: port is already allocated\n"
        f"hint: publish another one, or see who has it: ss -lntp 'sport = :{port}'\n",
    )
    assert rcrun("ps", "-aq").out == ""


@pytest.mark.requires("network")
@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_a_port_of_roots(rcrun):
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text("ascii"))
    if first <= 81:
        pytest.skip("users may have every port here")
    got = rcrun("run", "--rm", "-p", "81:80", "busybox", "true")
    assert got.status == 125
    assert re.fullmatch(
        f"rcrun: error: cannot publish 0.0.0.0:81/tcp: ports below {first} need privilege\n"
        r"hint: publish (\d+) instead: -p \1:80; or run: sudo sysctl -w "
        "net.ipv4.ip_unprivileged_port_start=81\n",
        got.err,
    ), got
