"""`rcrun pod clone`."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option
from rcrun_cli.podoptions import clone_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@command("clone", failure_status=125)
@option(
    "--destroy", is_flag=True, help="Remove the first one, with its containers, also those that run"
)
@option("--start", is_flag=True, help="Start the new pod")
@clone_options
@argument("pod")
@argument("name_word", required=False, metavar="[NAME]")
def clone_pod(pod: str, name_word: str | None, destroy: bool, start: bool, **options: Any) -> None:
    """Make a pod as another one was made, with clones of its containers, and print its id."""
    from rcrun.engine.podclone import clone
    from rcrun.storage.pods import find

    if name_word:
        if options["name"]:
            raise InvalidInput("conflicting options: --name and a second name")
        options["name"] = name_word
    engine = context.engine()
    original = find(engine.store, pod)
    made = clone(engine, original, options)
    if destroy:
        from rcrun.engine.podrm import remove

        remove(engine, original, force=True)
    if start:
        from rcrun.engine.podlife import start as start_pod

        start_pod(engine, made)
    output.put(made.id)
