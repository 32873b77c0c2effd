"""What the health checks of a container have found, as its monitor wrote it."""

from __future__ import annotations

from rcrun.errors import WrongState
from rcrun.files import read_json_or_none
from rcrun.storage.containers import no_such, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.storage.containers import Container, Status


def is_checked(container: Container) -> bool:
    test = (container.record.get("healthcheck") or {}).get("Test") or ["NONE"]
    return bool(test[0] != "NONE")


def health(container: Container, now: Status) -> dict[str, Any] | None:
    """Docker's State.Health; None where nothing is checked, or it never ran."""
    if not is_checked(container) or not container.record.get("launched"):
        return None
    try:
        found = read_json_or_none(container.live_path("health.json"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        found = {"Status": "starting", "FailingStreak": 0, "Log": []}
    if not now.is_running:
        found["Status"] = "unhealthy"  # as docker; the monitor may not have come to write it
    return found


def word_of(container: Container, now: Status) -> str:
    """starting, healthy, unhealthy; empty where nothing is checked."""
    found = health(container, now)
    return str(found["Status"]) if found else ""


def require_check(container: Container) -> Status:
    """What `healthcheck run` needs."""
    if not is_checked(container):
        raise WrongState(
            f'container "{container.name}" has no health check',
            "give one: rcrun run --health-cmd COMMAND …",
        )
    now = status(container)
    if now.word == "removing":
        raise no_such(container.name)
    if now.word != "running":
        raise WrongState(f'container "{container.name}" is not running: it is {now.word}')
    return now
