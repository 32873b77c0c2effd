"""`rcrun container exists` and `rcrun image exists`: for scripts, which look at the exit status."""

from __future__ import annotations

from rcrun.errors import NotFound
from rcrun_cli import context
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FAILED = 125  # as podman: 1 is an answer


@command("exists", failure_status=FAILED)
@option(
    "--external", is_flag=True, hidden=True, help="For scripts: no other engine has containers here"
)
@argument("container")
def exists_container(container: str, external: bool) -> int:
    """Say nothing; the exit status is 0 if the container is here, and 1 if it is not."""
    from rcrun.storage.containers import find

    return _status(lambda: find(context.store(), container))


@command("exists", failure_status=FAILED)
@argument("image")
def exists_image(image: str) -> int:
    """Say nothing; the exit status is 0 if the image is here, and 1 if it is not."""
    from rcrun.storage.images import find

    return _status(lambda: find(context.store(), image))


def _status(find: Callable[[], object]) -> int:
    try:
        find()
    except NotFound:
        return 1
    return 0
