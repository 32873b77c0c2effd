"""Indexes of several platforms, manifest lists and artifacts: through registry, store, archives and directories, byte for byte."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from accounts import bin_dir
from tiny_image import INDEX, MANIFEST, digest_of, index_of, tiny_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiny_registry import TinyRegistry

    from conftest import Rcrun

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

# The first is for whatever host this runs on: one of two that are real, and one that nobody has.
IMAGES = {
    "amd64": tiny_image({"one": b"1"}),
    "arm64_v8": tiny_image({"two": b"2"}, architecture="arm64", variant="v8"),
    "s390x": tiny_image({"three": b"3"}, architecture="s390x"),
}
WHOLE = index_of(**IMAGES)
DIGEST = digest_of(WHOLE)


@pytest.fixture
def rcrun(fresh_rcrun: Callable[..., Rcrun]) -> Rcrun:
    """With an empty store."""
    return fresh_rcrun()


def serve(registry: TinyRegistry, tag: str, data: bytes = WHOLE) -> str:
    for image in IMAGES.values():
        registry.put(image)
    for target in (tag, digest_of(data)):
        registry.manifests[target] = (INDEX, data)
    return f"{registry.address}/some/thing:{tag}"


def has_all(registry: TinyRegistry, tag: str) -> bool:
    """The same index under the tag, and everything that it names."""
    blobs = {digest for image in IMAGES.values() for digest in image.blobs}
    manifests = {image.digest for image in IMAGES.values()}
    return (
        registry.manifests[tag][1] == WHOLE
        and blobs <= set(registry.blobs)
        and manifests <= set(registry.manifests)
    )


def skopeo(*words: object) -> str:
    done = subprocess.run(["skopeo", *map(str, words)], capture_output=True, check=True, text=True)
    return done.stdout


def test_an_index_survives_everything(
    rcrun: Rcrun,
    fresh_rcrun: Callable[..., Rcrun],
    registry: TinyRegistry,
    elsewhere: TinyRegistry,
) -> None:
    name = serve(registry, "1")
    rcrun("pull", "-q", "--all-platforms", name).check()
    told = json.loads(rcrun("image", "inspect", name).check().out)[0]
    assert told["Descriptor"]["digest"] == DIGEST
    for form in ("docker-archive", "oci-archive"):
        other = fresh_rcrun()
        saved = rcrun("save", "--format", form, name).check().stdout
        assert other("load", input=saved).check().out == f"Loaded image: {name}\n"
        other("push", "-q", name, f"{elsewhere.address}/a/b:{form}").check()
        assert has_all(elsewhere, form)
        assert other("system", "check").check().out == "no faults\n"
    rcrun("pull", "-q", name).check()  # what is kept whole stays so
    again = json.loads(rcrun("image", "inspect", name).check().out)[0]
    assert again["Descriptor"]["digest"] == DIGEST
    rcrun("rmi", name).check()
    assert not list((rcrun.store_dir / "blobs/sha256").iterdir())


def test_an_index_that_replaces_its_image(rcrun: Rcrun, registry: TinyRegistry) -> None:
    name = serve(registry, "1")
    rcrun("pull", "-q", "--platform", "linux/amd64", name).check()
    rcrun("pull", "-q", "--all-platforms", name).check()
    assert rcrun("images", "-q", "--filter", "dangling=true").check().out == ""


def test_only_for_others(
    rcrun: Rcrun, registry: TinyRegistry, fresh_rcrun: Callable[..., Rcrun]
) -> None:
    """An index without an image for this host is kept, listed, saved and loaded, and not run."""
    index = index_of(s390x=IMAGES["s390x"], ppc64le=tiny_image(architecture="ppc64le"))
    registry.put(tiny_image(architecture="ppc64le"))
    name = serve(registry, "1", index)
    rcrun("pull", "-q", "--all-platforms", name).check()
    short = digest_of(index)[7:19]
    assert rcrun("images", "-q").check().out == f"{short}\n"
    other = fresh_rcrun()
    other("load", input=rcrun("save", name).check().stdout).check()
    assert other("images", "-q").check().out == f"{short}\n"
    assert "the image is not made for" in other("run", "--rm", "--pull", "never", name, "x").err
    assert rcrun("rmi", short).check().out.endswith(f"Deleted: {digest_of(index)}\n")


def test_copies(rcrun: Rcrun, registry: TinyRegistry, elsewhere: TinyRegistry) -> None:
    """Between all places, each read by skopeo; what was copied leaves nothing in the store."""
    name = serve(registry, "1")
    top = rcrun.account.new_dir("copies")

    def copy(source: str, target: str, *options: str) -> None:
        digestfile = top / "digest"
        rcrun("image", "copy", "-q", *options, "--digestfile", digestfile, source, target).check()
        assert digestfile.read_text() == (DIGEST if "--all" in options else IMAGES["amd64"].digest)

    copy(f"docker://{name}", f"oci:{top}/layout:one", "--all")
    copy(f"oci:{top}/layout:one", f"dir:{top}/dir", "--all")
    copy(f"dir:{top}/dir", f"oci-archive:{top}/archive.tar:two", "--all")
    copy(f"oci-archive:{top}/archive.tar:two", f"docker://{elsewhere.address}/x:7", "--all")
    assert has_all(elsewhere, "7")
    for place in (f"oci:{top}/layout:one", f"dir:{top}/dir", f"oci-archive:{top}/archive.tar:two"):
        assert digest_of(skopeo("inspect", "--raw", place).encode()) == DIGEST
    skopeo("copy", "--all", f"dir:{top}/dir", f"oci:{top}/theirs:three")
    copy(f"oci:{top}/theirs:three", f"docker://{elsewhere.address}/x:8", "--all")
    assert has_all(elsewhere, "8")
    # One image for this host, into the layout beside the other, and into docker's archive.
    amd64 = ("--platform", "linux/amd64")
    copy(f"oci:{top}/layout:one", f"oci:{top}/layout:1", *amd64)
    listed = json.loads((top / "layout/index.json").read_text())["manifests"]
    assert [entry["digest"] for entry in listed] == [DIGEST, IMAGES["amd64"].digest]
    copy(f"oci:{top}/layout:1", f"docker-archive:{top}/docker.tar:here:5")
    assert json.loads(skopeo("inspect", "--config", f"docker-archive:{top}/docker.tar"))
    assert (
        "is not added to"
        in rcrun("image", "copy", f"dir:{top}/dir", f"docker-archive:{top}/docker.tar").err
    )
    assert not list((rcrun.store_dir / "blobs/sha256").iterdir())
    copy(f"docker-archive:{top}/docker.tar:@0", "here:6")
    assert rcrun("images", "--format", "{{.Repository}}:{{.Tag}}").check().out == "here:6\n"


def test_copies_take_what_is_there(
    rcrun: Rcrun, registry: TinyRegistry, elsewhere: TinyRegistry
) -> None:
    """A layer that the destination has is not fetched; one registry mounts it from the other repository."""
    name = serve(registry, "1")
    for image in IMAGES.values():
        elsewhere.blobs.update(image.blobs)
    rcrun("image", "copy", "--all", f"docker://{name}", f"docker://{elsewhere.address}/x:1").check()
    assert has_all(elsewhere, "1")
    layers = {image.layer_descriptor()["digest"] for image in IMAGES.values()}
    fetched = [asked.path for asked in registry.asked if asked.method == "GET"]
    assert not [path for path in fetched if path.rpartition("/")[2] in layers]


def test_copies_that_cannot_be(rcrun: Rcrun, registry: TinyRegistry) -> None:
    name = serve(registry, "1")
    top = rcrun.account.new_dir("no")
    (top / "full").mkdir()
    (top / "full/file").write_text("mine")
    for words, said in (
        (("docker:x", "y"), 'invalid place "docker:x"'),
        ((f"docker://{name}", "containers-storage:x"), "podman's own storage is read only"),
        ((f"docker://{name}", "docker-daemon:x"), 'transport "docker-daemon" is not supported'),
        ((f"dir:{top}/nothing", "x"), "does not exist"),
        ((f"docker://{name}", f"dir:{top}/full"), "is not empty"),
        (("--format", "v2s1", f"docker://{name}", "x"), 'format "v2s1" is obsolete'),
        (("--preserve-digests", "--format", "oci", f"docker://{name}", "x"), "exclude each other"),
        (("--all", f"docker://{name}", f"docker-archive:{top}/a.tar"), "no room for an index"),
        ((f"docker://{name}", f"docker://{registry.address}/x@{DIGEST}"), "cannot be that digest"),
    ):
        done = rcrun("image", "copy", "-q", "--override-arch", "amd64", *words)
        assert (done.status, said in done.err) == (1, True), (words, done.err)
    assert (top / "full/file").read_text() == "mine"
    assert rcrun("images", "-q").check().out == ""


def test_manifest_lists(
    rcrun: Rcrun, registry: TinyRegistry, elsewhere: TinyRegistry, fresh_rcrun: Callable[..., Rcrun]
) -> None:
    """Made of images here and there; layers stay in their registry until the list goes to another one."""
    name = serve(registry, "1")
    rcrun("image", "copy", "-q", "--platform", "linux/amd64", f"docker://{name}", "mine").check()
    rcrun("manifest", "create", "list").check()
    assert rcrun("manifest", "create", "list").status == 1
    rcrun("manifest", "add", "list", "mine").check()
    rcrun("manifest", "add", "--arch", "s390x", "list", f"docker://{name}").check()
    digest = IMAGES["s390x"].digest
    rcrun(
        "manifest", "annotate", "--annotation", "a=b", "--os-features", "x", "list", digest
    ).check()
    rcrun("manifest", "annotate", "--index", "--annotation", "c=d", "list").check()
    index = json.loads(rcrun("manifest", "inspect", "list").check().out)
    assert index["annotations"] == {"c": "d"}
    assert [each["digest"] for each in index["manifests"]] == [IMAGES["amd64"].digest, digest]
    assert index["manifests"][1]["annotations"] == {"a": "b"}
    platform = {"architecture": "s390x", "os": "linux", "os.features": ["x"]}
    assert index["manifests"][1]["platform"] == platform
    assert rcrun("system", "check").check().out == "no faults\n"
    layer = IMAGES["s390x"].layer_descriptor()["digest"]
    assert not (rcrun.store_dir / "blobs/sha256" / layer[7:]).exists()
    told = rcrun("manifest", "push", "list", f"{elsewhere.address}/lists/a:1").check().out
    assert json.loads(elsewhere.manifests["1"][1]) == index
    assert digest_of(elsewhere.manifests["1"][1]) == told.strip()
    assert layer in elsewhere.blobs
    remote = rcrun("manifest", "inspect", f"{elsewhere.address}/lists/a:1").check().out
    assert json.loads(remote) == index
    rcrun("manifest", "remove", "list", digest).check()
    assert len(json.loads(rcrun("manifest", "inspect", "list").check().out)["manifests"]) == 1
    assert rcrun("manifest", "exists", "list").status == 0
    rcrun("manifest", "rm", "list").check()
    assert (rcrun("manifest", "exists", "list").status, rcrun("manifest", "rm", "list").status) == (
        1,
        1,
    )
    assert rcrun("images", "--format", "{{.Repository}}").check().out == "mine\n"
    # As docker: of what is in the registry, in one command.
    docker = fresh_rcrun()
    parts = [f"{registry.address}/x@{image.digest}" for image in IMAGES.values()]
    docker("manifest", "create", "--insecure", "d", *parts).check()
    docker("manifest", "annotate", "--variant", "v9", "d", parts[1]).check()
    docker("manifest", "push", "--purge", "d", f"{registry.address}/d:2").check()
    pushed = json.loads(registry.manifests["2"][1])["manifests"]
    assert pushed[1]["platform"]["variant"] == "v9"
    assert docker("manifest", "exists", "d").status == 1


def test_lists_at_once(rcrun: Rcrun, registry: TinyRegistry) -> None:
    """Who adds at the same time does not undo what others add."""
    name = serve(registry, "1")
    rcrun("manifest", "create", "list").check()
    running = [
        rcrun.popen("manifest", "add", "--arch", arch, "list", f"docker://{name}")
        for arch in ("amd64", "arm64", "s390x")
    ]
    assert [process.wait(30) for process in running] == [0, 0, 0]
    index = json.loads(rcrun("manifest", "inspect", "list").check().out)
    assert {each["digest"] for each in index["manifests"]} == {i.digest for i in IMAGES.values()}


def test_artifacts(rcrun: Rcrun, fresh_rcrun: Callable[..., Rcrun], registry: TinyRegistry) -> None:
    top = rcrun.account.new_dir("files")
    (top / "notes.txt").write_text("words\n")
    (top / "data.bin").write_bytes(bytes(range(256)) * 5000)
    name = f"{registry.address}/files:1"
    add = ("artifact", "add")
    rcrun(
        *add, "--type", "application/x-test", "--annotation", "k=v", name, top / "notes.txt"
    ).check()
    assert "exists" in rcrun(*add, name, top / "data.bin").err
    digest = rcrun(*add, "--append", name, top / "data.bin").check().out.strip()
    assert 'has a file "data.bin"' in rcrun(*add, "-a", name, top / "data.bin").err
    told = json.loads(rcrun("artifact", "inspect", name).check().out)
    assert (told["Digest"], told["Manifest"]["artifactType"]) == (digest, "application/x-test")
    layers = told["Manifest"]["layers"]
    assert layers[0]["annotations"] == {"org.opencontainers.image.title": "notes.txt", "k": "v"}
    kinds = [layer["mediaType"] for layer in layers]
    assert kinds == ["text/plain; charset=utf-8", "application/octet-stream"]
    assert rcrun("images", "-q").check().out == ""
    assert "is an artifact, not an image" in rcrun("rmi", name).err
    rcrun("artifact", "push", "-q", name).check()
    assert digest_of(registry.manifests["1"][1]) == digest
    other = fresh_rcrun()
    assert other("artifact", "pull", "-q", name).check().out.strip() == digest
    assert other("artifact", "ls", "-q", "--no-trunc").check().out.strip() == digest
    other("artifact", "extract", name, top).check()
    other("artifact", "extract", "--title", "notes.txt", name, top / "copy").check()
    assert (top / "copy").read_text() == "words\n"
    assert "is no directory" in other("artifact", "extract", name, top / "new").err
    assert other("image", "prune", "-af").check()
    assert other("system", "check").check().out == "no faults\n"
    assert other("artifact", "rm", name).check().out.strip() == digest
    assert other("artifact", "rm", name).status == 1
    assert not list((other.store_dir / "blobs/sha256").iterdir())


def test_an_artifact_does_not_choose_where_its_files_go(
    rcrun: Rcrun, registry: TinyRegistry
) -> None:
    data = b"evil"
    empty = {
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": digest_of(b"{}"),
        "size": 2,
    }
    layer = {"mediaType": "text/plain", "digest": digest_of(data), "size": len(data)}
    registry.blobs.update({digest_of(b"{}"): b"{}", digest_of(data): data})
    top = rcrun.account.new_dir("target")
    for number, title in enumerate(("../out", "/etc/passwd", "..", "a/b")):
        titled = {**layer, "annotations": {"org.opencontainers.image.title": title}}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "x/y", "config": empty, "layers": [titled]}  # fmt: skip
        registry.manifests[str(number)] = (MANIFEST, json.dumps(manifest).encode())
        name = f"{registry.address}/evil:{number}"
        rcrun("artifact", "pull", "-q", name).check()
        assert "no plain name" in rcrun("artifact", "extract", name, top).err
    assert not list(top.iterdir())


def test_scp(rcrun: Rcrun, fresh_rcrun: Callable[..., Rcrun], registry: TinyRegistry) -> None:
    """ssh is a program that runs the line here, with the store of the other host."""
    name = serve(registry, "1")
    there = fresh_rcrun()
    tools = rcrun.account.new_dir("tools")
    (tools / "ssh").write_text(
        f'#!/bin/sh\necho "$@" >>{tools}/log\n[ "$1" != -p ] || shift 2\nshift 2\n'
        f'RCRUN_ROOT={there.store_dir} exec sh -c "$*"\n'
    )
    (tools / "ssh").chmod(0o755)
    env = {"PATH": f"{tools}:{bin_dir()}:/usr/bin:/bin"}
    rcrun("pull", "-q", "--all-platforms", name).check()
    assert (
        rcrun("image", "scp", name, "me@there:2222::", env=env).check().out
        == f"Loaded image: {name}\n"
    )
    assert (tools / "log").read_text().startswith("-p 2222 -- me@there command -v rcrun")
    rcrun("rmi", name).check()
    assert (
        rcrun("image", "scp", f"there::{name}", "back:1", env=env).check().out
        == f"Loaded image: {name}\n"
    )
    told = json.loads(rcrun("image", "inspect", "back:1").check().out)[0]
    assert told["Descriptor"]["digest"] == DIGEST
    rcrun("image", "scp", "back:1", "there::other:2", env=env).check()
    assert "other" in there("images").check().out
    failed = rcrun("image", "scp", "there::nothing", env=env)
    assert (failed.status, "no such image: nothing" in failed.err) == (1, True)
    assert '"save" on "there" failed' in failed.err
    assert (
        "invalid place" in rcrun("image", "scp", "back:1", "--", "-oProxyCommand=x::", env=env).err
    )
