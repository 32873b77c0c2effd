"""--verify: everything is made once more without the cache, and must be the same."""

from __future__ import annotations

from rcrun.errors import RcrunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rcrun.engine.build.request import Made, Progress, Request
    from rcrun.engine.build.state import State
    from rcrun.engine.context import Context
    from rcrun.storage.lease import Lease

MOST_NAMED = 5


def verify(
    context: Context,
    request: Request,
    progress: Progress,
    lease: Lease,
    made: Made,
) -> None:
    from rcrun.engine.build.builder import Builder
    from rcrun.engine.build.request import Caching

    again = request.changed(caching=Caching(use=False, keep=False))
    builder = Builder(context, again, progress, lease)
    with builder.brought:
        state = builder.run()
        _compare_layers(context, made.state, state)
        other = builder.image_of(state)
    if other.image.digest != made.image.digest and _without_times(made) != _without_times(other):
        raise RcrunError(
            f"the image is not reproducible: its layers are, but its configuration is not: "
            f'"{made.image.digest}" and "{other.image.digest}"'
        )


def _without_times(made: Made) -> object:
    """What came out of the cache has the time at which it was made."""
    config = dict(made.image.config)
    history = [{**entry, "created": ""} for entry in config.get("history") or []]  # type: ignore[attr-defined]
    return {**config, "history": history}


def _compare_layers(context: Context, one: State, other: State) -> None:
    own = [entry for entry in one.history[one.base_history :] if not entry.get("empty_layer")]
    for at, (before, after) in enumerate(zip(one.layers, other.layers, strict=False)):
        if before.diff_id == after.diff_id:
            continue
        index = at - one.base_layers
        step = str(own[index].get("created_by")) if 0 <= index < len(own) else f"layer {at + 1}"
        paths = list(differences(context, before.diff_id, after.diff_id))
        named = ", ".join(f'"{path}"' for path in paths[:MOST_NAMED])
        more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
        raise RcrunError(
            f"the image is not reproducible: {step} made two different layers; they differ in {named}{more}",
            "make the step write the same bytes each time: no times, no random numbers, sorted lists",
        )
    if len(one.layers) != len(other.layers):
        raise RcrunError(
            f"the image is not reproducible: it has {len(one.layers)} layers, and the second time {len(other.layers)}"
        )


def differences(context: Context, one: str, other: str) -> Iterator[str]:
    """The names of members that are in one of the two tars only, or are not the same."""
    for digest in (one, other):
        context.store.bring(digest)
    before, after = (_members(context.store.blob_path(digest)) for digest in (one, other))
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield "/" + name.decode("utf-8", "backslashreplace").rstrip("/")


def _members(path: str) -> dict[bytes, tuple[object, ...]]:
    import hashlib

    from rcrun.storage.bytestream import ByteStream
    from rcrun.storage.tarheader import TarReader

    found: dict[bytes, tuple[object, ...]] = {}
    with open(path, "rb", buffering=0) as file:
        reader = TarReader(ByteStream(iter(lambda: file.read(1 << 20), b"")))
        while (member := reader.next()) is not None:
            content = hashlib.sha256()
            while reader.left:
                content.update(reader.take_data(min(reader.left, 1 << 20)))
            found[member.name] = (
                member.kind, member.mode, member.uid, member.gid, member.mtime, member.link,
                sorted((member.xattrs or {}).items()), content.hexdigest(),
            )  # fmt: skip
    return found
