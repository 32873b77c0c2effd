from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.formats import image as documents
from rcrun.paths import Store
from rcrun.storage import blobs, images, layout

NAME = "docker.io/library/x:latest"


def test_find_by_reference(store: Store, make_image) -> None:  # type: ignore[no-untyped-def]
    made = make_image(NAME, [bytes(1024), bytes(2048)], config={"Cmd": ["sh"]})
    image = images.find(store, "x")
    assert image.reference == NAME
    assert image.digest == made["digest"]
    assert image.config["config"] == {"Cmd": ["sh"]}
    first, second = image.config["rootfs"]["diff_ids"]
    assert image.chain == [
        first[7:],
        __import__("hashlib").sha256(f"{first} {second}".encode()).hexdigest(),
    ]


def test_find_by_id_and_prefix(store: Store, make_image) -> None:  # type: ignore[no-untyped-def]
    make_image(NAME, [bytes(1024)], config={"User": "1"})
    make_image("docker.io/library/y:latest", [bytes(1024)], config={"User": "2"})
    image = images.find(store, "y")
    for text in (image.config_digest, image.config_digest[7:], image.short_id, image.short_id[:7]):
        assert images.find(store, text).config_digest == image.config_digest


def test_ambiguous_prefix(store: Store, make_image) -> None:  # type: ignore[no-untyped-def]
    ids = set()
    for number in range(17):  # two of them begin with the same digit
        make_image(f"docker.io/library/i{number}:latest", config={"User": str(number)})
        digit = images.find(store, f"i{number}").short_id[0]
        if digit in ids:
            break
        ids.add(digit)
    with pytest.raises(InvalidInput, match=f'image id "{digit}" is ambiguous'):
        images.find(store, digit)


def test_two_names_of_one_image_are_not_ambiguous(store: Store, make_image) -> None:  # type: ignore[no-untyped-def]
    make_image(NAME)
    make_image("docker.io/library/y:latest")
    assert (
        images.find(store, images.find(store, "x").short_id).config
        == images.find(store, "y").config
    )


def test_find_by_digest(store: Store, make_image) -> None:  # type: ignore[no-untyped-def]
    digest = make_image(NAME)["digest"]
    assert images.find(store, f"x@{digest}").digest == digest
    assert images.find(store, f"x:other@{digest}").digest == digest
    with pytest.raises(NotFound):
        images.find(store, f"y@{digest}")


def test_not_found_has_a_hint(store: Store) -> None:
    with pytest.raises(NotFound) as caught:
        images.find(store, "nothing:1")
    assert caught.value.message == "no such image: nothing:1"
    assert caught.value.hint == "rcrun pull nothing:1"
    with pytest.raises(InvalidInput, match="must be lower case"):
        images.find(store, "Nothing")


def index_of(store: Store, *platforms: dict[str, str]) -> documents.Descriptor:
    entries = []
    for number, platform in enumerate(platforms):
        config = {"rootfs": {"type": "layers", "diff_ids": []}, "config": {"User": str(number)}}
        manifest = {
            "schemaVersion": 2,
            "config": blobs.write_document(store, config, documents.CONFIG),
            "layers": [],
        }
        descriptor = blobs.write_document(store, manifest, documents.MANIFEST)
        entries.append({**descriptor, "platform": platform})
    index = {"schemaVersion": 2, "manifests": entries}
    return blobs.write_document(store, index, documents.INDEX)


def test_platform_of_an_index(store: Store) -> None:
    ours = documents.platform_of(os.uname().machine)[0]
    layout.add_reference(
        store,
        index_of(
            store,
            {"os": "windows", "architecture": ours},
            {"os": "linux", "architecture": "s390x"},
            {"os": "linux", "architecture": ours},
            {"os": "unknown", "architecture": "unknown"},
        ),
        NAME,
    )
    assert images.find(store, "x").config["config"] == {"User": "2"}
    assert images.find(store, "x", platform="linux/s390x").config["config"] == {"User": "1"}
    with pytest.raises(NotFound, match='not made for "linux/mips": it has linux/'):
        images.find(store, "x", platform="linux/mips")
    with pytest.raises(InvalidInput, match="invalid platform"):
        images.find(store, "x", platform="a/b/c")


def test_an_image_for_another_platform_is_not_there(store: Store, make_image) -> None:  # type: ignore[no-untyped-def]
    make_image(NAME, architecture="s390x")
    assert images.find(store, "x").config["architecture"] == "s390x"
    assert images.find(store, "x", platform="linux/s390x").reference == NAME
    with pytest.raises(NotFound, match='is made for "linux/s390x", not for "arm64"'):
        images.find(store, "x", platform="arm64")


def test_the_only_platform_is_taken(store: Store) -> None:
    layout.add_reference(store, index_of(store, {"os": "linux", "architecture": "odd"}), NAME)
    assert images.find(store, "x").config["config"] == {"User": "0"}


def test_damaged_images_do_not_hide_the_others(store: Store, make_image) -> None:  # type: ignore[no-untyped-def]
    make_image(NAME)
    broken = make_image("docker.io/library/broken:latest", config={"User": "5"})
    path = Path(store.blob_path(broken["digest"]))
    path.write_bytes(path.read_bytes().replace(b"2", b"3", 1))
    with pytest.raises(RcrunError, match="changed or damaged"):
        images.find(store, "broken")
    assert [image.reference for image in images.every(store)] == [NAME]
    assert images.find(store, images.find(store, "x").short_id).reference == NAME


@pytest.mark.parametrize(
    ("manifest", "fault"),
    [
        ({"schemaVersion": 1, "fsLayers": []}, "obsolete schema version 1"),
        ({"schemaVersion": 2}, 'lacks "config" or "layers"'),
        ({"config": {"digest": "sha256:x", "size": 1}, "layers": []}, "no sha256 digest"),
        ([], "not a JSON object"),
    ],
)
def test_manifests_that_cannot_be_used(store: Store, manifest: object, fault: str) -> None:
    descriptor = blobs.write_document(store, manifest, documents.MANIFEST)  # type: ignore[arg-type]
    layout.add_reference(store, descriptor, NAME)
    with pytest.raises(InvalidInput, match=fault):
        images.find(store, "x")


def test_hot_imports() -> None:
    heavy = "re enum json typing dataclasses subprocess shutil pathlib contextlib tempfile hashlib random"
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import rcrun.storage.images, rcrun.storage.layers, rcrun.storage.layered, rcrun.kernel.identity\n"
        f"print([name for name in {heavy.split()} if name in sys.modules])"
    )
    checkout = str(Path(__file__).parents[2])
    argv = [sys.executable, "-ISc", code, checkout]
    result = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
