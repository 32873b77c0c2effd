"""What a probe found: a level, and what it means to the user, why, and the command that helps. Values only."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OK, LIMITED, BROKEN = "ok", "limited", "broken"


class Finding:
    """`found` in one line; `hint` may hold a command, which `command` takes out."""

    __slots__ = ("found", "hint", "level", "means", "why")

    def __init__(
        self, level: str, found: str, *, means: str = "", why: str = "", hint: str = ""
    ) -> None:
        self.level = level
        self.found = found
        self.means = means
        self.why = why
        self.hint = hint

    @property
    def command(self) -> str:
        return command_in(self.hint)

    @property
    def needs_root(self) -> bool:
        return self.command.startswith("sudo ")

    def as_json(self, name: str) -> dict[str, Any]:
        """docs/doctor.md promises these keys."""
        return {
            "name": name,
            "level": self.level,
            "found": self.found,
            "means": self.means,
            "why": self.why,
            "hint": self.hint,
            "command": self.command,
            "needs_root": self.needs_root,
        }


def fine(found: str) -> Finding:
    return Finding(OK, found)


def limited(found: str, *, means: str, why: str = "", hint: str = "") -> Finding:
    return Finding(LIMITED, found, means=means, why=why, hint=hint)


def broken(found: str, *, means: str, why: str = "", hint: str = "") -> Finding:
    return Finding(BROKEN, found, means=means, why=why, hint=hint)


def command_in(hint: str) -> str:
    """What can be pasted: the words after `run: `, else a command for sudo up to the next semicolon."""
    _, mark, command = hint.partition("run: ")
    if mark:
        return command
    _, mark, command = hint.partition("sudo ")
    return f"sudo {command.partition('; ')[0]}" if mark else ""
