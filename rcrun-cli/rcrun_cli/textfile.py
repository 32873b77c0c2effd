"""Small files that an option asks for: an id, a digest, facts of a build."""

from __future__ import annotations

from rcrun.errors import InvalidInput, unreadable


def read_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError as error:
        raise unreadable(path, error) from error


def write_text(path: str, text: str, kind: str = "") -> None:
    """It replaces what was there; `kind` names it in errors, as in `the digest file `."""
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidInput(f'cannot write {kind}"{path}": {reason}') from error
