from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
from pathlib import Path

import pytest

from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.formats import image as documents
from rcrun.paths import Store
from rcrun.storage import blobs, layout


def descriptor_of(data: bytes) -> documents.Descriptor:
    return {
        "mediaType": "text/plain",
        "digest": "sha256:" + hashlib.sha256(data).hexdigest(),
        "size": len(data),
    }


def test_init_twice_and_private(store: Store) -> None:
    layout.init(store)
    assert json.loads(Path(store.path("oci-layout")).read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert os.stat(store.root_dir).st_mode & 0o777 == 0o700
    assert layout.references(store) == []


def test_init_refuses_another_version(fast_dir: Path) -> None:
    (fast_dir / "oci-layout").write_text('{"imageLayoutVersion":"2.0.0"}')
    with pytest.raises(InvalidInput, match="unknown version"):
        layout.init(Store(str(fast_dir), ""))


def test_blob_round_trip(store: Store) -> None:
    data = os.urandom(3000)
    with blobs.BlobWriter(store, descriptor_of(data)) as writer:
        writer.write(data[:1000])
        writer.write(memoryview(data)[1000:])
        made = writer.commit()
    assert made == descriptor_of(data)
    assert blobs.has_blob(store, made)
    assert blobs.read_blob(store, made) == data
    assert os.listdir(store.tmp_dir()) == []


@pytest.mark.parametrize(
    ("sent", "fault"),
    [(b"hellp", "its digest is"), (b"hell", "it has 4 bytes, not 5"), (b"hello!", "larger than 5")],
)
def test_a_blob_that_is_not_what_was_promised_leaves_nothing(
    store: Store, sent: bytes, fault: str
) -> None:
    with (
        pytest.raises(RcrunError, match=fault),
        blobs.BlobWriter(store, descriptor_of(b"hello")) as writer,
    ):
        writer.write(sent)
        writer.commit()
    assert os.listdir(store.path("blobs/sha256")) == []
    assert os.listdir(store.tmp_dir()) == []


def test_digests_are_no_paths(store: Store) -> None:
    hostile: documents.Descriptor = {"mediaType": "", "digest": "sha256:../../x", "size": 1}
    with pytest.raises(InvalidInput, match="unsupported digest"):
        blobs.read_blob(store, hostile)
    with pytest.raises(InvalidInput, match="unsupported digest"):
        blobs.BlobWriter(store, hostile)


def test_damage_is_noticed_by_the_reader(store: Store) -> None:
    made = blobs.write_blob(store, b"content", "text/plain")
    Path(store.blob_path(made["digest"])).write_bytes(b"CONTENT")
    with pytest.raises(RcrunError, match="changed or damaged"):
        blobs.read_blob(store, made)
    assert blobs.write_blob(store, b"content", "text/plain") == made
    assert blobs.read_blob(store, made) == b"content"


def test_missing_blob(store: Store) -> None:
    with pytest.raises(NotFound, match="is not in the store"):
        blobs.read_blob(store, descriptor_of(b"nothing"))


def test_many_writers_of_one_blob(store: Store) -> None:
    data = os.urandom(1 << 20)

    def write() -> None:
        with blobs.BlobWriter(store, descriptor_of(data)) as writer:
            for at in range(0, len(data), 4096):
                writer.write(data[at : at + 4096])
            writer.commit()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert blobs.read_blob(store, descriptor_of(data)) == data
    assert os.listdir(store.tmp_dir()) == []


def test_references(store: Store) -> None:
    one, two = descriptor_of(b"1"), descriptor_of(b"2")
    assert layout.add_reference(store, one, "docker.io/library/a:latest") is None
    layout.add_reference(store, one, "docker.io/library/b:latest")
    previous = layout.add_reference(store, two, "docker.io/library/a:latest")
    assert previous is not None
    assert previous["digest"] == one["digest"]
    assert sorted(map(layout.name_of, layout.references(store))) == [
        "docker.io/library/a:latest",
        "docker.io/library/b:latest",
    ]
    removed = layout.remove_reference(store, "docker.io/library/a:latest")
    assert removed is not None
    assert removed["digest"] == two["digest"]
    assert layout.remove_reference(store, "docker.io/library/a:latest") is None


def test_an_image_that_loses_its_last_name_stays(store: Store) -> None:
    one, two = descriptor_of(b"1"), descriptor_of(b"2")
    layout.add_reference(store, one, "docker.io/library/a:latest")
    layout.add_reference(store, two, "docker.io/library/a:latest")
    names = {entry["digest"]: layout.name_of(entry) for entry in layout.references(store)}
    assert names == {one["digest"]: "", two["digest"]: "docker.io/library/a:latest"}
    layout.add_reference(store, one, "docker.io/library/c:latest")
    assert sorted(map(layout.name_of, layout.references(store))) == [
        "docker.io/library/a:latest",
        "docker.io/library/c:latest",
    ]
    assert len(layout.remove_image(store, one["digest"])) == 1


def test_concurrent_references_are_all_kept(store: Store) -> None:
    def add(number: int) -> None:
        layout.add_reference(store, descriptor_of(b"%d" % number), f"example.org/a:{number}")

    threads = [threading.Thread(target=add, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(layout.references(store)) == 20


def test_unknown_keys_and_foreign_entries(store: Store) -> None:
    path = Path(store.path("index.json"))
    path.write_text(
        json.dumps(
            {
                "schemaVersion": 2,
                "annotations": {"x": "y"},
                "manifests": [
                    {"digest": "md5:1", "size": 1},
                    7,
                    {**descriptor_of(b"1"), "annotations": []},
                ],
            }
        )
    )
    layout.add_reference(store, descriptor_of(b"1"), "example.org/a:1")
    index = json.loads(path.read_text())
    assert index["annotations"] == {"x": "y"}
    assert [entry["digest"] for entry in index["manifests"]] == [descriptor_of(b"1")["digest"]]


def test_index_that_is_not_json(store: Store) -> None:
    Path(store.path("index.json")).write_text("{")
    with pytest.raises(InvalidInput, match="is not JSON"):
        layout.references(store)


@pytest.mark.requires("skopeo")
def test_skopeo_reads_it_in_place(store: Store, make_image) -> None:  # type: ignore[no-untyped-def]
    make_image("docker.io/library/x:latest", [bytes(1024)], config={"Env": ["A=b"]})
    place = f"oci:{store.root_dir}:docker.io/library/x:latest"
    result = subprocess.run(["skopeo", "inspect", place], capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["Env"] == ["A=b"]
