"""`root`, odd bundles, and what covers parts of the root."""

from __future__ import annotations

import os
import shutil

import pytest

from runtime.conftest import Bundle
from runtime.test_mounts import mounts

pytestmark = pytest.mark.requires("userns")


@pytest.mark.parametrize("path", ["{bundle}/rootfs", "rootfs/", "./rootfs", "link", "../{name}/rootfs"])  # fmt: skip
def test_paths_of_the_root(bundle: Bundle, path: str) -> None:
    (bundle.dir / "link").symlink_to("rootfs")
    bundle.config["root"]["path"] = path.format(bundle=bundle.dir, name=bundle.dir.name)
    assert bundle.output("echo", "fine") == "fine"


def test_the_bundle_itself(bundle: Bundle) -> None:
    bundle.put("init", (bundle.dir / "rootfs/init").read_bytes(), 0o755)
    bundle.config["root"]["path"] = "."
    assert "config.json" in bundle.output("ls", "/").split()


@pytest.mark.parametrize("path", ["", "nowhere"])
def test_no_root(bundle: Bundle, path: str, ours: None) -> None:
    bundle.config["root"]["path"] = path
    result = bundle.run()
    assert result.status == 1
    assert "root" in result.err


@pytest.mark.parametrize("name", ["with space", "comma,colon:", "ünïcode", "quote'\"", "-dash"])
def test_names_of_bundles(bundle: Bundle, name: str) -> None:
    bundle.args("echo", "fine").write()
    odd = bundle.make_dir(name)
    for entry in ("config.json", "rootfs"):
        (bundle.dir / entry).rename(odd / entry)
    assert bundle.runtime("run", f"--bundle={odd}", bundle.id).check().out == "fine\n"
    result = bundle.runtime("run", f"--bundle={name}", bundle.id, cwd=bundle.dir)
    assert result.check().out == "fine\n"


@pytest.mark.parametrize("word", "private rprivate slave rslave shared rshared unbindable".split())
def test_propagation_of_the_root(bundle: Bundle, word: str, ours: None) -> None:
    bundle.linux(rootfsPropagation=word)
    fields = mounts(bundle)["/"].optional
    plain = word.removeprefix("r")
    assert any(field.startswith("shared:") for field in fields) is (plain == "shared")
    assert ("unbindable" in fields) is (plain == "unbindable")


def test_hooks_run_in_the_bundle(bundle: Bundle, ours: None) -> None:
    kinds = ("prestart", "createRuntime", "poststart", "poststop")
    log = bundle.put("hooks.log", mode=0o666)
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"pwd >> {log}"]}
    bundle.config["hooks"] = {kind: [hook] for kind in kinds}
    bundle.args("true").started()
    bundle.status_soon("stopped")
    bundle.runtime("delete", bundle.id).check()
    assert log.read_text(encoding="utf-8").split() == [str(bundle.dir)] * len(kinds)


def test_a_bundle_that_is_gone_before_the_last_hook(bundle: Bundle, ours: None) -> None:
    log = bundle.dir.parent / f"{bundle.id}.log"
    bundle.config["hooks"] = {
        "poststop": [{"path": "/bin/sh", "args": ["sh", "-c", f"echo ran > {log}"]}]
    }
    bundle.args("true").started()
    bundle.status_soon("stopped")
    shutil.rmtree(bundle.dir)
    bundle.runtime("delete", bundle.id).check()
    assert log.read_text(encoding="utf-8") == "ran\n"
    os.unlink(log)


# ---- masked and read-only paths


def test_odd_masked_paths(bundle: Bundle) -> None:
    bundle.put("rootfs/deep/file", "secret")
    bundle.put("rootfs/other", "secret")
    (bundle.dir / "rootfs/to-other").symlink_to("other")
    paths = ["/deep", "/deep", "/deep/file", "/deep/file/more", "/to-other", "/proc/self/none"]
    bundle.linux(maskedPaths=paths)
    assert bundle.output("ls", "/deep") == ""
    assert bundle.output("cat", "/other") == ""


def test_a_file_that_is_readonly(bundle: Bundle) -> None:
    bundle.put("rootfs/file", "text")
    bundle.linux(readonlyPaths=["/file", "/file", "/none/at/all"])
    assert bundle.output("cat", "/file") == "text"
    assert "Read-only" in bundle.args("write", "/file", "x").run().err


def test_the_root_cannot_be_masked(bundle: Bundle, ours: None) -> None:
    result = bundle.linux(maskedPaths=["/"]).run()
    assert result.status == 1
    assert '"linux.maskedPaths" has "/", which is the root itself' in result.err


# ---- numbers and words that no kernel takes


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize(
    ("where", "value", "text"),
    [
        ("process.oomScoreAdj", 5000, "OOM score to 5000"),
        ("process.user", {"uid": -1, "gid": 0}, "-1"),
        ("process.user", {"uid": 0, "gid": 0, "umask": -5}, "-5"),
        ("process.user", {"uid": 2**33, "gid": 0}, str(2**33)),
        ("process.rlimits", [{"type": "RLIMIT_CPU", "soft": -7, "hard": 1}], "-7"),
        ("process.ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 9}, "ioPriority"),
        ("process.ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": -9}, "ioPriority"),
        ("process.env", ["A=\u0000B"], "NUL"),
        ("process.cwd", "/a\u0000b", "NUL"),
        ("linux.devices", [{"path": "/d", "type": "c", "major": -1, "minor": 0}], "-1"),
        ("hooks", {"prestart": [{"path": "/bin/true", "timeout": -1}]}, "-1"),
        ("hostname", "x" * 65, "host name"),
        ("linux.memoryPolicy", {"mode": "MPOL_BIND", "nodes": "9-1"}, "9-1"),
    ],
)
def test_values_that_cannot_be(bundle: Bundle, where: str, value: object, text: str) -> None:
    """Each is told as a fault of the configuration, with the value in it."""
    *above, last = where.split(".")
    place = bundle.config
    for name in above:
        place = place[name]
    place[last] = value
    result = bundle.run()
    assert result.status == 1
    assert text in result.err
    assert "bug in rcrun" not in result.err
    assert "Traceback" not in result.err
