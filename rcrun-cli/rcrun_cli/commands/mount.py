"""`rcrun unshare`, and what is mounted in it: `mount`, `unmount`, `image mount`, `image unmount`."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


@command(interspersed=False)
@option(
    "--rootless-netns",
    is_flag=True,
    hidden=True,
    help="Refused: there is no such network namespace",
)
@argument("args", nargs=-1, metavar="[COMMAND] [ARG]...")
def unshare(args: tuple[str, ...], rootless_netns: bool) -> None:
    """Run a command as root of your own ids, in a mount namespace of its own."""
    from rcrun.engine.mounting import unshare as become

    if rootless_netns:
        raise InvalidInput(
            "--rootless-netns is not supported: every network here has a namespace of its own",
            "join a container's: rcrun run --network container:NAME …",
        )
    become(context.engine(), args)


def _listed(rows: Iterable[tuple[str, str]], form: str | None, key: str, whole: bool) -> None:
    if form == "json":
        from rcrun.files import dump_json

        output.put(dump_json([{key: name, "mountpoint": path} for name, path in rows]))
        return
    if form:
        raise InvalidInput(f'invalid --format "{form}"', "only json is known")
    for name, path in rows:
        output.put(f"{name if whole else name[:12]}  {path}")


@command()
@option("-a", "--all", "everything", is_flag=True, help="Mount all containers")
@option("-l", "--latest", is_flag=True, help="The container that was made last")
@option("--format", "form", metavar="json", help="Print the list as JSON")
@option("--no-trunc", is_flag=True, help="Print whole ids")
@argument("containers", nargs=-1)
def mount(
    containers: tuple[str, ...], everything: bool, latest: bool, form: str | None, no_trunc: bool
) -> int:
    """Mount the root file systems of containers and print where; without a name, list those that are mounted."""
    from rcrun.engine import mounting
    from rcrun.storage.containers import find

    whole = context.engine()
    names = _names(containers, everything, latest)
    if not names:
        _listed(mounting.mounted_containers(whole), form, "id", no_trunc)
        return 0
    mounting.require_mounts(whole, f"mount {names[0]}")

    def one(name: str) -> None:
        place = mounting.mount_container(whole, find(whole.store, name))
        output.put(place if len(names) == 1 else f"{name}  {place}")

    return output.each(names, one, quiet=True)


@command()
@option("-a", "--all", "everything", is_flag=True, help="All that are mounted")
@option("-f", "--force", is_flag=True, help="Also while somebody is in it")
@option("-l", "--latest", is_flag=True, help="The container that was made last")
@argument("containers", nargs=-1)
def unmount(containers: tuple[str, ...], everything: bool, latest: bool, force: bool) -> int:
    """Unmount the root file systems of containers."""
    from rcrun.engine import mounting
    from rcrun.storage.containers import find

    whole = context.engine()
    names = _names(containers, False, latest)
    if everything:
        names = tuple(name for name, _ in mounting.mounted_containers(whole))
    elif not names:
        raise InvalidInput("name containers, or say --all", "rcrun unmount CONTAINER...")

    def one(name: str) -> None:
        mounting.unmount_container(find(whole.store, name), force=force)

    return output.each(names, one)


def _names(containers: tuple[str, ...], everything: bool, latest: bool) -> tuple[str, ...]:
    from rcrun.engine.choose import newest
    from rcrun.storage.containers import every

    if everything + latest + bool(containers) > 1:
        raise InvalidInput("--all, --latest and containers cannot be used together")
    store = context.store()
    if everything:
        return tuple(container.id for container in every(store))
    return (newest(store).id,) if latest else containers


@command("mount")
@option("-a", "--all", "everything", is_flag=True, help="Mount all images")
@option("--format", "form", metavar="json", help="Print the list as JSON")
@argument("images", nargs=-1)
def mount_image(images: tuple[str, ...], everything: bool, form: str | None) -> int:
    """Mount images read-only and print where; without a name, list those that are mounted."""
    from rcrun.engine import mounting

    whole = context.engine()
    if everything:
        images = _every_image()
    if not images:
        _listed(mounting.mounted_images(whole), form, "id", False)
        return 0
    mounting.require_mounts(whole, f"image mount {images[0]}")

    def one(name: str) -> None:
        place = mounting.mount_image(whole, name)
        output.put(place if len(images) == 1 else f"{name}  {place}")

    return output.each(images, one, quiet=True)


@command("unmount")
@option("-a", "--all", "everything", is_flag=True, help="All that are mounted")
@option("-f", "--force", is_flag=True, help="Also while somebody is in it")
@argument("images", nargs=-1)
def unmount_image(images: tuple[str, ...], everything: bool, force: bool) -> int:
    """Unmount images."""
    from rcrun.engine import mounting

    whole = context.engine()
    if everything:
        images = tuple(name for name, _ in mounting.mounted_images(whole))
    elif not images:
        raise InvalidInput("name images, or say --all", "rcrun image unmount IMAGE...")

    def one(name: str) -> None:
        mounting.unmount_image(whole, name, force=force)

    return output.each(images, one)


def _every_image() -> tuple[str, ...]:
    from rcrun.storage import layout

    return tuple(layout.name_of(row) for row in layout.references(context.store()))
