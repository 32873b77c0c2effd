"""`rcrun system reset`, and two of podman's words for which nothing is to be done."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import command, option


@command()
@option("-f", "--force", is_flag=True, help="Do not ask")
def reset(force: bool) -> int:
    """Remove everything that rcrun has stored: containers, images, volumes, secrets."""
    from rcrun.engine.reset import reset as everything

    found = context.store().root_dir
    lines = ["This will remove:", "  - all containers, also those that run", "  - all images"]
    lines += ["  - all volumes", "  - all secrets", f"that are stored in {found}"]
    if not force and not output.confirmed("\n".join(lines)):
        return 0
    everything(context.engine())
    return 0


@command()
def renumber() -> None:
    """Do nothing: containers of rcrun have no numbered locks."""


@command()
@option("--new-runtime", metavar="NAME", help="For scripts; there is one runtime")
def migrate(new_runtime: str | None) -> None:
    """Do nothing: a store of an older rcrun is used as it is."""
