"""Malformed bundles through the command line: one clear error with its place, and nothing left behind."""

from __future__ import annotations

import json
import os
import random
import re
from typing import Any

import pytest

from accounts import Account
from runtime.conftest import Bundle
from unit.mutations import mutate, rich_config
from unit.test_malformed import PLACE

ROUNDS = 20
# What a valid but odd configuration meets on this host: a step that the kernel or a program refuses.
OF_THE_HOST = re.compile(
    r"cannot |failed|not found|not exist|no such|hook|permission denied|not allowed|is not supported|needs |use --", re.I
)  # fmt: skip


def refusal(bundle: Bundle, *words: str) -> str:
    """The one message of a command that ends with 1."""
    result = bundle.runtime(*words)
    assert result.status == 1, repr(result)
    assert "Traceback" not in result.err
    assert "is a bug" not in result.err
    first, *hints = result.err.splitlines()
    assert first.startswith("rcrun-oci: error: "), result.err
    assert all(line.startswith("hint: ") for line in hints), result.err
    return first


def assert_nothing_is_left(bundle: Bundle, account: Account) -> None:
    assert json.loads(bundle.runtime("list", "--format", "json").check().out or "[]") in ([], None)
    assert account.processes() == []
    assert account.mounts() == []


@pytest.mark.requires("userns")
@pytest.mark.timeout(300)
def test_random_changes_of_a_bundle_end_in_one_error_or_a_container(
    bundle: Bundle, account: Account, ours: None
) -> None:
    seed = int(os.environ.get("RCRUN_SEED") or random.randrange(1 << 30))
    print(f"RCRUN_SEED={seed}")
    dice = random.Random(seed)
    for number in range(ROUNDS):
        bundle.config = mutate(rich_config(), dice)
        bundle.id = f"mutated-{number}"
        created = bundle.create()
        if created.status == 0:
            bundle.runtime("delete", "--force", bundle.id).check()
            continue
        said = bundle.said()
        (bundle.dir / "output").unlink()
        assert created.status == 1, said
        assert "Traceback" not in said
        assert "is a bug" not in said
        message = next(line for line in said.splitlines() if "level=warning" not in line)
        assert message.startswith("rcrun-oci: error: "), said
        assert PLACE.search(message) or OF_THE_HOST.search(message), said
    assert_nothing_is_left(bundle, account)


@pytest.mark.requires("userns")
@pytest.mark.parametrize("verb", ["create", "run"])
def test_a_number_that_the_shim_cannot_take_is_told_by_its_place(
    bundle: Bundle, account: Account, ours: None, verb: str
) -> None:
    bundle.process(oomScoreAdj=1.5)
    bundle.write()
    message = refusal(bundle, verb, "-b", str(bundle.dir), bundle.id)
    place = "process.oomScoreAdj: 1.5 is not of type integer"
    assert message == f"rcrun-oci: error: config.json: {place}"
    assert_nothing_is_left(bundle, account)


@pytest.mark.requires("userns")
def test_a_malformed_process_of_exec_is_told_by_its_place(bundle: Bundle, ours: None) -> None:
    bundle.args("sleep", "1000").started()
    process: dict[str, Any] = {"cwd": "/", "args": ["/init", "true"], "rlimits": [{"type": "X"}]}
    path = bundle.put("process.json", json.dumps(process))
    message = refusal(bundle, "exec", "--process", str(path), bundle.id)
    assert "the process: process.rlimits[0]: " in message


# ---- validate


def faults_of(bundle: Bundle, *words: str) -> list[str]:
    bundle.write()
    result = bundle.runtime("validate", *words, str(bundle.dir))
    assert result.status == (1 if result.out else 0), repr(result)
    assert result.err == ""
    return result.out.splitlines()


def test_validate_finds_nothing_in_a_valid_bundle(bundle: Bundle, ours: None) -> None:
    assert faults_of(bundle) == []
    (bundle.dir / "config.json").rename(bundle.dir / "other.json")
    result = bundle.runtime("validate", "--config", "other.json", str(bundle.dir))
    assert (result.status, result.out) == (0, "")


def test_validate_tells_every_fault_of_the_document_and_of_the_host(
    bundle: Bundle, ours: None
) -> None:
    bundle.config["root"]["path"] = "nothing"
    bundle.config["ociVersion"] = "2"
    bundle.mount("/a", "bind", "missing", "bind").mount("/b", "bind", "rootfs", "rbind")
    bundle.config["hooks"] = {
        "createRuntime": [{"path": "/bin/true"}, {"path": "/no/hook"}, {"path": "/etc/passwd"}],
        "startContainer": [{"path": "/only/inside"}],
    }
    bundle.linux(namespaces=[{"type": "mount"}, {"type": "pid", "path": "/proc/self/ns/net"}])
    rootfs = bundle.dir / "nothing"
    assert faults_of(bundle) == [
        'ociVersion: "2" is not a version such as 1.2.0',
        'hooks.createRuntime[1].path: there is no "/no/hook"',
        'hooks.createRuntime[2].path: "/etc/passwd" cannot be run',
        'mounts[3].source: there is no "missing"',
        f'root.path: "{rootfs}" does not exist',
    ]


@pytest.mark.parametrize(
    ("kind", "path", "fault"),
    [
        ("user", "/proc/1/ns/nothing", '"/proc/1/ns/nothing": no such file or directory'),
        ("user", "/dev/null", '"/dev/null" is no user namespace'),
    ],
)
def test_validate_looks_at_namespaces(
    bundle: Bundle, ours: None, kind: str, path: str, fault: str
) -> None:
    bundle.linux(namespaces=[{"type": "mount"}, {"type": kind, "path": path}])
    assert faults_of(bundle) == [f"linux.namespaces[1].path: {fault}"]


def test_validate_of_what_is_no_configuration(bundle: Bundle, ours: None) -> None:
    missing = bundle.runtime("validate", str(bundle.dir))
    assert missing.status == 1
    assert f'no bundle: there is no "{bundle.dir}/config.json"' in missing.err
    bundle.put("config.json", "{]")
    assert "is not JSON" in refusal(bundle, "validate", str(bundle.dir))
    bundle.put("config.json", "[]")
    listed = bundle.runtime("validate", str(bundle.dir))
    assert (listed.status, listed.out) == (1, "document: [] is not of type object\n")
