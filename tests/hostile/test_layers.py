"""Layers that reach out of the root: nothing outside is read, made, changed or removed."""

from __future__ import annotations

import gzip
import io
import os
import tarfile

import pytest

from hostile.conftest import NO_NETWORK, layer

only_user = pytest.mark.parametrize("account", ["user"], indirect=True)


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
            timeout=120,
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
