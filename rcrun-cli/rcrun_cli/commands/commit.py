"""`rcrun commit`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option


@command()
@option("-a", "--author", metavar="TEXT", help="Who made it: 'Name <name@example.org>'")
@option("-m", "--message", metavar="TEXT", help="A comment for the image's history")
@option(
    "-c",
    "--change",
    "changes",
    multiple=True,
    metavar="INSTRUCTION",
    help="Set something in the image, as a Containerfile would: 'CMD [\"/bin/sh\"]'",
)
@option(
    "-p",
    "--pause",
    is_flag=True,
    default=True,
    help="Pause a running container meanwhile (default)",
)
@option("--no-pause", is_flag=True, help="Let it run")
@option(
    "-f", "--format", "form", metavar="oci|docker", default="oci", help="The kind of its documents"
)
@option("-q", "--quiet", is_flag=True, help="For scripts: there is no progress to hide")
@option("-s", "--squash", is_flag=True, help="Make one layer of all")
@option("--iidfile", metavar="FILE", help="Write the id of the image to a file")
@argument("container")
@argument("name", required=False, metavar="REFERENCE")
def commit(
    container: str,
    name: str | None,
    author: str | None,
    message: str | None,
    changes: tuple[str, ...],
    pause: bool,
    no_pause: bool,
    form: str,
    quiet: bool,
    squash: bool,
    iidfile: str | None,
) -> None:
    """Make an image of a container, with what it has changed as one layer more."""
    from rcrun.engine.commit import Options
    from rcrun.engine.commit import commit as commit_container
    from rcrun.storage.containers import find

    engine = context.engine()
    options = Options(
        author=author or "",
        message=message or "",
        changes=changes,
        form=form,
        squash=squash,
        pause=pause and not no_pause,
    )
    image_id = commit_container(engine, find(engine.store, container), name or "", options)
    if iidfile:
        with open(iidfile, "w", encoding="ascii") as file:
            file.write(image_id)
    output.put(output.id_text(image_id))
