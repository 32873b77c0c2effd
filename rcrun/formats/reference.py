"""References: docker's grammar, normalised in this one place.

    reference = [domain "/"] path [":" tag] ["@" digest]

`str()` of a Reference is the normalised form and parses to the same Reference again.
"""

from __future__ import annotations

from rcrun.errors import InvalidInput

DEFAULT_DOMAIN = "docker.io"
LOCAL_DOMAIN = "localhost"
DEFAULT_TAG = "latest"
OFFICIAL = "library/"
MAX_NAME = 255
MAX_TAG = 128

_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz")
_DIGITS = frozenset("0123456789")
_HEX = _DIGITS | frozenset("abcdef")
_LOWER_OR_DIGIT = _LOWER | _DIGITS
_LETTER_OR_DIGIT = _LOWER_OR_DIGIT | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_HOST = _LETTER_OR_DIGIT | {"-"}
_TAG_FIRST = _LETTER_OR_DIGIT | {"_"}
_TAG = _TAG_FIRST | frozenset(".-")
_ADDRESS = _HEX | frozenset("ABCDEF:")
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


class Reference:
    """Where an image is; `tag` and `digest` are empty when absent, and with both the digest decides."""

    __slots__ = ("digest", "domain", "path", "tag")

    def __init__(self, domain: str, path: str, tag: str = "", digest: str = "") -> None:
        self.domain = domain
        self.path = path
        self.tag = tag
        self.digest = digest

    @property
    def repository(self) -> str:
        """Domain and path: `docker.io/library/debian`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_repository(self) -> str:
        """As docker shows it: `debian`, `someone/thing`, `example.org/thing`."""
        return _familiar(self.domain, self.path)

    def with_digest(self, digest: str) -> Reference:
        return Reference(self.domain, self.path, "", digest)

    def __str__(self) -> str:
        return self.repository + self._suffix()

    def __repr__(self) -> str:
        return f"Reference({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def familiar(reference: Reference) -> str:
    """The short form that docker shows: without `docker.io/` and `library/`."""
    return reference.familiar_repository + reference._suffix()


def full(reference: Reference) -> str:
    """The complete form that podman shows."""
    return str(reference)


def parse(text: str, *, default_tag: str = DEFAULT_TAG) -> Reference:
    """The reference that was typed, completed; InvalidInput names the fault.

    Without tag and digest it gets `default_tag`.
    """
    rest, at, digest = text.partition("@")
    if at:
        fault = digest_fault(digest)
        if fault:
            raise _invalid(text, fault)
    name, tag = _split_tag(rest)
    if tag is not None:
        fault = tag_fault(tag)
        if fault:
            raise _invalid(text, fault)
    domain, path = _split_domain(name)
    _check_name(text, domain, path)
    return Reference(domain, path, tag or ("" if digest else default_tag), digest)


def is_short(text: str) -> bool:
    """Whether no registry was typed."""
    first, slash, _ = text.partition("/")
    return not slash or not _looks_like_domain(first)


def local(text: str) -> Reference:
    """What podman calls an image that is made here; a name without a registry is below `localhost`."""
    return parse(f"{LOCAL_DOMAIN}/{text}" if is_short(text) else text)


def tag_fault(tag: str) -> str:
    """What is wrong with a tag; empty when nothing is."""
    if not tag:
        return "the tag is empty"
    if len(tag) > MAX_TAG:
        return f"the tag is longer than {MAX_TAG} characters"
    if tag[0] not in _TAG_FIRST or not _TAG.issuperset(tag):
        return f'the tag "{tag}" may hold letters, digits, "_", "." and "-", and begins with none of "." and "-"'
    return ""


def digest_fault(digest: str) -> str:
    """What is wrong with a digest; empty when nothing is."""
    algorithm, colon, digits = digest.partition(":")
    length = _DIGEST_LENGTHS.get(algorithm)
    if not colon or not length:
        return f'the digest "{digest}" does not begin with "sha256:"'
    if len(digits) != length or not _HEX.issuperset(digits):
        return f'the digest "{digest}" needs {length} lower-case hexadecimal digits after "{algorithm}:"'
    return ""


def _familiar(domain: str, path: str) -> str:
    first, slash, rest = path.partition("/")
    if domain != DEFAULT_DOMAIN or (slash and _looks_like_domain(first)):
        return f"{domain}/{path}"
    return rest if first + slash == OFFICIAL and "/" not in rest else path


def _invalid(text: str, fault: str, hint: str | None = None) -> InvalidInput:
    return InvalidInput(f'invalid reference format "{text}": {fault}', hint)


def _split_tag(rest: str) -> tuple[str, str | None]:
    """A colon after the last slash begins the tag; before it, a port."""
    colon = rest.rfind(":")
    if colon <= rest.rfind("/"):
        return rest, None
    return rest[:colon], rest[colon + 1 :]


def _split_domain(name: str) -> tuple[str, str]:
    """Docker's rule: the first component is a domain if it could not be part of a path there."""
    first, slash, rest = name.partition("/")
    if not slash or not _looks_like_domain(first):
        domain, path = DEFAULT_DOMAIN, name
    else:
        domain, path = first, rest
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = OFFICIAL + path
    return domain, path


def _looks_like_domain(first: str) -> bool:
    return "." in first or ":" in first or first == "localhost" or first != first.lower()


def _check_name(text: str, domain: str, path: str) -> None:
    if path in ("", OFFICIAL):
        raise _invalid(text, "the repository is missing")
    if not _is_domain(domain):
        if domain != domain.lower() and "." not in domain and ":" not in domain:
            raise _upper_case(text)
        raise _invalid(text, f'"{domain}" is not a host name with an optional port')
    for component in path.split("/"):
        _check_component(text, component)
    if len(domain) + 1 + len(path) > MAX_NAME:
        raise _invalid(text, f"the name is longer than {MAX_NAME} characters")
    short = path.removeprefix(OFFICIAL)
    if domain == DEFAULT_DOMAIN and len(short) == 64 and _HEX.issuperset(short):
        raise _invalid(text, "64 hexadecimal digits are an image id, not a name")


def _check_component(text: str, component: str) -> None:
    if not component:
        raise _invalid(text, 'two "/" stand together, or one at an end')
    if _is_component(component):
        return
    if component != component.lower():
        raise _upper_case(text)
    raise _invalid(
        text,
        f'"{component}" may hold lower-case letters and digits, joined by one ".", one or two "_", or "-"',
    )


def _upper_case(text: str) -> InvalidInput:
    rest, at, digest = text.partition("@")
    name, tag = _split_tag(rest)
    typed = name.lower() + ("" if tag is None else f":{tag}") + at + digest
    return _invalid(text, "the repository must be lower case", f'use "{typed}"')


def _is_component(component: str) -> bool:
    """Lower-case letters and digits in runs, joined by `.`, `_`, `__` or any number of `-`."""
    joint = ""
    if component[0] not in _LOWER_OR_DIGIT or component[-1] not in _LOWER_OR_DIGIT:
        return False
    for character in component:
        if character in _LOWER_OR_DIGIT:
            joint = ""
            continue
        joint += character
        if joint not in (".", "_", "__") and joint.strip("-"):
            return False
    return True


def _is_domain(domain: str) -> bool:
    host, port = _split_port(domain)
    if port is not None and (not port or not _DIGITS.issuperset(port)):
        return False
    if host.startswith("["):
        return host.endswith("]") and len(host) > 2 and _ADDRESS.issuperset(host[1:-1])
    return all(
        part and part[0] != "-" and part[-1] != "-" and _HOST.issuperset(part)
        for part in host.split(".")
    )


def _split_port(domain: str) -> tuple[str, str | None]:
    colon = domain.rfind(":")
    if colon <= domain.rfind("]"):
        return domain, None
    return domain[:colon], domain[colon + 1 :]
