"""`rcrun container clone` and `init`: what podman has beside the usual verbs."""

from __future__ import annotations

from rcrun.errors import InvalidInput, WrongState
from rcrun_cli import context, output
from rcrun_cli.commands.update import limit_options
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


@command()
@limit_options
@option("--name", metavar="NAME", help="Name of the new container")
@option("--run", is_flag=True, help="Start the new container")
@option("--destroy", is_flag=True, help="Remove the old one")
@option("-f", "--force", is_flag=True, help="With --destroy: also while it runs")
@option("--pod", metavar="NAME", hidden=True, help="Refused")
@argument("container")
@argument("name_word", required=False, metavar="[NAME]")
@argument("image", required=False)
def clone(
    container: str,
    name_word: str | None,
    image: str | None,
    name: str | None,
    run: bool,
    destroy: bool,
    force: bool,
    pod: str | None,
    **options: Any,
) -> None:
    """Make a container as another one was made, perhaps of another image."""
    from rcrun.engine.clone import clone as make
    from rcrun.engine.rm import Removal
    from rcrun.storage.containers import find, load, status

    if pod:
        raise InvalidInput(
            "--pod is not supported: a clone is where the first one is",
            f"rcrun create --pod {pod} …",
        )
    if name and name_word:
        raise InvalidInput("conflicting options: --name and a second name")
    if force and not destroy:
        raise InvalidInput("--force needs --destroy")
    whole = context.engine()
    original = find(whole.store, container)
    if destroy and not force and status(original).is_running:
        raise WrongState(
            f'cannot destroy container "{original.name}": it is running',
            "add --force, or stop it first",
        )
    made = make(whole, original, name or name_word or "", image or "", options)
    if destroy:
        removal = Removal(whole, force=force)
        removal.take(original.id)
        removal.finish()
    if run:
        from rcrun.engine.start import start

        new = load(whole.store, made)
        assert new is not None
        start(whole, new)
    output.put(made)


@command()
@option("-a", "--all", "everything", is_flag=True, help="All containers that do not run")
@option("-l", "--latest", is_flag=True, help="The container that was made last")
@argument("containers", nargs=-1)
def init(containers: tuple[str, ...], everything: bool, latest: bool) -> int:
    """See that containers can be started: all that a start needs is there after `create`."""
    from rcrun.storage.containers import find, status

    store = context.store()

    def one(name: str) -> None:
        container = find(store, name)
        if status(container).is_running:
            raise WrongState(f'cannot initialize container "{container.name}": it is running')
        container.config()

    return output.each(_chosen(containers, everything, latest), one)


def _chosen(containers: tuple[str, ...], everything: bool, latest: bool) -> Sequence[str]:
    from rcrun.engine.choose import newest
    from rcrun.storage.containers import every, status

    if everything + latest + bool(containers) != 1:
        raise InvalidInput("name containers, or say --all or --latest, one of them")
    store = context.store()
    if everything:
        return [each.id for each in every(store) if not status(each).is_running]
    return [newest(store).id] if latest else containers
