"""The start of what `kube play` has made; where it fails, what containers said last is told: they go again."""

from __future__ import annotations

from rcrun.engine.kube.readiness import of_pod
from rcrun.engine.podlife import start
from rcrun.errors import RcrunError
from rcrun.storage import containers, pods

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rcrun.engine.context import Context
    from rcrun.engine.kube.request import Played
    from rcrun.storage.containers import Container

_LAST_LINES = 10
_NO_LOGS = ("none", "passthrough", "passthrough-tty")


def start_all(context: Context, played: Sequence[Played]) -> None:
    try:
        for each in played:
            _start(context, each)
    except RcrunError as error:
        for each in played:
            _tell_last_words(context, each.pod.members())
        if (error.hint or "").startswith("rcrun logs "):
            error.hint = None  # told above, and gone
        raise


def _start(context: Context, played: Played) -> None:
    from contextlib import ExitStack

    with ExitStack() as stack:
        waits = [stack.enter_context(each) for each in of_pod(context, played.awaited)]
        start(context, played.pod)
        for each in waits:
            each.wait()
    _await_health(context, played)


def _await_health(context: Context, played: Played) -> None:
    from rcrun.engine.conditions import wait_for

    for container_id in played.awaited:
        container = containers.load(context.store, container_id)
        if container is None or container.record.get("notify") == "container":
            continue
        wait_for(container, ["healthy", "exited"])
        if not containers.status(container).is_running:
            raise RcrunError(f'container "{container.name}" ended before it was healthy')


def _tell_last_words(context: Context, members: Iterable[Container]) -> None:
    """Of those that ended badly, and not by our hand."""
    from rcrun.engine.logs import read

    for container in members:
        now = containers.status(container)
        log = container.record.get("log") or {}
        if pods.is_infra(container) or now.is_running or not now.exit_code or not now.started:
            continue
        if log.get("driver") in _NO_LOGS:
            continue
        for lines in read(container, follow=False, tail=_LAST_LINES):
            for line in lines:
                context.tell(f"{container.name}: {line.text.decode('utf-8', 'replace')}")
