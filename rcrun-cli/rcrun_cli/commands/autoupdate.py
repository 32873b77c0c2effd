"""`rcrun auto-update`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.autoupdate import Candidate

COLUMNS = {
    "Unit": "UNIT",
    "Container": "CONTAINER",
    "ContainerID": "CONTAINER ID",
    "ContainerName": "CONTAINER NAME",
    "Image": "IMAGE",
    "Policy": "POLICY",
    "Updated": "UPDATED",
}
SHOWN = ("Unit", "Container", "Image", "Policy", "Updated")


@command("auto-update")
@option("--authfile", metavar="FILE", help="Look for credentials in this file only")
@option("--dry-run", is_flag=True, help="Only look for newer images")
@option("--format", "form", metavar="FORMAT", help="table, json, table TEMPLATE, or a Go template")
@option(
    "--rollback",
    is_flag=True,
    default=True,
    help="Go back to the image from before when the unit does not start",
)
@option("--tls-verify", is_flag=True, default=True, help="Insist on a valid certificate")
def auto_update(
    authfile: str | None, dry_run: bool, form: str | None, rollback: bool, tls_verify: bool
) -> int:
    """Bring newer images for containers with the label io.containers.autoupdate, and start their units anew.

    With =registry the registry is asked, with =local the store.
    """
    from rcrun.engine import autoupdate as engine
    from rcrun_cli.registryoptions import access_from

    access = access_from(tls_verify=tls_verify, authfile=authfile)
    whole = context.engine()
    found = engine.update(
        whole, engine.systemd_restart(whole), access, dry_run=dry_run, rollback=rollback
    )
    output.Listing(COLUMNS, SHOWN).print([_row(each) for each in found], form)
    failed = {each.error.message: each.error for each in found if each.error is not None}
    for error in failed.values():
        output.complain(error.message, error.hint)
    return int(output.trait("failure_status")) if failed else 0


def _row(candidate: Candidate) -> dict[str, str]:
    container = candidate.container
    short = output.short_id(container.id)
    return {
        "Unit": candidate.unit,
        "Container": f"{short} ({container.name})",
        "ContainerID": container.id,
        "ContainerName": container.name,
        "Image": candidate.image,
        "Policy": candidate.policy,
        "Updated": candidate.updated,
    }
