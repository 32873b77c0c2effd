"""The rules of the runtime specification that its schema cannot say, each with the place of its fault."""

from __future__ import annotations

from typing import Any

import pytest

from rcrun.formats.validate import faults
from unit.mutations import rich_config

USER = {"type": "user"}
ROW = {"containerID": 0, "hostID": 1000, "size": 10}
NOTIFY: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}],
}


def changed(path: str, value: object) -> dict[str, Any]:
    """`a.b+` appends to the list at a.b."""
    document = rich_config()
    *parents, last = path.rstrip("+").split(".")
    where: Any = document
    for name in parents:
        where = where.setdefault(name, {})
    if path.endswith("+"):
        where.setdefault(last, []).append(value)
    elif value is None:
        del where[last]
    else:
        where[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        # config.md
        ("root", None, 'document: "root" is missing'),
        ("windows", {}, "windows: is not for Linux"),
        ("process.args", None, 'process: "args" is missing'),
        ("process.args", ["a\0b"], "process.args[0]: holds a NUL character"),
        ("process.env+", "A=\ud800", "process.env[2]: is no text that can be written as UTF-8"),
        ("process.user", {"uid": 1.0, "gid": 0}, "process.user.uid: 1.0 is not of type integer"),
        ("process.rlimits+", {"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1}, 'process.rlimits[1].type: "RLIMIT_NOFILE" is there twice'),
        ("process.rlimits+", {"type": "RLIMIT_CPU", "soft": 2, "hard": 1}, "process.rlimits[1]: the soft limit 2 is above the hard limit 1"),
        ("process.rlimits+", {"type": "RLIMIT_X", "soft": 1, "hard": 1}, 'process.rlimits[1].type: "RLIMIT_X" is not one of "RLIMIT_AS"'),
        ("process.capabilities", {"bounding": ["CAP_NOTHING"]}, 'process.capabilities.bounding[0]: "CAP_NOTHING" is no capability'),
        ("process.capabilities", {"effective": ["CAP_KILL"]}, 'process.capabilities.effective[0]: "CAP_KILL" is not in "permitted"'),
        ("process.scheduler", {"policy": "SCHED_FIFO"}, 'process.scheduler: SCHED_FIFO needs a "priority" from 1 to 99'),
        ("process.scheduler", {"policy": "SCHED_OTHER", "runtime": 5}, "process.scheduler.runtime: is for SCHED_DEADLINE, not for SCHED_OTHER"),
        ("process.scheduler", {"policy": "SCHED_BATCH", "priority": 5}, "process.scheduler.priority: is for SCHED_FIFO and SCHED_RR, not for SCHED_BATCH"),
        ("process.scheduler", {"policy": "SCHED_DEADLINE"}, 'process.scheduler: SCHED_DEADLINE needs "runtime" and "deadline"'),
        ("process.scheduler", {"policy": "SCHED_DEADLINE", "runtime": 9, "deadline": 8}, "process.scheduler.runtime: 9 is above the deadline 8"),
        ("process.execCPUAffinity", {"initial": "3-1"}, 'process.execCPUAffinity.initial: "3-1" ends before it begins'),
        ("mounts+", {"destination": "/x", "options": ["bind"]}, 'mounts[8]: a bind mount needs a "source"'),
        ("mounts+", {"destination": "/x", "source": "y"}, 'mounts[8]: "type" is missing, and it is no bind mount'),
        ("mounts+", {"destination": "/", "type": "tmpfs"}, 'mounts[8].destination: "/" is the root itself'),
        ("mounts+", {"destination": "/x", "source": "y", "options": ["bind", "quick"]}, 'mounts[8].options[1]: "quick" is no option of a bind mount'),
        ("mounts+", {"destination": "/x", "source": "y", "options": ["bind", "idmap"]}, "mounts[8]: an idmapped mount needs mappings, its own or those of a user namespace"),
        ("mounts+", {"destination": "/x", "source": "y", "options": ["bind", "idmap"], "uidMappings": [ROW]}, 'mounts[8]: "uidMappings" needs "gidMappings" beside it'),
        ("hooks", {"poststop": [{"path": "/x", "timeout": 0}]}, "hooks.poststop[0].timeout: 0 is below 1"),
        # config-linux.md
        ("linux.namespaces+", {"type": "pid"}, 'linux.namespaces[6].type: "pid" is there twice'),
        ("linux.namespaces", [{"type": "mount"}, {"type": "network"}], 'domainname: needs {"type": "uts"} in "linux.namespaces"'),
        ("linux.timeOffsets", {"boottime": {"secs": 1}}, 'linux.timeOffsets: needs {"type": "time"} in "linux.namespaces"'),
        ("linux.uidMappings", [ROW], 'linux.uidMappings: needs {"type": "user"} in "linux.namespaces"'),
        ("linux.sysctl", {"vm.swappiness": "1"}, 'linux.sysctl["vm.swappiness"]: is not of a namespace: it would change the host'),
        ("linux.maskedPaths", ["/proc/.."], None),
        ("linux.maskedPaths", ["/.."], 'linux.maskedPaths[0]: "/.." is the root itself'),
        ("linux.devices+", {"path": "/dev/more", "type": "c", "major": 1, "minor": 5}, 'linux.devices[1].path: "/dev/more" is another device already'),
        ("linux.devices+", {"path": "/dev/x", "type": "c", "major": -1, "minor": 5}, "linux.devices[1].major: -1 is below 0"),
        ("linux.netDevices", {"eth0": {"name": "a/b"}}, 'linux.netDevices.eth0.name: "a/b" is not a name for a network device'),
        ("linux.netDevices", {"a": {"name": "x"}, "b": {"name": "x"}}, 'linux.netDevices.b: "x" is the name of another one already'),
        ("linux.netDevices", {"a": {"name": "x%d"}, "b": {"name": "x%d"}}, None),
        ("linux.resources", {"cpu": {"cpus": "1,3-2"}}, 'linux.resources.cpu.cpus: "3-2" ends before it begins'),
        ("linux.resources", {"cpu": {"cpus": "a"}}, 'linux.resources.cpu.cpus: "a" is not a list such as 0-3,7'),
        ("linux.resources", {"cpu": {"quota": 10, "burst": 20}}, "linux.resources.cpu.burst: 20 is above the quota 10"),
        ("linux.resources", {"memory": {"limit": 20, "swap": 10}}, "linux.resources.memory.swap: 10, memory and swap together, is below 20"),
        ("linux.resources", {"memory": {"swappiness": 101}}, "linux.resources.memory.swappiness: 101 is above 100"),
        ("linux.resources", {"hugepageLimits": [{"pageSize": "2MB", "limit": 1}] * 2}, 'linux.resources.hugepageLimits[1].pageSize: "2MB" is there twice'),
        ("linux.resources", {"blockIO": {"weightDevice": [{"major": 1, "minor": 1}]}}, 'linux.resources.blockIO.weightDevice[0]: "weight" or "leafWeight" is missing'),
        ("linux.resources", {"blockIO": {"throttleReadBpsDevice": [{"major": 1, "minor": 1}]}}, 'linux.resources.blockIO.throttleReadBpsDevice[0]: "rate" is missing'),
        ("linux.resources", {"rdma": {"mlx": {}}}, 'linux.resources.rdma.mlx: "hcaHandles" or "hcaObjects" is missing'),
        ("linux.resources", {"unified": {"../x": "1"}}, 'linux.resources.unified: "../x" is not a file of a cgroup'),
        ("linux.memoryPolicy", {"mode": "MPOL_BIND"}, 'linux.memoryPolicy: MPOL_BIND needs "nodes"'),
        ("linux.memoryPolicy", {"mode": "MPOL_LOCAL", "nodes": "0"}, "linux.memoryPolicy.nodes: MPOL_LOCAL takes none"),
        ("linux.memoryPolicy", {"mode": "MPOL_BEST"}, 'linux.memoryPolicy.mode: "MPOL_BEST" is not one of'),
        ("linux.personality", {"domain": "LINUX", "flags": ["X"]}, 'linux.personality.flags: ["X"] is not empty'),
        ("linux.intelRdt", {"closID": "../x"}, 'linux.intelRdt.closID: "../x" is not a name for a class of service'),
        ("linux.intelRdt", {"memBwSchema": "L3:0=f"}, 'linux.intelRdt.memBwSchema: "L3:0=f" is not a line that begins with MB:'),
        ("linux.intelRdt", {"closID": "/", "schemata": ["L3:0=f"], "enableMonitoring": True}, None),
        ("linux.seccomp", {"defaultAction": "SCMP_ACT_NOTIFY"}, "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY would ask about the call that tells of it"),
        ("linux.seccomp", NOTIFY, 'linux.seccomp: SCMP_ACT_NOTIFY needs "listenerPath"'),
        ("linux.seccomp", {**NOTIFY, "listenerPath": "/s", "listenerMetadata": "\0"}, None),
        ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}, 'linux.seccomp.listenerMetadata: needs "listenerPath" beside it'),
        ("linux.seccomp", {"defaultAction": "SCMP_ACT_KILL", "defaultErrnoRet": 1}, "linux.seccomp.defaultErrnoRet: SCMP_ACT_KILL gives no error"),
        ("linux.seccomp", {"defaultAction": "SCMP_ACT_KILL", "architectures": ["X86"]}, 'linux.seccomp.architectures[0]: "X86" is not one of'),
        ("linux.seccomp", {"defaultAction": "SCMP_ACT_KILL", "flags": ["TSYNC"]}, 'linux.seccomp.flags[0]: "TSYNC" is not one of'),
    ],
)  # fmt: skip
def test_rules(path: str, value: object, expected: str | None) -> None:
    found = faults(changed(path, value), "config")
    if expected is None:
        assert found == []
    else:
        assert found
        assert found[0].startswith(expected), found


def test_mappings_do_not_overlap_nor_end_beyond_the_ids() -> None:
    document = rich_config()
    document["linux"]["namespaces"].append(USER)
    document["linux"]["uidMappings"] = [ROW, {"containerID": 5, "hostID": 9, "size": 4294967295}]
    document["linux"]["gidMappings"] = [ROW, {"containerID": 10, "hostID": 1010, "size": 1}]
    assert faults(document, "config") == [
        "linux.uidMappings[1]: ends beyond the last id, 4294967295",
        "linux.uidMappings[1].containerID: 5 is in the range of an earlier row",
        "linux.uidMappings[1].hostID: 9 is in the range of an earlier row",
    ]


def test_every_fault_is_told() -> None:
    document = rich_config()
    document["process"]["cwd"] = "x"
    document["process"]["rlimits"] = 5
    document["linux"]["namespaces"] += [{"type": "pid"}, {"type": "pods"}]
    assert [fault.partition(":")[0] for fault in faults(document, "config")] == [
        "linux.namespaces[6].type",
        "linux.namespaces[7].type",
        "process.cwd",
        "process.rlimits",
    ]
