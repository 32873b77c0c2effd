"""`rcrun rm`."""

from __future__ import annotations

from rcrun.errors import InvalidInput, RcrunError
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option


@command()
@option(
    "-f", "--force", is_flag=True, help="Kill the containers that run; a missing one is no error"
)
@option("-v", "--volumes", is_flag=True, help="Remove the anonymous volumes of the containers too")
@option("-a", "--all", "everything", is_flag=True, help="Remove all containers")
@argument("containers", nargs=-1)
def rm(containers: tuple[str, ...], force: bool, volumes: bool, everything: bool) -> int:
    """Remove containers."""
    from rcrun.engine.rm import Removal
    from rcrun.storage.containers import every

    engine = context.engine()
    if everything:
        containers = tuple(container.id for container in every(engine.store))
    elif not containers:
        raise InvalidInput("rm needs at least one container", "see rcrun rm --help")
    removal = Removal(engine, force=force, volumes=volumes)
    removal.announce(containers)
    errors = []
    for name in containers:
        try:
            if removal.take(name):
                output.put(name)
        except RcrunError as error:
            output.complain(error.message, error.hint)
            errors.append(error)
    removal.finish()
    return output.removal_status(errors)
