"""A store driven as one account, in processes of its own (drive.py); and layers to drive it with."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tars
from tars import archive, directory, file, hard_link, pax

CHECKOUT = Path(__file__).resolve().parents[2]
DRIVE = Path(__file__).parent / "drive.py"
NAME = "docker.io/library/x:1"

BASE = archive(
    directory("etc"),
    file("etc/passwd", b"root"),
    file("etc/shadow", b"secret", mode=0o640, gid=42),
    file("etc/far", b"far", uid=70_000),
    directory("tmp", mode=0o1777, mtime=77),
    directory("closed", mode=0o000, uid=5),
    hard_link("etc/linked", "etc/passwd"),
    tars.header("null", b"3", major=1, minor=3, mode=0o666),
    file("suid", b"x", mode=0o4755),
)
CHANGES = archive(
    file("etc/.wh.passwd"),
    file("tmp/file", b"x"),
    file("new/.wh..wh..opq"),
    pax(
        ("SCHILY.xattr.user.note", "1"),
        ("SCHILY.xattr.security.capability", b"\1\0\0\2\0\4\0\0" + bytes(12)),
    ),
    file("capable", b"x", mode=0o755),
)


class Driver:
    """A store of one account, and what is done with it as that account."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.dir = account.new_dir("layers")
        self.store_dir = self.dir / "store"

    def __call__(self, command: str, *words: str, **options: Any) -> dict[str, Any]:
        argv = self.argv(command, *words)
        result = self.account.run(*argv, **options).check()
        assert result.err == ""
        answer: dict[str, Any] = json.loads(result.out)
        return answer

    def argv(self, command: str, *words: str) -> list[str]:
        return ["python3", "-IS", str(DRIVE), str(CHECKOUT), command, str(self.store_dir), *words]

    def make(self, layers: Sequence[bytes], *, diff_ids: Sequence[bytes] | None = None) -> None:
        """Load an image of these layers, through an archive as docker writes it."""
        path = self.dir / "image.tar"
        path.write_bytes(oci_archive(layers, diff_ids or layers))
        os.chmod(path, 0o644)
        assert self("load", str(path)) == {"names": [[NAME]]}

    def layer_dirs(self) -> list[Path]:
        return sorted(self.store_dir.glob("layers/*/*"))


def oci_archive(layers: Sequence[bytes], contents: Sequence[bytes]) -> bytes:
    blobs: dict[str, bytes] = {}

    def add(data: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    stem = "application/vnd.oci.image"
    diff_ids = ["sha256:" + hashlib.sha256(each).hexdigest() for each in contents]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    manifest = {
        "schemaVersion": 2,
        "config": add(json.dumps(config).encode(), f"{stem}.config.v1+json"),
        "layers": [add(gzip.compress(each, 1), f"{stem}.layer.v1.tar+gzip") for each in layers],
    }
    entry = add(json.dumps(manifest).encode(), f"{stem}.manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": NAME}
    blobs["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    blobs["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for name, data in blobs.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return output.getvalue()
