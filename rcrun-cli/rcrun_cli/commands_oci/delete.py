"""rcrun-oci delete."""

from __future__ import annotations

from rcrun.errors import RcrunError
from rcrun_cli import oci
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


@command(epilog="As crun has it: Usage: crun [OPTION...] delete CONTAINER")
@option("-f", "--force", is_flag=True, help="Kill it first; a missing container is no error")
@option("-r", "--regex", is_flag=True, help="CONTAINER is a regular expression that ids match")
@argument("containers", nargs=-1, required=True, metavar="CONTAINER...")
def delete(containers: tuple[str, ...], force: bool, regex: bool) -> int:
    """Remove containers that have stopped, and run their poststop hooks."""
    from rcrun.runtime.lifecycle import delete as delete_container

    def remove(name: str) -> None:
        for failure in delete_container(oci.container(name), force=force):
            oci.warn(failure.message)

    return for_each(matching(containers) if regex else list(containers), remove)


def for_each(names: list[str], act: Callable[[str], None]) -> int:
    """Go on after a fault; 1 if there was one."""
    status = 0
    for name in names:
        try:
            act(name)
        except RcrunError as error:
            oci.complain(error.message, error.hint)
            status = 1
    return status


def matching(patterns: tuple[str, ...]) -> list[str]:
    import re

    from rcrun.errors import InvalidInput
    from rcrun.runtime.state import containers

    try:
        expressions = [re.compile(pattern) for pattern in patterns]
    except re.error as error:
        raise InvalidInput(f"not a regular expression: {error}") from error
    ids = [found.id for found in containers(oci.settings.root)]
    return [name for name in ids if any(one.search(name) for one in expressions)]
