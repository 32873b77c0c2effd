"""The process of a container as steps."""

from __future__ import annotations

from typing import Any

import pytest

from rcrun.errors import HostLacks, InvalidInput
from rcrun.runtime.plan_process import capability_warnings, cpus_of
from unit.plans import before, plan_of, records, root_host, spec_of, user_host

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
        ({"process__ioPriority": {"class": "X"}}, "unknown class"),
        ({"linux__personality": {"domain": "BSD"}}, "unknown domain"),
        ({"linux__personality": {"domain": "LINUX", "flags": ["x"]}}, "reserved"),
        ({"process__args": []}, "no command"),
        ({"process__cwd": "srv"}, "not absolute"),
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
    rule = {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}
    asked = {**FILTER, "listenerPath": "/agent", "listenerMetadata": "m", "flags": []}
    asked["syscalls"] = [rule]
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


def test_groups_that_stay() -> None:
    spec = spec_of(process__user={"uid": 1, "gid": 2, "additionalGids": [3]})
    spec["annotations"] = {"run.oci.keep_original_groups": "1"}
    assert records(plan_of(spec), "user") == [["user", "1", "2", "-1"]]
    spec["annotations"] = {"run.oci.keep_original_groups": "0"}
    assert records(plan_of(spec), "user") == [["user", "1", "2", "3"]]


def test_ambient_capabilities_are_held_and_inheritable() -> None:
    """The kernel refuses others, and buildah asks for them."""
    sets = {"ambient": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN", "CAP_KILL"]}
    sets["inheritable"] = ["CAP_KILL"]
    [record] = records(plan_of(spec_of(process__capabilities=sets)), "capabilities")
    assert record[-1] == f"{1 << 5:x}"


def test_without_questions_nobody_need_be_there() -> None:
    asked = {**FILTER, "listenerPath": "/agent", "listenerMetadata": "m"}
    asked["flags"] = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_LOG"]
    plan = plan_of(spec_of(linux__seccomp=asked), seccomp_fd=9)
    assert records(plan, "seccomp-agent") == [["seccomp-agent", "/agent", "optional"]]
    [record] = records(plan, "seccomp")
    assert record[:3] == ["seccomp", "9", "wait_killable_recv,log,new_listener"]
    del asked["listenerPath"], asked["listenerMetadata"]
    plan = plan_of(spec_of(linux__seccomp=asked), seccomp_fd=9)
    assert records(plan, "seccomp-agent") == []
    assert records(plan, "seccomp") == [["seccomp", "9", "log"]]


@pytest.mark.parametrize(
    ("sets", "held", "warnings"),
    [
        ({"bounding": ["CAP_KILL"]}, -1, 0),
        ({"bounding": ["CAP_FLY", "CAP_KILL"], "ambient": ["CAP_FLY"]}, -1, 1),
        ({"bounding": ["CAP_CHOWN", "CAP_KILL"]}, 1, 1),
        ({"effective": None}, 0, 0),
        ({"ambient": ["CAP_KILL"], "permitted": ["CAP_KILL"]}, -1, 0),
        ({"ambient": ["CAP_KILL"], "inheritable": ["CAP_CHOWN"]}, -1, 1),
        ({"effective": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL"]}, -1, 1),
    ],
)
def test_capabilities_that_cannot_be_given(sets: Any, held: int, warnings: int) -> None:
    assert len(capability_warnings({"capabilities": sets}, held)) == warnings
    assert records(plan_of(spec_of(process__capabilities=sets)), "capabilities")


@pytest.mark.parametrize(
    ("text", "cpus"), [("", set()), ("0", {0}), ("0-2,7", {0, 1, 2, 7}), ("3, 5", {3, 5})]
)
def test_lists_of_processors(text: str, cpus: set[int]) -> None:
    assert cpus_of(text, "final") == cpus


@pytest.mark.parametrize("text", ["x", "1-", "3-1", "0,,1", "1024", "-1", "0-3-5"])
def test_lists_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInput, match=r'"process.execCPUAffinity.final" is no list'):
        cpus_of(text, "final")
