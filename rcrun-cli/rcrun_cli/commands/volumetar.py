"""`rcrun volume export` and `rcrun volume import`, and what the monitor calls for volumes without a name."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option


@command("export")
@option(
    "-o", "--output", "path", metavar="FILE", help="Write the archive there, not to standard output"
)
@argument("volume")
def export_volume(volume: str, path: str | None) -> None:
    """Write the files of a volume as a tar."""
    from rcrun.engine.export import OutputFile
    from rcrun.engine.volumetar import export_volume as export
    from rcrun.storage.volumes import load

    engine = context.engine()
    load(engine.store, volume)
    if path in (None, "-", "/dev/stdout"):
        if output.is_terminal(1):
            raise InvalidInput(
                "the archive is not for a terminal", f"rcrun volume export -o FILE {volume}"
            )
        skipped = export(engine, volume, 1)
    else:
        with OutputFile(str(path)) as file:
            skipped = export(engine, volume, file.fd)
    if skipped:
        output.warn(f"{skipped} sockets were left out: a tar has no such thing")


@command("import")
@argument("volume")
@argument("source", required=False, metavar="[FILE|-]")
def import_volume(volume: str, source: str | None) -> None:
    """Unpack a tar, compressed or not, into a volume that exists: from a file or standard input."""
    from rcrun.engine.volumetar import import_volume as bring
    from rcrun.engine.volumetar import open_archive

    engine = context.engine()
    if source in (None, "-", "/dev/stdin"):
        if output.is_terminal(0):
            raise InvalidInput("no archive on standard input", f"rcrun volume import {volume} FILE")
        skipped = bring(engine, volume, 0)
    else:
        fd = open_archive(str(source))
        try:
            skipped = bring(engine, volume, fd)
        finally:
            os.close(fd)
    if skipped:
        output.warn(
            f"{skipped} entries are devices that cannot be made here, or belong to ids that do not exist here",
            "those of other ids belong to the container's root now",
        )


@command("__volumes", hidden=True)
@argument("folder")
@argument("names", nargs=-1)
def drop_volumes(folder: str, names: tuple[str, ...]) -> None:
    """Of a --rm container's volumes, put those into the trash that no other container has."""
    from rcrun.engine.volumerm import tell_destroyed
    from rcrun.storage.volumes import take_unused

    tell_destroyed(context.store(), take_unused(context.store(), names, trash_dir=folder))
