"""rcrun-oci delete."""

from __future__ import annotations

from rcrun.errors import RcrunError
from rcrun_cli import oci
from rcrun_cli.declare import argument, command, option


@command()
@option("-f", "--force", is_flag=True, help="Kill it first; a missing container is no error")
@argument("containers", nargs=-1, required=True, metavar="CONTAINER...")
def delete(containers: tuple[str, ...], force: bool) -> int:
    """Remove containers that have stopped, and run their poststop hooks."""
    from rcrun.runtime.lifecycle import delete as delete_container

    status = 0
    for name in containers:
        try:
            for failure in delete_container(oci.container(name), force=force):
                oci.warn(failure.message)
        except RcrunError as error:
            oci.complain(error.message, error.hint)
            status = 1
    return status
