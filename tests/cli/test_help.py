"""Every command and every option says what it is for."""

from __future__ import annotations

import pytest

from accounts import CHECKOUT
from cli.table import every_command, every_row, whole_program
from rcrun_cli import clickapp
from rcrun_cli.declare import Command
from rcrun_cli.main import run

COMMANDS = every_command()


def test_every_row_of_the_table_has_its_command() -> None:
    assert sorted(COMMANDS) == sorted(every_row())


@pytest.mark.parametrize("record", COMMANDS.values(), ids=COMMANDS)
def test_a_command_and_its_options_have_help(record: Command) -> None:
    first_line = (record.handler.__doc__ or "").strip().partition("\n")[0]
    assert first_line.endswith("."), record.name
    assert first_line[0].isupper()
    for param in record.options():
        text = param.attrs.get("help", "")
        assert text, f"{record.name} {param.decls}: no help"
        assert not text.endswith("."), (
            f"{record.name} {param.decls}: a help line ends without a stop"
        )


def test_the_table_says_what_the_docstring_says() -> None:
    whole = whole_program()
    for section in whole.sections.values():
        for name, (_, line) in section.items():
            assert line
            assert not line.endswith("."), name


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["container"], ["container", "-h"]])
def test_help_needs_no_daemon_and_no_store(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(whole_program(), words) == 0
    out = capsys.readouterr().out
    assert "Usage:" in out
    assert "Start containers" in out


def test_every_command_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    whole = whole_program()
    for name in COMMANDS:
        assert run(whole, [*name.split(), "--help"]) == 0, name
        assert f"Usage: rcrun {name} " in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_us_back(shell: str) -> None:
    script = clickapp.completion_script(whole_program(), shell)
    assert "_RCRUN_COMPLETE" in script
    assert "rcrun" in script


def test_hot_commands_have_only_plain_parameters() -> None:
    """One attribute that the small parser does not know would send every `run` through click."""
    hot = ("run", "create", "exec", "start", "stop", "kill", "rm", "ps", "logs", "attach", "wait")
    for name in hot:
        record = COMMANDS.get(name)
        if record is not None:
            odd = [param.decls for param in record.params if not param.is_plain()]
            assert record.is_plain(), f"{name}: {odd}"


def test_every_command_is_in_the_documents() -> None:
    whole = whole_program()
    page = (CHECKOUT / "docs/commands.md").read_text()
    names = [*whole.groups, *[name for section in whole.sections.values() for name in section]]
    assert [name for name in names if f"`{name}`" not in page] == []
