"""`rcrun container cleanup`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option


@command()
@option("-a", "--all", "everything", is_flag=True, help="After all containers that do not run")
@option("-l", "--latest", is_flag=True, help="After the last created container")
@option("--rm", "remove", is_flag=True, help="Remove the container, too")
@option("--rmi", "remove_image", is_flag=True, help="Remove the container and its image, too")
@option("--exec", "session", metavar="ID", hidden=True, help="Refused: sessions leave nothing")
@option("--stopped-only", is_flag=True, hidden=True, help="Accepted: others are never touched")
@argument("containers", nargs=-1)
def cleanup(
    containers: tuple[str, ...],
    everything: bool,
    latest: bool,
    remove: bool,
    remove_image: bool,
    session: str | None,
    stopped_only: bool,
) -> int:
    """Tidy up after containers whose monitor was killed: their network's process, socket and cgroup."""
    from rcrun.engine import cleanup as engine
    from rcrun.errors import InvalidInput
    from rcrun.storage.containers import every, find, status

    if session:
        raise InvalidInput("--exec is not supported: what exec starts leaves nothing behind")
    if bool(containers) + everything + latest != 1:
        raise InvalidInput("name containers, or give one of --all and --latest")
    names = list(containers)
    if everything:
        names = [c.id for c in every(context.store()) if not status(c).is_running]
    elif latest:
        names = [c.id for c in every(context.store())[:1]]

    def tidy(text: str) -> None:
        container = find(context.store(), text)
        engine.cleanup(context.engine(), container, remove=remove or remove_image)
        image = container.record.get("image")
        if remove_image and image:
            from rcrun.engine import rmi

            rmi.remove(context.engine(), str(image))
            rmi.finish(context.engine())

    return output.each(names, tidy)
