"""save: images as archives and directories."""

from __future__ import annotations

import os

from rcrun.engine.eventlog import emit
from rcrun.errors import InvalidInput, RcrunError
from rcrun.files import write_all
from rcrun.formats import reference as grammar
from rcrun.storage import images, saving
from rcrun.storage.lease import Lease
from rcrun.storage.saving import DirectorySink, Saved, TarSink
from rcrun.storage.tarwrite import Buffered, TarWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.engine.context import Context
    from rcrun.paths import Store
    from rcrun.storage.images import Image

ARCHIVES = ("docker-archive", "oci-archive")
DIRECTORIES = ("docker-dir", "oci-dir")


def find_all(store: Store, texts: Sequence[str], platform: str = "") -> list[Saved]:
    """Each image once, with the names that were typed; by id it has none."""
    found: dict[str, Saved] = {}
    for text in texts:
        image = images.find(store, text, platform=platform)
        each = found.setdefault(image.digest, Saved(image, []))
        name = _typed_name(image, text)
        if name is not None and name not in each.names:
            each.names.append(name)
    return list(found.values())


def _typed_name(image: Image, text: str) -> grammar.Reference | None:
    try:
        reference = grammar.parse(text)
    except InvalidInput:
        return None
    return reference if str(reference) == image.reference and reference.tag else None


def _tell(store: Store, saved: Sequence[Saved]) -> None:
    for each in saved:
        digest = each.image.config_digest
        name = grammar.familiar(each.names[0]) if each.names else digest
        emit(store, "image", "save", digest, {"name": name})


def save_archive(context: Context, saved: Sequence[Saved], form: str, out_fd: int) -> None:
    with Lease(context.store) as lease:
        for each in saved:
            saving.keep(context.store, each.image, lease)
        write = Buffered(lambda data: write_all(out_fd, data))
        writer = TarWriter(write)
        saving.save_layout(context.store, saved, TarSink(writer), docker=form == "docker-archive")
        writer.end()
        write.flush()
    _tell(context.store, saved)


def save_directory(context: Context, saved: Sequence[Saved], form: str, path: str) -> None:
    if form == "docker-dir" and len(saved) > 1:
        raise InvalidInput("docker-dir has room for one image", "save as oci-dir, or one by one")
    with Lease(context.store) as lease:
        for each in saved:
            saving.keep(context.store, each.image, lease)
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
    _tell(context.store, saved)
