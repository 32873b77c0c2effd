"""The client against a real registry."""

from __future__ import annotations

import random
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rcrun.errors import NotFound
from tiny_image import (
    INDEX,
    digest_of,
    index_of,
    oci_archive,
    tiny_image,
    upload,
    upload_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from real_registry import Secure

    from conftest import Rcrun
    from rcrun.registry.client import Client
    from tiny_image import TinyImage

pytestmark = pytest.mark.requires("docker-registry")


def test_manifest_and_blobs(
    docker_registry: str, client_of: Callable[..., Client], image: TinyImage
) -> None:
    upload(docker_registry, "some/thing", image, "1")
    client = client_of(f"{docker_registry}/some/thing:1")
    document = client.manifest("1")
    assert (document.data, document.digest) == (image.manifest, image.digest)
    assert client.small_blob(document.value["config"]) == image.config
    layer = image.layer_descriptor()
    assert b"".join(client.blob(layer)) == image.layers[0]
    assert b"".join(client.blob(layer, 7)) == image.layers[0][7:]


def test_index(docker_registry: str, client_of: Callable[..., Client]) -> None:
    images = {"amd64": tiny_image(), "arm64": tiny_image(architecture="arm64")}
    for image in images.values():
        upload(docker_registry, "multi", image)
    index = index_of(**images)
    upload_manifest(docker_registry, "multi", "1", index, INDEX)
    document = client_of(f"{docker_registry}/multi").manifest("1")
    assert document.is_index
    assert document.digest == digest_of(index)


def test_what_is_not_there(
    docker_registry: str, client_of: Callable[..., Client], image: TinyImage
) -> None:
    upload(docker_registry, "some/thing", image)
    with pytest.raises(NotFound, match="manifest unknown"):
        client_of(f"{docker_registry}/some/thing").manifest("nope")
    with pytest.raises(NotFound, match=r"manifest unknown|name unknown"):
        client_of(f"{docker_registry}/nobody/has/this").manifest("1")
    client = client_of(f"{docker_registry}/some/thing")
    with pytest.raises(NotFound, match="blob unknown"):
        list(client.blob({"digest": digest_of(b"nobody"), "size": 6}))


@pytest.fixture
def short() -> Iterator[Path]:
    """podman takes no long name for its live state."""
    with tempfile.TemporaryDirectory(prefix="pod", dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.mark.requires("userns", "skopeo", "podman")
@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_with_tls_and_a_password(
    fresh_rcrun: Callable[..., Rcrun], secure_docker_registry: Secure, tmp_path: Path, short: Path
) -> None:
    """What rcrun pushes skopeo and podman read, and the other way round; nobody else gets in."""
    rcrun, where = fresh_rcrun(), secure_docker_registry
    home = rcrun.account.new_dir("home")
    rcrun.env["HOME"] = str(home)
    certs = home / ".config/containers/certs.d" / where.address
    certs.mkdir(parents=True)
    (certs / "ca.crt").write_bytes((where.authority / "ca.crt").read_bytes())
    archive = home / "a.tar"
    archive.write_bytes(oci_archive(tiny_image({"noise": random.Random(3).randbytes(300_000)})))
    digest = rcrun("pull", "-q", f"oci-archive:{archive}").check().out.strip()
    name = f"{where.address}/some/thing:1"
    rcrun("tag", digest, name).check()
    denied = rcrun("push", "-q", name)
    assert denied.status == 1
    assert f"rcrun login {where.address}" in denied.err
    wrong = rcrun("login", "-u", "me", "--password-stdin", where.address, input="wrong")
    assert wrong.status != 0
    rcrun("login", "-u", "me", "--password-stdin", where.address, input="secret").check()
    rcrun("push", "-q", name).check()
    rcrun("push", "-q", "--format", "v2s2", name, f"{where.address}/docker:1").check()

    def other(*words: object) -> str:
        done = subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True)
        return done.stdout

    way = ("--src-creds", "me:secret", "--src-cert-dir", where.authority)
    other("skopeo", "copy", "-q", *way, f"docker://{name}", f"dir:{tmp_path}/dir")
    manifest = (tmp_path / "dir/manifest.json").read_bytes()
    assert digest_of(manifest) == rcrun("inspect", "-f", "{{.Digest}}", name).check().out.strip()
    podman = ("podman", "--root", short / "root", "--runroot", short / "run")
    podman = (*podman, "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs")
    from_there = ("--creds", "me:secret", "--cert-dir", where.authority)
    for pushed in (name, f"{where.address}/docker:1"):
        podman_id = other(*podman, "pull", "-q", *from_there, pushed).strip()
        assert f"sha256:{podman_id}" == rcrun("inspect", "-f", "{{.Id}}", name).out.strip()
    other(*podman, "push", "-q", *from_there, name, f"{where.address}/podman:1")
    back = ("--dest-creds", "me:secret", "--dest-cert-dir", where.authority)
    other(
        "skopeo", "copy", "-q", *back, f"dir:{tmp_path}/dir", f"docker://{where.address}/skopeo:1"
    )
    rcrun("rmi", "-af").check()
    for pushed in ("skopeo:1", "podman:1"):
        rcrun("pull", "-q", f"{where.address}/{pushed}").check()
        assert (
            rcrun("inspect", "-f", "{{.Id}}", f"{where.address}/{pushed}").out.strip()
            == f"sha256:{podman_id}"
        )
