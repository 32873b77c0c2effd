"""push, and pull of all tags: what the registry gets, what breaks on the way, and what is told."""

from __future__ import annotations

import gzip
import json
import os
from typing import TYPE_CHECKING

import pytest

from tiny_image import digest_of, tiny_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiny_registry import Handler, TinyRegistry

    from conftest import Rcrun
    from tiny_image import TinyImage

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def rcrun(fresh_rcrun: Callable[..., Rcrun]) -> Rcrun:
    """With an empty store."""
    return fresh_rcrun()


@pytest.fixture
def pulled(rcrun: Rcrun, elsewhere: TinyRegistry, image: TinyImage) -> Rcrun:
    """The store has `thing`, from another registry."""
    elsewhere.put(image, "1")
    rcrun("pull", "-q", f"{elsewhere.address}/thing:1").check()
    rcrun("tag", f"{elsewhere.address}/thing:1", "thing").check()
    return rcrun


def holds(registry: TinyRegistry, tag: str) -> dict[str, object]:
    """The manifest of the tag; all that it names must be there."""
    manifest = json.loads(registry.manifests[tag][1])
    for member in (manifest["config"], *manifest["layers"]):
        data = registry.blobs[member["digest"]]
        assert (digest_of(data), len(data)) == (member["digest"], member["size"])
    return manifest  # type: ignore[no-any-return]


def test_an_image_goes_out_byte_for_byte(
    pulled: Rcrun, registry: TinyRegistry, image: TinyImage
) -> None:
    name = f"{registry.address}/some/thing:v1"
    short = image.layer_descriptor()["digest"][7:19]
    done = pulled("push", "thing", name).check()
    size = len(image.manifest)
    assert done.out == f"v1: digest: {image.digest} size: {size}\n"
    assert done.err.splitlines() == [
        f"The push refers to repository [{registry.address}/some/thing]",
        f"{short}: Preparing",
        f"{short}: Pushed",
    ]
    assert registry.manifests["v1"] == (image_type(image), image.manifest)
    holds(registry, "v1")
    again = pulled("push", "thing", name).check()
    assert f"{short}: Layer already exists" in again.err
    digests = pulled("inspect", "-f", "{{json .RepoDigests}}", "thing").check().out
    assert f"{registry.address}/some/thing@{image.digest}" in json.loads(digests)


def test_what_containers_conf_says(pulled: Rcrun, registry: TinyRegistry) -> None:
    path = pulled.account.new_dir("conf") / "containers.conf"
    path.write_text(
        '[engine]\nimage_default_format = "v2s2"\ncompression_format = "zstd"\nimage_parallel_copies = 1\n'
    )
    env = {"CONTAINERS_CONF": str(path)}
    pulled("push", "thing", f"{registry.address}/some/thing:v1", env=env).check()
    assert registry.manifests["v1"][0] == DOCKER_MANIFEST
    pulled("push", "-f", "oci", "thing", f"{registry.address}/some/thing:v2", env=env).check()
    assert registry.manifests["v2"][0] != DOCKER_MANIFEST
    holds(registry, "v2")


def image_type(image: TinyImage) -> str:
    return str(json.loads(image.manifest)["mediaType"])


def test_by_its_own_name_and_quietly(
    pulled: Rcrun, registry: TinyRegistry, image: TinyImage
) -> None:
    name = f"{registry.address}/own"
    pulled("tag", "thing", name).check()
    file = pulled.account.new_dir("digests") / "digest"
    done = pulled("push", "-q", "--digestfile", file, name).check()
    assert (done.out, done.err) == (f"{name}:latest\n", "")
    assert file.read_text() == image.digest


def test_under_the_names_of_others(pulled: Rcrun, registry: TinyRegistry, image: TinyImage) -> None:
    from test_commands import as_name

    name = f"{registry.address}/own:1"
    docker = as_name(pulled, "docker", "push", "-q", "thing", name).check()  # type: ignore[attr-defined]
    assert docker.out == f"{name}\n"
    podman = as_name(pulled, "podman", "push", "thing", name).check()  # type: ignore[attr-defined]
    assert podman.out == ""
    assert podman.err.splitlines() == [
        "Getting image source signatures",
        f"Copying blob {image.layer_descriptor()['digest']}",
        "Writing manifest to image destination",
    ]


def test_what_commit_made_is_compressed_once(
    rcrun: Rcrun, registry: TinyRegistry, tmp_path: object
) -> None:
    tree = rcrun.account.new_dir("tree")
    (tree / "text").write_bytes(b"some words " * 300_000)  # three blocks and a piece
    tar = rcrun.account.new_dir("tars") / "root.tar"
    rcrun.account.run("tar", "-C", tree, "-cf", tar, ".").check()
    rcrun("import", tar, "made").check()
    name = f"{registry.address}/made:1"
    rcrun("push", "made", name).check()
    layer = holds(registry, "1")["layers"][0]  # type: ignore[index]
    assert layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
    diff_id = json.loads(rcrun("inspect", "-f", "{{json .RootFS.Layers}}", "made").check().out)[0]
    assert digest_of(gzip.decompress(registry.blobs[layer["digest"]])) == diff_id
    assert layer["size"] < 100_000
    digest = digest_of(registry.manifests["1"][1])
    assert rcrun("inspect", "-f", "{{index .RepoDigests 0}}", "made").out == (
        f"{registry.address}/made@{digest}\n"
    )
    asked = len(registry.asked)
    rcrun("push", "made", name).check()
    assert not [each for each in registry.asked[asked:] if each.method == "PATCH"]
    assert digest_of(registry.manifests["1"][1]) == digest


def test_other_formats(pulled: Rcrun, registry: TinyRegistry, image: TinyImage) -> None:
    pulled("push", "--format", "v2s2", "thing", f"{registry.address}/a:docker").check()
    manifest = holds(registry, "docker")
    assert registry.manifests["docker"][0] == manifest["mediaType"] == DOCKER_MANIFEST
    assert manifest["layers"][0]["mediaType"].startswith("application/vnd.docker.")  # type: ignore[index]
    words = ("--compression-format", "zstd", "--force-compression")
    pulled("push", *words, "thing", f"{registry.address}/a:zstd").check()
    layer = holds(registry, "zstd")["layers"][0]  # type: ignore[index]
    assert layer["mediaType"].endswith("+zstd")
    assert registry.blobs[layer["digest"]].startswith(b"\x28\xb5\x2f\xfd")
    pulled("rmi", "-af").check()
    pulled("pull", "-q", f"{registry.address}/a:zstd").check()
    refused = pulled("push", "--compression-format", "xz", "thing", f"{registry.address}/a:x")
    assert (refused.status, refused.out) == (1, "")
    assert refused.err.startswith('rcrun: error: invalid compression format "xz"')


def test_a_layer_that_the_registry_has_elsewhere(
    pulled: Rcrun, registry: TinyRegistry, image: TinyImage
) -> None:
    pulled("push", "-q", "thing", f"{registry.address}/first:1").check()
    registry.mounts = True
    layer = image.layer_descriptor()["digest"]

    def missing(handler: Handler) -> None:
        handler.answer(404)

    registry.rule(f"second/blobs/{layer}", missing)
    done = pulled("push", "thing", f"{registry.address}/second:1").check()
    assert f"{layer[7:19]}: Mounted from first" in done.err
    assert registry.paths("mount=") == [
        f"/v2/second/blobs/uploads/?mount={layer.replace(':', '%3A')}&from=first"
    ]
    # A registry that does not want to begins an upload instead.
    registry.mounts = False
    registry.rule(f"third/blobs/{layer}", missing)
    done = pulled("push", "thing", f"{registry.address}/third:1").check()
    assert f"{layer[7:19]}: Pushed" in done.err


def big_image() -> TinyImage:
    return tiny_image({"noise": os.urandom(3 << 20)})


def test_an_upload_goes_on_where_it_broke_off(rcrun: Rcrun, registry: TinyRegistry) -> None:
    image = big_image()
    source = registry
    source.put(image, "src")
    rcrun("pull", "-q", f"{registry.address}/x:src").check()
    registry.blobs.clear()

    def break_off(handler: Handler) -> None:
        """It has taken a megabyte, and hangs up."""
        number = handler.path.partition("?")[0].rpartition("/")[2]
        registry.uploads[number] += registry.asked[-1].body[: 1 << 20]
        handler.close_connection = True
        handler.connection.close()

    registry.rule("uploads/1?", break_off)
    rcrun("push", "-q", f"{registry.address}/x:src", f"{registry.address}/y:1").check()
    sent = [each for each in registry.asked if each.method == "PATCH"]
    size = image.layer_descriptor()["size"]
    assert sent[0].headers["Content-Range"] == f"0-{size - 1}"
    assert sent[1].headers["Content-Range"] == f"{1 << 20}-{size - 1}"
    holds(registry, "1")


def test_small_blobs_go_out_in_one_request(pulled: Rcrun, registry: TinyRegistry) -> None:
    """And as others do when that breaks."""

    def hang_up(handler: Handler) -> None:
        handler.close_connection = True
        handler.connection.close()

    registry.rule("uploads/1", hang_up)
    pulled("push", "-q", "thing", f"{registry.address}/y:1").check()
    holds(registry, "1")
    sent = [each.method for each in registry.asked if "/uploads/" in each.path]
    assert sent == ["POST", "PUT", "GET", "PATCH", "PUT", "POST", "PUT"]


def test_a_manifest_with_a_subject(pulled: Rcrun, registry: TinyRegistry, image: TinyImage) -> None:
    """A registry that keeps no list of referrers gets the index that stands for it."""
    subject = {"mediaType": image_type(image), "digest": "sha256:" + "e" * 64, "size": 2}
    manifest = json.dumps({**json.loads(image.manifest), "subject": subject}).encode()
    registry.put(image)
    registry.manifests["src"] = (image_type(image), manifest)
    pulled("pull", "-q", f"{registry.address}/a:src").check()
    name = f"{registry.address}/a:1"
    for _ in range(2):
        pulled("push", "-q", f"{registry.address}/a:src", name).check()
    entries = json.loads(registry.manifests["sha256-" + "e" * 64][1])["manifests"]
    assert [each["digest"] for each in entries] == [digest_of(manifest)]
    listed = pulled("image", "referrers", f"{registry.address}/a@{subject['digest']}").check().out
    assert listed.splitlines()[1].split()[0] == digest_of(manifest)
    registry.rule("/referrers/", lambda h: h.answer(200, b'{"manifests": []}'))
    words = ("--format", "{{.Digest}}", f"{registry.address}/a:1")
    assert pulled("image", "referrers", *words).check().out == ""


def test_an_upload_that_the_registry_forgot_begins_anew(
    pulled: Rcrun, registry: TinyRegistry
) -> None:
    def forget(handler: Handler) -> None:
        handler.fail(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")

    registry.rule("uploads/1", forget)
    pulled("push", "-q", "thing", f"{registry.address}/y:1").check()
    holds(registry, "1")


def test_a_registry_that_refuses(pulled: Rcrun, registry: TinyRegistry) -> None:
    def too_large(handler: Handler) -> None:
        handler.fail(413, "SIZE_INVALID", "more than this registry takes")

    registry.rule("uploads/1", too_large)
    done = pulled("push", "-q", "thing", f"{registry.address}/y:1")
    assert (done.status, done.out) == (1, "")
    assert "answered 413" in done.err
    assert "more than this registry takes" in done.err
    assert "1" not in registry.manifests


def test_credentials(pulled: Rcrun, registry: TinyRegistry, elsewhere: TinyRegistry) -> None:
    registry.auth, registry.anonymous, registry.users = "bearer", False, {"me": "secret"}
    name = f"{registry.address}/private:1"
    denied = pulled("push", "-q", "thing", name)
    assert denied.status == 1
    assert f"rcrun login {registry.address}" in denied.err

    def over_there(handler: Handler) -> None:
        """Uploads go to a storage of another host, which must not see the token."""
        handler.answer(202, Location=f"{elsewhere.url}/v2/storage/blobs/uploads/7")

    elsewhere.uploads["7"] = b""
    registry.rule("blobs/uploads/", over_there)
    pulled("push", "-q", "--creds", "me:secret", "thing", name)
    assert elsewhere.paths("storage")
    assert all(
        "Authorization" not in asked.headers for asked in elsewhere.asked if "storage" in asked.path
    )
    pulled("push", "-q", "--creds", "me:secret", "thing", name).check()
    holds(registry, "1")


def test_a_damaged_layer_is_not_sent(
    pulled: Rcrun, registry: TinyRegistry, image: TinyImage
) -> None:
    layer = image.layer_descriptor()
    path = pulled.store_dir / "blobs/sha256" / layer["digest"][7:]
    path.write_bytes(bytes(layer["size"]))
    done = pulled("push", "-q", "thing", f"{registry.address}/y:1")
    assert done.status == 1
    assert "does not match its digest" in done.err
    assert layer["digest"] not in registry.blobs
    assert "1" not in registry.manifests


def test_names_that_cannot_be_pushed(pulled: Rcrun, registry: TinyRegistry) -> None:
    done = pulled("push", "nobody")
    assert (done.status, done.err.splitlines()[0]) == (1, "rcrun: error: no such image: nobody")
    done = pulled("push", "thing", f"{registry.address}/y@{digest_of(b'')}")
    assert "an image is pushed under a tag" in done.err
    done = pulled("push", "-a", "thing:latest")
    assert "tag can't be used with --all-tags/-a" in done.err


def test_all_tags_both_ways(pulled: Rcrun, registry: TinyRegistry) -> None:
    names = [f"{registry.address}/many:{tag}" for tag in ("a", "b", "c", "d", "e")]
    for name in names:
        pulled("tag", "thing", name).check()
    done = pulled("push", "-q", "--all-tags", f"{registry.address}/many").check()
    assert sorted(done.out.split()) == names
    pulled("rmi", "-af").check()
    got = pulled("pull", "-q", "-a", f"{registry.address}/many").check()
    assert got.out.split() == names


def test_places_that_are_no_registry(pulled: Rcrun, image: TinyImage) -> None:
    folder = pulled.account.new_dir("out")
    pulled("push", "thing", f"oci:{folder}/layout:v1").check()
    index = json.loads((folder / "layout/index.json").read_text())
    assert index["manifests"][0]["digest"] == image.digest
    pulled("push", "thing", f"oci-archive:{folder}/a.tar").check()
    assert (folder / "a.tar").stat().st_size > 0


@pytest.mark.requires("docker-registry")
def test_a_real_registry(rcrun: Rcrun, docker_registry: str, elsewhere: TinyRegistry) -> None:
    image = big_image()
    elsewhere.put(image, "1")
    rcrun("pull", "-q", f"{elsewhere.address}/thing:1").check()
    first, second = f"{docker_registry}/first:1", f"{docker_registry}/deep/er/second:1"
    rcrun("push", f"{elsewhere.address}/thing:1", first).check()
    done = rcrun("push", f"{elsewhere.address}/thing:1", second).check()
    assert "Mounted from first" in done.err
    rcrun("rmi", "-af").check()
    rcrun("pull", "-q", second).check()
    assert rcrun("inspect", "-f", "{{index .RepoDigests 0}}", second).out == (
        f"{docker_registry}/deep/er/second@{image.digest}\n"
    )


def test_search(rcrun: Rcrun, registry: TinyRegistry) -> None:
    entries = [
        {"name": "some/thing", "description": "a  thing\nof many words " * 5, "star_count": 12},
        {"name": "thing", "is_official": True, "star_count": 3},
    ]

    def results(handler: Handler) -> None:
        handler.answer(200, json.dumps({"results": entries}).encode())

    registry.rule("/v1/search", results, 9)
    done = rcrun("search", f"{registry.address}/thing").check()
    assert registry.paths("/v1/search") == ["/v1/search?q=thing&n=25"]
    lines = done.out.splitlines()
    assert lines[0].split() == ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]
    assert lines[1].split()[0] == f"{registry.address}/some/thing"
    assert "…" in lines[1]
    assert lines[2].split() == [f"{registry.address}/thing", "3", "[OK]"]
    word = f"{registry.address}/thing"
    form = ("--format", "{{.Name}} {{.StarCount}}")
    assert rcrun("search", *form, "-f", "stars=5", word).out.split()[1] == "12"
    assert rcrun("search", *form, "-f", "is-official=true", word).out.split()[1] == "3"
    assert rcrun("search", "-f", "taste=good", word).status == 1


def test_search_of_a_registry_without_search(rcrun: Rcrun, registry: TinyRegistry) -> None:
    def catalog(handler: Handler) -> None:
        handler.answer(200, b'{"repositories": ["a/thing", "other", "things"]}')

    registry.rule("/v2/_catalog", catalog)
    done = rcrun("search", "--format", "{{.Name}}", f"{registry.address}/thing").check()
    assert done.out.split() == [f"{registry.address}/a/thing", f"{registry.address}/things"]


def test_tags(pulled: Rcrun, registry: TinyRegistry) -> None:
    for tag in ("1", "2", "3"):
        pulled("push", "-q", "thing", f"{registry.address}/x:{tag}").check()
    done = pulled("search", "--list-tags", "--format", "{{.Tag}}", f"{registry.address}/x").check()
    assert done.out.split() == ["1", "2", "3"]
