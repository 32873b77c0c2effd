"""`rcrun buildx imagetools …`: images as registries have them."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option
from rcrun_cli.registryoptions import access_from, access_options, retry_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from rcrun.engine.access import Access
    from rcrun.engine.imagetools import Seen

_builder = option("--builder", metavar="NAME", hidden=True, help="For scripts; no effect")


def _access(given: dict[str, Any]) -> Access:
    names = ("creds", "authfile", "cert_dir", "tls_verify", "retry", "retry_delay")
    known: dict[str, Any] = {name: given.get(name) for name in names}
    return access_from(**known)


@command("inspect")
@option("--raw", is_flag=True, help="Print it as the registry has it")
@option("--format", "form", metavar="FORMAT", help="A Go template over .Name, .Manifest and .Image")
@access_options
@_builder
@argument("name")
def inspect_remote(name: str, raw: bool, form: str | None, **given: Any) -> None:
    """Print the image or the index that a registry has under this name."""
    import sys

    from rcrun.engine.imagetools import Seen

    if raw and form:
        raise InvalidInput("conflicting options: --raw and --format")
    seen = Seen(context.engine(), name, _access(given))
    if raw:
        sys.stdout.flush()
        sys.stdout.buffer.write(seen.data)
    elif form:
        value: dict[str, Any] = {"name": str(seen.reference), "manifest": seen.told()}
        if "image" in form.lower() or "json" in form:
            value["image"] = seen.configurations()
        output.print_value(value, form)
    else:
        for line in _lines(seen):
            output.put(line.rstrip())


def _lines(seen: Seen) -> Iterator[str]:
    yield f"Name:      {seen.reference}"
    yield f"MediaType: {seen.descriptor['mediaType']}"
    yield f"Digest:    {seen.descriptor['digest']}"
    if seen.members:
        yield ""
        yield "Manifests:"
    for at, member in enumerate(seen.members):
        if at:
            yield ""
        yield f"  Name:        {seen.reference}@{member['digest']}"
        yield f"  MediaType:   {member['mediaType']}"
        if member.get("platform"):
            from rcrun.formats.image import platform_text

            yield f"  Platform:    {platform_text(member['platform'])}"
        annotations = member.get("annotations") or {}
        if annotations:
            yield "  Annotations:"
        for key, value in sorted(annotations.items()):
            yield f"    {key}: {value}"


@command("create")
@option("-t", "--tag", "names", multiple=True, metavar="NAME", help="Under this name")
@option("--append", is_flag=True, help="With the images that it has already")
@option("-f", "--file", "files", multiple=True, metavar="FILE", help="Read a source from a file")
@option(
    "--annotation",
    multiple=True,
    metavar="[index:]KEY=VALUE",
    help="Set an annotation of the index",
)
@option(
    "-p", "--platform", multiple=True, metavar="PLATFORM,…", help="With the images for these only"
)
@option("--prefer-index", is_flag=True, default=True, help="Of one image make an index, too")
@option("--dry-run", is_flag=True, help="Print it, and send nothing")
@option("--metadata-file", metavar="FILE", help="Write what was made there, as JSON")
@option("--progress", metavar="WORD", help="quiet: say nothing")
@access_options
@retry_options
@_builder
@argument("sources", nargs=-1, metavar="NAME…")
def create_remote(names: Sequence[str], sources: Sequence[str], **given: Any) -> None:
    """Give images of registries new names there: of several an index is made."""
    from rcrun.engine import imagetools
    from rcrun_cli.copying import progress_of

    chosen = [*(_source_in(path) for path in given["files"]), *sources]
    if given["append"] and names:
        chosen.insert(0, names[0])
    if not chosen:
        raise InvalidInput("no image is named", "rcrun buildx imagetools create -t NAME IMAGE…")
    if not names and not given["dry_run"]:
        raise InvalidInput("there is no name to push it under", "add --tag NAME, or --dry-run")
    wanted = imagetools.Wanted(
        names,
        chosen,
        annotations=_annotations(given["annotation"]),
        platforms=[word for text in given["platform"] for word in text.split(",")],
        prefer_index=given["prefer_index"],
    )
    quiet = given["progress"] in ("quiet", "none")
    made, data = imagetools.create(
        context.engine(), wanted, progress_of(quiet=quiet), _access(given), dry_run=given["dry_run"]
    )
    if given["dry_run"]:
        output.put(data.decode())
    elif not quiet:
        for name in wanted.names:
            output.tell(f"pushed {name}: digest: {made['digest']}")
    if given["metadata_file"] and not given["dry_run"]:
        from rcrun.files import dump_json
        from rcrun_cli.textfile import write_text

        facts = {
            "containerimage.descriptor": made,
            "image.name": ",".join(imagetools.repositories(wanted.names)),
        }
        write_text(given["metadata_file"], dump_json(facts) + "\n")


def _source_in(path: str) -> str:
    from rcrun_cli.textfile import read_text

    return read_text(path).strip()


def _annotations(words: Sequence[str]) -> dict[str, str]:
    from rcrun.engine.options import pairs

    found = {}
    for key, value in pairs(words, "--annotation", bare=False).items():
        kind, colon, rest = key.partition(":")
        if colon and kind not in ("index", "manifest-descriptor"):
            raise InvalidInput(
                f'--annotation "{key}" is not possible: it is one of {kind}',
                "write index:KEY=VALUE",
            )
        found[rest if colon else key] = value
    return found
