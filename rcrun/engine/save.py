"""save: images as archives and directories."""

from __future__ import annotations

import os

from rcrun.engine.eventlog import emit
from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.formats import reference as grammar
from rcrun.storage import images, layout, saving, wholes
from rcrun.storage.lease import Lease
from rcrun.storage.saving import DirectorySink, Saved, TarSink
from rcrun.storage.tarwrite import TarWriter, to_descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.engine.context import Context
    from rcrun.formats.image import Descriptor
    from rcrun.paths import Store
    from rcrun.storage.images import Image

DIRECTORIES = ("docker-dir", "oci-dir")


def find_all(store: Store, texts: Sequence[str], platform: str = "") -> list[Saved]:
    """Each image once, with the names that were typed; by id it has none. An index goes whole, unless a platform is named."""
    found: dict[str, Saved] = {}
    for text in texts:
        made = find(store, text, platform)
        each = found.setdefault(made.whole.top["digest"], made)
        each.names += [name for name in made.names if name not in each.names]
    return list(found.values())


def find(store: Store, text: str, platform: str = "") -> Saved:
    """What a name or an id means, as it goes out."""
    entry = images.entry_of(store, text, platform)
    image = None
    if platform or not wholes.is_index(entry):
        image = images.find(store, text, platform=platform)
        name = image.reference
        entry = images.manifest_of(store, image)
    else:
        name = layout.name_of(entry)
        image = _for_this_host(store, entry)
    typed = _typed_name(store, name, text)
    return Saved(image, [typed] if typed else [], wholes.whole(store, entry))


def _for_this_host(store: Store, entry: Descriptor) -> Image | None:
    try:
        return images.load(store, entry)
    except NotFound:
        return None


def _typed_name(store: Store, name: str, text: str) -> grammar.Reference | None:
    for reference in images.typed(store, text):
        if str(reference) == name and reference.tag:
            return reference
    return None


def _tell(store: Store, saved: Sequence[Saved]) -> None:
    for each in saved:
        digest = each.image.config_digest if each.image else each.whole.top["digest"]
        name = grammar.familiar(each.names[0]) if each.names else digest
        emit(store, "image", "save", digest, {"name": name})


def save_archive(context: Context, saved: Sequence[Saved], form: str, out_fd: int) -> None:
    layout.init(context.store)  # the image may be another store's
    with Lease(context.store) as lease:
        _keep(context.store, saved, lease)
        write_archive(context.store, saved, out_fd, docker=form == "docker-archive")
    context.drop_again()
    _tell(context.store, saved)


def write_archive(store: Store, saved: Sequence[Saved], out_fd: int, *, docker: bool) -> None:
    write = to_descriptor(out_fd)
    writer = TarWriter(write)
    saving.save_layout(store, saved, TarSink(writer), docker=docker)
    writer.end()
    write.flush()


def save_directory(context: Context, saved: Sequence[Saved], form: str, path: str) -> None:
    if form == "docker-dir" and len(saved) > 1:
        raise InvalidInput("docker-dir has room for one image", "save as oci-dir, or one by one")
    layout.init(context.store)
    with Lease(context.store) as lease:
        _keep(context.store, saved, lease)
        sink = DirectorySink(path)
        try:
            os.makedirs(path, exist_ok=True)
            if os.listdir(path):
                raise InvalidInput(f'"{path}" is not empty', "name a directory that does not exist")
            if form == "oci-dir":
                saving.save_layout(context.store, saved, sink, docker=False)
            else:
                saving.save_directory(context.store, saved[0], sink)
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise RcrunError(f'cannot write "{error.filename or path}": {reason}') from error
    context.drop_again()
    _tell(context.store, saved)


def _keep(store: Store, saved: Sequence[Saved], lease: Lease) -> None:
    """From the collector; whoever removed an image before that is told now, not in the middle of an archive."""
    for each in saved:
        lease.add(each.whole.digests())
        wholes.check_blobs(store, each.whole, foreign_too=False)
