"""`rcrun exec`."""

from __future__ import annotations

from rcrun.engine.exec import execute
from rcrun.errors import InvalidInput, WrongState
from rcrun.storage.containers import find
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@command("exec", interspersed=False)
@option("-d", "--detach", is_flag=True, help="Do not wait for the command")
@option("--detach-keys", metavar="KEYS", help="The keys that leave the command: ctrl-p,ctrl-q")
@option("-e", "--env", multiple=True, metavar="NAME=VALUE", help="Set an environment variable")
@option("--env-file", multiple=True, metavar="FILE", help="Read environment variables from a file")
@option("-i", "--interactive", is_flag=True, help="Pass standard input on")
@option(
    "--privileged",
    is_flag=True,
    default=None,
    help="Give the command all capabilities of the container's root",
)
@option(
    "--root-emulation",
    type=["auto", "on", "off"],
    help="With a single id: let root act as root of all users (auto: as its container)",
)
@option("-t", "--tty", is_flag=True, help="Give the command a terminal")
@option("-u", "--user", metavar="USER[:GROUP]", help="Run as this user, by name or number")
@option("-w", "--workdir", metavar="DIR", help="Working directory")
@option("-l", "--latest", is_flag=True, help="In the container that was made last")
@option("--cidfile", metavar="FILE", help="In the container whose id is in this file")
@option("--preserve-fds", type=int, metavar="NUMBER", help="Pass so many descriptors on, from 3")
@option("--preserve-fd", multiple=True, metavar="FD,…", help="Pass these descriptors on")
@option(
    "--no-session", is_flag=True, hidden=True, help="Accepted: there is no database of sessions"
)
@argument("container", required=False)
@argument("args", nargs=-1, metavar="COMMAND [ARG]...")
def exec_(container: str | None, args: tuple[str, ...], **options: Any) -> None:
    """Run a command in a running container."""
    if options["latest"] or options["cidfile"]:
        args = args if container is None else (container, *args)
        container = _chosen(options["latest"], options["cidfile"])
    if not container or not args:
        what = "command" if container else "container"
        raise InvalidInput(f"no {what} is given", "rcrun exec [OPTIONS] CONTAINER COMMAND [ARG]...")
    if options["preserve_fds"] or options["preserve_fd"]:
        from rcrun.engine.beside import passed_fds

        options["kept_fds"] = passed_fds(options)  # before anything is opened
    output.allow_no_terminal(options)
    if options["interactive"] and options["tty"]:
        options["detach_keys"] = context.detach_keys(options["detach_keys"])
    whole = context.engine()
    if options["privileged"] is None:
        options["privileged"] = whole.setting("containers", "privileged")
    try:
        exec_id = execute(whole, find(whole.store, container), args, options)
    except WrongState as error:
        error.status = int(output.trait("exec_status"))
        raise
    if context.settings.personality == "podman":
        output.put(exec_id)


def _chosen(latest: bool, cidfile: str | None) -> str:
    from rcrun.engine.choose import ids_in_files, newest

    if latest and cidfile:
        raise InvalidInput("conflicting options: --latest and --cidfile")
    return ids_in_files([cidfile], ignore=False)[0] if cidfile else newest(context.store()).id
