"""YAML of several documents → plain values, and back. Pure; what would need more than it says, as bombs do, is refused.

Words are read as Kubernetes reads them (YAML 1.2's): `yes` is a text, `0644` an octal number, a date a text.
"""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.packages import installed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

LARGEST = 8 << 20  # bytes of YAML
MOST_VALUES = 200_000  # counted as often as an alias repeats them
DEEPEST = 60
_FIRST = {"null": "~nN\0", "bool": "tTfF", "int": "-+0123456789", "float": "-+.0123456789"}
_WORDS = {
    "null": r"(?:~|null|Null|NULL|)$",
    "bool": r"(?:true|True|TRUE|false|False|FALSE)$",
    "int": r"[-+]?(?:0b[01]+|0o?[0-7]+|0x[0-9a-fA-F]+|0|[1-9][0-9_]*)$",
    "float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$",
}


def parse(data: bytes, name: str) -> list[Any]:
    """Of each document that is not empty its value; `name` is for messages."""
    if len(data) > LARGEST:
        raise InvalidInput(f'"{name}" is too large: {len(data)} bytes, of {LARGEST} at most')
    yaml = _yaml()
    try:
        text = data.decode("utf-8-sig")
        _weigh(yaml.parse(text, Loader=_base()), name)
        return [value for value in yaml.load_all(text, Loader=_loader()) if value is not None]
    except UnicodeDecodeError as error:
        raise InvalidInput(f'"{name}" is no YAML: it is not UTF-8') from error
    except yaml.MarkedYAMLError as error:
        raise InvalidInput(f'"{name}" is no YAML: {_worded(error)}') from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InvalidInput(f'"{name}" is no YAML: {reason}') from error


def text_of(documents: Iterable[Any]) -> list[str]:
    """Each as YAML with sorted keys."""
    import re

    yaml = _yaml()
    no_text = [re.compile(pattern) for pattern in _WORDS.values()]

    class Dumper(yaml.SafeDumper):  # type: ignore[misc, name-defined]
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: Any, value: str) -> Any:
        style = "|" if "\n" in value else None
        if any(pattern.match(value) for pattern in no_text):
            style = "'"
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return [
        yaml.dump(each, Dumper=Dumper, default_flow_style=False, allow_unicode=True, width=4096)
        for each in documents
    ]


def _yaml() -> Any:
    return installed("yaml")


def _base() -> Any:
    """libyaml's where PyYAML has it; it does the same."""
    yaml = _yaml()
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _loader() -> Any:
    import re

    base = _base()

    class Loader(base):  # type: ignore[misc, valid-type]
        yaml_implicit_resolvers: dict[str, list[Any]] = {}

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            _check_keys(node)
            return super().construct_mapping(node, deep)

    for kind, pattern in _WORDS.items():
        first = [*_FIRST[kind].replace("\0", ""), *([""] if "\0" in _FIRST[kind] else [])]
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(pattern), first)
    Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"<<$"), ["<"])
    Loader.add_constructor("tag:yaml.org,2002:int", _integer)
    Loader.add_constructor("tag:yaml.org,2002:float", _float)
    return Loader


def _integer(loader: Any, node: Any) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "")
    digits = text.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        text = text.replace("0", "0o", 1)
    return int(text, 0)


def _float(loader: Any, node: Any) -> float:
    text = str(loader.construct_scalar(node)).replace("_", "").lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


def _check_keys(node: Any) -> None:
    """One that comes twice would lose what is said first."""
    seen = set()
    for key, _ in getattr(node, "value", ()):
        word = getattr(key, "value", None)
        if not isinstance(word, str):
            continue
        if word in seen and word != "<<":
            raise _yaml().constructor.ConstructorError(
                None, None, f'the key "{word}" comes twice', key.start_mark
            )
        seen.add(word)


def _weigh(events: Iterator[Any], name: str) -> None:
    """Before anything is built: how deep it is, and how much it is with all aliases written out."""
    yaml = _yaml()
    total = 0
    known: dict[str, int] = {}  # by anchor
    open_nodes: list[tuple[str | None, int]] = []  # anchor, and the count before it
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            known = {}
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in [anchor for anchor, _ in open_nodes]:
                raise InvalidInput(f'"{name}" is refused: "*{event.anchor}" stands within itself')
            total += known.get(event.anchor, 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor is not None:
                known[anchor] = total - before
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if event.anchor is not None:
                known[event.anchor] = 1
        if len(open_nodes) > DEEPEST:
            raise InvalidInput(f'"{name}" is refused: it is more than {DEEPEST} levels deep')
        if total > MOST_VALUES:
            raise InvalidInput(
                f'"{name}" is refused: with its aliases it has more than {MOST_VALUES} values'
            )


def _worded(error: Any) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return where + " ".join(str(error.problem or error).split())
