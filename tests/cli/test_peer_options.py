"""Every option that docker or podman has for a command of ours is here, or is refused by name with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.table import every_command
from rcrun_cli.clickapp import parse
from rcrun_cli.program import program
from rcrun_cli.program import rcrun as whole_line
from rcrun_cli.refused import REFUSED, refusal

LIST = Path(__file__).with_name("peer_options.txt")
COMMANDS = every_command()


def peers() -> list[tuple[str, str, list[str]]]:
    """Which peer, the command, its options as `-a/--all` or `-n/--last=`."""
    found = []
    for line in LIST.read_text(encoding="ascii").splitlines():
        if line.startswith("#"):
            continue
        words, _, options = line.partition(":")
        peer, _, command = words.partition(" ")
        found.append((peer, command, options.split()))
    return found


@pytest.mark.parametrize(("peer", "command", "options"), peers())
def test_options(peer: str, command: str, options: list[str]) -> None:
    table = COMMANDS[command].table()
    missing = []
    for each in options:
        spellings, wants_value = each.removesuffix("=").split("/"), each.endswith("=")
        for spelling in spellings:
            known = table.get(spelling)
            if known is None and refusal(command.split(), spelling) is None:
                missing.append(spelling)
            if known is not None:
                assert known.takes_value() is wants_value, f"{peer} {command} {spelling}"
    assert missing == []


def test_a_refusal_is_of_nothing_that_works() -> None:
    for command, options in REFUSED.items():
        for name in options:
            record = COMMANDS[command] if command else whole_line
            assert name not in record.table(), f"{command} {name}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--volumepath", "x", "ps"], 'option "--volumepath" is not possible: volumes are kept with the rest'),
        (["start", "--checkpoint", "c", "web"], 'option "--checkpoint" is not possible: there are no checkpoints\nhint: '),
        (["container", "start", "--checkpoint", "c", "web"], 'option "--checkpoint" is not possible: there are no'),
        (["volume", "create", "--scope=x"], 'option "--scope" is not possible: volumes of a cluster need a swarm'),
        (["image", "pull", "--decryption-key", "k", "x"], 'option "--decryption-key" is not possible: encrypted'),
        (["buildx", "build", "--cpp-flag", "-DX", "."], 'option "--cpp-flag" is not possible: the preprocessor of C'),
    ],
)  # fmt: skip
def test_a_refusal_says_why(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert parse(program("rcrun"), words) == 125
    assert capsys.readouterr().err.startswith(f"rcrun: error: {message}")
