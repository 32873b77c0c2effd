"""What is said of a step that failed: its line, the end of its output, and how to look around there."""

from __future__ import annotations

import os
import sys

from rcrun_cli import context, output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.build.builder import StepFailed
    from rcrun_cli.building import Quiet
    from rcrun_cli.buildsource import Source

LINES_OF_OUTPUT = 10
LINES_AROUND = 2


def explain(error: StepFailed, source: Source, progress: Quiet, options: dict[str, Any]) -> int:
    """The exit status; on a terminal the shell that was asked for is in our place instead."""
    instruction = error.instruction
    shell = options["shell_on_failure"]
    text = progress.output_of(error.number, LINES_OF_OUTPUT)
    if text:
        output.tell(f"------\n > {instruction.text}:\n{text}------")
    output.tell(excerpt(source.text, source.shown, instruction.line.first, instruction.line.last))
    hint = error.hint
    if not shell and instruction.name == "RUN":
        hint = hint or "to look around there: the same command with --shell-on-failure"
    output.complain(error.message, hint)
    if not shell:
        return _status(error)
    if not error.image_id:
        output.tell("there is nothing to open a shell in: the stage has no files at that point")
        return _status(error)
    network = ["--network", options["network"]] if options["network"] else []
    words = ["run", "--rm", "-it", *network, error.image_id[7:19]]
    if context.settings.personality == "podman" or not _has_terminal():
        output.tell(f"the step failed here: rcrun {' '.join(words)}")
        output.tell("rcrun image prune removes it")
        return _status(error)
    output.tell(f"a shell where the step failed; later: rcrun {' '.join(words)}")
    launcher = context.engine().launcher
    return os.execv(launcher[0], [*launcher, *words])


def _status(error: StepFailed) -> int:
    """As podman that of the command; else one for all."""
    if context.settings.personality != "podman":
        return 1
    return getattr(error.cause, "status_of_command", 0) or int(output.trait("failure_status"))


def _has_terminal() -> bool:
    return all(os.isatty(fd) for fd in (0, 1, 2)) and not sys.flags.inspect


def excerpt(text: str, shown: str, first: int, last: int) -> str:
    """The lines of the instruction, marked, with those around them."""
    from rcrun.formats.visible import visible

    lines = text.splitlines()
    rule = "-" * 20
    told = [f"{shown}:{first}", rule]
    for number in range(max(1, first - LINES_AROUND), min(len(lines), last + LINES_AROUND) + 1):
        mark = ">>>" if first <= number <= last else "   "
        told.append(f"{number:4} | {mark} {visible(lines[number - 1], keep=chr(9))}".rstrip())
    return "\n".join([*told, rule])
