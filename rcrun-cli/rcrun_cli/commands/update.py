"""`rcrun update`."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun_cli import context, options_around, options_inside, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun_cli.declare import Handler

_NOT_YET = (
    "log-destination", "max-log-count", "max-log-size", "startup-cmd", "startup-interval", "startup-retries",
    "startup-success", "startup-timeout",
)  # fmt: skip


def limit_options(handler: Handler) -> Handler:
    """Those of `run` that can be changed later."""
    for declare in reversed(options_inside.LIMITS):
        handler = declare(handler)
    params = handler.__dict__["recorded_params"]
    away = ("--cgroup-parent", "--cgroups", "--rdt-class", "--oom-kill-disable", "--kernel-memory")
    handler.__dict__["recorded_params"] = [
        param for param in params if not set(param.decls) & set(away)
    ]
    return handler


def _health(handler: Handler) -> Handler:
    for word in _NOT_YET:
        handler = option(
            f"--health-{word}", metavar="VALUE", hidden=True, help="Not supported yet"
        )(handler)
    for declare in reversed(options_around.HEALTH):
        handler = declare(handler)
    return handler


@command()
@limit_options
@_health
@option(
    "-e",
    "--env",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a variable, from the next start on",
)
@option(
    "--unsetenv", multiple=True, metavar="NAME", help="Take a variable away, from the next start on"
)
@option(
    "--ulimit",
    multiple=True,
    metavar="NAME=SOFT[:HARD]",
    help="Set a resource limit, from the next start on",
)
@option(
    "--restart",
    metavar="POLICY",
    help="When to start it again: no, on-failure[:COUNT], always, unless-stopped",
)
@option("-l", "--latest", is_flag=True, help="The container that was made last")
@argument("containers", nargs=-1)
def update(containers: tuple[str, ...], latest: bool, **options: Any) -> int:
    """Change the limits and health checks of containers, at once and for their next starts."""
    from rcrun.engine.choose import newest
    from rcrun.engine.update import update as change
    from rcrun.storage.containers import find

    for word in _NOT_YET:
        if options.pop(f"health_{word.replace('-', '_')}"):
            raise InvalidInput(f"--health-{word} is not supported yet")
    if latest == bool(containers):
        raise InvalidInput(
            "name containers, or say --latest", "rcrun update [OPTIONS] CONTAINER..."
        )
    if not any(value not in (None, (), False, "") for value in options.values()):
        raise InvalidInput("you must provide one or more options when using this command")
    whole = context.engine()

    def one(name: str) -> None:
        for warning in change(whole, find(whole.store, name), options):
            output.warn(warning)

    return output.each([newest(whole.store).id] if latest else containers, one)
