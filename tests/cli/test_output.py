"""Tables, lists under --format, and docker's words for times."""

from __future__ import annotations

import json

import pytest

from rcrun.errors import InUse, NotFound
from rcrun.formats.template import TemplateError
from rcrun_cli import context, output

COLUMNS = {"ID": "CONTAINER ID", "Names": "NAMES", "Ports": "PORTS"}
ROWS = [
    {"ID": "0123456789ab", "Names": "web", "Ports": ""},
    {"ID": "f", "Names": "é", "Ports": "80/tcp"},
]


def listed(capsys: pytest.CaptureFixture[str], form: str | None, rows: object = ROWS) -> str:
    output.Listing(COLUMNS, ("ID", "Names", "Ports")).print(rows, form)  # type: ignore[arg-type]
    return capsys.readouterr().out


@pytest.mark.parametrize("form", [None, "", "table"])
def test_the_plain_table_is_dockers(capsys: pytest.CaptureFixture[str], form: str | None) -> None:
    assert listed(capsys, form) == (
        "CONTAINER ID   NAMES     PORTS\n"
        "0123456789ab   web       \n"
        "f              é         80/tcp\n"
    )


def test_headers_stand_over_no_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(capsys, None, []) == "CONTAINER ID   NAMES     PORTS\n"
    assert listed(capsys, r"table {{.Names}}\t{{.ID}}", []) == "NAMES     CONTAINER ID\n"


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = listed(capsys, "json").splitlines()
    assert [json.loads(line) for line in lines] == ROWS
    assert listed(capsys, "json", []) == ""


def test_json_is_one_array_for_podman(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context.settings, "personality", "podman")
    assert json.loads(listed(capsys, "json")) == ROWS
    assert listed(capsys, "json", []) == "[]\n"


def test_templates(capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(capsys, r"{{.ID}}\t{{.Names}}") == "0123456789ab\tweb\nf\té\n"
    assert listed(capsys, r"table {{.Names}}\t{{upper .ID}}") == (
        "NAMES     CONTAINER ID\nweb       0123456789AB\né         F\n"
    )
    with pytest.raises(TemplateError, match="Nope"):
        listed(capsys, "{{.Nope}}")


def test_inspected_objects(capsys: pytest.CaptureFixture[str]) -> None:
    values = [{"Id": "é", "A": {"b": [1]}}]
    output.print_inspected(values, None)
    text = capsys.readouterr().out
    assert json.loads(text) == values
    assert '\n    {\n        "Id": "é",' in text
    output.print_inspected(values, r"{{.ID}}\t{{.A.b}}")
    assert capsys.readouterr().out == "é\\t[1]\n"
    output.print_inspected([], None)
    assert capsys.readouterr().out == "[]\n"


@pytest.mark.parametrize(
    ("status", "times", "expected"),
    [
        ("running", {"started": 880.0}, "Up 2 minutes"),
        ("running", {"started": 880.0, "health": "healthy"}, "Up 2 minutes (healthy)"),
        ("paused", {"started": 880.0}, "Up 2 minutes (Paused)"),
        ("running", {"started": 2000.0}, "Up Less than a second"),
        ("exited", {"finished": 990.0, "exit_code": 137}, "Exited (137) 10 seconds ago"),
        ("created", {}, "Created"),
    ],
)
def test_the_status_column(status: str, times: dict[str, float], expected: str) -> None:
    assert output.status_text(status, now=1000.0, **times) == expected  # type: ignore[arg-type]


def test_each_goes_on_after_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    def act(name: str) -> None:
        if name == "b":
            raise NotFound('no container "b"')
        if name == "c":
            raise InUse("busy", "wait")

    assert output.each(["a", "b", "c", "d"], act) == 1
    out, err = capsys.readouterr()
    assert out == "a\nd\n"
    assert err == 'rcrun: error: no container "b"\nrcrun: error: busy\nhint: wait\n'


def test_podman_exits_with_125(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context.settings, "personality", "podman")

    def fail(name: str) -> None:
        raise NotFound(name)

    assert output.each(["a"], fail) == 125
    assert capsys.readouterr().err == "Error: a\n"


def test_short_texts() -> None:
    assert output.short_id("sha256:" + "a" * 64) == "a" * 12
    assert output.short_id("b" * 64, whole=True) == "b" * 64
    assert output.shortened("x" * 21) == "x" * 19 + "…"
    assert output.shortened("x" * 20) == "x" * 20
