"""Layers that nothing names any more, and disks that are full."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from driver import BASE, CHANGES, CHECKOUT, DRIVE, NAME, Driver, oci_archive
from tars import archive, file


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
