"""Functions of texts."""

from __future__ import annotations

import re

from rcrun.formats.bake.values import Fault, kind, to_bool, to_int, to_json, to_number, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

_VERB = re.compile(r"%(?:%|([-+# 0]*)(\d+|\*)?(?:\.(\d+))?(?:\[(\d+)\])?([a-zA-Z]))")
_WORD = re.compile(r"(?:^|(?<=[^\w]))\w")


def _substring(text: str, offset: int, length: int) -> str:
    """From the end where the offset is negative; to the end where the length is."""
    begin = max(0, len(text) + offset) if offset < 0 else offset
    return text[begin:] if length < 0 else text[begin : begin + length]


def _indented(spaces: int, text: str) -> str:
    return text.replace("\n", "\n" + " " * spaces)


def _joined(separator: str, *lists: Sequence[Any]) -> str:
    return separator.join(to_text(each) for values in lists for each in values)


def _split(separator: str, text: str) -> list[str]:
    return text.split(separator) if separator else list(text)


def _titled(text: str) -> str:
    return _WORD.sub(lambda found: found[0].upper(), text)


def _sanitized(text: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]", "_", text)


def _base_name(path: str) -> str:
    if not path:
        return "."
    return path.rstrip("/").rpartition("/")[2] or "/"


def _dir_name(path: str) -> str:
    import posixpath

    return posixpath.normpath(path.rpartition("/")[0] or ("/" if path.startswith("/") else "."))


def _bytes_slice(text: str, offset: int, length: int) -> str:
    data = text.encode()
    return data[offset:][: None if length < 0 else length].decode("utf-8", "replace")


# ---- patterns: RE2's, as far as Python's are the same


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise Fault(f'"{text}" is no regular expression: {error}') from error


def _captured(found: re.Match[str]) -> Any:
    """The whole match, or its groups: by name if they have any."""
    if found.re.groupindex:
        return dict(found.groupdict())
    return list(found.groups()) if found.re.groups else found[0]


def _match(pattern: str, text: str) -> Any:
    found = _pattern(pattern).search(text)
    if found is None:
        raise Fault(f'"{pattern}" does not match "{text}"')
    return _captured(found)


def _matches(pattern: str, text: str) -> list[Any]:
    return [_captured(found) for found in _pattern(pattern).finditer(text)]


def _replaced(text: str, pattern: str, replacement: str) -> str:
    """`$1`, `${1}` and `${name}` are groups."""

    def meant(found: re.Match[str]) -> str:
        def group(name: re.Match[str]) -> str:
            if name[0] == "$$":
                return "$"
            key = name[1] or name[2]
            try:
                return found[int(key) if key.isdecimal() else key] or ""
            except (IndexError, KeyError):
                return ""

        return re.sub(r"\$\$|\$\{(\w+)\}|\$(\w+)", group, replacement)

    return _pattern(pattern).sub(meant, text)


# ---- format


def formatted(text: str, *values: Any) -> str:
    """C's printf, with `%v` for any value and `%#v` for JSON."""
    position = 0
    used = 0

    def replaced(found: re.Match[str]) -> str:
        nonlocal position, used
        if found[0] == "%%":
            return "%"
        flags, width, precision, index, verb = found.groups()
        if width == "*":
            raise Fault(f'"{found[0]}" is not possible in a format')
        position = int(index) if index else position + 1
        used = max(used, position)
        if position > len(values):
            raise Fault(f'there is no value for "{found[0]}"')
        return _one(found[0], flags, width or "", precision, verb, values[position - 1])

    made = _VERB.sub(replaced, text)
    if used < len(values):
        raise Fault(f"there are {len(values)} values, and the format takes {used}")
    return made


def _one(word: str, flags: str, width: str, precision: str | None, verb: str, value: Any) -> str:
    exact = f".{precision}" if precision is not None else ""
    if verb == "v":
        wide = flags.replace("#", "")
        shown = (
            to_json(value)
            if "#" in flags or kind(value) in ("list", "object", "set", "null")
            else to_text(value)
        )
        return f"%{wide.replace('0', '')}{width}s" % shown
    if verb == "t":
        return to_text(to_bool(value))
    if verb in "dboxX":
        number = to_int(value)
        return format(number, "b") if verb == "b" else f"%{flags}{width}{verb}" % number
    if verb in "eEfFgG":
        return f"%{flags}{width}{exact}{verb}" % float(to_number(value))
    if verb == "s":
        return f"%{flags.replace('0', '')}{width}{exact}s" % to_text(value)
    if verb == "q":
        return f"%{flags}{width}s" % to_json(to_text(value))
    raise Fault(f'"{word}" is not possible in a format', "use %v %s %q %d %f %t")


def _formatted_list(text: str, *values: Any) -> list[str]:
    lengths = {len(value) for value in values if isinstance(value, list)}
    if len(lengths) > 1:
        raise Fault("the lists are of different lengths")
    count = lengths.pop() if lengths else 1
    rows = [
        [value[at] if isinstance(value, list) else value for value in values] for at in range(count)
    ]
    return [formatted(text, *row) for row in rows]


# ---- versions


def _satisfies(version: str, constraint: str) -> bool:
    from rcrun.formats.bake.functions.versions import satisfies

    return satisfies(version, constraint)


TABLE: dict[str, tuple[str, Callable[..., Any]]] = {
    "basename": ("s", _base_name),
    "byteslen": ("s", lambda text: len(text.encode())),
    "bytesslice": ("sii", _bytes_slice),
    "chomp": ("s", lambda text: text.rstrip("\r\n")),
    "dirname": ("s", _dir_name),
    "format": ("s*a", formatted),
    "formatlist": ("s*a", _formatted_list),
    "indent": ("is", _indented),
    "join": ("sl*l", _joined),
    "lower": ("s", str.lower),
    "regex": ("ss", _match),
    "regex_replace": ("sss", _replaced),
    "regexall": ("ss", _matches),
    "replace": ("sss", str.replace),
    "reverse": ("s", lambda text: text[::-1]),
    "sanitize": ("s", _sanitized),
    "semvercmp": ("ss", _satisfies),
    "split": ("ss", _split),
    "strlen": ("s", len),
    "substr": ("sii", _substring),
    "title": ("s", _titled),
    "trim": ("ss", str.strip),
    "trimprefix": ("ss", str.removeprefix),
    "trimspace": ("s", str.strip),
    "trimsuffix": ("ss", str.removesuffix),
    "upper": ("s", str.upper),
}
