"""What happens to networks, for `rcrun events`: the one place that tells it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context
    from rcrun.network.definitions import Definition
    from rcrun.storage.containers import Container


def tell(
    context: Context, action: str, network: Definition, container: Container | None = None
) -> None:
    """`create`, `remove`, `connect` or `disconnect`."""
    from rcrun.engine.eventlog import emit

    attributes = {"name": network["name"], "type": "bridge"}
    if container is not None:
        attributes["container"] = container.id
    emit(context.store, "network", action, network["id"], attributes)
