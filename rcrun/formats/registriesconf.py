"""registries.conf, version 2 (containers-registries.conf(5)): what a short name means, and where a repository really is.

A document is what TOML gave; a fault names the file and the key. `merged` puts a drop-in over what was read before.
"""

from __future__ import annotations

from rcrun.errors import InvalidInput, RcrunError
from rcrun.formats import reference as grammar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.formats.reference import Reference

    Table = Mapping[str, Any]

MODES = ("disabled", "permissive", "enforcing")
WHEN = ("all", "digest-only", "tag-only")
AUTH_FILES = "containers-auth.json"  # among the credential helpers: the files of docker and podman
_OLD = "registries"  # the one table of version 1


class Blocked(RcrunError):
    """registries.conf forbids it."""


class Mirror:
    __slots__ = ("insecure", "location", "when")

    def __init__(self, location: str, insecure: bool, when: str) -> None:
        self.location = location
        self.insecure = insecure
        self.when = when


class Registry:
    """What is beneath `prefix` is at `location`; an empty one means where its name says. `source` is the file."""

    __slots__ = ("blocked", "by_digest_only", "insecure", "location", "mirrors", "prefix", "source")

    def __init__(
        self,
        prefix: str,
        location: str,
        source: str,
        *,
        insecure: bool = False,
        blocked: bool = False,
        by_digest_only: bool = False,
        mirrors: list[Mirror] | None = None,
    ) -> None:
        self.prefix = prefix
        self.location = location
        self.source = source
        self.insecure = insecure
        self.blocked = blocked
        self.by_digest_only = by_digest_only
        self.mirrors = mirrors or []


class Place:
    """One place to ask for an image: its name there, whether TLS is not insisted upon, and who blocks it."""

    __slots__ = ("blocked_by", "insecure", "reference")

    def __init__(self, reference: Reference, insecure: bool, blocked_by: Registry | None) -> None:
        self.reference = reference
        self.insecure = insecure
        self.blocked_by = blocked_by

    def check(self) -> None:
        """Nothing is asked of a place that is blocked."""
        if self.blocked_by is not None:
            raise Blocked(
                f'registry "{self.blocked_by.prefix}" is blocked by "{self.blocked_by.source}"',
                f'"{self.reference}" is not asked for, since "blocked = true" stands there',
            )


class Registries:
    """All files together; None and empty values are what no file speaks of."""

    __slots__ = ("aliases", "helpers", "mode", "registries", "search", "search_source")

    def __init__(self) -> None:
        self.search: list[str] | None = None
        self.search_source = ""
        self.mode = ""
        self.helpers: list[str] | None = None
        self.aliases: dict[str, str] = {}
        self.registries: dict[str, Registry] = {}

    def find(self, text: str) -> Registry | None:
        """The registry with the longest prefix of a normalised reference, repository or host."""
        fitting = [each for each in self.registries.values() if _covered(text, each.prefix) > 0]
        return max(fitting, key=lambda each: len(each.prefix), default=None)

    def pull_places(self, reference: Reference) -> list[Place]:
        """Mirrors in order, and the registry itself last. One that is blocked may have mirrors that are not."""
        found = self.find(str(reference))
        if found is None:
            return [Place(reference, False, None)]
        mirrors = [
            self._place(_moved(reference, found, mirror.location), mirror.insecure)
            for mirror in found.mirrors
            if _is_for(mirror, found, has_digest=bool(reference.digest))
        ]
        there = _moved(reference, found, found.location)
        own = found if found.blocked else self._place(there, False).blocked_by
        return [*mirrors, Place(there, found.insecure, own)]

    def itself(self, reference: Reference) -> Place:
        """For what goes to a registry, not to its mirrors: push, the list of tags, a search."""
        found = self.find(str(reference))
        insecure = found is not None and found.insecure
        return self._place(reference, insecure)

    def _place(self, reference: Reference, insecure: bool) -> Place:
        found = self.find(str(reference))
        return Place(reference, insecure, found if found is not None and found.blocked else None)

    def meanings(self, text: str) -> list[str]:
        """The references that a short name may mean, in order; the text itself when it has its registry."""
        name, suffix = split_name(text)
        if not is_short(name):
            return [text]
        alias = self.aliases.get(name)
        if alias:
            return [alias + suffix]
        if not self.search:
            return [text]
        if self.mode == "enforcing" and len(self.search) > 1:
            names = ", ".join(f"{registry}/{name}" for registry in self.search)
            raise InvalidInput(
                f'the short name "{name}" may mean several images: {names}',
                f'type the registry too; short-name-mode is "enforcing", see "{self.search_source}"',
            )
        return [f"{registry}/{text}" for registry in self.search]


def split_name(text: str) -> tuple[str, str]:
    """The repository as it was typed, and the tag and digest behind it."""
    rest, at, digest = text.partition("@")
    colon = rest.rfind(":")
    if colon <= rest.rfind("/"):
        return rest, at + digest
    return rest[:colon], rest[colon:] + at + digest


def is_short(name: str) -> bool:
    """True for a repository without a registry before it."""
    first, slash, _ = name.partition("/")
    return not slash or not ("." in first or ":" in first or first == "localhost")


def merged(base: Registries, more: Registries) -> Registries:
    """What `more` says wins; registries and aliases are put together."""
    both = Registries()
    both.registries = {**base.registries, **more.registries}
    aliases = {**base.aliases, **more.aliases}
    both.aliases = {name: value for name, value in aliases.items() if value}
    both.search, both.search_source = base.search, base.search_source
    if more.search is not None:
        both.search, both.search_source = more.search, more.search_source
    both.helpers = base.helpers if more.helpers is None else more.helpers
    both.mode = more.mode or base.mode
    return both


def _covered(text: str, prefix: str) -> int:
    """How many characters of a reference the prefix covers; -1 for none."""
    if prefix.startswith("*."):
        at = text.find(prefix[1:])
        end = at + len(prefix) - 1
        if at < 0 or "/" in text[:at]:
            return -1
    else:
        end = len(prefix)
        if not text.startswith(prefix):
            return -1
    return end if end == len(text) or text[end] in ":/@" else -1


def _is_for(mirror: Mirror, registry: Registry, *, has_digest: bool) -> bool:
    if registry.by_digest_only or mirror.when == "digest-only":
        return has_digest
    return mirror.when != "tag-only" or not has_digest


def _moved(reference: Reference, registry: Registry, location: str) -> Reference:
    if not location:
        return reference
    text = str(reference)
    moved = location + text[_covered(text, registry.prefix) :]
    try:
        there = grammar.parse(moved, default_tag="")
    except InvalidInput as error:
        raise InvalidInput(f'"{registry.source}" leads to "{moved}": {error.message}') from error
    if str(there) != moved:
        raise InvalidInput(
            f'"{registry.source}" leads "{text}" to "{moved}", which has no registry',
            f'begin the location "{location}" with a host: HOST[:PORT]/…',
        )
    return there


# One file.


def parse(document: Table, source: str, *, may_be_old: bool = False) -> Registries:
    """`may_be_old`: version 1 is understood, in the main file alone."""
    if _OLD in document:
        if not may_be_old or any(key in document for key in ("registry", "aliases")):
            raise _fault(source, _OLD, "is of version 1 of this file, which has [[registry]] now")
        document = _converted(document[_OLD], source)
    found = Registries()
    found.search = _hosts(document, source)
    found.search_source = source
    found.mode = _text(document, "short-name-mode", source)
    if found.mode not in ("", *MODES):
        raise _fault(source, "short-name-mode", f'is "{found.mode}", not one of {", ".join(MODES)}')
    found.helpers = _texts(document, "credential-helpers", source)
    found.aliases = _aliases(document.get("aliases", {}), source)
    for number, table in enumerate(_tables(document, "registry", source), 1):
        registry = _registry(table, source, f"registry {number}")
        _check_conflict(registry, found.registries.values(), source)
        found.registries.setdefault(registry.prefix, registry)
    return found


def _converted(old: object, source: str) -> Table:
    """Version 1 in the words of version 2."""
    if not isinstance(old, dict):
        raise _fault(source, _OLD, "is not a table")
    named: dict[str, list[str]] = {}
    for kind in ("search", "insecure", "block"):
        table = old.get(kind, {})
        if not isinstance(table, dict):
            raise _fault(source, f"{_OLD}.{kind}", "is not a table")
        named[kind] = _texts(table, "registries", source) or []
    locations = dict.fromkeys([*named["block"], *named["insecure"]])
    return {
        "unqualified-search-registries": named["search"],
        "registry": [
            {
                "location": location,
                "insecure": location in named["insecure"],
                "blocked": location in named["block"],
            }
            for location in locations
        ],
    }


def _registry(table: Table, source: str, where: str) -> Registry:
    location = _location(table, "location", source, where)
    prefix = _location(table, "prefix", source, where) or location
    if not prefix:
        raise _fault(source, f"{where}: location", "is missing, and so is the prefix")
    is_wildcard = prefix.startswith("*.")
    if not location and not is_wildcard:
        raise _fault(source, f"{where}: location", f'is missing; only for "*.{prefix}" it may be')
    if "*" in prefix.removeprefix("*.") or (is_wildcard and any(c in prefix for c in "/@:")):
        raise _fault(source, f"{where}: prefix", f'is "{prefix}"; a wildcard is "*.example.com"')
    if "pull-from-mirror" in table:
        raise _fault(source, f"{where}: pull-from-mirror", "is for a mirror, not for a registry")
    by_digest_only = _flag(table, "mirror-by-digest-only", source, where)
    mirrors = [
        _mirror(each, source, f"{where}, mirror {number}", by_digest_only)
        for number, each in enumerate(_tables(table, "mirror", source, where), 1)
    ]
    return Registry(
        prefix,
        location,
        source,
        insecure=_flag(table, "insecure", source, where),
        blocked=_flag(table, "blocked", source, where),
        by_digest_only=by_digest_only,
        mirrors=mirrors,
    )


def _mirror(table: Table, source: str, where: str, by_digest_only: bool) -> Mirror:
    location = _location(table, "location", source, where)
    if not location:
        raise _fault(source, f"{where}: location", "is missing")
    when = _text(table, "pull-from-mirror", source, where)
    if when and when not in WHEN:
        raise _fault(
            source, f"{where}: pull-from-mirror", f'is "{when}", not one of {", ".join(WHEN)}'
        )
    if when and by_digest_only:
        raise _fault(
            source,
            f"{where}: pull-from-mirror",
            "contradicts mirror-by-digest-only of its registry",
        )
    return Mirror(location, _flag(table, "insecure", source, where), when or "all")


def _check_conflict(registry: Registry, others: Any, source: str) -> None:
    """One place cannot be both, whatever prefix leads there."""
    for other in others:
        if (registry.location or registry.prefix) != (other.location or other.prefix):
            continue
        for key in ("insecure", "blocked"):
            if getattr(registry, key) != getattr(other, key):
                raise _fault(source, key, f'is true and false for "{registry.location}"')


def _hosts(document: Table, source: str) -> list[str] | None:
    key = "unqualified-search-registries"
    hosts = _texts(document, key, source)
    for host in hosts or []:
        try:
            known = grammar.parse(f"{host}/x/x", default_tag="")
        except InvalidInput:
            known = None
        if known is None or known.domain != host:
            raise _fault(source, key, f'has "{host}", which is not HOST[:PORT]')
    return hosts


def _aliases(table: object, source: str) -> dict[str, str]:
    """An empty value takes an alias of another file away."""
    if not isinstance(table, dict):
        raise _fault(source, "aliases", "is not a table")
    for name, value in table.items():
        key = f"aliases: {name}"
        if not isinstance(value, str):
            raise _fault(source, key, "is not a text")
        if not is_short(name) or split_name(name)[1] or not _is_repository(f"docker.io/{name}"):
            raise _fault(source, key, "is not a short name without a tag")
        if value and (is_short(value) or split_name(value)[1] or not _is_repository(value)):
            raise _fault(source, key, f'is "{value}", which is not REGISTRY/REPOSITORY')
    return dict(table)


def _is_repository(text: str) -> bool:
    try:
        grammar.parse(text)
    except InvalidInput:
        return False
    return True


def _fault(source: str, key: str, what: str) -> InvalidInput:
    return InvalidInput(f'"{source}" cannot be used: {key} {what}')


def _named(where: str, key: str) -> str:
    return f"{where}: {key}" if where else key


def _text(table: Table, key: str, source: str, where: str = "") -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise _fault(source, _named(where, key), "is not a text")
    return value


def _location(table: Table, key: str, source: str, where: str) -> str:
    value = _text(table, key, source, where).rstrip("/")
    if "://" in value:
        raise _fault(
            source, _named(where, key), f'is "{value}": leave out what stands before "://"'
        )
    return value


def _flag(table: Table, key: str, source: str, where: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise _fault(source, _named(where, key), "is neither true nor false")
    return value


def _texts(table: Table, key: str, source: str) -> list[str] | None:
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _fault(source, key, "is not a list of texts")
    return value


def _tables(table: Table, key: str, source: str, where: str = "") -> list[Table]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise _fault(source, _named(where, key), f"is not a list of tables: [[{key}]]")
    return value
