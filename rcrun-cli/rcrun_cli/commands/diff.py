"""`rcrun diff`."""

from __future__ import annotations

from rcrun.errors import InvalidInput, NotFound
from rcrun_cli import choosing, context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Line = tuple[str, str]

_WORDS = {"A": "added", "C": "changed", "D": "deleted"}


@command()
@option("--format", "form", metavar="json", help="One JSON object with lists of paths")
@choosing.choosing("latest")
@argument("name", required=False, metavar="CONTAINER|IMAGE")
def diff(name: str | None, form: str | None, latest: bool) -> None:
    """Print what a container has changed in its root file system, or an image of the one below it."""
    from rcrun.storage.containers import find

    name = choosing.one("diff", name, latest)
    try:
        find(context.store(), name)
    except NotFound:
        _print(_of_image(name, f"no such container or image: {name}"), form)
    else:
        _print(_of_container(name), form)


@command("diff")
@option("--format", "form", metavar="json", help="One JSON object with lists of paths")
@choosing.choosing("latest")
@argument("container", required=False)
def diff_container(container: str | None, form: str | None, latest: bool) -> None:
    """Print what a container has changed in its root file system."""
    _print(_of_container(choosing.one("diff", container, latest)), form)


@command("diff")
@option("--format", "form", metavar="json", help="One JSON object with lists of paths")
@argument("image")
def diff_image(image: str, form: str | None) -> None:
    """Print what an image changes of the one below it."""
    _print(_of_image(image), form)


def _of_container(name: str) -> Iterable[Line]:
    from rcrun.engine.diff import container_changes
    from rcrun.storage.containers import find

    engine = context.engine()
    return container_changes(engine, find(engine.store, name))


def _of_image(name: str, message: str = "") -> Iterable[Line]:
    from rcrun.engine.diff import image_changes
    from rcrun.storage.images import find

    engine = context.engine()
    try:
        image = find(engine.store, name)
    except (NotFound, InvalidInput) as error:
        raise NotFound(message or f"no such image: {name}") from error
    return image_changes(engine, image)


def _print(lines: Iterable[Line], form: str | None) -> None:
    if form not in (None, "", "json"):
        raise InvalidInput(
            f'invalid format "{form}"', "diff knows json, and lines without --format"
        )
    if not form:
        from rcrun.formats.visible import visible

        for kind, path in lines:
            output.put(f"{kind} {visible(path)}")
        return
    found: dict[str, list[str]] = {}
    for kind, path in lines:
        found.setdefault(_WORDS[kind], []).append(path)
    output.print_value(found, "json")
