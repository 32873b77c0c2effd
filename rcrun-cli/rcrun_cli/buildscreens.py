"""Progress of a build for programs (BuildKit's JSON), and for terminals: the steps that run, rewritten in place."""

from __future__ import annotations

import time

from rcrun_cli.building import Plain, Quiet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

SECONDS_BETWEEN_FRAMES = 0.1
LINES_OF_OUTPUT = 5


class RawJson(Quiet):
    """A line is one of BuildKit's SolveStatus objects: vertexes and logs, as `docker buildx build --progress rawjson` has them."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._counts: dict[str, int] = {}
        self._vertexes: dict[int, dict[str, Any]] = {}

    def stage(self, name: str, count: int, text: str) -> None:
        self._counts[name] = count

    def step(self, stage: str, step: int, text: str) -> int:
        from rcrun.formats.digest import of_bytes

        number = super().step(stage, step, text)
        name = f"[{stage} {step}/{self._counts.get(stage, step)}] {text}"
        self._vertexes[number] = {
            "digest": of_bytes(f"{number} {name}".encode("utf-8", "surrogateescape")),
            "name": name.encode("utf-8", "replace").decode(),
            "started": _now(),
        }
        self._say({"vertexes": [self._vertexes[number]]})
        return number

    def output(self, number: int, data: bytes) -> None:
        import base64

        super().output(number, data)
        log = {
            "vertex": self._vertexes[number]["digest"],
            "stream": 1,
            "data": base64.b64encode(data).decode(),
            "timestamp": _now(),
        }
        self._say({"logs": [log]})

    def cached(self, number: int) -> None:
        self._vertexes[number]["cached"] = True

    def done(self, number: int) -> None:
        super().done(number)
        self._vertexes[number]["completed"] = _now()
        self._say({"vertexes": [self._vertexes[number]]})

    def failed(self, number: int) -> None:
        self._vertexes[number].update(completed=_now(), error="the step failed")
        self._say({"vertexes": [self._vertexes[number]]})

    def _say(self, value: dict[str, Any]) -> None:
        from rcrun.files import dump_json

        with self._lock:
            try:
                self._stream.write(dump_json(value) + "\n")
                self._stream.flush()
            except OSError:
                pass  # nobody reads it


def _now() -> str:
    from rcrun.storage.containers import now_text

    return now_text()


class Screen(Plain):
    """Steps that are over stay as lines; those that run are beneath, with the last lines that they wrote."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._names: dict[int, str] = {}
        self._lines: dict[int, list[str]] = {}
        self._drawn = 0
        self._last_frame = 0.0

    def step(self, stage: str, step: int, text: str) -> int:
        with self._lock:
            number = Quiet.step(self, stage, step, text)
            self._begun[number] = time.monotonic()
            self._names[number] = f"[{stage} {step}/{self._counts.get(stage, step)}] {text}"
            self._lines[number] = []
            self._draw()
        return number

    def output(self, number: int, data: bytes) -> None:
        from rcrun.formats.visible import visible

        Quiet.output(self, number, data)
        with self._lock:
            text = self.kept[number].decode("utf-8", "replace").rstrip("\n")
            lines = [visible(line.rstrip("\r").rpartition("\r")[2]) for line in text.split("\n")]
            self._lines[number] = lines[-LINES_OF_OUTPUT:]
            self._draw(patient=True)

    def done(self, number: int) -> None:
        Quiet.done(self, number)
        self._over(number, "CACHED" if number in self._cached else self._passed(number))

    def failed(self, number: int) -> None:
        self._over(number, "ERROR")

    def end(self) -> None:
        with self._lock:
            self._names.clear()
            self._draw()

    def _over(self, number: int, word: str) -> None:
        with self._lock:
            name = self._names.pop(number, "")
            self._draw(f" => {'CACHED ' if word == 'CACHED' else ''}{name}", word)

    def _passed(self, number: int) -> str:
        return f"{time.monotonic() - self._begun[number]:.1f}s"

    def _draw(self, line: str = "", word: str = "", *, patient: bool = False) -> None:
        now = time.monotonic()
        if patient and now - self._last_frame < SECONDS_BETWEEN_FRAMES:
            return
        self._last_frame = now
        width = self._width()
        frame = [_row(line, word if word != "CACHED" else "0.0s", width)] if line else []
        kept = len(frame)
        for number, name in self._names.items():
            frame.append(_row(f" => {name}", self._passed(number), width))
            frame += [f" => => # {text}"[: width - 1] for text in self._lines.get(number, [])]
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self._drawn = len(frame) - kept
        self._write(f"{up}\r\x1b[J" + "".join(f"{text}\n" for text in frame))

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            pass

    def _width(self) -> int:
        import os

        try:
            return max(20, os.get_terminal_size(self._stream.fileno()).columns)
        except (OSError, ValueError):
            return 80


def _row(text: str, word: str, width: int) -> str:
    """The text cut where it must be, the word at the right."""
    from rcrun.formats.visible import visible

    room = width - len(word) - 2
    text = visible(text)
    if len(text) > room:
        text = text[: room - 3] + "..."
    return f"{text:<{room}} {word}"
