"""`rcrun artifact …`: files that are kept in registries beside images."""

from __future__ import annotations

from rcrun.errors import InvalidInput, NotFound
from rcrun_cli import context, output
from rcrun_cli.copying import progress_of, write_digest
from rcrun_cli.declare import argument, command, option, table_options
from rcrun_cli.registryoptions import (
    access_from,
    access_options,
    retry_options,
    signing_from,
    signing_options,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

COLUMNS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "Created": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "VirtualSize": "VIRTUAL SIZE",
    "Type": "TYPE",
}
SHOWN = ("Repository", "Tag", "Digest", "Created", "Size")


@command("add")
@option("-a", "--append", is_flag=True, help="Add to an artifact that is there")
@option("--replace", is_flag=True, help="Replace one that is there")
@option("--annotation", multiple=True, metavar="KEY=VALUE", help="Set an annotation of the files")
@option("--type", "artifact_type", metavar="TYPE", help="The artifact is of this type")
@option(
    "--file-type", metavar="TYPE", help="The files are of this media type, not what they look like"
)
@argument("name", metavar="ARTIFACT")
@argument("paths", nargs=-1, required=True, metavar="FILE…")
def add_artifact(name: str, paths: Sequence[str], **given: Any) -> None:
    """Make an artifact of files."""
    from rcrun.engine.artifacts import add
    from rcrun.engine.options import pairs
    from rcrun.engine.rmi import finish

    if given["append"] and given["replace"]:
        raise InvalidInput("--append and --replace exclude each other")
    engine = context.engine()
    made = add(
        engine,
        name,
        paths,
        append=given["append"],
        replace=given["replace"],
        artifact_type=given["artifact_type"] or "",
        file_type=given["file_type"] or "",
        annotations=pairs(given["annotation"], "--annotation"),
    )
    if given["append"] or given["replace"]:
        finish(engine)
    output.put(output.id_text(made["digest"]))


@command("ls")
@table_options
@option("--no-trunc", is_flag=True, help="Do not shorten digests")
@option("-q", "--quiet", is_flag=True, help="Print digests only")
def list_artifacts(form: str | None, noheading: bool, no_trunc: bool, quiet: bool) -> None:
    """List artifacts."""
    import time

    from rcrun.engine.artifacts import every, rows

    listed = list(rows(every(context.store()), time.time()))
    for row in listed:
        row["Digest"] = output.short_id(row["Digest"], whole=no_trunc)
        row["Size"] = output.size_text(row["Size"])
    if quiet:
        for digest in dict.fromkeys(row["Digest"] for row in listed):
            output.put(digest)
        return
    output.Listing(COLUMNS, SHOWN, heading=not noheading).print(listed, form)


@command("inspect")
@option("-f", "--format", "form", metavar="FORMAT", help="json, or a Go template")
@argument("name", metavar="ARTIFACT")
def inspect_artifact(name: str, form: str | None) -> None:
    """Print all that is known of an artifact."""
    import json

    from rcrun.engine.artifacts import find

    found = find(context.store(), name)
    value = {"Manifest": found.manifest, "Name": found.name, "Digest": found.digest}
    if form:
        output.print_value(value, form)
    else:
        output.put(json.dumps(value, indent=4, ensure_ascii=False))


@command("rm", failure_status=1)
@option("-a", "--all", "everything", is_flag=True, help="Remove all artifacts")
@option("-i", "--ignore", is_flag=True, help="One that is not there is no error")
@argument("names", nargs=-1, metavar="ARTIFACT…")
def remove_artifacts(names: Sequence[str], everything: bool, ignore: bool) -> int:
    """Remove artifacts."""
    from rcrun.engine.artifacts import every, remove
    from rcrun.engine.rmi import finish

    engine = context.engine()
    if everything == bool(names):
        raise InvalidInput("name artifacts, or say --all", "see rcrun artifact ls")
    if everything:
        names = list(dict.fromkeys(each.digest for each in every(engine.store)))

    def drop(name: str) -> None:
        output.put(output.id_text(remove(engine, name)))

    status = output.each(names, drop, quiet=True, missing_ok=ignore)
    finish(engine)
    return status


@command("pull")
@option("-q", "--quiet", is_flag=True, help="Print the digest only")
@access_options
@retry_options
@argument("name", metavar="ARTIFACT")
def pull_artifact(name: str, quiet: bool, **access: Any) -> None:
    """Fetch an artifact from a registry."""
    from rcrun.engine.artifacttransfer import pull

    found = pull(context.engine(), name, access_from(**access), progress_of(quiet=quiet))
    output.put(output.id_text(found.digest))


@command("push")
@option("-q", "--quiet", is_flag=True, help="Say nothing")
@option("--digestfile", metavar="FILE", help="Write the digest there")
@access_options
@retry_options
@signing_options
@argument("name", metavar="ARTIFACT")
@argument("destination", required=False)
def push_artifact(
    name: str,
    destination: str | None,
    quiet: bool,
    digestfile: str | None,
    **given: Any,
) -> None:
    """Send an artifact to a registry, or write it to `oci:DIR`, `oci-archive:FILE`, `dir:DIR`."""
    from rcrun.engine.artifacttransfer import push
    from rcrun.engine.places import parse

    signing = signing_from(given)
    target = parse(destination or name)
    if target.kind == "store":
        target = parse(f"docker://{destination or name}")
    way, progress = access_from(**given), progress_of(quiet=quiet)
    digest = push(context.engine(), name, target, way, progress, signing)
    write_digest(digestfile, digest)


@command("extract")
@option("--title", metavar="NAME", help="Only the file of this name")
@option("--digest", metavar="DIGEST", help="Only the file with this digest")
@argument("name", metavar="ARTIFACT")
@argument("path", metavar="DIR|FILE")
def extract_artifact(name: str, path: str, title: str | None, digest: str | None) -> None:
    """Write the files of an artifact into a directory, or one of them as a file."""
    from rcrun.engine.artifacttransfer import extract

    extract(context.engine(), name, path, title=title or "", digest=digest or "")


@command("exists", failure_status=125)
@argument("name", metavar="ARTIFACT")
def exists_artifact(name: str) -> int:
    """Say nothing; the exit status is 0 if the artifact is here, and 1 if it is not."""
    from rcrun.engine.artifacts import find

    try:
        find(context.store(), name)
    except NotFound:
        return 1
    return 0
