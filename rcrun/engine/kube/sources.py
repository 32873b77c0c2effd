"""Where documents come from: files, standard input, the web."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats.kube.documents import LARGEST, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

SECONDS = 30


def read_documents(places: Sequence[str]) -> tuple[list[Any], str]:
    """All documents in their order, and what to call them."""
    found: list[Any] = []
    for place in places:
        name = "standard input" if place == "-" else place
        found += parse(read(place), name)
    return found, "standard input" if list(places) == ["-"] else " ".join(places)


def read(place: str) -> bytes:
    """No more than what can be too much."""
    if place.startswith(("http://", "https://")):
        return _from_the_web(place)
    try:
        with open(0 if place == "-" else place, "rb", closefd=place != "-") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        name = "standard input" if place == "-" else f'"{place}"'
        raise InvalidInput(
            f"cannot read {name}: {(error.strerror or str(error)).lower()}"
        ) from error


def _from_the_web(address: str) -> bytes:
    import urllib.request

    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as answer:
            data: bytes = answer.read(LARGEST + 1)
            return data
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise InvalidInput(f'cannot read "{address}": {reason}') from error
