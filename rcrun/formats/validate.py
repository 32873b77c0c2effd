"""OCI documents against their schemas and the specifications' other rules: each fault in one line, with its place.

Slow to load (jsonschema): for commands that were asked to validate, and to word a fault that something faster met.
"""

from __future__ import annotations

import os

from rcrun.files import dump_json, parse_json, read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from rcrun.formats.rules import Fault

SCHEMA_DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schema")
KINDS = ("config", "descriptor", "image", "index", "layout", "manifest")


def config_faults(document: object) -> list[str]:
    return faults(document, "config")


def worded(found: Iterable[Fault]) -> list[str]:
    """In the document's order, each once."""
    ordered = sorted(found, key=lambda fault: _place_key(fault[0]))
    return list(dict.fromkeys(f"{place(path)}: {words}" for path, words in ordered))


def faults(document: object, kind: str) -> list[str]:
    """What is wrong with a document of one of KINDS, in the document's order; empty: nothing."""
    return worded([*_misfits(document, kind), *_rules(document, kind)])


def shape_faults(document: object, kind: str) -> list[str]:
    """What the schema alone says."""
    return worded(_misfits(document, kind))


def rule_faults(document: object, kind: str) -> list[str]:
    """What it cannot say."""
    return worded(_rules(document, kind))


def _misfits(document: object, kind: str) -> Iterator[Fault]:
    for error in _validator(_schema(kind)).iter_errors(document):
        yield tuple(error.absolute_path), _words(error)


def _rules(document: object, kind: str) -> Iterator[Fault]:
    if kind == "config":
        from rcrun.formats import configrules

        return configrules.faults(document)
    from rcrun.formats import imagerules

    return imagerules.faults(document, kind)


def _schema(kind: str) -> Any:
    schema = read_json(f"{SCHEMA_DIR}/{kind}.json")
    text = dump_json(schema)
    if '"descriptor.json"' not in text:
        return schema
    # The one file that others refer to is put in, so that no resolver goes looking for it.
    schema = parse_json(text.replace('"descriptor.json"', '"#/$defs/descriptor"'))
    descriptor = _schema("descriptor")
    definitions = {**descriptor.pop("$defs"), **schema.get("$defs", {})}
    del descriptor["$schema"]
    return {**schema, "$defs": {**definitions, "descriptor": descriptor}}


def _validator(schema: Any) -> Any:
    from rcrun.packages import installed

    jsonschema: Any = installed("jsonschema")
    validator = jsonschema.Draft202012Validator
    # JSON Schema takes 1.0 for an integer; those who read these documents do not.
    types = validator.TYPE_CHECKER.redefine("integer", _is_integer)
    return jsonschema.validators.extend(validator, type_checker=types)(schema)


def _is_integer(_: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _place_key(path: Iterable[str | int]) -> list[tuple[int, int, str]]:
    return [(0, part, "") if isinstance(part, int) else (1, 0, part) for part in path]


def place(path: Iterable[str | int]) -> str:
    """`process.args[0]`, as people write it; the document itself has no name."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.replace("_", "a").isalnum():
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text or "document"


def _words(error: Any) -> str:
    shown = dump_json(error.instance)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}…"
    wanted = error.validator_value
    if error.validator == "required":
        missing = [dump_json(name) for name in wanted if name not in error.instance]
        return f"{_listed(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    if error.validator == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        return f"{shown} is not of type {' or '.join(kinds)}"
    if error.validator == "enum":
        return f"{shown} is not one of {', '.join(dump_json(word) for word in wanted if word)}"
    if error.validator == "const":
        return f"{shown} is not {dump_json(wanted)}"
    if error.validator == "pattern":
        return f"{shown} is not {error.schema['title']}"
    if error.validator in ("minimum", "maximum"):
        return f"{shown} is {'below' if error.validator == 'minimum' else 'above'} {wanted}"
    if error.validator in ("minItems", "minLength"):
        return f"{shown} is empty"
    if error.validator == "maxItems":
        return f"{shown} is not empty"
    if error.validator == "anyOf":
        return f"{' or '.join(dump_json(choice['required'][0]) for choice in wanted)} is missing"
    return str(error.message)


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
