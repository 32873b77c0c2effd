"""Removing images: names first, and the image with its last one, unless a container needs it."""

from __future__ import annotations

from rcrun.engine.eventlog import emit
from rcrun.engine.images import Listed, of_image
from rcrun.errors import InUse, InvalidInput, NotFound, RcrunError, StepFailed
from rcrun.formats import digest as digests
from rcrun.formats import reference as grammar
from rcrun.storage import containers, images, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context
    from rcrun.formats.image import Descriptor
    from rcrun.formats.reference import Reference
    from rcrun.paths import Store
    from rcrun.storage.containers import Container
    from rcrun.storage.images import Image


class Removed:
    """What is gone: names, and digests of the image and of the layers that nobody else has."""

    __slots__ = ("deleted", "untagged")

    def __init__(self) -> None:
        self.untagged: list[str] = []
        self.deleted: list[str] = []


def remove(context: Context, text: str, *, force: bool = False, all_names: bool = False) -> Removed:
    """Docker's rules: a name goes; with the last name, or by id, the image goes. `finish` frees the space.

    `all_names`: by id also where the image is in several repositories.
    """
    store = context.store
    name = _known_name(store, text)
    if name is not None and not _is_readable(store, name):
        _refuse_artifact(store, name, text)
        return _forget_damaged(store, name)
    try:
        image = images.find(store, text)
    except NotFound as error:
        index = _index_by_id(store, text)
        if index is None:
            raise NotFound(f"no such image: {text}") from error
        return _forget_damaged(store, index)
    name = name or _known_name(store, text)  # given between the two looks
    each = of_image(store, image)
    if each.read_only:
        raise InUse(f'"{text}" is in a read-only store, and stays there')
    if name is None:
        removed = _remove_by_id(store, each, force, all_names or force)
    else:
        removed = _remove_name(store, each, grammar.parse(layout.name_of(name)), force)
    for gone in removed.untagged:
        emit(store, "image", "untag", each.id, {"name": gone})
    if removed.deleted:
        emit(store, "image", "delete", each.id, {"name": each.id})
    return removed


def finish(context: Context) -> None:
    """Remove the blobs and layers that nothing names any more."""
    from rcrun.engine.work import worded
    from rcrun.storage.collect import collect

    try:
        collect(context.store, context.identity)
    except StepFailed as error:
        raise worded(error) from error


def _known_name(store: Store, text: str) -> Descriptor | None:
    """The entry that was typed by name; None for an id."""
    found = images.exact(store, layout.references(store), text)
    if found is not None and found["digest"] != text:
        return found
    return None if digests.is_hex(text) else images.meant(store, text)


def _index_by_id(store: Store, text: str) -> Descriptor | None:
    """A list that has no image for this host, by its digest."""
    from rcrun.engine.manifests import find_list

    try:
        return find_list(store, text)
    except (NotFound, InvalidInput):
        return None


def _refuse_artifact(store: Store, entry: Descriptor, text: str) -> None:
    from rcrun.engine.artifacts import artifact_of

    if artifact_of(store, entry) is not None:
        raise InvalidInput(f'"{text}" is an artifact, not an image', f"rcrun artifact rm {text}")


def _is_readable(store: Store, entry: Descriptor) -> bool:
    try:
        images.load(store, entry)
    except (RcrunError, OSError):
        return False
    return True


def _forget_damaged(store: Store, entry: Descriptor) -> Removed:
    """An image that cannot be read is in nobody's way when it is removed."""
    removed = Removed()
    for gone in layout.remove_image(store, entry["digest"]):
        removed.untagged += _shown([layout.name_of(gone)])
    removed.deleted.append(entry["digest"])
    return removed


def _remove_name(store: Store, each: Listed, name: Reference, force: bool) -> Removed:
    others = [tag for tag in each.tags if tag != name]
    if name.digest and others:
        # Docker takes the tags of that repository along, since they mean the digest that goes.
        others = [tag for tag in others if tag.repository != name.repository]
        gone = [reference for reference in _all_names(each) if reference not in others]
    elif others:
        gone = [name, *_digests_without_tag(each, name)]
    else:
        return _remove_image(store, each, force, f'repository reference "{grammar.familiar(name)}"')
    if not others:
        return _remove_image(store, each, force, f'repository reference "{grammar.familiar(name)}"')
    removed = Removed()
    for reference in gone:
        layout.remove_reference(store, str(reference))
        removed.untagged.append(grammar.familiar(reference))
    return removed


def _all_names(each: Listed) -> list[Reference]:
    return [*each.tags, *each.digests]


def _digests_without_tag(each: Listed, name: Reference) -> list[Reference]:
    """With the last tag of a repository its digests go, too."""
    if any(tag != name and tag.repository == name.repository for tag in each.tags):
        return []
    return [digest for digest in each.digests if digest.repository == name.repository]


def _remove_by_id(store: Store, each: Listed, force: bool, all_names: bool) -> Removed:
    repositories = {reference.repository for reference in _all_names(each)}
    if (len(repositories) > 1 or len(each.tags) > 1) and not all_names:
        raise InUse(
            f"conflict: unable to delete {each.image.short_id} (must be forced): "
            "image is referenced in multiple repositories",
            f"rcrun rmi -f {each.image.short_id}, or remove its names one by one",
        )
    return _remove_image(store, each, force, each.image.short_id)


def _remove_image(store: Store, each: Listed, force: bool, what: str) -> Removed:
    running = _check_containers(store, each.image, force, what)
    removed = Removed()
    chains = _unshared_chains(store, each.image)
    if running:
        layout.add_reference(store, each.image.descriptor, "")
        gone = _all_names(each)
        for reference in gone:
            layout.remove_reference(store, str(reference))
        removed.untagged = [grammar.familiar(reference) for reference in gone]
        return removed
    entries = layout.remove_image(store, each.image.descriptor["digest"])
    removed.untagged = _shown(sorted((layout.name_of(entry) for entry in entries), key=_tags_first))
    removed.deleted = [each.id, *(f"sha256:{chain}" for chain in reversed(chains))]
    return removed


def _tags_first(name: str) -> tuple[bool, str]:
    return "@" in name, name


def _shown(names: list[str]) -> list[str]:
    shown = []
    for name in filter(None, names):
        try:
            shown.append(grammar.familiar(grammar.parse(name)))
        except InvalidInput:
            shown.append(name)  # another tool gave it
    return shown


def _check_containers(store: Store, image: Image, force: bool, what: str) -> bool:
    """Refuse what a container uses; whether one runs, whose image stays, though without a name."""
    users = _containers_of(store, image)
    for container in users:
        running = containers.status(container).is_up
        if not force:
            raise InUse(
                f"conflict: unable to remove {what} (must be forced): container {container.id[:12]} "
                f"is {'running with' if running else 'using'} its image {image.short_id}",
                f"rcrun rm {'-f ' if running else ''}{container.name}",
            )
        if running:
            return True
    return False


def _containers_of(store: Store, image: Image) -> list[Container]:
    """Not those of another manifest of the same configuration: they have layers of their own."""
    digests = (image.digest, image.descriptor["digest"])
    return [
        container
        for container in containers.every(store)
        if container.record.get("manifest_digest") in digests
    ]


def _unshared_chains(store: Store, image: Image) -> list[str]:
    """The layers of an image that no other image has, bottom first."""
    others = set()
    for other in images.every(store):
        if other.descriptor["digest"] != image.descriptor["digest"]:
            others.update(other.chain)
    return [chain for chain in image.chain if chain not in others]
