"""`rcrun exec`."""

from __future__ import annotations

from rcrun.engine.exec import execute
from rcrun.errors import WrongState
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
    "--privileged", is_flag=True, help="Give the command all capabilities of the container's root"
)
@option("-t", "--tty", is_flag=True, help="Give the command a terminal")
@option("-u", "--user", metavar="USER[:GROUP]", help="Run as this user, by name or number")
@option("-w", "--workdir", metavar="DIR", help="Working directory")
@argument("container")
@argument("args", nargs=-1, required=True, metavar="COMMAND [ARG]...")
def exec_(container: str, args: tuple[str, ...], **options: Any) -> None:
    """Run a command in a running container."""
    whole = context.engine()
    try:
        execute(whole, find(whole.store, container), args, options)
    except WrongState as error:
        error.status = int(output.trait("exec_status"))
        raise
