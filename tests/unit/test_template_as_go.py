"""The template package as Go's text/template has it: go_cases.jsonl is what Go 1.26 made of the same templates and data.

Each line is [template, text or null, message]; with missingkey=error, as docker has it. "*": an error in other words.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rcrun.formats.template import Template, TemplateError, evaluate

CASES = Path(__file__).with_name("template") / "go_cases.jsonl"
DATA = {
    "a": 1, "f": 1.5, "s": "héllo <b>&\"'x", "e": "", "t": True, "n": None, "neg": -7, "big": 123456789,
    "l": ["x", "y", "z"], "li": [1, 2, 3], "el": [], "m": {"k": "v", "a": "b"}, "em": {},
    "mm": {"p": {"q": [{"r": 1}, {"r": 2}]}}, "o": {"Id": "abc", "N": 0, "B": False},
}  # fmt: skip


def cases() -> list[tuple[str, str | None, str]]:
    lines = CASES.read_text(encoding="utf-8").splitlines()
    return [tuple(json.loads(line)) for line in lines]


@pytest.mark.parametrize(("template", "text", "message"), cases())
def test_as_go(template: str, text: str | None, message: str) -> None:
    if text is not None:
        assert Template(template).render(DATA) == text
        return
    with pytest.raises(TemplateError) as error:
        Template(template).render(DATA)
    assert error.value.message.startswith("template: :")  # and then the line
    if message != "*":
        assert error.value.message == message


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{range 1000000}}{{range 1000000}}{{end}}{{end}}", "more than 1000000 steps"),
        ("{{range 1000000}}{{range 1000000}}x{{end}}{{end}}", "more than 1000000 steps"),
        ('{{define "t"}}{{range 9}}{{template "t"}}{{end}}{{end}}{{template "t"}}', "exceeded maximum template depth"),
        ("{{$x := `x`}}{{range 64}}{{$x = print $x $x}}{{end}}", "more than 16 MiB of text in one value"),
        ('{{range 100000}}{{printf "%100000d" 1}}{{end}}', "more than 64 MiB of text"),
        ('{{printf "%99999999999d" 1 | len}}', ""),
        ('{{pad "x" 999999999999 9 | len}}', ""),
    ],
)  # fmt: skip
def test_a_hostile_template_ends(template: str, message: str) -> None:
    if not message:
        assert int(Template(template).render({})) <= evaluate.MAX_VALUE
        return
    with pytest.raises(TemplateError, match=message):
        Template(template).render({})
