"""`rcrun cp`."""

from __future__ import annotations

import sys
import time

from rcrun.errors import InvalidInput
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.copy import End, Options

SECONDS_BETWEEN_FRAMES = 0.1


@command()
@option(
    "-a",
    "--archive",
    is_flag=True,
    help="Keep owners, set-user-ID bits, and the looks of directories that are there already",
)
@option("-L", "--follow-link", "follow", is_flag=True, help="Follow a symbolic link in SOURCE")
@option("-q", "--quiet", is_flag=True, help="Show no progress, which a terminal alone shows")
@option("--overwrite", is_flag=True, help="Let a directory replace a file, and a file a directory")
@argument("source", metavar="[CONTAINER:]PATH|-")
@argument("target", metavar="[CONTAINER:]PATH|-")
def cp(source: str, target: str, archive: bool, follow: bool, quiet: bool, overwrite: bool) -> None:
    """Copy files between containers and the host; `-` is a tar on standard input or output."""
    from rcrun.engine.copy import copy, parse_end

    engine = context.engine()
    in_workdir = context.settings.personality == "podman"
    first, second = [parse_end(engine, text, in_workdir=in_workdir) for text in (source, target)]
    _check_streams(first, second)
    is_shown = not quiet and output.is_terminal(1) and target != "-"
    progress = _Progress(target, is_shown=is_shown)
    copy(engine, first, second, _options(archive, follow, overwrite), progress.advanced)
    progress.finish()


def _options(archive: bool, follow: bool, overwrite: bool) -> Options:
    """Podman gives files to the container's user; docker's documentation, to its root."""
    from rcrun.engine.copy import Options as Chosen

    owner = output.trait("copied_owner") or ("source" if archive else "root")
    return Chosen(archive=archive, follow=follow, overwrite=overwrite, owner=owner)


def _check_streams(source: End, target: End) -> None:
    if source.is_stream and output.is_terminal(0):
        raise InvalidInput("no archive on standard input", "tar -c FILES | rcrun cp - NAME:/DIR")
    if target.is_stream and output.is_terminal(1):
        raise InvalidInput(
            "refusing to write an archive to a terminal", "rcrun cp NAME:/PATH - >FILE.tar"
        )


class _Progress:
    """How much went by, on one line that is rewritten, and a last word: docker's."""

    def __init__(self, target: str, *, is_shown: bool) -> None:
        self._target = target
        self._is_shown = is_shown
        self._is_live = is_shown and output.is_terminal(2)
        self._bytes = 0
        self._drawn = time.monotonic()

    def advanced(self, count: int) -> None:
        from rcrun.formats.size import decimal

        self._bytes += count
        now = time.monotonic()
        if self._is_live and now - self._drawn >= SECONDS_BETWEEN_FRAMES:
            self._drawn = now
            sys.stderr.write(f"\r\x1b[KCopying - {decimal(self._bytes)}")
            sys.stderr.flush()

    def finish(self) -> None:
        from rcrun.formats.size import decimal

        if self._is_live:
            sys.stderr.write("\r\x1b[K")
        if self._is_shown:
            output.tell(f"Successfully copied {decimal(self._bytes)} to {self._target}")
