"""Image documents: what the image specification asks of them, and which document a file is meant to be."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from rcrun.formats import digest as digests
from rcrun.formats import image as images
from rcrun.formats.imagerules import EMPTY, kind_of, layer_fault
from rcrun.formats.validate import faults

DIGEST = "sha256:" + "0" * 64
LAYER = {"mediaType": images.LAYER_GZIP, "digest": DIGEST, "size": 5}
MANIFEST: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": images.MANIFEST,
    "config": {"mediaType": images.CONFIG, "digest": DIGEST, "size": 2},
    "layers": [LAYER],
}
INDEX: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": images.INDEX,
    "manifests": [
        {
            "mediaType": images.MANIFEST,
            "digest": DIGEST,
            "size": 5,
            "platform": {"os": "linux", "architecture": "amd64"},
        }
    ],
}
IMAGE: dict[str, Any] = {
    "created": "2026-01-31T12:00:00.5Z",
    "architecture": "amd64",
    "os": "linux",
    "config": {"Env": ["A="], "ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGRTMIN+3"},
    "rootfs": {"type": "layers", "diff_ids": [DIGEST]},
    "history": [{"created": "2026-01-31T12:00:00+02:00", "empty_layer": True}],
}
VALID = {"manifest": MANIFEST, "index": INDEX, "image": IMAGE, "descriptor": LAYER}


@pytest.mark.parametrize("kind", VALID)
def test_valid_documents(kind: str) -> None:
    assert faults(VALID[kind], kind) == []
    assert kind_of(VALID[kind]) == kind


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("manifest", {"mediaType": images.INDEX}, f'mediaType: "{images.INDEX}" is not one of'),
        ("manifest", {"manifests": []}, "manifests: is for an image index, which a manifest must not be at once"),
        ("manifest", {"config": {"mediaType": EMPTY, "digest": DIGEST, "size": 2}}, 'document: "artifactType" is missing, which an empty "config" needs'),
        ("manifest", {"artifactType": "thing"}, 'artifactType: "thing" is not a media type'),
        ("manifest", {"subject": {"digest": DIGEST}}, 'subject: "mediaType" and "size" are missing'),
        ("manifest", {"annotations": {"": "x"}}, 'annotations: "" is empty'),
        ("manifest", {"annotations": {"a": 1}}, "annotations.a: 1 is not of type string"),
        ("manifest", {"layers": [{**LAYER, "urls": ["nowhere"]}]}, 'layers[0].urls[0]: "nowhere" is not a URL'),
        ("index", {"layers": []}, "layers: is for a manifest, which an image index must not be at once"),
        ("index", {"manifests": [{**LAYER, "platform": {"os": "linux"}}]}, 'manifests[0].platform: "architecture" is missing'),
        ("image", {"created": "yesterday"}, 'created: "yesterday" is no time as in 2026-01-31T12:00:00Z'),
        ("image", {"history": [{"created": "2026-13-01T00:00:00Z"}]}, 'history[0].created: "2026-13-01T00:00:00Z" is no time'),
        ("image", {"config": {"Env": ["A"]}}, 'config.Env[0]: "A" is not NAME=VALUE'),
        ("image", {"config": {"ExposedPorts": {"http": {}}}}, 'config.ExposedPorts: "http" is not a port such as 80/tcp'),
        ("image", {"config": {"StopSignal": "sig term"}}, 'config.StopSignal: "sig term" is not a signal'),
        ("image", {"rootfs": {"type": "layers", "diff_ids": ["x"]}}, 'rootfs.diff_ids[0]: "x" is not a digest'),
        ("descriptor", {"mediaType": "a/" + "b" * 128}, "mediaType: "),
        ("descriptor", {"data": "e30"}, 'data: "e30" is not base64'),
        ("descriptor", {"data": "e30="}, "data: holds 2 bytes, not 5"),
        ("descriptor", {"data": "aGVsbG8="}, f'data: has the digest "{digests.of_bytes(b"hello")}"'),
    ],
)  # fmt: skip
def test_faults(kind: str, changes: dict[str, Any], expected: str) -> None:
    found = faults({**VALID[kind], **changes}, kind)
    assert found
    assert found[0].startswith(expected), found


def test_embedded_content_is_what_the_digest_says() -> None:
    content = b"hello"
    data = base64.b64encode(content).decode()
    assert faults({**LAYER, "digest": digests.of_bytes(content), "data": data}, "descriptor") == []


def test_a_layer_has_a_diff_id() -> None:
    assert layer_fault(MANIFEST, IMAGE) == ""
    two = {**MANIFEST, "layers": [LAYER, LAYER]}
    assert layer_fault(two, IMAGE) == "rootfs.diff_ids: names 1 layers, the manifest 2"


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"imageLayoutVersion": "2"}, "layout"),
        ({"ociVersion": 5}, "config"),
        ({"manifests": 5}, "index"),
        ({"layers": []}, "manifest"),
        ({"rootfs": {}}, "image"),
        ({"digest": "", "size": 0}, "descriptor"),
        ({}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_kinds(document: object, kind: str) -> None:
    assert kind_of(document) == kind
