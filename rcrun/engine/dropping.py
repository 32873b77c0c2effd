"""Blobs of layers that are unpacked, out of the store: those that can be had again, each with a recipe first (storage/recipes.py).

A plain tar can when its headers and the layer's files have just made it once more, any other when a registry that the image
came from, or went to, says that it has the blob. All other blobs stay.
"""

from __future__ import annotations

import os

from rcrun.errors import NotFound, RcrunError
from rcrun.files import dump_json, read_json_or_none, subdirectories
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.storage import collect, images, layers, layout, recipes, wholes
from rcrun.storage.recipes import Recipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from rcrun.engine.context import Context
    from rcrun.formats.image import Descriptor
    from rcrun.registry.client import Client

AT_ONCE = 200  # layers that one worker is told of: they become a word of its command
SMALLEST = 16 << 10  # with a recipe and headers, a block each, less would be won than it is worth


class Dropped:
    """Digests of blobs that went, and the bytes that they had; of those that stay the reason."""

    __slots__ = ("digests", "kept", "size")

    def __init__(self) -> None:
        self.digests: list[str] = []
        self.kept: dict[str, str] = {}
        self.size = 0


class Candidate:
    """A blob whose layer is unpacked. `origins`: images by digest, whose repositories may have it."""

    __slots__ = ("chain", "descriptor", "is_tar", "origins")

    def __init__(self, descriptor: Descriptor, chain: str, *, is_tar: bool) -> None:
        self.descriptor = descriptor
        self.chain = chain
        self.is_tar = is_tar
        self.origins: list[str] = []

    @property
    def digest(self) -> str:
        return self.descriptor["digest"]


def after(
    context: Context, *descriptors: Descriptor, builds: bool = False, ask: bool = False
) -> None:
    """Those of images that were just brought or made, with `builds` what builds keep; what fails here has done no harm."""
    store = context.store
    try:
        wanted = {f"sha256:{digits}" for digits in recipes.every(store)}
        wanted.update(each for top in descriptors for each in wholes.whole(store, top).digests())
        if builds:
            wanted.update(f"sha256:{digits}" for digits in collect.cached_blobs(store))
        drop(context, {each for each in wanted if not _is_to_stay(context, each)}, ask=ask)
    except (RcrunError, OSError) as error:
        reason = error.message if isinstance(error, RcrunError) else str(error)
        context.warn(f"the blobs of layers were not dropped: {reason}", "rcrun image prune --blobs")


def _is_to_stay(context: Context, digest: str) -> bool:
    """It was tried, and will not be otherwise: only `image prune --blobs` tries again."""
    known = recipes.read(context.store, digest)
    return known is not None and not known.layer and not known.origins


def drop(context: Context, wanted: Container[str] | None = None, *, ask: bool = True) -> Dropped:
    """All that can go, or of these digests. Without `ask` no registry is asked: only tars go, and what was brought back just now."""
    done = Dropped()
    found = [each for each in _candidates(context) if wanted is None or each.digest in wanted]
    known = [each for each in found if _is_ready(context, each)]
    found = [each for each in found if ask or each.is_tar or each in known]
    new = [each for each in found if each not in known]
    _with_origin(context, [each for each in new if not each.is_tar], done)
    _prepare(context, [each for each in new if each.digest not in done.kept], done)
    _unlink(context, [each for each in found if each.digest not in done.kept], done)
    return done


# ---- what may go


def _candidates(context: Context) -> list[Candidate]:
    """Blobs of this store, since others' are not ours to remove."""
    store, kind = context.store, context.identity.layer_kind()
    found: dict[str, Candidate] = {}

    def add(descriptor: Descriptor, chain: str, diff_id: str, name: str) -> None:
        digest = descriptor["digest"]
        if digest not in found:
            if documents.is_foreign(descriptor) or descriptor["size"] <= SMALLEST:
                return
            if not os.path.lexists(store.blob_path(digest)):
                return
            if not os.path.isdir(f"{store.layer_dir(kind, chain)}/diff"):
                return
            found[digest] = Candidate(descriptor, chain, is_tar=digest == diff_id)
        if "@" in name and name not in found[digest].origins:
            found[digest].origins.append(name)

    for image in images.every(store):
        rows = zip(
            image.manifest["layers"], image.chain, image.config["rootfs"]["diff_ids"], strict=True
        )
        for descriptor, chain, diff_id in rows:
            add(descriptor, chain, diff_id, layout.name_of(image.descriptor))
    for descriptor, chain in _of_builds(context):
        add(descriptor, chain, descriptor["digest"], "")
    return list(found.values())


def _of_builds(context: Context) -> Iterator[tuple[Descriptor, str]]:
    """What steps of builds made, which no image need have."""
    store, kind = context.store, context.identity.layer_kind()
    wanted = {f"sha256:{digits}" for digits in collect.cached_blobs(store)}
    for chain in subdirectories(store.path("layers", kind)) if wanted else ():
        try:
            record = read_json_or_none(f"{store.layer_dir(kind, chain)}/layer.json") or {}
            digest = str(record.get("diff_id"))
            if digest in wanted:
                size = os.stat(store.blob_path(digest)).st_size
                yield {"mediaType": documents.LAYER, "digest": digest, "size": size}, chain
        except (OSError, ValueError):
            continue


def _is_ready(context: Context, each: Candidate) -> bool:
    """It was brought back just now. Of any other the layer may have been damaged since its recipe was written."""
    store = context.store
    known = recipes.read(store, each.digest) if each.digest in context.restored else None
    if known is None or known.fault():
        return False
    layer = known.layer or f"{context.identity.layer_kind()}/{each.chain}"
    return not os.path.lexists(f"{store.path('layers', layer)}/pending")


# ---- origins


def _with_origin(context: Context, found: Sequence[Candidate], done: Dropped) -> None:
    """Ask the registries, with what the environment says, as whoever fetches it again will."""
    left = {each.digest: each for each in found}
    for origin in dict.fromkeys(name for each in found for name in each.origins):
        asked = [each for each in left.values() if origin in each.origins]
        for each in _had_by(context, origin, asked, done) if asked else ():
            each.origins = [origin, *(name for name in each.origins if name != origin)]
            del left[each.digest]
            done.kept.pop(each.digest, None)  # another one did not have it
    for each in left.values():
        if not each.origins:
            done.kept[each.digest] = "no registry is known that has it"


def _had_by(
    context: Context, origin: str, asked: Sequence[Candidate], done: Dropped
) -> list[Candidate]:
    """Those that the registry has; of the others why not."""
    from rcrun.engine.access import Access

    def check(client: Client, descriptor: Descriptor) -> None:
        if not client.has_blob(descriptor):
            raise NotFound(f'"{client.reference.domain}" does not have it')

    had: list[Candidate] = []
    try:
        with Access().sources(context, grammar.parse(origin)) as sources:
            for each in asked:
                try:
                    sources.first(lambda client, one=each.descriptor: check(client, one))  # type: ignore[misc]
                except NotFound as error:
                    done.kept[each.digest] = error.message
                else:
                    had.append(each)
    except RcrunError as error:
        for each in asked:
            done.kept.setdefault(each.digest, error.message)
    return had


# ---- going


def _prepare(context: Context, found: Sequence[Candidate], done: Dropped) -> None:
    from rcrun.engine.work import worker_events

    kind = context.identity.layer_kind()
    for start in range(0, len(found), AT_ONCE):
        some = found[start : start + AT_ONCE]
        rows = [[each.digest[7:], each.chain, each.is_tar] for each in some]
        job = {"store": context.store.root_dir, "kind": kind, "layers": rows}
        told = {
            f"sha256:{event['blob']}": event
            for event in worker_events(context, ["keep-headers", dump_json(job)])
        }
        for each in some:
            event = told[each.digest]
            if event["reason"]:
                done.kept[each.digest] = event["reason"]
            if not event["reason"]:
                layer = f"{kind}/{each.chain}" if each.is_tar else ""
                Recipe(context.store, each.descriptor, layer, each.origins).write()
            elif event.get("stays"):  # it is not tried at every build
                Recipe(context.store, each.descriptor).write()


def _unlink(context: Context, found: Sequence[Candidate], done: Dropped) -> None:
    """Under the gate, so that whoever has named a blob in a lease keeps it, and none is collected at this moment."""
    store = context.store
    if not found:
        return
    lock = layers.gate(store, exclusive=True)
    if not collect.acquired(lock):
        done.kept.update(
            dict.fromkeys((each.digest for each in found), "somebody is starting containers")
        )
        return
    try:
        leased = {line for lines in collect.leases(store) for line in lines}
        for each in found:
            reason = _drop_one(context, each.digest, leased)
            if reason:
                done.kept[each.digest] = reason
            else:
                done.digests.append(each.digest)
                done.size += each.descriptor["size"]
    finally:
        lock.release()


def _drop_one(context: Context, digest: str, leased: Container[str]) -> str:
    recipe = recipes.read(context.store, digest)
    if recipe is None:
        return "its recipe was removed"
    if digest in leased:
        return "somebody is using it"
    fault = recipe.fault()
    if fault:
        return fault
    try:
        os.unlink(context.store.blob_path(digest))
    except FileNotFoundError:
        return "it was removed meanwhile"
    return ""
