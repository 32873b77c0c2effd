"""Hook files of a host, as oci-hooks(5) has them: which hook, at which stages, for which containers. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats.pattern import Pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.formats.spec import Hook

PRECREATE = "precreate"  # podman's own: it is given config.json and may change it
STAGES = (
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
    PRECREATE,
)
# As podman has it, so that files of both stages run in the order of their names.
_MEANS = {"prestart": "createRuntime"}


class When:
    """The conditions; None: not asked. Of version 1.0.0 all must hold, of 0.1.0 (`any_of`) one."""

    __slots__ = ("always", "annotations", "any_of", "commands", "has_mounts")

    def __init__(
        self,
        *,
        always: bool | None = None,
        annotations: Sequence[tuple[Pattern, Pattern]] = (),
        commands: Sequence[Pattern] = (),
        has_mounts: bool | None = None,
        any_of: bool = False,
    ) -> None:
        self.always = always
        self.annotations = annotations
        self.commands = commands
        self.has_mounts = has_mounts
        self.any_of = any_of

    def holds(self, command: str, annotations: Mapping[str, str], *, has_mounts: bool) -> bool:
        """`command` is the first word of the process. No condition at all holds for nobody."""
        found = [] if self.always is None else [self.always]
        if self.has_mounts is not None:
            found.append(self.has_mounts and has_mounts)
        for key, value in self.annotations:
            rows = annotations.items()
            found.append(any(key.occurs_in(k) and value.occurs_in(v) for k, v in rows))
        if self.commands:
            found.append(any(each.occurs_in(command) for each in self.commands))
        return any(found) if self.any_of else bool(found) and all(found)


class HookFile:
    __slots__ = ("hook", "stages", "when")

    def __init__(self, hook: Hook, stages: list[str], when: When) -> None:
        self.hook = hook
        self.stages = stages
        self.when = when


def parse(data: bytes, path: str) -> HookFile:
    """InvalidInput names the file and the member that is wrong."""
    from rcrun.files import parse_json

    try:
        document = parse_json(data)
    except ValueError as error:
        raise InvalidInput(f'the hook file "{path}" is not JSON: {error}') from error
    try:
        if not isinstance(document, dict):
            raise InvalidInput("it is not an object")
        version = document.get("version", "")
        if version not in ("1.0.0", "0.1.0", ""):
            raise InvalidInput(f'its version is "{version}", and 1.0.0 is known')
        return _current(document) if version == "1.0.0" else _old(document)
    except InvalidInput as error:
        raise InvalidInput(f'the hook file "{path}" cannot be used: {error.message}') from None


def _current(document: dict[str, Any]) -> HookFile:
    given = _member(document, "hook", dict)
    if given is None:
        raise InvalidInput('"hook" is missing')
    hook = _hook(_member(given, "path", str, "hook.path"), _texts(given, "args", "hook.args"))
    env, timeout = _texts(given, "env", "hook.env"), _member(given, "timeout", int, "hook.timeout")
    if env:
        hook["env"] = env
    if timeout is not None:
        if timeout <= 0:
            raise InvalidInput('"hook.timeout" must be greater than 0')
        hook["timeout"] = timeout
    when = _member(document, "when", dict) or {}
    pairs = _member(when, "annotations", dict, "when.annotations") or {}
    commands = _texts(when, "commands", "when.commands")
    conditions = When(
        always=_member(when, "always", bool, "when.always"),
        annotations=[(Pattern(key), Pattern(_text(pairs[key]))) for key in pairs],
        commands=[Pattern(text) for text in commands],
        has_mounts=_member(when, "hasBindMounts", bool, "when.hasBindMounts"),
    )
    return HookFile(hook, _stages(document.get("stages")), conditions)


def _old(document: dict[str, Any]) -> HookFile:
    """Version 0.1.0, which some packages still have: every name may be written in the singular."""
    path = _member(document, "hook", str)
    arguments = _texts(document, "arguments")
    hook = _hook(path, [path, *arguments] if path and arguments else [])
    values = "|".join(_either(document, "annotations", "annotation"))
    conditions = When(
        annotations=[(Pattern(""), Pattern(values))] if values else [],
        commands=[Pattern(text) for text in _either(document, "cmds", "cmd")],
        has_mounts=_member(document, "hasbindmounts", bool),
        any_of=True,
    )
    return HookFile(hook, _stages(_either(document, "stages", "stage") or None), conditions)


def _either(document: dict[str, Any], many: str, one: str) -> list[str]:
    if many in document and one in document:
        raise InvalidInput(f'it has both "{one}" and "{many}"')
    return _texts(document, many if many in document else one)


def _hook(path: str | None, args: list[str]) -> Hook:
    if not path:
        raise InvalidInput('"hook.path" is missing')
    if not path.startswith("/"):
        raise InvalidInput(f'the path "{path}" of its hook is not absolute')
    hook: Hook = {"path": path}
    if args:
        hook["args"] = args
    return hook


def _stages(words: object) -> list[str]:
    if not isinstance(words, list):
        raise InvalidInput('"stages" is missing')
    for word in words:
        if word not in STAGES:
            raise InvalidInput(f'unknown stage "{word}": there are {", ".join(STAGES)}')
    return list(dict.fromkeys(_MEANS.get(str(word), str(word)) for word in words))


def _member(document: dict[str, Any], key: str, kind: type, name: str = "") -> Any:
    value = document.get(key)
    if value is None or (isinstance(value, kind) and (kind is bool or not isinstance(value, bool))):
        return value
    words = {
        dict: "an object",
        str: "a text",
        int: "a number",
        bool: "true or false",
        list: "a list",
    }
    raise InvalidInput(f'"{name or key}" is not {words[kind]}')


def _texts(document: dict[str, Any], key: str, name: str = "") -> list[str]:
    return [_text(each, name or key) for each in _member(document, key, list, name) or []]


def _text(value: object, name: str = "when.annotations") -> str:
    if not isinstance(value, str) or "\0" in value:
        raise InvalidInput(f'"{name}" has something that is no text')
    return value
