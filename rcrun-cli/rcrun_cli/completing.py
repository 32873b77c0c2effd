"""What the shell offers for an argument: names of containers, images, volumes and secrets, by what the argument is called."""

from __future__ import annotations

from rcrun.errors import RcrunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    import click

    from rcrun.paths import Store

    Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def completer(argument: str) -> Completer | None:
    """None: the shell offers files."""
    kinds = {"container": containers, "image": images, "secret": secrets, "volume": volumes}
    names = kinds.get(argument.removesuffix("s"))
    if names is None:
        return None

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        try:
            return [name for name in names(_store(ctx)) if name.startswith(incomplete)]
        except (OSError, RcrunError):
            return []  # nobody who presses the tab key wants to read about it

    return complete


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


def _store(ctx: click.Context) -> Store:
    """Of the global options typed before; click calls us without having run the command."""
    from rcrun_cli import context

    options = ctx.find_root().params
    context.settings.root = options.get("root")
    context.settings.runroot = options.get("runroot")
    return context.store()
