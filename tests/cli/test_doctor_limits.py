"""`rcrun doctor` where containers run, with limits; and what it mends."""

from __future__ import annotations

import hashlib
import os
import time

import pytest

from rcrun.runtime.hints_host import HostFacts, single_id_hint

pytestmark = [
    pytest.mark.requires("root", "userns", "subids", "overlay", "network"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]


def test_without_subordinate_ids(doctor, single_rcrun):
    told = doctor(of=single_rcrun)
    why = f'no subordinate ids for user "{single_rcrun.account.name}" in /etc/subuid'
    assert told.status == 0
    assert (told["ids"]["level"], told["ids"]["why"]) == ("limited", why)
    assert told["ids"]["hint"] == single_id_hint(why, HostFacts())
    assert told["ids"]["command"].startswith("sudo usermod --add-subuids ")


TOOLS = [
    ("for t in newuidmap newgidmap; do mount --bind /dev/null /usr/bin/$t; done",
     '"newuidmap" is not installed', "sudo apt-get install uidmap"),
    ("mount -t tmpfs none /mnt; cp /usr/bin/newuidmap /mnt; mount --bind /mnt/newuidmap /usr/bin/newuidmap",
     '"/usr/bin/newuidmap" is neither set-user-ID nor does it have file capabilities',
     "sudo chown root /usr/bin/newuidmap && sudo chmod u+s /usr/bin/newuidmap"),
    ("mount --bind /usr/bin /usr/bin; mount -o remount,bind,nosuid /usr/bin",
     '"/usr/bin/newuidmap" is on a file system mounted nosuid',
     'sudo mount -o remount,suid "$(findmnt -no TARGET -T /usr/bin/newuidmap)"'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("prepare", "why", "command"), TOOLS, ids=["missing", "not set-uid", "nosuid"]
)
def test_newuidmap_has_no_privilege(doctor, prepare, why, command):
    told = doctor(prepare)
    assert told.status == 0
    assert (told["ids"]["level"], told["ids"]["why"], told["ids"]["command"]) == (
        "limited",
        why,
        command,
    )


def test_subordinate_ids_are_somebody_elses_too(doctor, rcrun):
    told = doctor("cp /etc/subuid /run/subuid; sed 's/^[^:]*:/other:/' /etc/subuid >>/run/subuid;"
                  " mount --bind /run/subuid /etc/subuid; rm /run/subuid")  # fmt: skip
    assert told["ids"]["level"] == "limited"
    assert 'user "other" has some of them, too' in told["ids"]["found"]


NETWORKS = [
    ("for t in pasta pasta.avx2 slirp4netns; do test ! -e /usr/bin/$t || mount --bind /dev/null /usr/bin/$t; done",
     {"pasta": "not installed", "slirp4netns": "not installed", "container": "ran, without a network"}),
    ("for t in pasta pasta.avx2; do test ! -e /usr/bin/$t || mount --bind /dev/null /usr/bin/$t; done",
     {"pasta": "not installed", "container": "ran, also with a network by slirp4netns"}),
    ("mount -t tmpfs none /dev/net; mknod -m 600 /dev/net/tun c 10 200",
     {"tun": "/dev/net/tun cannot be used", "pasta": "cannot make a network", "container": "ran, without a network"}),
    ("mount -t tmpfs none /dev/net", {"tun": "/dev/net/tun cannot be used"}),
    ("mount --bind /dev/null /dev/net/tun", {"pasta": "cannot make a network"}),
    ("mount --bind /dev/null /etc/resolv.conf", {"dns": "/etc/resolv.conf names no server"}),
    ("echo nameserver 127.0.0.99 >/run/r; mount --bind /run/r /etc/resolv.conf; rm /run/r",
     {"dns": "127.0.0.99 does not answer"}),
]  # fmt: skip


@pytest.mark.parametrize(("prepare", "found"), NETWORKS)
def test_what_makes_the_network_is_missing(doctor, prepare, found):
    told = doctor(prepare)
    assert told.status == 0
    for name, text in found.items():
        assert (told[name]["level"], told[name]["found"]) == (
            "ok" if text.startswith("ran, also") else "limited", text,
        )  # fmt: skip


def test_the_commands_for_tun(doctor):
    closed = doctor("mount -t tmpfs none /dev/net; mknod -m 600 /dev/net/tun c 10 200")
    assert closed["tun"]["command"] == "sudo chmod 666 /dev/net/tun"
    assert closed["tun"]["why"] == "permission denied"
    gone = doctor("mount -t tmpfs none /dev/net")
    assert gone["tun"]["command"] == "sudo modprobe tun"


def test_no_default_route(doctor):
    told = doctor("ip link set lo up", kinds="-m -n")
    assert told.status == 0
    assert told["route"]["found"] == "there is no default route"


ODD_STORES = [
    ("mount -t ramfs -o mode=777 none $store", "file-system", "has no user attributes"),
    ("mount -t tmpfs -o mode=777,noexec none $store", "store", "is mounted noexec"),
    ("mount -t tmpfs -o mode=777,size=200m none $store", "room", "little room in"),
]


@pytest.mark.parametrize(("prepare", "name", "found"), ODD_STORES)
def test_odd_file_systems(doctor, fresh_rcrun, prepare, name, found):
    told = doctor(f"{prepare}; chmod 777 $store", of=fresh_rcrun())
    assert told[name]["level"] == "limited"
    assert found in told[name]["found"]


def test_overlay_is_refused(doctor, fresh_rcrun):
    """On an overlay; a home on NFS says the same."""
    prepare = """
        mount -t tmpfs -o mode=755 none /mnt
        mkdir /mnt/lower /mnt/upper /mnt/work
        mount -t overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work none $store
        chmod 777 $store
    """
    told = doctor(prepare, of=fresh_rcrun())
    assert (told.status, told["overlay"]["level"]) == (0, "limited")
    assert told["overlay"]["found"] == "the kernel refuses them, fuse-overlayfs does it"
    hidden = "test ! -e /usr/bin/fuse-overlayfs || mount --bind /dev/null /usr/bin/fuse-overlayfs"
    told = doctor(prepare + hidden, of=fresh_rcrun())
    assert told["overlay"]["found"] == "neither the kernel nor fuse-overlayfs mounts them"
    assert told["overlay"]["command"] == "sudo apt-get install fuse-overlayfs"


def test_fuse_is_closed(doctor):
    told = doctor(
        "mount -t tmpfs none /mnt; mknod -m 600 /mnt/fuse c 10 229; mount --bind /mnt/fuse /dev/fuse"
    )
    if told["fuse"]["found"].startswith("not installed"):
        pytest.fail("ci/setup installs fuse-overlayfs")
    assert (told["fuse"]["level"], told["fuse"]["command"]) == (
        "limited",
        "sudo chmod 666 /dev/fuse",
    )


VARIABLES = [
    ({"XDG_RUNTIME_DIR": ""}, "runtime-dir", "is not set"),
    ({"XDG_RUNTIME_DIR": "run"}, "runtime-dir", '"run" is no absolute path'),
    ({"XDG_RUNTIME_DIR": "/nonexistent"}, "runtime-dir", '"/nonexistent" does not exist'),
    ({"XDG_RUNTIME_DIR": "/root"}, "runtime-dir", '"/root" belongs to user 0'),
    ({"TMPDIR": "/nonexistent"}, "tmp", 'TMPDIR, "/nonexistent", cannot be written'),
    ({"DOCKER_HOST": "tcp://elsewhere:2375"}, "other-engine", "DOCKER_HOST is tcp://elsewhere:2375"),
]  # fmt: skip


@pytest.mark.parametrize(("env", "name", "found"), VARIABLES)
def test_variables(doctor, env, name, found):
    told = doctor(env=env)
    assert told.status == 0
    assert (told[name]["level"], told[name]["found"]) == ("limited", found)


def test_nobody_listens_at_docker_host(doctor, tmp_path):
    told = doctor(env={"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    assert f"nobody listens at unix://{tmp_path}/none.sock" in told["other-engine"]["means"]


def test_files_of_credentials(doctor, rcrun):
    folder = rcrun.account.new_dir("docker")
    file = folder / "config.json"
    env = {"DOCKER_CONFIG": str(folder)}
    file.write_text("{")
    assert doctor(env=env)["auth"]["found"] == f'"{file}" is not valid'
    file.write_text('{"credsStore": "nosuch", "currentContext": "far"}')
    about = folder / "contexts/meta" / hashlib.sha256(b"far").hexdigest() / "meta.json"
    about.parent.mkdir(parents=True)
    about.write_text('{"Name": "far", "Endpoints": {"docker": {"Host": "ssh://me@far"}}}')
    told = doctor(env=env)
    assert told["other-engine"]["found"] == f'"{file}" names the context "far", ssh://me@far'
    assert told["auth"]["level"] == "ok"
    assert told["credential-helpers"]["found"] == '"docker-credential-nosuch" is not in PATH'
    file.write_text("{}")
    os.chown(file, rcrun.account.uid, rcrun.account.gid)
    file.chmod(0)
    told = doctor(env=env)
    assert told["auth"]["why"] == "permission denied"
    assert told["auth"]["command"] == f"chmod u+rw {file}"
    told = doctor("", "--fix", env=env)
    assert {"name": "auth", "done": f"chmod 600 {file}"} in told.data["fixed"]
    assert told["auth"]["level"] == "ok"


@pytest.mark.parametrize(("name", "text"), [("registries.conf", "a = ["), ("policy.json", "{")])
def test_files_of_other_tools(doctor, rcrun, name, text):
    folder = rcrun.account.new_dir("config")
    (folder / "containers").mkdir()
    (folder / "containers" / name).write_text(text)
    told = doctor(env={"XDG_CONFIG_HOME": str(folder)})
    assert (told.status, told["registries"]["level"]) == (0, "limited")
    start = f'"{folder}/containers/{name}" '
    assert told["registries"]["found"].startswith(
        (f"{start}is not valid TOML", f"{start}cannot be used")
    )


# ---- --fix


def test_leftovers_are_found_and_fixed(doctor, fresh_rcrun):
    fresh = fresh_rcrun()
    fresh("ps").check()
    half = fresh.store_dir / "containers" / ("a" * 64)
    trash = fresh.store_dir / "trash" / "b"
    for folder in (half, trash):
        fresh.account.run("mkdir", "-p", folder).check()
    os.utime(half, (0, 0))
    assert settled(doctor, fresh)["found"].startswith("2 of crashed or killed commands")
    assert half.exists()
    told = doctor("", "--fix", of=fresh)
    assert {"name": "leftovers", "done": f"removed {half}, {trash}"} in told.data["fixed"]
    assert (told["leftovers"]["level"], told["leftovers"]["found"]) == ("ok", "nothing")
    assert not half.exists()
    assert not trash.exists()


def settled(doctor, fresh):
    """Nothing is called left in the second in which it came."""
    for _ in range(10):
        probe = doctor(of=fresh)["leftovers"]
        if probe["found"].startswith("2 "):
            break
    return probe


def test_the_state_of_earlier_boots_is_fixed(doctor, rcrun):
    old = f"/tmp/rcrun-{rcrun.account.uid}-00000000"
    prepare = f"mount -t tmpfs -o mode=1777 none /tmp; mkdir -m 700 {old}; chown {rcrun.account.uid} {old}"
    assert doctor(prepare)["old-boots"]["level"] == "limited"
    told = doctor(prepare, "--fix")
    assert {"name": "old-boots", "done": "removed 1 directories of earlier boots"} in told.data[
        "fixed"
    ]
    assert told["old-boots"]["level"] == "ok"


def test_a_runtime_directory_open_to_others_is_fixed(doctor, rcrun):
    folder = rcrun.account.new_dir("run")
    folder.chmod(0o777)
    env = {"XDG_RUNTIME_DIR": str(folder)}
    assert doctor(env=env)["runtime-dir"]["command"] == f"chmod 700 {folder}"
    assert doctor("", "--fix", env=env)["runtime-dir"]["level"] == "ok"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_root_is_asked_on_request_only(doctor, rcrun):
    """A sudo that writes down what it was to do."""
    folder = rcrun.account.new_dir("bin")
    log = folder / "log"
    log.touch()
    log.chmod(0o666)
    (folder / "sudo").write_text(f'#!/bin/sh\necho "$*" >>{log}\n')
    (folder / "sudo").chmod(0o755)
    env = {"PATH": f"{folder}:{rcrun.account.environ['PATH']}"}
    closed = "mount -t tmpfs none /dev/net; mknod -m 600 /dev/net/tun c 10 200"
    doctor(closed, "--fix", env=env)
    assert log.read_text() == ""
    told = doctor(closed, "--fix", "--sudo", env=env)
    assert {"name": "tun", "done": "sudo chmod 666 /dev/net/tun"} in told.data["fixed"]
    assert "chmod 666 /dev/net/tun" in log.read_text().splitlines()
    got = doctor("", "--sudo", raw=True)
    assert (got.returncode, got.stderr) == (
        1, "rcrun: error: --sudo is for --fix\nhint: run: rcrun doctor --fix --sudo\n",
    )  # fmt: skip


def test_it_does_not_wait_for_what_does_not_answer(doctor):
    """A name server far away: the packets go nowhere, and the whole takes hardly longer than the wait for it."""
    begun = time.monotonic()
    told = doctor(
        "echo nameserver 192.0.2.99 >/run/r; mount --bind /run/r /etc/resolv.conf; rm /run/r"
    )
    assert told["dns"]["found"] == "192.0.2.99 does not answer"
    assert time.monotonic() - begun < 15
