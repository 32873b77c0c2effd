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
    """`create`, `remove`, `connect` or `disconnect`. Nobody listens yet."""
