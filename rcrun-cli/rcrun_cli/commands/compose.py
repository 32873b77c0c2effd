"""`rcrun compose`: podman-compose does it, and rcrun is its podman."""

from __future__ import annotations

from rcrun_cli import context
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@command(interspersed=False)
@option("-f", "--file", "files", multiple=True, metavar="FILE", help="A compose file")
@option("-p", "--project-name", "project", metavar="NAME", help="The project's name")
@option("--profile", "profiles", multiple=True, metavar="NAME", help="A profile to enable")
@option("--env-file", "env_files", multiple=True, metavar="FILE", help="Variables of the files")
@option("--project-directory", "folder", metavar="DIR", help="What paths in the files start from")
@option("--parallel", type=int, metavar="NUMBER", help="So many at once")
@option("--dry-run", is_flag=True, help="Say what would be done")
@option("--verbose", is_flag=True, help="Say more of what is done")
@option("-v", "--version", is_flag=True, help="Print the version")
@option("--ansi", metavar="WHEN", hidden=True, help="For scripts; no effect")
@option("--progress", metavar="TYPE", hidden=True, help="For scripts; no effect")
@option("--all-resources", is_flag=True, hidden=True, help="For scripts; no effect")
@option("--compatibility", is_flag=True, hidden=True, help="For scripts; no effect")
@argument("words", nargs=-1)
def compose(words: tuple[str, ...], **options: Any) -> int:
    """Run the services of a compose file, by podman-compose.

    `rcrun compose help` prints its commands, `rcrun compose up --help` the options of one.
    """
    from rcrun.engine.compose import become

    settings = context.settings
    return become(
        context.engine(),
        [*_before(options), *(words or ["help"])],
        folder=options["folder"] or "",
        like_docker=settings.personality != "podman",
        more={"DOCKER_CONFIG": settings.config_dir} if settings.config_dir else {},
    )


def _before(options: dict[str, Any]) -> list[str]:
    """The options before the command, in podman-compose's words."""
    words = []
    for name, option_ in (("files", "-f"), ("profiles", "--profile"), ("env_files", "--env-file")):
        for value in options[name]:
            words += [option_, value]
    for name, option_ in (("project", "-p"), ("parallel", "--parallel")):
        if options[name] is not None:
            words += [option_, str(options[name])]
    return [
        *words,
        *[
            f"--{name.replace('_', '-')}"
            for name in ("dry_run", "verbose", "version")
            if options[name]
        ],
    ]
