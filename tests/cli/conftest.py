"""A terminal with rcrun on it."""

from __future__ import annotations

import pytest

from cli.screens import PROMPT, SHELL, Screen


@pytest.fixture
def screen(rcrun):
    made = []

    def make(*words, **options):
        made.append(Screen(rcrun, *words, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def shell(screen):
    shown = screen("run", "-it", *SHELL, rows=31, columns=97)
    shown.expect(PROMPT)
    return shown
