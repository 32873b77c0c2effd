"""What docker's config.json and the variables of docker, podman and buildah say where the command line does not.

As `docker` the variables of podman and buildah mean nothing, and as `podman` those of docker; rcrun knows both.
"""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput
from rcrun.formats import dockerconfig
from rcrun_cli import context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Options = dict[str, Any]

_ISOLATIONS = ("", "oci", "rootless", "chroot")


def told(path: str, document: object, fault: str) -> Mapping[str, Any]:
    """The members that mean something; a file that cannot be read is none, as docker has it, and is told of."""
    from rcrun_cli.output import warn

    found: Mapping[str, Any] = {}
    faults = [fault]
    if not fault:
        found, faults = dockerconfig.members(document)
    for each in faults:
        warn(f'cannot use "{path}": {each}')
    return found


def proxies() -> dict[str, str]:
    """The variables that the file gives to containers of this engine."""
    host = context.settings.host or os.environ.get("DOCKER_HOST") or dockerconfig.DEFAULT_HOST
    return dockerconfig.proxies(context.docker_config(), host)


def with_proxies(options: Options) -> Options:
    """For `run` and `create`: as docker has it stronger than image and --env-file, weaker than --env.

    Whoever says which variables there are to be from the outside gets no others.
    """
    if options["bundle"] or options["http_proxy"] or options["unsetenv_all"]:
        return options
    words = dockerconfig.for_container(proxies(), options["env"])
    return {**options, "env": (*words, *options["env"])}


def detach_keys() -> str | None:
    """Of the file; a wrong one is told with its place."""
    from rcrun.formats.detachkeys import hex_of

    keys = context.docker_config().get("detachKeys")
    if keys is None:
        return None
    try:
        hex_of(keys)
    except InvalidInput as error:
        place = context.docker_config_path()
        raise InvalidInput(f'"{place}": {error.message}', error.hint) from error
    return str(keys)


def prune_filters(given: Sequence[str], *only: str) -> tuple[str, ...]:
    """With those of the file; with `only` no others of it than these."""
    kept = context.docker_config().get("pruneFilters") or []
    if only:
        kept = [word for word in kept if word.partition("=")[0] in only]
    return dockerconfig.prune_filters(given, kept)


def for_build(options: Options) -> Options:
    """Platform, layers and isolation of a build by the variables."""
    found = dict(options)
    if not any(options[key] for key in ("platform", "system", "arch", "variant")):
        default = context.default_platform()
        found["platform"] = (default,) if default else ()
    layers = options["layers"]
    found["layers"] = _layers() if layers is None else layers
    word = os.environ.get("BUILDAH_ISOLATION", "")
    if context.settings.personality != "docker" and word.lower() not in _ISOLATIONS:
        raise InvalidInput(
            f'invalid BUILDAH_ISOLATION "{word}"',
            "steps are containers, whatever it says: unset BUILDAH_ISOLATION",
        )
    return found


def _layers() -> bool:
    """Podman's rule for BUILDAH_LAYERS: only a clear no is one."""
    word = os.environ.get("BUILDAH_LAYERS", "").lower()
    return context.settings.personality == "docker" or word not in ("0", "false")


def build_arguments(given: Mapping[str, str]) -> dict[str, str]:
    """The proxies of the file that --build-arg does not say."""
    return dockerconfig.for_build(proxies(), given)
