"""Archives and layouts that lie: digests, sizes, nesting, names, and layers that reach out of the root."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
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
    got = rcrun("load", input=tar_of(SPOILT[name]), timeout=20)
    if got.status == 0:  # what only shows when the layer is unpacked
        got = rcrun("run", "--rm", *NO_NETWORK, "evil", timeout=20)
        rcrun("rmi", "-f", "evil")
    assert got.status != 0
    assert got.err.startswith("rcrun: error: ")
    assert "bug in" not in got.err
    assert len(got.err) < 3000
    assert time.monotonic() - begun < 10
    assert "evil" not in rcrun("images").check().out
    rcrun("run", "--rm", *NO_NETWORK, "busybox", "true").check()


@only_user
@pytest.mark.parametrize("name", [name for name in SPOILT if not name.startswith("docker")])
def test_a_layout_that_lies(rcrun, account, name):
    place = account.new_dir("layout")
    for path, data in SPOILT[name].items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(data)
    got = rcrun("pull", f"oci:{place}", timeout=20)
    if got.status == 0:
        found = got.out.strip().splitlines()[-1]
        got = rcrun("run", "--rm", *NO_NETWORK, found, timeout=20)
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
            got = rcrun("pull", f"oci:{place}", timeout=10)
            assert got.status != 0, (spoil_with, target)
            assert "bug in" not in got.err, (spoil_with, target)
            assert "host secret" not in got.err


# ---- the store itself


@only_user
@pytest.mark.parametrize(
    "text",
    [
        b"", b"null", b"[]", b"{", b'{"manifests":5}', b'{"manifests":[5,null,{}]}', deep(100_000),
        b'{"manifests":[{"digest":"sha256:../../../x","size":1}]}',
        b'{"manifests":[{"digest":5,"size":1,"annotations":[]}]}',
        b'{"manifests":[{"digest":"sha256:' + b"a" * 64 + b'","size":3,"annotations":{"org.opencontainers.image.ref.name":5}}]}',
    ],
)  # fmt: skip
def test_index_of_the_store_that_is_damaged(fresh_rcrun, busybox, text):
    """Others write it, too. The commands say so; those that need no image go on."""
    rcrun = fresh_rcrun()
    rcrun("load", "-i", busybox).check()
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    (rcrun.store_dir / "index.json").write_bytes(text)
    for words in (("images",), ("run", "--rm", "--pull=never", "busybox", "true"), ("rmi", "busybox"),
                  ("image", "inspect", "busybox"), ("load", "-i", busybox), ("image", "prune", "-f")):  # fmt: skip
        got = rcrun(*words, timeout=20)
        assert "bug in" not in got.err, words
    rcrun("ps").check()
    rcrun("exec", "web", "true").check()
    rcrun("rm", "-f", "web").check()


@only_user
@pytest.mark.parametrize("name", ["container.json", "config.json", "exit.json"])
@pytest.mark.parametrize(
    "text",
    [b"", b"null", b"[]", b'{"a":1}', b"\xff", deep(100_000), b'{"name":5,"id":7,"created":9}'],
)
def test_records_that_are_damaged(fresh_rcrun, busybox, name, text):
    """ps shows the rest, rm removes it."""
    rcrun = fresh_rcrun()
    rcrun("load", "-i", busybox).check()
    rcrun("run", "--name", "web", *NO_NETWORK, "busybox", "true").check()
    rcrun("create", "--name", "fine", *NO_NETWORK, "busybox", "true").check()
    container_id = rcrun("ps", "-aq", "--no-trunc", "-f", "name=web").out.strip()
    path = rcrun.store_dir / "containers" / container_id / name
    path.write_bytes(text)
    os.chown(path, rcrun.account.uid, rcrun.account.gid)
    for words in (("ps", "-a"), ("ps", "-as"), ("inspect", container_id), ("start", container_id),
                  ("logs", container_id), ("exec", container_id, "true"), ("wait", container_id)):  # fmt: skip
        got = rcrun(*words, timeout=20)
        assert "bug in" not in got.err, (words, got.err)
    assert "fine" in rcrun("ps", "-a").check().out
    got = rcrun("rm", "-f", container_id)
    assert "bug in" not in got.err
    assert rcrun("start", "-a", "fine").check().status == 0
    rcrun("rm", "-f", "fine").check()


@only_user
@pytest.mark.parametrize(
    "text", [b"", b"null", b"{}", b"[1]", deep(100_000), b'{"pid":"x","pid_start":-1}']
)
def test_state_that_is_damaged(fresh_rcrun, busybox, text):
    rcrun = fresh_rcrun()
    rcrun("load", "-i", busybox).check()
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    path = next((rcrun.account.runtime_dir / "rcrun").rglob("state.json"))
    good = path.read_bytes()
    path.write_bytes(text)
    for words in (("ps", "-a"), ("inspect", "web"), ("exec", "web", "true"), ("top", "web")):
        got = rcrun(*words, timeout=20)
        assert "bug in" not in got.err, (words, got.err)
    path.write_bytes(good)
    rcrun("rm", "-f", "web").check()


# ---- layers


def entry(name, kind=tarfile.REGTYPE, link="", data=b"", **more):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, link, len(data), 0o644
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def packed(*entries, form=tarfile.PAX_FORMAT):
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=form) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return output.getvalue()


def hostile_layers(outside):
    out = str(outside)
    up = "../" * 20
    yield "dotdot", packed(entry(f"{up}{out[1:]}/dotdot", data=b"x"))
    yield "absolute", packed(entry(f"{out}/absolute", data=b"x"))
    yield "dotdot-inside", packed(entry(f"a/../{up}{out[1:]}/inside", data=b"x"))
    yield "link-dir", packed(entry("l", tarfile.SYMTYPE, out), entry("l/through", data=b"x"))
    yield (
        "link-up",
        packed(entry("l", tarfile.SYMTYPE, f"{up}{out[1:]}"), entry("l/through", data=b"x")),
    )
    yield (
        "link-proc",
        packed(entry("l", tarfile.SYMTYPE, "/proc/self/cwd"), entry("l/through", data=b"x")),
    )
    yield (
        "link-root",
        packed(entry("l", tarfile.SYMTYPE, "/proc/1/root"), entry(f"l{out}/through", data=b"x")),
    )
    yield "link-file", packed(entry("l", tarfile.SYMTYPE, f"{out}/file"), entry("l", data=b"x"))
    yield "hard-link", packed(entry("h", tarfile.LNKTYPE, f"{out}/file"), entry("h", data=b"owned"))
    yield "hard-link-up", packed(entry("h", tarfile.LNKTYPE, f"{up}{out[1:]}/file"))
    yield (
        "hard-link-through",
        packed(
            entry("l", tarfile.SYMTYPE, out),
            entry("h", tarfile.LNKTYPE, "l/file"),
            entry("h", data=b"owned"),
        ),
    )
    yield (
        "hard-link-of-link",
        packed(
            entry("l", tarfile.SYMTYPE, f"{out}/file"),
            entry("h", tarfile.LNKTYPE, "l"),
            entry("h", data=b"owned"),
        ),
    )
    yield (
        "chmod-link",
        packed(entry("l", tarfile.SYMTYPE, out), entry("l", tarfile.DIRTYPE, mode=0o777)),
    )
    yield "whiteout-out", packed(entry("l", tarfile.SYMTYPE, out), entry("l/.wh.file"))
    yield "whiteout-dotdot", packed(entry(f"{up}{out[1:]}/.wh.file"))
    yield "whiteout-of-dotdot", packed(entry(".wh..."), entry("a/.wh.."), entry(".wh."))
    yield "opaque-out", packed(entry("l", tarfile.SYMTYPE, out), entry("l/.wh..wh..opq"))
    yield "device", packed(entry("d", tarfile.BLKTYPE, devmajor=254, devminor=0, mode=0o666))
    yield "root-is-a-link", packed(entry(".", tarfile.SYMTYPE, out), entry("./through", data=b"x"))
    yield "empty-name", packed(entry("", data=b"x"))
    yield "pax-path", packed(entry("plain", data=b"x", pax_headers={"path": f"{up}{out[1:]}/pax"}))
    yield (
        "pax-link",
        packed(
            entry("l", tarfile.SYMTYPE, "x", pax_headers={"linkpath": out}), entry("l/y", data=b"x")
        ),
    )
    yield "pax-xattr", packed(
        entry("f", data=b"x", pax_headers={"SCHILY.xattr.trusted.overlay.redirect": out,
                                          "SCHILY.xattr.user.overlay.redirect": out,
                                          "SCHILY.xattr.user.overlay.metacopy": ""})
    )  # fmt: skip
    yield "overlay-redirect", packed(
        entry("dir", tarfile.DIRTYPE, mode=0o755, pax_headers={
            "SCHILY.xattr.user.overlay.redirect": "/../../../../..", "SCHILY.xattr.trusted.overlay.redirect": "/etc"})
    )  # fmt: skip
    yield "long-name", packed(entry("d/" * 4000 + "f", data=b"x"))
    yield "long-component", packed(entry("n" * 5000, data=b"x"))
    yield (
        "device-as-parent",
        packed(entry("d", tarfile.CHRTYPE, devmajor=1, devminor=3), entry("d/x", data=b"x")),
    )
    yield "fifo-as-parent", packed(entry("p", tarfile.FIFOTYPE), entry("p/x", data=b"x"))
    yield (
        "huge-size",
        tarfile.TarInfo("big").tobuf()[:124]
        + b"77777777777\0"
        + tarfile.TarInfo("big").tobuf()[136:],
    )
    yield "cut", packed(entry("f", data=b"x" * 5000))[:1500]
    yield "bomb-names", packed(*(entry(f"{n}") for n in range(3000)))
    yield "self-hard-link", packed(entry("s", tarfile.LNKTYPE, "s"))
    yield (
        "loop",
        packed(
            entry("a", tarfile.SYMTYPE, "b"),
            entry("b", tarfile.SYMTYPE, "a"),
            entry("a/c", data=b"x"),
        ),
    )


NAMES = [name for name, _ in hostile_layers("/none")]


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_that_reaches_out(rcrun, account, make_image, name, secret):
    outside = account.new_dir("outside")
    (outside / "file").write_text("mine\n")
    os.chown(outside / "file", account.uid, account.gid)
    before = os.stat(outside), os.stat(outside / "file")
    data = dict(hostile_layers(outside))[name]
    loaded = make_image.load(f"reach-{name}", {}, [data])
    got = loaded
    if loaded.status == 0:
        got = rcrun(
            "run",
            "--rm",
            *NO_NETWORK,
            f"reach-{name}",
            "sh",
            "-c",
            "cat /h /l /dir/shadow; ls /dir /l/",
            timeout=30,
        )
    assert "bug in" not in got.err, got
    assert "Traceback" not in got.err
    assert "mine" not in got.out
    assert sorted(os.listdir(outside)) == ["file"]
    assert (outside / "file").read_text() == "mine\n"
    after = os.stat(outside), os.stat(outside / "file")
    assert [(s.st_mode, s.st_uid, s.st_nlink) for s in before] == [
        (s.st_mode, s.st_uid, s.st_nlink) for s in after
    ]
    assert os.listdir(rcrun.store_dir / "tmp") == []
    rcrun("rmi", "-f", f"reach-{name}")


@only_user
def test_a_layer_that_grows_without_end_is_bounded_by_its_blob(rcrun, make_image):
    """gzip of zeros: refused or unpacked as sparse data, but never held in memory."""
    big = packed(entry("zeros", data=bytes(200_000_000)))
    got = make_image.load("bomb", {}, [gzip.compress(big, 1)])
    # The configuration names the digest of the compressed bytes, so that it must be refused.
    if got.status == 0:
        got = rcrun("run", "--rm", *NO_NETWORK, "bomb", "true")
    assert got.status != 0
    assert "bug in" not in got.err


@pytest.mark.parametrize("target", ["/..{out}", "{out}", "/proc/1/root{out}", "/proc/self/cwd"])
def test_a_volume_is_filled_from_the_image_alone(rcrun, make_image, account, target):
    outside = account.new_dir("outside")
    (outside / "file").write_text("mine\n")
    os.chown(outside / "file", account.uid, account.gid)
    link = target.format(out=outside)
    make_image(
        "fill",
        {"Volumes": {"/v": {}}},
        [layer(("data", tarfile.SYMTYPE, link), ("v", tarfile.SYMTYPE, link))],
    )
    for words in (("-v", "/data"), ("-v", "named:/data"), ("--mount", "type=volume,target=/data")):
        got = rcrun(
            "run", "--rm", *words, *NO_NETWORK, "fill", "sh", "-c", "cat /data/file /v/file"
        )
        assert "mine" not in got.out
        assert "bug in" not in got.err
    rcrun("volume", "rm", "named")
