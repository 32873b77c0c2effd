"""What is wrong with a Containerfile, and where."""

from __future__ import annotations

from rcrun.errors import InvalidInput


class Fault(InvalidInput):
    """`line` is 1 for the first; `text` is what was wrong without the place, `file` is filled in by who knows it."""

    def __init__(self, text: str, line: int, hint: str | None = None) -> None:
        super().__init__(f"line {line}: {text}" if line else text, hint)
        self.text = text
        self.line = line
