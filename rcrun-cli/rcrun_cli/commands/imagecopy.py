"""`rcrun image copy`."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun_cli import context
from rcrun_cli.declare import argument, command, option
from rcrun_cli.registryoptions import (
    policy_options,
    retry_options,
    signing_from,
    signing_options,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.imagecopy import Options

MULTI_ARCH = ("system", "all", "index-only")


@command("copy")
@option("-a", "--all", "every", is_flag=True, help="Of an index all images, and itself as it is")
@option("--multi-arch", metavar="|".join(MULTI_ARCH), help="Of an index this; --all is all")
@option("--platform", metavar="OS/ARCH[/VARIANT]", help="Of an index the image for this platform")
@option("--override-os", metavar="OS", help="skopeo's words for --platform", hidden=True)
@option("--override-arch", metavar="ARCH", help="See --override-os", hidden=True)
@option("--override-variant", metavar="VARIANT", help="See --override-os", hidden=True)
@option("-f", "--format", "form", metavar="oci|v2s2", help="Write a manifest of this format")
@option("--preserve-digests", is_flag=True, help="Change nothing; an error where that cannot be")
@option("--additional-tag", multiple=True, metavar="TAG", help="Give it this tag there, too")
@option("--digestfile", metavar="FILE", help="Write the digest of what was written there")
@option("--dest-compress", is_flag=True, help="Compress layers that are not, with gzip")
@option("--dest-compress-format", metavar="gzip|zstd", help="Compress layers that are not so")
@option("--dest-compress-level", type=int, metavar="LEVEL", help="How hard")
@option(
    "--dest-force-compress-format", is_flag=True, help="Those that are compressed otherwise, too"
)
@option("--src-creds", metavar="USER[:PASSWORD]", help="Log in at the source")
@option("--dest-creds", metavar="USER[:PASSWORD]", help="Log in at the destination")
@option("--src-username", metavar="USER", help="See --src-creds", hidden=True)
@option("--src-password", metavar="PASSWORD", help="See --src-creds", hidden=True)
@option("--dest-username", metavar="USER", help="See --dest-creds", hidden=True)
@option("--dest-password", metavar="PASSWORD", help="See --dest-creds", hidden=True)
@option("--src-no-creds", is_flag=True, help="Do not log in at the source")
@option("--dest-no-creds", is_flag=True, help="Do not log in at the destination")
@option("--src-tls-verify", is_flag=True, default=True, help="Insist on a valid certificate there")
@option("--dest-tls-verify", is_flag=True, default=True, help="Insist on a valid certificate there")
@option("--src-cert-dir", metavar="DIR", help="Take certificates for the source from here too")
@option("--dest-cert-dir", metavar="DIR", help="Take certificates for the destination from here")
@option("--authfile", metavar="FILE", help="Look for credentials in this file only")
@option("--src-authfile", metavar="FILE", help="The same for the source")
@option("--dest-authfile", metavar="FILE", help="The same for the destination")
@option("-q", "--quiet", is_flag=True, help="Say nothing")
@option("--remove-signatures", is_flag=True, hidden=True, help="For scripts: none are copied")
@retry_options
@policy_options
@signing_options
@option("--sign-identity", metavar="NAME", help="Sign it as the image of this name")
@argument("source")
@argument("destination")
def copy_image(
    source: str, destination: str, quiet: bool, digestfile: str | None, **given: Any
) -> None:
    """Copy an image from SOURCE to DESTINATION, each TRANSPORT:PLACE as skopeo has them, or the name of an image here.

    Transports: docker://NAME of a registry, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME],
    dir:DIR, and of podman's own store, as a source, containers-storage:NAME.
    """
    from rcrun.engine.imagecopy import copy
    from rcrun.engine.places import parse
    from rcrun_cli.copying import progress_of, write_digest

    digest = copy(
        context.engine(),
        parse(source),
        parse(destination),
        _options(given),
        progress_of(quiet=quiet),
        source_access=_access("src", given),
        target_access=_access("dest", given),
    )
    write_digest(digestfile, digest)


def _options(given: dict[str, Any]) -> Options:
    from rcrun.engine.imagecopy import Options
    from rcrun.engine.push import Wishes
    from rcrun_cli.commands.pull import wanted_platform

    kind = given["multi_arch"] or "system"
    if kind not in MULTI_ARCH:
        raise InvalidInput(f'invalid --multi-arch "{kind}"', f"use one of {', '.join(MULTI_ARCH)}")
    compression = given["dest_compress_format"] or ("gzip" if given["dest_compress"] else "")
    wishes = Wishes(
        form=given["form"] or "",
        compression=compression,
        level=given["dest_compress_level"],
        force=given["dest_force_compress_format"],
    )
    if given["preserve_digests"] and (wishes.form or wishes.compression):
        raise InvalidInput(
            "--preserve-digests and another format or compression exclude each other"
        )
    overridden = wanted_platform(
        given["override_os"], given["override_arch"], given["override_variant"]
    )
    return Options(
        every=given["every"] or kind == "all",
        index_only=kind == "index-only",
        platform=given["platform"] or overridden,
        preserve=given["preserve_digests"],
        additional_tags=given["additional_tag"],
        wishes=wishes,
        signing=signing_from(given, given["sign_identity"] or ""),
    )


def _access(end: str, given: dict[str, Any]) -> Any:
    from rcrun_cli.copying import access_of

    return access_of(
        tls_verify=given[f"{end}_tls_verify"],
        creds=given[f"{end}_creds"],
        authfile=given[f"{end}_authfile"] or given["authfile"],
        cert_dir=given[f"{end}_cert_dir"],
        username=given[f"{end}_username"],
        password=given[f"{end}_password"],
        anonymous=given[f"{end}_no_creds"],
        retry=given["retry"],
        retry_delay=given["retry_delay"],
        signature_policy=given["signature_policy"],
    )
