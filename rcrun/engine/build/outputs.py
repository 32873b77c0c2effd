"""--output: what was built as files, as a tar, as an archive or a layout of images, or in a registry."""

from __future__ import annotations

import os

from rcrun.engine.build.copying import Stream, merged_tree, place_job
from rcrun.engine.work import worker_events
from rcrun.errors import InvalidInput, RcrunError
from rcrun.files import dump_json
from rcrun.formats import reference as grammar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.build.request import Made
    from rcrun.engine.build.state import State
    from rcrun.engine.context import Context
    from rcrun.engine.push import Wishes
    from rcrun.formats.buildwords import Words
    from rcrun.storage.lease import Lease

FOR_FILES = ("local", "tar", "oci")


def is_file(output: Words) -> bool:
    """Whether it is written somewhere, not kept in the store or pushed."""
    return output.kind in FOR_FILES or (output.kind == "docker" and bool(output.get("dest")))


def write(
    context: Context,
    output: Words,
    made: Sequence[Made],
    names: Sequence[str],
    lease: Lease,
) -> None:
    if output.kind == "local":
        _directories(context, output, made, lease)
        return
    path = output.get("dest")
    if output.kind == "tar" and len(made) > 1 and output.has("platform-split", default=True):
        raise InvalidInput(
            "--output: a tar has room for one platform", "write type=local,dest=DIR, or one by one"
        )
    if not output.has("tar", default=True):
        _layout(context, output, made, names, path, lease)
    elif path == "-":
        _archive(context, output, made, names, 1, lease)
    else:
        from rcrun.engine.export import OutputFile

        with OutputFile(path) as file:
            _archive(context, output, made, names, file.fd, lease)


def merged_root(
    context: Context, state: State, lease: Lease
) -> tuple[list[list[str]], dict[str, Any]]:
    """Steps that show it, and the job of a worker that writes it as a tar."""
    tree = merged_tree(context, state, lease)
    job = {"root": tree.path, "whole": True, "lowers": tree.lowers, "upper": ""}
    return tree.steps or [], job


# ---- files


def _directories(context: Context, output: Words, made: Sequence[Made], lease: Lease) -> None:
    """As the caller's own; of several platforms each in a directory of its own."""
    split = output.has("platform-split", default=len(made) > 1)
    for each in made:
        path = output.get("dest")
        if split:
            path += f"/{each.platform.replace('/', '_')}"
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise RcrunError(f'cannot make the directory "{path}": {reason}') from error
        tree = merged_tree(context, each.state, lease)
        job = {
            "root": tree.path, "sources": ["."], "ignore": [], "exclude": [], "parents": False,
            "mtime": None, "owner": None, "mode": None, "lowers": tree.lowers,
        }  # fmt: skip
        stream = Stream(context, "gather", job, tree)
        stream.into(place_job(os.path.abspath(path), owned=False, set_id=False), direct=True)


def _archive(
    context: Context,
    output: Words,
    made: Sequence[Made],
    names: Sequence[str],
    fd: int,
    lease: Lease,
) -> None:
    if output.kind == "tar":
        steps, job = merged_root(context, made[0].state, lease)
        words = ["export", dump_json(job)]
        for _ in worker_events(context, words, steps=steps, stream_fd=fd):
            pass
        return
    from rcrun.files import write_all
    from rcrun.storage.saving import TarSink
    from rcrun.storage.tarwrite import Buffered, TarWriter

    buffered = Buffered(lambda data: write_all(fd, data))
    writer = TarWriter(buffered)
    _images(context, output, made, names, TarSink(writer), lease)
    writer.end()
    buffered.flush()


# ---- images


def _layout(
    context: Context,
    output: Words,
    made: Sequence[Made],
    names: Sequence[str],
    path: str,
    lease: Lease,
) -> None:
    from rcrun.storage.saving import DirectorySink

    try:
        os.makedirs(path, exist_ok=True)
        _images(context, output, made, names, DirectorySink(path), lease)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise RcrunError(f'cannot write "{error.filename or path}": {reason}') from error


def _images(
    context: Context,
    output: Words,
    made: Sequence[Made],
    names: Sequence[str],
    sink: Any,
    lease: Lease,
) -> None:
    from rcrun.engine.build.platforms import compressed, member, write_index
    from rcrun.storage.images import manifest_of
    from rcrun.storage.saving import Saved, save_layout
    from rcrun.storage.wholes import whole

    store, is_docker = context.store, output.kind == "docker"
    if is_docker and len(made) > 1:
        raise InvalidInput(
            "--output: type docker has room for one platform", "write type=oci,dest=FILE"
        )
    wishes = wishes_of(output)
    images = [compressed(store, each, wishes, lease) for each in made]
    if len(images) == 1:
        top = manifest_of(store, images[0])
    else:
        top = write_index(store, [member(image, store) for image in images], "oci", lease)
    named = [grammar.parse(name) for name in _names(output, names)]
    image = images[0] if len(images) == 1 else None
    save_layout(store, [Saved(image, named, whole(store, top))], sink, docker=is_docker)


def _names(output: Words, names: Sequence[str]) -> list[str]:
    given = [name for name in output.get("name").split(",") if name]
    return given or list(names)


def wishes_of(output: Words) -> Wishes | None:
    """Layers go out compressed, unless it is said otherwise."""
    from rcrun.engine.push import Wishes

    if output.get("compression") == "uncompressed":
        return None
    level = output.get("compression-level")
    if level and not level.isdecimal():
        raise InvalidInput(f'--output: compression-level is a number, not "{level}"')
    form = {"true": "oci", "false": "v2s2"}.get(output.get("oci-mediatypes"), "")
    return Wishes(
        form=form,
        compression=output.get("compression"),
        level=int(level) if level else None,
        force=output.has("force-compression"),
    )
