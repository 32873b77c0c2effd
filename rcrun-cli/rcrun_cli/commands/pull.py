"""`rcrun pull`."""

from __future__ import annotations

from rcrun_cli import context
from rcrun_cli.declare import argument, command, option
from rcrun_cli.registryoptions import access_from, access_options, policy_options, retry_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.access import Access
    from rcrun.engine.context import Context
    from rcrun.storage.images import Image


@command()
@option("-q", "--quiet", is_flag=True, help="Print the name of the image only")
@option("--platform", metavar="OS/ARCH[/VARIANT]", help="Take the image for this platform")
@option("--all-platforms", is_flag=True, help="Keep an index whole, with its images for all")
@option("--arch", metavar="ARCH", help="Take the image for this architecture", hidden=True)
@option("--os", "system", metavar="OS", help="Take the image for this system", hidden=True)
@option("--variant", metavar="VARIANT", help="Take the image for this variant", hidden=True)
@option(
    "--policy",
    type=["always", "missing", "never", "newer"],
    default="always",
    help="When to ask the registry",
)
@access_options
@option("-a", "--all-tags", is_flag=True, help="Every tag of the repository")
@retry_options
@policy_options
@option(
    "--disable-content-trust",
    is_flag=True,
    default=True,
    help="For scripts; has no effect",
    hidden=True,
)
@option("--max-size", metavar="SIZE", help="Refuse a layer that unpacks to more than this: 2g")
@argument("images", nargs=-1, required=True)
def pull(
    images: Sequence[str],
    quiet: bool,
    platform: str | None,
    all_platforms: bool,
    arch: str | None,
    system: str | None,
    variant: str | None,
    policy: str,
    all_tags: bool,
    disable_content_trust: bool,
    max_size: str | None,
    **access: Any,
) -> int:
    """Fetch an image from a registry, or out of `oci:DIR[:TAG]`, `docker-archive:FILE`, `oci-archive:FILE`, `dir:DIR`."""
    wanted = platform or wanted_platform(system, arch, variant)
    if not (wanted or all_platforms):
        wanted = context.default_platform()
    from rcrun_cli.commands.load import limited_engine

    engine = limited_engine(max_size)
    way = access_from(**access)
    status = 0
    if all_tags:
        images = [name for text in images for name in _tags(engine, text, way)]
    for text in images:
        status = _pull(engine, text, quiet, wanted, policy, way, every=all_platforms) or status
    return status


def _tags(engine: Context, text: str, access: Access) -> list[str]:
    from rcrun.engine.pull import tags

    return [str(name) for name in tags(engine, text, access)]


def _pull(
    engine: Context,
    text: str,
    quiet: bool,
    platform: str,
    policy: str,
    access: Access,
    *,
    every: bool,
) -> int:
    from rcrun.engine.pull import pull as fetch
    from rcrun.errors import RcrunError
    from rcrun_cli import output, progress

    try:
        image = fetch(
            engine,
            text,
            policy=policy,
            platform=platform,
            every=every,
            progress=progress.pull_progress(quiet=quiet),
            access=access,
        )
    except RcrunError as error:
        output.complain(error.message, error.hint)
        return int(output.trait("failure_status"))
    output.put(final_line(text, image))
    return 0


def final_line(text: str, image: Image) -> str:
    """The one line of data: docker names the reference, podman the id."""
    from rcrun_cli import output

    if output.trait("pull_prints_id") or not image.reference:
        return image.config_digest.removeprefix("sha256:")
    return image.reference


def wanted_platform(system: str | None, arch: str | None, variant: str | None) -> str:
    """Podman's three options as one; empty when none is given."""
    if not (system or arch or variant):
        return ""
    from os import uname

    from rcrun.formats.image import platform_of

    host_arch, host_variant = platform_of(uname().machine)
    words = [system or "linux", arch or host_arch, variant or ("" if arch else host_variant)]
    return "/".join(word for word in words if word)
