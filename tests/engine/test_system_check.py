"""system check: a corpus of damages, each found, told with what it costs, and mended; and nothing where nothing is."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from all_accounts import busybox_archive

# Root is no other case here, and the whole takes long enough.
pytestmark = pytest.mark.parametrize("account", ["user"], indirect=True)

NO_NETWORK = ("--network", "none")


@pytest.fixture
def stocked(fresh_rcrun, accounts):
    """A store with an image, a volume and the stopped container `web` that has both."""
    rcrun = fresh_rcrun()
    rcrun("load", "-i", busybox_archive(accounts)).check()
    rcrun("create", "--name", "web", "-v", "data:/data", *NO_NETWORK, "busybox", "cat", "/etc/passwd").check()  # fmt: skip
    assert rcrun("start", "-a", "web").status in (0, 1)
    yield rcrun
    rcrun("system", "reset", "-f").check()


def only(folder: Path, *parts: str) -> Path:
    found = list(folder.joinpath(*parts[:-1]).glob(parts[-1]))
    assert len(found) == 1, found
    return found[0]


def container_dir(rcrun) -> Path:
    return only(rcrun.store_dir, "containers", "*")


def layer_dir(rcrun) -> Path:
    return only(rcrun.store_dir, "layers", "*/*")


def blob(rcrun, kind: str) -> Path:
    index = json.loads((rcrun.store_dir / "index.json").read_text())
    manifest = rcrun.store_dir / "blobs/sha256" / index["manifests"][0]["digest"][7:]
    if kind == "manifest":
        return manifest
    document = json.loads(manifest.read_text())
    digest = (document["config"] if kind == "config" else document["layers"][0])["digest"]
    return rcrun.store_dir / "blobs/sha256" / digest[7:]


def change(path: Path) -> None:
    """A byte of it, in place, with owner, mode and size as they were."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 255]))


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def add_entry(rcrun) -> None:
    path = rcrun.store_dir / "index.json"
    index = json.loads(path.read_text())
    index["manifests"].append({"digest": "sha256:short"})
    path.write_text(json.dumps(index))


def to_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/bin/sh")


# What is done to the store, what is said of it, what it costs, and whether --repair mends it whole.
DAMAGES = {
    "oci-layout": (lambda r: remove(r.store_dir / "oci-layout"), 'oci-layout" is missing', "other tools", True),
    "oci-layout-text": (lambda r: (r.store_dir / "oci-layout").write_text("{"), 'oci-layout" is damaged', "other tools", True),
    "directory": (lambda r: remove(r.store_dir / "tmp"), 'tmp" is missing', "fails", True),
    "entry": (add_entry, "1 entries that are no descriptors", "other tools", True),
    "layer-file": (lambda r: change(layer_dir(r) / "diff/bin/busybox"), '"/bin/busybox" has another content', '"web"', True),
    "layer-file-gone": (lambda r: remove(layer_dir(r) / "diff/bin/busybox"), '"/bin/busybox" is missing', '"web"', True),
    "layer-file-more": (lambda r: (layer_dir(r) / "diff/bin/new").write_text(""), '"/bin/new" does not belong there', '"web"', True),
    "layer-file-mode": (lambda r: (layer_dir(r) / "diff/bin/busybox").chmod(0o4755), "has the mode 4755, not 755", '"web"', True),
    "layer-file-kind": (lambda r: to_link(layer_dir(r) / "diff/bin/busybox"), '"/bin/busybox" is of another kind', '"web"', True),
    "layer-record": (lambda r: (layer_dir(r) / "layer.json").write_text("{"), "layer.json:", '"web"', True),
    "layer-record-gone": (lambda r: remove(layer_dir(r) / "layer.json"), "layer.json is missing", '"web"', True),
    "layer-diff-gone": (lambda r: remove(layer_dir(r) / "diff"), "its directory of files is missing", '"web"', True),
    "layer-gone": (lambda r: remove(layer_dir(r)), 'container "web": layer', "cannot be started", True),
    "upper-gone": (lambda r: remove(container_dir(r) / "upper"), '"upper" is missing', "what it had changed is gone", True),
    "work-gone": (lambda r: remove(container_dir(r) / "work"), '"work" is missing', "cannot be started", True),
    "rootfs-gone": (lambda r: remove(container_dir(r) / "rootfs"), '"rootfs" is missing', "cannot be started", True),
    "hosts-gone": (lambda r: remove(container_dir(r) / "hosts"), '"hosts" is missing', "cannot be started", True),
    "name-gone": (lambda r: remove(r.store_dir / "names/web"), 'its name "web" does not lead to it', "by its id only", True),
    "volume-gone": (lambda r: remove(r.store_dir / "volumes/data"), 'its volume "data" is missing', "files are gone", True),
    "volume-data-gone": (lambda r: remove(r.store_dir / "volumes/data/_data"), '"_data" is missing', "files are gone", True),
    "volume-record": (lambda r: (r.store_dir / "volumes/data/volume.json").write_text("{"), "volume.json is damaged", "labels", True),
    "blob-layer": (lambda r: change(blob(r, "layer")), "is damaged: its content has another digest", '"busybox:latest"', False),
    "blob-config": (lambda r: change(blob(r, "config")), "is damaged: its content has another digest", '"busybox:latest"', False),
    "blob-layer-gone": (lambda r: remove(blob(r, "layer")), 'image "busybox:latest": blob "', "cannot be saved", False),
    "blob-manifest-gone": (lambda r: remove(blob(r, "manifest")), 'image "busybox:latest": blob "', "cannot be used", False),
    "index": (lambda r: (r.store_dir / "index.json").write_text('{"man'), 'index.json" is damaged', "no image", False),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_damages(stocked, name):
    damage, words, cost, mends = DAMAGES[name]
    assert stocked("system", "check").check().out == "no faults\n"
    damage(stocked)
    found = stocked("system", "check")
    assert (found.status, found.err) == (1, "")
    line = next(line for line in found.out.splitlines() if words in line)
    told = found.out.splitlines()
    assert cost in told[told.index(line) + 1]
    mended = stocked("system", "check", "--repair")
    assert mended.status == (0 if mends else 1), mended.out + mended.err
    if mends:
        assert "  mended: " in mended.out
        assert stocked("system", "check").check().out == "no faults\n"
        assert "root:" in stocked("start", "-a", "web").check().out
    else:
        assert "hint: " in mended.out


def test_an_image_is_back_after_it_was_loaded_again(stocked, accounts):
    change(blob(stocked, "layer"))
    told = stocked("system", "check", "--repair")
    assert "removed" in told.out
    assert "hint: rcrun pull busybox:latest" in told.out
    stocked("load", "-i", busybox_archive(accounts)).check()
    assert stocked("system", "check").check().out == "no faults\n"


def test_a_lost_index_is_made_anew_with_the_names_that_containers_tell(stocked):
    (stocked.store_dir / "index.json").unlink()
    assert "out of sight" in stocked("system", "check").out
    stocked("system", "check", "--repair")
    assert (
        stocked("images", "--format", "{{.Repository}}:{{.Tag}}").check().out == "busybox:latest\n"
    )
    assert stocked("system", "check").check().out == "no faults\n"


@pytest.mark.parametrize("file", ["config.json", "container.json"])
def test_a_container_that_is_lost_goes_with_force_only(stocked, file):
    (container_dir(stocked) / file).write_text("{")
    found = stocked("system", "check", "--repair")
    assert found.status == 1
    assert "data would be lost; --force does it all the same" in found.out
    assert "hint: rcrun cp" in found.out
    assert len(stocked("ps", "-aq").check().out.split()) == 1
    stocked("system", "check", "--repair", "--force").check()
    assert stocked("ps", "-aq").check().out == ""
    assert stocked("system", "check").check().out == "no faults\n"


def test_a_layer_is_not_changed_under_a_running_container(stocked):
    stocked("run", "-d", "--name", "runs", *NO_NETWORK, "busybox", "sleep", "100").check()
    (layer_dir(stocked) / "diff/bin/new").write_text("")
    found = stocked("system", "check", "--repair")
    assert found.status == 1
    assert "not mended: containers stand on it that run: runs\n  hint: rcrun stop runs" in found.out
    assert (layer_dir(stocked) / "diff/bin/new").exists()


def test_a_damaged_layer_without_its_blob_is_left(stocked):
    remove(blob(stocked, "layer"))
    remove(layer_dir(stocked) / "layer.json")
    found = stocked("system", "check", "--repair")
    assert found.status == 1
    assert "is not sound: it is missing" in found.out
    assert layer_dir(stocked).is_dir()


def test_quick_reads_no_files(stocked):
    change(blob(stocked, "layer"))
    change(layer_dir(stocked) / "diff/bin/busybox")
    assert stocked("system", "check", "--quick").check().out == "no faults\n"
    assert stocked("system", "check").status == 1


def test_leftovers_are_no_faults_and_are_swept(stocked):
    (stocked.store_dir / "trash/old").mkdir()
    (stocked.store_dir / "names/ghost").symlink_to("f" * 64)
    lease = stocked.store_dir / "tmp/lease.00"
    lease.write_text("")
    owner = lease.parent.stat()
    os.chown(lease, owner.st_uid, owner.st_gid)
    live = stocked("info", "-f", "{{.store.runRoot}}").check().out.strip()
    (Path(live) / "containers" / ("e" * 64)).mkdir()
    got = stocked("system", "check").check().out
    for words in ("1 things in the trash", 'the name "ghost"', "a lease of a process that is gone",
                  "live state", "0 faults, 4 left over by crashes"):  # fmt: skip
        assert words in got
    assert "all mended" in stocked("system", "check", "--repair").check().out
    assert stocked("system", "check").check().out == "no faults\n"


def test_blobs_that_nothing_names_are_told_of_by_age(stocked):
    path = stocked.store_dir / "blobs/sha256" / ("a" * 64)
    path.write_bytes(b"x")
    damaged = stocked("system", "check")
    assert "nothing: no image has it" in damaged.out  # its digest is not its name
    path.unlink()
    import hashlib

    path = path.with_name(hashlib.sha256(b"x").hexdigest())
    path.write_bytes(b"x")
    assert stocked("system", "check").check().out == "no faults\n"
    got = stocked("system", "check", "--max-age", "0s").check().out
    assert "1 blobs and layers that nothing names" in got
    stocked("system", "check", "--max-age=0s", "--repair").check()
    assert not path.exists()


def test_nothing_is_found_after_kills(stocked):
    """A monitor, and a run in the middle of what it does."""
    stocked("run", "-d", "--name", "runs", *NO_NETWORK, "busybox", "sleep", "100").check()
    pid = int(stocked("inspect", "-f", "{{.State.Pid}}", "runs").out)
    stat = Path(f"/proc/{pid}/stat").read_text()
    os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)
    for _ in range(3):
        process = stocked.popen("run", "--rm", *NO_NETWORK, "busybox", "true", stdout=-3, stderr=-3)
        process.kill()
        process.wait()
    found = stocked("system", "check")
    assert found.status == 0, found.out
    stocked("system", "check", "--repair").check()


def test_reset_takes_its_own_and_nothing_else(stocked):
    (stocked.store_dir / "mine").write_text("")
    stocked("run", "-d", "--name", "runs", *NO_NETWORK, "busybox", "sleep", "100").check()
    stocked("network", "create", "shared").check()
    stocked("pod", "create", "--name", "box", *NO_NETWORK).check()
    stocked("run", "-d", "--pod", "box", "busybox", "sleep", "100").check()
    stocked("build", "-q", "-", input="FROM busybox\nWORKDIR /new\n").check()
    asked = stocked("system", "reset")
    assert asked.status != 0
    assert "nobody can be asked" in asked.err
    stocked("system", "reset", "-f").check()
    assert [path.name for path in stocked.store_dir.iterdir()] == ["mine"]
    assert stocked("ps", "-aq").check().out == ""


def test_words_of_podman_for_which_nothing_is_to_be_done(stocked):
    for word in ("renumber", "migrate"):
        done = stocked("system", word)
        assert (done.status, done.out, done.err) == (0, "", "")
