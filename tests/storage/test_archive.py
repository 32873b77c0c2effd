from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.formats import image as documents
from rcrun.paths import Store
from rcrun.storage import archive, blobs, images, importing, layout

Make = Callable[..., Any]


def tar_of(members: dict[str, bytes | str]) -> bytes:
    """Bytes are a file, text is the target of a symlink."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return output.getvalue()


LAYERS = [tar_of({"a": b"1"}), tar_of({"b": b"2"})]


def config_of(layers: list[bytes], user: str = "") -> bytes:
    diff_ids = ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"User": user},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
    ).encode()


def docker_archive(**changes: Any) -> bytes:
    config = config_of(LAYERS)
    members: dict[str, bytes | str] = {
        "one/layer.tar": LAYERS[0],
        "two/layer.tar": LAYERS[1],
        "two/VERSION": b"1.0",
        "again/layer.tar": "../two/layer.tar",
        "config.json": config,
        "manifest.json": json.dumps(
            [
                {
                    "Config": "config.json",
                    "RepoTags": ["x:1", "example.org/y:2"],
                    "Layers": ["one/layer.tar", "again/layer.tar"],
                }
            ]
        ).encode(),
    }
    members.update(changes.pop("members", {}))
    return tar_of({name: data for name, data in members.items() if data is not None})


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def test_docker_archive(store: Store, fast_dir: Path) -> None:
    (loaded,) = archive.load(store, write(fast_dir / "a.tar", docker_archive()))
    assert loaded.names == ["docker.io/library/x:1", "example.org/y:2"]
    image = images.find(store, "x:1")
    assert loaded.config_digest == image.config_digest
    assert image.config_digest == "sha256:" + hashlib.sha256(config_of(LAYERS)).hexdigest()
    for layer, data in zip(image.manifest["layers"], LAYERS, strict=True):
        assert layer["mediaType"] == documents.LAYER
        assert blobs.read_blob(store, layer) == data


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_from_a_pipe_and_compressed(store: Store, compress: Make) -> None:
    reader, writer = os.pipe()
    data = compress(docker_archive())
    with open(writer, "wb") as file:
        file.write(data)  # a few kilobytes fit into the pipe
    try:
        (loaded,) = archive.load(store, reader)
    finally:
        os.close(reader)
    assert images.find(store, loaded.config_digest).reference == "docker.io/library/x:1"


def test_compressed_layers_in_a_docker_archive(store: Store, fast_dir: Path) -> None:
    data = docker_archive(members={"one/layer.tar": gzip.compress(LAYERS[0])})
    archive.load(store, write(fast_dir / "a.tar", data))
    first = images.find(store, "x:1").manifest["layers"][0]
    assert first["mediaType"] == documents.LAYER_GZIP


def test_an_image_without_a_name(store: Store, fast_dir: Path) -> None:
    manifest = [
        {"Config": "config.json", "RepoTags": None, "Layers": ["one/layer.tar", "two/layer.tar"]}
    ]
    data = docker_archive(members={"manifest.json": json.dumps(manifest).encode()})
    (loaded,) = archive.load(store, write(fast_dir / "a.tar", data))
    assert loaded.names == []
    assert images.find(store, loaded.config_digest[7:19]).reference == ""
    (again,) = archive.load(store, write(fast_dir / "a.tar", data), name="docker.io/library/n:1")
    assert images.find(store, "n:1").config_digest == again.config_digest
    assert len(layout.references(store)) == 1


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ({"manifest.json": None}, "neither manifest.json nor index.json"),
        ({"manifest.json": b"{"}, 'manifest.json" of the archive is not JSON'),
        ({"manifest.json": b"{}"}, "not a list of images"),
        ({"manifest.json": b'[{"Config":"config.json"}]'}, 'lacks "Config" or "Layers"'),
        ({"config.json": None}, 'lacks "config.json"'),
        ({"one/layer.tar": None}, 'lacks the layer "one/layer.tar"'),
        ({"one/layer.tar": LAYERS[1]}, "does not match its configuration"),
        ({"again/layer.tar": "../../../etc/passwd"}, "is a link out of the archive"),
        ({"again/layer.tar": "layer.tar"}, "leads in a circle"),
        ({"config.json": config_of(LAYERS[:1])}, "names 1 layers, the manifest 2"),
        ({"manifest.json": None, "repositories": b"{}"}, "older than 1.10"),
    ],
)
def test_archives_that_are_refused(
    store: Store, fast_dir: Path, members: dict[str, Any], fault: str
) -> None:
    with pytest.raises(InvalidInput, match=fault):
        archive.load(store, write(fast_dir / "a.tar", docker_archive(members=members)))
    assert layout.references(store) == []
    assert os.listdir(store.tmp_dir()) == []


def test_a_blob_that_lies_about_its_digest(store: Store, fast_dir: Path) -> None:
    data = tar_of({f"blobs/sha256/{'0' * 64}": b"x", "index.json": b"{}", "oci-layout": b"{}"})
    with pytest.raises(RcrunError, match="does not match its descriptor"):
        archive.load(store, write(fast_dir / "a.tar", data))


def test_an_archive_that_is_cut_short(store: Store, fast_dir: Path) -> None:
    path = write(fast_dir / "a.tar", docker_archive()[:2000])
    with pytest.raises(InvalidInput, match='ends in the middle of "one/layer'):
        archive.load(store, path)


def test_a_missing_layer_blob_of_an_oci_archive(
    store: Store, make_image: Make, fast_dir: Path
) -> None:
    make_image("docker.io/library/x:1", LAYERS)
    layer = images.find(store, "x:1").manifest["layers"][1]
    data = layout_tar(store, leave_out=layer["digest"])
    other = Store(str(fast_dir / "other"), "")
    with pytest.raises(RcrunError, match=f'lacks layer "{layer["digest"]}"'):
        archive.load(other, write(fast_dir / "a.tar", data))
    assert layout.references(other) == []


def layout_tar(store: Store, leave_out: str = "") -> bytes:
    members: dict[str, bytes | str] = {}
    for name in ("oci-layout", "index.json"):
        members[name] = Path(store.path(name)).read_bytes()
    for name in os.listdir(store.path("blobs/sha256")):
        if name != leave_out[7:]:
            members[f"blobs/sha256/{name}"] = Path(store.path("blobs/sha256", name)).read_bytes()
    return tar_of(members)


def test_oci_archive_and_layout(store: Store, make_image: Make, fast_dir: Path) -> None:
    made = make_image("docker.io/library/x:1", LAYERS)
    other = make_image("example.org/y:2", LAYERS[:1])
    path = write(fast_dir / "a.tar", layout_tar(store))
    for number, source in enumerate((path, store.root_dir)):
        target = Store(str(fast_dir / f"target{number}"), "")
        loaded = archive.load(target, source)
        assert [each.names for each in loaded] == [["docker.io/library/x:1"], ["example.org/y:2"]]
        assert [each.descriptor["digest"] for each in loaded] == [made["digest"], other["digest"]]
        only = Store(str(fast_dir / f"only{number}"), "")
        (one,) = archive.load(only, source, select="example.org/y:2")
        assert one.descriptor["digest"] == other["digest"]
        assert len(layout.references(only)) == 1


def test_pull_local(store: Store, make_image: Make, fast_dir: Path) -> None:
    make_image("docker.io/library/x:1", LAYERS)
    make_image("docker.io/library/y:1", LAYERS[:1])
    target = Store(str(fast_dir / "target"), "")
    with pytest.raises(InvalidInput, match="has 2 images"):
        archive.pull_local(target, "oci", store.root_dir)
    with pytest.raises(NotFound, match='no image "z"'):
        archive.pull_local(target, "oci", f"{store.root_dir}:z")
    with pytest.raises(NotFound, match="does not exist"):
        archive.pull_local(target, "oci", "/nowhere")
    with pytest.raises(InvalidInput, match='is a directory, which "oci-archive" cannot be'):
        archive.pull_local(target, "oci-archive", store.root_dir)
    loaded = archive.pull_local(target, "oci", f"{store.root_dir}:x:1", "example.org/new:1")
    assert loaded.names == ["example.org/new:1"]


@pytest.mark.requires("skopeo")
@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive", "oci", "dir"])
def test_what_skopeo_writes(store: Store, make_image: Make, fast_dir: Path, kind: str) -> None:
    make_image("docker.io/library/x:1", LAYERS, config={"Env": ["A=b"]})
    place = f"{fast_dir}/copy"
    name = "" if kind == "dir" else ":docker.io/library/x:1"
    source = f"oci:{store.root_dir}:docker.io/library/x:1"
    argv = ["skopeo", "--insecure-policy", "copy", "-q", source, f"{kind}:{place}{name}"]
    subprocess.run(argv, check=True)
    target = Store(str(fast_dir / "target"), "")
    loaded = archive.pull_local(target, kind, place)
    assert loaded.names == ([] if kind == "dir" else ["docker.io/library/x:1"])
    image = images.find(target, loaded.config_digest)
    assert image.config["config"]["Env"] == ["A=b"]
    assert image.chain == images.find(store, "x:1").chain


# ---- root file systems


@pytest.mark.parametrize(
    ("compress", "media_type"),
    [
        (bytes, documents.LAYER),
        (gzip.compress, documents.LAYER_GZIP),
        (lzma.compress, documents.LAYER),
    ],
)
def test_import(store: Store, fast_dir: Path, compress: Make, media_type: str) -> None:
    path = write(fast_dir / "rootfs", compress(LAYERS[0]))
    loaded = importing.import_rootfs(
        store,
        path,
        "docker.io/library/r:1",
        created="2026-01-02T03:04:05Z",
        config={"Cmd": ["sh"]},
        comment="from a test",
    )
    image = images.find(store, "r:1")
    assert image.config_digest == loaded.config_digest
    assert image.config["config"] == {"Cmd": ["sh"]}
    assert image.config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(LAYERS[0]).hexdigest()]
    assert image.manifest["layers"][0]["mediaType"] == media_type
    assert image.config["history"] == [
        {"created": "2026-01-02T03:04:05Z", "comment": "from a test"}
    ]


@pytest.mark.parametrize(
    ("data", "fault"),
    [(b"", "is empty"), (b"no tar" * 200, "not a tar archive"), (bytes(10240), "has no members")],
)
def test_import_of_something_else(store: Store, fast_dir: Path, data: bytes, fault: str) -> None:
    with pytest.raises(InvalidInput, match=fault):
        importing.import_rootfs(store, write(fast_dir / "r", data), created="")
    assert layout.references(store) == []
    assert os.listdir(store.tmp_dir()) == []
