"""registries.conf at work: mirrors, remaps, blocked registries and short names, as pulls and pushes meet them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rcrun.engine.access import Access, meanings
from rcrun.engine.context import Context
from rcrun.engine.pull import pull, tags
from rcrun.engine.search import find
from rcrun.errors import InvalidInput, NotFound, RcrunError, RegistryError
from rcrun.formats.reference import parse
from rcrun.paths import Store
from rcrun.registry.credentials import Credentials
from rcrun.storage import images
from tiny_image import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tiny_registry import TinyRegistry

    from conftest import Rcrun
    from tiny_image import TinyImage

pytestmark = pytest.mark.requires("userns")


@pytest.fixture
def context() -> Iterator[Context]:
    folder = tempfile.mkdtemp(prefix="rcrun-places-", dir="/dev/shm")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": folder,
        "CONTAINERS_REGISTRIES_CONF": f"{folder}/registries.conf",
    }
    store = Store(
        f"{folder}/store", f"{folder}/live", meanings=lambda text: meanings(environ, text)
    )
    yield Context(store, environ, ["rcrun"], lambda *_: None)
    shutil.rmtree(folder)


def configure(context: Context, text: str) -> None:
    Path(context.environ["CONTAINERS_REGISTRIES_CONF"]).write_text(text, encoding="utf-8")


def one_try() -> Access:
    return Access(retries=0)


def test_mirrors_in_order(
    registry: TinyRegistry, elsewhere: TinyRegistry, context: Context, image: TinyImage
) -> None:
    """The first that has it gives all of it; the image keeps the name that was asked for."""
    configure(
        context,
        f'[[registry]]\nprefix = "far.example"\nlocation = "{registry.address}/real"\n'
        f'[[registry.mirror]]\nlocation = "{elsewhere.address}/copy"\n',
    )
    registry.put(image, "1")
    pulled = pull(context, "far.example/a/b:1", access=one_try())
    assert pulled.reference == "far.example/a/b:1"
    assert elsewhere.paths() == ["/v2/", "/v2/copy/a/b/manifests/1"]
    assert registry.paths("/real/")[0] == "/v2/real/a/b/manifests/1"
    registry.asked.clear()
    elsewhere.put(image, "1")
    pull(context, "far.example/a/b:1", access=one_try())
    assert registry.asked == []
    with pytest.raises(
        NotFound, match=r'manifest unknown; its mirrors failed before: image ".*:2"'
    ):
        pull(context, "far.example/a/b:2", access=one_try())


def test_credentials_that_were_typed_are_for_what_was_typed(
    registry: TinyRegistry, elsewhere: TinyRegistry, context: Context, image: TinyImage
) -> None:
    elsewhere.auth = registry.auth = "basic"
    registry.users["me"] = elsewhere.users["me"] = "secret"
    registry.put(image, "1")
    elsewhere.put(image, "1")
    configure(
        context,
        f'[[registry]]\nlocation = "{registry.address}"\n'
        f'[[registry.mirror]]\nlocation = "{elsewhere.address}"\n',
    )
    access = Access(credentials=Credentials("me", "secret", "--creds"), retries=0)
    pull(context, f"{registry.address}/x:1", access=access)
    assert {each.headers.get("Authorization") for each in elsewhere.asked} == {None}


def test_short_names(
    registry: TinyRegistry, elsewhere: TinyRegistry, context: Context, image: TinyImage
) -> None:
    configure(
        context,
        f'unqualified-search-registries = ["{elsewhere.address}", "{registry.address}"]\n'
        f'[aliases]\nmine = "{registry.address}/some/thing"\n',
    )
    registry.put(image, "1")
    assert pull(context, "mine:1").reference == f"{registry.address}/some/thing:1"
    assert elsewhere.asked == []
    assert images.find(context.store, "mine:1").digest == image.digest
    assert pull(context, "x:1").reference == f"{registry.address}/x:1"
    assert elsewhere.paths("/manifests/") == ["/v2/x/manifests/1"]
    registry.asked.clear()
    assert pull(context, "x:1", policy="missing").reference == f"{registry.address}/x:1"
    assert registry.asked == []
    assert [str(each) for each in tags(context, "mine", Access())] == [
        f"{registry.address}/some/thing:1"
    ]
    with pytest.raises(NotFound, match='cannot pull "x:2" from any registry that it may mean: '):
        pull(context, "x:2")
    configure(context, "[aliases]\nmine = 1")
    assert images.find(context.store, f"{registry.address}/x:1").digest == image.digest
    with pytest.raises(NotFound):
        images.find(context.store, "mine:1")
    with pytest.raises(InvalidInput, match="aliases: mine is not a text"):
        pull(context, "mine:1")


def test_a_search_goes_where_short_names_go(
    registry: TinyRegistry, elsewhere: TinyRegistry, context: Context
) -> None:
    """As podman's: one that cannot be asked is told, and none at all is an error."""
    answer = b'{"results": [{"name": "lib/thing"}]}'
    registry.rule("/v1/search", lambda h: h.answer(200, answer, Content_Type="application/json"), 9)
    elsewhere.rule("/v", lambda h: h.fail(500, "UNKNOWN", "on fire"), 99)
    told: list[str] = []
    context.warn = lambda message, *_: told.append(message)  # type: ignore[method-assign]
    both = f'["{elsewhere.address}", "{registry.address}"]'
    configure(context, f"unqualified-search-registries = {both}")
    found = find(context, "thing", 5, one_try())
    assert [(each.domain, each.name) for each in found] == [(registry.address, "lib/thing")]
    assert "on fire" in told[0]
    asked = len(elsewhere.asked)
    assert find(context, f"{registry.address}/thing", 5, one_try())[0].name == "lib/thing"
    assert len(elsewhere.asked) == asked
    configure(context, f'unqualified-search-registries = ["{elsewhere.address}"]')
    with pytest.raises(RegistryError, match="on fire"):
        find(context, "thing", 5, one_try())


def test_insecure(context: Context) -> None:
    """TLS is not insisted upon for the place that says so, nor with the option; elsewhere it is."""
    configure(context, '[[registry]]\nlocation = "lax.example"\ninsecure = true')
    for access, text, verified in (
        (Access(), "lax.example/x", False),
        (Access(), "strict.example/x", True),
        (Access(verify=False), "strict.example/x", False),
    ):
        client, transport = access.connect(context, parse(text))
        assert transport.verify is verified, text
        assert client.session.domain == text.partition("/")[0]


def test_blocked(registry: TinyRegistry, context: Context, image: TinyImage) -> None:
    registry.put(image, "1")
    configure(context, f'[[registry]]\nlocation = "{registry.address}/closed"\nblocked = true')
    for way in (
        lambda: pull(context, f"{registry.address}/closed/x:1"),
        lambda: tags(context, f"{registry.address}/closed/x", Access()),
    ):
        with pytest.raises(RcrunError, match="is blocked by "):
            way()
    assert registry.asked == []
    pull(context, f"{registry.address}/open/x:1")


def test_helpers_of_credentials(registry: TinyRegistry, context: Context, image: TinyImage) -> None:
    """A helper that registries.conf names is asked before, or without, the files."""
    folder = Path(context.environ["HOME"])
    program = folder / "docker-credential-ours"
    program.write_text('#!/bin/sh\necho \'{"Username": "me", "Secret": "secret"}\'\n')
    program.chmod(0o755)
    context.environ["PATH"] = f"{folder}:{context.environ['PATH']}"  # type: ignore[index]
    registry.auth, registry.users = "basic", {"me": "secret"}
    registry.put(image, "1")
    configure(context, 'credential-helpers = ["containers-auth.json"]')
    with pytest.raises(RcrunError, match="denies access"):
        pull(context, f"{registry.address}/x:1")
    configure(context, 'credential-helpers = ["containers-auth.json", "ours"]')
    pull(context, f"{registry.address}/x:1")


@pytest.mark.requires("skopeo")
@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_whatever_reads_asks_the_mirrors(
    fresh_rcrun: Callable[..., Rcrun],
    registry: TinyRegistry,
    elsewhere: TinyRegistry,
    image: TinyImage,
) -> None:
    """As skopeo: nothing of what a mirror has is asked of the registry; what the mirror lacks is."""
    rcrun = fresh_rcrun()
    home = rcrun.account.new_dir("home")
    rcrun.env["HOME"] = str(home)
    (home / ".config/containers").mkdir(parents=True)
    conf = home / ".config/containers/registries.conf"
    conf.write_text(
        f'[[registry]]\nprefix = "far.example"\nlocation = "{registry.address}/real"\ninsecure = true\n'
        f'[[registry.mirror]]\nlocation = "{elsewhere.address}/copy"\ninsecure = true\n'
    )
    elsewhere.put(image, "1")
    artifact = json.loads(image.manifest)
    artifact["config"] = {**artifact["config"], "mediaType": "application/vnd.oci.empty.v1+json"}
    elsewhere.manifests["art"] = (MANIFEST, json.dumps(artifact).encode())
    name = "docker://far.example/a/b:1"
    file = home / "Containerfile"
    file.write_text("FROM far.example/a/b:1\nCOPY Containerfile /\n")
    rcrun("manifest", "create", "list").check()
    skopeo = ["skopeo", "--registries-conf", str(conf), "copy", "-q", name, f"dir:{home}/skopeo"]
    subprocess.run(skopeo, check=True)
    asked = {path for path in elsewhere.paths() if path != "/v2/"}
    for number, words in enumerate((
        ("image", "copy", "-q", name, f"dir:{home}/ours"),
        ("manifest", "inspect", "far.example/a/b:1"),
        ("manifest", "add", "list", name),
        ("artifact", "pull", "far.example/a/b:art"),
        ("image", "referrers", "far.example/a/b:1"),
        ("build", "-q", "--cache-from", "type=registry,ref=far.example/cache:1", "-f", file, home),
    )):  # fmt: skip
        elsewhere.asked.clear()
        rcrun(*words).check()
        assert elsewhere.paths("/v2/copy/a/b/manifests/"), words
        if number == 0:
            assert {path for path in elsewhere.paths() if path != "/v2/"} == asked
    # The registry was asked for what the mirror has not: referrers and the cache.
    assert {path.split("/")[3] for path in registry.paths("/v2/real/")} <= {"cache", "a"}
    assert not registry.paths("/blobs/")
    rcrun("rmi", "-af").check()
    rcrun("builder", "prune", "-af").check()
    digest = image.layer_descriptor()["digest"]
    registry.put(image)
    del elsewhere.blobs[digest]
    rcrun("image", "copy", "-q", name, f"dir:{home}/again").check()
    assert registry.paths("/blobs/") == [f"/v2/real/a/b/blobs/{digest}"]
