"""What `pod ps` and `pod inspect` tell of pods, and which ones a filter means."""

from __future__ import annotations

import time

from rcrun.engine.filters import parsed
from rcrun.engine.pod import state_of
from rcrun.errors import InvalidInput
from rcrun.storage import containers, pods

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from rcrun.paths import Store
    from rcrun.storage.containers import Container, Status
    from rcrun.storage.pods import Pod

    Test = Callable[["SeenPod"], bool]

STATES = ("created", "running", "paused", "degraded", "stopped", "exited", "error", "dead")
SORTS = ("created", "id", "name", "number", "status")


class SeenPod:
    """A pod with its containers at one moment, the infra container among them."""

    __slots__ = ("members", "pod", "state", "statuses")

    def __init__(self, pod: Pod, members: Sequence[Container]) -> None:
        self.pod = pod
        self.members = list(members)
        self.statuses: list[Status] = [containers.status(each) for each in members]
        self.state = state_of(self.statuses)

    @property
    def infra(self) -> Container | None:
        return next((each for each in self.members if each.id == self.pod.infra_id), None)


def listed(store: Store, filters: Sequence[str] = (), sort: str = "created") -> list[SeenPod]:
    """The newest first, or in another order; every container is read once."""
    tests = _tests(filters)
    by_pod: dict[str, list[Container]] = {}
    for container in reversed(containers.every(store)):
        by_pod.setdefault(pods.pod_id_of(container), []).append(container)
    found = [SeenPod(pod, by_pod.get(pod.id, [])) for pod in pods.every(store)]
    found = [seen for seen in found if all(test(seen) for test in tests)]
    if sort != "created":
        found.sort(key=_KEYS[sort])
    return found


_KEYS: dict[str, Callable[[SeenPod], Any]] = {
    "id": lambda seen: seen.pod.id,
    "name": lambda seen: seen.pod.name,
    "number": lambda seen: len(seen.members),
    "status": lambda seen: seen.state,
}


# ---- filters


def _tests(filters: Sequence[str]) -> list[Test]:
    """Of several values of one key one must match, of labels all."""
    asked = parsed(filters, _FILTERS)
    return [
        _joined(key, [_FILTERS[key](value) for value in values]) for key, values in asked.items()
    ]


def _joined(key: str, tests: Sequence[Test]) -> Test:
    of = all if key in ("label", "label!") else any
    return lambda seen: of(test(seen) for test in tests)


def _regular(value: str) -> Callable[[str], bool]:
    import re

    try:
        pattern = re.compile(value)
    except re.error as error:
        raise InvalidInput(f'invalid regular expression "{value}": {error}') from error
    return lambda text: pattern.search(text) is not None


def _name(value: str) -> Test:
    matches = _regular(value)
    return lambda seen: matches(seen.pod.name)


def _member_name(value: str) -> Test:
    matches = _regular(value)
    return lambda seen: any(matches(each.name) for each in seen.members)


def _id(value: str) -> Test:
    matches = _of_ids(value)
    return lambda seen: matches(seen.pod.id)


def _member_id(value: str) -> Test:
    matches = _of_ids(value)
    return lambda seen: any(matches(each.id) for each in seen.members)


def _of_ids(value: str) -> Callable[[str], bool]:
    """As podman: the beginning, or a regular expression where there are other than its digits."""
    from rcrun.formats.digest import is_hex

    return (lambda text: text.startswith(value)) if is_hex(value) else _regular(value)


def _label(value: str) -> Test:
    key, equals, wanted = value.partition("=")

    def test(seen: SeenPod) -> bool:
        labels: Mapping[str, str] = seen.pod.record.get("labels") or {}
        return key in labels and (not equals or labels[key] == wanted)

    return test


def _without_label(value: str) -> Test:
    has = _label(value)
    return lambda seen: not has(seen)


def _status(value: str) -> Test:
    if value.lower() not in STATES:
        raise InvalidInput(f'invalid status "{value}" of a pod', f"one of: {' '.join(STATES)}")
    return lambda seen: seen.state.lower() == value.lower()


def _member_status(value: str) -> Test:
    known = ("created", "running", "paused", "exited", "restarting")
    word = "exited" if value == "stopped" else value
    if word not in known:
        raise InvalidInput(f'invalid status "{value}" of a container', f"one of: {' '.join(known)}")
    return lambda seen: any(status.word == word for status in seen.statuses)


def _number(value: str) -> Test:
    if not value.isascii() or not value.isdigit():
        raise InvalidInput(f'invalid ctr-number "{value}"', "write a number")
    return lambda seen: len(seen.members) == int(value)


def _network(value: str) -> Test:
    return lambda seen: value in networks_of(seen)


def _until(value: str) -> Test:
    from rcrun.formats.moment import parse

    limit = parse(value, time.time_ns()) / 1e9
    return lambda seen: containers.seconds_of(str(seen.pod.record["created"])) <= limit


_FILTERS: dict[str, Callable[[str], Test]] = {
    "ctr-ids": _member_id,
    "ctr-names": _member_name,
    "ctr-number": _number,
    "ctr-status": _member_status,
    "id": _id,
    "label": _label,
    "label!": _without_label,
    "name": _name,
    "network": _network,
    "status": _status,
    "until": _until,
}


# ---- what is told


def networks_of(seen: SeenPod) -> list[str]:
    from rcrun.engine.ps import network_names

    infra = seen.infra
    if infra is None or (infra.record.get("network") or {}).get("mode") != "bridge":
        return []
    return network_names(infra)


def cgroup_of(seen: SeenPod) -> str:
    """In which those of its containers are, where the pod has one of its own."""
    group = str(seen.pod.record.get("group") or "")
    infra = seen.infra
    path = str(infra.record.get("cgroup") or "") if infra is not None and group else ""
    above, _, _ = path.partition(f"/{group.rpartition('/')[2]}/")
    return f"{above}/{group.rpartition('/')[2]}" if above != path else ""


def inspect_object(pod: Pod) -> dict[str, Any]:
    """As podman has it."""
    seen = SeenPod(pod, pod.members())
    record, given = pod.record, pod.record.get("options") or {}
    found: dict[str, Any] = {
        "Id": pod.id,
        "Name": pod.name,
        "Created": record["created"],
        "CreateCommand": list(record.get("create_command") or ()),
        "ExitPolicy": record.get("exit_policy") or "continue",
        "State": seen.state,
        "Hostname": given.get("hostname") or "",
        "Labels": dict(sorted((record.get("labels") or {}).items())),
        "CreateCgroup": bool(record.get("share_parent")),
        "CgroupParent": given.get("cgroup_parent") or "",
        "CgroupPath": cgroup_of(seen),
        "CreateInfra": bool(pod.infra_id),
        "InfraContainerID": pod.infra_id,
        "InfraConfig": _infra_config(seen) if pod.infra_id else None,
        "SharedNamespaces": list(record.get("share") or ()),
        "NumContainers": len(seen.members),
        "Containers": [
            {"Id": each.id, "Name": each.name, "State": status.word}
            for each, status in zip(seen.members, seen.statuses, strict=True)
        ],
        "LockNumber": 0,
    }
    found.update(_limits(record))
    for key, name in (("restart", "RestartPolicy"), ("security_opt", "security_opt"), ("volumes_from", "volumes_from")):  # fmt: skip
        if given.get(key):
            found[name] = given[key] if isinstance(given[key], str) else list(given[key])
    if given.get("volume"):
        found["mounts"] = list(given["volume"])
    return found


def _limits(record: Mapping[str, Any]) -> dict[str, Any]:
    resources = record.get("resources") or {}
    cpu, memory = resources.get("cpu") or {}, resources.get("memory") or {}
    told = {
        "cpu_period": cpu.get("period"),
        "cpu_quota": cpu.get("quota"),
        "cpu_shares": cpu.get("shares"),
        "cpuset_cpus": cpu.get("cpus"),
        "cpuset_mems": cpu.get("mems"),
        "memory_limit": memory.get("limit"),
        "memory_swap": memory.get("swap"),
        "blkio_weight": (resources.get("blockIO") or {}).get("weight"),
    }
    return {key: value for key, value in told.items() if value}


def _infra_config(seen: SeenPod) -> dict[str, Any]:
    given = seen.pod.record.get("options") or {}
    network = given.get("network") or ()
    words = [network] if isinstance(network, str) else list(network)
    return {
        "PortBindings": _port_bindings(seen.infra),
        "HostNetwork": "host" in words,
        "StaticIP": given.get("ip") or "",
        "StaticMAC": given.get("mac_address") or "",
        "NoManageResolvConf": "none" in (given.get("dns") or ()),
        "DNSServer": list(given.get("dns") or ()) or None,
        "DNSSearch": list(given.get("dns_search") or ()) or None,
        "DNSOption": list(given.get("dns_option") or ()) or None,
        "NoManageHostname": bool(given.get("no_hostname")),
        "NoManageHosts": bool(given.get("no_hosts")),
        "HostAdd": list(given.get("add_host") or ()) or None,
        "HostsFile": given.get("hosts_file") or "",
        "Networks": networks_of(seen) or None,
        "NetworkOptions": None,
        "pid_ns": given.get("pid") or "private",
        "userns": given.get("userns") or "host",
        "uts_ns": given.get("uts") or "private",
    }


def _port_bindings(infra: Container | None) -> dict[str, list[dict[str, str]]]:
    """By port of the pod, as `inspect` of a container has them."""
    network = (infra.record.get("network") or {}) if infra is not None else {}
    found: dict[str, list[dict[str, str]]] = {}
    for port in network.get("bound") or network.get("ports") or ():
        key = f"{port['container_port']}/{port['protocol']}"
        place = {"HostIp": port["host_ip"] or "0.0.0.0", "HostPort": str(port["host_port"] or "")}
        found.setdefault(key, []).append(place)
    return found
