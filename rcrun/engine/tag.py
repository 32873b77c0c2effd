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

    from rcrun.formats.image import Descriptor
    from rcrun.formats.reference import Reference
    from rcrun.paths import Store


def tag(store: Store, source: str, targets: Sequence[str]) -> None:
    """More names for an image; a name that another image has goes over to this one."""
    references = [images.named(store, target) for target in targets]
    entry = images.entry_of(store, source)
    image_id = _id_of(store, source, entry)
    for reference in references:
        layout.add_reference(store, entry, str(reference))
        _emit(store, image_id, "tag", reference)


def untag(store: Store, text: str, names: Sequence[str]) -> list[str]:
    """Take these names, or all, from an image, which stays; the names that are gone."""
    image = images.find(store, text)
    known = of_image(store, image)
    if known.read_only:
        raise InvalidInput(f'"{text}" is in a read-only store, which keeps its names')
    have = [str(reference) for reference in (*known.tags, *known.digests)]
    wanted = [_one_of(have, images.typed(store, name) or [name]) for name in names] or have
    for name in wanted:
        if name not in have:
            raise NotFound(f'"{name}" is no name of image "{text}"')
    if len(set(wanted)) == len(have):
        layout.add_reference(store, image.descriptor, "")
    for name in wanted:
        layout.remove_reference(store, name)
        _emit(store, image.config_digest, "untag", grammar.parse(name))
    return wanted


def _one_of(have: Sequence[str], meant: Sequence[object]) -> str:
    texts = [str(each) for each in meant]
    return next((text for text in texts if text in have), texts[-1])


def _id_of(store: Store, source: str, entry: Descriptor) -> str:
    """A list without an image for this host has none but its digest."""
    try:
        return images.find(store, source).config_digest
    except NotFound:
        return entry["digest"]


def _emit(store: Store, image_id: str, action: str, reference: Reference) -> None:
    emit(store, "image", action, image_id, {"name": grammar.familiar(reference)})
