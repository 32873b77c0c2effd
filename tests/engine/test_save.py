"""save and history: images as other tools read them, and as `load` brings them back."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from typing import TYPE_CHECKING

import pytest

from tiny_image import docker_archive, oci_archive, tiny_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Rcrun

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

IMAGE = tiny_image({"etc/one": b"1"}, {"etc/two": b"2"}, Env=["A=b"])


@pytest.fixture
def rcrun(fresh_rcrun: Callable[..., Rcrun]) -> Rcrun:
    """With an image of two compressed layers."""
    made = fresh_rcrun()
    made("load", input=oci_archive(IMAGE, ref_name="1", full_name="docker.io/some/thing:1")).check()
    return made


def members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]


def skopeo(*words: str) -> dict[str, object]:
    done = subprocess.run(["skopeo", "inspect", *words], capture_output=True, check=True)
    return json.loads(done.stdout)


def test_a_docker_archive(rcrun: Rcrun, tmp_path: Path) -> None:
    data = rcrun("save", "some/thing:1").check().stdout
    assert rcrun("save", "some/thing:1").stdout == data
    found = members(data)
    for digest, blob in {**IMAGE.blobs, IMAGE.digest: IMAGE.manifest}.items():
        assert found[f"blobs/sha256/{digest[7:]}"] == blob
    listed = json.loads(found["manifest.json"])
    assert listed[0]["RepoTags"] == ["docker.io/some/thing:1"]
    assert listed[0]["Config"] == f"blobs/sha256/{IMAGE.config_digest[7:]}"
    assert len(listed[0]["Layers"]) == 2
    assert list(json.loads(found["repositories"])) == ["docker.io/some/thing"]
    path = tmp_path / "saved.tar"
    path.write_bytes(data)
    assert skopeo(f"docker-archive:{path}:some/thing:1")["Env"] == ["A=b"]
    assert skopeo(f"oci-archive:{path}")["Digest"] == IMAGE.digest
    names = subprocess.run(["tar", "-tf", path], capture_output=True, check=True).stdout.split()
    assert len(names) == len(found)


def test_there_and_back(rcrun: Rcrun, fresh_rcrun: Callable[..., Rcrun]) -> None:
    for form in ("docker-archive", "oci-archive"):
        data = rcrun("save", "--format", form, "some/thing:1").check().stdout
        other = fresh_rcrun()
        assert other("load", input=data).check().out == "Loaded image: some/thing:1\n"
        told = json.loads(other("image", "inspect", "some/thing:1").check().out)[0]
        assert (told["Id"], told["Digest"]) == (IMAGE.config_digest, IMAGE.digest)


def test_directories(rcrun: Rcrun) -> None:
    top = rcrun.account.new_dir("saved")
    rcrun("save", "--format", "oci-dir", "-o", top / "oci", "some/thing:1").check()
    rcrun("save", "--format", "docker-dir", "-o", top / "dir", "some/thing:1").check()
    assert skopeo(f"oci:{top}/oci")["Digest"] == IMAGE.digest
    assert skopeo(f"dir:{top}/dir")["Digest"] == IMAGE.digest
    again = rcrun("save", "--format", "oci-dir", "-o", top / "oci", "some/thing:1")
    assert (again.status, "is not empty" in again.err) == (1, True), again


def test_several_images_and_names(rcrun: Rcrun, fresh_rcrun: Callable[..., Rcrun]) -> None:
    rcrun("tag", "some/thing:1", "also:2").check()
    rcrun("load", input=docker_archive(tiny_image({"x": b"x"}), "third:3")).check()
    top = rcrun.account.new_dir("saved")
    rcrun("save", "-m", "-o", top / "all.tar", "some/thing:1", "also:2", "third:3").check()
    found = members((top / "all.tar").read_bytes())
    assert [entry["RepoTags"] for entry in json.loads(found["manifest.json"])] == [
        ["docker.io/some/thing:1", "docker.io/library/also:2"],
        ["docker.io/library/third:3"],
    ]
    other = fresh_rcrun()
    loaded = other("load", "-i", top / "all.tar").check().out.splitlines()
    assert sorted(loaded) == [
        f"Loaded image: {name}" for name in ("also:2", "some/thing:1", "third:3")
    ]
    by_id = members(rcrun("save", IMAGE.config_digest[7:19]).check().stdout)
    assert json.loads(by_id["manifest.json"])[0]["RepoTags"] is None


def test_what_cannot_be(rcrun: Rcrun) -> None:
    for words, said in (
        (("nothing",), "no such image: nothing"),
        (("--format", "tar", "some/thing:1"), 'invalid format "tar"'),
        (("--format", "oci-dir", "some/thing:1"), "oci-dir is a directory"),
        (("-o", "/nonexistent/x", "some/thing:1"), 'cannot write "/nonexistent/x"'),
    ):
        done = rcrun("save", *words)
        assert (done.status, done.out, said in done.err) == (1, "", True), done


def test_a_damaged_blob_is_never_saved(rcrun: Rcrun) -> None:
    path = rcrun.store_dir / "blobs/sha256" / IMAGE.layer_descriptor(1)["digest"][7:]
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    top = rcrun.account.new_dir("saved")
    done = rcrun("save", "-o", top / "x.tar", "some/thing:1")
    assert (done.status, "does not match its digest" in done.err) == (1, True), done
    assert list(top.iterdir()) == []
    path.unlink()
    done = rcrun("save", "some/thing:1")
    assert (done.status, done.stdout, "is not in the store" in done.err) == (1, b"", True), done


@pytest.fixture
def podman() -> Iterator[list[str]]:
    """With a store of its own, whose path podman wants to be short."""
    top = tempfile.mkdtemp(prefix="p-", dir="/tmp")
    words = ["podman", "--root", f"{top}/root", "--runroot", f"{top}/run", "--tmpdir", f"{top}/tmp"]
    yield [*words, "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]
    shutil.rmtree(top, ignore_errors=True)


def test_podman_loads_it(rcrun: Rcrun, podman: list[str], tmp_path: Path) -> None:
    path = tmp_path / "saved.tar"
    path.write_bytes(rcrun("save", "some/thing:1").check().stdout)
    done = subprocess.run(
        [*podman, "load", "-i", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "docker.io/some/thing:1"


def test_history(rcrun: Rcrun) -> None:
    lines = rcrun("history", "some/thing:1").check().out.splitlines()
    assert lines[0].split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert [line.split()[0] for line in lines[1:]] == [IMAGE.config_digest[7:19], "<missing>"]
    form = rcrun("history", "--format", "{{.ID}} {{.Size}}", "--no-trunc", "some/thing:1").check()
    assert form.out == f"{IMAGE.config_digest} 1B\n<missing> 1B\n"
    missing = rcrun("history", "nothing")
    assert (missing.status, "no such image: nothing" in missing.err) == (1, True)


def test_prune_of_images(rcrun: Rcrun) -> None:
    rcrun("load", input=docker_archive(tiny_image({"x": b"x" * 1000}), "moves:1")).check()
    rcrun(
        "load", input=docker_archive(tiny_image({"y": b"y"}, Labels={"keep": "1"}), "moves:1")
    ).check()
    dangling = rcrun("images", "-q", "--no-trunc", "-f", "dangling=true").check().out.strip()
    done = rcrun("image", "prune", "-f").check()
    assert done.out.splitlines()[:2] == ["Deleted Images:", f"deleted: {dangling}"]
    assert done.out.splitlines()[-1] == "Total reclaimed space: 1kB"
    assert rcrun("image", "prune", "-f").check().out == "Total reclaimed space: 0B\n"
    rcrun("image", "prune", "-af", "--filter", "label!=keep").check()
    assert rcrun("images", "--format", "{{.Repository}}").out == "moves\n"
    rcrun("create", "--network", "none", "--name", "user", "moves:1").check()
    rcrun("image", "prune", "-af").check()
    assert rcrun("images", "--format", "{{.Repository}}").out == "moves\n"
    rcrun("rm", "user").check()
    rcrun("image", "prune", "-af").check()
    assert list((rcrun.store_dir / "blobs/sha256").iterdir()) == []
    asked = rcrun("image", "prune")
    assert (asked.status, "add --force" in asked.err) == (1, True)
    wrong = rcrun("image", "prune", "-f", "--filter", "color=red")
    assert (wrong.status, 'invalid filter "color=red"' in wrong.err) == (1, True)


def test_how_much_room_it_takes(rcrun: Rcrun) -> None:
    form = (
        "system",
        "df",
        "--format",
        "{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}|{{.Reclaimable}}",
    )
    assert rcrun(*form).check().out.splitlines() == [
        "Images|1|0|2B|2B (100%)",
        "Containers|0|0|0B|0B",
        "Local Volumes|0|0|0B|0B",
        "Build Cache|0|0|0B|0B",
    ]
    rcrun("create", "--network", "none", "-v", "some:/v", "--name", "user", "some/thing:1").check()
    lines = rcrun(*form).check().out.splitlines()
    assert lines[0] == "Images|1|1|2B|0B (0%)"
    assert lines[2].startswith("Local Volumes|1|1|")
    whole = rcrun("system", "df", "-v").check().out
    for words in ("some/thing", "Containers space usage:", "user", "VOLUME NAME", "some "):
        assert words in whole
    told = json.loads(rcrun("system", "df", "-v", "--format", "json").check().out)
    assert [len(told[kind]) for kind in ("Images", "Containers", "Volumes")] == [1, 1, 1]
