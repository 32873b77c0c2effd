"""What the runtime does outside for a container in a user namespace: idmapped mounts, device nodes, hidden sources."""

from __future__ import annotations

import os
import stat
from typing import Any

import pytest

from runtime.conftest import Bundle

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["root"], indirect=True),
]


def ids(first: int) -> list[dict[str, int]]:
    return [{"containerID": 0, "hostID": first, "size": 10}]


def in_user_namespace(bundle: Bundle, first: int = 100000) -> Bundle:
    """As root, so that the container's root is somebody else."""
    bundle.config["linux"]["namespaces"].append({"type": "user"})
    bundle.linux(uidMappings=ids(first), gidMappings=ids(first))
    for path in (bundle.dir, bundle.dir.parent):
        path.chmod(0o711)
    for path in (bundle.dir / "rootfs", bundle.dir / "rootfs/init"):
        os.chown(path, first, first)
    return bundle


def add(bundle: Bundle, *options: str, **maps: Any) -> None:
    bundle.put("data/file", "content")
    bundle.mount("/data", "bind", str(bundle.dir / "data"), "bind", *options)
    bundle.config["mounts"][-1].update(maps)


def owner(bundle: Bundle, path: str = "/data/file") -> str:
    return " ".join(bundle.output("stat", path).split()[2:4])


@pytest.mark.parametrize("word", ["idmap", "ridmap"])
@pytest.mark.parametrize("first", [100000, 100003])
def test_a_mount_has_ids_of_its_own(bundle: Bundle, word: str, first: int) -> None:
    in_user_namespace(bundle)
    add(bundle, word, "ro", uidMappings=ids(first), gidMappings=ids(first))
    assert owner(bundle) == f"{first - 100000} {first - 100000}"
    assert bundle.args("write", "/data/file", "x").run().status == 1


def test_a_mount_takes_the_containers_ids(bundle: Bundle) -> None:
    in_user_namespace(bundle)
    add(bundle, "idmap")
    assert owner(bundle) == "0 0"


def test_a_mount_has_ids_where_there_is_no_user_namespace(bundle: Bundle) -> None:
    add(bundle, uidMappings=ids(1000), gidMappings=ids(1000))
    assert owner(bundle) == "1000 1000"


def test_a_mount_without_any_maps_is_an_error(bundle: Bundle) -> None:
    add(bundle, "idmap")
    assert bundle.run().status != 0


def test_a_mount_without_any_maps_is_told_what_it_needs(bundle: Bundle, ours: None) -> None:
    add(bundle, "idmap")
    assert '"idmap" needs "uidMappings"' in bundle.run().err


def test_the_host_sees_no_mounts_of_an_idmapped_one(bundle: Bundle) -> None:
    in_user_namespace(bundle)
    add(bundle, uidMappings=ids(100000), gidMappings=ids(100000))
    [line] = [
        line
        for line in bundle.output("cat", "/proc/self/mountinfo").splitlines()
        if line.split()[4] == "/data"
    ]
    assert "shared:" not in line


def test_devices_in_a_user_namespace(bundle: Bundle) -> None:
    in_user_namespace(bundle)
    device = {"path": "/dev/foo", "type": "c", "major": 1, "minor": 5, "uid": 3, "gid": 4}
    bundle.linux(devices=[{**device, "fileMode": 0o640}])
    _, mode, uid, gid, number = bundle.output("stat", "/dev/foo").split()
    assert int(mode, 8) == stat.S_IFCHR | 0o640
    assert (uid, gid, number) == ("3", "4", "1:5")


def test_a_source_that_only_root_reaches(bundle: Bundle) -> None:
    in_user_namespace(bundle)
    add(bundle)
    hidden = bundle.make_dir("hidden")
    (bundle.dir / "data").rename(hidden / "data")
    hidden.chmod(0o700)
    os.chown(hidden, 0, 0)
    bundle.config["mounts"][-1]["source"] = str(hidden / "data")
    assert bundle.output("cat", "/data/file") == "content"
