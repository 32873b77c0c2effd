from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from rcrun.kernel import identity

FULL = "0 0 4294967295\n"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Callable[..., identity.Identity]:
    """Who we would be on a host with these files."""

    def who(
        uid: int = 1000,
        name: str = "ann",
        *,
        subuid: str = "ann:100000:65536\n",
        subgid: str = "ann:200000:65536\n",
        tools: bool = True,
        own_map: str = FULL,
        capabilities: int = 0,
        no_new_privs: str = "0",
        environ: dict[str, str] | None = None,
    ) -> identity.Identity:
        texts = {
            "/etc/subuid": subuid,
            "/etc/subgid": subgid,
            "/proc/self/uid_map": own_map,
            "/proc/self/gid_map": own_map,
        }
        status = {"CapEff": f"{capabilities:016x}", "NoNewPrivs": no_new_privs}
        monkeypatch.setattr(os, "geteuid", lambda: uid)
        monkeypatch.setattr(os, "getegid", lambda: uid)
        monkeypatch.setattr(identity, "read_text", lambda path: texts[path])
        monkeypatch.setattr(identity, "_user_name", lambda uid: name)
        monkeypatch.setattr(identity, "_process_status", lambda: status)
        monkeypatch.setattr(
            identity,
            "_find_tool",
            lambda tool, path: (
                (f"/usr/bin/{tool}", "") if tools else ("", f'"{tool}" is not installed')
            ),
        )
        return identity.current({} if environ is None else environ)

    return who


def test_subordinate_ids(host: Any) -> None:
    found = host()
    assert (found.kind, found.why) == ("mapped", "")
    assert found.uid_map == [(0, 1000, 1), (1, 100000, 65536)]
    assert identity.namespace_records(found) == [
        ["uidmap", "/usr/bin/newuidmap", "0", "1000", "1", "1", "100000", "65536"],
        ["gidmap", "/usr/bin/newgidmap", "0", "1000", "1", "1", "200000", "65536"],
    ]


def test_ranges_may_name_the_numeric_uid(host: Any) -> None:
    found = host(name="", subuid="1000:100000:10\n1000:300000:5\n", subgid="1000:1:7\n")
    assert found.uid_map == [(0, 1000, 1), (1, 100000, 10), (11, 300000, 5)]
    assert found.gid_map == [(0, 1000, 1), (1, 1, 7)]


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"subuid": ""}, 'no subordinate ids for user "ann" in /etc/subuid'),
        ({"subgid": "bob:1:1\n"}, 'no subordinate ids for user "ann" in /etc/subgid'),
        ({"subuid": "", "name": ""}, 'no subordinate ids for user "1000" in /etc/subuid'),
        ({"tools": False}, '"newuidmap" is not installed'),
        ({"no_new_privs": "1"}, "no_new_privs is set, so newuidmap has no privilege"),
        ({"environ": {"RCRUN_IDMAP": "single"}}, "RCRUN_IDMAP asks for it"),
        ({"own_map": "0 5 1001\n"}, 'no subordinate ids for user "ann" in /etc/subuid'),
    ],
)
def test_one_id_is_a_mode_and_says_why(host: Any, facts: dict[str, Any], why: str) -> None:
    found = host(**facts)
    assert (found.kind, found.why) == ("single", why)
    assert identity.namespace_records(found) == [
        ["uidmap", "", "0", "1000", "1"],
        ["gidmap", "", "0", "1000", "1"],
    ]


def test_root(host: Any) -> None:
    found = host(uid=0, capabilities=1 << 21)
    assert (found.kind, found.nested, found.layer_kind()) == ("root", False, "root")
    assert identity.namespace_records(found) == []


def test_root_of_a_user_namespace_is_limited_to_its_ids(host: Any) -> None:
    found = host(uid=0, capabilities=1 << 21, own_map="0 1000 1\n1 100000 65536\n")
    assert (found.kind, found.nested) == ("root", True)
    assert found.uid_map == [(0, 1000, 1), (1, 100000, 65536)]


def test_layers_of_different_maps_are_kept_apart(host: Any) -> None:
    """Numbers outside mean other ids inside; with one id there is nothing to confuse."""
    kinds = [
        host(uid=0, capabilities=1 << 21, own_map=text).layer_kind()
        for text in ("0 1000 1\n1 100000 65536\n", "0 1000 1\n1 200000 65536\n", "0 1000 1\n")
    ]
    assert len(set(kinds)) == 3
    assert kinds[2] == "single"
    assert all(kind.startswith("nested-") for kind in kinds[:2])
    mapped = [
        host(subuid=f"ann:{first}:65536\n").layer_kind() for first in (100000, 200000, 100000)
    ]
    assert (len(set(mapped)), mapped[0][:7]) == (2, "mapped-")


def test_root_without_sys_admin_maps_what_it_has(host: Any) -> None:
    found = host(uid=0, capabilities=1 << 6 | 1 << 7, own_map="0 1000 1\n1 100000 65536\n")
    assert found.kind == "mapped"
    assert identity.namespace_records(found)[0] == ["uidmap", "", "0", "0", "1", "1", "1", "65536"]
    assert host(uid=0, capabilities=0).kind == "single"


def test_a_tool_must_gain_privilege(tmp_path: Any) -> None:
    tool = tmp_path / "newuidmap-of-test"
    tool.write_text("#!/bin/sh\n")
    assert identity._find_tool("newuidmap-of-test", str(tmp_path)) == (
        "",
        '"newuidmap-of-test" is not installed',
    )
    tool.chmod(0o755)
    path, why = identity._find_tool("newuidmap-of-test", f"relative:{tmp_path}")
    assert path == ""
    assert why == f'"{tool}" is neither set-user-ID nor does it have file capabilities'


def test_the_real_host_is_never_an_error() -> None:
    found = identity.current(os.environ)
    assert found.kind in ("root", "mapped", "single")
