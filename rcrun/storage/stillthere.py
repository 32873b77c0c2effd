"""For what reads a container's files without its lock: what went wrong because they went is told as that."""

from __future__ import annotations

from rcrun.errors import RcrunError
from rcrun.storage.containers import no_such

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.storage.containers import Container


class StillThere:
    """Around work on a container's files without its lock: NotFound when it was removed meanwhile, however the work
    went. They go after its record, so while that is there nothing was missed. A context manager.
    """

    __slots__ = ("container",)

    def __init__(self, container: Container) -> None:
        self.container = container

    def __enter__(self) -> StillThere:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, _: object) -> None:
        if kind is not None and not issubclass(kind, (OSError, RcrunError)):
            return
        if not self.container.is_there():
            raise no_such(self.container.name) from None
