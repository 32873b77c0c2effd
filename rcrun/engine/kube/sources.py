"""Where documents come from: files, standard input, the web."""

from __future__ import annotations

from rcrun.errors import InvalidInput, RcrunError
from rcrun.formats.kube.documents import LARGEST, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


class _Enough(Exception):
    """More than can be read has come."""


def read_documents(places: Sequence[str], environ: Mapping[str, str]) -> tuple[list[Any], str]:
    """All documents in their order, and what to call them."""
    found: list[Any] = []
    for place in places:
        name = "standard input" if place == "-" else place
        found += parse(read(place, environ), name)
    return found, "standard input" if list(places) == ["-"] else " ".join(places)


def read(place: str, environ: Mapping[str, str]) -> bytes:
    """No more than what can be too much."""
    if place.startswith(("http://", "https://")):
        return _from_the_web(place, environ)
    try:
        with open(0 if place == "-" else place, "rb", closefd=place != "-") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        name = "standard input" if place == "-" else f'"{place}"'
        raise InvalidInput(
            f"cannot read {name}: {(error.strerror or str(error)).lower()}"
        ) from error


def _from_the_web(address: str, environ: Mapping[str, str]) -> bytes:
    from rcrun.registry.fetch import fetch

    data = bytearray()

    def take(piece: bytes) -> None:
        data.extend(piece)
        if len(data) > LARGEST:
            raise _Enough

    try:
        fetch(address, environ, take)
    except _Enough:
        pass
    except RcrunError as error:
        raise InvalidInput(f'cannot read "{address}": {error.message}', error.hint) from error
    return bytes(data)
