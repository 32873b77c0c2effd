"""The file system of a container as steps."""

from __future__ import annotations

from typing import Any

import pytest

from rcrun.errors import HostLacks, InvalidInput
from rcrun.formats import sysctl
from rcrun.runtime.host import Host
from unit.plans import before, plan_of, records, root_host, single_host, spec_of, user_host

# ---- mounts


def mounts_of(*mounts: Any, host: Host | None = None, namespaces: str = "mount pid network ipc uts cgroup") -> list[list[str]]:  # fmt: skip
    spec = spec_of(mounts=list(mounts))
    spec["linux"]["namespaces"] = [{"type": name} for name in namespaces.split()]
    if "uts" not in namespaces:
        del spec["hostname"]
    return records(plan_of(spec, host), "mount", "bind", "tmpfs-copyup", "mount-propagation")


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        (
            {"destination": "/proc", "type": "proc", "source": "proc"},
            [["mount", "proc", "proc", "/proc", "", ""]],
        ),
        (
            {
                "destination": "/t",
                "type": "tmpfs",
                "source": "t",
                "options": ["nosuid", "mode=755", "sync"],
            },
            [["mount", "tmpfs", "t", "/t", "nosuid,sync", "mode=755"]],
        ),
        (
            {"destination": "/t", "type": "tmpfs", "options": ["tmpcopyup", "ro", "size=1k"]},
            [["tmpfs-copyup", "/t", "ro", "size=1k"]],
        ),
        (
            {"destination": "/d", "source": "/s", "options": ["rbind", "rro", "rslave"]},
            [["bind", "/s", "/d", "rec,rro"], ["mount-propagation", "/d", "rslave"]],
        ),
        (
            {"destination": "/d", "type": "bind", "source": "data", "options": ["src-nofollow"]},
            [["bind", "/b/data", "/d", "nofollow"]],
        ),
        (
            {"destination": "d//e/./f/", "type": "bind", "source": "/s"},
            [["bind", "/s", "/d/e/f", ""]],
        ),
        (
            {"destination": "/o", "type": "overlay", "source": "o", "options": ["lowerdir=/a:/b"]},
            [["mount", "overlay", "o", "/o", "", "lowerdir=/a:/b"]],
        ),
        (
            {"destination": "/c", "type": "cgroup", "options": ["ro", "nsdelegate"]},
            [["mount", "cgroup2", "cgroup", "/c", "ro", "nsdelegate"]],
        ),
    ],
)
def test_mounts(mount: Any, expected: list[list[str]]) -> None:
    assert mounts_of(mount) == expected


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ({"destination": "/d", "type": "bind", "source": "/s", "options": ["r0"]}, 'option "r0"'),
        ({"destination": "/d", "type": "bind"}, 'no "source"'),
        ({"destination": "/d"}, 'no "type"'),
        ({"destination": "/d", "source": "/s", "options": ["bind", "idmap"]}, "idmapped"),
        (
            {"destination": "/d", "source": "/s", "options": ["bind"], "uidMappings": [1]},
            "idmapped",
        ),
        ({"destination": "/d", "type": "proc", "options": ["tmpcopyup"]}, "only for tmpfs"),
    ],
)
def test_mounts_that_are_refused(mount: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        mounts_of(mount)


SYSFS = {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "ro"]}


@pytest.mark.parametrize(
    ("host", "namespaces", "expected"),
    [
        (root_host(), "mount", ["mount", "sysfs", "sysfs", "/sys", "nosuid,ro", ""]),
        (user_host(), "mount network", ["mount", "sysfs", "sysfs", "/sys", "nosuid,ro", ""]),
        (user_host(), "mount", ["bind", "/sys", "/sys", "rec,nosuid,ro,rro"]),
        (single_host(), "mount", ["bind", "/sys", "/sys", "rec,nosuid,ro,rro"]),
    ],
)
def test_sysfs_of_a_network_namespace_that_is_not_ours_is_bound(
    host: Host, namespaces: str, expected: list[str]
) -> None:
    assert mounts_of(SYSFS, host=host, namespaces=namespaces) == [expected]


def test_cgroups_on_top_of_the_hosts_need_something_between() -> None:
    cgroup = {"destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["ro"]}
    assert mounts_of(SYSFS, cgroup, host=user_host(), namespaces="mount cgroup") == [
        ["bind", "/sys", "/sys", "rec,nosuid,ro,rro"],
        ["mount", "tmpfs", "cgroup", "/sys/fs/cgroup", "nosuid,nodev,noexec", "size=0k"],
        ["mount", "cgroup2", "cgroup", "/sys/fs/cgroup", "ro", ""],
    ]


def test_a_joined_network_namespace_is_not_of_a_new_user_namespace() -> None:
    spec = spec_of(mounts=[SYSFS])
    spec["linux"]["namespaces"] = [{"type": "mount"}, {"type": "network", "path": "/n"}]
    del spec["hostname"]
    assert records(plan_of(spec, user_host()), "bind")[0][1] == "/sys"
    spec["linux"]["namespaces"].append({"type": "user", "path": "/u"})
    assert records(plan_of(spec, user_host()), "mount")[0][1] == "sysfs"


@pytest.mark.parametrize(
    ("kind", "source"),
    [("proc", "/proc"), ("mqueue", "/dev/mqueue"), ("cgroup", "/sys/fs/cgroup")],
)
def test_views_of_the_hosts_namespaces_are_bound(kind: str, source: str) -> None:
    mount = {"destination": "/m", "type": kind, "options": ["nodev"]}
    assert mounts_of(mount, host=user_host(), namespaces="mount") == [
        ["bind", source, "/m", "rec,nodev"]
    ]


def test_cgroups_of_version_1_are_only_ever_read() -> None:
    mount = {"destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["rw"]}
    assert mounts_of(mount, host=root_host(unified=False)) == [
        ["bind", "/sys/fs/cgroup", "/sys/fs/cgroup", "rec,rw,rro"]
    ]


def test_the_tty_group_is_left_out_where_it_is_not_mapped() -> None:
    mount = {"destination": "/dev/pts", "type": "devpts", "options": ["newinstance", "gid=5"]}
    assert mounts_of(mount, host=single_host())[0][-1] == "newinstance"
    assert mounts_of(mount, host=user_host())[0][-1] == "newinstance,gid=5"


def test_selinux_labels_need_selinux() -> None:
    spec = spec_of(linux__mountLabel="system_u:object_r:container_file_t:s0")
    with pytest.raises(HostLacks, match="SELinux"):
        plan_of(spec)
    data = [record[-1] for record in records(plan_of(spec, root_host(selinux=True)), "mount")]
    assert 'newinstance,ptmxmode=0666,mode=0620,gid=5,context="system_u' in "".join(data)


# ---- devices, masks


def test_devices_of_the_configuration_replace_the_default() -> None:
    devices = [
        {"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600, "uid": 5},
        {"path": "/dev/pipe", "type": "p"},
        {"path": "/dev/fuse", "type": "u", "major": 10, "minor": 229},
    ]
    plan = plan_of(spec_of(linux__devices=devices))
    paths = [record[1] for record in records(plan, "device")]
    assert paths == [
        "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty",
        "/dev/null", "/dev/pipe", "/dev/fuse",
    ]  # fmt: skip
    assert records(plan, "device")[-3:] == [
        ["device", "/dev/null", "c", "1", "3", "600", "5", "0"],
        ["device", "/dev/pipe", "p", "0", "0", "666", "0", "0"],
        ["device", "/dev/fuse", "c", "10", "229", "666", "0", "0"],
    ]
    assert ["symlink", "pts/ptmx", "/dev/ptmx"] in plan


def test_a_bound_dev_is_left_alone() -> None:
    dev = {"destination": "/dev/", "type": "bind", "source": "/dev", "options": ["rbind"]}
    plan = plan_of(spec_of(mounts=[dev]))
    assert records(plan, "device", "symlink") == []


DENY_ALL = {"allow": False, "access": "rwm"}
DENIED = {"devices": [DENY_ALL, {"allow": True, "type": "c", "major": 1, "minor": 3}]}


def test_where_no_cgroup_holds_root_back_mounts_do() -> None:
    mounts = [
        {"destination": "/t", "type": "tmpfs", "source": "t"},
        {"destination": "/dev/pts", "type": "devpts", "source": "p"},
        {"destination": "/b", "type": "bind", "source": "/s", "options": ["rbind"]},
        {"destination": "/c", "type": "bind", "source": "/s", "options": ["bind", "dev"]},
    ]
    plan = plan_of(spec_of(linux__resources=DENIED, mounts=mounts))
    assert before(plan, "root-bind", "root-nodev")
    assert before(plan, "root-nodev", "mount")
    assert records(plan, "mount", "bind") == [
        ["mount", "tmpfs", "t", "/t", "nodev", ""],
        ["mount", "devpts", "p", "/dev/pts", "", ""],
        ["bind", "/s", "/b", "rec,rnodev"],
        ["bind", "/s", "/c", "dev"],
    ]


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [{"allow": True, "access": "rwm"}],
        [DENY_ALL, {"allow": True, "access": "rwm"}],
        [{"allow": False, "type": "c", "major": 1, "minor": 1, "access": "rwm"}],
    ],
)
def test_rules_that_do_not_deny_what_they_do_not_name(rules: Any) -> None:
    assert records(plan_of(spec_of(linux__resources={"devices": rules})), "root-nodev") == []


def test_a_user_namespace_needs_no_nodev() -> None:
    spec = spec_of(linux__resources=DENIED)
    assert records(plan_of(spec, user_host()), "root-nodev") == []


def test_a_bound_dev_is_closed_but_for_what_the_rules_allow() -> None:
    dev = {"destination": "/dev", "type": "bind", "source": "/dev", "options": ["rbind"]}
    plan = plan_of(spec_of(linux__resources=DENIED, mounts=[dev]))
    assert records(plan, "bind") == [["bind", "/dev", "/dev", "rec,rnodev"]]
    assert ["device", "/dev/null", "c", "1", "3", "666", "0", "0"] in plan
    assert records(plan, "symlink") == []
    fuse = {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"}
    plan = plan_of(spec_of(linux__resources={"devices": [DENY_ALL, fuse]}, mounts=[dev]))
    assert records(plan, "bind") == [["bind", "/dev", "/dev", "rec"]]


@pytest.mark.parametrize(
    ("path", "clean"),
    [("/../../x", "/x"), ("a/./b/../c", "/a/c"), ("//x//", "/x"), ("/..", "/"), ("/a/..", "/")],
)
def test_dots_of_a_destination(path: str, clean: str) -> None:
    spec = spec_of(mounts=[{"destination": path, "type": "tmpfs", "source": "t"}])
    assert records(plan_of(spec), "mount") == [["mount", "tmpfs", "t", clean, "", ""]]


def test_the_root_is_not_masked() -> None:
    spec = spec_of()
    spec["linux"]["maskedPaths"] = ["/a/.."]
    with pytest.raises(InvalidInput, match="the root itself"):
        plan_of(spec)


@pytest.mark.parametrize("device", [{"path": "/d", "type": "x"}, {"path": "/d", "type": "c"}])
def test_devices_that_are_refused(device: Any) -> None:
    with pytest.raises(InvalidInput, match='device "/d"'):
        plan_of(spec_of(linux__devices=[device]))


def test_masks_come_before_the_pivot_and_readonly_paths_after_the_sysctls() -> None:
    plan = plan_of(spec_of(linux__sysctl={"net.ipv4.ip_forward": "1"}))
    assert before(plan, "mask", "pivot")
    assert before(plan, "pivot", "sysctl")
    assert before(plan, "sysctl", "readonly")


def test_propagation() -> None:
    plan = plan_of(spec_of(linux__rootfsPropagation="rprivate"))
    assert records(plan, "propagation", "root-propagation") == [
        ["propagation", "rprivate"],
        ["root-propagation", "rprivate"],
    ]
    plan = plan_of(spec_of(linux__rootfsPropagation="shared"))
    assert records(plan, "propagation", "root-propagation") == [
        ["propagation", "rslave"],
        ["root-propagation", "shared"],
    ]
    with pytest.raises(InvalidInput, match="rootfsPropagation"):
        plan_of(spec_of(linux__rootfsPropagation="sideways"))


# ---- sysctls


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"),
        ("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"),
        ("kernel.shm_rmid_forced", "kernel/shm_rmid_forced"),
    ],
)
def test_sysctl_keys(name: str, key: str) -> None:
    assert sysctl.key_of(name) == key


@pytest.mark.parametrize("name", ["", "net..ipv4", "/net/ipv4", "net/../kernel/x"])
def test_sysctl_keys_that_are_no_path(name: str) -> None:
    assert sysctl.key_of(name) == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("net.ipv4.ip_forward", "needs a network namespace"),
        ("kernel.msgmax", "needs a ipc namespace"),
        ("kernel.domainname", "needs a uts namespace"),
        ("vm.swappiness", "would change the host"),
        ("kernel.core_pattern", "would change the host"),
    ],
)
def test_sysctls_of_the_host_are_refused(name: str, message: str) -> None:
    spec = spec_of(linux__sysctl={name: "1"}, hostname="")
    spec["linux"]["namespaces"] = [{"type": "mount"}]
    with pytest.raises(InvalidInput, match=message):
        plan_of(spec)


# ---- what is mounted already


@pytest.mark.parametrize(
    ("options", "record"),
    [
        (["remount", "size=2m"], ["remount", "/t", "", "size=2m"]),
        (["remount", "ro", "nosuid"], ["remount", "/t", "ro,nosuid", ""]),
        (["bind", "remount", "rro"], ["remount", "/t", "bind,rro", ""]),
    ],
)
def test_a_remount(options: list[str], record: list[str]) -> None:
    spec = spec_of(mounts=[{"destination": "/t", "type": "tmpfs", "options": options}])
    assert record in plan_of(spec)


def test_a_remount_of_dev_does_not_make_it_the_hosts() -> None:
    mounts = [{"destination": "/dev", "options": ["bind", "remount", "nosuid"]}]
    assert records(plan_of(spec_of(mounts=mounts)), "device")


@pytest.mark.parametrize(
    ("mounts", "closed"),
    [
        ([("/t", ["ro"])], []),
        ([("/t", ["ro"]), ("/t/deep", [])], [["remount", "/t", "bind,ro", ""]]),
        ([("/t", ["bind", "rro"]), ("/t/deep", ["ro"])], [["remount", "/t", "bind,rro", ""]]),
        ([("/t", ["ro", "rw"]), ("/t/deep", [])], []),
        ([("/t", ["ro"]), ("/tea", [])], []),
        ([("/t/deep", []), ("/t", ["ro"])], []),
        ([("/t", ["ro"]), ("/t", []), ("/t/deep", [])], []),
        ([("/dev", ["ro"])], [["remount", "/dev", "bind,ro", ""]]),
    ],
)
def test_a_readonly_mount_is_closed_once_what_is_in_it_has_its_place(
    mounts: list[tuple[str, list[str]]], closed: list[list[str]]
) -> None:
    spec = spec_of(
        mounts=[
            {"destination": path, "type": "tmpfs", "source": "/s", "options": options}
            for path, options in mounts
        ]
    )
    plan = plan_of(spec)
    assert records(plan, "remount") == closed
    if closed:
        assert before(plan, "symlink", "remount")
        assert before(plan, "remount", "ready")
        assert "ro" not in records(plan, "mount", "bind")[0][-2].split(",")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("kernel.hostname", "x", 'use the field "hostname"'),
        ("kernel/domainname", "x", '"domainname" differ'),
    ],
)
def test_names_that_two_fields_give(name: str, value: str, message: str) -> None:
    spec = spec_of(domainname="y")
    spec["linux"]["sysctl"] = {name: value}
    with pytest.raises(InvalidInput) as caught:
        plan_of(spec)
    assert message in f"{caught.value.message} {caught.value.hint}"


def test_a_device_where_a_link_belongs_is_left_out() -> None:
    spec = spec_of()
    spec["linux"]["devices"] = [{"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2}]
    plan = plan_of(spec)
    assert "/dev/ptmx" not in [row[1] for row in records(plan, "device")]
    assert ["symlink", "pts/ptmx", "/dev/ptmx"] in records(plan, "symlink")
