"""`rcrun rm`."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun_cli import choosing, context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.context import Context


@command()
@option(
    "-f", "--force", is_flag=True, help="Kill the containers that run; a missing one is no error"
)
@option("-v", "--volumes", is_flag=True, help="Remove the anonymous volumes of the containers too")
@choosing.choosing("all", "cidfile", "filter", "latest", short="a")
@option("--depend", is_flag=True, help="Remove the containers that depend on them, too")
@option("-i", "--ignore", is_flag=True, help="A container that is not there is no error")
@option(
    "-t",
    "--time",
    "seconds",
    type=int,
    metavar="SECONDS",
    help="With --force: stop them as rcrun stop, with so much patience",
)
@option(
    "-l", "last_or_link", is_flag=True, hidden=True, help="As podman --latest, as docker --link"
)
@argument("containers", nargs=-1)
def rm(
    containers: tuple[str, ...],
    force: bool,
    volumes: bool,
    depend: bool,
    ignore: bool,
    seconds: int | None,
    last_or_link: bool,
    latest: bool,
    **choice: Any,
) -> int:
    """Remove containers."""
    from rcrun.engine.rm import Removal

    engine = context.engine()
    latest = latest or (last_or_link and _means_latest())
    names = choosing.chosen(
        "rm", containers, choosing.any_state, latest=latest, ignore=ignore, **choice
    )
    if choice["everything"]:
        names = [name for name in names if not _is_of_pod(engine, name)]
    if depend:
        from rcrun.engine.choose import dependents

        names = dependents(engine.store, names, ignore=ignore)
    removal = Removal(
        engine,
        force=force,
        volumes=volumes,
        ignore=ignore,
        patience=_patience(force, seconds),
        depend=depend,
    )
    removal.announce(names)
    status = output.each_removed(names, lambda name: name if removal.take(name) else "")
    removal.finish()
    return status


def _is_of_pod(engine: Context, container_id: str) -> bool:
    """An infra container goes with its pod alone."""
    from rcrun.storage.containers import load

    container = load(engine.store, container_id)
    if container is None or not container.record.get("infra"):
        return False
    from rcrun.storage import pods

    return pods.load(engine.store, pods.pod_id_of(container)) is not None


def _means_latest() -> bool:
    if context.settings.personality != "podman":
        raise InvalidInput("there are no links to remove", "the container that was created last: rcrun rm --latest")  # fmt: skip
    return True


def _patience(force: bool, seconds: int | None) -> int | None:
    """None: they are killed."""
    if seconds is not None and not force:
        raise InvalidInput("--time says how long --force waits", "rcrun rm --force --time 5 NAME")
    return seconds
