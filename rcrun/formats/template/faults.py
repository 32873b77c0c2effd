"""How a template is wrong, in the words that Go has for it."""

from __future__ import annotations

from rcrun.errors import InvalidInput


class TemplateError(InvalidInput):
    """A template that cannot be parsed, or cannot be applied to the data."""


class CallError(Exception):
    """A function that refuses its arguments; the evaluation says where it stands."""


def parse_error(source: str, at: int, text: str) -> TemplateError:
    return TemplateError(f"template: :{_line(source, at)}: {text}")


def evaluation_error(source: str, name: str, at: int, node: str, text: str) -> TemplateError:
    column = at - (source.rfind("\n", 0, at) + 1)
    shown = node if len(node) <= 20 else node[:20] + "..."
    where = f'{_line(source, at)}:{column}: executing "{name}" at <{shown}>'
    return TemplateError(f"template: :{where}: {text}")


def _line(source: str, at: int) -> int:
    return 1 + source.count("\n", 0, at)
