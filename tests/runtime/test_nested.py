"""In a user namespace already, as podman calls: with all ids or with one, and with another namespace in it or none."""

from __future__ import annotations

import pytest

from accounts import Result
from runtime.conftest import Bundle

pytestmark = [
    pytest.mark.parametrize("account", ["user"], indirect=True),
    pytest.mark.requires("userns", "subids"),
]
ONE_ID = ("--map-root-user",)
ALL_IDS = ("--map-root-user", "--map-auto")
either = pytest.mark.parametrize("ids", [ONE_ID, ALL_IDS], ids=["one-id", "all-ids"])


def run_inside(bundle: Bundle, ids: tuple[str, ...]) -> Result:
    bundle.write()
    words = [*bundle.words(), "run", "-b", str(bundle.dir), bundle.id]
    return bundle.account.run("unshare", "--user", *ids, "--", *words)


@either
def test_the_same_user_namespace(bundle: Bundle, ids: tuple[str, ...]) -> None:
    bundle.args("ids")
    assert run_inside(bundle, ids).check().out.startswith("0 0")


@either
def test_another_user_namespace(bundle: Bundle, ids: tuple[str, ...]) -> None:
    bundle.config["linux"]["namespaces"].append({"type": "user"})
    if ids == ONE_ID:
        row = [{"containerID": 0, "hostID": 0, "size": 1}]
        bundle.linux(uidMappings=row, gidMappings=row)
    bundle.args("ids")
    assert run_inside(bundle, ids).check().out.startswith("0 0")


@either
def test_the_network_outside(bundle: Bundle, ids: tuple[str, ...]) -> None:
    bundle.without_namespace("network").args("true")
    assert run_inside(bundle, ids).check().out == ""


def test_groups_that_cannot_be_set(bundle: Bundle) -> None:
    """With one id setgroups(2) is denied; the groups that the caller has have no power inside."""
    bundle.process(user={"uid": 0, "gid": 0, "additionalGids": [0]}).args("true")
    run_inside(bundle, ONE_ID).check()
