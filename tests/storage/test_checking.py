"""Image layouts in every respect: documents, blobs, and the two that belong together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tars import file

from rcrun.formats import image as images
from rcrun.paths import Store
from rcrun.storage import blobs, layout
from rcrun.storage.checking import Layout, document_faults

LAYER = file("name", b"content") + bytes(1024)


def faults(store: Store) -> list[str]:
    return list(Layout(store.root_dir).faults())


def path_of(store: Store, descriptor: Any) -> Path:
    return Path(store.blob_path(descriptor["digest"]))


def manifest_of(store: Store, entry: Any) -> Any:
    return blobs.read_document(store, entry)


@pytest.fixture
def entry(store: Store, make_image: Any) -> Any:
    return make_image("localhost/a:1", [LAYER])


def test_a_sound_store_has_no_fault(store: Store, entry: Any) -> None:
    assert faults(store) == []
    assert list(Layout(store.root_dir).image_faults(entry)) == []


def test_a_blob_that_was_changed(store: Store, entry: Any) -> None:
    row = manifest_of(store, entry)["layers"][0]
    path = path_of(store, row)
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    where = f"blobs/sha256/{entry['digest'][7:]}: layers[0]: "
    changed = f'blob "{row["digest"]}" has another digest: its content was changed or damaged'
    assert faults(store) == [where + changed]
    path.write_bytes(data + b"x")
    size = f'blob "{row["digest"]}" has {len(data) + 1} bytes, not {len(data)}'
    assert faults(store) == [where + size]


def test_a_blob_that_is_missing(store: Store, entry: Any) -> None:
    row = manifest_of(store, entry)["config"]
    path_of(store, row).unlink()
    [fault] = faults(store)
    assert fault.endswith(f'config: blob "{row["digest"]}": no such file or directory')
    path_of(store, entry).unlink()
    [fault] = faults(store)  # the layer, which nothing names any more, is sound
    assert fault.startswith(f'index.json: manifests[0]: blob "{entry["digest"]}": no such file')


def test_documents_are_validated_where_they_lie(store: Store, entry: Any) -> None:
    manifest = manifest_of(store, entry)
    config = blobs.read_document(store, manifest["config"])
    config["rootfs"]["diff_ids"] *= 2
    config["config"] = {"Env": ["BROKEN"]}
    changed = blobs.write_document(store, config, images.CONFIG)
    other = blobs.write_document(store, {**manifest, "config": changed, "layers": [*manifest["layers"], {}]}, images.MANIFEST)  # fmt: skip
    layout.add_reference(store, other, "localhost/b:1")
    where = f"blobs/sha256/{changed['digest'][7:]}"
    assert faults(store) == [
        f'blobs/sha256/{other["digest"][7:]}: layers[1]: "mediaType", "digest" and "size" are missing',
        f'{where}: config.Env[0]: "BROKEN" is not NAME=VALUE',
    ]
    fewer = blobs.write_document(store, {**manifest, "config": changed}, images.MANIFEST)
    layout.add_reference(store, fewer, "localhost/b:1")
    assert f"{where}: rootfs.diff_ids: names 2 layers, the manifest 1" in faults(store)


def test_platforms_that_nobody_fetched_are_no_fault(store: Store, entry: Any) -> None:
    absent = {**entry, "digest": "sha256:" + "1" * 64}
    index = {"schemaVersion": 2, "mediaType": images.INDEX, "manifests": [absent, entry]}
    both = blobs.write_document(store, index, images.INDEX)
    layout.add_reference(store, both, "localhost/both:1")
    assert faults(store) == []
    alone = blobs.write_document(store, {**index, "manifests": [absent]}, images.INDEX)
    layout.add_reference(store, alone, "localhost/alone:1")
    [fault] = faults(store)
    assert fault.startswith(f"blobs/sha256/{alone['digest'][7:]}: manifests[0]: blob ")


def test_digests_never_lead_out_of_the_layout(store: Store, entry: Any) -> None:
    evil = {**entry, "digest": "sha256:../../../../etc/passwd"}
    index = Path(store.path("index.json"))
    document = json.loads(index.read_text())
    document["manifests"].append(evil)
    index.write_text(json.dumps(document))
    [fault] = faults(store)
    assert fault.startswith(
        'index.json: manifests[1].digest: "sha256:../../../../etc/passwd" is not a digest'
    )


def test_indexes_that_name_themselves_end(store: Store, entry: Any) -> None:
    """A loop by digest cannot be made; a chain can be long."""
    last = entry
    for _ in range(20):
        index = {"schemaVersion": 2, "mediaType": images.INDEX, "manifests": [last]}
        last = blobs.write_document(store, index, images.INDEX)
    layout.add_reference(store, last, "localhost/deep:1")
    assert faults(store) == []


def test_what_else_is_in_a_layout(tmp_path: Path) -> None:
    assert list(Layout(str(tmp_path)).faults()) == [
        "oci-layout: no such file or directory",
        "blobs: there is no such directory",
        "index.json: no such file or directory",
    ]
    folder = tmp_path / "blobs/sha256"
    folder.mkdir(parents=True)
    (tmp_path / "oci-layout").write_text('{"imageLayoutVersion": "2.0.0"}')
    (tmp_path / "index.json").write_text("[" * 100000)
    (folder / "notes").write_text("")
    (folder / ("0" * 64)).write_text("")
    found = list(Layout(str(tmp_path)).faults())
    assert found[0] == 'oci-layout: imageLayoutVersion: "2.0.0" is not "1.0.0"'
    assert found[1].startswith("index.json: is not JSON: ")
    assert found[2].startswith(f'blobs/sha256/{"0" * 64}: blob "sha256:{"0" * 64}" has another')
    assert found[3] == "blobs/sha256/notes: the name is no digest"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"imageLayoutVersion": "1.0.0"}', []),
        ('{"ociVersion": "1.0.0", "root": {}}', ['root: "path" is missing']),
        ("{}", ["document: is no OCI document: neither its media type nor its members tell which"]),
        ("{", None),
    ],
)
def test_single_documents(tmp_path: Path, text: str, expected: list[str] | None) -> None:
    path = tmp_path / "document"
    path.write_text(text)
    found = document_faults(str(path))
    if expected is None:
        assert found[0].startswith("is not JSON: ")
    else:
        assert found == expected
