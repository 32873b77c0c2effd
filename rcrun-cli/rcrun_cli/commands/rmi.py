"""`rcrun rmi`."""

from __future__ import annotations

from rcrun.errors import NotFound, RcrunError
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.engine.context import Context


@command()
@option("-f", "--force", is_flag=True, help="Remove what containers use; a missing one is no error")
@option("-a", "--all", "everything", is_flag=True, help="Remove all images")
@option("-i", "--ignore", is_flag=True, help="A missing one is no error")
@option(
    "--platform", multiple=True, metavar="OS/ARCH[/VARIANT]", help="They must be for this platform"
)
@option("--no-prune", is_flag=True, help="Keep the files, which a later removal frees")
@argument("images", nargs=-1)
def rmi(
    images: Sequence[str],
    force: bool,
    everything: bool,
    ignore: bool,
    platform: tuple[str, ...],
    no_prune: bool,
) -> int:
    """Remove images."""
    from rcrun.engine import rmi as engine_rmi
    from rcrun.errors import InvalidInput
    from rcrun.storage.images import find

    engine = context.engine()
    if everything:
        images = _every_id(engine)
    elif not images:
        raise InvalidInput("rmi needs at least one image", "see rcrun rmi --help")
    errors: list[RcrunError] = []
    for text in images:
        try:
            for each in platform:
                find(engine.store, text, platform=each)
            removed = engine_rmi.remove(engine, text, force=force, all_names=everything)
        except NotFound as error:
            if not ignore and not (force and context.settings.personality == "podman"):
                output.complain(error.message, error.hint)
            if not (force or ignore):
                errors.append(error)
        except RcrunError as error:
            output.complain(error.message, error.hint)
            errors.append(error)
        else:
            for name in removed.untagged:
                output.put(f"Untagged: {_shown(name)}")
            for digest in removed.deleted[: 1 if output.trait("bare_ids") else None]:
                output.put(f"Deleted: {output.id_text(digest)}")
    if not no_prune:
        engine_rmi.finish(engine)
    return output.removal_status(errors)


def _shown(name: str) -> str:
    if not output.trait("full_names"):
        return name
    from rcrun.formats import reference as grammar

    return grammar.full(grammar.parse(name))


def _every_id(engine: Context) -> list[str]:
    from rcrun.engine.images import listed

    return [each.id for each in listed(engine.store) if not each.read_only]
