"""`rcrun setup restart`, and `rcrun __boot`, which its unit calls."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option


@command("restart")
@option("--print", "only_print", is_flag=True, help="Print the unit, and install nothing")
def setup_restart(only_print: bool) -> None:
    """Let restart policies reach over a reboot: install a unit of systemd, or tell what to do without one."""
    from rcrun.engine import setuprestart as engine

    whole = context.engine()
    if only_print:
        text = engine.unit_text(whole, system=whole.identity.kind == "root")
        output.put(text.removesuffix("\n"))
        return
    output.put_done(engine.install(whole))


@command("__boot", hidden=True)
@argument("word", type=["start", "stop"])
def boot(word: str) -> int:
    """Start or stop the containers that have a restart policy."""
    from rcrun.engine import boot as engine

    whole = context.engine()
    if word == "stop":
        engine.stop_all(whole)
        return 0
    status = 0
    for container, error in engine.start_all(whole):
        if error is None:
            output.put(container.name)
        else:
            output.complain(f'cannot start "{container.name}": {error.message}', error.hint)
            status = 1
    return status
