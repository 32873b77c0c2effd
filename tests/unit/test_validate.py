"""Faults of OCI documents are told with their place."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rcrun.formats.spec import default_spec
from rcrun.formats.validate import KINDS, faults, place

DIGEST = "sha256:" + "0" * 64
DESCRIPTOR = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST, "size": 2}
VALID: dict[str, Any] = {
    "config": default_spec(),
    "descriptor": DESCRIPTOR,
    "manifest": {"schemaVersion": 2, "config": DESCRIPTOR, "layers": [DESCRIPTOR]},
    "index": {"schemaVersion": 2, "manifests": [DESCRIPTOR]},
    "layout": {"imageLayoutVersion": "1.0.0"},
    "image": {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": None, "Env": ["A=b"], "Volumes": {"/v": {}}},
        "rootfs": {"type": "layers", "diff_ids": [DIGEST]},
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_valid_documents_have_no_fault(kind: str) -> None:
    assert faults(VALID[kind], kind) == []


def test_both_default_configurations_are_valid() -> None:
    assert faults(default_spec(rootless=True, uid=1000, gid=1000), "config") == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("document", [[], "x", None, 5])
def test_what_is_no_object(kind: str, document: object) -> None:
    [fault] = faults(document, kind)
    assert fault.startswith("document: ")
    assert fault.endswith("is not of type object")


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (["process", "args"], [], "process.args: [] is empty"),
        (["process", "args"], ["a", 5], "process.args[1]: 5 is not of type string"),
        (["process", "cwd"], "srv", 'process.cwd: "srv" is not an absolute path'),
        (["process", "user", "uid"], -1, "process.user.uid: -1 is below 0"),
        (["process", "oomScoreAdj"], 2000, "process.oomScoreAdj: 2000 is above 1000"),
        (["process", "terminal"], "yes", 'process.terminal: "yes" is not of type boolean'),
        (["root"], {}, 'root: "path" is missing'),
        (["linux", "sysctl"], {"net.a": 1}, 'linux.sysctl["net.a"]: 1 is not of type string'),
        (["linux", "namespaces"], [{"type": "x"}], 'linux.namespaces[0].type: "x" is not one of "pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"'),
        (["linux", "devices"], [{"path": "/d", "type": "c"}], 'linux.devices[0]: "major" and "minor" are missing'),
        (["ociVersion"], "one", 'ociVersion: "one" is not a version such as 1.2.0'),
        (["hooks"], {"prestart": [{"path": "h"}]}, 'hooks.prestart[0].path: "h" is not an absolute path'),
        (["linux", "seccomp"], {"defaultAction": "ALLOW"}, 'linux.seccomp.defaultAction: "ALLOW" is not one of'),
    ],
)  # fmt: skip
def test_faults_of_a_configuration(path: list[str], value: object, fault: str) -> None:
    document: Any = copy.deepcopy(VALID["config"])
    del document["hostname"]  # it would need a namespace
    where = document
    for name in path[:-1]:
        where = where.setdefault(name, {})
    where[path[-1]] = value
    [found] = faults(document, "config")
    assert found == fault or found.startswith(fault)


def test_faults_come_in_the_documents_order_and_once() -> None:
    document = {"schemaVersion": 1, "config": {"size": -1}, "layers": [{}]}
    assert faults(document, "manifest") == [
        'config: "mediaType" and "digest" are missing',
        "config.size: -1 is below 0",
        'layers[0]: "mediaType", "digest" and "size" are missing',
        "schemaVersion: 1 is not 2",
    ]


@pytest.mark.parametrize("digest", ["sha256:0", "0" * 64, "sha256:" + "G" * 64, "sha256"])
def test_digests(digest: str) -> None:
    [fault] = faults({**DESCRIPTOR, "digest": digest}, "descriptor")
    assert fault.startswith("digest: ")


def test_places() -> None:
    assert place([]) == "document"
    assert place(["a", 0, "b_c", "d.e"]) == 'a[0].b_c["d.e"]'
