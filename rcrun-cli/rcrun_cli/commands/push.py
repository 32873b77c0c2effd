"""`rcrun push`."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun_cli import context
from rcrun_cli.declare import argument, command, option
from rcrun_cli.registryoptions import (
    access_from,
    access_options,
    retry_options,
    signing_from,
    signing_options,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.access import Access
    from rcrun.engine.context import Context
    from rcrun.engine.push import Pushed, Wishes
    from rcrun.engine.signing import Signing
    from rcrun.formats.reference import Reference

# What save calls the places that are no registries.
_FORMS = {
    "oci": "oci-dir",
    "dir": "docker-dir",
    "oci-archive": "oci-archive",
    "docker-archive": "docker-archive",
}


@command()
@option("-a", "--all-tags", is_flag=True, help="Every tag of the repository that the store has")
@option("-q", "--quiet", is_flag=True, help="Print the name of the image only")
@option("--platform", metavar="OS/ARCH[/VARIANT]", help="Only an image for this platform")
@option("--digestfile", metavar="FILE", help="Write the digest of the pushed manifest there")
@option("-f", "--format", "form", metavar="oci|v2s2", help="Push with a manifest of this format")
@option("--compression-format", metavar="gzip|zstd", help="Compress layers that are not so")
@option("--compression-level", type=int, metavar="LEVEL", help="How hard: 1 to 9, of zstd 1 to 22")
@option("--force-compression", is_flag=True, help="Compress again what is compressed otherwise")
@access_options
@retry_options
@signing_options
@option(
    "--disable-content-trust",
    is_flag=True,
    default=True,
    help="For scripts; no effect",
    hidden=True,
)
@option("--remove-signatures", is_flag=True, help="For scripts; no effect", hidden=True)
@argument("image")
@argument("destination", required=False)
def push(
    image: str,
    destination: str | None,
    all_tags: bool,
    quiet: bool,
    platform: str | None,
    digestfile: str | None,
    form: str | None,
    compression_format: str | None,
    compression_level: int | None,
    force_compression: bool,
    disable_content_trust: bool,
    remove_signatures: bool,
    **given: Any,
) -> None:
    """Send an image to a registry, or write it to `oci:DIR`, `dir:DIR`, `oci-archive:FILE`, `docker-archive:FILE`."""
    from rcrun.engine.pull import split_transport
    from rcrun.engine.push import Wishes, tags_of
    from rcrun.engine.signing import check_place
    from rcrun.formats.reference import parse
    from rcrun_cli.textfile import write_text

    engine = context.engine()
    signing = signing_from(given)
    scheme, place = split_transport(destination or image)
    check_place(scheme, signing)
    if scheme != "docker":
        _write(engine, image, scheme, place, platform or "")
        return
    wishes = Wishes(
        form=form or engine.setting("engine", "image_default_format") or "",
        compression=compression_format or _usual_compression(engine, form),
        level=engine.setting("engine", "compression_level")
        if compression_level is None
        else compression_level,
        force=force_compression,
    )
    if all_tags and destination:
        raise InvalidInput("--all-tags takes no destination", "name the repository alone")
    access = access_from(**given)
    names = tags_of(engine.store, image) if all_tags else [parse(place)]
    for name in names:
        typed = str(name) if all_tags else image
        pushed = _push(engine, typed, name, quiet, platform or "", wishes, access, signing)
        _tell(pushed, quiet)
        if digestfile:
            write_text(digestfile, pushed.digest)


def _usual_compression(engine: Context, form: str | None) -> str:
    """containers.conf's, which layers of docker's format do not know all."""
    form = form or engine.setting("engine", "image_default_format")
    word = str(engine.setting("engine", "compression_format") or "").partition(":")[0]
    return "" if word == "zstd" and form in ("v2s2", "docker") else word


def _push(
    engine: Context,
    typed: str,
    name: Reference,
    quiet: bool,
    platform: str,
    wishes: Wishes,
    access: Access,
    signing: Signing | None,
) -> Pushed:
    from rcrun.engine.push import push as send
    from rcrun_cli.pushing import push_progress

    return send(
        engine,
        typed,
        name,
        platform=platform,
        wishes=wishes,
        progress=push_progress(quiet=quiet),
        access=access,
        signing=signing,
    )


def _tell(pushed: Pushed, quiet: bool) -> None:
    """What scripts read: docker's last line; podman has none, but a word for people."""
    from rcrun_cli import output

    if context.settings.personality == "podman":
        if not quiet:
            output.tell("Writing manifest to image destination")
    elif quiet:
        output.put(str(pushed.reference))
    else:
        output.put(f"{pushed.reference.tag}: digest: {pushed.digest} size: {pushed.size}")


def _write(engine: Context, image: str, scheme: str, place: str, platform: str) -> None:
    """DIR or FILE, and the name that it has there."""
    from rcrun.engine.export import OutputFile
    from rcrun.engine.save import find_all, save_archive, save_directory
    from rcrun.formats.reference import parse

    path, _, name = place.partition(":")
    saved = find_all(engine.store, [image], platform)
    if name:
        saved[0].names = [parse(name)]
    if scheme in ("oci", "dir"):
        save_directory(engine, saved, _FORMS[scheme], path)
        return
    with OutputFile(path) as file:
        save_archive(engine, saved, _FORMS[scheme], file.fd)
