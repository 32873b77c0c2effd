"""Progress of a build: BuildKit's plain lines, or podman's."""

from __future__ import annotations

import sys
import time

from rcrun_cli.context import settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO


class Quiet:
    """Nothing while all goes well; the output of a step that fails is kept for its error."""

    def __init__(self) -> None:
        from _thread import RLock  # threading's own

        self._lock = RLock()
        self._count = 0
        self.kept: dict[int, bytes] = {}

    def stage(self, name: str, count: int, text: str) -> None:
        pass

    def step(self, stage: str, step: int, text: str) -> int:
        with self._lock:
            self._count += 1
            return self._count

    def output(self, number: int, data: bytes) -> None:
        with self._lock:
            self.kept[number] = (self.kept.get(number, b"") + data)[-MOST_KEPT:]

    def cached(self, number: int) -> None:
        pass

    def done(self, number: int) -> None:
        with self._lock:
            self.kept.pop(number, None)

    def failed(self, number: int) -> None:
        pass

    def end(self) -> None:
        """Nothing more comes; may be said twice."""

    def named(self, typed: Sequence[str], names: Sequence[str], image_id: str) -> None:
        """The image is there, under these names."""

    def output_of(self, number: int, lines: int) -> str:
        """The end of what a step that failed has written."""
        kept = self.kept.get(number, b"").rstrip(b"\n").split(b"\n")[-lines:]
        return "".join(f"{_text(line)}\n" for line in kept) if any(kept) else ""


MOST_KEPT = 4096


class Plain(Quiet):
    """`#3 [build 2/4] RUN make`, `#3 0.412 its output`, `#3 DONE 1.2s` or `#3 CACHED`."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._counts: dict[str, int] = {}
        self._begun: dict[int, float] = {}
        self._rest: dict[int, bytes] = {}
        self._cached: set[int] = set()

    def stage(self, name: str, count: int, text: str) -> None:
        self._counts[name] = count

    def step(self, stage: str, step: int, text: str) -> int:
        number = super().step(stage, step, text)
        self._begun[number] = time.monotonic()
        self._say(f"#{number} [{stage} {step}/{self._counts.get(stage, step)}] {text}")
        return number

    def output(self, number: int, data: bytes) -> None:
        super().output(number, data)
        with self._lock:
            *lines, rest = (self._rest.get(number, b"") + data).split(b"\n")
            self._rest[number] = rest
            passed = time.monotonic() - self._begun[number]
            for line in lines:
                self._say(f"#{number} {passed:.3f} {_text(line)}")

    def cached(self, number: int) -> None:
        self._cached.add(number)

    def done(self, number: int) -> None:
        self._flush(number)
        super().done(number)
        if number in self._cached:
            self._say(f"#{number} CACHED\n")
        else:
            self._say(f"#{number} DONE {time.monotonic() - self._begun[number]:.1f}s\n")

    def failed(self, number: int) -> None:
        self._flush(number)
        super().failed(number)
        self._say(f"#{number} ERROR\n")

    def _flush(self, number: int) -> None:
        if self._rest.get(number):
            self.output(number, b"\n")

    def _say(self, text: str) -> None:
        with self._lock:
            try:
                self._stream.write(f"{text}\n")
                self._stream.flush()
            except OSError:
                pass  # nobody reads it


class PodmanLines(Plain):
    """`STEP 2/4: RUN make`, the output as it is, `--> Using cache`, `COMMIT NAME`."""

    def stage(self, name: str, count: int, text: str) -> None:
        super().stage(name, count, text)
        self._say(f"STEP 1/{count + 1}: {text}")

    def step(self, stage: str, step: int, text: str) -> int:
        number = Quiet.step(self, stage, step, text)
        self._begun[number] = time.monotonic()
        self._say(f"STEP {step + 1}/{self._counts.get(stage, step) + 1}: {text}")
        return number

    def output(self, number: int, data: bytes) -> None:
        Quiet.output(self, number, data)
        with self._lock:
            try:
                self._stream.write(data.decode("utf-8", "replace"))
                self._stream.flush()
            except OSError:
                pass

    def cached(self, number: int) -> None:
        self._say("--> Using cache")

    def named(self, typed: Sequence[str], names: Sequence[str], image_id: str) -> None:
        self._say(f"COMMIT {' '.join(typed[:1])}".rstrip())
        self._say(f"--> {image_id.removeprefix('sha256:')[:12]}")
        for name in names:
            self._say(f"Successfully tagged {name}")

    def done(self, number: int) -> None:
        Quiet.done(self, number)

    def failed(self, number: int) -> None:
        Quiet.failed(self, number)


def _text(line: bytes) -> str:
    """Of a hostile program: nothing that steers a terminal."""
    from rcrun.formats.visible import visible

    return visible(line.rstrip(b"\r").decode("utf-8", "replace"), keep="\t")


def build_progress(kind: str, log: TextIO | None = None) -> Quiet:
    """`kind` is what --progress says; on a terminal auto is tty."""
    if kind == "quiet":
        return Quiet()
    stream = log or (sys.stdout if settings.personality == "podman" else sys.stderr)
    if kind == "rawjson":
        from rcrun_cli.buildscreens import RawJson

        return RawJson(stream)
    if settings.personality == "podman":
        return PodmanLines(stream)
    if kind == "tty" or (kind == "auto" and stream.isatty() and _can_rewrite()):
        from rcrun_cli.buildscreens import Screen

        return Screen(stream)
    if kind not in ("auto", "plain", "tty"):
        from rcrun.errors import InvalidInput

        raise InvalidInput(
            f'BUILDKIT_PROGRESS is "{kind}"', "use auto, plain, tty, quiet or rawjson"
        )
    return Plain(stream)


def _can_rewrite() -> bool:
    import os

    return os.environ.get("TERM", "dumb") != "dumb"
