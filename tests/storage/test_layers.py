"""Layers unpacked by the worker, as root and as users with and without subordinate ids."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import tars
from tars import archive, directory, file, hard_link, pax

CHECKOUT = Path(__file__).resolve().parents[2]
DRIVE = Path(__file__).parent / "drive.py"
NAME = "docker.io/library/x:1"

BASE = archive(
    directory("etc"),
    file("etc/passwd", b"root"),
    file("etc/shadow", b"secret", mode=0o640, gid=42),
    file("etc/far", b"far", uid=70_000),
    directory("tmp", mode=0o1777, mtime=77),
    directory("closed", mode=0o000, uid=5),
    hard_link("etc/linked", "etc/passwd"),
    tars.header("null", b"3", major=1, minor=3, mode=0o666),
    file("suid", b"x", mode=0o4755),
)
CHANGES = archive(
    file("etc/.wh.passwd"),
    file("tmp/file", b"x"),
    file("new/.wh..wh..opq"),
    pax(
        ("SCHILY.xattr.user.note", "1"),
        ("SCHILY.xattr.security.capability", b"\1\0\0\2\0\4\0\0" + bytes(12)),
    ),
    file("capable", b"x", mode=0o755),
)


@pytest.fixture(params=["root", "user", "single"])
def owner(request: pytest.FixtureRequest, accounts: Any) -> Any:
    return accounts.get(request.param)


class Driver:
    """A store of one account, and what is done with it as that account."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.dir = account.new_dir("layers")
        self.store_dir = self.dir / "store"

    def __call__(self, command: str, *words: str, **options: Any) -> dict[str, Any]:
        argv = self.argv(command, *words)
        result = self.account.run(*argv, **options).check()
        assert result.err == ""
        answer: dict[str, Any] = json.loads(result.out)
        return answer

    def argv(self, command: str, *words: str) -> list[str]:
        return ["python3", "-IS", str(DRIVE), str(CHECKOUT), command, str(self.store_dir), *words]

    def make(self, layers: Sequence[bytes], *, diff_ids: Sequence[bytes] | None = None) -> None:
        """Load an image of these layers, through an archive as docker writes it."""
        path = self.dir / "image.tar"
        path.write_bytes(oci_archive(layers, diff_ids or layers))
        os.chmod(path, 0o644)
        assert self("load", str(path)) == {"names": [[NAME]]}

    def layer_dirs(self) -> list[Path]:
        return sorted(self.store_dir.glob("layers/*/*"))


def oci_archive(layers: Sequence[bytes], contents: Sequence[bytes]) -> bytes:
    blobs: dict[str, bytes] = {}

    def add(data: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    stem = "application/vnd.oci.image"
    diff_ids = ["sha256:" + hashlib.sha256(each).hexdigest() for each in contents]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    manifest = {
        "schemaVersion": 2,
        "config": add(json.dumps(config).encode(), f"{stem}.config.v1+json"),
        "layers": [add(gzip.compress(each, 1), f"{stem}.layer.v1.tar+gzip") for each in layers],
    }
    entry = add(json.dumps(manifest).encode(), f"{stem}.manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": NAME}
    blobs["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    blobs["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for name, data in blobs.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return output.getvalue()


@pytest.fixture
def drive(owner: Any) -> Driver:
    return Driver(owner)


@pytest.mark.requires("userns")
def test_layers_for_every_kind_of_user(drive: Driver) -> None:
    drive.make([BASE, CHANGES])
    answer = drive("ensure", NAME)
    kinds = {"root": "root", "user": "mapped", "single": "single"}
    kind = kinds[drive.account.kind]
    assert answer["kind"] == kind
    top, bottom = map(Path, answer["lowers"])
    assert bottom == drive.store_dir / "layers" / kind / answer["chain"][0] / "diff"
    assert len(answer["unpacked"]) == 2
    assert drive("ensure", NAME)["unpacked"] == []

    assert_owners(answer, bottom)
    whiteout = os.lstat(top / "etc/passwd")
    assert stat.S_ISCHR(whiteout.st_mode)
    assert whiteout.st_rdev == 0
    opaque = "trusted.overlay.opaque" if kind == "root" else "user.overlay.opaque"
    assert os.getxattr(top / "new", opaque) == b"y"
    assert os.getxattr(top / "capable", "user.note") == b"1"
    assert "security.capability" in os.listxattr(top / "capable")
    # The directory that the archive left out looks as in the layer below.
    assert oct((top / "tmp").stat().st_mode) == "0o41777"
    assert (top / "tmp").stat().st_mtime == 77

    record = json.loads((bottom.parent / "layer.json").read_text())
    assert record == {
        "chain_id": f"sha256:{answer['chain'][0]}",
        "diff_id": "sha256:" + hashlib.sha256(BASE).hexdigest(),
        "parent": None,
        "size": 14,
    }
    assert json.loads((top.parent / "layer.json").read_text())["parent"] == answer["chain"][0]
    assert os.listdir(drive.store_dir / "tmp") == []


def assert_owners(answer: dict[str, Any], root: Path) -> None:
    """What can be set is set; the rest is recorded."""
    outside = {
        inside + at: first + at
        for inside, first, count in answer["uid_map"]
        for at in range(min(count, 100_000))
    }
    records = {}
    path = root.parent / "owners.jsonl"
    for line in path.read_text().splitlines() if path.exists() else []:
        name, *rest = json.loads(line)
        records[name] = rest
    for name, uid in {"etc/passwd": 0, "closed": 5, "etc/far": 70_000}.items():
        if uid in outside:
            assert os.lstat(root / name).st_uid == outside[uid]
            assert name not in records
        else:
            assert os.lstat(root / name).st_uid == outside[0]
            assert records[name][0] == uid
    if answer["kind"] == "root":
        assert os.lstat(root / "null").st_rdev == os.makedev(1, 3)
    else:
        assert records["null"] == [0, 0, 0o666, "c", 1, 3]
    if answer["kind"] == "single":
        assert records["etc/shadow"] == [0, 42, 0o640, "-", 0, 0]
    assert oct(os.lstat(root / "suid").st_mode) == "0o104755"
    assert oct(os.lstat(root / "closed").st_mode) == "0o40000"
    assert os.lstat(root / "etc/linked").st_nlink == 2


@pytest.mark.requires("subids", "userns")
def test_root_of_a_user_namespace(user_account: Any) -> None:
    """As under `podman unshare`, or in a container: root, but only of what is mapped there."""
    drive = Driver(user_account)
    drive.make([BASE, CHANGES])
    prefix = ["unshare", "--map-root-user", "--map-auto"]
    result = drive.account.run(*prefix, *drive.argv("ensure", NAME)).check()
    answer = json.loads(result.out)
    assert answer["kind"] == "root"
    top, bottom = map(Path, answer["lowers"])
    assert bottom.parent.parent.name.startswith("nested-")
    records = [
        json.loads(line) for line in (bottom.parent / "owners.jsonl").read_text().splitlines()
    ]
    assert sorted(record[0] for record in records) == ["etc/far", "null"]
    assert os.getxattr(top / "new", "user.overlay.opaque") == b"y"
    assert os.lstat(bottom / "closed").st_uid == answer["uid_map"][1][1] + 4


def many_files(count: int, seed: int = 0) -> bytes:
    return archive(*(file(f"d{n % 50}/f{n}", b"%d,%d" % (seed, n)) for n in range(count)))


@pytest.mark.requires("userns")
def test_many_at_once_unpack_each_layer_once(user_account: Any) -> None:
    drive = Driver(user_account)
    drive.make([many_files(300, seed) for seed in range(4)])
    running = [
        drive.account.popen(*drive.argv("ensure", NAME), stdout=subprocess.PIPE) for _ in range(4)
    ]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in running]
    assert [process.returncode for process in running] == [0] * 4
    assert len({tuple(answer["lowers"]) for answer in answers}) == 1
    unpacked = [digest for answer in answers for digest in answer["unpacked"]]
    assert len(unpacked) == len(set(unpacked)) == 4
    assert os.listdir(drive.store_dir / "tmp") == []


@pytest.mark.requires("userns")
def test_killed_in_the_middle(user_account: Any) -> None:
    """What was half-made is invisible, done again, and swept."""
    drive = Driver(user_account)
    drive.make([many_files(8000)])
    process = drive.account.popen(
        *drive.argv("ensure", NAME), stdout=subprocess.DEVNULL, start_new_session=True
    )
    tmp_dir = drive.store_dir / "tmp"
    wait_for(lambda: any(tmp_dir.glob("layer.*/diff/d*")))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not drive.account.processes())
    assert drive.layer_dirs() == []
    assert list(tmp_dir.glob("layer.*"))
    assert len(drive("ensure", NAME)["unpacked"]) == 1
    assert len(list(Path(drive("ensure", NAME)["lowers"][0]).rglob("f*"))) == 8000
    drive("sweep")
    assert os.listdir(tmp_dir) == []
    assert os.listdir(drive.store_dir / "trash") == []


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.requires("userns")
def test_a_layer_that_is_not_what_the_image_says(user_account: Any) -> None:
    drive = Driver(user_account)
    drive.make([BASE, CHANGES], diff_ids=[BASE, BASE])
    answer = drive("ensure", NAME)
    assert "does not hold what its image says" in answer["error"]
    assert [path.parent.name for path in drive.layer_dirs()] == ["mapped"]  # the sound one stays
    assert os.listdir(drive.store_dir / "tmp") == []


@pytest.mark.requires("userns")
@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_damaged_blobs(user_account: Any, damage: str) -> None:
    drive = Driver(user_account)
    drive.make([many_files(100)])
    (blob,) = (
        p for p in drive.store_dir.glob("blobs/sha256/*") if p.read_bytes()[:2] == b"\x1f\x8b"
    )
    data = blob.read_bytes()
    if damage == "gone":
        blob.unlink()
    else:
        blob.write_bytes(data[:-100] if damage == "cut" else data[:200] + bytes(50) + data[250:])
    answer = drive("ensure", NAME)
    words = "is not in the store" if damage == "gone" else "its content was changed or damaged"
    assert f"sha256:{blob.name}" in answer["error"]
    assert words in answer["error"]
    assert answer["hint"] == "pull or load its image again"
    assert drive.layer_dirs() == []
    assert os.listdir(drive.store_dir / "tmp") == []


@pytest.mark.requires("userns")
def test_a_hostile_layer_names_the_member(user_account: Any) -> None:
    drive = Driver(user_account)
    drive.make([archive(file("../evil"))])
    answer = drive("ensure", NAME)
    assert answer["class"] == "InvalidInput"
    assert '"../evil" has a ".."' in answer["error"]
    assert drive.layer_dirs() == []


@pytest.mark.requires("userns")
def test_after_a_crash_of_the_host_a_layer_is_done_again(user_account: Any) -> None:
    drive = Driver(user_account)
    drive.make([BASE])
    drive("ensure", NAME)
    (layer_dir,) = drive.layer_dirs()
    note = json.loads((layer_dir / "pending").read_text())
    note["boot"][1] = "another boot"
    (layer_dir / "pending").write_text(json.dumps(note))
    (layer_dir / "diff/etc/passwd").write_text("")  # what a crash may leave
    assert len(drive("ensure", NAME)["unpacked"]) == 1
    assert (layer_dir / "diff/etc/passwd").read_text() == "root"
    assert not (layer_dir / "pending").exists()  # it was synced this time
    assert drive("ensure", NAME)["unpacked"] == []


@pytest.mark.requires("userns")
def test_what_a_container_stands_on_is_never_taken_away(user_account: Any) -> None:
    drive = Driver(user_account)
    drive.make([BASE])
    lowers = drive("ensure", NAME)["lowers"]
    container = drive.store_dir / "containers" / ("0" * 64)
    container.mkdir()
    named = [os.path.relpath(path, drive.store_dir) for path in lowers]
    (container / "container.json").write_text(json.dumps({"rootfs": {"lowers": named}}))
    pending = Path(lowers[0]).parent / "pending"
    pending.write_text(json.dumps({"boot": [os.uname().nodename, "another"], "implied": []}))
    inode = os.stat(lowers[0]).st_ino
    assert drive("ensure", NAME)["unpacked"] == []
    assert os.stat(lowers[0]).st_ino == inode


@pytest.mark.requires("userns")
def test_a_layer_is_settled_after_a_while(user_account: Any) -> None:
    drive = Driver(user_account)
    drive.make([BASE])
    drive("ensure", NAME)
    (layer_dir,) = drive.layer_dirs()
    os.utime(layer_dir / "pending", (1, 1))
    drive("ensure", NAME)
    assert not (layer_dir / "pending").exists()


# ---- the oracle: umoci puts the layers into one directory, we stack them


@pytest.mark.requires("root", "umoci")
def test_the_stack_looks_as_umoci_unpacks_it(root_account: Any) -> None:
    drive = Driver(root_account)
    drive.make(
        [
            BASE,
            CHANGES,
            archive(
                file("etc/passwd", b"back"),
                directory("a"),
                file("a/one"),
                file("a/two"),
                directory("b/c"),
                file("b/c/old"),
                tars.symlink("link", "a"),
            ),
            archive(
                file("a/.wh.one"),
                file("b/.wh.c"),
                directory("b/c", mode=0o711),
                file("b/c/new", b"new"),
                file("new/inside", b"1"),
                file("a/two", b"changed", mode=0o4700, uid=3),
                file(".wh.link"),
                directory("link"),
                file("etc/.wh..wh..opq"),
                file("etc/only"),
            ),
        ]
    )
    lowers = drive("ensure", NAME)["lowers"]
    listing = "find . -mindepth 1 -printf '%P %y %m %U %G %s %n %l\\n' | grep -v ' d ' | sort; "
    listing += "find . -mindepth 1 -type d -printf '%P %m %U %G\\n' | sort"
    merged, bundle = drive.dir / "merged", drive.dir / "bundle"
    merged.mkdir()
    ours = drive.account.run(
        *("unshare", "-m", "sh", "-c"),
        f'mount -t overlay -o ro,lowerdir="$0" overlay "$1" && cd "$1" && {listing}',
        ":".join(lowers),
        str(merged),
    ).check()
    index = json.loads((drive.store_dir / "index.json").read_text())
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "x"}
    (drive.store_dir / "index.json").write_text(json.dumps(index))
    drive.account.run("umoci", "unpack", "--image", f"{drive.store_dir}:x", str(bundle)).check()
    theirs = drive.account.run("sh", "-c", f'cd "$0" && {listing}', str(bundle / "rootfs")).check()
    assert "a/two f 4700 3 0 7 1 " in ours.out.splitlines()
    assert ours.out.splitlines() == theirs.out.splitlines()


# ---- what nothing names any more


@pytest.mark.requires("userns")
def test_sweep(drive: Driver) -> None:
    drive.make([BASE, CHANGES])
    drive("ensure", NAME)
    assert drive("sweep") == {"blobs": [], "layers": [], "size": 0}
    chain = {path.name for path in drive.layer_dirs()}
    drive("forget", NAME)
    answer = drive("sweep")
    assert set(answer["layers"]) == chain
    assert len(answer["blobs"]) == 4
    assert answer["size"] > 14
    for name in ("blobs/sha256", "tmp", "trash"):
        assert os.listdir(drive.store_dir / name) == []
    assert drive.layer_dirs() == []


@pytest.mark.requires("userns")
def test_the_layers_of_containers_stay(user_account: Any) -> None:
    drive = Driver(user_account)
    drive.make([BASE, CHANGES])
    answer = drive("ensure", NAME)
    lowers = [os.path.relpath(path, drive.store_dir) for path in answer["lowers"]]
    container = drive.store_dir / "containers" / ("0" * 64)
    container.mkdir()
    (container / "container.json").write_text(json.dumps({"rootfs": {"lowers": lowers[1:]}}))
    drive("forget", NAME)
    assert drive("sweep")["layers"] == [answer["chain"][1]]
    assert [path.name for path in drive.layer_dirs()] == [answer["chain"][0]]


# ---- a full disk


@pytest.mark.requires("root")
def test_a_full_disk(root_account: Any) -> None:
    """The error says so, nothing half-done stays, and with space it works."""
    drive = Driver(root_account)
    drive.make([archive(*(file(f"f{n}", os.urandom(50_000)) for n in range(40)))])
    small = drive.dir / "small"
    small.mkdir()
    script = (
        'set -e; mount -t tmpfs -o size=3m tmpfs "$0"; cp -a "$1" "$0/store"; shift; '
        'python3 -IS "$@"; ls "$0/store/tmp" "$0/store/trash" "$0/store/layers" >&2; '
        'mount -o remount,size=30m "$0"; python3 -IS "$@"; ls "$0/store/layers/root" | wc -l >&2'
    )
    drive_words = [str(DRIVE), str(CHECKOUT), "ensure", f"{small}/store", NAME]
    result = root_account.run(
        "unshare", "-m", "sh", "-c", script, str(small), str(drive.store_dir), *drive_words
    ).check()
    first, second = map(json.loads, result.out.splitlines())
    assert "no space left on device" in first["error"]
    assert "prune" in first["hint"]
    assert len(second["unpacked"]) == 1
    folders = [line for line in result.err.split("\n") if line and not line.startswith(str(small))]
    assert folders == ["1"]


@pytest.mark.requires("root")
def test_a_full_disk_while_loading(root_account: Any) -> None:
    drive = Driver(root_account)
    path = drive.dir / "image.tar"
    path.write_bytes(oci_archive(*[[os.urandom(3 << 20)]] * 2))
    small = drive.dir / "small"
    small.mkdir()
    script = (
        'set -e; mount -t tmpfs -o size=2m tmpfs "$0"; python3 -IS "$@"; '
        'ls "$0/store/tmp" "$0/store/blobs/sha256" >&2; cat "$0/store/index.json"'
    )
    words = [str(DRIVE), str(CHECKOUT), "load", f"{small}/store", str(path)]
    result = root_account.run("unshare", "-m", "sh", "-c", script, str(small), *words).check()
    answer, index = map(json.loads, result.out.splitlines())
    assert answer["error"].startswith('cannot store blob "sha256:')
    assert answer["error"].endswith("no space left on device")
    assert index["manifests"] == []
    left = [line for line in result.err.split("\n") if line and not line.startswith(str(small))]
    assert len(left) <= 1  # the configuration may have come before; nothing names it
