"""`rcrun image referrers`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option
from rcrun_cli.registryoptions import access_from, access_options

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
@access_options
@argument("image")
def list_referrers(image: str, artifact_type: str | None, form: str | None, **access: Any) -> None:
    """List what a registry has about an image: signatures, bills of materials, attestations."""
    from rcrun.engine.referrers import referrers

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
