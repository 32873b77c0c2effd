"""Archives and layouts that lie: digests, sizes, nesting, names."""

from __future__ import annotations

import hashlib
import json
import os
import time

import pytest

from hostile.conftest import NO_NETWORK, layer, tar_of

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
only_user = pytest.mark.parametrize("account", ["user"], indirect=True)


def digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def descriptor(data, kind, **changes):
    return {"mediaType": kind, "digest": digest(data), "size": len(data), **changes}


class Layout:
    """The members of an oci-archive: an image of one layer, to be spoilt."""

    def __init__(self, tar=None):
        self.layer = layer(("x", b"0", b"content")) if tar is None else tar
        self.config = {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine),
            "os": "linux",
            "config": {"Cmd": ["/x"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(self.layer)]},
        }
        self.changes = {"config": {}, "layer": {}, "manifest": {}}
        self.more = {}

    def members(self, manifest=None, index=None, config=None):
        config = json.dumps(self.config).encode() if config is None else config
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(config, CONFIG, **self.changes["config"]),
            "layers": [descriptor(self.layer, LAYER, **self.changes["layer"])],
        }
        if isinstance(manifest, dict):
            document |= manifest
        text = manifest if isinstance(manifest, bytes) else json.dumps(document).encode()
        entry = descriptor(text, MANIFEST, **self.changes["manifest"])
        entry["annotations"] = {"org.opencontainers.image.ref.name": "evil:latest"}
        top = {"schemaVersion": 2, "manifests": [entry]} if index is None else index
        return {
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            "index.json": top if isinstance(top, bytes) else json.dumps(top).encode(),
            **{f"blobs/sha256/{digest(data)[7:]}": data for data in (config, text, self.layer)},
            **self.more,
        }


def deep(count, open_="[", close="]"):
    return (open_ * count + close * count).encode()


def spoilt():
    """Names and members of archives that cannot be used."""
    yield "manifest-digest-path", spoil("manifest", digest="sha256:../../../../etc/passwd")
    yield "manifest-digest-upper", spoil("manifest", digest="sha256:" + "A" * 64)
    yield "manifest-digest-number", spoil("manifest", digest=5)
    yield "manifest-digest-other", spoil("manifest", digest="md5:" + "a" * 32)
    yield "manifest-size-wrong", spoil("manifest", size=1)
    yield "manifest-size-negative", spoil("manifest", size=-1)
    yield "manifest-size-huge", spoil("manifest", size=10**30)
    yield "manifest-size-text", spoil("manifest", size="1")
    yield (
        "manifest-size-infinite",
        Layout().members()
        | {
            "index.json": b'{"manifests":[{"mediaType":"x","digest":"sha256:'
            + b"a" * 64
            + b'","size":1e999}]}'
        },
    )
    yield "config-digest-path", spoil("config", digest="sha256:../../x")
    yield "config-digest-missing", spoil("config", digest="sha256:" + "a" * 64)
    yield "config-size-wrong", spoil("config", size=5)
    yield "config-size-huge", spoil("config", size=10**18)
    yield "layer-digest-path", spoil("layer", digest="sha256:/../x")
    yield "layer-digest-missing", spoil("layer", digest="sha256:" + "b" * 64)
    yield "layer-size-wrong", spoil("layer", size=7)
    yield "layer-size-zero", spoil("layer", size=0)
    for name, data in (
        ("deep-index", deep(100_000)),
        ("deep-objects", deep(100_000, '{"a":', "}").replace(b":}", b":1}")),
        ("huge-number", b'{"manifests":' + b"9" * 100_000 + b"}"),
        ("bad-utf8", b'{"manifests":["\xff\xfe"]}'),
        ("cut", b'{"manifests":[{'),
        ("empty", b""),
        ("null", b"null"),
        ("nul", b"\0" * 100),
        ("no-list", b'{"manifests":{}}'),
        ("of-texts", b'{"manifests":["x"]}'),
        ("nan", b'{"manifests":[NaN, Infinity]}'),
    ):
        yield f"index-{name}", Layout().members(index=data)
        if name not in ("nan", "of-texts", "no-list"):
            yield f"manifest-{name}", Layout().members(manifest=data)
            yield f"config-{name}", Layout().members(config=data)
    yield "manifest-layers-text", Layout().members(manifest={"layers": "x"})
    yield "manifest-layers-many", Layout().members(manifest={"layers": [{}] * 2000})
    yield "manifest-config-list", Layout().members(manifest={"config": []})
    yield "manifest-schema-1", Layout().members(manifest={"schemaVersion": 1, "fsLayers": []})
    wrong = Layout()
    wrong.more = {f"blobs/sha256/{digest(wrong.layer)[7:]}": b"something else"}
    yield "blob-lies", wrong.members()
    diff = Layout()
    diff.config["rootfs"]["diff_ids"] = [digest(b"another")]
    yield "diff-id-lies", diff.members()
    yield "index-in-itself", nested(40)
    yield "docker-config-path", docker(Config="../../../etc/passwd", Layers=[])
    yield "docker-layer-path", docker(Config="c.json", Layers=["../../../etc/passwd"])
    yield "docker-list", {"manifest.json": b"[[]]"}
    yield "docker-deep", {"manifest.json": deep(100_000)}
    yield "docker-text", {"manifest.json": b'"x"'}
    yield "docker-numbers", docker(Config=5, Layers=5)
    yield "docker-layers-objects", docker(Config="c.json", Layers=[{}])


def spoil(what, **changes):
    layout = Layout()
    layout.changes[what] = changes
    return layout.members()


def nested(depth):
    """Indexes within indexes."""
    members = Layout().members()
    inner = json.loads(members["index.json"])["manifests"][0]
    for _ in range(depth):
        text = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner]}).encode()
        members[f"blobs/sha256/{digest(text)[7:]}"] = text
        inner = descriptor(text, INDEX, annotations={"org.opencontainers.image.ref.name": "evil"})
    members["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [inner]}).encode()
    return members


def docker(**entry):
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": [digest(b"x")]}}).encode()
    return {"c.json": config, "manifest.json": json.dumps([entry]).encode()}


SPOILT = dict(spoilt())


@only_user
@pytest.mark.parametrize("name", SPOILT)
def test_an_archive_that_lies(rcrun, name):
    """Refused with a word, soon; nothing of it has a name, and the store goes on."""
    begun = time.monotonic()
    got = rcrun("load", input=tar_of(SPOILT[name]), timeout=60)
    if got.status == 0:  # what only shows when the layer is unpacked
        got = rcrun("run", "--rm", *NO_NETWORK, "evil", timeout=60)
        rcrun("rmi", "-f", "evil")
    assert got.status != 0
    assert got.err.startswith("rcrun: error: ")
    assert "bug in" not in got.err
    assert len(got.err) < 3000
    assert time.monotonic() - begun < 60
    assert "evil" not in rcrun("images").check().out
    rcrun("run", "--rm", *NO_NETWORK, "busybox", "true").check()


@only_user
@pytest.mark.parametrize("name", [name for name in SPOILT if not name.startswith("docker")])
def test_a_layout_that_lies(rcrun, account, name):
    place = account.new_dir("layout")
    for path, data in SPOILT[name].items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(data)
    got = rcrun("pull", f"oci:{place}", timeout=60)
    if got.status == 0:
        found = got.out.strip().splitlines()[-1]
        got = rcrun("run", "--rm", *NO_NETWORK, found, timeout=60)
        rcrun("rmi", "-f", found)
    assert got.status != 0
    assert "bug in" not in got.err
    assert "evil" not in rcrun("images").check().out


@only_user
def test_layouts_with_links_and_fifos(rcrun, account, secret):
    """A directory that is given as a layout may have anything in the place of its files."""
    for spoil_with in ("link", "fifo", "directory"):
        for target in ("index.json", "manifest", "layer"):
            layout = Layout(layer(("x", b"0", f"{spoil_with} {target}".encode())))
            place = account.new_dir("layout")
            members = layout.members()
            for path, data in members.items():
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                (place / path).write_bytes(data)
            inner = json.loads(members["index.json"])["manifests"][0]["digest"][7:]
            names = {
                "manifest": f"blobs/sha256/{inner}",
                "layer": f"blobs/sha256/{digest(layout.layer)[7:]}",
            }
            victim = place / names.get(target, target)
            victim.unlink()
            if spoil_with == "link":
                victim.symlink_to(secret)
            elif spoil_with == "fifo":
                os.mkfifo(victim, 0o666)
            else:
                victim.mkdir()
            got = rcrun("pull", f"oci:{place}", timeout=60)
            assert got.status != 0, (spoil_with, target)
            assert "bug in" not in got.err, (spoil_with, target)
            assert "host secret" not in got.err
