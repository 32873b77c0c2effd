"""build before a person: steps that are rewritten in place, and a shell where one failed."""

from __future__ import annotations

import pytest

from cli.screens import Screen
from engine.builds import Work, forget_images

pytestmark = [
    pytest.mark.requires("userns", "overlay"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]
TEXT = """FROM busybox
RUN echo before >/a
ENV PS1="look> "
RUN echo first; echo second; echo half >/b; false
"""


@pytest.fixture
def work(rcrun):
    yield Work(rcrun)
    forget_images(rcrun)


def test_a_shell_where_a_step_failed(rcrun, work):
    work.file("Containerfile", TEXT)
    words = ("build", "--no-cache", "--network", "none", "--shell-on-failure", work.folder)
    screen = Screen(rcrun, *map(str, words))
    try:
        told = screen.expect(b"a shell where the step failed").decode()
        assert " => [stage-0 1/3] RUN echo before >/a" in told
        assert "ERROR\r\n" in told
        assert "\x1b[1A\r\x1b[J" in told  # the line of a step that runs was written again
        assert (
            " > RUN echo first; echo second; echo half >/b; false:\r\nfirst\r\nsecond\r\n------"
            in told
        )
        screen.expect(b"look> ")
        assert screen.ask("cat /a /b", b"look> ") == "before\nhalf\n"
        screen.type(b"exit 7\r")
        assert screen.end() == 7
    finally:
        screen.close()
    assert rcrun("ps", "-aq").check().out == ""


def test_steps_on_a_terminal(rcrun, work):
    work.file("Containerfile", "FROM busybox\nRUN echo said\n")
    for word in ("0.", "CACHED"):
        screen = Screen(rcrun, "build", "--network", "none", str(work.folder))
        try:
            told = screen.expect(b"image sha256:").decode()
        finally:
            screen.end()
            screen.close()
        assert word in told
        assert " [stage-0 1/1] RUN echo said" in told
