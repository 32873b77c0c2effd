"""Where images come from and go to: registries, layouts, archives, the stores of rcrun and of podman (containers-transports(5))."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats import reference as grammar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.formats.reference import Reference

FILES = ("oci", "oci-archive", "docker-archive", "dir")
KINDS = ("docker", *FILES, "containers-storage")
_WITHOUT_NAME = ("dir",)
_HINT = f"write TRANSPORT:PLACE, with one of {', '.join(KINDS)}, or the name of an image here"


class Place:
    """`kind` is a transport, or `store` for our own; `path` and `name` are what the transport makes of the rest."""

    __slots__ = ("kind", "name", "path", "text")

    def __init__(self, text: str, kind: str, path: str = "", name: str = "") -> None:
        self.text = text
        self.kind = kind
        self.path = path
        self.name = name

    @property
    def reference(self) -> Reference:
        return grammar.parse(self.name)


def parse(text: str) -> Place:
    """What was typed; a name without a transport is one of our own store."""
    kind, colon, rest = text.partition(":")
    if colon and kind == "docker":
        if not rest.startswith("//") or len(rest) == 2:
            raise InvalidInput(
                f'invalid place "{text}"', f"write docker://{rest.strip('/') or 'NAME'}"
            )
        return Place(text, kind, name=str(grammar.parse(rest[2:])))
    if colon and kind in FILES:
        return _in_files(text, kind, rest)
    if colon and kind == "containers-storage":
        return Place(text, kind, name=rest)
    if colon and kind in ("docker-daemon", "sif", "ostree", "tarball", "atomic"):
        raise InvalidInput(f'transport "{kind}" is not supported: "{text}"', _HINT)
    try:
        return Place(text, "store", name=str(grammar.parse(text)))
    except InvalidInput as error:
        raise InvalidInput(error.message, error.hint or _HINT) from error


def _in_files(text: str, kind: str, rest: str) -> Place:
    from rcrun.storage.archive import split_location

    path, name = (rest, "") if kind in _WITHOUT_NAME else split_location(rest)
    if not path:
        raise InvalidInput(f'invalid place "{text}": the path is missing', _HINT)
    if kind == "docker-archive" and name and not name.startswith("@"):
        name = str(grammar.parse(name))
    return Place(text, kind, path, name)
