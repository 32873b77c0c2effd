"""`rcrun export`."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option


@command()
@option("-o", "--output", "path", metavar="FILE", help="Write to a file, not to standard output")
@argument("container")
def export(container: str, path: str | None) -> None:
    """Write the root file system of a container as a tar, without what is mounted in it."""
    from rcrun.engine.export import OutputFile
    from rcrun.engine.export import export as export_root
    from rcrun.storage.containers import find

    engine = context.engine()
    found = find(engine.store, container)
    if path in (None, "-", "/dev/stdout"):
        refuse_terminal(f"rcrun export -o FILE {container}")
        export_root(engine, found, 1)
        return
    with OutputFile(str(path)) as file:
        export_root(engine, found, file.fd)


def refuse_terminal(hint: str) -> None:
    if output.is_terminal(1):
        raise InvalidInput("refusing to write an archive to a terminal", hint)
