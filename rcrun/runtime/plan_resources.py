"""Which cgroup controllers `linux.resources` asks for. Pure; the limits themselves are the cgroup layer's."""

from __future__ import annotations

from rcrun.errors import HostLacks, InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_NO_LIMIT: tuple[object, ...] = (None, 0, -1, False, "", [], {})
# Fields that are no limit by themselves.
_MODIFIERS = {"memory": ("disableOOMKiller", "useHierarchy", "checkBeforeUpdate")}


def controllers(resources: Mapping[str, Any]) -> list[str]:
    """The controllers that a limit was asked of, in the configuration's words for them.

    The device list is not among them: who is not root can make no device node anyway.
    """
    asked = []
    for field, controller in (
        ("memory", "memory"),
        ("cpu", "cpu"),
        ("pids", "pids"),
        ("blockIO", "io"),
        ("rdma", "rdma"),
    ):
        if _asks(field, resources.get(field)):
            asked.append(controller)
    if any(row.get("limit") for row in resources.get("hugepageLimits") or []):
        asked.append("hugetlb")
    cpu = resources.get("cpu") or {}
    if (cpu.get("cpus") or cpu.get("mems")) and "cpuset" not in asked:
        asked.append("cpuset")
        if not any(cpu.get(key) not in _NO_LIMIT for key in cpu if key not in ("cpus", "mems")):
            asked.remove("cpu")
    unified = [name.partition(".")[0] for name in resources.get("unified") or {}]
    asked += [name for name in unified if name != "cgroup"]
    return list(dict.fromkeys(asked))


def _asks(field: str, value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    modifiers = _MODIFIERS.get(field, ())
    return any(item not in _NO_LIMIT for key, item in value.items() if key not in modifiers)


def check(resources: Mapping[str, Any]) -> None:
    for key in resources.get("unified") or {}:
        controller, dot, name = key.partition(".")
        if not controller or not dot or not name or "/" in key:
            raise InvalidInput(f"the specified key has not the form CONTROLLER.VALUE `{key}`")


def refuse_without_cgroup(resources: Mapping[str, Any]) -> None:
    check(resources)
    asked = controllers(resources)
    if asked:
        raise HostLacks(
            f"cannot limit {', '.join(asked)}: this process has no delegated cgroup",
            "log in with systemd (cgroup v2), or run it with: systemd-run --user --scope -p Delegate=yes",
        )
