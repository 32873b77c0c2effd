"""`rcrun setup auto-update`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import command, option


@command("auto-update")
@option("--print", "only_print", is_flag=True, help="Print the units, and install nothing")
def setup_auto_update(only_print: bool) -> None:
    """Look for newer images every day: install a timer of systemd that runs rcrun auto-update."""
    from rcrun.engine import setupautoupdate as engine

    whole = context.engine()
    if only_print:
        for name, text in engine.texts(whole).items():
            output.put(f"# {name}\n{text}")
        return
    output.put_done(engine.install(whole))
