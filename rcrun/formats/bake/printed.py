"""What `--print` and `--list` show, as buildx shows it."""

from __future__ import annotations

from rcrun.formats.bake.target import KINDS
from rcrun.formats.bake.values import escaped_as_go

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.formats.bake.target import Attributes, Group, Target

# Whose texts would be templates again for who reads this as a definition.
_ESCAPED = ("annotations", "args", "dockerfile-inline", "extra-hosts", "labels")


def definition(groups: Mapping[str, Group], targets: Mapping[str, Target]) -> str:
    made: dict[str, Any] = {}
    if groups:
        made["group"] = {name: _group(groups[name]) for name in sorted(groups)}
    made["target"] = {name: attributes(targets[name].said) for name in sorted(targets)}
    return as_json(made)


def _group(group: Group) -> dict[str, Any]:
    described = {"description": group.description} if group.description else {}
    return {**described, "targets": group.targets}


def attributes(said: Attributes) -> dict[str, Any]:
    made = {}
    for name in KINDS:
        value = said.get(name)
        if value is None or value == [] or value == {} or (name == "description" and not value):
            continue
        if isinstance(value, dict):
            value = dict(sorted(value.items()))
        elif isinstance(value, list):
            value = [_entry(each) if name not in ("secret", "ssh") else each for each in value]
        made[name] = _escaped(value) if name in _ESCAPED else value
    return made


def _entry(value: Any) -> Any:
    return dict(sorted(value.items())) if isinstance(value, dict) else value


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("${", "$${").replace("%{", "%%{")
    if isinstance(value, list):
        return [_escaped(each) for each in value]
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    return value


def as_json(value: Any) -> str:
    import json

    return escaped_as_go(json.dumps(value, indent=2, ensure_ascii=False, default=str))


# ---- lists


def listed(targets: Sequence[Target], groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Without those whose names begin with `_`, which are not for people."""
    rows: list[dict[str, Any]] = [
        {"name": target.name, "description": target.said.get("description", "")}
        for target in targets
    ]
    for group in groups:
        inside = ", ".join(sorted(group.targets))
        both = f"{group.description} ({inside})" if inside else group.description
        shown = both if group.description else inside
        rows.append({"name": group.name, "description": shown, "group": True})
    shown_rows = sorted(rows, key=lambda row: str(row["name"]))
    return [
        {key: value for key, value in row.items() if value}
        for row in shown_rows
        if not row["name"].startswith("_")
    ]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns with tabs between them, as Go's tabwriter makes them."""
    lines = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(heads) - 1)]
    made = []
    for line in lines:
        cells = [cell + _tabs(len(cell), width) for cell, width in zip(line, widths, strict=False)]
        made.append("".join([*cells, line[-1]]).rstrip() + "\n")
    return "".join(made)


def _tabs(length: int, width: int) -> str:
    """Up to the first column behind the widest cell."""
    column = (width // 8 + 1) * 8
    return "\t" * -(-(column - length) // 8)
