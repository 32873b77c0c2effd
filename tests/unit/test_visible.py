"""Nothing of a hostile text reaches the terminal as a command."""

from __future__ import annotations

import json

import pytest

from rcrun.formats.visible import JSON_ESCAPES, visible


@pytest.mark.parametrize("text", ["", "plain", "Grüße 日本 é", "a b", "\xa0", "\ue0b0"])
def test_what_people_write_stays(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b2J", "\\x9b2J"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x00\x07\x7f", "\\x00\\x07\\x7f"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\udc9b", "\\x9b"),
        ("\ud800", "\\ud800"),
        ("\u2028", "\\u2028"),
    ],
)
def test_what_a_terminal_obeys_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_line_breaks_of_a_message_may_stay() -> None:
    assert visible("a\nb\x1b", keep="\n") == "a\nb\\x1b"


def test_json_means_the_same() -> None:
    text = "".join(map(chr, range(0x250))) + "\u202e\u2066"
    escaped = json.dumps(text, ensure_ascii=False).translate(JSON_ESCAPES)
    assert json.loads(escaped) == text
    assert "\x9b" not in escaped
