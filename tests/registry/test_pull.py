"""Pulls into a store, as whoever runs the tests; the layers are really unpacked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rcrun.engine import download, images
from rcrun.engine.context import Context
from rcrun.engine.pull import Silent, pull, split_transport
from rcrun.errors import InvalidInput, NotFound, RcrunError, RegistryError
from rcrun.paths import Store
from rcrun.storage import layout
from rcrun.storage.blobs import has_blob
from tiny_image import INDEX, MANIFEST, digest_of, index_of, tiny_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiny_registry import Handler, TinyRegistry

    from tiny_image import TinyImage

pytestmark = pytest.mark.requires("userns")


@pytest.fixture
def context() -> Iterator[Context]:
    folder = tempfile.mkdtemp(prefix="rcrun-pull-", dir="/dev/shm")
    warnings: list[str] = []
    store = Store(f"{folder}/store", f"{folder}/live")
    environ = {"PATH": os.environ["PATH"], "HOME": folder}
    yield Context(store, environ, ["rcrun"], lambda text, _: warnings.append(text))
    shutil.rmtree(folder)


class Watcher(Silent):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def layers(self, present: object, missing: object) -> None:
        self.said.append(f"{len(present)} present, {len(missing)} missing")  # type: ignore[arg-type]

    def downloaded(self, digest: str) -> None:
        self.said.append("downloaded")

    def unpacked(self, digest: str) -> None:
        self.said.append("unpacked")

    def done(self, reference: object, digest: str, *, changed: bool) -> None:
        self.said.append(f"done {digest} {changed}")


def names(context: Context) -> list[str]:
    return sorted(layout.name_of(entry) for entry in layout.references(context.store))


def layer_dirs(context: Context) -> list[str]:
    return sorted(os.listdir(context.store.path("layers", context.identity.layer_kind())))


def temporary(context: Context) -> list[str]:
    return os.listdir(context.store.tmp_dir())


def test_a_pull(registry: TinyRegistry, context: Context, image: TinyImage) -> None:
    registry.put(image, "1")
    watcher = Watcher()
    pulled = pull(context, f"{registry.address}/some/thing:1", progress=watcher)
    assert pulled.reference == f"{registry.address}/some/thing:1"
    assert (pulled.digest, pulled.config_digest) == (image.digest, image.config_digest)
    assert names(context) == [
        f"{registry.address}/some/thing:1",
        f"{registry.address}/some/thing@{image.digest}",
    ]
    diff = context.store.layer_dir(context.identity.layer_kind(), pulled.chain[0]) + "/diff"
    assert Path(diff, "hello").read_bytes() == b"hello\n"
    assert temporary(context) == []
    assert watcher.said == [
        "0 present, 1 missing", "downloaded", "unpacked", f"done {image.digest} True",
    ]  # fmt: skip


def test_again_fetches_the_manifest_only(
    registry: TinyRegistry, context: Context, image: TinyImage
) -> None:
    registry.put(image, "1")
    text = f"{registry.address}/x:1"
    pull(context, text)
    registry.asked.clear()
    watcher = Watcher()
    pull(context, text, progress=watcher)
    assert registry.paths() == ["/v2/", "/v2/x/manifests/1"]
    assert watcher.said == ["1 present, 0 missing", f"done {image.digest} False"]


def test_policies(registry: TinyRegistry, context: Context, image: TinyImage) -> None:
    text = f"{registry.address}/x:1"
    with pytest.raises(NotFound, match="may not be pulled"):
        pull(context, text, policy="never")
    assert registry.asked == []
    registry.put(image, "1")
    pull(context, text, policy="missing")
    newer = tiny_image({"newer": b""})
    registry.put(newer, "1")
    registry.asked.clear()
    assert pull(context, text, policy="missing").digest == image.digest
    assert pull(context, text, policy="never").digest == image.digest
    assert registry.asked == []
    assert pull(context, text, policy="newer").digest == newer.digest
    registry.put(image, "1")
    assert pull(context, text, policy="always").digest == image.digest
    registry.rule("/v2/", lambda h: h.fail(400, "X", "broken"), times=9)
    assert pull(context, text, policy="newer").digest == image.digest
    with pytest.raises(RegistryError):
        pull(context, text, policy="always")
    with pytest.raises(InvalidInput, match="unknown pull policy"):
        pull(context, text, policy="sometimes")


def test_an_image_that_lost_its_tag_stays(
    registry: TinyRegistry, context: Context, image: TinyImage
) -> None:
    newer = tiny_image({"newer": b""})
    text = f"{registry.address}/x:1"
    registry.put(image, "1")
    pull(context, text)
    registry.put(newer, "1")
    pull(context, text)
    by_digest = pull(context, f"{registry.address}/x@{image.digest}", policy="never")
    assert by_digest.digest == image.digest
    assert [each.id for each in images.listed(context.store, filters=["dangling=true"])] == [
        image.config_digest
    ]


def test_from_an_index(registry: TinyRegistry, context: Context) -> None:
    made = {"amd64": tiny_image(), "arm64": tiny_image(architecture="arm64")}
    for each in made.values():
        registry.put(each)
    index = index_of(**made)
    registry.manifests["1"] = (INDEX, index)
    registry.manifests[digest_of(index)] = (INDEX, index)
    text = f"{registry.address}/x"
    arm = pull(context, f"{text}:1", platform="linux/arm64")
    assert arm.digest == made["arm64"].digest
    assert names(context) == [f"{text}:1", f"{text}@{digest_of(index)}"]
    told = images.inspect_object(context.store, arm)
    assert told["RepoDigests"] == [f"{text}@{digest_of(index)}"]
    assert told["Architecture"] == "arm64"
    again = pull(context, f"{text}@{digest_of(index)}", platform="linux/amd64")
    assert again.digest == made["amd64"].digest
    with pytest.raises(NotFound, match="linux/amd64, linux/arm64"):
        pull(context, f"{text}:1", platform="linux/s390x")


def test_single_manifest_of_another_platform(
    registry: TinyRegistry, context: Context, image: TinyImage
) -> None:
    registry.put(image, "1")
    with pytest.raises(NotFound, match='is made for "linux/amd64", not for "linux/arm64"'):
        pull(context, f"{registry.address}/x:1", platform="linux/arm64")
    assert registry.paths("/blobs/") == [f"/v2/x/blobs/{image.config_digest}"]
    assert names(context) == []


def test_artifacts_are_refused_before_anything_large_is_fetched(
    registry: TinyRegistry, context: Context, image: TinyImage
) -> None:
    manifest = json.loads(image.manifest)
    manifest["config"]["mediaType"] = "application/vnd.example.chart"
    registry.put(image)
    registry.manifests["1"] = (MANIFEST, json.dumps(manifest).encode())
    with pytest.raises(InvalidInput, match=r'artifact of type "application/vnd\.example\.chart"'):
        pull(context, f"{registry.address}/x:1")
    assert registry.paths("/blobs/") == []


@pytest.mark.parametrize("member", ["config", "layers"])
def test_manifests_with_hostile_digests(
    registry: TinyRegistry, context: Context, image: TinyImage, member: str
) -> None:
    manifest = json.loads(image.manifest)
    entry = manifest["config"] if member == "config" else manifest["layers"][0]
    entry["digest"] = "sha256:../../../../tmp/evil"
    registry.put(image)
    registry.manifests["1"] = (MANIFEST, json.dumps(manifest).encode())
    with pytest.raises(InvalidInput, match="cannot be used: a descriptor has no sha256 digest"):
        pull(context, f"{registry.address}/x:1")


def test_blob_with_the_wrong_bytes(
    registry: TinyRegistry, context: Context, image: TinyImage
) -> None:
    registry.put(image, "1")
    layer = image.layer_descriptor()
    registry.blobs[layer["digest"]] = b"x" * layer["size"]
    with pytest.raises(RegistryError, match="wrong bytes for blob"):
        pull(context, f"{registry.address}/x:1")
    assert names(context) == []
    assert not has_blob(context.store, layer)
    registry.put(image)
    pull(context, f"{registry.address}/x:1")


def test_a_beginning_is_continued(
    registry: TinyRegistry, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tiny_image({"big": os.urandom(400_000)})
    registry.put(image, "1")
    data = image.layers[0]
    monkeypatch.setattr("rcrun.registry.session.TRIES", 1)
    monkeypatch.setattr("rcrun.registry.session.Patience.wait", lambda *_: False)
    registry.rule(
        "/blobs/" + image.layer_descriptor()["digest"], lambda h: h.break_after(data, 250_000)
    )
    with pytest.raises(RegistryError, match="too early"):
        pull(context, f"{registry.address}/x:1")
    assert len(temporary(context)) == 1
    registry.asked.clear()
    pull(context, f"{registry.address}/x:1")
    ranges = [asked.headers.get("Range") for asked in registry.asked if "/blobs/" in asked.path]
    assert ranges == ["bytes=250000-"]
    assert temporary(context) == []


def test_a_wrong_beginning_is_thrown_away(
    registry: TinyRegistry, context: Context, image: TinyImage
) -> None:
    registry.put(image, "1")
    layout.init(context.store)
    layer = image.layer_descriptor()
    part = Path(context.store.tmp_dir(), f"part.{layer['digest'][7:]}")
    for wrong in (b"x" * 50, b"x" * (layer["size"] + 1)):
        part.write_bytes(wrong)
        pull(context, f"{registry.address}/x:1")
        assert has_blob(context.store, layer)
        os.unlink(context.store.blob_path(layer["digest"]))
    assert temporary(context) == []


def test_side_by_side(registry: TinyRegistry, context: Context) -> None:
    """Several pulls of one image fetch every blob once."""
    image = tiny_image(*({f"file{number}": os.urandom(50_000)} for number in range(4)))
    registry.put(image, "1")
    for layer in range(4):
        digest = image.layer_descriptor(layer)["digest"]

        def slowly(handler: Handler, data: bytes = image.layers[layer]) -> None:
            time.sleep(0.1)
            handler.answer(200, data)

        registry.rule(f"/blobs/{digest}", slowly)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            pull(context, f"{registry.address}/x:1")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    fetched = [path for path in registry.paths("/blobs/") if image.config_digest not in path]
    assert len(fetched) == len(set(fetched)) == 4
    assert len(names(context)) == 2
    assert len(layer_dirs(context)) == 4
    assert temporary(context) == []


def test_the_first_error_stops_the_others(
    registry: TinyRegistry, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tiny_image(
        *({f"file{number}": os.urandom(9000 - 1000 * number)} for number in range(8))
    )
    registry.put(image, "1")
    monkeypatch.setattr(download, "AT_ONCE", 1)
    registry.rule("/blobs/" + image.layer_descriptor(1)["digest"], lambda h: h.fail(400, "X", "no"))
    with pytest.raises(RegistryError, match="answered 400"):
        pull(context, f"{registry.address}/x:1")
    assert len(registry.paths("/blobs/")) == 3  # the configuration and two layers


def test_interrupt_leaves_a_store_that_goes_on(
    registry: TinyRegistry, context: Context, image: TinyImage
) -> None:
    """Ctrl-C while a blob is on its way."""
    registry.put(image, "1")

    class Interrupts(Silent):
        def layers(self, present: object, missing: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(context, f"{registry.address}/x:1", progress=Interrupts())
    assert names(context) == []
    assert temporary(context) == []
    pull(context, f"{registry.address}/x:1")


def test_a_full_disk_has_words(
    registry: TinyRegistry, context: Context, image: TinyImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    registry.put(image, "1")
    monkeypatch.setattr(download, "write_all", full)
    with pytest.raises(RcrunError, match="no space left on device"):
        pull(context, f"{registry.address}/x:1")


def test_the_store_stays_an_image_layout(
    registry: TinyRegistry, context: Context, image: TinyImage
) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    registry.put(image, "1")
    name = pull(context, f"{registry.address}/x:1").reference
    told = subprocess.run(
        ["skopeo", "inspect", "--raw", f"oci:{context.store.root_dir}:{name}"],
        check=True,
        capture_output=True,
    )
    assert told.stdout == image.manifest


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("debian", ("docker", "debian")),
        ("docker://debian:12", ("docker", "debian:12")),
        ("oci:latest", ("docker", "oci:latest")),
        ("oci:/srv/layout:tag", ("oci", "/srv/layout:tag")),
        ("oci:.", ("oci", ".")),
        ("dir:./x", ("dir", "./x")),
        ("docker-archive:x.tar", ("docker-archive", "x.tar")),
        ("oci-archive:x.tar:tag", ("oci-archive", "x.tar:tag")),
    ],
)
def test_transports(text: str, scheme: tuple[str, str]) -> None:
    assert split_transport(text) == scheme


def test_unknown_transport() -> None:
    with pytest.raises(InvalidInput, match='"containers-storage" is not supported'):
        split_transport("containers-storage:debian")
