"""`rcrun inspect`, of everything that has a name."""

from __future__ import annotations

import sys

from rcrun.errors import InvalidInput, NotFound
from rcrun_cli import choosing, context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

KINDS = ["all", "container", "image", "network", "pod", "secret", "volume"]


@command()
@option("-f", "--format", "form", metavar="FORMAT", help="json, or a Go template")
@choosing.choosing("latest")
@option("-s", "--size", is_flag=True, help="Tell how much a container takes")
@option("-t", "--type", "kind", type=KINDS, default="all", help="Look for this kind only")
@argument("names", nargs=-1)
def inspect(names: tuple[str, ...], form: str | None, size: bool, kind: str, latest: bool) -> int:
    """Print all that is known of containers, images, networks, volumes, secrets and pods."""
    if latest and kind not in ("all", "container"):
        raise InvalidInput(f"--latest is a container, not a {kind}")
    return _inspect(names, form, "" if kind == "all" else kind, size=size, latest=latest)


@command("inspect")
@option("-f", "--format", "form", metavar="FORMAT", help="json, or a Go template")
@choosing.choosing("latest")
@option("-s", "--size", is_flag=True, help="Tell how much the container takes")
@argument("names", nargs=-1)
def inspect_container(names: tuple[str, ...], form: str | None, size: bool, latest: bool) -> int:
    """Print all that is known of containers."""
    return _inspect(names, form, "container", size=size, latest=latest)


@command("inspect")
@option("-f", "--format", "form", metavar="FORMAT", help="json, or a Go template")
@option("--platform", metavar="OS/ARCH[/VARIANT]", help="It must be for this platform")
@argument("names", nargs=-1, required=True)
def inspect_image(names: tuple[str, ...], form: str | None, platform: str | None) -> int:
    """Print all that is known of images."""
    return _inspect(names, form, "image", platform=platform or "")


def _as_podman(each: dict[str, Any]) -> None:
    """Ids of images without their algorithm, names whole, and those of containers without a slash."""
    if "Name" in each:
        each["Name"] = each["Name"].removeprefix("/")
    if "RepoTags" in each:
        from rcrun.formats.reference import full, parse

        each["Id"] = output.id_text(each["Id"])
        for key in ("RepoTags", "RepoDigests"):
            each[key] = [full(parse(name)) for name in each[key]]
    elif "Image" in each:
        each["Image"] = output.id_text(each["Image"])
        known = each["NetworkSettings"]["Networks"]
        asked = each["HostConfig"]
        for key in ("Binds", "CapAdd", "CapDrop", "ExtraHosts", "GroupAdd", "SecurityOpt"):
            asked[key] = asked[key] or []
        each["NetworkSettings"]["Networks"] = {
            "podman" if name == "bridge" else name: known[name] for name in known
        }


def _inspect(
    names: Sequence[str],
    form: str | None,
    kind: str,
    *,
    size: bool = False,
    latest: bool = False,
    platform: str = "",
) -> int:
    """What is there is printed, `[]` when nothing is; each missing one is an error of its own."""
    from rcrun.engine.inspect import inspect

    if latest:
        names, kind = (
            choosing.chosen("inspect", names, choosing.any_state, latest=True),
            "container",
        )
    elif not names:
        raise InvalidInput("inspect needs at least one name", "see rcrun inspect --help")
    whole, podman = context.engine(), not output.trait("slash")
    found, missing = [], []
    for name in names:
        try:
            found.append(inspect(whole, name, kind, size=size, platform=platform, podman=podman))
        except NotFound as error:
            missing.append(error)
    if podman:
        for each in found:
            _as_podman(each)
    if found or not form:
        output.print_inspected(found, form)
        sys.stdout.flush()  # before the errors, where both go into one place
    for absence in missing:
        output.complain(absence.message, absence.hint)
    return output.trait("failure_status") if missing else 0
