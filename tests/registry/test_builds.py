"""build: results of steps in a registry and in directories, and what is pushed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from engine.builds import Work, cached, forget_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Rcrun

pytestmark = [
    pytest.mark.requires("userns", "overlay", "docker-registry"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

TEXT = """FROM busybox AS first
RUN echo 1 >/a1
FROM busybox
RUN echo 2 >/a2
COPY --from=first /a1 /b/
RUN true
"""
CROSS = "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /\n"


@pytest.fixture
def work(rcrun: Rcrun) -> Iterator[Work]:
    yield Work(rcrun)
    forget_images(rcrun)


def test_caches_elsewhere(work: Work, docker_registry: str) -> None:
    folder = work.rcrun.account.new_dir("cache")
    place = f"{docker_registry}/cache"
    work(
        TEXT, "-q", "-t", f"{place}/image", "--push",
        "--cache-to", f"type=registry,ref={place}/all,mode=max", "--cache-to", f"type=local,dest={folder}",
        "--cache-to", f"{place}/steps", "--cache-to", "type=inline",
    ).check()  # fmt: skip
    for source, count in (
        (f"type=registry,ref={place}/all", 4),
        (f"type=local,src={folder}", 3),
        (f"{place}/steps", 3),
        (f"type=registry,ref={place}/image", 3),
    ):
        forget_images(work.rcrun)
        work.rcrun("builder", "prune", "-af").check()
        done = work(TEXT, "--cache-from", source, "-t", "again").check()
        assert (cached(done), "warning" in done.err) == (count, False), source
        assert work.says("again", "cat", "/a2", "/b/a1") == "2\n1\n"
    forget_images(work.rcrun)
    work.rcrun("builder", "prune", "-af").check()
    (folder / "index.json").write_text('{"manifests": []}')
    words = [f"type=local,src={folder}", f"{place}/nothing", "type=registry,ref=127.0.0.1:1/x"]
    done = work(TEXT, *(word for text in words for word in ("--cache-from", text))).check()
    assert (cached(done), done.err.count("cannot use the cache")) == (0, 2)


def test_a_cache_that_lies(work: Work) -> None:
    """A layer is taken for what its diffID says, or not at all."""
    folder = work.rcrun.account.new_dir("cache")
    text = "FROM busybox\nRUN echo good >/x\n"
    work(text, "-q", "--cache-to", f"type=local,dest={folder},compression=uncompressed").check()
    manifest = json.loads((folder / "index.json").read_text())["manifests"][0]["digest"]
    layer = json.loads((folder / f"blobs/sha256/{manifest[7:]}").read_text())["layers"][0]["digest"]
    path = folder / f"blobs/sha256/{layer[7:]}"
    path.write_bytes(path.read_bytes().replace(b"good", b"evil"))
    forget_images(work.rcrun)
    work.rcrun("builder", "prune", "-af").check()
    done = work(text, "-t", "right", "--cache-from", f"type=local,src={folder}").check()
    assert "cannot use the layer" in done.err
    assert work.says("right", "cat", "/x") == "good\n"


def test_an_index_is_pushed(work: Work, docker_registry: str) -> None:
    for name in ("amd64", "arm64"):
        work.file(name, f"{name}\n")
    name = f"{docker_registry}/cross:1"
    metadata = work.folder.parent / f"{work.folder.name}.facts"
    facts = work.rcrun.account.new_dir("facts") / "facts"
    platforms = ("--platform", "linux/amd64", "--platform", "linux/arm64")
    work(CROSS, "-q", *platforms, "-t", name, "--push", "--metadata-file", facts).check()
    assert not metadata.exists()
    work.rcrun("rmi", name).check()
    work.rcrun("pull", "-q", "--platform", "linux/arm64", name).check()
    out = work.rcrun("image", "inspect", "-f", "{{.Architecture}}", name).check().out
    digest = json.loads(facts.read_text())["containerimage.digest"]
    assert out == "arm64\n"
    assert digest in work.rcrun("image", "inspect", "-f", "{{.RepoDigests}}", name).check().out
    work(
        CROSS, "-q", "-o", f"type=registry,name={docker_registry}/one", "--platform", "linux/arm64"
    ).check()
    work.rcrun("rmi", "-f", f"{docker_registry}/one").check()
    assert (
        work.rcrun("pull", "-q", "--platform", "linux/arm64", f"{docker_registry}/one").check().out
    )
