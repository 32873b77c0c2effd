"""`--ulimit nofile=1024:2048`: resource limits as docker writes them."""

from __future__ import annotations

from rcrun.errors import InvalidInput

UNLIMITED = -1
_NAMES = (
    "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"
).split()


def parse(text: str) -> tuple[str, int, int]:
    """`RLIMIT_NAME`, soft, hard; -1 is unlimited."""
    name, equals, value = text.partition("=")
    name = name.strip().lower().removeprefix("rlimit_")
    if not equals or name not in _NAMES:
        raise InvalidInput(
            f'invalid --ulimit "{text}": a limit is NAME=SOFT[:HARD]', f"names: {' '.join(_NAMES)}"
        )
    soft_word, colon, hard_word = value.partition(":")
    soft = _number(soft_word, text)
    hard = _number(hard_word, text) if colon else soft
    if hard != UNLIMITED and (soft == UNLIMITED or soft > hard):
        raise InvalidInput(f'invalid --ulimit "{text}": the soft limit is above the hard limit')
    return f"RLIMIT_{name.upper()}", soft, hard


def _number(word: str, text: str) -> int:
    word = word.strip()
    if word in ("-1", "unlimited"):
        return UNLIMITED
    if not (word.isascii() and word.isdigit()):
        raise InvalidInput(f'invalid --ulimit "{text}": "{word}" is not a number')
    return int(word)
