"""The collector beside those who bring things; and what is found in tmp/."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rcrun.kernel import identity
from rcrun.paths import Store
from rcrun.storage import blobs, collect, images, layout
from rcrun.storage.layers import gate
from rcrun.storage.lease import Lease
from rcrun.storage.scratch import NamedLock, Scratch
from rcrun.storage.trees import remove_tree

Make = Callable[..., Any]


@pytest.fixture
def sweep(store: Store) -> Callable[[], collect.Collected]:
    return lambda: collect.collect(store, identity.current(os.environ))


def test_everything_of_a_named_image_stays(store: Store, make_image: Make, sweep: Make) -> None:
    make_image("docker.io/library/x:1", [bytes(1024)])
    stray = blobs.write_blob(store, b"stray", "text/plain")
    found = sweep()
    assert (found.blobs, found.size) == ([stray["digest"]], 5)
    assert images.find(store, "x:1").manifest
    assert all(
        blobs.has_blob(store, layer) for layer in images.find(store, "x:1").manifest["layers"]
    )


def test_an_unnamed_image_stays_until_it_is_removed(
    store: Store, make_image: Make, sweep: Make
) -> None:
    old = make_image("docker.io/library/x:1", [bytes(1024)])
    make_image("docker.io/library/x:1", [bytes(2048)])
    assert sweep().blobs == []
    layout.remove_image(store, old["digest"])
    assert len(sweep().blobs) == 3


def test_a_lease_keeps_what_it_names(store: Store, sweep: Make) -> None:
    with Lease(store) as lease:
        blob = blobs.write_blob(store, b"coming", "text/plain", lease=lease)
        with blobs.BlobWriter(store, lease=lease) as writer:
            writer.write(b"streamed")
            streamed = writer.commit()
        layer = Path(store.layer_dir("root", "1" * 64))
        layer.mkdir(parents=True)
        lease.add([], ["1" * 64])
        assert sweep().blobs == []
        assert blobs.has_blob(store, blob)
        assert layer.exists()
    found = sweep()
    assert sorted(found.blobs) == sorted([blob["digest"], streamed["digest"]])
    assert found.layers == ["1" * 64]


def test_the_lease_of_the_dead_keeps_nothing(store: Store, sweep: Make) -> None:
    pid = os.fork()
    if pid == 0:
        Lease(store).__enter__().add(["sha256:" + "0" * 64])
        os._exit(0)
    os.waitpid(pid, 0)
    (left,) = os.listdir(store.tmp_dir())
    assert left.startswith("lease.")
    sweep()
    assert os.listdir(store.tmp_dir()) == []
    assert os.listdir(store.trash_dir()) == []


def test_a_held_gate_postpones(store: Store, sweep: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "PATIENCE_SECONDS", 0.05)
    blob = blobs.write_blob(store, b"stray", "text/plain")
    with gate(store), gate(store):  # two runs at once
        assert sweep().blobs == []
        assert blobs.has_blob(store, blob)
    assert sweep().blobs == [blob["digest"]]


def test_what_was_written_aside_goes_when_it_is_old(store: Store, sweep: Make) -> None:
    blob = blobs.write_blob(store, b"kept", "text/plain")
    layout.add_reference(store, blob, "docker.io/library/x:1")
    old = [Path(store.blob_path(blob["digest"]) + ".7.0a~"), Path(store.path("index.json.7.0b~"))]
    new = Path(store.path("index.json.8.0c~"))
    for path in (*old, new):
        path.write_bytes(b"x")
    for path in old:
        os.utime(path, (1, 1))
    sweep()
    assert [path.exists() for path in (*old, new)] == [False, False, True]
    assert blobs.has_blob(store, blob)


def test_leftovers(store: Store, sweep: Make) -> None:
    tmp = Path(store.tmp_dir())
    (tmp / "layer.dead/diff/deep").mkdir(parents=True)
    (tmp / "layer.dead/diff/deep").chmod(0)
    (tmp / "blob.dead").write_bytes(b"x")
    (tmp / "part.new").write_bytes(b"x")
    (tmp / "part.old").write_bytes(b"x")
    os.utime(tmp / "part.old", (1, 1))
    Path(store.trash_dir(), "trashed").mkdir()
    living = Scratch(store, "layer")
    living.make_dir()
    sweep()
    assert sorted(os.listdir(tmp)) == sorted([os.path.basename(living.path), "part.new"])
    assert os.listdir(store.trash_dir()) == []
    living.close()
    sweep()
    assert os.listdir(tmp) == ["part.new"]


def test_a_damaged_container_record_is_no_obstacle(store: Store, sweep: Make) -> None:
    for number, text in enumerate(("{", "[]", '{"rootfs":null}', '{"rootfs":{"lowers":[7]}}')):
        folder = Path(store.container_dir(str(number)))
        folder.mkdir()
        (folder / "container.json").write_text(text)
    assert sweep().layers == []


# ---- locks


def test_a_named_lock_goes_away_with_its_holder(store: Store) -> None:
    first, second = NamedLock(store, "layer-x"), NamedLock(store, "layer-x")
    assert first.acquire()
    assert not second.acquire(wait=False)
    first.release()
    assert os.listdir(store.tmp_dir()) == []
    with second:
        assert os.listdir(store.tmp_dir()) == ["layer-x.lock"]
    assert os.listdir(store.tmp_dir()) == []


def test_one_holder_at_a_time(store: Store) -> None:
    """Many processes, each of which makes and removes the lock's file."""
    counter = Path(store.root_dir, "counter")
    counter.write_text("0")
    children = []
    for _ in range(6):
        pid = os.fork()
        if pid == 0:
            for _ in range(30):
                with NamedLock(store, "counting"):
                    value = int(counter.read_text())
                    time.sleep(0.0005)
                    counter.write_text(str(value + 1))
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    assert counter.read_text() == "180"


# ---- trees


def test_remove_tree(fast_dir: Path) -> None:
    outside = fast_dir / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    tree = fast_dir / "tree"
    for number in range(3):
        folder = tree / str(number) / "a/b"
        folder.mkdir(parents=True)
        (folder / "f").write_text("x")
        (folder / "out").symlink_to(outside)
        (tree / str(number) / "up").symlink_to("..")
    (tree / "0/a").chmod(0o500)
    remove_tree(str(tree))
    assert not tree.exists()
    assert (outside / "kept").exists()
    remove_tree(str(tree))
    link = fast_dir / "link"
    link.symlink_to(outside)
    remove_tree(str(link))
    assert (outside / "kept").exists()
    assert not link.is_symlink()


def test_two_remove_the_same_tree(fast_dir: Path) -> None:
    tree = fast_dir / "tree"
    for number in range(300):
        folder = tree / str(number % 10) / str(number)
        folder.mkdir(parents=True)
        (folder / "f").write_text("x")
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                remove_tree(str(tree))
            except BaseException:
                os._exit(1)
            os._exit(0)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
    assert not tree.exists()
