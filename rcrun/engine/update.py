"""`update`: other limits, another restart policy, health check, environment for a container that is there."""

from __future__ import annotations

from rcrun.engine import config_limits
from rcrun.engine.facts import hard_limit
from rcrun.errors import HostLacks, InvalidInput
from rcrun.files import write_json
from rcrun.formats import envfile
from rcrun.runtime import plan_resources
from rcrun.runtime.update import merged
from rcrun.storage.claims import ContainerLock
from rcrun.storage.containers import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.formats.spec import Spec
    from rcrun.storage.containers import Container

_DELEGATE = (
    "sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n'"
    " | sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload; then log in again"
)


def update(context: Context, container: Container, options: Mapping[str, Any]) -> list[str]:
    """What is not named stays. Limits count at once, ulimits and the environment from the next start (or exec) on."""
    from rcrun.engine import updatehealth
    from rcrun.engine.options import warnings_of

    warning, health = "", updatehealth.is_asked(options)
    with ContainerLock(container):
        spec = container.config()
        resources = _resources(container, spec, options)
        changed = _changed(spec, resources, options, context)
        if options.get("restart"):
            _set_policy(container, str(options["restart"]))
        if health:
            updatehealth.change(container, options)
        if resources and status(container).is_running:
            _limit(container, resources)
        write_json(container.path("config.json"), changed)
        if options.get("restart") or health:
            container.save()
        if health:
            warning = updatehealth.apply(context, container, changed)
    return [*warnings_of(options), *([warning] if warning else [])]


def _resources(container: Container, spec: Spec, options: Mapping[str, Any]) -> dict[str, Any]:
    from rcrun.engine.facts import stat_or_none

    before: Mapping[str, Any] = (spec.get("linux") or {}).get("resources") or {}
    for key in ("cpu_rt_period", "cpu_rt_runtime"):
        if options.get(key):
            word = key.replace("_", "-")
            raise InvalidInput(
                f"--{word} is not supported: cgroup v2 has no control of real-time processes"
            )
    found = config_limits.limits(options, stat_or_none, before)
    _check_memory(found.get("memory") or {}, before.get("memory") or {})
    plan_resources.check(found)
    return found


def _check_memory(new: Mapping[str, int], old: Mapping[str, int]) -> None:
    limit, swap = new.get("limit"), new.get("swap", old.get("swap"))
    if limit and swap is not None and 0 < swap < limit:
        raise InvalidInput(
            f"--memory {limit} is more than the limit of memory and swap together, which is {swap}",
            "change both: --memory-swap",
        )


def _changed(
    spec: Spec, resources: dict[str, Any], options: Mapping[str, Any], context: Context
) -> Spec:
    linux: dict[str, Any] = dict(spec.get("linux") or {})
    process: dict[str, Any] = dict(spec.get("process") or {})
    if resources:
        linux["resources"] = merged(linux.get("resources") or {}, resources)
    changes: dict[str, str | None] = dict.fromkeys(options.get("unsetenv") or ())
    changes.update(envfile.resolve(options.get("env") or (), context.environ))
    if changes:
        process["env"] = envfile.merge(process.get("env") or [], changes)
    if options.get("ulimit"):
        process["rlimits"] = _rlimits(process.get("rlimits") or [], options["ulimit"], context)
    return {**spec, "linux": linux, "process": process}  # type: ignore[typeddict-item]


def _rlimits(rows: list[Any], words: Any, context: Context) -> list[Any]:
    from rcrun.engine.config_process import asked_limits, limit_number

    found = {row["type"]: row for row in rows}
    asked = asked_limits(words, hard_limit, rootless=context.host.rootless)
    for name, (soft, hard) in asked.items():
        found[name] = {"type": name, "soft": limit_number(soft), "hard": limit_number(hard)}
    return list(found.values())


def _limit(container: Container, resources: Mapping[str, Any]) -> None:
    path = str(container.record.get("cgroup") or "")
    if not path:
        raise HostLacks(
            f'cannot limit container "{container.name}": it runs without a cgroup of its own',
            _DELEGATE,
        )
    from rcrun.engine.cgroup import limit

    limit(container, path, resources)


def _set_policy(container: Container, word: str) -> None:
    from rcrun.engine.restart import parse_policy, set_policy

    set_policy(container, parse_policy("no" if word == "never" else word))
