"""Small files that an option asks for: an id, a digest, facts of a build."""

from __future__ import annotations

from rcrun.errors import InvalidInput


def write_text(path: str, text: str) -> None:
    """It replaces what was there."""
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidInput(f'cannot write "{path}": {reason}') from error
