"""Privileges, limits and refusals of a container."""

from __future__ import annotations

from typing import Any

import pytest

from config_facts import ROOT, built, facts
from rcrun.errors import HostLacks, InvalidInput


def refused(options: dict[str, Any], message: str, **more: Any) -> None:
    with pytest.raises((InvalidInput, HostLacks)) as caught:
        built(options, **more)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("options", "count", "has", "lacks"),
    [
        ({"cap_add": ("SYS_ADMIN",)}, 15, "CAP_SYS_ADMIN", ""),
        ({"cap_drop": ("cap_chown",)}, 13, "", "CAP_CHOWN"),
        ({"cap_drop": ("ALL",)}, 0, "", "CAP_CHOWN"),
        ({"cap_drop": ("all",), "cap_add": ("CHOWN,KILL",)}, 2, "CAP_KILL", "CAP_SETUID"),
        ({"cap_add": ("ALL",)}, 41, "CAP_BPF", ""),
        ({"cap_add": ("ALL",), "cap_drop": ("BPF",)}, 40, "", "CAP_BPF"),
        ({"privileged": True}, 41, "CAP_SYS_ADMIN", ""),
    ],
)
def test_capabilities(options: dict[str, Any], count: int, has: str, lacks: str) -> None:
    bounding = built(options).config["process"]["capabilities"]["bounding"]
    assert len(bounding) == count
    assert not has or has in bounding
    assert not lacks or lacks not in bounding


def test_root_gives_only_what_it_has() -> None:
    known = facts(ROOT, held=0b1)
    sets = built({"privileged": True}, known=known).config["process"]["capabilities"]
    assert sets["bounding"] == ["CAP_CHOWN"]


def test_unknown_capabilities_are_named() -> None:
    refused({"cap_add": ("FLY",)}, 'invalid --cap-add: unknown capability "FLY"')


def test_privileged_takes_masks_and_filter_away() -> None:
    linux = built({"privileged": True}).config["linux"]
    assert linux["maskedPaths"] == linux["readonlyPaths"] == []
    assert "seccomp" not in linux


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("no-new-privileges", lambda c: c["process"]["noNewPrivileges"]),
        ("no-new-privileges:true", lambda c: c["process"]["noNewPrivileges"]),
        ("no-new-privileges=false", lambda c: not c["process"]["noNewPrivileges"]),
        ("seccomp=unconfined", lambda c: "seccomp" not in c["linux"]),
        ("apparmor=mine", lambda c: c["process"]["apparmorProfile"] == "mine"),
        ("apparmor=unconfined", lambda c: "apparmorProfile" not in c["process"]),
        ("label=disable", lambda c: "selinuxLabel" not in c["process"]),
        ("label=level:s0", lambda c: "selinuxLabel" not in c["process"]),
        ("systempaths=unconfined", lambda c: c["linux"]["maskedPaths"] == []),
        ("mask=/a:/b", lambda c: c["linux"]["maskedPaths"][-2:] == ["/a", "/b"]),
        ("unmask=/proc/kcore", lambda c: "/proc/kcore" not in c["linux"]["maskedPaths"]),
        ("unmask=/proc/*", lambda c: c["linux"]["readonlyPaths"] == []),
        ("unmask=ALL", lambda c: c["linux"]["maskedPaths"] == c["linux"]["readonlyPaths"] == []),
    ],
)
def test_security_options(text: str, check: Any) -> None:
    assert check(built({"security_opt": (text,)}).config)


def test_wrong_security_options() -> None:
    refused({"security_opt": ("what",)}, 'invalid --security-opt "what"')
    labelled = facts(files={"/sys/fs/selinux/enforce": b"1"})
    refused({"security_opt": ("label=level:s0",)}, "not supported yet", known=labelled)
    refused({"security_opt": ("seccomp=/none",)}, 'cannot read "/none"')


def test_a_seccomp_profile_in_dockers_format() -> None:
    profile = b"""{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
      "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
      "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_ALLOW", "comment": "x", "args": []},
        {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]},
         "args": [{"index": 0, "value": 5, "op": "SCMP_CMP_EQ"}]},
        {"names": ["new"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "9.0"}},
        {"names": ["arm"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}}]}"""
    known = facts(files={"/p": profile})
    found = built({"security_opt": ("seccomp=/p",)}, known=known).config["linux"]["seccomp"]
    assert found == {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
            {
                "names": ["clone"],
                "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": 5, "op": "SCMP_CMP_EQ"}],
            },
        ],
    }
    refused({"security_opt": ("seccomp=/p",)}, "is not JSON", known=facts(files={"/p": b"{"}))
    refused({"security_opt": ("seccomp=/p",)}, "defaultAction", known=facts(files={"/p": b"[]"}))


# Limits.


def test_ulimits() -> None:
    found = built({"ulimit": ("nofile=100:200", "core=0")}).config["process"]["rlimits"]
    assert {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200} in found
    assert {"type": "RLIMIT_CORE", "soft": 0, "hard": 0} in found
    refused({"ulimit": ("nofile=5000",)}, "this user's hard limit is 4096")
    known = facts(ROOT, hard_limit=lambda name: -1)
    found = built({"ulimit": ("memlock=-1",)}, known=known).config["process"]["rlimits"]
    assert found[0]["hard"] == 1048576
    assert found[2] == {"type": "RLIMIT_MEMLOCK", "soft": 2**64 - 1, "hard": 2**64 - 1}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"memory": "64m"}, {"memory": {"limit": 64 << 20}}),
        (
            {"memory": "64m", "memory_swap": "128m", "memory_reservation": "32m"},
            {"memory": {"limit": 64 << 20, "reservation": 32 << 20, "swap": 128 << 20}},
        ),
        ({"memory": "64m", "memory_swap": "-1"}, {"memory": {"limit": 64 << 20, "swap": -1}}),
        ({"cpus": "1.5"}, {"cpu": {"quota": 150000, "period": 100000}}),
        ({"cpu_shares": 512, "cpuset_cpus": "0-1,3"}, {"cpu": {"shares": 512, "cpus": "0-1,3"}}),
        ({"pids_limit": 10}, {"pids": {"limit": 10}}),
        ({"pids_limit": -1}, {"pids": {"limit": -1}}),
        ({"pids_limit": 0}, {"pids": {"limit": -1}}),
        (dict.fromkeys(("memory", "memory_swap", "memory_reservation", "cpus"), "0"), None),
    ],
)
def test_resources(options: dict[str, Any], expected: dict[str, Any] | None) -> None:
    assert built(options).config["linux"].get("resources") == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory": "1m"}, "the least is 6m"),
        ({"memory": "x"}, "--memory: invalid size"),
        ({"memory_swap": "1g"}, "--memory-swap needs --memory"),
        ({"memory": "64m", "memory_swap": "1m"}, "memory and swap together"),
        ({"cpus": "0.001"}, "the least is 0.01"),
        ({"cpus": "many"}, "it is a number, and 0 is no limit"),
        ({"cpus": "1", "cpu_quota": 5}, "conflicting options: --cpus and --cpu-quota"),
        ({"cpuset_cpus": "1-"}, "invalid --cpuset-cpus"),
        ({"oom_score_adj": 2000}, "invalid --oom-score-adj"),
        ({"umask": "8"}, "invalid --umask"),
        ({"stop_signal": "NO"}, "--stop-signal: invalid signal"),
        ({"sysctl": ("vm.swappiness=1",)}, "not of a namespace"),
        ({"sysctl": ("net.core.somaxconn=1",), "network": "host"}, "not allowed with the host"),
        ({"sysctl": ("net.x",)}, "invalid --sysctl"),
        ({"workdir": "rel"}, "not an absolute path"),
        ({"hostname": "a b"}, "invalid --hostname"),
        ({"hostname": "a", "uts": "host"}, "conflicting options"),
        ({"pid": "pod:x"}, "--pid pod:x is for containers of a pod"),
        ({"pid": "ns:x"}, 'invalid --pid "ns:x": it is not an absolute path'),
        ({"pid": "what"}, 'invalid --pid "what"'),
        ({"network": ("mynet", "host")}, "--network host and another --network"),
        ({"network": "host", "ip": "10.0.0.1"}, "--ip and --network host"),
        ({"attach": ("stdout",), "detach": True}, "conflicting options: --attach and --detach"),
        ({"attach": ("what",)}, "invalid --attach"),
        ({"restart": "always", "rm": True}, "conflicting options"),
        ({"restart": "sometimes"}, "unknown policy"),
        ({"restart": "always:3"}, "only on-failure takes a count"),
        ({"health_cmd": "x", "health_retries": "y"}, "invalid --health-retries"),
        ({"label": ("=x",)}, "invalid --label"),
        ({"log_driver": "syslog"}, "is not supported"),
        ({"log_opt": ("max-size",)}, "invalid --log-opt"),
        ({"log_opt": ("what=1",)}, 'unknown --log-opt "what"'),
        ({"log_opt": ("max-file=0",)}, "it is 1 to 1000"),
        ({"publish": ("80/sctp",)}, "sctp"),
        ({"publish": ("1:80", "1:81")}, "published twice"),
        ({"tz": "../x"}, "invalid --tz"),
        ({"device": ("/dev/none",)}, "does not exist"),
        ({"dns": ("name",)}, "it is not an IP address"),
        ({"add_host": ("x",)}, "invalid --add-host"),
        ({"add_host": ("x:host-gateway",), "network": "none"}, "cannot be reached"),
        ({"tmpfs": ("/a",), "volume": ("/x:/a",)}, 'two mounts have the destination "/a"'),
        ({"mount": ("type=image,src=v,dst=/a,rw=true",)}, "an image is mounted read-only"),
        ({"volume": ("vv:/a:O,U",)}, "the option U does not go with the option O"),
        ({"volume_driver": "nfs"}, 'unknown volume driver "nfs"'),
        (
            {"mount": ("src=vv,dst=/a,volume-opt=type=nfs",)},
            'volumes of type "nfs" are not supported',
        ),
        (
            {"volume": ("/x:/a:upperdir=/u,workdir=/w",)},
            "upperdir and workdir go together, and with O",
        ),
        ({"volumes_from": (":ro",)}, 'invalid --volumes-from ":ro"'),
    ],
)
def test_refusals(options: dict[str, Any], message: str) -> None:
    refused(options, message)
