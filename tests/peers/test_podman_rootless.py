"""What a user's podman alone does: user namespaces of its kinds, podman unshare, and one id."""

from __future__ import annotations

import json
import shutil

import pytest

from peers.podman import NO_NETWORK
from peers.room import RUNTIME

pytestmark = pytest.mark.requires("podman")
# Files of the image that belong to others become the user's own.
STORAGE = """
[storage]
driver = "vfs"
graphroot = "{home}/storage"
runroot = "{run}/containers"
[storage.options]
ignore_chown_errors = "true"
"""
as_user = pytest.mark.parametrize("inmate", ["user"], indirect=True)
UID_MAP = ("cat", "/proc/self/uid_map")


@pytest.fixture
def single(inmates, podmans):
    """podman of the user who has no subordinate ids."""
    inmate = inmates("single")
    settings = inmate.home / ".config/containers/storage.conf"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(STORAGE.format(home=inmate.home, run=inmate.environ["XDG_RUNTIME_DIR"]))
    inmate.prepare("chown", "-R", f"{inmate.uid}:{inmate.gid}", str(inmate.home / ".config"))
    found = podmans(inmate)
    yield found
    found.tidy()


@as_user
def test_keep_id(podman):
    """The caller's own number is the container's, and what it writes is the caller's."""
    folder = podman.account.new_dir("kept")
    options = ("--userns", "keep-id", "-v", f"{folder}:/data")
    script = "id -u; touch /data/x; stat -c %u /data/x"
    out = podman.run(*options, "busybox", "sh", "-c", script).check().out.split()
    assert out == [str(podman.account.uid)] * 2
    assert (folder / "x").stat().st_uid == podman.account.uid


@as_user
def test_kinds_of_user_namespace(podman):
    host = podman.run("--userns", "host", "busybox", *UID_MAP).check().out.split()
    assert host[:3] == ["0", str(podman.account.uid), "1"]
    auto = podman.run("--userns", "auto:size=1000", "busybox", *UID_MAP).check().out.split()
    assert (auto[0], auto[2]) == ("0", "1000")
    assert auto[1] != host[1]


@as_user
def test_keep_groups(podman):
    options = ("--group-add", "keep-groups")
    assert podman.run(*options, "busybox", "id", "-u").check().out == "0\n"


@as_user
def test_low_ports_of_the_host_are_not_ours(podman):
    given = podman.run("--network", "host", "busybox", "nc", "-l", "-p", "80")
    assert "Permission denied" in given.err


def bundle_of(inmate, name="bundle", **changes):
    """A bundle with the host's busybox as its root, for the runtime itself."""
    folder = inmate.new_dir(name)
    (folder / "rootfs/bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", folder / "rootfs/bin/busybox")
    inmate.prepare("chown", "-R", f"{inmate.uid}:{inmate.gid}", str(folder))
    inmate.run(RUNTIME, "spec", *(["--rootless"] if inmate.uid else []), cwd=folder).check()
    config = json.loads((folder / "config.json").read_text())
    config["process"] |= {"args": ["/bin/busybox", "id", "-u"], "terminal": False, **changes}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@as_user
@pytest.mark.parametrize("keep_map", [True, False], ids=["another-user-namespace", "the-same"])
def test_the_runtime_inside_podman_unshare(podman, keep_map):
    """Root of a user namespace already, with another in it or none."""
    folder = bundle_of(podman.account)
    config = json.loads((folder / "config.json").read_text())
    linux = config["linux"]
    if not keep_map:
        for key in ("uidMappings", "gidMappings"):
            linux.pop(key, None)
        linux["namespaces"] = [one for one in linux["namespaces"] if one["type"] != "user"]
    else:
        # the kernel wants each row within one row of the namespace above
        rows = [{"containerID": n, "hostID": n, "size": size} for n, size in ((0, 1), (1, 999))]
        linux |= {"uidMappings": rows, "gidMappings": rows}
    (folder / "config.json").write_text(json.dumps(config))
    assert podman.unshare(RUNTIME, "run", "-b", str(folder), "nested").check().out == "0\n"


def test_one_id(single):
    """Every file is the user's own, root and all."""
    assert single.run("busybox", *UID_MAP).check().out.split()[2] == "1"
    script = "id -u; touch /x; stat -c %u /x; exit 3"
    given = single.run("busybox", "sh", "-c", script)
    assert (given.status, given.out) == (3, "0\n0\n")


def test_one_id_detached(single):
    single(
        "run", "-d", "--name", "web", *single.cgroup, *NO_NETWORK, "busybox", "sleep", "1000"
    ).check()
    assert single("exec", "web", "sh", "-c", "id -u; exit 4").status == 4
    single("pause", "web").check()
    assert single.status("web") == "paused"
    single("unpause", "web").check()
    single("stop", "-t", "0", "web").check()
    assert single.status("web") == "exited"


def test_one_id_and_a_user_that_it_cannot_be(single):
    """There is no second id: an error, and nothing runs."""
    given = single.run("--user", "1000", "busybox", "id", "-u")
    assert given.status != 0
    assert given.out == ""
