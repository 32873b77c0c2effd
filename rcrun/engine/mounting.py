"""`mount`, `unmount`, `image mount` and `unshare`: the files of containers and images where other programs can look at them."""

from __future__ import annotations

import os

from rcrun.engine.launch import overlay_options
from rcrun.errors import HostLacks, InUse, InvalidInput, NotFound, RcrunError
from rcrun.kernel import mounting
from rcrun.storage.claims import ContainerLock
from rcrun.storage.containers import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container


def require_mounts(context: Context, words: str) -> None:
    """Who is not root mounts in a namespace of his own, where others do not see it."""
    if context.identity.kind != "root":
        raise HostLacks(
            "cannot mount: a user's mounts need a namespace of their own",
            f"rcrun unshare sh -c 'rcrun {words} && ls \"$(rcrun {words})\"'",
        )


def mount_container(context: Context, container: Container) -> str:
    """Where its root is now. Of a running one it is read-only: its own mount is its alone to write."""
    place = container.path("rootfs")
    with ContainerLock(container):
        rootfs = container.record["rootfs"]
        if rootfs["kind"] == "directory":
            return str(rootfs["path"])
        if rootfs["driver"] == "copy" or place in mounting.places_below(container.dir):
            return place
        lowers = [container.store.path(path) for path in rootfs["lowers"]]
        upper = container.path("upper")
        options = overlay_options(context, {})
        try:
            if status(container).is_running:
                mounting.overlay(place, [upper, *lowers], options=options)
            else:
                mounting.overlay(place, lowers, upper, container.path("work"), options)
        except OSError as error:
            raise _cannot("mount", container.name, error) from error
    return place


def _cannot(verb: str, name: str, error: OSError) -> RcrunError:
    if error.errno == 16:
        return InUse(
            f'cannot {verb} "{name}": {error.strerror}',
            "see who is in it: fuser -vm PATH; or add --force",
        )
    return RcrunError(f'cannot {verb} "{name}": {error.strerror}')


def mounted_containers(context: Context) -> list[tuple[str, str]]:
    """Ids and where they are."""
    folder = context.store.path("containers")
    found = []
    for path in mounting.places_below(folder):
        container_id, _, rest = path[len(folder) + 1 :].partition("/")
        if rest == "rootfs":
            found.append((container_id, path))
    return found


def unmount_container(container: Container, *, force: bool) -> bool:
    """False: it was not mounted."""
    place = container.path("rootfs")
    if place not in mounting.places_below(container.dir):
        return False
    try:
        mounting.unmount(place, force=force)
    except OSError as error:
        raise _cannot("unmount", container.name, error) from error
    return True


# ---- images


def _images_dir(context: Context) -> str:
    return f"{context.store.live_dir}/images"


def mount_image(context: Context, text: str) -> str:
    """Its files, read-only."""
    from rcrun.paths import make_private_dir
    from rcrun.storage import images, layers

    image = images.find(context.store, text)
    digest = image.config_digest.rpartition(":")[2]
    place = f"{_images_dir(context)}/{digest}"
    make_private_dir(place)
    if place in mounting.places_below(_images_dir(context)):
        return place
    with_layers = layers.ensure(context.store, context.identity, image, None)
    try:
        if len(with_layers) == 1:
            mounting.bind(with_layers[0], place, readonly=True)
        else:
            mounting.overlay(place, with_layers, options=overlay_options(context, {}))
    except OSError as error:
        raise _cannot("mount", text, error) from error
    return place


def mounted_images(context: Context) -> list[tuple[str, str]]:
    folder = _images_dir(context)
    return [(os.path.basename(path), path) for path in mounting.places_below(folder)]


def unmount_image(context: Context, text: str, *, force: bool) -> bool:
    from rcrun.storage import images

    digest = images.find(context.store, text).config_digest.rpartition(":")[2]
    place = f"{_images_dir(context)}/{digest}"
    if place not in mounting.places_below(_images_dir(context)):
        return False
    try:
        mounting.unmount(place, force=force)
        os.rmdir(place)
    except OSError as error:
        raise _cannot("unmount", text, error) from error
    return True


# ---- unshare


def unshare(context: Context, args: Sequence[str]) -> NoReturn:
    """A command as root of our ids, in a mount namespace of its own; the process becomes the shim."""
    from rcrun.engine.work import work_plan
    from rcrun.kernel import shim

    identity = context.identity
    if identity.kind == "root":
        raise InvalidInput("rcrun unshare is for who is not root", "run the command itself")
    environ = {**context.environ, "RCRUN_UNSHARED": identity.layer_kind()}
    words = list(args) or [context.environ.get("SHELL") or "/bin/sh"]
    if "/" not in words[0]:
        from rcrun.paths import find_program

        found = find_program(words[0], context.environ.get("PATH", ""))
        if not found:
            raise NotFound(f'no such command: "{words[0]}" is not in PATH')
        words[0] = found
    steps = [
        ["propagation", "rslave"],
        ["env", *[f"{key}={value}" for key, value in environ.items()]],
        ["exec", *words],
    ]
    plan = work_plan(identity, steps, mount=True)
    try:
        shim.replace_process(plan)
    except OSError as error:
        raise HostLacks(
            f'cannot run "{shim.shim_path()}": {error.strerror}', "install rcrun again"
        ) from error
