"""search: images by a word, and the tags of a repository, asked of a registry."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rcrun.engine.access import Access
    from rcrun.engine.context import Context
    from rcrun.registry.search import Found


def find(context: Context, text: str, limit: int, access: Access) -> list[Found]:
    """`text` is a term, of Docker Hub or, with `HOST/` before it, of that registry."""
    from rcrun.formats.reference import Reference
    from rcrun.registry.search import search

    domain, term = split(text)
    place = access.registries(context.environ).itself(Reference(domain, term))
    lookup, transport = access.reach(context, place)
    with transport:
        return search(transport, domain, lookup, term, limit, access.patience())


def split(text: str) -> tuple[str, str]:
    """Registry and term."""
    if not text:
        raise InvalidInput("nothing to search for")
    first, slash, rest = text.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return "docker.io", text


def tests_of(filters: Sequence[str]) -> list[Callable[[Found], bool]]:
    """docker's: is-official, is-automated (true or false), stars (at least)."""
    return [_test_of(word) for word in filters]


def _test_of(word: str) -> Callable[[Found], bool]:
    key, _, value = word.partition("=")
    if key == "stars" and value.isdecimal():
        return lambda each: each.stars >= int(value)
    if value in ("true", "1", "false", "0", ""):
        wanted = value in ("true", "1", "")
        if key == "is-official":
            return lambda each: each.official == wanted
        if key == "is-automated":
            return lambda each: each.automated == wanted
    raise InvalidInput(
        f'invalid filter "{word}"', "filters: is-official=true|false, is-automated=…, stars=NUMBER"
    )
