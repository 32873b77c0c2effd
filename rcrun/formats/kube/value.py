"""A value of a document with its place: what is asked of it is there and of its kind, or the error names the place. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

INT64 = 2**63 - 1


class Value:
    """`title` names the document, `place` the field in it; `notes` are the warnings of the whole document."""

    __slots__ = ("data", "notes", "place", "title")

    def __init__(
        self, data: Any, title: str, place: str = "", notes: list[str] | None = None
    ) -> None:
        self.data = data
        self.title = title
        self.place = place
        self.notes = [] if notes is None else notes

    @property
    def is_there(self) -> bool:
        return self.data is not None

    def fault(self, reason: str, hint: str | None = None) -> InvalidInput:
        return InvalidInput(f"{self._where()}: {reason}", hint)

    def note(self, reason: str) -> None:
        text = f"{self._where()}: {reason}"
        if text not in self.notes:
            self.notes.append(text)

    def _where(self) -> str:
        return f"{self.title}: {self.place}" if self.place else self.title

    # ---- what is in it

    def field(self, name: str) -> Value:
        members = self._mapping()
        return self._child(members.get(name), _dotted(self.place, name))

    def fields(self) -> dict[str, Value]:
        """Those that say something, by name."""
        return {
            name: self._child(data, _dotted(self.place, name))
            for name, data in self._mapping().items()
            if data is not None
        }

    def rows(self) -> list[Value]:
        if self.data is None:
            return []
        if not isinstance(self.data, list):
            raise self.fault(f"{_kind(self.data)} where a list belongs")
        return [self._child(data, f"{self.place}[{at}]") for at, data in enumerate(self.data)]

    def _child(self, data: Any, place: str) -> Value:
        return Value(data, self.title, place, self.notes)

    def _mapping(self) -> Mapping[str, Any]:
        if self.data is None:
            return {}
        if not isinstance(self.data, dict):
            raise self.fault(f"{_kind(self.data)} where a map belongs")
        for name in self.data:
            if not isinstance(name, str):
                raise self.fault(f'the key "{name}" is no text: write it in quotes')
        return self.data

    # ---- what it is

    def text(self, default: str = "") -> str:
        if self.data is None:
            return default
        if not isinstance(self.data, str):
            hint = ": write it in quotes" if isinstance(self.data, (bool, int, float)) else ""
            raise self.fault(f"{_kind(self.data)} where a text belongs{hint}")
        if "\0" in self.data:
            raise self.fault("there is a NUL character in it")
        try:
            self.data.encode()
        except UnicodeEncodeError:
            raise self.fault("there are halves of characters in it") from None
        return self.data

    def required(self) -> str:
        if not self.text():
            raise self.fault("it is not given")
        return self.text()

    def one_of(self, words: Sequence[str], default: str = "") -> str:
        word = self.text(default)
        if word not in words and word != default:
            raise self.fault(f'"{word}" is none of {", ".join(words)}')
        return word

    def number(self, least: int = 0, most: int = INT64) -> int | None:
        if self.data is None:
            return None
        if isinstance(self.data, bool) or not isinstance(self.data, (int, float)):
            raise self.fault(f"{_kind(self.data)} where a number belongs")
        if isinstance(self.data, float) and not self.data.is_integer():
            raise self.fault(f"{self.data} is no whole number")
        number = int(self.data)
        if not least <= number <= most:
            raise self.fault(f"{number} is not between {least} and {most}")
        return number

    def truth(self) -> bool | None:
        if self.data is None or isinstance(self.data, bool):
            return self.data
        raise self.fault(f"{_kind(self.data)} where true or false belongs")

    def texts(self) -> list[str]:
        return [row.text() for row in self.rows()]

    def pairs(self) -> dict[str, str]:
        return {name: value.text() for name, value in self.fields().items()}

    def scalar(self) -> str:
        """A number or a text, as quantities and ports may be either."""
        if isinstance(self.data, bool) or not isinstance(self.data, (str, int, float)):
            raise self.fault(f"{_kind(self.data)} where a number or a text belongs")
        return self.text() if isinstance(self.data, str) else str(self.data)


def _dotted(place: str, name: str) -> str:
    plain = name.replace("-", "").replace("_", "").isalnum()
    if not plain:
        return f'{place}["{name}"]'
    return f"{place}.{name}" if place else name


def _kind(data: object) -> str:
    if data is None:
        return "nothing"
    if isinstance(data, bool):
        return str(data).lower()
    if isinstance(data, (int, float)):
        return f"the number {data}"
    if isinstance(data, str):
        return f'the text "{data[:60]}"'
    return (
        "a list"
        if isinstance(data, list)
        else "a map"
        if isinstance(data, dict)
        else "something else"
    )
