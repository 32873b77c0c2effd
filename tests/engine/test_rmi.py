"""Images that containers use, images that are damaged, images that share layers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tiny_image import docker_archive, tiny_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Rcrun

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]


@pytest.fixture
def rcrun(fresh_rcrun: Callable[..., Rcrun]) -> Rcrun:
    """With an empty store."""
    return fresh_rcrun()


def test_an_image_that_a_container_uses(rcrun: Rcrun) -> None:
    image = tiny_image()
    rcrun("load", input=docker_archive(image, "used:1")).check()
    container = rcrun("create", "--network", "none", "--name", "user", "used:1", "/hello").check()
    short = container.out[:12]
    for text in ("used:1", image.config_digest[7:19]):
        done = rcrun("rmi", text)
        assert done.status == 1
        assert f"container {short} is using its image {image.config_digest[7:19]}" in done.err
        assert "hint: rcrun rm user" in done.err
    assert as_podman(rcrun, "rmi", "used:1").status == 2
    rcrun("tag", "used:1", "other:1").check()
    assert rcrun("rmi", "used:1").check().out == "Untagged: used:1\n"
    forced = rcrun("rmi", "-f", "other:1").check()
    assert forced.out.splitlines()[:2] == ["Untagged: other:1", f"Deleted: {image.config_digest}"]
    layers = os.path.join(rcrun.store_dir, "layers")
    kinds = rcrun.account.run("ls", layers).out.split()
    assert len(rcrun.account.run("ls", f"{layers}/{kinds[0]}").out.split()) == 1
    rcrun("rm", "user").check()
    rcrun("rmi", "-f", "nothing")
    assert rcrun.account.run("ls", f"{layers}/{kinds[0]}").out == ""


def as_podman(rcrun: Rcrun, *words: str):  # type: ignore[no-untyped-def]
    from accounts import bin_dir

    link = rcrun.store_dir.parent / "podman"
    if not link.exists():
        os.symlink(bin_dir() / "rcrun", link)
    return rcrun.account.run(link, *words, env=rcrun.env)


def test_podman_statuses(rcrun: Rcrun) -> None:
    assert as_podman(rcrun, "rmi", "nothing").status == 1
    assert as_podman(rcrun, "rmi", "Wrong").status == 125


def test_shared_layers_stay(rcrun: Rcrun) -> None:
    base = {"base": b"base"}
    small, large = tiny_image(base), tiny_image(base, {"more": b"more"})
    rcrun("load", input=docker_archive(small, "small")).check()
    rcrun("load", input=docker_archive(large, "large")).check()
    done = rcrun("rmi", "large").check()
    assert len(done.out.splitlines()) == 3  # the name, the image, one layer
    assert rcrun("rmi", "small").check().out.count("Deleted: ") == 2


def test_a_damaged_image_goes(rcrun: Rcrun) -> None:
    image = tiny_image()
    rcrun("load", input=docker_archive(image, "broken:1")).check()
    path = rcrun.store_dir / "blobs/sha256" / image.config_digest[7:]
    rcrun.account.run("truncate", "-s", "1", str(path)).check()
    assert rcrun("images", "-q").check().out == ""
    done = rcrun("rmi", "broken:1").check()
    assert done.out.startswith("Untagged: broken:1\nDeleted: sha256:")


def test_all(rcrun: Rcrun) -> None:
    rcrun("load", input=docker_archive(tiny_image(), "one/a:1", "two/b:1")).check()
    rcrun("load", input=docker_archive(tiny_image({"x": b""}), "three")).check()
    assert rcrun("rmi", "-a").check().out.count("Untagged: ") == 3
    assert rcrun("images", "-q").check().out == ""
