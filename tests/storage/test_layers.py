"""Layers unpacked by the worker, as root and as users with and without subordinate ids."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rcrun.errors import RcrunError
from rcrun.storage.bytestream import ByteStream
from rcrun.storage.unpacking import Job, Verified

sys.path.insert(0, str(Path(__file__).parent))

import tars
from driver import BASE, CHANGES, NAME, Driver
from tars import archive, directory, file

from waiting import wait_for


@pytest.mark.requires("userns")
def test_layers_for_every_kind_of_user(drive: Driver) -> None:
    drive.make([BASE, CHANGES])
    answer = drive("ensure", NAME)
    kinds = {"root": "root", "user": "mapped", "single": "single"}
    assert answer["kind"] == kinds[drive.account.kind]
    top, bottom = map(Path, answer["lowers"])
    kind = bottom.parent.parent.name
    assert kind.partition("-")[0] == answer["kind"]
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


@pytest.mark.requires("userns")
def test_a_layer_that_is_not_what_the_image_says(user_account: Any) -> None:
    drive = Driver(user_account)
    drive.make([BASE, CHANGES], diff_ids=[BASE, BASE])
    answer = drive("ensure", NAME)
    assert "does not hold what its image says" in answer["error"]
    (sound,) = [path.parent.name for path in drive.layer_dirs()]
    assert sound.startswith("mapped-")
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


class Nothing:
    def unpack(self, stream: ByteStream) -> None:
        stream.drain()


def test_what_was_hashed_on_its_way_in_is_not_hashed_again(tmp_path: Path) -> None:
    """But only if its digest says what it unpacks to, which it does not of something compressed, whatever an image claims."""
    plain = bytes(2048)
    for data, diff, verified, known, fits in (
        (plain, plain, True, True, True),
        (plain, plain, False, False, True),
        (plain, b"other", True, False, False),
        (gzip.compress(plain), plain, True, False, True),
        (gzip.compress(plain), gzip.compress(plain), True, False, False),
    ):
        digest, diff_id = hashlib.sha256(data).hexdigest(), hashlib.sha256(diff).hexdigest()
        (tmp_path / "blob").write_bytes(data)
        job = Job("c" * 64, "", diff_id, digest, len(data), verified=verified)
        assert (
            Job.parse(f"{job.chain},,{diff_id},{digest},9,0,{'1' * verified}").verified == verified
        )
        with open(tmp_path / "blob", "rb", buffering=0) as file:
            checked = Verified(file.fileno(), job)
            assert checked.is_known == known
            with contextlib.nullcontext() if fits else pytest.raises(RcrunError, match="diffID"):
                checked.into(Nothing())  # type: ignore[arg-type]
