"""`rcrun setup quadlet`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import command, option


@command("quadlet")
@option("-f", "--force", is_flag=True, help="Switch podman's generator off if there is one")
@option("--print", "only_print", is_flag=True, help="Print what would be installed")
@option("--remove", is_flag=True, help="Take it away")
def setup_quadlet(force: bool, only_print: bool, remove: bool) -> None:
    """Let systemd read files of Quadlet.

    Root installs a generator, for the host and for all users. A user gets a unit that makes the units at each login.
    """
    from rcrun.engine.quadlet import setup as engine

    whole = context.engine()
    if only_print:
        is_root = whole.identity.kind == "root"
        text = engine.generator_text(whole, "") if is_root else engine.unit_text(whole)
        output.put(text.removesuffix("\n"))
        return
    if remove:
        for path in engine.remove(whole):
            output.put(path)
        return
    output.put_done(engine.install(whole, force=force))
