"""Every command of the table, loaded."""

from __future__ import annotations

from pathlib import Path

from rcrun_cli import commands
from rcrun_cli.declare import Command
from rcrun_cli.main import Program
from rcrun_cli.program import program


def whole_program(name: str = "rcrun") -> Program:
    return program(name)


def every_row() -> dict[str, tuple[str, str]]:
    """By what is typed: `ps`, `container ls`, `__failed`."""
    whole = whole_program()
    rows = {name: row for section in whole.sections.values() for name, row in section.items()}
    rows.update(whole.hidden)
    for group, (_, members) in whole.groups.items():
        for name in members:
            row = whole.member(group, name)
            assert row is not None, f"{group} {name} stands for a command that is not in the table"
            rows[f"{group} {name}"] = row
    return rows


def every_command() -> dict[str, Command]:
    """Those whose module can be found; test_help.py tells of the others."""
    whole = whole_program()
    folder = Path(commands.__file__).parent
    found = {}
    for name, row in every_row().items():
        if (folder / f"{row[0].partition(':')[0]}.py").exists():
            found[name] = whole.load(row)
    return found
