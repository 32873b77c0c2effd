"""Stores on a fast file system, and images made of a few bytes."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from driver import Driver

from rcrun.formats import image as documents
from rcrun.paths import Store
from rcrun.storage import blobs, layout


@pytest.fixture
def fast_dir() -> Iterator[Path]:
    """A directory on tmpfs where there is one: overlay attributes work there, and it is quick."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    path = tempfile.mkdtemp(prefix="rcrun-storage-", dir=parent)
    yield Path(path)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def store(fast_dir: Path) -> Store:
    made = Store(str(fast_dir / "store"), str(fast_dir / "live"))
    layout.init(made)
    return made


ImageMaker = Callable[..., "documents.Descriptor"]


@pytest.fixture
def make_image(store: Store) -> ImageMaker:
    """Puts an image with these layers (uncompressed tars) into the store."""

    def make(
        name: str,
        layers: Sequence[bytes] = (),
        *,
        config: dict[str, object] | None = None,
        compress: Callable[[bytes], bytes] = gzip.compress,
        media_type: str = documents.LAYER_GZIP,
        architecture: str = "amd64",
    ) -> documents.Descriptor:
        descriptors = [blobs.write_blob(store, compress(data), media_type) for data in layers]
        diff_ids = ["sha256:" + hashlib.sha256(data).hexdigest() for data in layers]
        image_config = {
            "architecture": architecture,
            "os": "linux",
            "config": config or {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": documents.MANIFEST,
            "config": blobs.write_document(store, image_config, documents.CONFIG),
            "layers": descriptors,
        }
        descriptor = blobs.write_document(store, manifest, documents.MANIFEST)
        layout.add_reference(store, descriptor, name)
        return descriptor

    return make


@pytest.fixture(params=["root", "user", "single"])
def owner(request: pytest.FixtureRequest, accounts: Any) -> Any:
    return accounts.get(request.param)


@pytest.fixture
def drive(owner: Any) -> Driver:
    return Driver(owner)


@pytest.fixture
def umask() -> Iterator[None]:
    """What unpacks needs one that takes nothing away."""
    old = os.umask(0)
    yield
    os.umask(old)
