from __future__ import annotations

import hashlib
from typing import Any

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats import digest as digests
from rcrun.formats import image as documents

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def test_digests() -> None:
    assert digests.of_bytes(b"x") == "sha256:" + hashlib.sha256(b"x").hexdigest()
    assert digests.is_sha256(A)
    for wrong in (
        "sha256:" + "A" * 64,
        "sha256:",
        "a" * 64,
        "sha512:" + "a" * 64,
        A + "0",
        None,
        7,
    ):
        assert not digests.is_sha256(wrong)


def test_chain_ids() -> None:
    """The rule of the OCI image specification, config.md: each is the digest of two."""
    second = hashlib.sha256(f"{A} {B}".encode()).hexdigest()
    third = hashlib.sha256(f"sha256:{second} {A}".encode()).hexdigest()
    assert documents.chain_ids([A, B, A]) == ["a" * 64, second, third]
    assert documents.chain_ids([]) == []
    with pytest.raises(InvalidInput, match="invalid diffID"):
        documents.chain_ids(["sha256:../../etc"])


@pytest.mark.parametrize(
    ("machine", "platform"),
    [
        ("x86_64", ("amd64", "")),
        ("aarch64", ("arm64", "v8")),
        ("s390x", ("s390x", "")),
        ("armv7l", ("arm", "v7")),
    ],
)
def test_platform_of(machine: str, platform: tuple[str, str]) -> None:
    assert documents.platform_of(machine) == platform


def index(*platforms: str) -> Any:
    entries = []
    for number, text in enumerate(platforms):
        words = text.split("/")
        platform = dict(zip(("os", "architecture", "variant"), words, strict=False))
        entries.append({"size": number, "platform": platform})
    return {"manifests": entries}


@pytest.mark.parametrize(
    ("platforms", "wanted", "chosen"),
    [
        (["linux/amd64", "linux/arm64"], ("arm64", "v8"), 1),
        (["linux/arm/v6", "linux/arm/v7"], ("arm", "v7"), 1),
        (["linux/arm/v5", "linux/arm/v6", "linux/arm/v8"], ("arm", "v7"), 1),
        (["linux/arm/v6", "linux/arm/v7"], ("arm", ""), 1),
        (["windows/amd64", "linux/amd64"], ("amd64", ""), 1),
        (["linux/s390x", "unknown/unknown"], ("amd64", ""), 0),
        (["linux/s390x", "linux/arm64"], ("amd64", ""), None),
        ([], ("amd64", ""), None),
    ],
)
def test_select(platforms: list[str], wanted: tuple[str, str], chosen: int | None) -> None:
    found = documents.select(index(*platforms), *wanted)
    assert (None if found is None else found["size"]) == chosen


def test_platform_text() -> None:
    assert (
        documents.platform_text({"os": "linux", "architecture": "arm", "variant": "v7"})
        == "linux/arm/v7"
    )
    assert documents.platform_text(None) == "unknown"


def with_config(**members: Any) -> dict[str, Any]:
    return {"rootfs": {"diff_ids": []}, "config": members}


@pytest.mark.parametrize(
    ("config", "layers", "fault"),
    [
        ([], 0, "not a JSON object"),
        ({}, 0, 'lacks "rootfs.diff_ids"'),
        ({"rootfs": {"diff_ids": [A]}}, 2, "names 1 layers, the manifest 2"),
        ({"rootfs": {"diff_ids": [A] * 501}}, 501, "more than the 500"),
        ({"rootfs": {"diff_ids": []}, "config": []}, 0, ""),
        ({"rootfs": {"diff_ids": []}, "config": "x"}, 0, "not a JSON object"),
        ({"rootfs": {"diff_ids": [A]}, "config": None}, 1, ""),
        ({"rootfs": {"diff_ids": ["sha256:../x"]}}, 1, "no sha256 digest"),
        ({"rootfs": {"diff_ids": []}, "created": 5}, 0, '"created" is not a proper text'),
        ({"rootfs": {"diff_ids": []}, "history": [5]}, 0, '"history" is not a list'),
        (with_config(Env=["A=b"], Cmd="sh", Entrypoint=None, Labels={}), 0, ""),
        (with_config(Env=["A=b\0"]), 0, '"config.Env" is not a list of proper texts'),
        (with_config(Env=["\ud800"]), 0, '"config.Env"'),
        (with_config(Cmd=[5]), 0, '"config.Cmd"'),
        (with_config(Labels={"a": 5}), 0, '"config.Labels"'),
        (with_config(Volumes=["/x"]), 0, '"config.Volumes"'),
        (with_config(Healthcheck="x"), 0, '"config.Healthcheck"'),
    ],
)
def test_config_fault(config: Any, layers: int, fault: str) -> None:
    found = documents.config_fault(config, layers)
    assert (fault in found) if fault else not found


@pytest.mark.parametrize("size", [None, -1, True, "1", 1.5])
def test_descriptors_need_a_size(size: Any) -> None:
    assert "no valid size" in documents.descriptor_fault({"digest": A, "size": size})
