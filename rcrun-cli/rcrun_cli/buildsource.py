"""Where a build's files and its Containerfile come from."""

from __future__ import annotations

import os
import sys

from rcrun.errors import InvalidInput, NotFound
from rcrun_cli import context
from rcrun_cli.textfile import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.build.closing import Closing


class Source:
    """The context's directory, the Containerfile's text, and what it is called in errors."""

    def __init__(self, folder: str, text: str, shown: str) -> None:
        self.folder = folder
        self.text = text
        self.shown = shown


def source_of(place: str | None, file: str | None, stack: Closing) -> Source:
    """`stack` keeps what had to be brought."""
    from rcrun.engine.build.contexts import Fetched, is_git, is_remote

    if place is None and file is None:
        raise InvalidInput("no context is given", "rcrun build [OPTIONS] DIR")
    place = place or _beside(file)
    if file and file.startswith(("http://", "https://")) and os.path.isdir(place):
        text = stack.enter_context(Fetched(context.engine())).from_address(file)
        return Source(os.path.abspath(place), text, file)
    if place != "-" and not is_remote(place):
        if not os.path.isdir(place):
            raise NotFound(f'no such directory: "{place}"')
        return _in_folder(os.path.abspath(place), file, place)
    if place == "-" and file == "-":
        raise InvalidInput("standard input cannot be both the context and the Containerfile")
    fetched = stack.enter_context(Fetched(context.engine()))
    if place != "-" and is_git(place):
        return _in_folder(fetched.repository(place), file, place)
    text = fetched.from_stream(0) if place == "-" else fetched.from_address(place)
    return Source(fetched.path, text, place) if text else _in_folder(fetched.path, file, place)


def _beside(file: str | None) -> str:
    """Without a context, as podman, the directory of the Containerfile."""
    return os.path.dirname(file) or "." if file and os.path.isfile(file) else "."


def _in_folder(folder: str, file: str | None, place: str) -> Source:
    from rcrun.engine.build.contexts import NAMES

    if file == "-":
        return Source(folder, sys.stdin.read(), "-")
    candidates = [file, f"{folder}/{file}"] if file else [f"{folder}/{name}" for name in NAMES]
    for path in candidates:
        if os.path.isfile(path) or (file and is_pipe(path)):
            return Source(folder, read_text(path), file or os.path.basename(path))
    wanted = f'"{file}"' if file else " nor ".join(f'"{name}"' for name in NAMES)
    raise NotFound(f'there is no {wanted} in "{place}"', "name it: -f FILE")


def is_pipe(path: str) -> bool:
    """As bash's `<(COMMAND)` gives one."""
    import stat

    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return False


def ignored(folder: str, file: str | None, given: str | None) -> list[str]:
    """The patterns of what does not belong to the context."""
    from rcrun.formats.containerfile.ignore import read as patterns

    if given:
        return patterns(read_text(given))
    names = [f"{file}.dockerignore"] if file and file != "-" else []
    names += [f"{folder}/.containerignore", f"{folder}/.dockerignore"]
    for path in names:
        if os.path.isfile(path):
            return patterns(read_text(path))
    return []
