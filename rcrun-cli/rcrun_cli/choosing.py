"""Containers chosen otherwise than by name: `--all`, `--latest`, `--filter`, `--cidfile`."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun_cli import context
from rcrun_cli.declare import option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rcrun.storage.containers import Status
    from rcrun_cli.declare import Handler

_OPTIONS = {
    "all": (("-a", "--all", "everything"), {"is_flag": True, "help": "All containers that this can be done to"}),
    "cidfile": (("--cidfile", "cidfiles"), {"multiple": True, "metavar": "FILE", "help": "The container whose id is in this file"}),
    "filter": (
        ("-f", "--filter", "filters"),
        {"multiple": True, "metavar": "KEY=VALUE", "help": "The containers that match, as with ps"},
    ),
    "latest": (("-l", "--latest"), {"is_flag": True, "help": "The container that was created last"}),
}  # fmt: skip


def choosing(*kinds: str, short: str = "afl") -> Callable[[Handler], Handler]:
    """Declare these options; `short` has the letters that mean nothing else to the command."""

    def declare(handler: Handler) -> Handler:
        for kind in reversed(kinds):
            words, attrs = _OPTIONS[kind]
            handler = option(*[w for w in words if len(w) != 2 or w[1] in short], **attrs)(handler)
        return handler

    return declare


def chosen(
    command: str,
    names: Sequence[str],
    fits: Callable[[Status], bool],
    *,
    everything: bool = False,
    latest: bool = False,
    filters: Sequence[str] = (),
    cidfiles: Sequence[str] = (),
    ignore: bool = False,
) -> Sequence[str]:
    """The names that were typed, or the ids of the chosen; `fits` says which ones --all means."""
    if everything or latest or filters or cidfiles:
        from rcrun.engine.choose import choose

        return choose(
            context.store(),
            names,
            fits,
            everything=everything,
            latest=latest,
            filters=filters,
            cidfiles=cidfiles,
            ignore=ignore,
        )
    if not names:
        raise InvalidInput(f"{command} needs at least one container", f"see rcrun {command} --help")
    return names


def one(command: str, name: str | None, latest: bool) -> str:
    """For a command that takes one container."""
    if name and latest:
        raise InvalidInput("--latest and a container cannot be used together")
    if not (name or latest):
        raise InvalidInput(f"{command} needs a container", f"see rcrun {command} --help")
    return name or chosen(command, (), lambda status: True, latest=True)[0]


def running(status: Status) -> bool:
    return status.word == "running"


def alive(status: Status) -> bool:
    """Also paused, or between two runs."""
    return status.is_up


def any_state(status: Status) -> bool:
    return True
