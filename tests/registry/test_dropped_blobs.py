"""Blobs of unpacked layers that were dropped: nobody misses them, and they come back when somebody needs their bytes."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest

from tiny_image import TinyImage, digest_of, docker_archive, oci_archive, tiny_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tiny_registry import TinyRegistry

    from conftest import Rcrun

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

NO_NETWORK = ("--network", "none")
LARGE = 40_000  # smaller ones are not worth it


@pytest.fixture
def rcrun(fresh_rcrun: Callable[..., Rcrun]) -> Rcrun:
    """With an empty store."""
    return fresh_rcrun()


@pytest.fixture
def dropping(rcrun: Rcrun) -> Rcrun:
    """The same where the setting is on."""
    rcrun.env["RCRUN_DROP_BLOBS"] = "1"
    return rcrun


def image_of(*seeds: str) -> TinyImage:
    """With a layer each that cannot be made small."""
    return tiny_image(*({seed: (os.urandom(LARGE) if seed else b"")} for seed in seeds))


def plain(image: TinyImage) -> list[str]:
    """The digests of its layers' tars."""
    diff_ids: list[str] = json.loads(image.config)["rootfs"]["diff_ids"]
    return diff_ids


def load(rcrun: Rcrun, data: bytes) -> None:
    path = rcrun.store_dir.parent / "image.tar"
    path.write_bytes(data)
    path.chmod(0o644)
    rcrun("load", "-q", "-i", path).check()


def here(rcrun: Rcrun) -> set[str]:
    return {f"sha256:{name}" for name in os.listdir(rcrun.store_dir / "blobs/sha256")}


def saved(rcrun: Rcrun, name: str) -> str:
    path = rcrun.store_dir.parent / "saved.tar"
    path.unlink(missing_ok=True)
    rcrun("save", "-q", "-o", path, name).check()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def archive_of(image: TinyImage) -> bytes:
    """With plain tars, as `docker save` had them."""
    return docker_archive(image, "app:1")


def test_plain_tars(rcrun: Rcrun, registry: TinyRegistry) -> None:
    """Everything goes on as it was; what was saved and pushed is what it was before."""
    image = image_of("one", "two")
    load(rcrun, archive_of(image))
    layers = set(plain(image))
    assert layers < here(rcrun)
    before = saved(rcrun, "app:1")
    told = rcrun("image", "prune", "--blobs").check().out
    assert {line.removeprefix("dropped: ") for line in told.splitlines()[:-1]} == layers
    assert not layers & here(rcrun)
    assert rcrun("system", "check").check().out == "no faults\n"

    rcrun("create", "--name", "web", *NO_NETWORK, "app:1").check()
    rcrun("commit", "-q", "web", "more").check()
    for words in (("history",), ("diff",), ("image", "tree"), ("image", "inspect")):
        rcrun(*words, "app:1").check()
    assert not layers & here(rcrun)

    assert saved(rcrun, "app:1") == before
    assert layers < here(rcrun)
    rcrun("image", "prune", "--blobs").check()
    rcrun("push", "-q", "app:1", f"{registry.address}/app:1").check()
    pushed = json.loads(registry.manifests["1"][1])
    assert [layer["size"] for layer in pushed["layers"]] == [
        len(registry.blobs[layer["digest"]]) for layer in pushed["layers"]
    ]
    rcrun("image", "prune", "--blobs").check()
    rcrun("image", "copy", "app:1", f"oci:{rcrun.store_dir.parent}/layout:app").check()
    rcrun("image", "validate", "app:1").check()
    rcrun("rm", "web").check()
    rcrun("rmi", "-f", "app:1", "more", f"{registry.address}/app").check()
    rcrun("image", "prune", "-af").check()
    assert here(rcrun) == set()
    assert os.listdir(rcrun.store_dir / "recipes") == []


def test_what_a_registry_has(
    dropping: Rcrun, registry: TinyRegistry, elsewhere: TinyRegistry
) -> None:
    """With the setting a pull leaves no layer's blob; it is fetched when it is needed, and goes again."""
    rcrun, image = dropping, image_of("one", "two")
    registry.put(image, "1")
    name = f"{registry.address}/app:1"
    layers = {digest_of(data) for data in image.layers}
    rcrun("pull", "-q", name).check()
    assert here(rcrun) == {image.digest, image.config_digest}
    registry.asked.clear()
    assert "Already exists" in rcrun("pull", name).check().err
    assert registry.paths("/blobs/") == []
    rcrun("create", "--name", "web", *NO_NETWORK, name).check()
    rcrun("commit", "-q", "web", "more").check()
    assert not layers & here(rcrun)
    assert registry.paths("/blobs/") == []

    first = saved(rcrun, name)
    assert len(registry.paths("/blobs/")) == 2
    assert not layers & here(rcrun)
    rcrun("push", "-q", name, f"{elsewhere.address}/app:2").check()
    assert layers < set(elsewhere.blobs)
    assert not layers & here(rcrun)
    # A pull without the setting makes the image whole.
    rcrun("pull", "-q", name, env={"RCRUN_DROP_BLOBS": "0"}).check()
    assert layers < here(rcrun)
    assert saved(rcrun, name) == first


def test_a_registry_that_does_not_have_it_any_more(rcrun: Rcrun, registry: TinyRegistry) -> None:
    image, loaded = image_of("one"), image_of("two")
    registry.put(image, "1")
    (layer,) = {digest_of(data) for data in image.layers}
    name = f"{registry.address}/app:1"
    rcrun("pull", "-q", name).check()
    load(rcrun, oci_archive(loaded, full_name="docker.io/library/loaded:1"))
    data = registry.blobs.pop(layer)
    got = rcrun("image", "prune", "--blobs").check()
    assert got.out == "Total reclaimed space: 0B\n"
    assert f'{layer} stays: "{registry.address}" does not have it' in got.err
    (other,) = {digest_of(data) for data in loaded.layers}
    assert f"{other} stays: no registry is known that has it" in got.err
    assert layer in here(rcrun)

    registry.blobs[layer] = data
    rcrun("image", "prune", "--blobs").check()
    assert layer not in here(rcrun)
    del registry.blobs[layer]
    got = rcrun("save", "-o", rcrun.store_dir.parent / "saved.tar", name)
    assert got.status != 0
    assert (
        f'the dropped blob "{layer}" of image "{name}" cannot be fetched again from "{registry.address}": '
        in got.err
    )
    assert f"hint: once the registry answers: rcrun pull {name}" in got.err
    dropping = {"RCRUN_DROP_BLOBS": "1"}
    got = rcrun("save", "-o", rcrun.store_dir.parent / "saved.tar", name, env=dropping)
    assert f"hint: once the registry answers: RCRUN_DROP_BLOBS=0 rcrun pull {name}" in got.err
    assert rcrun("system", "check").check().out == "no faults\n"
    registry.blobs[layer] = data
    saved(rcrun, name)
    rcrun("pull", "-q", name, env={"RCRUN_DROP_BLOBS": "0"}).check()
    assert layer in here(rcrun)


def test_builds(dropping: Rcrun) -> None:
    """What steps made goes, too, and a build finds all of it in its cache."""
    rcrun = dropping
    load(rcrun, archive_of(image_of("one")))
    folder = rcrun.account.new_dir("context")
    (folder / "file").write_bytes(os.urandom(LARGE))
    (folder / "Containerfile").write_text(
        "FROM app:1 AS a\nCOPY file /a\nFROM app:1\nCOPY file /b\n"
    )
    rcrun("build", "-q", "-t", "built", folder).check()
    assert [each for each in here(rcrun) if _size(rcrun, each) > LARGE] == []
    again = rcrun("build", "-t", "built", "--progress", "plain", folder).check()
    assert "CACHED" in again.err + again.out
    rcrun("build", "-q", "--squash", "-t", "flat", folder).check()
    out = rcrun.account.new_dir("out") / "built.tar"
    rcrun("build", "-q", "--output", f"type=oci,dest={out}", folder).check()
    assert out.stat().st_size > LARGE
    rcrun("image", "prune", "-f").check()  # what was compressed for it
    assert [each for each in here(rcrun) if _size(rcrun, each) > LARGE] == []
    assert rcrun("system", "check").check().out == "no faults\n"


def _size(rcrun: Rcrun, digest: str) -> int:
    return os.stat(rcrun.store_dir / "blobs/sha256" / digest[7:]).st_size


def test_a_layer_that_two_images_have(rcrun: Rcrun) -> None:
    """It is unpacked twice, above different ones: the one that its blob is made of stays as long as somebody needs that."""
    both = {"both": os.urandom(LARGE)}
    one, two = (
        tiny_image({"a": os.urandom(LARGE)}, both),
        tiny_image({"b": os.urandom(LARGE)}, both),
    )
    load(rcrun, docker_archive(one, "one:1"))
    load(rcrun, docker_archive(two, "two:1"))
    before = {name: saved(rcrun, name) for name in ("one:1", "two:1")}
    rcrun("image", "prune", "--blobs").check()
    for gone, name in (("one:1", "two:1"), ("two:1", "one:1")):
        rcrun("rmi", gone).check()
        assert saved(rcrun, name) == before[name]
        rcrun("image", "prune", "--blobs").check()
        load(rcrun, docker_archive(one if gone == "one:1" else two, gone))
    assert rcrun("system", "check").check().out == "no faults\n"


def _recipes(rcrun: Rcrun) -> list[Path]:
    return sorted((rcrun.store_dir / "recipes").glob("*.headers"))


def test_damage(rcrun: Rcrun) -> None:
    """A layer that is not what it was, and a recipe that lost its half, are told of; nothing else comes out than what went in."""
    image = image_of("one", "two")
    load(rcrun, archive_of(image))
    rcrun("image", "prune", "--blobs").check()
    (file,) = rcrun.store_dir.glob("layers/*/*/diff/one")
    good = file.read_bytes()
    file.write_bytes(bytes(LARGE))
    got = rcrun("system", "check")
    assert got.status != 0
    assert "its files are not those that it was made of, and its blob was dropped" in got.out
    got = rcrun("save", "-o", rcrun.store_dir.parent / "saved.tar", "app:1")
    assert got.status != 0
    assert "cannot be made again: the layer's files are not those that it was made of" in got.err
    file.write_bytes(good)
    headers = _recipes(rcrun)[0]
    whole = headers.read_bytes()
    headers.unlink()
    got = rcrun("system", "check", "--quick")
    assert f'blob "sha256:{headers.stem}" is missing' in got.out
    assert rcrun("save", "-o", rcrun.store_dir.parent / "saved.tar", "app:1").status != 0
    load(rcrun, archive_of(image))
    headers.write_bytes(whole)
    # A blob that came back from elsewhere does not go while its layer is not what it was.
    file.write_bytes(bytes(LARGE))
    got = rcrun("image", "prune", "--blobs").check()
    assert "stays: its files do not make that tar again" in got.err
    assert rcrun("system", "check", "--repair").status == 0
    saved(rcrun, "app:1")


def test_shared_stores_and_other_ids(
    rcrun: Rcrun, fresh_rcrun: Callable[..., Rcrun], registry: TinyRegistry
) -> None:
    """Whose layers are used where they are, or not unpacked yet with these ids."""
    image = image_of("one")
    load(rcrun, archive_of(image))
    before = saved(rcrun, "app:1")
    rcrun("image", "prune", "--blobs").check()
    other = fresh_rcrun()
    other.env["RCRUN_ADDITIONAL_STORES"] = str(rcrun.store_dir)
    assert saved(other, "app:1") == before
    assert not set(plain(image)) & here(rcrun)
    # As if another kind of ids had unpacked it: it has to be unpacked anew.
    registry.put(image, "1")
    name = f"{registry.address}/app:1"
    rcrun("rmi", "app:1").check()
    rcrun("pull", "-q", name, env={"RCRUN_DROP_BLOBS": "1"}).check()
    (layer,) = rcrun.store_dir.glob("layers/*/*")
    layer.rename(rcrun.store_dir / "trash/other")
    rcrun("create", *NO_NETWORK, name).check()
    assert layer.exists()
