"""Images out of files: archives, layouts and root file systems, unpacked at once as a pull does it."""

from __future__ import annotations

from rcrun.engine.eventlog import emit
from rcrun.engine.pull import Silent, unpack
from rcrun.engine.trust import check_import, check_local
from rcrun.errors import InvalidInput
from rcrun.paths import is_near
from rcrun.storage import archive, images, wholes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.engine.pull import Progress
    from rcrun.storage.archive import Loaded
    from rcrun.storage.images import Image


def load(
    context: Context,
    source: str | int,
    *,
    platform: str = "",
    progress: Progress | None = None,
    policy_file: str = "",
) -> list[Loaded]:
    """Every image of an archive (a path, an address, or a descriptor to read from) or of a directory."""
    told = progress or Silent()
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        with _fetched(context, source) as file:
            return load(context, file.fd, platform=platform, progress=told, policy_file=policy_file)

    def prepare(image: Image) -> None:
        """An archive may be of either kind, and often is of both: the policy must allow both."""
        location = "-" if isinstance(source, int) else source
        for transport in _transports_of(location):
            check_local(context, transport, location, image.digest, policy_file)
        unpack(context, image, told)

    try:
        loaded = archive.load(
            context.store,
            source,
            platform=platform,
            prepare=prepare,
        )
    except InvalidInput as error:
        if isinstance(source, int) or source in error.message:
            raise
        raise InvalidInput(f'cannot load "{source}": {error.message}', error.hint) from error
    except OSError as error:
        raise _unreadable(context, source, error) from error
    for each in loaded:
        name = each.names[0] if each.names else ""
        emit(context.store, "image", "load", each.config_digest, {"name": name})
    context.drop_blobs(*(each.descriptor for each in loaded))
    return loaded


def _transports_of(location: str) -> tuple[str, ...]:
    """containers-transports(5)."""
    import os

    if not os.path.isdir(location):
        return ("docker-archive", "oci-archive")
    return ("oci",) if os.path.exists(f"{location}/index.json") else ("dir",)


def bring(
    context: Context,
    transport: str,
    location: str,
    platform: str,
    progress: Progress,
    policy_file: str = "",
) -> Image:
    """One image, for `pull oci:DIR:TAG` and its like."""

    def prepare(image: Image) -> None:
        check_local(context, transport, location, image.digest, policy_file)
        unpack(context, image, progress)

    try:
        loaded = archive.pull_local(
            context.store,
            transport,
            location,
            platform=platform,
            prepare=prepare,
        )
        if not loaded.names:
            loaded = _named_by_location(context, transport, location, platform, loaded)
    except OSError as error:
        raise _unreadable(context, location, error) from error
    entry = loaded.descriptor
    if loaded.names:
        entry = images.entry_of(context.store, loaded.names[0])
    return wholes.image_or_index(context.store, entry, platform)


def _named_by_location(
    context: Context, transport: str, location: str, platform: str, loaded: Loaded
) -> Loaded:
    """A layout often has bare tags only; the tag that was asked for becomes the name, as with podman."""
    select = archive.split_location(location)[1]
    name = archive.normalised(select) if select else ""
    if not name:
        return loaded
    return archive.pull_local(context.store, transport, location, name=name, platform=platform)


def _unreadable(context: Context, source: str | int, error: OSError) -> Exception:
    path = error.filename
    if isinstance(path, str) and path != source and is_near(path, context.store.root_dir):
        return OSError(error.errno, error.strerror, path)  # it could not be written
    name = "standard input" if isinstance(source, int) else source
    return InvalidInput(f'cannot read "{error.filename or name}": {(error.strerror or "").lower()}')


def import_image(
    context: Context,
    source: str | int,
    name: str = "",
    *,
    changes: Sequence[str] = (),
    comment: str = "",
    platform: str = "",
) -> Loaded:
    """A root file system in a tar (a path, a URL, a descriptor) becomes an image of one layer."""
    from rcrun.formats.imagechange import apply_all
    from rcrun.storage.containers import now_text
    from rcrun.storage.importing import import_rootfs

    details: dict[str, Any] = {
        "created": now_text(),
        "config": apply_all({}, changes),
        "comment": comment,
        "platform": platform,
        "prepare": lambda image: unpack(context, image, Silent()),
    }
    reference = str(images.named(context.store, name)) if name else ""
    check_import(context, source if isinstance(source, str) else "standard input")
    try:
        if isinstance(source, str) and source.startswith(("http://", "https://")):
            with _fetched(context, source) as file:
                loaded = import_rootfs(context.store, file.fd, reference, **details)
        else:
            loaded = import_rootfs(context.store, source, reference, **details)
    except OSError as error:
        raise _unreadable(context, source, error) from error
    emit(context.store, "image", "import", loaded.config_digest, {"name": reference})
    context.drop_blobs(loaded.descriptor)
    return loaded


class _fetched:  # noqa: N801  # used like a function
    """What is at a URL, in a file that goes away."""

    def __init__(self, context: Context, url: str) -> None:
        from rcrun.storage.scratch import Scratch

        self._context = context
        self._url = url
        self._scratch = Scratch(context.store, "import")

    @property
    def fd(self) -> int:
        return self._scratch.fd

    def __enter__(self) -> _fetched:
        import os

        from rcrun.files import write_all
        from rcrun.registry.fetch import fetch
        from rcrun.storage.layout import init

        init(self._context.store)
        self._scratch.make_file(0o600)
        try:
            fetch(self._url, self._context.environ, lambda data: write_all(self.fd, data))
            os.lseek(self.fd, 0, os.SEEK_SET)
        except BaseException:
            self._scratch.drop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.drop()
