"""Networks taken away: by name, or all that no container uses."""

from __future__ import annotations

from rcrun.engine import networks
from rcrun.engine.events_network import tell
from rcrun.engine.filters import parsed
from rcrun.errors import InUse, InvalidInput
from rcrun.files import unlink_if_there
from rcrun.formats import networkflag
from rcrun.network import definitions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rcrun.engine.context import Context
    from rcrun.network.definitions import Definition
    from rcrun.storage.containers import Container


def remove(
    context: Context, text: str, *, with_users: bool = False, seconds: int | None = None
) -> str:
    """Its name; `with_users`: its containers go first, as podman's -f does it."""
    store = context.store
    if text in (*definitions.BUILT_IN, networkflag.DEFAULT, networkflag.OTHER_DEFAULT):
        raise InvalidInput(f"{text} is a pre-defined network and cannot be removed")
    found = networks.find(store, text)
    if with_users:
        _remove_users(context, found, seconds)
    with definitions.changing(store):
        network = definitions.load(store, found["name"])  # if nobody was faster
        if network["name"] == networkflag.DEFAULT:
            raise InvalidInput(f"{text} is a pre-defined network and cannot be removed")
        used = networks.users(store)
        if networks.is_in_use(network["name"], used):
            raise _in_use(network, used)
        _forget(context, network)
    return str(network["name"])


def _in_use(network: Definition, used: Mapping[str, Sequence[Container]]) -> InUse:
    names = ", ".join(container.name for container in used[network["name"]])
    return InUse(
        f'network "{network["name"]}" has associated containers with it: {names}',
        f"remove them first, or: rcrun network disconnect {network['name']} CONTAINER",
    )


def _remove_users(context: Context, network: Definition, seconds: int | None) -> None:
    from rcrun.engine.rm import Removal
    from rcrun.engine.stop import stop

    containers = networks.users(context.store).get(network["name"], ())
    if seconds:
        for container in containers:
            stop(container, seconds=seconds)
    removal = Removal(context, force=True)
    for container in containers:
        removal.take(container.id)
    removal.finish()


def _forget(context: Context, network: Definition) -> None:
    """The file, and in a room that is there its bridge and names."""
    from rcrun.engine.room import Room

    unlink_if_there(definitions.path_of(context.store, network["name"]))
    tell(context, "remove", network)
    import shutil

    room = Room(context)
    with room.kept():
        if room.find():
            room.drop(network)
        shutil.rmtree(room.claims(network).dir, ignore_errors=True)


def prune(context: Context, filters: Sequence[str]) -> list[str]:
    """The names of those that nobody used."""
    asked = parsed(filters, ("label", "label!", "until"))
    removed = []
    with definitions.changing(context.store):
        used = networks.users(context.store)
        for network in definitions.every_plain(context.store):
            if network["name"] == networkflag.DEFAULT or networks.is_in_use(network["name"], used):
                continue
            if networks.passes(network, asked, used):
                _forget(context, network)
                removed.append(str(network["name"]))
    return removed
