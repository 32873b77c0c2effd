"""What the shell offers after a tab."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from accounts import CHECKOUT
from rcrun.paths import Store
from rcrun.storage import blobs, claims, layout, secrets, volumes

LAUNCHER = CHECKOUT / "rcrun-cli/bin/rcrun"


def complete(root: Path, *words: str) -> list[str]:
    return [line.partition(",")[2] for line in asked(root, *words)]


def kinds(root: Path, *words: str) -> list[str]:
    """`file` lets the shell look."""
    return [line.partition(",")[0] for line in asked(root, *words)]


def asked(root: Path, *words: str) -> list[str]:
    env = {
        **os.environ,
        "RCRUN_ROOT": str(root),
        "_RCRUN_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["rcrun", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run([LAUNCHER], env=env, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = Store(str(tmp_path), str(tmp_path / "live"))
    layout.init(store)
    descriptor = blobs.write_document(store, {"schemaVersion": 2}, "application/x")
    for name in ("docker.io/library/debian:bookworm", "quay.io/a/b:1"):
        layout.add_reference(store, descriptor, name)
    return tmp_path


def test_commands_groups_and_options(root: Path) -> None:
    assert {"start", "stop"} <= set(complete(root, "st"))
    assert "--detach" in complete(root, "run", "--det")
    assert "missing" in complete(root, "run", "--pull", "m")
    assert "ls" in complete(root, "container", "l")


def test_names_of_images(root: Path) -> None:
    assert complete(root, "rmi", "") == ["debian:bookworm", "quay.io/a/b:1"]
    assert complete(root, "run", "quay") == ["quay.io/a/b:1"]


def test_names_of_volumes_and_secrets(root: Path) -> None:
    store = Store(str(root), str(root / "live"))
    for name in ("data", "site"):
        volumes.make(store, name, "2026-01-01T00:00:00Z")
        secrets.create(store, f"{name}-key", b"x", "2026-01-01T00:00:00Z")
    assert complete(root, "volume", "rm", "") == ["data", "site"]
    assert complete(root, "volume", "export", "si") == ["site"]
    assert complete(root, "secret", "inspect", "d") == ["data-key"]


def test_names_of_containers_and_both_ends_of_a_copy(root: Path) -> None:
    store = Store(str(root), str(root / "live"))
    for name in ("web", "work"):
        with claims.claim(store) as claim:
            claim.claim_name(name)
            claim.container.record.update({"created": "2026-01-01T00:00:00Z"})
            claim.container.save()
    assert sorted(complete(root, "start", "")) == ["web", "work"]
    assert complete(root, "container", "rm", "-f", "we") == ["web"]
    assert complete(root, "exec", "wo") == ["work"]
    assert sorted(complete(root, "cp", "w")) == ["web:", "work:"]
    assert complete(root, "cp", "./file", "we") == ["web:"]
    assert complete(root, "run", "--volumes-from", "wo") == ["work"]
    assert kinds(root, "cp", "./fi") == ["file"]
    assert kinds(root, "cp", "web:/etc") == ["file"]
    assert kinds(root, "import", "w") == ["file"]


def test_names_of_networks_behind_an_option(root: Path) -> None:
    (root / "networks").mkdir()
    for name in ("front", "back"):
        (root / "networks" / f"{name}.json").write_text("{}")
    assert complete(root, "run", "--network", "") == ["back", "front"]
    assert complete(root, "run", "--network", "f") == ["front"]


def test_values_of_options(root: Path) -> None:
    secrets.create(Store(str(root), str(root / "live")), "key", b"x", "2026-01-01T00:00:00Z")
    assert complete(root, "run", "--secret", "k") == ["key"]
    assert {"debug", "error"} <= set(complete(root, "--log-level", ""))
    assert {"alias", "linger"} <= set(complete(root, "setup", ""))


def test_a_store_that_is_not_there_offers_nothing(tmp_path: Path) -> None:
    assert complete(tmp_path / "none", "rmi", "") == []
    assert complete(tmp_path / "none", "start", "") == []
