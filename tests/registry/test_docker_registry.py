"""The client against a real registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rcrun.errors import NotFound
from tiny_image import INDEX, digest_of, index_of, tiny_image, upload, upload_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

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
