"""A small image made in memory: its documents, its blobs, and how it gets into a registry."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import json
import tarfile
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(media_type: str, data: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


class TinyImage:
    def __init__(self, manifest: bytes, config: bytes, layers: list[bytes]) -> None:
        self.manifest = manifest
        self.config = config
        self.layers = layers
        self.digest = digest_of(manifest)
        self.config_digest = digest_of(config)

    @property
    def blobs(self) -> dict[str, bytes]:
        return {digest_of(data): data for data in (self.config, *self.layers)}

    def descriptor(self, **more: Any) -> dict[str, Any]:
        return descriptor(MANIFEST, self.manifest, **more)

    def layer_descriptor(self, number: int = 0) -> dict[str, Any]:
        return descriptor(LAYER, self.layers[number])


def layer_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            entry.mode = 0o755
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def tiny_image(*layers: dict[str, bytes], architecture: str = "amd64", **config: Any) -> TinyImage:
    """An image with these files a layer, one layer with one file if none are given."""
    tars = [layer_of(files) for files in layers or ({"hello": b"hello\n"},)]
    document = {
        "architecture": architecture,
        "os": "linux",
        "created": "2020-01-02T03:04:05Z",
        "config": {"Cmd": ["/hello"], **config},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]},
    }
    config_data = json.dumps(document).encode()
    compressed = [gzip.compress(tar, mtime=0) for tar in tars]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config_data),
        "layers": [descriptor(LAYER, data) for data in compressed],
    }
    return TinyImage(json.dumps(manifest).encode(), config_data, compressed)


def index_of(**images: TinyImage) -> bytes:
    """An index; the names are architectures with `_` before the variant."""
    entries = []
    for name, image in images.items():
        architecture, _, variant = name.partition("_")
        platform = {"os": "linux", "architecture": architecture}
        if variant:
            platform["variant"] = variant
        entries.append(image.descriptor(platform=platform))
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()


def upload(address: str, path: str, image: TinyImage, *targets: str) -> None:
    """Push with plain requests to an open registry at HOST:PORT."""
    connection = http.client.HTTPConnection(address)
    for digest, data in image.blobs.items():
        response = _put(connection, "POST", f"/v2/{path}/blobs/uploads/", b"", 202)
        location = response["Location"]
        where = location[location.index("/v2/") :]
        _put(connection, "PUT", f"{where}&digest={digest}", data, 201, "application/octet-stream")
    for target in (image.digest, *targets):
        upload_manifest(address, path, target, image.manifest, MANIFEST)
    connection.close()


def upload_manifest(address: str, path: str, target: str, data: bytes, media_type: str) -> None:
    connection = http.client.HTTPConnection(address)
    _put(connection, "PUT", f"/v2/{path}/manifests/{target}", data, 201, media_type)
    connection.close()


def _put(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    data: bytes,
    status: int,
    media_type: str = "",
) -> dict[str, str]:
    connection.request(method, path, data, {"Content-Type": media_type} if media_type else {})
    with connection.getresponse() as response:
        body = response.read()
        assert response.status == status, (response.status, body)
        return dict(response.getheaders())


def oci_archive(image: TinyImage, **annotations: str) -> bytes:
    """The image as an OCI archive; `ref_name` and `full_name` are the usual annotations."""
    keys = {
        "ref_name": "org.opencontainers.image.ref.name",
        "full_name": "io.containerd.image.name",
    }
    entry = image.descriptor(annotations={keys[key]: value for key, value in annotations.items()})
    files = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(),
    }
    for digest, data in {**image.blobs, image.digest: image.manifest}.items():
        files[f"blobs/sha256/{digest[7:]}"] = data
    return layer_of(files)


def docker_archive(image: TinyImage, *tags: str) -> bytes:
    """The image as `docker save` wrote it for ten years."""
    config = f"{image.config_digest[7:]}.json"
    layers = {
        f"{number}/layer.tar": gzip.decompress(data) for number, data in enumerate(image.layers)
    }
    entry = {"Config": config, "RepoTags": list(tags) or None, "Layers": list(layers)}
    return layer_of({**layers, config: image.config, "manifest.json": json.dumps([entry]).encode()})
