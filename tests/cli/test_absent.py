"""Commands that people know from docker and rcrun does not have."""

from __future__ import annotations

import pytest

from rcrun_cli.absent import ABSENT
from rcrun_cli.clickapp import parse
from rcrun_cli.program import program


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["machine", "init"], 'rcrun: error: there is no command "machine" yet\nhint: there is no virtual machine'),
        (["volume", "mount", "x"], 'rcrun: error: there is no command "volume mount" yet\nhint: the files are in'),
        (["checkpoint", "web"], 'rcrun: error: there is no command "checkpoint" yet\nhint: see rcrun --help'),
        (["container", "checkpoint", "a"], 'rcrun: error: there is no command "container checkpoint" yet\nhint: see rcrun'),
        (["container", "nope"], 'rcrun: error: there is no command "nope"\nhint: see rcrun container --help'),
    ],
)  # fmt: skip
def test_words(capsys, words, message):
    assert parse(program("rcrun"), words) == 1
    assert capsys.readouterr().err.startswith(message)


def test_podman_has_its_own_status(capsys):
    assert parse(program("podman"), ["machine", "init"]) == 125


def test_what_exists_is_not_called_absent():
    known = program("rcrun")
    for name in ABSENT:
        words = name.split()
        assert known.find(words) is None, name
        assert words[0] not in known.groups or len(words) == 2, name
