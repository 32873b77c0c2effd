"""Names of images: given and taken away."""

from __future__ import annotations

from rcrun.engine.eventlog import emit
from rcrun.engine.images import of_image
from rcrun.errors import InvalidInput, NotFound
from rcrun.formats import reference as grammar
from rcrun.storage import images, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.formats.reference import Reference
    from rcrun.paths import Store
    from rcrun.storage.images import Image


def tag(store: Store, source: str, targets: Sequence[str]) -> None:
    """More names for an image; a name that another image has goes over to this one."""
    references = [grammar.parse(target) for target in targets]
    for target, reference in zip(targets, references, strict=True):
        if reference.digest:
            raise InvalidInput(f'cannot tag as "{target}": a digest is computed, not given')
    image = images.find(store, source)
    for reference in references:
        layout.add_reference(store, image.descriptor, str(reference))
        _emit(store, image, "tag", reference)


def untag(store: Store, text: str, names: Sequence[str]) -> list[str]:
    """Take these names, or all, from an image, which stays; the names that are gone."""
    image = images.find(store, text)
    known = of_image(store, image)
    if known.read_only:
        raise InvalidInput(f'"{text}" is in a read-only store, which keeps its names')
    have = [str(reference) for reference in (*known.tags, *known.digests)]
    wanted = [str(grammar.parse(name)) for name in names] or have
    for name in wanted:
        if name not in have:
            raise NotFound(f'"{name}" is no name of image "{text}"')
    if len(set(wanted)) == len(have):
        layout.add_reference(store, image.descriptor, "")
    for name in wanted:
        layout.remove_reference(store, name)
        _emit(store, image, "untag", grammar.parse(name))
    return wanted


def _emit(store: Store, image: Image, action: str, reference: Reference) -> None:
    emit(store, "image", action, image.config_digest, {"name": grammar.familiar(reference)})
