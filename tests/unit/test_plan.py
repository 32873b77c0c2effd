"""Plans are lists: what config.json asks for is there, in the order that the kernel needs."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rcrun.errors import HostLacks, InvalidInput
from rcrun.formats.spec import default_spec
from rcrun.kernel.identity import Identity, single
from rcrun.runtime.host import Host
from rcrun.runtime.plan import complete, container_plan, state_text, sysctl_key
from rcrun.runtime.plan_exec import exec_plan

WHOLE = [(0, 0, 4294967295)]
RANGE = [(0, 1000, 1), (1, 100000, 65536)]


def root_host(**facts: Any) -> Host:
    return Host(Identity(0, 0, "root", WHOLE, WHOLE), **facts)


def user_host(**facts: Any) -> Host:
    identity = Identity(
        1000, 1000, "mapped", RANGE, RANGE, newuidmap="/bin/newuidmap", newgidmap="/bin/newgidmap"
    )
    return Host(identity, **facts)


def single_host(**facts: Any) -> Host:
    return Host(single(1000, 1000, "no subordinate ids"), **facts)


def spec_of(**changes: Any) -> Any:
    spec: Any = copy.deepcopy(default_spec())
    spec["process"]["terminal"] = False
    spec["linux"].pop("resources")  # what they do to mounts has tests of its own
    for path, value in changes.items():
        where = spec
        *parents, last = path.split("__")
        for name in parents:
            where = where.setdefault(name, {})
        where[last] = value
    return spec


def plan_of(spec: Any, host: Host | None = None, **options: Any) -> list[list[str]]:
    return container_plan(spec, "/b", host or root_host(), **options)


def records(plan: list[list[str]], *names: str) -> list[list[str]]:
    return [record for record in plan if record[0] in names]


def names(plan: list[list[str]]) -> list[str]:
    return [record[0] for record in plan]


def before(plan: list[list[str]], first: str, second: str) -> bool:
    order = names(plan)
    return order.index(first) < order.index(second)


# ---- the whole


def test_the_smallest_container() -> None:
    spec = {
        "ociVersion": "1.0.2",
        "process": {"args": ["/bin/true"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "linux": {"namespaces": [{"type": "mount"}]},
    }
    plan = container_plan(spec, "/b", root_host(), settings=[["id", "c"], ["state", "/s"]])
    assert [record for record in plan if record[0] not in ("device", "symlink")] == [
        ["plan", "1"],
        ["session", "container"],
        ["id", "c"],
        ["state", "/s"],
        ["unshare", "mount"],
        ["propagation", "rslave"],
        ["root-bind", "/b/rootfs"],
        ["ready"],
        ["umask", "22"],
        ["pivot"],
        ["user", "0", "0"],
        ["capabilities", "0", "0", "0", "0", "0"],
        ["cwd", "/"],
        ["env"],
        ["exec", "/bin/true"],
    ]


def test_settings_namespaces_steps_and_what_follows_the_end_come_in_this_order() -> None:
    plan = plan_of(
        spec_of(process__terminal=True, process__cwd="/srv", hostname="h"),
        user_host(),
        settings=[["start-socket", "/s"]],
        on_exit=[["unlink", "/x"]],
        root=[["root-overlay", "/u", "/w", "userxattr", "/l1", "/l2"]],
        init=True,
        keyring="c",
    )
    order = list(dict.fromkeys(names(plan)))
    assert (
        order
        == (
            "plan session start-socket terminal uidmap gidmap unshare propagation loopback hostname"
            " root-overlay mount device symlink mkdir console ready mask rlimit umask pivot"
            " readonly root-readonly keyring start-wait no-new-privs user capabilities cwd env init exec"
            " on-exit unlink"
        ).split()
    )


def test_without_pivot_the_root_is_moved() -> None:
    plan = plan_of(spec_of(), pivot=False)
    assert records(plan, "pivot", "move-root") == [["move-root"]]


def test_the_caller_can_make_the_root() -> None:
    plan = plan_of(spec_of(root={"path": "ignored"}), root=[["root-bind", "/somewhere"]])
    assert records(plan, "root-bind") == [["root-bind", "/somewhere"]]


def test_a_root_is_needed() -> None:
    with pytest.raises(InvalidInput, match=r"root\.path"):
        plan_of(spec_of(root={}))


# ---- namespaces and maps


def test_root_gets_no_user_namespace() -> None:
    plan = plan_of(spec_of())
    assert records(plan, "uidmap", "gidmap", "unshare") == [
        ["unshare", "mount,pid,network,ipc,uts,cgroup"]
    ]


def test_a_user_gets_a_user_namespace_with_all_his_ids() -> None:
    plan = plan_of(spec_of(), user_host())
    assert records(plan, "uidmap", "gidmap", "unshare") == [
        ["uidmap", "/bin/newuidmap", "0", "1000", "1", "1", "100000", "65536"],
        ["gidmap", "/bin/newgidmap", "0", "1000", "1", "1", "100000", "65536"],
        ["unshare", "user,mount,pid,network,ipc,uts,cgroup"],
    ]


def test_with_one_id_it_is_the_one_that_the_process_runs_as() -> None:
    plan = plan_of(spec_of(process__user={"uid": 7, "gid": 8}), single_host())
    assert records(plan, "uidmap", "gidmap", "user") == [
        ["uidmap", "", "7", "1000", "1"],
        ["gidmap", "", "8", "1000", "1"],
        ["user", "7", "8"],
    ]


def test_maps_of_the_configuration_are_kept() -> None:
    mapping = [{"containerID": 0, "hostID": 1000, "size": 1}]
    spec = spec_of(linux__uidMappings=mapping, linux__gidMappings=mapping)
    spec["linux"]["namespaces"].append({"type": "user"})
    plan = plan_of(spec, user_host())
    assert records(plan, "uidmap", "gidmap") == [
        ["uidmap", "", "0", "1000", "1"],
        ["gidmap", "", "0", "1000", "1"],
    ]


def test_more_ids_than_the_user_has_name_the_remedy() -> None:
    mapping = [{"containerID": 0, "hostID": 100000, "size": 10}]
    spec = spec_of(linux__uidMappings=mapping, linux__gidMappings=mapping)
    spec["linux"]["namespaces"].append({"type": "user"})
    with pytest.raises(HostLacks, match="no subordinate ids") as caught:
        plan_of(spec, single_host())
    assert "usermod --add-subuids" in str(caught.value.hint)


def test_root_may_ask_for_a_user_namespace_and_leave_the_maps_out() -> None:
    spec = spec_of()
    spec["linux"]["namespaces"].append({"type": "user"})
    assert records(plan_of(spec), "uidmap") == [["uidmap", "", "0", "0", "4294967295"]]


def test_namespaces_are_joined_by_path() -> None:
    spec = spec_of()
    spec["linux"]["namespaces"] = [
        {"type": "mount"},
        {"type": "user", "path": "/proc/9/ns/user"},
        {"type": "network", "path": "/run/netns/a"},
    ]
    del spec["hostname"]
    plan = plan_of(spec, user_host())
    assert records(plan, "uidmap", "join", "unshare", "loopback") == [
        ["join", "user", "/proc/9/ns/user"],
        ["join", "network", "/run/netns/a"],
        ["unshare", "mount"],
    ]


def test_completing_twice_changes_nothing() -> None:
    once = complete(spec_of(), user_host())
    assert complete(once, user_host()) == once


def test_time_offsets() -> None:
    spec = spec_of(linux__timeOffsets={"boottime": {"secs": -5, "nanosecs": 7}})
    with pytest.raises(InvalidInput, match="time namespace"):
        plan_of(spec)
    spec["linux"]["namespaces"].append({"type": "time"})
    assert records(plan_of(spec), "time-offset") == [["time-offset", "boottime", "-5", "7"]]


@pytest.mark.parametrize(
    ("namespaces", "changes", "message"),
    [
        (["pid"], {}, "mount namespace"),
        (["mount", "mount"], {}, "twice"),
        (["mount", "nonsense"], {}, 'unknown namespace type "nonsense"'),
        (["mount"], {"hostname": "h"}, "uts namespace"),
        (["mount"], {"domainname": "d", "hostname": ""}, "uts namespace"),
        (
            ["mount", "uts"],
            {"linux__uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]},
            "user",
        ),
    ],
)
def test_namespaces_that_do_not_fit(namespaces: list[str], changes: dict, message: str) -> None:  # type: ignore[type-arg]
    spec = spec_of(**changes)
    spec["linux"]["namespaces"] = [{"type": name} for name in namespaces]
    with pytest.raises(InvalidInput, match=message):
        plan_of(spec)


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
        ({"destination": "/", "type": "tmpfs"}, "nothing can be mounted"),
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
        (user_host(), "mount", ["bind", "/sys", "/sys", "rec,nosuid,ro"]),
        (single_host(), "mount", ["bind", "/sys", "/sys", "rec,nosuid,ro"]),
    ],
)
def test_sysfs_of_a_network_namespace_that_is_not_ours_is_bound(
    host: Host, namespaces: str, expected: list[str]
) -> None:
    assert mounts_of(SYSFS, host=host, namespaces=namespaces) == [expected]


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
    [("/../../x", "/x"), ("a/./b/../c", "/a/c"), ("//x//", "/x"), ("/..", ""), ("/a/..", "")],
)
def test_dots_of_a_destination(path: str, clean: str) -> None:
    spec = spec_of(mounts=[{"destination": path, "type": "tmpfs", "source": "t"}])
    if clean:
        assert records(plan_of(spec), "mount") == [["mount", "tmpfs", "t", clean, "", ""]]
    else:
        with pytest.raises(InvalidInput, match="nothing can be mounted on"):
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
    assert sysctl_key(name) == key


@pytest.mark.parametrize("name", ["", "net..ipv4", "/net/ipv4", "net/../kernel/x"])
def test_sysctl_keys_that_are_no_path(name: str) -> None:
    with pytest.raises(InvalidInput):
        sysctl_key(name)


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


# ---- the process


def test_limits() -> None:
    plan = plan_of(
        spec_of(
            process__rlimits=[{"type": "RLIMIT_CORE", "soft": 0, "hard": 2**64 - 1}],
            process__oomScoreAdj=500,
            process__user={"uid": 1, "gid": 2, "umask": 0o77, "additionalGids": [3, 4]},
            process__ioPriority={"class": "IOPRIO_CLASS_IDLE", "priority": 7},
            process__scheduler={
                "policy": "SCHED_BATCH",
                "nice": 5,
                "flags": ["SCHED_FLAG_RESET_ON_FORK"],
            },
            linux__personality={"domain": "LINUX32"},
        )
    )
    assert records(
        plan, "rlimit", "oom-score", "umask", "io-priority", "scheduler", "personality", "user"
    ) == [
        ["rlimit", "RLIMIT_CORE", "0", "-1"],
        ["oom-score", "500"],
        ["umask", "77"],
        ["personality", "8"],
        ["scheduler", "SCHED_BATCH", "5", "0", "0", "0", "0", "1"],
        ["io-priority", "IOPRIO_CLASS_IDLE", "7"],
        ["user", "1", "2", "3", "4"],
    ]


def test_a_user_cannot_lower_his_oom_score_so_it_is_left() -> None:
    spec = spec_of(process__oomScoreAdj=-500)
    assert records(plan_of(spec, user_host(oom_score_adj=100)), "oom-score") == []
    assert records(plan_of(spec, root_host(oom_score_adj=100)), "oom-score") == [
        ["oom-score", "-500"]
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"process__rlimits": [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]}, "unknown limit"),
        ({"process__rlimits": [{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]}, "above the hard"),
        ({"process__rlimits": [{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}] * 2}, "twice"),
        ({"process__scheduler": {"policy": "SCHED_X"}}, "unknown policy"),
        ({"process__scheduler": {"policy": "SCHED_OTHER", "runtime": 1}}, "SCHED_DEADLINE"),
        ({"process__capabilities": {"ambient": ["CAP_FLY"]}}, 'unknown capability "CAP_FLY"'),
        ({"process__ioPriority": {"class": "X"}}, "unknown class"),
        ({"linux__personality": {"domain": "BSD"}}, "unknown domain"),
        ({"linux__personality": {"domain": "LINUX", "flags": ["x"]}}, "reserved"),
        ({"process__args": []}, "no command"),
        ({"process__cwd": "srv"}, "not absolute"),
        ({"linux__intelRdt": {"closID": "x"}}, "intelRdt"),
        ({"vm": {}}, '"vm" is not supported'),
        ({"hooks": {"prestart": [{"path": "x"}]}}, "not absolute"),
    ],
)  # fmt: skip
def test_what_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        plan_of(spec_of(**changes))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"deadline": 3000}, "requires `runtime`"),
        ({"runtime": 2000}, "requires `deadline`"),
        ({"runtime": 0, "deadline": 3000}, "runtime must be greater than 0"),
        ({"runtime": 9, "deadline": 3000}, "runtime 9 must be between 1024 and"),
        ({"runtime": 2**63, "deadline": 2**63}, "must be between 1024 and"),
        ({"runtime": 5000, "deadline": 3000}, "runtime 5000 must be <= deadline 3000"),
        ({"runtime": 2000, "deadline": 3000, "period": 5}, "deadline 3000 must be <= period 5"),
    ],
)
def test_deadlines(numbers: dict[str, int], message: str) -> None:
    spec = spec_of(process__scheduler={"policy": "SCHED_DEADLINE", **numbers})
    with pytest.raises(InvalidInput, match=message):
        plan_of(spec)


@pytest.mark.parametrize(
    ("field", "value", "fact", "record"),
    [
        ("process__apparmorProfile", "p", "apparmor", ["apparmor", "p"]),
        ("process__selinuxLabel", "l", "selinux", ["label", "exec", "l"]),
    ],
)
def test_labels_need_their_module(field: str, value: str, fact: str, record: list[str]) -> None:
    spec = spec_of(**{field: value})
    with pytest.raises(HostLacks):
        plan_of(spec)
    plan = plan_of(spec, root_host(**{fact: True}))
    assert record in plan
    assert before(plan, record[0], "no-new-privs")


def test_an_id_that_is_not_mapped_names_the_remedy() -> None:
    spec = spec_of(process__user={"uid": 0, "gid": 0, "additionalGids": [70000]})
    with pytest.raises(InvalidInput, match="group 70000 does not exist"):
        plan_of(spec, user_host())
    assert records(plan_of(spec), "user") == [["user", "0", "0", "70000"]]


def test_capabilities_are_masks() -> None:
    sets = {
        "bounding": ["CAP_CHOWN", "CAP_NET_ADMIN"],
        "effective": ["CAP_CHOWN"],
        "permitted": ["CAP_CHOWN"],
        "ambient": [],
    }
    plan = plan_of(spec_of(process__capabilities=sets))
    assert records(plan, "capabilities") == [["capabilities", "1001", "1", "0", "1", "0"]]


# ---- seccomp


FILTER = {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"]}


def test_with_no_new_privs_the_filter_is_the_last_privilege() -> None:
    plan = plan_of(spec_of(linux__seccomp=FILTER), seccomp_fd=9)
    assert records(plan, "seccomp") == [["seccomp", "9", "log"]]
    assert before(plan, "no-new-privs", "user")
    assert before(plan, "capabilities", "seccomp")


def test_without_it_the_filter_needs_the_capabilities() -> None:
    plan = plan_of(spec_of(linux__seccomp=FILTER, process__noNewPrivileges=False), seccomp_fd=9)
    assert records(plan, "no-new-privs") == []
    assert before(plan, "user", "seccomp")
    assert before(plan, "seccomp", "capabilities")


def test_a_listener_is_passed() -> None:
    asked = {**FILTER, "listenerPath": "/agent", "listenerMetadata": "m", "flags": []}
    plan = plan_of(spec_of(linux__seccomp=asked), seccomp_fd=9, settings=[["id", "c"]])
    assert records(plan, "seccomp-agent") == [["seccomp-agent", "/agent"]]
    [record] = records(plan, "seccomp")
    assert record == [
        "seccomp",
        "9",
        "new_listener",
        '{"fds":["seccompFd"],"metadata":"m","ociVersion":"0.2.0","pid":@PID@,"state":{"annotations":{},'
        '"bundle":"/b","id":"c","ociVersion":"1.0.2","pid":@PID@,"status":"creating"}}',
    ]


def test_nobody_forgets_to_compile_the_filter() -> None:
    with pytest.raises(ValueError, match="seccomp"):
        plan_of(spec_of(linux__seccomp=FILTER))


# ---- hooks


def test_hooks_are_settings_and_two_kinds_are_steps() -> None:
    hook = {"path": "/h", "args": ["h", "a"], "env": ["X=1"], "timeout": 3}
    kinds = (
        "prestart",
        "createRuntime",
        "createContainer",
        "startContainer",
        "poststart",
        "poststop",
    )
    plan = plan_of(
        spec_of(hooks={kind: [hook] for kind in kinds}, annotations={"a": "b"}),
        settings=[["id", "c"]],
    )
    assert records(plan, "hook") == [
        ["hook", kind, "0", "3", "/h", "2", "h", "a", "X=1"] for kind in kinds
    ]
    assert records(plan, "hooks") == [["hooks", "createContainer"], ["hooks", "startContainer"]]
    assert before(plan, "ready", "hooks")
    assert records(plan, "state-json") == [
        ["state-json", '{"annotations":{"a":"b"},"bundle":"/b","id":"c","ociVersion":"1.0.2"']
    ]


def test_a_hook_without_args_is_called_by_its_path() -> None:
    plan = plan_of(spec_of(hooks={"prestart": [{"path": "/h"}]}))
    assert records(plan, "hook") == [["hook", "prestart", "0", "0", "/h", "1", "/h"]]


def test_state_text_lacks_its_end() -> None:
    assert state_text({"ociVersion": "1.0.2"}, "c", "/b") == (
        '{"annotations":{},"bundle":"/b","id":"c","ociVersion":"1.0.2"'
    )


# ---- resources


def test_limits_need_a_cgroup() -> None:
    resources = {"memory": {"limit": 1}, "pids": {"limit": 5}, "cpu": {"cpus": "0"}}
    spec = spec_of(linux__resources=resources)
    with pytest.raises(HostLacks, match="cannot limit memory, pids, cpuset"):
        plan_of(spec, user_host())
    assert ["cgroup", "/c"] in plan_of(spec, user_host(), settings=[["cgroup", "/c"]])


@pytest.mark.parametrize(
    "resources",
    [
        {"devices": [{"allow": False, "access": "rwm"}]},
        {"memory": {"disableOOMKiller": False}, "pids": {"limit": -1}, "cpu": {"shares": 0}},
        {"hugepageLimits": [], "blockIO": {"weight": 0}, "unified": {}},
        {},
    ],
)
def test_what_is_no_limit_needs_none(resources: Any) -> None:
    plan_of(spec_of(linux__resources=resources), user_host())


# ---- exec


def test_exec_joins_what_the_container_has() -> None:
    process: Any = {
        "args": ["sh"],
        "cwd": "/srv",
        "terminal": True,
        "consoleSize": {"height": 24, "width": 80},
        "execCPUAffinity": {"initial": "0", "final": "1-2"},
    }
    plan = exec_plan(process, spec_of(), 42, 4242, user_host(), settings=[["detach"]])
    assert plan == [
        ["plan", "1"],
        ["session", "exec"],
        ["detach"],
        ["terminal", "24", "80"],
        ["join-pid", "42", "4242", "user,mount,pid,network,ipc,uts,cgroup"],
        ["console"],
        ["ready"],
        ["affinity", "1-2"],
        ["umask", "22"],
        ["user", "0", "0"],
        ["capabilities", "0", "0", "0", "0", "0"],
        ["cwd", "/srv"],
        ["env"],
        ["exec", "sh"],
    ]
