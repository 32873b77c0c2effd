"""Where callers start a container: with one id, on the host's network, in a user namespace, in others' namespaces."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from accounts import Account
from runtime.conftest import ALL_CAPS, Bundle
from runtime.test_mounts import mounts

pytestmark = pytest.mark.requires("userns")
SINGLE = pytest.mark.parametrize("account", ["single"], indirect=True)


@pytest.fixture
def account(request: pytest.FixtureRequest, accounts: object) -> Account:
    found: Account = accounts.get(getattr(request, "param", "user"))  # type: ignore[attr-defined]
    return found


def usual_mounts(bundle: Bundle) -> Bundle:
    """As engines write them for every container, with the group of terminals that one id cannot have."""
    closed = ("nosuid", "noexec", "nodev")
    bundle.config["mounts"][2]["options"].append("gid=5")
    bundle.mount("/dev/shm", "tmpfs", "shm", *closed, "mode=1777", "size=64k")
    bundle.mount("/dev/mqueue", "mqueue", "mqueue", *closed)
    bundle.mount("/sys", "sysfs", "sysfs", *closed, "ro")
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", *closed, "relatime", "ro")
    return bundle


# ---- one id


@SINGLE
def test_one_id(bundle: Bundle) -> None:
    usual_mounts(bundle)
    assert bundle.output("ids").split()[:2] == ["0", "0"]
    assert bundle.output("cat", "/proc/self/uid_map").split()[2] == "1"
    assert {"/dev/pts", "/sys", "/dev/mqueue"} <= set(mounts(bundle))


@SINGLE
@pytest.mark.usefixtures("ours")
def test_one_id_that_is_not_roots(bundle: Bundle) -> None:
    """The map follows the user that the process is to have."""
    bundle.process(user={"uid": 1234, "gid": 4321}, capabilities={})
    assert bundle.output("ids").split()[:2] == ["1234", "4321"]


@SINGLE
@pytest.mark.usefixtures("ours")
def test_groups_that_one_id_cannot_have(bundle: Bundle) -> None:
    bundle.process(user={"uid": 0, "gid": 0, "additionalGids": [10]})
    result = bundle.run()
    assert result.status == 1
    assert "group 10 does not exist in the container" in result.err


@SINGLE
@pytest.mark.usefixtures("ours")
def test_maps_that_one_id_cannot_have(bundle: Bundle) -> None:
    rows = [{"containerID": 0, "hostID": 100000, "size": 10}]
    bundle.config["linux"]["namespaces"].append({"type": "user"})
    result = bundle.linux(uidMappings=rows, gidMappings=rows).run()
    assert result.status == 1
    assert 'cannot map the ids of "linux.uidMappings"' in result.err


# ---- the host's network


@pytest.mark.parametrize("account", ["user", "single", "root"], indirect=True)
def test_the_hosts_network(bundle: Bundle) -> None:
    usual_mounts(bundle).without_namespace("network")
    inside = bundle.output("ls", "/sys/class/net").split()
    assert inside == sorted(os.listdir("/sys/class/net"))
    assert "Read-only" in bundle.args("write", "/sys/x", "").run().err


@pytest.mark.parametrize("account", ["user", "single", "root"], indirect=True)
def test_the_hosts_network_ipc_and_processes(bundle: Bundle) -> None:
    usual_mounts(bundle)
    if not os.path.exists("/dev/mqueue"):
        bundle.config["mounts"] = [
            row for row in bundle.config["mounts"] if row["type"] != "mqueue"
        ]
    for kind in ("network", "ipc", "pid"):
        bundle.without_namespace(kind)
    if bundle.account.kind == "root":
        bundle.config["mounts"][0].update(type="bind", source="/proc", options=["rbind"])
    assert bundle.output("echo", "fine") == "fine"


@pytest.mark.parametrize("account", ["user", "single", "root"], indirect=True)
@pytest.mark.usefixtures("ours")
def test_a_sysctl_of_the_hosts_network_is_refused(bundle: Bundle) -> None:
    bundle.without_namespace("network").linux(sysctl={"net.ipv4.ip_forward": "1"})
    result = bundle.run()
    assert result.status == 1
    assert "needs a network namespace" in result.err


# ---- in a user namespace already

ONE = ("unshare", "--user", "--map-root-user", "--mount")
MANY = ("unshare", "--user", "--map-root-user", "--map-auto", "--mount")


def run_within(bundle: Bundle, outer: tuple[str, ...], *words: str) -> str:
    bundle.args(*words).write()
    command = [*outer, *bundle.words(), "run", "-b", str(bundle.dir), bundle.id]
    return bundle.account.run(*command).check().out


@pytest.mark.parametrize("outer", [ONE, MANY], ids=["one", "many"])
def test_root_of_a_user_namespace_needs_no_other(bundle: Bundle, outer: tuple[str, ...]) -> None:
    """As `podman unshare` and rootless podman itself start us."""
    usual_mounts(bundle)
    assert run_within(bundle, outer, "ids").split()[:2] == ["0", "0"]
    bundle.process(user={"uid": 0, "gid": 0, "additionalGids": [3] if outer is MANY else []})
    if outer is MANY:
        assert run_within(bundle, outer, "ids").split() == ["0", "0", "3"]


@pytest.mark.parametrize("outer", [ONE, MANY], ids=["one", "many"])
def test_a_user_namespace_in_a_user_namespace(bundle: Bundle, outer: tuple[str, ...]) -> None:
    usual_mounts(bundle)
    # a row lies within a row of the outer map (user_namespaces(7))
    rows = [{"containerID": 0, "hostID": 0, "size": 1}]
    if outer is MANY:
        rows.append({"containerID": 1, "hostID": 1, "size": 999})
    bundle.config["linux"]["namespaces"].append({"type": "user"})
    bundle.linux(uidMappings=rows, gidMappings=rows)
    shown = run_within(bundle, outer, "cat", "/proc/self/uid_map").split()
    assert shown[:3] == ["0", "0", "1"]
    assert shown[3:] == (["1", "1", "999"] if outer is MANY else [])


def test_another_user_of_a_user_namespace(bundle: Bundle) -> None:
    usual_mounts(bundle).process(user={"uid": 7, "gid": 8}, capabilities={})
    assert run_within(bundle, MANY, "ids").split() == ["7", "8"]


def test_the_hosts_network_in_a_user_namespace(bundle: Bundle) -> None:
    usual_mounts(bundle).without_namespace("network")
    text = run_within(bundle, MANY, "ls", "/sys/class/net")
    assert text.split() == sorted(os.listdir("/sys/class/net"))


# ---- namespaces of others


def joined(bundle: Bundle, pid: int, *kinds: str) -> Bundle:
    file = {"network": "net", "mount": "mnt"}
    for kind in kinds:
        bundle.without_namespace(kind)
        path = f"/proc/{pid}/ns/{file.get(kind, kind)}"
        bundle.config["linux"]["namespaces"].append({"type": kind, "path": path})
    return bundle


def place_of(pid: int | str, kind: str) -> str:
    return os.readlink(f"/proc/{pid}/ns/{kind}")


@pytest.mark.parametrize("account", ["user", "single", "root"], indirect=True)
@pytest.mark.parametrize("kinds", [("network",), ("network", "ipc", "uts"), ("network", "ipc", "uts", "pid")])  # fmt: skip
def test_a_pod(new_bundle: Callable[[], Bundle], kinds: tuple[str, ...]) -> None:
    """What containers of a pod share, and the user namespace that owns it."""
    first, second = usual_mounts(new_bundle()), usual_mounts(new_bundle())
    first.config["hostname"] = "pod"
    pid = first.args("sleep", "1000").started().state()["pid"]
    user = () if first.account.kind == "root" else ("user",)
    joined(second, pid, *user, *kinds)
    if "user" in user:
        for field in ("uidMappings", "gidMappings"):
            rows = Path(f"/proc/{pid}/{field[:3]}_map").read_text(encoding="ascii").splitlines()
            numbers = [[int(word) for word in row.split()] for row in rows]
            second.linux(**{field: [dict(zip(("containerID", "hostID", "size"), row, strict=True)) for row in numbers]})  # fmt: skip
    other = second.args("sleep", "1000").started().state()["pid"]
    for kind in (*user, *("net" if kind == "network" else kind for kind in kinds)):
        assert place_of(pid, kind) == place_of(other, kind)
    assert place_of(pid, "mnt") != place_of(other, "mnt")
    words = ["exec", second.id, "/init", "uname"]
    if "uts" in kinds:
        assert second.runtime(*words).check().out.split()[0] == "pod"


@pytest.mark.parametrize("account", ["user", "root"], indirect=True)
@pytest.mark.usefixtures("ours")
def test_namespaces_that_are_not_to_be_had(bundle: Bundle) -> None:
    cases = {
        "/proc/1/ns/ipc-none": "no such file",
        "/proc/self/ns/uts": "that file is no namespace of this type",
        "relative": '"relative"',
    }
    for path, text in cases.items():
        bundle.without_namespace("ipc")
        bundle.config["linux"]["namespaces"].append({"type": "ipc", "path": path})
        result = bundle.run()
        assert result.status == 1
        assert text in result.err


@pytest.mark.parametrize("account", ["user", "root"], indirect=True)
@pytest.mark.usefixtures("ours")
def test_a_clock_of_a_time_namespace_that_is_joined(bundle: Bundle) -> None:
    bundle.config["linux"]["namespaces"].append({"type": "time", "path": "/proc/self/ns/time"})
    result = bundle.linux(timeOffsets={"boottime": {"secs": 5}}).run()
    assert result.status == 1
    assert '"linux.timeOffsets" needs a new time namespace' in result.err


@pytest.mark.parametrize("account", ["user", "root"], indirect=True)
@pytest.mark.parametrize("offset", [{"secs": 1000, "nanosecs": 500}, {"secs": -5}])
def test_clocks(bundle: Bundle, offset: dict[str, int]) -> None:
    bundle.config["linux"]["namespaces"].append({"type": "time"})
    bundle.linux(timeOffsets={"boottime": offset, "monotonic": offset})
    text = bundle.output("cat", "/proc/self/timens_offsets")
    rows = {line.split()[0]: [int(word) for word in line.split()[1:]] for line in text.splitlines()}
    shown = [offset["secs"], offset.get("nanosecs", 0)]
    assert rows == {"monotonic": shown, "boottime": shown}  # fmt: skip


# ---- capabilities that cannot be given


@pytest.mark.parametrize("account", ["root"], indirect=True)
@pytest.mark.usefixtures("ours")
def test_capabilities_that_we_do_not_have_are_left_out_with_a_warning(bundle: Bundle) -> None:
    wanted = [*ALL_CAPS, "CAP_WAKE_ALARM"]
    sets = {"bounding": wanted, "effective": wanted, "permitted": wanted}
    bundle.process(capabilities=sets).args("true").write()
    outer = ("setpriv", "--bounding-set", "-wake_alarm")
    command = [*outer, *bundle.words(), "run", "-b", str(bundle.dir), bundle.id]
    result = bundle.account.run(*command).check()
    assert "cannot have CAP_WAKE_ALARM" in result.err
    assert "warning" in result.err


@pytest.mark.parametrize("account", ["user", "root"], indirect=True)
@pytest.mark.usefixtures("ours")
def test_unknown_capabilities_are_left_out_with_a_warning(bundle: Bundle) -> None:
    bundle.process(capabilities={"bounding": ["CAP_FLY", "CAP_KILL"]})
    result = bundle.args("cat", "/proc/self/status").run().check()
    assert 'unknown capability \\"CAP_FLY\\"' in result.err
    assert "CapBnd:\t0000000000000020" in result.out
