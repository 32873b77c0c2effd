"""`rcrun commit`."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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
    "-f",
    "--format",
    "form",
    metavar="oci|docker",
    help="The kind of its documents; oci if nothing is said",
)
@option("-q", "--quiet", is_flag=True, help="For scripts: there is no progress to hide")
@option("-s", "--squash", is_flag=True, help="Make one layer of all")
@option(
    "--config",
    "config_file",
    metavar="FILE",
    help="Set what this JSON file has, an image's configuration as docker writes it",
)
@option(
    "--include-volumes", is_flag=True, help="Note its volumes in the image, without their files"
)
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
    form: str | None,
    quiet: bool,
    squash: bool,
    config_file: str | None,
    include_volumes: bool,
    iidfile: str | None,
) -> None:
    """Make an image of a container, with what it has changed as one layer more."""
    from rcrun.engine.commit import Options
    from rcrun.engine.commit import commit as commit_container
    from rcrun.storage.containers import find
    from rcrun_cli.textfile import write_text

    engine = context.engine()
    form = form or engine.setting("engine", "image_default_format") or "oci"
    options = Options(
        author=author or "",
        message=message or "",
        changes=changes,
        form="docker" if form == "v2s2" else form,
        squash=squash,
        pause=pause and not no_pause,
        config=_config_of(config_file) if config_file else {},
        volumes=include_volumes,
    )
    image_id = commit_container(engine, find(engine.store, container), name or "", options)
    if iidfile:
        write_text(iidfile, image_id)
    output.put(output.id_text(image_id))


def _config_of(path: str) -> dict[str, Any]:
    """Members that are empty change nothing, as with podman."""
    from rcrun.files import read_json

    try:
        document = read_json(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidInput(f'cannot read the configuration "{path}": {reason}') from error
    if not isinstance(document, dict):
        raise InvalidInput(f'the configuration "{path}" is not a JSON object')
    return {key: value for key, value in document.items() if value}
