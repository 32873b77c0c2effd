"""Progress of a pull: a line a layer that is rewritten on a terminal, a line an event elsewhere; podman's words too."""

from __future__ import annotations

import os
import sys
import time

from rcrun.engine.pull import Silent
from rcrun.formats import reference as grammar
from rcrun.formats.size import decimal
from rcrun_cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from rcrun.engine.pull import Progress
    from rcrun.formats.image import Descriptor
    from rcrun.formats.reference import Reference

SECONDS_BETWEEN_FRAMES = 0.1
BAR = 30


def pull_progress(*, quiet: bool = False, stream: TextIO | None = None) -> Progress | None:
    """What the personality shows where; None for nothing. `stream` overrules for `run`, which needs stdout."""
    if quiet:
        return None
    stream = stream or (sys.stdout if output.trait("pull_on_stdout") else sys.stderr)
    if output.trait("pull_lines"):
        return PodmanLines(stream)
    if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return Screen(stream)
    return Lines(stream)


def short(digest: str) -> str:
    return digest.partition(":")[2][:12]


class Writer(Silent):
    """Lines on a stream from several threads; nobody listening is no reason to stop."""

    def __init__(self, stream: TextIO) -> None:
        import threading

        self._stream = stream
        self._lock = threading.RLock()

    def write(self, text: str) -> None:
        with self._lock:
            try:
                self._stream.write(text)
                self._stream.flush()
            except OSError:
                pass

    def say(self, line: str) -> None:
        self.write(line + "\n")


def opening(reference: Reference, typed: str) -> str:
    """Docker's first line, with its end; empty when a tag was typed."""
    tag = grammar.DEFAULT_TAG
    if reference.tag == tag and not typed.endswith(f":{tag}"):
        return f"Using default tag: {tag}\n"
    return ""


def second(reference: Reference) -> str:
    return f"{reference.digest or reference.tag}: Pulling from {reference.path}"


def ending(reference: Reference, digest: str, changed: bool) -> list[str]:
    what = "Downloaded newer image for" if changed else "Image is up to date for"
    return [f"Digest: {digest}", f"Status: {what} {grammar.familiar(reference)}"]


class Lines(Writer):
    """Docker's lines where nothing can be rewritten."""

    def begin(self, reference: Reference, typed: str) -> None:
        self.write(opening(reference, typed))

    def found(self, reference: Reference) -> None:
        self.say(second(reference))

    def layers(self, present: Sequence[Descriptor], missing: Sequence[Descriptor]) -> None:
        for layer in present:
            self.say(f"{short(layer['digest'])}: Already exists")
        for layer in missing:
            self.say(f"{short(layer['digest'])}: Pulling fs layer")

    def downloaded(self, digest: str) -> None:
        self.say(f"{short(digest)}: Download complete")

    def unpacked(self, digest: str) -> None:
        self.say(f"{short(digest)}: Pull complete")

    def done(self, reference: Reference, digest: str, *, changed: bool) -> None:
        for line in ending(reference, digest, changed):
            self.say(line)


class PodmanLines(Writer):
    """Podman's lines where nothing can be rewritten."""

    def begin(self, reference: Reference, typed: str) -> None:
        self.say(f"Trying to pull {reference}...")

    def found(self, reference: Reference) -> None:
        self.say("Getting image source signatures")

    def layers(self, present: Sequence[Descriptor], missing: Sequence[Descriptor]) -> None:
        for layer in (*present, *missing):
            self.say(f"Copying blob {layer['digest']}")

    def done(self, reference: Reference, digest: str, *, changed: bool) -> None:
        self.say("Writing manifest to image destination")


class Screen(Writer):
    """A line a layer, rewritten in place; a frame is drawn when something changed and the last one is old enough."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._states: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self._drawn = 0
        self._last_frame = 0.0

    def begin(self, reference: Reference, typed: str) -> None:
        self.write(opening(reference, typed))

    def found(self, reference: Reference) -> None:
        self.say(second(reference))

    def layers(self, present: Sequence[Descriptor], missing: Sequence[Descriptor]) -> None:
        with self._lock:
            for layer in present:
                self._states[layer["digest"]] = "Already exists"
            for layer in missing:
                self._states[layer["digest"]] = "Waiting"
                self._sizes[layer["digest"]] = layer["size"]
            self._draw()

    def advanced(self, digest: str, done: int) -> None:
        total = self._sizes.get(digest, 0)
        self.show(
            digest, f"Downloading {bar(done, total)} {decimal(done)}/{decimal(total)}", rest=True
        )

    def downloaded(self, digest: str) -> None:
        self.show(digest, "Download complete")

    def unpacking(self, digest: str) -> None:
        self.show(digest, "Unpacking")

    def unpacked(self, digest: str) -> None:
        self.show(digest, "Pull complete")

    def done(self, reference: Reference, digest: str, *, changed: bool) -> None:
        for line in ending(reference, digest, changed):
            self.say(line)

    def show(self, digest: str, state: str, *, rest: bool = False) -> None:
        with self._lock:
            self._states[digest] = state
            if not rest or time.monotonic() - self._last_frame >= SECONDS_BETWEEN_FRAMES:
                self._draw()

    def _draw(self) -> None:
        """Only the layers that fit on the screen: a terminal cannot move above its top."""
        columns, rows = terminal_size(self._stream)
        room = max(1, rows - 2)
        lines = [f"{short(digest)}: {state}" for digest, state in self._states.items()][-room:]
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        text = "".join(f"\r{line[: columns - 1]}\x1b[K\n" for line in lines)
        self.write(up + text)
        self._drawn = len(lines)
        self._last_frame = time.monotonic()


def terminal_size(stream: TextIO) -> tuple[int, int]:
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 80, 24
    return size.columns or 80, size.lines or 24


def bar(done: int, total: int) -> str:
    """`[=====>     ]`"""
    filled = BAR * done // total if total > 0 else 0
    filled = max(0, min(BAR, filled))
    return f"[{'=' * filled}{'>' * (filled < BAR)}{' ' * (BAR - filled - 1)}]"
