"""`--filter KEY=VALUE` of lists. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def parsed(words: Sequence[str], known: Collection[str]) -> dict[str, list[str]]:
    """The values of each key, in their order; InvalidInput for a key that is not known."""
    asked: dict[str, list[str]] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in known:
            raise InvalidInput(
                f'invalid filter "{word}"',
                f"filters are written KEY=VALUE; keys: {' '.join(known)}",
            )
        asked.setdefault(key, []).append(value)
    return asked
