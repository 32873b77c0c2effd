"""Roots that are no image: a directory, perhaps covered by an overlay, a bundle, and that of a pod's infra container."""

from __future__ import annotations

import os

from rcrun.engine.config import ImageFacts
from rcrun.engine.run import Root, directory_root
from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container


def empty_root(container: Container) -> Root:
    """The container's own directory, which is made after this."""
    root = Root(ImageFacts({}), [])
    root.directory = container.path("rootfs")
    return root


def covered_root(text: str) -> Root:
    """--rootfs DIR, or DIR:O, which is covered by what the container changes."""
    path, colon, word = text.rpartition(":")
    if not colon or "/" in word:
        return directory_root(text)
    if word == "idmap":
        raise InvalidInput(
            f'--rootfs "{text}" is not supported: the ids of a root cannot be mapped here',
            f"cover it instead: --rootfs {path}:O",
        )
    if word != "O":
        raise InvalidInput(f'invalid --rootfs "{text}"', "write DIR or DIR:O")
    root = directory_root(path)
    root.directory = ""
    return root


def bundle_root(context: Context, path: str) -> Root:
    from rcrun.runtime import bundle

    bundle_dir = os.path.abspath(path)
    spec = bundle.load(bundle_dir)
    try:
        root = directory_root(bundle.rootfs_dir(spec, bundle_dir))
        root.spec = bundle.with_environment(spec, bundle_dir, context.environ)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise bundle.malformed(spec, error) from error
    root.bundle_dir = bundle_dir
    return root
