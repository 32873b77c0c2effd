"""`rcrun inspect`, `rcrun container inspect` and `rcrun image inspect`."""

from __future__ import annotations

from rcrun.errors import NotFound
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@command()
@option("-f", "--format", "form", metavar="FORMAT", help="json, or a Go template")
@option("-s", "--size", is_flag=True, help="Tell how much a container takes")
@option("--type", "kind", type=["container", "image", "volume"], help="Look for this kind only")
@argument("names", nargs=-1, required=True)
def inspect(names: tuple[str, ...], form: str | None, size: bool, kind: str | None) -> int:
    """Print all that is known of containers and images."""
    return _inspect(names, form, kind or "", size=size)


@command("inspect")
@option("-f", "--format", "form", metavar="FORMAT", help="json, or a Go template")
@option("-s", "--size", is_flag=True, help="Tell how much the container takes")
@argument("names", nargs=-1, required=True)
def inspect_container(names: tuple[str, ...], form: str | None, size: bool) -> int:
    """Print all that is known of containers."""
    return _inspect(names, form, "container", size=size)


@command("inspect")
@option("-f", "--format", "form", metavar="FORMAT", help="json, or a Go template")
@argument("names", nargs=-1, required=True)
def inspect_image(names: tuple[str, ...], form: str | None) -> int:
    """Print all that is known of images."""
    return _inspect(names, form, "image", size=False)


def _inspect(names: Sequence[str], form: str | None, kind: str, *, size: bool) -> int:
    """What is there is printed, `[]` when nothing is; each missing one is an error of its own."""
    from rcrun.engine.inspect import inspect

    whole = context.engine()
    found, missing = [], []
    for name in names:
        try:
            found.append(inspect(whole, name, kind, size=size))
        except NotFound as error:
            missing.append(error)
    if not output.trait("slash"):
        for each in found:
            each.update({"Name": each["Name"].removeprefix("/")} if "Name" in each else {})
    if found or not form:
        output.print_inspected(found, form)
    for absence in missing:
        output.complain(absence.message, absence.hint)
    return output.trait("failure_status") if missing else 0
