"""`rcrun history`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.history import Step
    from rcrun.paths import Store
    from rcrun.storage.images import Image

COLUMNS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Created": "CREATED",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
SHOWN = ("ID", "CreatedSince", "CreatedBy", "Size", "Comment")
LONGEST_COMMAND = 45


@command()
@option("--format", "form", metavar="FORMAT", help="table, json, table TEMPLATE, or a Go template")
@option("-H", "--human", is_flag=True, default=True, help="Sizes and times in words (default)")
@option("--no-trunc", is_flag=True, help="Do not shorten ids and commands")
@option("--platform", metavar="OS/ARCH[/VARIANT]", help="Of the image for this platform")
@option("-q", "--quiet", is_flag=True, help="Print ids only")
@argument("image")
def history(
    image: str,
    form: str | None,
    human: bool,
    no_trunc: bool,
    platform: str | None,
    quiet: bool,
) -> None:
    """Print what an image is made of, the last step first."""
    from rcrun.engine.history import MISSING, steps
    from rcrun.storage.images import find

    store = context.store()
    found = find(store, image, platform=platform or "")
    rows = [_row(step, human=human, whole=no_trunc) for step in steps(store, found)]
    for number, row in enumerate(rows):
        digest = found.config_digest if number == 0 else MISSING
        row["ID"] = digest if no_trunc or number else output.short_id(digest)
    if form == "json" and rows and output.trait("bare_ids"):
        rows[0]["ID"] = output.id_text(found.config_digest)
    if quiet:
        for row in rows:
            output.put(row["ID"])
        return
    if context.settings.personality == "podman":
        rows = _podman_rows(store, found, rows)
        output.Listing({**COLUMNS, "Tags": "TAGS"}, SHOWN).print(rows, form)
        return
    shown = SHOWN if human else ("ID", "CreatedAt", *SHOWN[2:])
    output.Listing(COLUMNS, shown).print(rows, form)


def _podman_rows(store: Store, image: Image, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from rcrun.engine.history import steps
    from rcrun.engine.images import of_image
    from rcrun.formats.reference import full
    from rcrun_cli.podmanrows import history_rows

    names = list(map(full, of_image(store, image).tags))
    return list(history_rows(rows, names, [step.size for step in steps(store, image)]))


def _row(step: Step, *, human: bool, whole: bool) -> dict[str, Any]:
    import time

    from rcrun.formats.size import decimal

    written = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(step.created))
    command_line = step.created_by.replace("\t", " ")
    return {
        "ID": "",
        "CreatedSince": step.since(time.time()) if human else written,
        "CreatedAt": written,
        "Created": written,
        "CreatedBy": command_line if whole else output.shortened(command_line, LONGEST_COMMAND),
        "Size": decimal(step.size, 3) if human else str(step.size),
        "Comment": step.comment,
    }
