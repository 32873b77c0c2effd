"""`rcrun image referrers`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COLUMNS = {
    "Digest": "DIGEST",
    "ArtifactType": "ARTIFACT TYPE",
    "Size": "SIZE",
    "MediaType": "MEDIA TYPE",
    "Annotations": "ANNOTATIONS",
}
SHOWN = ("Digest", "ArtifactType", "Size")


@command("referrers")
@option("--artifact-type", metavar="TYPE", help="Only what is of this type")
@option("--format", "form", metavar="FORMAT", help="table, json, table TEMPLATE, or a Go template")
@option("--tls-verify", is_flag=True, default=True, help="Insist on a valid certificate")
@option("--creds", metavar="USER[:PASSWORD]", help="Log in as this user for this question")
@option("--authfile", metavar="FILE", help="Look for credentials in this file only")
@option("--cert-dir", metavar="DIR", help="Take certificates from here too")
@argument("image")
def list_referrers(image: str, artifact_type: str | None, form: str | None, **access: Any) -> None:
    """List what a registry has about an image: signatures, bills of materials, attestations."""
    from rcrun.engine.referrers import referrers
    from rcrun_cli.commands.pull import access_from

    found = referrers(context.engine(), image, artifact_type or "", access_from(**access))
    rows = [
        {
            "Digest": each["digest"],
            "ArtifactType": each.get("artifactType") or "",
            "Size": each.get("size") or 0,
            "MediaType": each.get("mediaType") or "",
            "Annotations": each.get("annotations") or {},
        }
        for each in found
    ]
    output.Listing(COLUMNS, SHOWN).print(rows, form)
