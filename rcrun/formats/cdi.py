"""Specification files of the Container Device Interface: JSON or YAML, validated."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
_TEXT = {"type": "string", "minLength": 1}
_PATH = {"type": "string", "pattern": "^/"}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_NUMBER = {"type": "integer", "minimum": 0}
_NODE = {
    "type": "object",
    "required": ["path"],
    "properties": {
        "path": _PATH, "hostPath": _PATH, "type": {"enum": ["b", "c", "u", "p", ""]}, "major": _NUMBER, "minor": _NUMBER,
        "fileMode": _NUMBER, "permissions": {"type": "string", "pattern": "^[rwm]*$"}, "uid": _NUMBER, "gid": _NUMBER,
    },
}  # fmt: skip
_MOUNT = {
    "type": "object",
    "required": ["hostPath", "containerPath"],
    "properties": {"hostPath": _TEXT, "containerPath": _PATH, "type": {"type": "string"}, "options": _TEXTS},
}  # fmt: skip
_HOOK = {
    "type": "object",
    "required": ["hookName", "path"],
    "properties": {
        "hookName": {"enum": list(HOOKS)}, "path": _PATH, "args": _TEXTS, "env": _TEXTS, "timeout": _NUMBER,
    },
}  # fmt: skip
_EDITS = {
    "type": "object",
    "properties": {
        "env": {"type": "array", "items": {"type": "string", "pattern": "^[^=]+="}},
        "deviceNodes": {"type": "array", "items": _NODE},
        "mounts": {"type": "array", "items": _MOUNT},
        "hooks": {"type": "array", "items": _HOOK},
        "additionalGids": {"type": "array", "items": _NUMBER},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["cdiVersion", "kind", "devices"],
    "properties": {
        "cdiVersion": {"type": "string", "pattern": r"^(0\.[3-9]|1\.[0-9]+)\.[0-9]+$"},
        "kind": {"type": "string", "pattern": r"^[A-Za-z][\w.-]*/[A-Za-z0-9][\w.-]*$"},
        "devices": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "containerEdits"],
                "properties": {"name": _TEXT, "containerEdits": _EDITS},
            },
        },
        "containerEdits": _EDITS,
    },
}


def parse(data: bytes, path: str) -> dict[str, Any]:
    """InvalidInput names the file, and the place in it."""
    document = _read(data, path)
    from rcrun.packages import installed

    jsonschema: Any = installed("jsonschema")
    fault = next(iter(jsonschema.Draft202012Validator(SCHEMA).iter_errors(document)), None)
    if fault is not None:
        where = ".".join([str(part) for part in fault.absolute_path]) or "the document"
        raise InvalidInput(
            f'the CDI specification "{path}" is damaged: {where}: {fault.message}',
            "mend or remove that file",
        )
    assert isinstance(document, dict)
    return document


def _read(data: bytes, path: str) -> object:
    if path.endswith(".json"):
        from rcrun.files import parse_json

        try:
            return parse_json(data)
        except ValueError as error:
            raise InvalidInput(f'the CDI specification "{path}" is no JSON: {error}') from error
    from rcrun.packages import installed

    yaml = installed("yaml")
    try:
        return yaml.safe_load(data)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise InvalidInput(f'the CDI specification "{path}" is no YAML: {reason}') from error
