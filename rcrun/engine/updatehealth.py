"""`update --health-*`: the health check of a container that is there, also of one that runs."""

from __future__ import annotations

import os

from rcrun.engine import config_health
from rcrun.engine.healthfile import is_checked
from rcrun.errors import InvalidInput
from rcrun.storage.containers import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.formats.spec import Spec
    from rcrun.storage.containers import Container

NAMES = (*config_health.OPTIONS, "no_healthcheck")


def is_asked(options: Mapping[str, Any]) -> bool:
    return any(options.get(name) not in (None, False) for name in NAMES)


def change(container: Container, options: Mapping[str, Any]) -> None:
    """The record; what is not named stays as it is."""
    record = container.record
    before = dict(record.get("healthcheck") or {})
    if not is_checked(container) and not (
        options.get("health_cmd") or options.get("no_healthcheck")
    ):
        raise InvalidInput(
            f'container "{container.name}" has no health check', "give it one: --health-cmd COMMAND"
        )
    if options.get("health_cmd") and (before.get("Test") or ["NONE"])[0] == "NONE":
        before.pop("Test", None)
    interval = before.pop("Interval", None)  # -1 is no time of an image
    policy = options.get("restart") or (record.get("restart_policy") or {}).get("name")
    asked = {name: options.get(name) for name in NAMES}
    if not options.get("no_healthcheck"):
        asked["health_on_failure"] = options.get("health_on_failure") or record.get(
            "health_on_failure"
        )
    found = config_health.health_record({**asked, "restart": policy}, before)
    if interval is not None and not options.get("no_healthcheck"):
        found["healthcheck"].setdefault("Interval", interval)
    record.pop("health_on_failure", None)
    record.update(found)


def apply(context: Context, container: Container, spec: Spec) -> str:
    """At once, by a check now; or why not."""
    now = status(container)
    if not now.is_running:
        return ""
    if not os.path.exists(container.live_path("health.plan")):
        return f'container "{container.name}" was started without a health check: it begins with the next start'
    from rcrun.engine.health import write_again
    from rcrun.kernel.process import open_pidfd

    write_again(context, container, spec)
    fd = open_pidfd(now.monitor, now.monitor_start)
    if fd is not None:
        import _signal

        try:
            _signal.pidfd_send_signal(fd, _signal.SIGUSR1)
        except ProcessLookupError:
            pass  # it has ended
        finally:
            os.close(fd)
    return ""
