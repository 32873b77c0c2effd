"""A layer's blob that was dropped, here again: made of its layer, or fetched from where it came; verified either way."""

from __future__ import annotations

from rcrun.errors import NotFound, RcrunError, RegistryError
from rcrun.formats import reference as grammar
from rcrun.storage import images, layout, recipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context
    from rcrun.storage.recipes import Recipe


def restore(context: Context, digest: str) -> None:
    """Does nothing where nobody knows how: whoever reads the blob says then that it is not there."""
    recipe = recipes.find(context.store, digest)
    if recipe is not None and not (recipe.layer and _was_made(context, recipe)):
        _from_registries(context, recipe)


def _was_made(context: Context, recipe: Recipe) -> bool:
    """False where a registry may still have it."""
    try:
        _of_layer(context, recipe)
    except RcrunError:
        if not recipe.origins:
            raise
        return False
    return True


def _of_layer(context: Context, recipe: Recipe) -> None:
    import os

    from rcrun.engine.work import worker_events
    from rcrun.storage.scratch import Scratch

    scratch = Scratch(context.store, "blob")
    scratch.make_file(0o644)
    try:
        told = {}
        words = ["from-headers", recipe.headers_path, recipe.diff_dir]
        try:
            for event in worker_events(context, words, stream_fd=scratch.fd):
                told.update(event)
        except RcrunError as error:
            raise _cannot(context, recipe, error.message, error.hint) from error
        if told.get("digest") != recipe.digest:
            raise _cannot(context, recipe, "the layer's files are not those that it was made of")
        os.fdatasync(scratch.fd)
        scratch.move_to(context.store.blob_path(recipe.digest))
    finally:
        scratch.drop()


def _cannot(context: Context, recipe: Recipe, reason: str, hint: str | None = None) -> RcrunError:
    name = image_name(context, recipe.digest)
    return RcrunError(
        f'the dropped blob "{recipe.digest}" of image "{name}" cannot be made again: {reason}',
        hint or "run: rcrun system check",
    )


def _from_registries(context: Context, recipe: Recipe) -> None:
    """The first that gives it, with what the environment says of it; the reason of the last one that did not."""
    last: RcrunError | None = None
    for origin in recipe.origins:
        try:
            _fetch(context, recipe, origin)
        except (NotFound, RegistryError) as error:
            last = _unreachable(context, recipe, origin, error)
        else:
            return
    if last is not None:
        raise last


def _fetch(context: Context, recipe: Recipe, origin: str) -> None:
    from rcrun.engine.access import Access
    from rcrun.engine.download import Stopped
    from rcrun.engine.pull import Silent
    from rcrun.engine.remote import Remote
    from rcrun.storage.lease import Lease

    reference = grammar.parse(origin)
    try:
        with (
            Lease(context.store) as lease,
            Remote(context, reference, Access(), lease) as remote,
        ):
            remote.fetch([recipe.descriptor], Silent())
    except Stopped:
        raise RcrunError(f'fetching the blob "{recipe.digest}" was stopped') from None


def _unreachable(context: Context, recipe: Recipe, origin: str, error: RcrunError) -> RegistryError:
    domain, name = grammar.parse(origin).domain, image_name(context, recipe.digest)
    denied = isinstance(error, RegistryError) and error.http_status in (401, 403)
    pull = f"{'RCRUN_DROP_BLOBS=0 ' if context.drops_blobs else ''}rcrun pull {name}"
    return RegistryError(
        f'the dropped blob "{recipe.digest}" of image "{name}" cannot be fetched again from "{domain}": {error.message}',
        f"run: rcrun login {domain}" if denied else f"once the registry answers: {pull}",
    )


def image_name(context: Context, digest: str) -> str:
    """Of an image that has this layer: a tag before a digest, an id for one without a name."""
    found = ""
    for image in images.every(context.store):
        if any(layer["digest"] == digest for layer in image.manifest["layers"]):
            name = layout.name_of(image.descriptor)
            shown = grammar.familiar(grammar.parse(name)) if name else image.short_id
            if name and "@" not in name:
                return shown
            found = found or shown
    return found or digest[7:19]
