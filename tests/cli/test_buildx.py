"""What docker's own actions for GitHub's runner say to buildx and to contexts, and what they read of the answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Rcrun

pytestmark = pytest.mark.parametrize("account", ["user"], indirect=True)


@pytest.fixture
def rcrun(fresh_rcrun: Callable[..., Rcrun]) -> Rcrun:
    """With an empty store."""
    return fresh_rcrun()


def test_a_builder_is_a_name(rcrun: Rcrun) -> None:
    def buildx(*words: str) -> str:
        return rcrun("buildx", *words).check().out

    assert "create" in buildx()
    assert buildx("version").split()[1].startswith("v0.")
    assert rcrun("buildx", "inspect", "mine").status == 1
    flags = "--allow-insecure-entitlement security.insecure"
    words = ("--name", "mine", "--driver", "docker-container", "--buildkitd-flags", flags, "--use")
    assert buildx("create", *words) == "mine\n"
    assert rcrun("buildx", "create", "--name", "mine").err.startswith(
        'rcrun: error: builder "mine" exists'
    )
    before, nodes = buildx("inspect", "--bootstrap", "--builder", "mine").split("\nNodes:\n")
    assert "Name:   mine\n" in before
    found = dict(line.replace(" ", "").split(":", 1) for line in nodes.splitlines())
    assert (found["Name"], found["Status"]) == ("mine0", "running")
    assert found["Platforms"].startswith("linux/")
    assert buildx("inspect") == buildx("inspect", "mine")
    rows = [json.loads(line) for line in buildx("ls", "--format", "json").splitlines()]
    assert {row["Name"]: row["Current"] for row in rows} == {"default": False, "mine": True}
    buildx("use", "default")
    assert buildx("ls", "--format", "{{.Name}}").splitlines()[0] == "default*"
    buildx("create", "--append", "--name", "mine", "--node", "other")
    assert buildx("rm", "mine", "--keep-state") == "mine removed\n"
    assert rcrun("buildx", "rm", "mine").status == 1
    made = buildx("create").strip()
    assert buildx("rm", "--all-inactive", "-f") == f"{made} removed\n"
    for words in (
        ("create", "--driver", "kubernetes"),
        ("create", "tcp://elsewhere:1"),
        ("rm", "default"),
        ("use", "mine"),
    ):
        assert rcrun("buildx", *words).status == 1, words


def test_the_one_context(rcrun: Rcrun) -> None:
    def contexts(*words: str) -> str:
        return rcrun("context", *words).check().out

    assert contexts("inspect", "--format", "{{.Name}}") == "default\n"
    (found,) = json.loads(contexts("inspect", "default"))
    assert (found["TLSMaterial"], list(found["Endpoints"])) == ({}, ["docker"])
    assert contexts("ls", "-q") == contexts("show") == contexts("use", "default") == "default\n"
    assert rcrun("context", "use", "other").status == 1
    assert rcrun("context", "inspect", "other").status == 1


def test_the_cache_of_githubs_own_builder_is_left_out(rcrun: Rcrun) -> None:
    folder = rcrun.account.new_dir("context")
    rcrun.account.run("sh", "-c", f"echo FROM scratch >{folder}/Containerfile").check()
    words = ("--cache-from", "type=gha", "--cache-to", "type=gha,mode=max", "-q")
    done = rcrun("buildx", "build", *words, folder).check()
    assert done.err.count("there is no cache of type gha here") == 2
    rcrun("image", "prune", "-af").check()
