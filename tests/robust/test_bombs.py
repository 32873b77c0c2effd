"""Archives that unpack to far more than they are: by every way in, a full disk or --max-size ends it, and nothing stays of it."""

from __future__ import annotations

import gzip
import os

import pytest

from robust.conftest import NO_NETWORK, Traces
from robust.test_disk_full import busybox_tar, small_disk  # noqa: F401
from tiny_image import layer_of, oci_archive, tiny_image

pytestmark = [
    pytest.mark.parametrize("account", ["user"], indirect=True),
    pytest.mark.requires("root"),
]
LARGE = 48 << 20  # four times the disk


@pytest.fixture(scope="module")
def bomb():
    return layer_of({"large": bytes(LARGE)})


def ways_in(folder, bomb):
    """What is typed, and what comes from standard input, if anything does."""
    packed = gzip.compress(bomb, 9)
    (folder / "bomb.tar.gz").write_bytes(packed)
    (folder / "image.tar").write_bytes(oci_archive(tiny_image({"large": bytes(LARGE)})))
    (folder / "Containerfile").write_text("FROM busybox\nADD bomb.tar.gz /there/\n")
    os.chmod(folder, 0o755)
    return {
        "load": (("load", "-i", folder / "image.tar"), None),
        "pull": (("pull", f"oci-archive:{folder}/image.tar"), None),
        "import": (("import", folder / "bomb.tar.gz", "made"), None),
        "context": (("build", *NO_NETWORK, "-"), packed),
        "add": (("build", *NO_NETWORK, folder), None),
        "cp": (("cp", "-", "web:/tmp"), bomb),
    }


def test_a_full_disk_ends_it(small_disk, account, bomb):  # noqa: F811
    rcrun = small_disk
    traces = Traces(rcrun, by_mounts=False)
    rcrun("create", "--name", "web", *NO_NETWORK, "busybox", "true").check()
    free = os.statvfs(rcrun.disk).f_bavail
    environ = {"TMPDIR": str(rcrun.disk)}
    for way, (words, data) in ways_in(account.new_dir("bombs"), bomb).items():
        got = rcrun(*words, env=environ, **({"input": data} if data else {}))
        assert got.status in (1, 125), (way, got.err)
        assert "no space left on device" in got.err, (way, got.err)
        assert "bug in" not in got.err, (way, got.err)
        if way == "cp":  # which writes where it was told to
            rcrun("rm", "-f", "web").check()
    rcrun("run", "--rm", *NO_NETWORK, "busybox", "true").check()
    rcrun("system", "prune", "-f").check()
    traces.check_nothing_left()
    assert os.statvfs(rcrun.disk).f_bavail >= free - 64
    assert os.listdir(rcrun.disk) == ["store"]


def test_max_size_ends_it(rcrun, account, bomb):
    ways = ways_in(account.new_dir("bombs"), bomb)
    for way in ("load", "pull", "import"):
        (verb, *words), _ = ways[way]
        got = rcrun(verb, "--max-size", "1m", *words)
        assert got.status in (1, 125)
        assert "it unpacks to more than 1.049MB, which --max-size allows" in got.err, way
        assert "hint: allow more with --max-size" in got.err
    assert rcrun("images", "-q", "made").check().out == ""
    (verb, *words), _ = ways["import"]
    made = rcrun(verb, "--max-size", "64m", *words).check().out.strip()
    rcrun("rmi", made).check()
