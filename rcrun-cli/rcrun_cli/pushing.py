"""Progress of a push, as docker and podman write it."""

from __future__ import annotations

import os
import sys

from rcrun.formats.size import decimal
from rcrun_cli import output
from rcrun_cli.context import settings
from rcrun_cli.progress import Screen, Writer, bar, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from rcrun.engine.push import Progress
    from rcrun.formats.image import Descriptor
    from rcrun.formats.reference import Reference


class Quiet:
    """Progress for those who do not look."""

    def begin(self, reference: Reference) -> None:
        pass

    def layers(self, layers: Sequence[Descriptor]) -> None:
        pass

    def advanced(self, digest: str, done: int) -> None:
        pass

    def exists(self, digest: str) -> None:
        pass

    def mounted(self, digest: str, repository: str) -> None:
        pass

    def pushed(self, digest: str) -> None:
        pass


def push_progress(*, quiet: bool = False) -> Progress:
    """What the personality shows where."""
    if quiet:
        return Quiet()
    stream: TextIO = sys.stdout if output.trait("pull_on_stdout") else sys.stderr
    if settings.personality == "podman":
        return PodmanPushLines(stream)
    if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return PushScreen(stream)
    return PushLines(stream)


def opening(reference: Reference) -> str:
    return f"The push refers to repository [{reference.repository}]"


class PushLines:
    """Docker's lines where nothing can be rewritten."""

    def __init__(self, stream: TextIO) -> None:
        self._writer = Writer(stream)

    def begin(self, reference: Reference) -> None:
        self._writer.say(opening(reference))

    def layers(self, layers: Sequence[Descriptor]) -> None:
        for layer in layers:
            self._tell(layer["digest"], "Preparing")

    def advanced(self, digest: str, done: int) -> None:
        pass

    def exists(self, digest: str) -> None:
        self._tell(digest, "Layer already exists")

    def mounted(self, digest: str, repository: str) -> None:
        self._tell(digest, f"Mounted from {repository}")

    def pushed(self, digest: str) -> None:
        self._tell(digest, "Pushed")

    def _tell(self, digest: str, state: str) -> None:
        self._writer.say(f"{short(digest)}: {state}")


class PodmanPushLines(Quiet):
    """Podman's lines where nothing can be rewritten."""

    def __init__(self, stream: TextIO) -> None:
        self._writer = Writer(stream)

    def begin(self, reference: Reference) -> None:
        self._writer.say("Getting image source signatures")

    def layers(self, layers: Sequence[Descriptor]) -> None:
        for layer in layers:
            self._writer.say(f"Copying blob {layer['digest']}")


class PushScreen:
    """A line a layer, rewritten in place."""

    def __init__(self, stream: TextIO) -> None:
        self._screen = Screen(stream)
        self._sizes: dict[str, int] = {}

    def begin(self, reference: Reference) -> None:
        self._screen.say(opening(reference))

    def layers(self, layers: Sequence[Descriptor]) -> None:
        self._sizes = {layer["digest"]: layer["size"] for layer in layers}
        for layer in layers:
            self._screen.show(layer["digest"], "Preparing")

    def advanced(self, digest: str, done: int) -> None:
        total = self._sizes.get(digest, done)
        state = f"Pushing {bar(done, total)} {decimal(done)}/{decimal(total)}"
        self._screen.show(digest, state, rest=True)

    def exists(self, digest: str) -> None:
        self._screen.show(digest, "Layer already exists")

    def mounted(self, digest: str, repository: str) -> None:
        self._screen.show(digest, f"Mounted from {repository}")

    def pushed(self, digest: str) -> None:
        self._screen.show(digest, "Pushed")
