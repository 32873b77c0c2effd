"""TLS: whom the client trusts, and what it says when it does not."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest
from tiny_registry import TinyRegistry

from rcrun.errors import InvalidInput, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rcrun.registry.client import Client
    from tiny_image import TinyImage

    MakeClient = Callable[..., Client]

NAME = "registry.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with server.crt and server.key for registry.example, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
            "-keyout", str(folder / "server.key"), "-out", str(folder / "server.crt"),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture
def secure(certificate: Path, image: TinyImage) -> Iterator[TinyRegistry]:
    """A registry that speaks TLS."""
    server = TinyRegistry()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "server.crt", certificate / "server.key")
    server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
    server.put(image, "1")
    with server:
        yield server


@pytest.fixture
def name(secure: TinyRegistry, monkeypatch: pytest.MonkeyPatch) -> str:
    """A reference of that registry under a name that is not this machine's."""
    real = socket.getaddrinfo

    def here(_: str, port: int, *more: object, **named: object) -> object:
        return real("127.0.0.1", port, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", here)
    return f"{NAME}:{secure.server.server_port}/x"


def test_unknown_authority(name: str, client_of: MakeClient, pauses: list[float]) -> None:
    with pytest.raises(RegistryError, match="cannot trust registry") as raised:
        client_of(name).manifest("1")
    domain = name.partition("/")[0]
    assert f'"{domain}"' in raised.value.message
    assert f"~/.config/containers/certs.d/{domain}/ca.crt" in (raised.value.hint or "")
    assert pauses == []


def test_unknown_authority_on_request(name: str, client_of: MakeClient, image: TinyImage) -> None:
    assert client_of(name, verify=False).manifest("1").digest == image.digest


def test_authority_in_certs_d(
    name: str, client_of: MakeClient, image: TinyImage, certificate: Path, tmp_path: Path
) -> None:
    folder = tmp_path / ".config/containers/certs.d" / name.partition("/")[0]
    folder.mkdir(parents=True)
    shutil.copy(certificate / "server.crt", folder / "ca.crt")
    environ = {"HOME": str(tmp_path)}
    assert client_of(name, environ=environ).manifest("1").digest == image.digest
    (folder / "ca.crt").write_text("not a certificate", encoding="ascii")
    with pytest.raises(InvalidInput, match=r'cannot use certificate ".*/ca\.crt"'):
        client_of(name, environ=environ).manifest("1")


def test_a_certificate_of_ones_own(
    certificate: Path, client_of: MakeClient, image: TinyImage, tmp_path: Path
) -> None:
    """A registry that asks for one gets what lies in certs.d beside its authority."""
    server = TinyRegistry()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "server.crt", certificate / "server.key")
    context.load_verify_locations(certificate / "server.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
    server.put(image, "1")
    environ = {"HOME": str(tmp_path)}
    with server:
        folder = tmp_path / ".config/containers/certs.d" / f"127.0.0.1:{server.server.server_port}"
        folder.mkdir(parents=True)
        with pytest.raises(RegistryError):
            client_of(f"{server.address}/x", environ=environ, retries=0).manifest("1")
        shutil.copy(certificate / "server.crt", folder / "client.cert")
        shutil.copy(certificate / "server.key", folder / "client.key")
        found = client_of(f"{server.address}/x", environ=environ).manifest("1")
    assert found.digest == image.digest


def test_local_registry_with_any_certificate(
    secure: TinyRegistry, client_of: MakeClient, image: TinyImage
) -> None:
    client = client_of(f"{secure.address}/x")
    assert client.manifest("1").digest == image.digest
    assert b"".join(client.blob(image.layer_descriptor())) == image.layers[0]
