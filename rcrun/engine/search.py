"""search: images by a word, and the tags of a repository, asked of a registry."""

from __future__ import annotations

from rcrun.errors import InvalidInput, NotFound, RcrunError, RegistryError
from rcrun.formats.registriesconf import Blocked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rcrun.engine.access import Access
    from rcrun.engine.context import Context
    from rcrun.registry.search import Found


def find(
    context: Context, text: str, limit: int, access: Access, *, hub_only: bool = False
) -> list[Found]:
    """`text` is a term, of the registry HOST with `HOST/` before it, else of those that registries.conf has for short names.

    Of each at most `limit`. Without such a line, and with `hub_only`, Docker Hub is asked.
    """
    domain, term = split(text)
    if domain:
        return _of(context, domain, term, limit, access)
    domains = ["docker.io"] if hub_only else access.registries(context.environ).search
    found: list[Found] = []
    failures: list[RcrunError] = []
    domains = domains or ["docker.io"]
    for domain in domains:
        try:
            found += _of(context, domain, term, limit, access)
        except (RegistryError, NotFound, Blocked) as error:
            failures.append(error)
    if len(failures) == len(domains):
        raise failures[0]
    for each in failures:
        context.warn(each.message, each.hint)
    return found


def _of(context: Context, domain: str, term: str, limit: int, access: Access) -> list[Found]:
    from rcrun.formats.reference import Reference
    from rcrun.registry.search import search

    place = access.registries(context.environ).itself(Reference(domain, term))
    lookup, transport = access.reach(context, place)
    with transport:
        return search(transport, domain, lookup, term, limit, access.patience(context=context))


def split(text: str) -> tuple[str, str]:
    """Registry, empty if there is none, and term."""
    if not text:
        raise InvalidInput("nothing to search for")
    first, slash, rest = text.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return "", text


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
