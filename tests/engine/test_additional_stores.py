"""Stores whose images are used where they are: nothing is copied from them, nothing in them is changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from accounts import Account
    from conftest import Rcrun

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

NO_NETWORK = ("--network", "none")


def names_of(folder: object) -> list[str]:
    return [str(path) for path in folder.rglob("*")] if folder.exists() else []  # type: ignore[attr-defined]


def state(rcrun: Rcrun) -> str:
    """Every file of the store but the locks, with sizes and times."""
    words = ("-printf", "%P %s %T@ %m\n", "-o", "-name", "*.lock", "-prune")
    return rcrun.account.run("find", rcrun.store_dir, "!", "-name", "*.lock", *words).out


def test_images_of_another_store(rcrun: Rcrun, fresh_rcrun: Callable[..., Rcrun]) -> None:
    theirs = rcrun("save", "busybox").check().stdout
    before = state(rcrun)
    other = fresh_rcrun()
    option = ("--additional-store", str(rcrun.store_dir))
    assert (
        other(*option, "run", "--rm", *NO_NETWORK, "busybox", "echo", "hello").check().out
        == "hello\n"
    )
    assert names_of(other.store_dir / "layers") == names_of(other.store_dir / "blobs/sha256") == []
    listed = other(*option, "images").check().out.splitlines()
    assert (listed[0].split()[-1], listed[1].split()[-1]) == ("R/O", "true")
    assert other(*option, "images", "-q", "--filter", "readonly=false").check().out == ""
    for words in (("rmi", "busybox"), ("rmi", "-f", "busybox"), ("untag", "busybox")):
        refused = other(*option, *words)
        assert (refused.status, "is in a read-only store" in refused.err) == (1, True)
    other(*option, "image", "prune", "-af").check()
    assert other(*option, "image", "exists", "busybox").status == 0
    assert other(*option, "save", "busybox").check().stdout == theirs
    # By the file, for every later command; also those that a container's end calls.
    (other.store_dir / "additional-stores").write_text(f"{rcrun.store_dir}\n")
    other("tag", "busybox", "mine").check()
    other("run", "--name", "web", *NO_NETWORK, "mine", "sh", "-c", "echo new >/new; exit 3")
    assert other("diff", "web").check().out == "A /new\n"
    other("commit", "web", "more").check()
    assert other("run", "--rm", *NO_NETWORK, "more", "cat", "/new").check().out == "new\n"
    other("rm", "web").check()
    assert other("system", "check").check().out == "no faults\n"
    other("rmi", "mine", "more").check()
    assert names_of(other.store_dir / "blobs/sha256") == []
    assert state(rcrun) == before


def test_other_ids(rcrun: Rcrun, fresh_rcrun: Callable[..., Rcrun], root_account: Account) -> None:
    """Whose ids are others unpacks layers for itself, from the blobs there; a store that is none is an error."""
    root = fresh_rcrun(root_account)
    root.env["RCRUN_ADDITIONAL_STORES"] = str(rcrun.store_dir)
    told = root(
        "run", "--rm", *NO_NETWORK, "busybox", "stat", "-c", "%u %g", "/bin/busybox"
    ).check()
    assert told.out == "0 0\n"
    assert names_of(root.store_dir / "blobs/sha256") == []
    (layer,) = (root.store_dir / "layers/root").iterdir()
    assert json.loads((layer / "layer.json").read_text())["chain_id"].endswith(layer.name)
    closed = fresh_rcrun()
    closed.env["RCRUN_ADDITIONAL_STORES"] = str(root.store_dir)
    assert "cannot read the additional store" in closed("images").err
