"""cp: files between the host and containers, in any direction, and as a tar from or to a stream."""

from __future__ import annotations

import os

from rcrun.engine.eventlog import container_event
from rcrun.engine.rootfs import Root, container_ids, reversed_rows
from rcrun.errors import InvalidInput
from rcrun.files import dump_json, wide_pipe
from rcrun.formats import idmap
from rcrun.storage import containers
from rcrun.storage.work import Workers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container

    Job = dict[str, Any]

STREAM = "-"
WHOLE = [(0, 0, idmap.ID_LIMIT - 1)]


class End:
    """One end of a copy: a path, and the container that it is in (None: the host)."""

    __slots__ = ("container", "path")

    def __init__(self, container: Container | None, path: str) -> None:
        self.container = container
        self.path = path

    @property
    def is_stream(self) -> bool:
        return self.container is None and self.path == STREAM

    def label(self) -> str:
        return f"{self.container.name}:" if self.container else ""


class Options:
    """`owner`: `root` of the container, its `user`, or as it is at the source (`source`)."""

    __slots__ = ("archive", "follow", "overwrite", "owner")

    def __init__(
        self, *, archive: bool = False, follow: bool = False, overwrite: bool = False, owner: str
    ) -> None:
        self.archive = archive
        self.follow = follow
        self.overwrite = overwrite
        self.owner = owner


def parse_end(context: Context, text: str, *, in_workdir: bool = False) -> End:
    """`CONTAINER:PATH`, or a path of the host: what begins with `/` or `.`, or has no colon.

    `in_workdir`: podman's paths begin at the container's working directory, docker's at its root.
    """
    name, colon, path = text.partition(":")
    if not colon or text.startswith(("/", ".")):
        if not text:
            raise InvalidInput("a path to copy from or to is empty")
        return End(None, text)
    if not name:
        raise InvalidInput(f'"{text}" names no container', "write CONTAINER:PATH")
    if not path:
        raise InvalidInput(f'"{text}" names no path', f"write {name}:/PATH")
    container = containers.find(context.store, name)
    if in_workdir and not path.startswith("/"):
        directory = (container.config().get("process") or {}).get("cwd") or "/"
        path = f"{directory.rstrip('/')}/{path}"
    return End(container, path)


def copy(
    context: Context,
    source: End,
    target: End,
    options: Options,
    advanced: Callable[[int], None] = lambda count: None,
) -> None:
    """`advanced` is told of bytes as they go by."""
    from contextlib import ExitStack

    if source.container is None and target.container is None:
        raise InvalidInput(
            "neither the source nor the destination is in a container", "write CONTAINER:PATH"
        )
    for end, action in ((source, "archive-path"), (target, "extract-to-dir")):
        if end.container is not None:
            container_event(end.container, action, path=end.path)
    with ExitStack() as stack:
        roots = _roots(stack, context, source, target)
        sending = _sending(context, source, target, options)
        receiving = _receiving(context, source, target, options)
        if len(roots) == 1 and source.container is not None and target.container is not None:
            # Through a file: a directory may be copied into itself, and an overlay is not mounted twice at once.
            with _Spool(context) as spool:
                _run(context, "send", sending, source, roots, spool.fd, advanced)
                os.lseek(spool.fd, 0, os.SEEK_SET)
                _run(context, "receive", receiving, target, roots, spool.fd, advanced)
            return
        workers = stack.enter_context(Workers(context.identity))
        reader, writer = _streams(source, target)
        if not target.is_stream:
            _start(workers, "receive", receiving, target, roots, reader)
        if not source.is_stream:
            _start(workers, "send", sending, source, roots, writer)
        for fd in {reader, writer} - {0, 1}:
            os.close(fd)
        _listen(context, workers, advanced)


class _Spool:
    """A file without a name."""

    def __init__(self, context: Context) -> None:
        self._folder = context.store.tmp_dir()
        self.fd = -1

    def __enter__(self) -> _Spool:
        self.fd = os.open(self._folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def _run(
    context: Context,
    command: str,
    job: Job,
    end: End,
    roots: dict[str, Root],
    stream_fd: int,
    advanced: Callable[[int], None],
) -> None:
    with Workers(context.identity) as workers:
        _start(workers, command, job, end, roots, stream_fd)
        _listen(context, workers, advanced)


def _roots(stack: ExitStack, context: Context, source: End, target: End) -> dict[str, Root]:
    """By the containers' ids, in one order: two that copy in opposite directions must not wait for each other."""
    found = {end.container.id: end.container for end in (source, target) if end.container}
    return {
        key: stack.enter_context(Root(context, container))
        for key, container in sorted(found.items())
    }


def _streams(source: End, target: End) -> tuple[int, int]:
    """What the receiver reads, and what the sender writes."""
    if source.is_stream:
        return 0, 0
    if target.is_stream:
        return 1, 1
    return wide_pipe()


def _start(
    workers: Workers, command: str, job: Job, end: End, roots: dict[str, Root], stream_fd: int
) -> None:
    if end.container is None:
        workers.start([command, dump_json(job)], stdin_fd=stream_fd, direct=True)
        return
    root = roots[end.container.id]
    job = {**job, **root.job}
    workers.start(
        [command, dump_json(job)], stdin_fd=stream_fd, keep_fd=root.keep_fd, steps=root.steps
    )


def _sending(context: Context, source: End, target: End, options: Options) -> Job:
    job: Job = {
        "path": source.path,
        "label": source.label(),
        "follow": options.follow,
        "name": (_name(source.path) or ".") if target.is_stream else ".",
    }
    if source.container is not None:
        job["uids"], job["gids"] = container_ids(context, source.container)
    return job


def _receiving(context: Context, source: End, target: End, options: Options) -> Job:
    job: Job = {
        "path": target.path,
        "label": target.label(),
        "source": _name(source.path),
        "members": source.is_stream,
        "overwrite": options.overwrite,
        "archive": options.archive,
        "set_id": options.archive or target.container is not None,
    }
    if target.container is None:
        if options.archive and context.identity.uid == 0 and context.identity.kind == "root":
            job["uids"], job["gids"] = WHOLE, WHOLE
        return job
    uids, gids = map(reversed_rows, container_ids(context, target.container))
    job["uids"], job["gids"] = uids, gids
    if options.owner != "source":
        wanted = _user(target.container) if options.owner == "user" else (0, 0)
        job["owner"] = [
            idmap.to_outside(rows, number) or 0
            for rows, number in zip((uids, gids), wanted, strict=True)
        ]
    return job


def _user(container: Container) -> tuple[int, int]:
    user = (container.config().get("process") or {}).get("user") or {}
    return user.get("uid", 0), user.get("gid", 0)


def _name(path: str) -> str:
    """What a copy of it is called in a directory; empty where its content is meant (`DIR/.`, `.`, `/`)."""
    if os.path.basename(path) == ".":
        return ""
    name = os.path.basename(os.path.normpath(path))
    return os.path.basename(os.path.abspath(path)) if name == ".." else name


def _listen(context: Context, workers: Workers, advanced: Callable[[int], None]) -> None:
    from rcrun.engine.work import worded
    from rcrun.errors import StepFailed

    try:
        for event in workers.events():
            if "note" in event:
                context.warn(event["note"], None)
            elif "advanced" in event:
                advanced(event["advanced"])
    except StepFailed as error:
        raise worded(error) from error
