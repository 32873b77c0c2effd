"""policy.json (containers-policy.json(5)): what an image must prove before it may be used, by where it comes from.

Strict, as podman is: a member that nobody knows makes the whole file unusable, since it may have been a restriction.
"""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats import reference as grammar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.formats.reference import Reference

    # ("path" or "data", the value): a file, or base64.
    Key = tuple[str, str]

ACCEPT, REJECT, SIGNED, SIGSTORE = (
    "insecureAcceptAnything", "reject", "signedBy", "sigstoreSigned",
)  # fmt: skip
_TYPES = (ACCEPT, REJECT, SIGNED, SIGSTORE)
_KEYS = {
    SIGNED: ("keyPath", "keyPaths", "keyData"),
    SIGSTORE: ("keyPath", "keyPaths", "keyData", "keyDatas", "fulcio", "pki"),
}
_REKOR = (
    "rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas",
)  # fmt: skip
_IDENTITIES = {
    "matchExact": (),
    "matchRepoDigestOrExact": (),
    "matchRepository": (),
    "exactReference": ("dockerReference",),
    "exactRepository": ("dockerRepository",),
    "remapIdentity": ("prefix", "signedPrefix"),
}
DEFAULT_IDENTITY = {"type": "matchRepoDigestOrExact"}


class Requirement:
    """One of those that all must be met; `beyond` names what it asks for and we cannot verify."""

    __slots__ = ("beyond", "identity", "keys", "kind")

    def __init__(
        self,
        kind: str,
        keys: Sequence[Key] = (),
        identity: Mapping[str, str] = DEFAULT_IDENTITY,
        beyond: str = "",
    ) -> None:
        self.kind = kind
        self.keys = keys
        self.identity = identity
        self.beyond = beyond


class Policy:
    """`source` is the file."""

    __slots__ = ("default", "source", "transports")

    def __init__(
        self,
        source: str,
        default: list[Requirement],
        transports: dict[str, dict[str, list[Requirement]]],
    ) -> None:
        self.source = source
        self.default = default
        self.transports = transports

    def requirements(self, transport: str, scopes: Sequence[str]) -> tuple[list[Requirement], str]:
        """Those of the first scope that the file has, of the transport, of the file; and where they stand."""
        known = self.transports.get(transport, {})
        for scope in scopes:
            if scope in known:
                return known[scope], f'{transport} "{scope}"'
        if "" in known:
            return known[""], transport
        return self.default, "default"


def docker_scopes(reference: Reference) -> list[str]:
    """From the image itself to its registry, and then the domains above that."""
    suffix = f"@{reference.digest}" if reference.digest else f":{reference.tag}"
    name = reference.repository
    scopes = [name + suffix, name]
    while "/" in name:
        name = name.rpartition("/")[0]
        scopes.append(name)
    domain = name.partition(":")[0]
    while "." in domain:
        domain = domain.partition(".")[2]
        scopes.append(f"*.{domain}")
    return scopes


def path_scopes(path: str) -> list[str]:
    """A file or directory and those above it, but for the root."""
    scopes = []
    while path.rstrip("/"):
        scopes.append(path)
        path = path.rpartition("/")[0]
    return scopes


# Whose signature it is.


def is_meant(rule: Mapping[str, str], image: Reference | None, signed: str) -> bool:
    """Whether a signature for the reference `signed` is one for this image; None for one without a name."""
    try:
        claimed = grammar.parse(signed, default_tag="")
    except InvalidInput:
        return False
    kind = rule["type"]
    if kind == "exactReference":
        wanted = grammar.parse(rule["dockerReference"], default_tag="")
        return _is_exact(wanted) and _is_exact(claimed) and wanted == claimed
    if kind == "exactRepository":
        wanted = grammar.parse(rule["dockerRepository"], default_tag="")
        return wanted.repository == claimed.repository
    if image is None:
        return False
    if kind == "matchRepository":
        return image.repository == claimed.repository
    if kind == "matchExact":
        return _is_exact(claimed) and _one_suffix(image) == claimed
    if kind == "remapIdentity":
        image = _remapped(image, rule["prefix"], rule["signedPrefix"])
    return image is not None and _is_same_or_digest(image, claimed)


def _is_exact(reference: Reference) -> bool:
    return bool(reference.tag or reference.digest)


def _one_suffix(reference: Reference) -> Reference:
    """With both a tag and a digest the digest decides which image it is."""
    return reference.with_digest(reference.digest) if reference.digest else reference


def _is_same_or_digest(image: Reference, claimed: Reference) -> bool:
    if not _is_exact(claimed):
        return False
    if image.digest:
        return image.repository == claimed.repository
    return image == claimed


def _remapped(image: Reference, prefix: str, signed: str) -> Reference | None:
    name = image.repository
    if name != prefix and not name.startswith(f"{prefix}/"):
        return image
    suffix = f"@{image.digest}" if image.digest else f":{image.tag}"
    text = signed + name[len(prefix) :] + suffix
    try:
        moved = grammar.parse(text)
    except InvalidInput:
        return None
    return moved if str(moved) == text else None


# The file.


def parse(document: object, source: str) -> Policy:
    table = _members(document, source, "it", ("default",), ("transports",))
    transports = {
        transport: {
            scope: _requirements(each, source, f'transports: {transport}: "{scope}"')
            for scope, each in _object(scopes, source, f"transports: {transport}").items()
        }
        for transport, scopes in _object(table.get("transports", {}), source, "transports").items()
    }
    return Policy(source, _requirements(table["default"], source, "default"), transports)


def _requirements(value: object, source: str, where: str) -> list[Requirement]:
    if not isinstance(value, list) or not value:
        raise _fault(source, where, "is not a list of requirements, at least one")
    return [
        _requirement(each, source, f"{where}: number {number}")
        for number, each in enumerate(value, 1)
    ]


def _requirement(value: object, source: str, where: str) -> Requirement:
    kind = _object(value, source, where).get("type")
    if kind == "signedBaseLayer":
        return Requirement(kind, beyond="signedBaseLayer")
    if kind not in _TYPES:
        raise _fault(source, f"{where}: type", f'is "{kind}", not one of {", ".join(_TYPES)}')
    if kind in (ACCEPT, REJECT):
        _members(value, source, where, ("type",))
        return Requirement(kind)
    more = ("keyType",) if kind == SIGNED else _REKOR
    table = _members(value, source, where, ("type",), (*_KEYS[kind], *more, "signedIdentity"))
    identity = _identity(table.get("signedIdentity", DEFAULT_IDENTITY), source, where)
    beyond = ""
    if kind == SIGNED and table.get("keyType") != "GPGKeys":
        beyond = f'keyType "{table.get("keyType", "")}"'
    present = [name for name in _KEYS[kind] if name in table]
    if len(present) != 1:
        names = ", ".join(_KEYS[kind])
        raise _fault(source, where, f"needs one of {names}, and has {len(present)}")
    rekor = [name for name in _REKOR if name in table]
    if rekor or present[0] in ("fulcio", "pki"):
        return Requirement(kind, (), identity, rekor[0] if rekor else present[0])
    keys = _keys(table[present[0]], present[0], source, where)
    return Requirement(kind, keys, identity, beyond)


def _keys(value: object, name: str, source: str, where: str) -> list[Key]:
    values = value if isinstance(value, list) else [value]
    if isinstance(value, list) != name.endswith("s") or not values:
        raise _fault(source, f"{where}: {name}", "is not what it must be")
    if not all(isinstance(each, str) and each for each in values):
        raise _fault(source, f"{where}: {name}", "is not a text")
    return [("path" if "Path" in name else "data", str(each)) for each in values]


def _identity(value: object, source: str, where: str) -> Mapping[str, str]:
    where = f"{where}: signedIdentity"
    kind = _object(value, source, where).get("type")
    if kind not in _IDENTITIES:
        raise _fault(source, f"{where}: type", f'is "{kind}", not one of {", ".join(_IDENTITIES)}')
    table = _members(value, source, where, ("type", *_IDENTITIES[kind]))
    for name in _IDENTITIES[kind]:
        text = table[name]
        if not isinstance(text, str) or not text:
            raise _fault(source, f"{where}: {name}", "is not a text")
        if kind != "remapIdentity":
            _check_reference(text, source, f"{where}: {name}", exact=name == "dockerReference")
        elif _without_port(text).partition(":")[1] or "@" in text:
            raise _fault(source, f"{where}: {name}", f'is "{text}", with a tag or a digest')
    return table


def _without_port(text: str) -> str:
    """What stands behind the host, where a colon begins a tag."""
    return text.partition("/")[2]


def _check_reference(text: str, source: str, where: str, *, exact: bool) -> None:
    try:
        reference = grammar.parse(text, default_tag="")
    except InvalidInput as error:
        raise _fault(source, where, f"is no reference: {error.message}") from error
    if _is_exact(reference) != exact:
        word = "lacks a tag or a digest" if exact else "has a tag or a digest"
        raise _fault(source, where, f'is "{text}", which {word}')


def _object(value: object, source: str, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _fault(source, where, "is not a JSON object")
    return value


def _members(
    value: object, source: str, where: str, needed: Sequence[str], known: Sequence[str] = ()
) -> dict[str, Any]:
    table = _object(value, source, where)
    for name in needed:
        if name not in table:
            raise _fault(source, f"{where}: {name}" if where != "it" else name, "is missing")
    for name in table:
        if name not in needed and name not in known:
            raise _fault(source, where, f'has a member "{name}", which nobody knows')
    return table


def _fault(source: str, where: str, what: str) -> InvalidInput:
    return InvalidInput(f'"{source}" cannot be used: {where} {what}')
