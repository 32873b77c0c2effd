"""What the suites of runc and crun found: the ways in which callers count on both of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.conftest import Bundle
from runtime.test_terminal import Console
from waiting import wait_for

pytestmark = [pytest.mark.requires("userns"), pytest.mark.usefixtures("ours")]


def test_a_created_container_holds_nothing_of_its_caller(bundle: Bundle) -> None:
    """With a terminal of its own: whoever reads what `create` says reads to the end."""
    console = Console(bundle)
    bundle.process(terminal=True).args("true").write()
    words = ("create", "--console-socket", str(console.path), "-b", str(bundle.dir), bundle.id)
    try:
        inherited = os.open("/dev/zero", os.O_RDONLY)
        bundle.runtime(*words, pass_fds=[inherited], timeout=60).check()  # a pipe each
        folder = f"/proc/{bundle.state()['pid']}/fd"
        links = [os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)]
    finally:
        console.close()
        os.close(inherited)
    left = [link for link in links if not re.match(r"/dev/pts/|socket:|anon_inode:|/$|/proc", link)]
    assert left == []


@pytest.mark.parametrize("signal", ["TERM", "INT", "HUP"])
def test_a_created_container_ends_by_a_signal(bundle: Bundle, signal: str) -> None:
    assert bundle.create().status == 0
    bundle.runtime("kill", bundle.id, signal).check()
    bundle.status_soon("stopped")


def test_newlines_of_a_terminal_are_plain(bundle: Bundle) -> None:
    bundle.process(terminal=True).args("echo", "x")
    assert bundle.run().check().stdout == b"x\n"


def test_signal_0_asks_whether_it_runs(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").started()
    bundle.runtime("kill", bundle.id, "0").check()
    assert bundle.state()["status"] == "running"
    bundle.runtime("kill", bundle.id, "KILL").check()
    bundle.status_soon("stopped")
    assert "container not running" in bundle.runtime("kill", bundle.id, "0").err
    bundle.runtime("kill", "--all", bundle.id, "KILL").check()


def test_signals_by_a_regular_expression(new_bundle: Callable[[], Bundle]) -> None:
    one, two = (
        new_bundle().args("sleep", "1000").started(),
        new_bundle().args("sleep", "1000").started(),
    )
    one.runtime("kill", "--regex", f"{one.id[:-1]}.", "KILL").check()
    one.status_soon("stopped")
    assert two.state()["status"] == "running"
    assert one.runtime("kill", "--regex", "(", "KILL").status == 1


def test_ps_of_one_that_has_stopped(bundle: Bundle) -> None:
    bundle.args("true").started()
    bundle.status_soon("stopped")
    assert bundle.runtime("ps", "--format=json", bundle.id).check().out == "[]\n"
    assert len(bundle.runtime("ps", bundle.id).check().out.splitlines()) == 1


def test_a_list_has_runcs_fields_in_its_order(bundle: Bundle) -> None:
    bundle.args("sleep", "1000").started()
    [state] = json.loads(bundle.runtime("list", "--format", "json").check().out)
    expected = ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "owner"]
    assert list(state) == expected


def test_a_readonly_dev_has_its_devices(bundle: Bundle) -> None:
    bundle.config["mounts"][1]["options"].append("ro")
    assert bundle.output("stat", "/dev/null").split()[-1] == "1:3"
    lines = bundle.output("cat", "/proc/self/mountinfo").splitlines()
    [dev] = [line.split() for line in lines if line.split()[4] == "/dev"]
    assert "ro" in dev[5].split(",")


@pytest.mark.parametrize("options", [["bind"], ["rbind", "ro"]])
def test_a_bind_mount_on_the_root(bundle: Bundle, options: list[str]) -> None:
    bundle.put("other/init", (bundle.dir / "rootfs/init").read_bytes(), 0o755)
    bundle.put("other/only-here")
    source = str(bundle.dir / "other")
    bundle.config["mounts"].insert(
        0, {"destination": "/", "type": "bind", "source": source, "options": options}
    )
    for name in ("proc", "dev"):
        bundle.make_dir(f"other/{name}")
    assert "only-here" in bundle.output("ls", "/").split()
    assert not (bundle.dir / "rootfs/only-here").exists()


def test_masked_directories_are_one_file_system(bundle: Bundle) -> None:
    for name in ("one", "two"):
        bundle.put(f"rootfs/{name}/file")
    bundle.linux(maskedPaths=["/one", "/two"])
    lines = bundle.output("cat", "/proc/self/mountinfo").splitlines()
    found = {line.split()[4]: line.split()[2] for line in lines}
    assert found["/one"] == found["/two"]
    assert "file" not in bundle.output("ls", "/two").split()


@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_the_way_to_the_working_directory_may_be_closed_to_the_process(bundle: Bundle) -> None:
    closed = bundle.make_dir("rootfs/closed")
    os.chown(closed, 42, 42)
    closed.chmod(0o700)
    bundle.process(cwd="/closed").args("cwd")
    assert bundle.output("cwd") == "/closed"


@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_no_whole_proc_is_left_behind_a_moved_root(bundle: Bundle) -> None:
    """With one a user namespace inside could mount a procfs without the masked paths."""
    bundle.args("sleep", "1000").write()
    words = ("run", "-d", "--no-pivot", "-b", str(bundle.dir), bundle.id)
    bundle.runtime(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).check()
    init = bundle.state()["pid"]
    table = Path(f"/proc/{init}/mountinfo").read_text(encoding="utf-8").splitlines()
    kernels = [line for line in table if " - proc " in line or " - sysfs " in line]
    assert [line.split()[4] for line in kernels] == ["/proc"]


@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_a_network_namespace_that_the_user_namespace_does_not_own(bundle: Bundle) -> None:
    namespaces = bundle.config["linux"]["namespaces"]
    namespaces[:] = [one for one in namespaces if one["type"] != "network"]
    holder = subprocess.Popen(["unshare", "--user", "sleep", "1000"])
    try:
        map_ids(holder.pid)
        namespaces.append({"type": "user", "path": f"/proc/{holder.pid}/ns/user"})
        namespaces.append({"type": "network", "path": "/proc/self/ns/net"})
        bundle.args("sleep", "1000").started()
        theirs = os.readlink(f"/proc/{bundle.state()['pid']}/ns/net")
        assert theirs == os.readlink("/proc/self/ns/net")
        bundle.runtime("exec", bundle.id, "/init", "true").check()
    finally:
        holder.kill()
        holder.wait()


def map_ids(pid: int) -> None:
    """Of the user namespace that a process is about to make."""
    ours = os.readlink("/proc/self/ns/user")
    wait_for(lambda: os.readlink(f"/proc/{pid}/ns/user") != ours)
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{pid}/{name}").write_text("0 0 65536", encoding="ascii")
