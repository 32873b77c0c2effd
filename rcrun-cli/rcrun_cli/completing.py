"""What the shell offers for an argument: names of containers, images, volumes and secrets, by what the argument is called.

The two ends of `cp` are containers with a colon, or files.
"""

from __future__ import annotations

from rcrun.errors import RcrunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import click

    from rcrun.paths import Store

    Completer = Callable[[click.Context, click.Parameter, str], list[Any]]


def completer(argument: str) -> Completer | None:
    """None: the shell offers files."""
    if argument in ("source", "target"):
        return ends
    return _names(KINDS.get(argument.removesuffix("s")))


def value_completer(option: str) -> Completer | None:
    """Of what stands behind an option, by its variable."""
    return _names(KINDS.get(VALUES.get(option, "")))


def _names(names: Callable[[Store], list[str]] | None) -> Completer | None:
    if names is None:
        return None

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        try:
            return [name for name in names(_store(ctx)) if name.startswith(incomplete)]
        except (OSError, RcrunError):
            return []  # nobody who presses the tab key wants to read about it

    return complete


def ends(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    """Of `cp`; files where no container's name begins so, which is how a path begins."""
    from click.shell_completion import CompletionItem

    names: list[Any] = []
    if ctx.command.name == "cp":  # others have a source, too
        try:
            names = [f"{name}:" for name in containers(_store(ctx)) if name.startswith(incomplete)]
        except (OSError, RcrunError):
            pass
    return names or [CompletionItem(incomplete, type="file")]


def containers(store: Store) -> list[str]:
    from rcrun.storage.containers import every

    return [container.name for container in every(store)]


def images(store: Store) -> list[str]:
    """As people write them: `debian:bookworm`, not `docker.io/library/debian:bookworm`."""
    from rcrun.formats.reference import familiar, parse
    from rcrun.storage.layout import name_of, references

    names = [name_of(entry) for entry in references(store)]
    return [familiar(parse(name)) for name in names if name]


def volumes(store: Store) -> list[str]:
    from rcrun.storage.volumes import every

    return [record["name"] for record in every(store)]


def secrets(store: Store) -> list[str]:
    from rcrun.storage.secrets import every

    return [record["name"] for record in every(store)]


def networks(store: Store) -> list[str]:
    from rcrun.files import subdirectories

    found = subdirectories(store.path("networks"))
    return sorted(name.removesuffix(".json") for name in found if name.endswith(".json"))


KINDS = {
    "container": containers,
    "image": images,
    "network": networks,
    "secret": secrets,
    "volume": volumes,
}
# Options whose value is a name, by their variable.
VALUES = {"network": "network", "secret": "secret", "volumes_from": "container"}


def _store(ctx: click.Context) -> Store:
    """Of the global options typed before; click calls us without having run the command."""
    from rcrun_cli import context

    options = ctx.find_root().params
    context.settings.root = options.get("root")
    context.settings.runroot = options.get("runroot")
    return context.store()
