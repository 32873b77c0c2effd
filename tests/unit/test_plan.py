"""Plans are lists: what config.json asks for is there, in the order that the kernel needs."""

from __future__ import annotations

from typing import Any

import pytest

from rcrun.errors import HostLacks, InvalidInput
from rcrun.runtime.plan import complete, container_plan, state_text
from rcrun.runtime.plan_process import exec_plan
from unit.plans import before, names, plan_of, records, root_host, single_host, spec_of, user_host

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


def test_a_class_of_service_is_never_forgotten() -> None:
    spec = spec_of(linux__intelRdt={"closID": "gold"})
    with pytest.raises(InvalidInput, match="intelRdt"):
        plan_of(spec)
    helper = ["helper", "/dev/null", "python3", "resctrl.py", "@PID@", "/sys/fs/resctrl/gold/tasks"]
    assert helper in plan_of(spec, settings=[helper])
