"""system check reads records that hold anything, and tells of faults instead of failing itself."""

from __future__ import annotations

import json
import os
import random

import pytest

from rcrun.engine import systemcheck
from rcrun.engine.context import Context
from rcrun.formats.visible import visible
from rcrun.paths import Store
from rcrun.storage import layout
from unit.mutations import mutate, rich_config

ROUNDS = 150
CONTAINER, CHAIN, DIGEST = "c" * 64, "d" * 64, "sha256:" + "e" * 64

RECORD = {
    "version": 1, "id": CONTAINER, "name": "web", "created": "2026-01-01T00:00:00.000000000Z", "image": "docker.io/library/x:1",
    "image_id": DIGEST, "manifest_digest": DIGEST, "auto_remove": False, "labels": {"a": "b"}, "launched": 1, "boot": "x",
    "rootfs": {"kind": "overlay", "lowers": [f"layers/root/{CHAIN}/diff"], "volatile": False, "driver": "overlay"},
    "network": {"mode": "pasta", "ports": [], "bound": []}, "log": {"driver": "k8s-file"}, "cgroup": "/nowhere", "error": "",
    "mounts": [{"type": "volume", "name": "data", "source": "/x", "destination": "/data"}],
}  # fmt: skip
VOLUME = {
    "name": "data",
    "created": "2026-01-01T00:00:00Z",
    "labels": {},
    "options": {},
    "anonymous": False,
}
LAYER = {"chain_id": f"sha256:{CHAIN}", "diff_id": DIGEST, "size": 5, "parent": None}
ENTRY = {
    "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": DIGEST, "size": 5,
    "annotations": {"org.opencontainers.image.ref.name": "docker.io/library/x:1"},
}  # fmt: skip
INDEX = {"schemaVersion": 2, "manifests": [ENTRY]}


@pytest.fixture
def context(tmp_path):
    store = Store(str(tmp_path / "store"), str(tmp_path / "live"))
    layout.init(store)
    os.makedirs(f"{store.layer_dir('root', CHAIN)}/diff")
    for name in ("upper", "work", "rootfs"):
        os.makedirs(f"{store.container_dir(CONTAINER)}/{name}")
    os.makedirs(f"{store.volume_dir('data')}/_data")
    os.symlink(CONTAINER, store.name_path("web"))
    return Context(store, dict(os.environ), ["rcrun"], lambda message, hint: None)


def documents(store):
    folder = store.container_dir(CONTAINER)
    return {
        f"{folder}/container.json": RECORD,
        f"{folder}/config.json": rich_config(),
        f"{store.volume_dir('data')}/volume.json": VOLUME,
        f"{store.layer_dir('root', CHAIN)}/layer.json": LAYER,
        store.path("index.json"): INDEX,
        store.path("oci-layout"): {"imageLayoutVersion": "1.0.0"},
    }


@pytest.mark.parametrize("at", range(6))
def test_records_that_hold_anything(context, at):
    wanted = documents(context.store)
    for path, value in wanted.items():
        with open(path, "w", encoding="utf-8") as file:
            json.dump(value, file)
    path = list(wanted)[at]
    dice = random.Random(at)
    for _ in range(ROUNDS):
        changed = mutate(wanted[path], dice)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(changed, file)
        for fault in systemcheck._look(context, True, 0):
            text = f"{fault.what}\n{fault.cost}\n{fault.hint}"
            visible(text, keep="\n").encode("utf-8", "surrogateescape")
