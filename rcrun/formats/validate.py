"""OCI documents against their schemas: each fault in one line, with the place it is at.

Slow to load (jsonschema): for commands that were asked to validate, and to word a fault that something faster met.
"""

from __future__ import annotations

import os

from rcrun.files import dump_json, parse_json, read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from jsonschema.exceptions import ValidationError

SCHEMA_DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schema")
KINDS = ("config", "descriptor", "image", "index", "manifest")


def config_faults(document: object) -> list[str]:
    return faults(document, "config")


def faults(document: object, kind: str) -> list[str]:
    """What is wrong with a document of one of KINDS, in the document's order; empty: nothing."""
    schema = _schema(kind)
    validator = _validator(schema)
    errors = sorted(validator.iter_errors(document), key=_place_key)
    return list(dict.fromkeys(f"{place(error.absolute_path)}: {_words(error)}" for error in errors))


def _schema(kind: str) -> Any:
    schema = read_json(f"{SCHEMA_DIR}/{kind}.json")
    text = dump_json(schema)
    if '"descriptor.json"' not in text:
        return schema
    # The one file that others refer to is put in, so that no resolver goes looking for it.
    schema = parse_json(text.replace('"descriptor.json"', '"#/$defs/descriptor"'))
    schema.setdefault("$defs", {})["descriptor"] = _without_dialect(_schema("descriptor"))
    return schema


def _without_dialect(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "$schema"}


def _validator(schema: Any) -> Any:
    try:
        from jsonschema import Draft202012Validator
    except ImportError:  # started with -S: it may be where only site looks
        import site

        site.main()
        from jsonschema import Draft202012Validator
    return Draft202012Validator(schema)


def _place_key(error: ValidationError) -> list[tuple[int, int, str]]:
    return [
        (0, part, "") if isinstance(part, int) else (1, 0, part) for part in error.absolute_path
    ]


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
        return f"{shown} does not match {wanted}"
    if error.validator in ("minimum", "maximum"):
        return f"{shown} is {'below' if error.validator == 'minimum' else 'above'} {wanted}"
    if error.validator in ("minItems", "minLength"):
        return f"{shown} is empty"
    return str(error.message)


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
