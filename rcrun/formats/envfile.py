"""Environment: `--env-file` by docker's literal rules, `-e` words, and which of them wins."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_BLANKS = " \t\v\f\r\x85\xa0"


def parse_file(data: bytes, name: str) -> list[str]:
    """The file's `KEY=VALUE` and `KEY` words: no quotes, no expansion, no trimming of values."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f'cannot read the environment file "{name}": it is not UTF-8') from error
    words = []
    for number, line in enumerate(text.split("\n"), 1):
        word = line.removesuffix("\r").lstrip(_BLANKS)
        if word and not word.startswith("#"):
            _check(word, f'environment file "{name}", line {number}')
            words.append(word)
    return words


def _check(word: str, where: str) -> None:
    key = word.partition("=")[0]
    if not key:
        raise InvalidInput(f'{where}: "{word}" has no variable name')
    if any(blank in key for blank in _BLANKS):
        raise InvalidInput(f'{where}: variable name "{key}" contains white space')
    if "\0" in word:
        raise InvalidInput(f"{where}: a NUL character")


def resolve(words: Iterable[str], caller: Mapping[str, str]) -> dict[str, str | None]:
    """`KEY=VALUE` sets, `KEY` takes the caller's value or unsets, `PRE*` takes all that begin so."""
    found: dict[str, str | None] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or "\0" in word:
            raise InvalidInput(f'invalid environment variable "{word}" of --env: it has no name')
        if equals:
            found[key] = value
        elif key.endswith("*"):
            found.update((k, v) for k, v in caller.items() if k.startswith(key[:-1]))
        else:
            found[key] = caller.get(key)
    return found


def merge(words: Iterable[str], changes: Mapping[str, str | None]) -> list[str]:
    """`KEY=VALUE` words with the changes applied: replaced where they stand, None removes, new ones last."""
    merged: dict[str, str | None] = {}
    for word in words:
        key, _, value = word.partition("=")
        merged[key] = value
    merged.update(changes)
    return [f"{key}={value}" for key, value in merged.items() if value is not None]
