"""Go's text/template: the corpus of cases.txt, the faults, and what lists do with titles and escapes."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from rcrun.formats.template import Template, TemplateError

CASES = Path(__file__).with_name("template") / "cases.txt"
SEED = int(os.environ.get("RCRUN_SEED", random.randrange(2**32)))
LABELS = {"k": "v", "a": "b"}
CONTAINER = {
    "Id": "abc",
    "Name": "/web",
    "State": {"Running": True, "Paused": False, "Status": "running", "ExitCode": 0},
    "Config": {"Env": ["PATH=/bin", "A=b"], "Labels": LABELS, "Cmd": None},
    "HostConfig": {"Memory": 536870912, "NanoCpus": 1500000000, "CpuShares": 2},
    "NetworkSettings": {
        "Ports": {"80/tcp": [{"HostPort": "8080"}], "5432/tcp": [{"HostPort": "32768"}]},
        "Networks": {"pasta": {"IPAddress": "10.0.2.100", "Gateway": "10.0.2.2"}},
    },
    "Mounts": [{"Name": "data", "Destination": "/data"}],
    "Empty": [],
    "Ratio": 0.5,
    "Label": lambda key: LABELS.get(key, ""),
}


def cases() -> list[tuple[str, str, object]]:
    """Template, expected text, data."""
    found = []
    for line in CASES.read_text().splitlines():
        if line.startswith("#") or not line:
            continue
        template, _, rest = line.rpartition(" => ")
        expected, end = json.JSONDecoder().raw_decode(rest)
        data = rest[end:].strip().removeprefix("# ")
        found.append((template, expected, json.loads(data) if data else CONTAINER))
    return found


@pytest.mark.parametrize(("template", "expected", "data"), cases())
def test_corpus(template: str, expected: str, data: object) -> None:
    assert Template(template).render(data) == expected


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{nope}}", 'template: :1: function "nope" not defined'),
        ("a\n{{if}}x{{end}}", "template: :2: missing value for if"),
        ("{{end}}", "template: :1: unexpected {{end}}"),
        ("{{else}}", "template: :1: unexpected {{else}}"),
        ("{{if true}}", "template: :1: unexpected EOF"),
        ("{{if true}}{{else}}{{else}}{{end}}", "template: :1: expected end; found {{else}}"),
        ('{{"x}}', "template: :1: unterminated quoted string"),
        ("{{`x}}", "template: :1: unterminated raw quoted string"),
        ("{{.Id", "template: :1: unclosed action"),
        ("{{/* x}}", "template: :1: unclosed comment"),
        ("{{'ab'}}", "template: :1: malformed character constant: 'ab'"),
        ("{{1x}}", 'template: :1: bad number syntax: "1x"'),
        ("{{(1}}", "template: :1: unclosed left paren"),
        ("{{1 | 2}}", "template: :1: non executable command in pipeline stage 2"),
        ("{{$x}}", 'template: :1: undefined variable "$x"'),
        ("{{with $x := 1}}{{end}}{{$x}}", 'template: :1: undefined variable "$x"'),
        ("{{break}}", "template: :1: {{break}} outside {{range}}"),
        (
            "{{range .}}{{define `t`}}{{break}}{{end}}{{end}}",
            "template: :1: unexpected <define> in command",
        ),
        ("{{$a, $b := 1}}", "template: :1: too many declarations in command"),
        ("{{range $i, $j, $k := .}}{{end}}", "template: :1: too many declarations in range"),
        ("{{#}}", "template: :1: bad character U+0023 '#'"),
        ('{{print "a"b}}', 'template: :1: unexpected "b" in operand'),
        ("{{template}}", 'template: :1: unexpected "}}" in template clause'),
        ('{{block "x"}}{{end}}', "template: :1: missing value for block clause"),
    ],
)  # fmt: skip
def test_faults_of_the_text(template: str, message: str) -> None:
    with pytest.raises(TemplateError) as error:
        Template(template)
    assert error.value.message == message


@pytest.mark.parametrize(
    ("template", "place", "message"),
    [
        ("{{.Nope}}", "1:2: .Nope", 'map has no entry for key "Nope"'),
        ("x\n{{.State.Nope}}", "2:8: .State.Nope", 'map has no entry for key "Nope"'),
        ("{{.Id.Nope}}", "1:5: .Id.Nope", "can't evaluate field Nope in type string"),
        (
            "{{.State.Health.Status}}",
            "1:8: .State.Health.Status",
            "nil pointer evaluating interface {}.Status",
        ),
        ("{{len 3}}", "1:2: len 3", "error calling len: len of type int"),
        ("{{len}}", "1:2: len", "wrong number of args for len: want 1 got 0"),
        ("{{printf}}", "1:2: printf", "wrong number of args for printf: want at least 1 got 0"),
        ("{{index .Config.Env 5}}", "1:2: index .Config.Env 5", "error calling index: index out of range: 5"),
        ("{{index .Config.Cmd 0}}", "1:2: index .Config.Cmd 0", "error calling index: index out of range: 0"),
        ('{{slice "abc" 3 1}}', '1:2: slice "abc" 3 1', "error calling slice: invalid slice index: 3 > 1"),
        ('{{eq 1 "a"}}', '1:2: eq 1 "a"', "error calling eq: incompatible types for comparison"),
        ("{{lt true false}}", "1:2: lt true false", "error calling lt: invalid type for comparison"),
        ("{{nil}}", "1:2: nil", "nil is not a command"),
        ("{{.Id 3}}", "1:2: .Id", "Id has arguments but cannot be invoked as function"),
        ('{{range "abc"}}{{end}}', '1:8: "abc"', "range can't iterate over abc"),
        ('{{template "q"}}', '1:11: {{template "q"}}', 'template "q" not defined'),
        (
            '{{define "t"}}{{template "t"}}{{end}}{{template "t"}}',
            '1:25: {{template "t"}}',
            "exceeded maximum template depth (50)",
        ),
    ],
)  # fmt: skip
def test_faults_of_the_data(template: str, place: str, message: str) -> None:
    with pytest.raises(TemplateError) as error:
        Template(template).render(CONTAINER)
    where, _, node = place.partition(": ")
    shown = node if len(node) <= 20 else node[:20] + "..."
    name = "t" if "depth" in message else ""
    expected = f'template: :{where}: executing "{name}" at <{shown}>: {message}'
    assert error.value.message == expected


def test_only_lists_read_escapes_and_only_outside_of_actions() -> None:
    text = r'{{.a}}\t{{"x\ty"}}\n'
    assert Template(text).render({"a": 1}) == "1\\tx\ty\\n"
    assert Template(text, escapes=True).render({"a": 1}) == "1\tx\ty\n"


def test_functions_leave_the_titles_of_columns_alone() -> None:
    text = '{{json .Names}} {{upper .ID}} {{join .Ports ","}} {{.Label "team"}}'
    titles = {"Names": "NAMES", "ID": "Container id", "Ports": "PORTS", "Label": lambda name: name}
    assert Template(text).render_header(titles) == "NAMES Container id PORTS team"


def test_json_is_not_escaped_for_html_and_survives_odd_names() -> None:
    value = {"<&>": "é\u2028\x01", "bad": "\udcff"}
    expected = '{"<&>":"é\\u2028\\u0001","bad":"?"}'
    assert Template("{{json .}}").render(value) == expected


PIECES = [
    "{{", "}}", "{{-", "-}}", " ", "\n", ".", ".a", ".b.c", "$", "$x", ":=", "=", ",", "|", "(", ")", '"s"', "`r`", "'c'",
    "1", "0x", "-3", "1.5", "nil", "true", "if", "else", "end", "range", "with", "define", "block", "template", "break",
    "continue", "len", "index", "printf", "print", "eq", "lt", "and", "or", "not", "slice", "json", "join", "split", "/*", "*/",
    "text", "%", '"%d %s"', "{", "}", '"', "\\", "é", "\0", "title", "pad", "html", "js", "urlquery", "call",
]  # fmt: skip
ACTIONS = [
    "{{range .}}", "{{range $i, $x := .a}}", "{{if .a}}", "{{else}}", "{{end}}", "{{with .b}}", "{{$x := .}}", "{{$x = 1}}",
    "{{$x}}", "{{.}}", "{{.a}}", "{{json .}}", "{{index . 0}}", "{{len .a}}", "{{printf \"%v %d %q %x %5.1f\" . . . . .}}",
    "{{define \"t\"}}", "{{template \"t\" .}}", "{{break}}", "{{slice . 1 2}}", "{{eq . 1 2}}", "{{lt .a .b}}", "{{and . .a}}",
    "{{join . \",\"}}", "{{.a | len | printf \"%d\"}}", "{{(.a).b}}", "{{split . \"\"}}", "{{html .}}", "{{println . nil}}",
]  # fmt: skip
DATA = [
    None,
    0,
    "",
    "é",
    [],
    [1, "a", None],
    {},
    {"a": {"b": [1.5]}, "b": {"c": True}},
    [{"a": "x"}],
]


def test_nonsense_is_refused_in_words() -> None:
    """Whatever is typed and whatever the data is: a text, or a TemplateError."""
    generator = random.Random(SEED)
    for _ in range(4000):
        pieces = PIECES if generator.random() < 0.5 else ACTIONS
        text = "".join(generator.choices(pieces, k=generator.randrange(1, 12)))
        if pieces is PIECES and generator.random() < 0.7:
            text = "{{" + text + "}}"
        data = generator.choice(DATA)
        try:
            answer = Template(text).render(data)
        except TemplateError as error:
            answer = error.message
        except Exception as error:
            raise AssertionError(f"{text!r} over {data!r} (RCRUN_SEED={SEED})") from error
        assert isinstance(answer, str)


def test_depth_has_a_limit() -> None:
    for text in ("{{" + "(" * 5000 + "1}}", "{{if 1}}" * 5000):
        with pytest.raises(TemplateError, match="nested too deeply"):
            Template(text)
