"""Hostile images, bundles and processes; every refusal names what was refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts import Account, Result, bin_dir
from runtime.conftest import Bundle, bundle, init_program, new_bundle  # noqa: F401  # fixtures

HERE = Path(__file__).parent
NO_NETWORK = ("--network", "none")
# Enough of a container's rights to mount over what a later command looks at.
MIGHTY = ("--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined")


@pytest.fixture(scope="session")
def attack_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """attack.c, compiled once."""
    path = tmp_path_factory.mktemp("attack") / "attack"
    flags = ["-static", "-O1", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["cc", *flags, "-o", str(path), str(HERE / "attack.c")], check=True)
    return path


@pytest.fixture
def attack(account: Account, attack_program: Path) -> tuple[str, str]:
    """Options of `run` that put the program at /attack."""
    path = account.dir / "attack"
    if not path.exists():
        path.write_bytes(attack_program.read_bytes())
        path.chmod(0o755)
    return ("-v", f"{path}:/attack:ro")


@pytest.fixture
def hostile_bundle(bundle: Bundle, attack_program: Path) -> Bundle:  # noqa: F811
    bundle.put("rootfs/attack", attack_program.read_bytes(), 0o755)
    return bundle


def program_files() -> list[Path]:
    """What a container must never change: the shim, the launchers, and the tools that they start."""
    checkout = bin_dir().parent
    found = [bin_dir() / "rcrun", bin_dir() / "rcrun-oci", *checkout.rglob("rcrun-shim")]
    if not any(path.name == "rcrun-shim" for path in found):
        found += Path(HERE.parent.parent, "rcrun/shim").glob("rcrun-shim")
    found += [Path(path) for path in ("/bin/sh", "/usr/bin/newuidmap", "/usr/bin/pasta")]
    return [path for path in found if path.exists()]


@pytest.fixture
def untouched() -> Iterator[None]:
    """Fails the test if one of our programs is another one afterwards."""
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in program_files()}
    assert any(path.name == "rcrun-shim" for path in before)
    yield
    for path, digest in before.items():
        assert hashlib.sha256(path.read_bytes()).digest() == digest, f"{path} was overwritten"


# ---- images


class ImageMaker:
    """Loads images with whatever config and layers a test thinks of, on top of busybox."""

    def __init__(self, rcrun: Any, busybox: Path) -> None:
        self.rcrun = rcrun
        with tarfile.open(busybox) as archive:
            manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
            self.base = archive.extractfile(manifest[0]["Layers"][0]).read()  # type: ignore[union-attr]

    def __call__(
        self,
        name: str,
        config: dict[str, Any] | None = None,
        layers: list[bytes] | None = None,
        **more: Any,
    ) -> str:
        """Loaded without a complaint."""
        result = self.load(name, config or {}, layers, **more)
        assert result.status == 0, repr(result)
        return name

    def load(
        self,
        name: str,
        config: dict[str, Any] | None = None,
        layers: list[bytes] | None = None,
        *,
        tag: object = None,
        top: dict[str, Any] | None = None,
    ) -> Result:
        tars = [self.base, *(layers or [])]
        document = {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(
                os.uname().machine, "amd64"
            ),
            "os": "linux",
            "config": None if config is None else {"Cmd": ["sh"], "Env": ["PATH=/bin"], **config},
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in tars],
            },
            **(top or {}),
        }
        text = json.dumps(document).encode()
        members = {f"{hashlib.sha256(text).hexdigest()}.json": text}
        for at, data in enumerate(tars):
            members[f"{at}/layer.tar"] = data
        manifest = [
            {
                "Config": next(iter(members)),
                "RepoTags": [f"{name}:latest"] if tag is None else tag,
                "Layers": [f"{at}/layer.tar" for at in range(len(tars))],
            }
        ]
        members["manifest.json"] = json.dumps(manifest).encode()
        return self.rcrun("load", input=tar_of(members))


def tar_of(members: dict[str, bytes]) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return output.getvalue()


def layer(*members: tuple[str, bytes, str | bytes | tuple[int, int]]) -> bytes:
    """A tar of (name, type, target of a link | bytes of a file | numbers of a device)."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, value in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o666
            if isinstance(value, bytes):
                info.size = len(value)
                tar.addfile(info, io.BytesIO(value))
                continue
            if isinstance(value, str):
                info.linkname = value
            else:
                info.devmajor, info.devminor = value
            tar.addfile(info)
    return output.getvalue()


@pytest.fixture(scope="session")
def busybox(accounts: Any) -> Path:
    """The archive that the image `busybox` of the shared stores came from."""
    path: Path = accounts.base_dir / "busybox.tar"
    if not path.exists():
        maker = HERE.parent.parent / "examples/images/make-busybox"
        subprocess.run([sys.executable, str(maker), str(path)], check=True)
    return path


@pytest.fixture
def make_image(rcrun: Any, busybox: Path) -> Callable[..., Any]:
    return ImageMaker(rcrun, busybox)


@pytest.fixture
def secret(account: Account) -> Path:
    """A file of the caller's on the host that no container may see or change."""
    path = account.home / "secret"
    path.write_text("host secret\n")
    os.chown(path, account.uid, account.gid)
    path.chmod(0o600)
    return path
