"""Who else is on the host: what he can read, write and connect to, and what of his we overwrite."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from hostile.conftest import NO_NETWORK

STRANGER = "nobody"


def entries(top):
    """Every path below, without what containers and images put there."""
    for folder, folders, files in os.walk(top):
        if folder.endswith(("/diff", "/upper", "/work", "/_data")):
            folders.clear()
            continue
        for name in (*folders, *files):
            yield Path(folder, name)


@pytest.fixture
def used(fresh_rcrun, busybox):
    """A store that everything was done with, by somebody whose umask forbids nothing."""
    rcrun = fresh_rcrun()
    words = 'umask 0; exec "$@"'
    program = rcrun.account.dir / "nothing"
    assert not program.exists()

    def loosely(*args):
        from accounts import bin_dir

        return rcrun.account.run(
            "sh", "-c", words, "sh", str(bin_dir() / "rcrun"), *args, env=rcrun.env
        ).check()

    loosely("load", "-i", str(busybox))
    loosely("run", "-d", "--name", "web", "-v", "vol:/data", *NO_NETWORK, "busybox", "sleep", "100")
    loosely("run", "--name", "ended", "-v", "/anon", *NO_NETWORK, "busybox", "echo", "said")
    yield rcrun
    rcrun("rm", "-f", "-v", "web", "ended").check()


def test_nobody_else_may_write(used):
    live = used.account.runtime_dir / "rcrun"
    for top in (used.store_dir, live):
        for path in entries(top):
            mode = path.lstat().st_mode
            assert stat.S_ISLNK(mode) or not mode & 0o002, f"{path} can be written by all"


def test_nobody_else_reaches_programs_of_an_image(used):
    """A set-uid program of an old image would be one of the host: layers and containers are closed."""
    used.store_dir.chmod(0o755)  # as somebody may have made it who passes --root
    for name in ("layers", "containers", "volumes"):
        mode = (used.store_dir / name).stat().st_mode
        assert not mode & 0o077, f"{name} is {mode:o}"


def test_a_closed_umask_of_the_caller_closes_nothing_in_the_container(rcrun):
    from accounts import bin_dir

    words = ("run", "--rm", "-u", "1000", "-v", "/data", *NO_NETWORK, "busybox")
    script = "cat /etc/resolv.conf /etc/hosts /etc/hostname; ls /data; umask"
    got = rcrun.account.run(
        "sh", "-c", 'umask 077; exec "$@"', "sh", bin_dir() / "rcrun", *words, "sh", "-c", script,
        env=rcrun.env,
    ).check()  # fmt: skip
    assert got.out.endswith("0022\n")


def test_records_and_logs_are_closed(used):
    for path in (used.store_dir / "containers").iterdir():
        assert not path.stat().st_mode & 0o077, path


def test_live_state_is_closed(used):
    live = used.account.runtime_dir / "rcrun"
    assert not live.stat().st_mode & 0o077
    sockets = [path for path in live.rglob("*") if path.is_socket()]
    assert sockets
    for path in sockets:
        assert not path.stat().st_mode & 0o077


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_another_user_cannot_use_the_attach_socket(used, accounts):
    """Not even with the directories open to him: the monitor looks at who connects."""
    live = used.account.runtime_dir / "rcrun"
    path = next(path for path in live.rglob("attach.sock"))
    for folder in [path, *path.parents]:
        if folder.is_relative_to(used.account.dir):
            folder.chmod(folder.stat().st_mode | 0o007)
    script = (
        "import socket,sys,os\n"
        "s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET); s.settimeout(60)\n"
        "os.chdir(sys.argv[1]); s.connect('attach.sock')\n"
        "try:\n s.send(b'H\\x07'); s.send(b'S\\x09'); print(s.recv(100))\n"
        "except OSError as error: print(error)\n"
    )
    other = accounts.get("single")
    got = other.run("/usr/bin/python3", "-c", script, str(path.parent)).check()
    assert got.out.strip() in (
        "b''",
        "[Errno 32] Broken pipe",
        "[Errno 104] Connection reset by peer",
    )
    assert used("ps", "--format", "{{.Names}}").out == "web\n"
    path.parent.chmod(0o700)


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_garbage_on_the_attach_socket(used):
    """Packets that mean nothing close their connection only."""
    path = str(next((used.account.runtime_dir / "rcrun").rglob("attach.sock")))
    seed = int(os.environ.get("RCRUN_SEED", "7"))
    import random

    chance = random.Random(seed)
    for _ in range(300):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            peer.settimeout(60)
            os.seteuid(used.account.uid)
            try:
                peer.connect(path)
                for _ in range(chance.randrange(4)):
                    kind = chance.choice(b"HIWSOEAPRX\0\xff")
                    size = chance.choice([0, 1, 2, 4, 8, 9, 100, 16383, 16384, 20000])
                    packet = bytes([kind]) + chance.randbytes(size)
                    if kind == ord("S"):
                        packet = b"S" + chance.choice([b"\0", b"\xff", b"\x41\x41", b""])
                    peer.send(packet)
            except OSError:
                pass
            finally:
                os.seteuid(0)
    assert used("exec", "web", "echo", "fine").check().out == "fine\n"
    assert used("ps", "--format", "{{.Names}}").out == "web\n"


@pytest.mark.parametrize("kind", ["open", "link", "file"])
def test_a_live_directory_that_somebody_else_prepared(single_id_account, fresh_rcrun, kind):
    """In /tmp the place has a name that others know: what is there is not used, nor read."""
    account = single_id_account
    rcrun = fresh_rcrun(account)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    path = Path(f"/tmp/rcrun-{account.uid}-{boot}")
    assert not path.exists(), "somebody works as the tests' user"
    prepared = account.new_dir("prepared")
    if kind == "open":
        path.mkdir()
        path.chmod(0o777)
    elif kind == "link":
        path.symlink_to(prepared)
    else:
        path.touch()
    try:
        for words in (("run", "--rm", "--rootfs", "/", "true"), ("ps", "-a"), ("rm", "-f", "x")):
            got = rcrun(*words, env={"RCRUN_RUNROOT": "", "XDG_RUNTIME_DIR": ""})
            assert got.status != 0
            assert "belongs to somebody else" in got.err
        assert not path.is_dir() or list(path.iterdir()) == []
    finally:
        if kind == "open":
            path.rmdir()
        else:
            path.unlink()


# ---- files of the caller


def test_pid_file_that_is_no_file(hostile_bundle):
    """Renaming over /dev/null would be the end of it."""
    path = hostile_bundle.dir / "fifo"
    os.mkfifo(path, 0o666)
    path.chmod(0o666)
    said = []
    reader = threading.Thread(target=lambda: said.append(path.read_bytes()))
    reader.start()
    hostile_bundle.args("true").run("--pid-file", str(path)).check()
    reader.join(60)
    assert path.is_fifo()
    assert int(said[0]) > 1


def test_pid_file_that_is_a_link(hostile_bundle):
    target = hostile_bundle.put("target", "")
    os.symlink(target, hostile_bundle.dir / "link")
    hostile_bundle.args("true").run("--pid-file", str(hostile_bundle.dir / "link")).check()
    assert (hostile_bundle.dir / "link").is_symlink()
    assert int(target.read_text()) > 1


@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_the_hosts_null_device_stays(rcrun, hostile_bundle):
    before = os.stat("/dev/null")
    hostile_bundle.args("true").run("--pid-file", "/dev/null").check()
    rcrun("run", "--rm", "-v", "/dev:/dev", *NO_NETWORK, "busybox", "true").check()
    rcrun("run", "--rm", "--log-opt", "max-size=1k", *NO_NETWORK, "busybox", "true").check()
    after = os.stat("/dev/null")
    assert (before.st_ino, before.st_rdev, before.st_mode) == (
        after.st_ino,
        after.st_rdev,
        after.st_mode,
    )


def test_cidfile_is_never_followed_over_a_file(rcrun, secret):
    path = rcrun.account.new_dir("cid") / "cid"
    os.symlink(secret, path)
    got = rcrun("run", "--rm", "--cidfile", path, *NO_NETWORK, "busybox", "true")
    assert got.status == 125
    assert secret.read_text() == "host secret\n"


def test_programs_beside_the_caller_are_not_run(rcrun):
    """The current directory and PYTHON variables decide nothing."""
    place = rcrun.account.new_dir("trap")
    for name in (
        "newuidmap",
        "pasta",
        "os.py",
        "click.py",
        "sitecustomize.py",
        "rcrun-shim",
        "json.py",
    ):
        (place / name).write_text("#!/bin/sh\nimport sys; print('OWNED'); sys.exit(9)\n")
        (place / name).chmod(0o755)
    for variables in ({}, {"PYTHONPATH": str(place), "PYTHONSTARTUP": str(place / "os.py")}):
        for words in (("ps",), ("run", "--help"), ("run", "--rm", *NO_NETWORK, "busybox", "true")):
            got = rcrun(*words, cwd=place, env=variables).check()
            assert "OWNED" not in got.out + got.err


def test_others_on_the_host_see_no_process_of_ours_with_their_environment(used):
    """The monitor's command line holds no secret: the environment of the container is in the plan alone."""
    used(
        "run",
        "-d",
        "--name",
        "other",
        "-e",
        "TOKEN=very-secret",
        *NO_NETWORK,
        "busybox",
        "sleep",
        "100",
    ).check()
    listed = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True)
    assert "very-secret" not in listed.stdout
    used("rm", "-f", "other").check()
