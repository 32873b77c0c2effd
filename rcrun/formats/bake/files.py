"""The files of a definition, in their order → targets, groups and variables."""

from __future__ import annotations

from rcrun.formats.bake import compose, hcl, jsonbody
from rcrun.formats.bake.definition import Definition
from rcrun.formats.bake.target import Group, Target, merged
from rcrun.formats.bake.values import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from rcrun.formats.bake.body import Body

    Lookup = Callable[[str], str | None]

# Looked for where none is named; all that are there count, in this order.
NAMES = (
    "compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml", "docker-bake.json", "docker-bake.hcl",
    "docker-bake.override.json", "docker-bake.override.hcl",
)  # fmt: skip


class Read:
    """What all files say together; `unknown` are attributes that mean nothing: target, name, place."""

    def __init__(self) -> None:
        self.targets: list[Target] = []
        self.groups: list[Group] = []
        self.variables: list[dict[str, Any]] = []
        self.unknown: list[tuple[str, str, str]] = []


def read(
    files: Sequence[tuple[str, bytes]],
    lookup: Lookup,
    built_in: Mapping[str, str],
    compose_lookup: Lookup,
) -> Read:
    bodies: list[Body] = []
    documents: list[tuple[str, Any]] = []
    for name, data in files:
        document = _document(name, data)
        if document is not None:
            documents.append((name, document))
        else:
            bodies.append(_body(name, data))
    made = Read()
    if documents:
        targets, group = compose.read(documents, compose_lookup)
        made.targets, made.groups = _one_each(targets), [group]
    if bodies:
        _take(made, Definition(bodies, lookup, built_in))
    return made


def _take(made: Read, definition: Definition) -> None:
    definition.check()
    made.targets = _one_each([*made.targets, *definition.targets()])
    own = {group.name: group for group in definition.groups()}
    made.groups = [own.pop(group.name, group) for group in made.groups] + list(own.values())
    made.groups += [Group(name, targets) for name, targets in definition.renamed.items()]
    made.variables = [
        variable.row(definition) for _, variable in sorted(definition.variables.items())
    ]
    made.unknown = definition.unknown


def _one_each(targets: Sequence[Target]) -> list[Target]:
    found: dict[str, Target] = {}
    for target in targets:
        before = found.get(target.name)
        said = merged(before.said, target.said) if before else target.said
        found[target.name] = Target(target.name, said)
    return list(found.values())


def _document(name: str, data: bytes) -> Any:
    """Of a compose file; None for another one. Without a telling name the text has to tell."""
    lower = name.lower()
    if lower.endswith((".yml", ".yaml")):
        return compose.parse(data, name)
    if lower.endswith((".json", ".hcl")) or b"services" not in data:
        return None
    from rcrun.errors import InvalidInput

    try:
        document = compose.parse(data, name)
    except InvalidInput:
        return None
    return document if compose.is_compose(document) else None


def _body(name: str, data: bytes) -> Body:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Fault("this is not UTF-8", None, name) from error
    is_json = (
        text.lstrip().startswith("{")
        if not name.lower().endswith((".json", ".hcl"))
        else name.lower().endswith(".json")
    )
    return jsonbody.read(text, name) if is_json else hcl.read(text, name)
