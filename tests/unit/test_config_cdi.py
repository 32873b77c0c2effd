"""Devices by their CDI names, and limits of block devices, as config.json has them."""

from __future__ import annotations

import json
import os
import stat as modes
from typing import Any

import pytest

from config_facts import MAPPED, ROOT, built, facts
from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.formats import device

FOLDER = "/etc/cdi"


def status(kind: int, major: int, minor: int) -> os.stat_result:
    """As os.stat has it for a device: the number is the first of the fields that have a name alone."""
    fields = [kind | 0o660, 0, 0, 1, 0, 6, 0, 0, 0, 0]
    return os.stat_result(fields + [0] * 8, {"st_rdev": os.makedev(major, minor)})


def known(*documents: Any, identity: Any = MAPPED, **more: Any) -> Any:
    files = {f"{number}.json": json.dumps(each).encode() for number, each in enumerate(documents)}
    nodes = {"/dev/acme0": status(modes.S_IFCHR, 240, 7), "/dev/sda": status(modes.S_IFBLK, 8, 0)}
    return facts(
        identity,
        list_dir=lambda path: sorted(files) if path == FOLDER else [],
        read=lambda path: files[path.rpartition("/")[2]],
        stat=nodes.get,
        **more,
    )


def specification(**changes: Any) -> dict[str, Any]:
    edits = {"deviceNodes": [{"path": "/dev/acme0"}], "env": ["A=1"]}
    return {
        "cdiVersion": "0.5.0", "kind": "acme.com/dev", "devices": [{"name": "0", "containerEdits": edits}], **changes,
    }  # fmt: skip


NAME = {"device": ("acme.com/dev=0",), "add_host": (), "no_hosts": True, "dns": ("none",)}


def test_a_user_has_the_hosts_node() -> None:
    made = built(NAME, known=known(specification()))
    [mount] = [row for row in made.config["mounts"] if row["destination"] == "/dev/acme0"]
    assert mount["options"] == ["bind", "nosuid", "noexec", "rprivate"]
    assert "A=1" in made.config["process"]["env"]


def test_root_makes_it_and_allows_it() -> None:
    node = {
        "path": "/dev/new",
        "hostPath": "/dev/acme0",
        "permissions": "r",
        "type": "c",
        "major": 1,
        "minor": 2,
    }
    edits = {"deviceNodes": [node], "additionalGids": [44]}
    document = specification(devices=[{"name": "0", "containerEdits": edits}])
    made = built(NAME, known=known(document, identity=ROOT))
    linux: Any = made.config["linux"]
    assert [(row["path"], row["major"], row["minor"]) for row in linux["devices"]] == [
        ("/dev/new", 1, 2)
    ]
    assert linux["resources"]["devices"][-1] == {
        "allow": True, "type": "c", "major": 1, "minor": 2, "access": "r",
    }  # fmt: skip
    assert 44 in made.config["process"]["user"]["additionalGids"]


def test_hooks_and_mounts_and_what_is_of_all_devices() -> None:
    hook = {"hookName": "createContainer", "path": "/bin/x", "args": ["x", "y"], "timeout": 3}
    mount = {"hostPath": "/lib/a", "containerPath": "/lib/b"}
    made = built(
        NAME, known=known(specification(containerEdits={"hooks": [hook], "mounts": [mount]}))
    )
    config: Any = made.config
    assert config["hooks"] == {
        "createContainer": [{"path": "/bin/x", "args": ["x", "y"], "timeout": 3}]
    }
    assert config["mounts"][-2]["options"] == ["rbind", "nosuid", "nodev", "ro"]


def test_the_last_specification_wins() -> None:
    other = specification(devices=[{"name": "0", "containerEdits": {"env": ["A=2"]}}])
    made = built(NAME, known=known(specification(), other))
    assert [word for word in made.config["process"]["env"] if word.startswith("A=")] == ["A=2"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "the document: 'cdiVersion' is a required property"),
        (specification(cdiVersion="9"), "cdiVersion"),
        (specification(kind="none"), "kind"),
        (specification(devices=[{"name": "0", "containerEdits": {"env": ["noequals"]}}]), "devices.0.containerEdits.env.0"),
        (specification(containerEdits={"hooks": [{"hookName": "other", "path": "/x"}]}), "containerEdits.hooks.0.hookName"),
        (specification(containerEdits={"deviceNodes": [{"path": "rel"}]}), "deviceNodes.0.path"),
    ],
)  # fmt: skip
def test_a_damaged_specification_is_an_error(document: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        built(NAME, known=known(document))
    assert caught.value.message.startswith(f'the CDI specification "{FOLDER}/0.json" is damaged: ')
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": ("acme.com/dev=1",)}, '"acme.com/dev=1" is in none of "/etc/cdi"'),
        ({"device": ("other.com/dev=1",)}, 'no specification of "other.com/dev" is in "/etc/cdi"'),
        ({"gpus": "all"}, 'no specification of "nvidia.com/gpu"'),
        ({"gpus": "some"}, 'invalid --gpus "some"'),
        ({"gpus": "0"}, 'invalid --gpus "0"'),
    ],
)
def test_what_cannot_be_met(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RcrunError) as caught:
        built({**NAME, **options}, known=known(specification()))
    assert message in caught.value.message


def test_a_missing_node_is_named() -> None:
    document = specification(
        devices=[{"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/gone"}]}}]
    )
    with pytest.raises(InvalidInput, match='its node "/dev/gone" does not exist'):
        built(NAME, known=known(document))
    with pytest.raises(NotFound):
        built({**NAME, "gpus": "2"}, known=known(specification()))


@pytest.mark.parametrize(
    ("text", "is_name"),
    [
        ("nvidia.com/gpu=all", True), ("vendor.com/class=a:b.c", True), ("/dev/null:/dev/x", False), ("a=b", False),
        ("vendor/class", False), ("1x.com/c=d", False), ("v.com/=x", False), ("v.com/c=", False), ("v.com/c=x y", False),
    ],
)  # fmt: skip
def test_names(text: str, is_name: bool) -> None:
    assert device.is_cdi_name(text) is is_name


def test_limits_of_block_devices() -> None:
    options = {
        "blkio_weight": 300, "blkio_weight_device": ("/dev/sda:20",), "device_read_bps": ("/dev/sda:2m",),
        "device_write_iops": ("/dev/sda:5",), "cgroup_conf": ("memory.high=5", "pids.max=9,cpu.idle=1"),
    }  # fmt: skip
    resources: Any = built({**NAME, "device": (), **options}, known=known()).config["linux"][
        "resources"
    ]
    row = {"major": 8, "minor": 0}
    assert resources["blockIO"] == {
        "weight": 300,
        "weightDevice": [{**row, "weight": 20}],
        "throttleReadBpsDevice": [{**row, "rate": 2097152}],
        "throttleWriteIOPSDevice": [{**row, "rate": 5}],
    }
    assert resources["unified"] == {"memory.high": "5", "pids.max": "9", "cpu.idle": "1"}
