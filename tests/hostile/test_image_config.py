"""An image's config with absurd values is refused in words, or harmless; it never crashes us."""

from __future__ import annotations

import tarfile
import time

import pytest

from hostile.conftest import NO_NETWORK, layer

only_user = pytest.mark.parametrize("account", ["user"], indirect=True)

# name, what is in `config`, what must come of `run IMAGE echo fine`: "fine", or a part of the message
CASES = [
    ("env-no-name", {"Env": ["=x", "", "PATH=/bin", "A"]}, "fine"),
    ("env-number", {"Env": ["PATH=/bin", 7]}, "Env"),
    ("env-map", {"Env": {"A": "b"}}, "Env"),
    ("env-nul", {"Env": ["PATH=/bin", "A=b\0c"]}, "proper text"),
    ("env-newline", {"Env": ["PATH=/bin", "A=b\nc"]}, "fine"),
    ("env-huge", {"Env": ["PATH=/bin", "A=" + "x" * 200_000]}, "rgument list too long"),
    ("env-surrogate", {"Env": ["PATH=/bin", "A=\ud800"]}, "proper text"),
    ("user-path", {"User": "../../x"}, "../../x"),
    ("user-negative", {"User": "-1"}, "-1"),
    ("user-large", {"User": "4294967295"}, "4294967295"),
    ("user-huge", {"User": "9" * 5000}, "User|user"),
    ("user-newline", {"User": "root\nx"}, "user"),
    ("user-number", {"User": 7}, "User|user"),
    ("user-empty-group", {"User": "0:"}, "fine|group|user"),
    ("user-nul", {"User": "a\0b"}, "proper text"),
    ("workdir-relative", {"WorkingDir": "../.."}, "fine|absolute"),
    ("workdir-up", {"WorkingDir": "/../../.."}, "fine"),
    ("workdir-nul", {"WorkingDir": "/a\0b"}, "proper text"),
    ("workdir-list", {"WorkingDir": ["/"]}, "WorkingDir"),
    ("workdir-deep", {"WorkingDir": "/" + "d/" * 3000}, "too long|invalid|cannot"),
    ("entrypoint-empty", {"Entrypoint": [""]}, "not found|no command"),
    ("entrypoint-nul", {"Entrypoint": ["echo", "a\0b"]}, "proper text"),
    ("entrypoint-number", {"Entrypoint": 5}, "Entrypoint"),
    ("entrypoint-of-numbers", {"Entrypoint": [5]}, "Entrypoint"),
    ("entrypoint-many", {"Entrypoint": ["echo"] + ["w"] * 100_000}, "w w w|too long"),
    ("entrypoint-directory", {"Entrypoint": ["/etc"]}, "irectory"),
    ("entrypoint-link", {"Entrypoint": ["/proc/self/exe"]}, ""),
    ("volumes-up", {"Volumes": {"/..": {}}}, "VOLUME of the image"),
    ("volumes-root", {"Volumes": {"/": {}}}, "/"),
    ("volumes-relative", {"Volumes": {"../../x": {}}}, "../../x"),
    ("volumes-proc", {"Volumes": {"/proc/self/fd": {}}}, "fine|/proc"),
    ("volumes-nul", {"Volumes": {"/a\0b": {}}}, "proper text"),
    ("volumes-list", {"Volumes": ["/x"]}, "Volumes"),
    ("volumes-empty", {"Volumes": {"": {}}}, "VOLUME|destination"),
    ("ports-garbage", {"ExposedPorts": {"x/y/z": {}}}, "fine|x/y/z"),
    ("ports-large", {"ExposedPorts": {"99999999/tcp": {}}}, "fine|99999999"),
    ("ports-range", {"ExposedPorts": {"1-65535/tcp": {}}}, "fine"),
    ("ports-list", {"ExposedPorts": ["80"]}, "fine|ExposedPorts"),
    ("labels-list", {"Labels": ["a"]}, "Labels|fine"),
    ("labels-numbers", {"Labels": {"a": 5, "b": None}}, "fine|Labels"),
    ("signal-garbage", {"StopSignal": "SIGNONSENSE"}, "fine"),
    ("signal-number", {"StopSignal": 9}, "fine|StopSignal"),
    ("health-garbage", {"Healthcheck": "never"}, "fine|Healthcheck"),
    ("shell-garbage", {"Shell": {"a": 1}, "OnBuild": 5}, "OnBuild"),
    ("config-null", None, "fine"),
]  # fmt: skip


@only_user
@pytest.mark.parametrize(("name", "config", "expected"), CASES, ids=[case[0] for case in CASES])
def test_config(rcrun, make_image, name, config, expected):
    loaded = make_image.load(name, config)
    text = loaded.err
    if loaded.status == 0:
        got = rcrun("run", "--rm", *NO_NETWORK, name, "echo", "fine")
        text = got.out + got.err
    else:
        assert loaded.err.startswith("rcrun: error: ")
    assert "bug in" not in text
    assert "Traceback" not in text
    assert any(part in text for part in expected.split("|")), text[-500:]
    # Whatever it was: it can be listed and removed, and no container is left.
    assert "bug" not in rcrun("images").check().err
    got = rcrun("image", "inspect", name)
    assert "bug" not in got.err
    assert rcrun("ps", "-aq").out == ""
    if loaded.status == 0:
        rcrun("rmi", name).check()


TOPS = [
    ("os", {"os": "windows"}),
    ("architecture", {"architecture": "../../x"}),
    ("created", {"created": "not a time"}),
    ("created-number", {"created": 1e300}),
    ("created-year", {"created": "99999-13-45T99:99:99Z"}),
    ("history", {"history": [1, None, {"created_by": "\x1b[31m"}]}),
    ("rootfs-null", {"rootfs": None}),
    ("rootfs-type", {"rootfs": {"type": "evil", "diff_ids": "sha256:x"}}),
    ("diff-ids", {"rootfs": {"type": "layers", "diff_ids": ["sha256:../../../x"]}}),
    ("diff-ids-numbers", {"rootfs": {"type": "layers", "diff_ids": [5]}}),
    ("config-list", {"config": [1, 2]}),
]


@only_user
@pytest.mark.parametrize(("name", "top"), TOPS, ids=[case[0] for case in TOPS])
def test_the_rest_of_the_document(rcrun, make_image, name, top):
    loaded = make_image.load(f"top-{name}", {}, top=top)
    texts = [loaded.err]
    if loaded.status == 0:
        got = rcrun("run", "--rm", *NO_NETWORK, f"top-{name}", "true")
        texts.append(got.err)
    texts += [rcrun("images").check().err, rcrun("image", "inspect", f"top-{name}").err]
    assert "bug in" not in "".join(texts)
    assert rcrun("ps", "-aq").out == ""
    rcrun("rmi", f"top-{name}")


@only_user
def test_names_that_are_paths(rcrun):
    for name in ("../x", "a/b", "..", ".", "", "a\nb", "x" * 5000, "-x", "\x1b[31m"):
        got = rcrun("create", f"--name={name}", *NO_NETWORK, "busybox", "true")
        if name == "":
            continue  # docker, too, takes it for no name
        assert got.status == 125, name
        assert "bug" not in got.err
        for verb in ("rm", "start", "inspect", "logs"):
            got = rcrun(verb, "--", name)
            assert got.status != 0, (verb, name)
            assert "bug" not in got.err
    left = rcrun.account.run("ls", f"{rcrun.store_dir}/names").out.split()
    assert len(left) == len(rcrun("ps", "-aq").out.split())


@only_user
def test_oci_ids_that_are_paths(rcrun, hostile_bundle):
    hostile_bundle.args("true").write()
    for name in ("../x", "a/b", "..", ".", "", "a\nb", "x" * 2000):
        for words in (
            ("run", "-b", str(hostile_bundle.dir), "--", name),
            ("state", "--", name),
            ("delete", "-f", "--", name),
            ("kill", "--", name),
        ):
            got = hostile_bundle.runtime(*words)
            assert got.status != 0, words
            assert "bug" not in got.err, got.err


@only_user
def test_references_that_are_paths(rcrun):
    for name in ("../x", "a/../../b", "x:../y", "x@sha256:../../y", "/etc/passwd", "a" * 3000):
        for verb in ("run", "rmi", "inspect"):
            begun = time.monotonic()
            got = rcrun(verb, name, *(("--pull=never",) if verb == "none" else ()))
            assert got.status != 0
            assert "bug" not in got.err
            assert time.monotonic() - begun < 60


@only_user
def test_volume_names_that_are_paths(rcrun):
    for text in ("../../x:/data", "a/b:/data", "..:/data", "x:/..", "x:/", "x:relative"):
        got = rcrun("run", "--rm", "-v", text, *NO_NETWORK, "busybox", "true")
        if text.startswith(".."):
            continue  # a path, as with docker
        assert got.status == 125, text
        assert "bug" not in got.err
    for source in ("../../x", "..", ".", "a/b", "\x1b[1m"):
        mount = f"type=volume,source={source},target=/data"
        got = rcrun("run", "--rm", "--mount", mount, *NO_NETWORK, "busybox", "true")
        assert got.status == 125, source


@only_user
@pytest.mark.parametrize("kind", ["fifo", "directory", "loop", "out", "huge", "garbage"])
def test_users_of_an_image_that_are_no_file(rcrun, make_image, kind):
    """Read before the start: never followed out of the image, never waited for."""
    entry = {
        "fifo": (tarfile.FIFOTYPE, ""),
        "directory": (tarfile.DIRTYPE, b""),
        "loop": (tarfile.SYMTYPE, "passwd"),
        "out": (tarfile.SYMTYPE, "../../../../../../../../etc/passwd"),
        "huge": (tarfile.REGTYPE, b"a:x:" + b"9" * 3_000_000),
        "garbage": (tarfile.REGTYPE, bytes(range(256)) * 100 + b"\nok:x:7:8::/:/bin/sh\n"),
    }[kind]
    layers = [layer((f"etc/.wh.{name}", tarfile.REGTYPE, b"")) for name in ("passwd", "group")]
    layers += [layer((f"etc/{name}", *entry)) for name in ("passwd", "group")]
    make_image(f"users-{kind}", {}, layers)
    words = ("run", "--rm", *NO_NETWORK, f"users-{kind}", "grep", "Uid", "/proc/self/status")
    assert rcrun(*words, timeout=60).check().out.split()[1] == "0"
    assert rcrun("run", "--rm", "-u", "7", *words[2:], timeout=60).check().out.split()[1] == "7"
    host_only = rcrun.account.name
    got = rcrun("run", "--rm", "-u", host_only, *words[2:], timeout=60)
    assert got.status != 0
    assert "bug" not in got.err
