from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from rcrun.formats.reference import parse
from rcrun_cli import context, progress

if TYPE_CHECKING:
    from collections.abc import Iterator

A, B = (f"sha256:{letter * 64}" for letter in "ab")
LAYERS: list[Any] = [{"digest": A, "size": 10}, {"digest": B, "size": 1000}]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def personality() -> Iterator[None]:
    before = context.settings.personality
    yield
    context.settings.personality = before


def tell(shown: Any) -> None:
    reference = parse("debian")
    shown.begin(reference, "debian")
    shown.found(reference)
    shown.layers(LAYERS[:1], LAYERS[1:])
    shown.advanced(B, 500)
    shown.downloaded(B)
    shown.unpacking(B)
    shown.unpacked(B)
    shown.done(reference, A, changed=True)


def test_lines() -> None:
    stream = io.StringIO()
    tell(progress.Lines(stream))
    assert stream.getvalue().splitlines() == [
        "Using default tag: latest",
        "latest: Pulling from library/debian",
        "aaaaaaaaaaaa: Already exists",
        "bbbbbbbbbbbb: Pulling fs layer",
        "bbbbbbbbbbbb: Download complete",
        "bbbbbbbbbbbb: Pull complete",
        f"Digest: {A}",
        "Status: Downloaded newer image for debian:latest",
    ]


def test_a_typed_tag_needs_no_remark() -> None:
    assert progress.opening(parse("debian"), "debian:latest") == ""
    assert progress.opening(parse("debian:12"), "debian:12") == ""
    assert progress.opening(parse("debian"), "debian") == "Using default tag: latest\n"


def test_podman_lines() -> None:
    stream = io.StringIO()
    tell(progress.PodmanLines(stream))
    assert stream.getvalue().splitlines() == [
        "Trying to pull docker.io/library/debian:latest...",
        "Getting image source signatures",
        f"Copying blob {A}",
        f"Copying blob {B}",
        "Writing manifest to image destination",
    ]


def screen_of(text: str, height: int) -> list[str]:
    """What a terminal shows: carriage return, line feed, cursor up, erase to the end of the line."""
    lines, row = [""] * height, 0
    for part in text.replace("\x1b[K", "").split("\x1b["):
        count, up, rest = part.partition("A")
        if up and count.isdecimal():
            row -= int(count)
            part = rest
        assert row >= 0
        for number, line in enumerate(part.split("\n")):
            row += 1 if number else 0
            if line.startswith("\r") or line:
                lines[row] = line.removeprefix("\r")
    return lines


def test_screen_rewrites_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_FRAMES", 0)
    stream = Terminal()
    tell(progress.Screen(stream))
    assert f"Downloading [{'=' * 15}>{' ' * 14}] 500B/1kB" in stream.getvalue()
    shown = screen_of(stream.getvalue(), 8)
    assert shown[2:6] == [
        "aaaaaaaaaaaa: Already exists",
        "bbbbbbbbbbbb: Pull complete",
        f"Digest: {A}",
        "Status: Downloaded newer image for debian:latest",
    ]


def test_screen_stays_within_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "terminal_size", lambda _: (20, 6))
    stream = Terminal()
    shown = progress.Screen(stream)
    many: Any = [{"digest": f"sha256:{number:064x}", "size": 1} for number in range(50)]
    shown.layers([], many)
    shown.unpacked(many[0]["digest"])
    assert stream.getvalue().count("\x1b[4A") == 1
    assert max(map(len, stream.getvalue().replace("\x1b[K", "").splitlines())) <= 20


def test_what_is_shown_where(personality: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert progress.pull_progress(quiet=True) is None
    assert type(progress.pull_progress(stream=Terminal())) is progress.Screen
    assert type(progress.pull_progress(stream=io.StringIO())) is progress.Lines
    monkeypatch.setenv("TERM", "dumb")
    assert type(progress.pull_progress(stream=Terminal())) is progress.Lines
    context.settings.personality = "podman"
    assert type(progress.pull_progress(stream=Terminal())) is progress.PodmanLines


def test_a_reader_that_is_gone_stops_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    tell(progress.Lines(Gone()))


def test_bar() -> None:
    assert progress.bar(0, 100) == f"[>{' ' * 29}]"
    assert progress.bar(100, 100) == f"[{'=' * 30}]"
    assert progress.bar(200, 100) == f"[{'=' * 30}]"
    assert progress.bar(5, 0) == f"[>{' ' * 29}]"
