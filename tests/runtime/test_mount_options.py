"""Options of mounts whose effect only the kernel shows: remounts, locked attributes, places in read-only mounts."""

from __future__ import annotations

import os
import subprocess

import pytest

from runtime.conftest import Bundle, not_on
from runtime.test_mounts import mounts

pytestmark = pytest.mark.requires("userns")
WORDS = "ro nosuid nodev noexec noatime nodiratime strictatime nosymfollow".split()
KEEPS_THE_MODE = not_on("crun", "1.8 gives every tmpfs mode 1777; later ones keep it")
OPPOSITE = {"ro": "rw", "noatime": "relatime", "strictatime": "relatime"}


@pytest.mark.parametrize("word", WORDS)
def test_recursive_words_reach_what_is_beneath(bundle: Bundle, word: str) -> None:
    bundle.make_dir("rootfs/a")
    bundle.mount("/own", "tmpfs", "tmpfs").mount("/own/deep", "tmpfs", "tmpfs")
    bundle.mount("/own", "none", "none", "remount", "bind", f"r{word}")
    shown = {"strictatime": ""}.get(word, word)
    points = mounts(bundle)
    for point in ("/own", "/own/deep"):
        if shown:
            assert shown in points[point].options, points[point].options
        else:
            assert not {"relatime", "noatime"} & set(points[point].options)


@pytest.mark.parametrize("word", [word for word in WORDS if word != "nosymfollow"])
def test_what_a_word_sets_its_opposite_clears(bundle: Bundle, word: str) -> None:
    other = OPPOSITE.get(word, word.removeprefix("no"))
    bundle.mount("/t", "tmpfs", "tmpfs", word, other)
    options = mounts(bundle)["/t"].options
    if word != "strictatime":
        assert word not in options


@pytest.mark.parametrize(
    ("words", "shown"), [(["sync"], "sync"), (["dirsync"], "dirsync"), (["sync", "async"], "")]
)
def test_words_of_the_file_system(bundle: Bundle, words: list[str], shown: str) -> None:
    bundle.mount("/t", "tmpfs", "tmpfs", *words)
    data = mounts(bundle)["/t"].data
    assert (shown in data) if shown else ("sync" not in data)


def test_words_that_every_mount_takes(bundle: Bundle) -> None:
    words = "defaults async nolazytime loud nomand noiversion".split()
    bundle.make_dir("data")
    bundle.mount("/t", "tmpfs", "tmpfs", *words)
    bundle.mount("/d", "bind", str(bundle.dir / "data"), "bind", *words)
    assert {"/t", "/d"} <= set(mounts(bundle))


@pytest.mark.usefixtures("ours")
def test_a_remount_changes_a_file_system(bundle: Bundle) -> None:
    bundle.mount("/t", "tmpfs", "tmpfs", "size=1m")
    bundle.mount("/t", "tmpfs", "tmpfs", "remount", "size=2m", "noexec")
    mount = mounts(bundle)["/t"]
    assert "size=2048k" in mount.data
    assert "noexec" in mount.options


@pytest.mark.usefixtures("ours")
def test_a_remount_of_what_is_no_mount(bundle: Bundle) -> None:
    bundle.make_dir("rootfs/t")
    bundle.mount("/t", "none", "none", "remount", "bind", "ro")
    result = bundle.run()
    assert result.status == 1
    assert 'cannot change the mount on "/t": invalid argument' in result.err
    assert "nothing is mounted exactly there" in result.err


def test_a_readonly_tmpfs_with_a_mount_in_it(bundle: Bundle) -> None:
    bundle.put("data/file", "content")
    bundle.mount("/t", "tmpfs", "tmpfs", "ro")
    bundle.mount("/t/deep/data", "bind", str(bundle.dir / "data"), "bind")
    assert bundle.output("cat", "/t/deep/data/file") == "content"
    assert "Read-only" in bundle.args("write", "/t/new", "x").run().err
    bundle.args("write", "/t/deep/data/new", "x").run().check()


def test_a_readonly_dev(bundle: Bundle) -> None:
    bundle.config["mounts"][1]["options"].append("ro")
    assert "Read-only" in bundle.args("write", "/dev/new", "x").run().err
    bundle.args("write", "/dev/null", "x").run().check()


@pytest.mark.parametrize("gone", [False, True])
def test_a_source_that_is_an_open_file(bundle: Bundle, gone: bool) -> None:
    """A caller hands over a file that it has looked at already; the kernel binds none that is gone."""
    data = bundle.put("data/file", "content")
    bundle.mount("/t", "bind", "/proc/self/fd/5", "bind", "ro").args("cat", "/t").write()
    script = f'exec 5<"$1"; {"rm" if gone else "test -e"} "$1"; shift; exec "$@"'
    words = [*bundle.words(), "run", "--preserve-fds", "3", "-b", str(bundle.dir), bundle.id]
    result = bundle.account.run("sh", "-c", script, "sh", str(data), *words)
    if gone:
        assert result.status != 0
        assert "/proc/self/fd/5" in result.err
    else:
        assert result.check().out == "content"


# ---- within another user namespace


def in_a_user_namespace(bundle: Bundle, before: str) -> str:
    """The output of `cat /proc/self/mountinfo`, run by root of a user namespace after a script that mounts."""
    bundle.args("cat", "/proc/self/mountinfo").write()
    words = [*bundle.words(), "run", "-b", str(bundle.dir), bundle.id]
    script = f'{before}; exec "$@"'
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    if bundle.account.kind == "root":
        unshare = ["unshare", "--mount", "--propagation", "private"]
    return bundle.account.run(*unshare, "sh", "-ec", script, "sh", *words).check().out


LOCKED = ("ro", "nosuid", "nodev", "noexec")


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.parametrize(
    "word",
    ["ro", "rw", "suid", "dev", "exec", "relatime", "rrw", "nosuid", "noatime", "nodiratime"],
)
def test_what_an_outer_namespace_has_locked_stays(bundle: Bundle, word: str) -> None:
    """Callers write `rw` for all that they bind: podman does."""
    options = ",".join(LOCKED)
    # the container's own user namespace makes of these mounts ones that it cannot open up
    bundle.config["linux"]["namespaces"].append({"type": "user"})
    bundle.mount("/d", "bind", "/mnt", "rbind", word)
    text = in_a_user_namespace(bundle, f"mount -t tmpfs -o {options} tmpfs /mnt")
    [line] = [line for line in text.splitlines() if line.split()[4] == "/d"]
    assert set(LOCKED) <= set(line.split()[5].split(","))


@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.usefixtures("ours")
def test_a_proc_that_is_partly_covered(bundle: Bundle) -> None:
    """As in a container whose paths are masked: the kernel shows nobody inside more than that."""
    bundle.config["linux"]["namespaces"].append({"type": "user"})
    bundle.args("true").write()
    words = [*bundle.words(), "run", "-b", str(bundle.dir), bundle.id]
    script = 'mount -t tmpfs tmpfs /proc/irq; exec "$@"'
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc"]
    result = bundle.account.run(*unshare, "sh", "-ec", script, "sh", *words)
    assert result.status == 1
    assert 'cannot mount proc on "/proc": Operation not permitted' in result.err
    assert "unmask=ALL" in result.err


# ---- devices that are there


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_a_device_that_is_there_already(bundle: Bundle) -> None:
    device = {"path": "/nodes/foo", "type": "c", "major": 1, "minor": 5, "fileMode": 0o600}
    fifo = {"path": "/nodes/pipe", "type": "p"}
    bundle.linux(devices=[device, fifo])
    for _ in range(2):
        assert bundle.output("stat", "/nodes/foo").split()[-1] == "1:5"
    os.unlink(bundle.dir / "rootfs/nodes/foo")
    os.mknod(bundle.dir / "rootfs/nodes/foo", 0o20600, os.makedev(1, 3))
    result = bundle.run()
    assert result.status == 1
    assert 'cannot make the device "/nodes/foo": file exists' in result.err


@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_idmapped_by_words_in_an_option(bundle: Bundle) -> None:
    bundle.put("data/file", "content")
    words = "idmap=uids=0-1000-10;gids=0-2000-10"
    bundle.mount("/data", "bind", str(bundle.dir / "data"), "bind", words)
    assert bundle.output("stat", "/data/file").split()[2:4] == ["1000", "2000"]
    assert subprocess.run(["stat", "-c", "%u", str(bundle.dir / "data/file")], stdout=-1, check=True).stdout == b"0\n"  # fmt: skip


def test_the_mode_of_a_tmpfs(bundle: Bundle) -> None:
    bundle.mount("/t", "tmpfs", "tmpfs", "mode=1712")
    assert bundle.output("stat", "/t").split()[1] == "41712"


def test_the_mode_of_a_tmpfs_that_begins_with_what_was_there(bundle: Bundle) -> None:
    bundle.put("rootfs/etc/file", "content")
    bundle.mount("/etc", "tmpfs", "tmpfs", "tmpcopyup", "mode=1712", "gid=0")
    assert bundle.output("stat", "/etc").split()[1] == "41712"
    assert bundle.output("cat", "/etc/file") == "content"


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        pytest.param(["ro"], "712", marks=KEEPS_THE_MODE),
        pytest.param(["mode=1750"], "1750"),
        pytest.param(["size=1m"], "712", marks=KEEPS_THE_MODE),
    ],
)
def test_a_tmpfs_has_the_mode_of_what_it_covers(
    bundle: Bundle, options: list[str], mode: str
) -> None:
    bundle.make_dir("rootfs/t").chmod(0o712)
    bundle.mount("/t", "tmpfs", "tmpfs", *options)
    assert bundle.output("stat", "/t").split()[1] == f"4{mode.rjust(4, '0')}"


def test_a_tmpfs_where_nothing_was(bundle: Bundle) -> None:
    bundle.mount("/t", "tmpfs", "tmpfs")
    assert bundle.output("stat", "/t").split()[1] == "41777"
