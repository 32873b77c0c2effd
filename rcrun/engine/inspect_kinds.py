"""What `inspect` finds besides containers, each kind as its own `inspect` tells it."""

from __future__ import annotations

from rcrun.errors import InvalidInput, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rcrun.engine.context import Context

    Object = dict[str, Any]


def object_of(
    context: Context, text: str, kind: str, platform: str = "", *, podman: bool = False
) -> Object:
    """Of this kind, or of the first that has the name, in docker's order."""
    inspectors: dict[str, Callable[[], Object]] = {
        "image": lambda: _image(context, text, platform),
        "network": lambda: _network(context, text, podman=podman),
        "volume": lambda: _volume(context, text),
        "secret": lambda: _secret(context, text),
        "pod": lambda: _pod(context, text),
    }
    for look in [inspectors[kind]] if kind else inspectors.values():
        try:
            return look()
        except NotFound:
            continue
    raise NotFound(f"no such {kind or 'object'}: {text}")


def _image(context: Context, text: str, platform: str) -> Object:
    from rcrun.engine.images import inspect_object
    from rcrun.storage import images

    try:
        return inspect_object(context.store, images.find(context.store, text, platform=platform))
    except InvalidInput as error:
        raise NotFound(error.message) from error  # no image can have such a name


def _network(context: Context, text: str, *, podman: bool) -> Object:
    from rcrun.engine import networks

    if podman:
        return networks.podman_object(context.store, networks.find(context.store, text))
    return networks.docker_object(context.store, networks.told(context.store, text))


def _volume(context: Context, text: str) -> Object:
    from rcrun.engine.volume import inspect_object
    from rcrun.storage import volumes

    return inspect_object(context.store, volumes.load(context.store, text))


def _secret(context: Context, text: str) -> Object:
    from rcrun.engine.secrets import inspect_object
    from rcrun.storage import secrets

    return inspect_object(secrets.load(context.store, text))


def _pod(context: Context, text: str) -> Object:
    from rcrun.engine.podlist import inspect_object
    from rcrun.storage import pods

    return inspect_object(pods.find(context.store, text))
