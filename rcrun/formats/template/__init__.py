"""Go's text/template, as far as `--format` of docker and podman uses it. Cold: nothing imports it without --format."""

from __future__ import annotations

from rcrun.formats.template.evaluate import Evaluation
from rcrun.formats.template.faults import TemplateError
from rcrun.formats.template.functions import FUNCTIONS, HEADER_FUNCTIONS
from rcrun.formats.template.parser import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Template", "TemplateError"]


class Template:
    """A parsed template; TemplateError says where a text is wrong.

    With `escapes`, `\\t` and `\\n` outside of actions stand for the characters, as in docker's list formats.
    """

    __slots__ = ("_source", "_templates")

    def __init__(self, text: str, *, escapes: bool = False) -> None:
        self._source = text
        self._templates = parse(text, frozenset(FUNCTIONS), escapes=escapes)

    def render(self, data: Any) -> str:
        """Over dicts, lists, strings, numbers, booleans and None; a callable field is a method."""
        return Evaluation(self._source, self._templates, FUNCTIONS).run(data)

    def render_header(self, headers: Any) -> str:
        """Over the titles of columns: `{{json .Names}}` gives NAMES, not "NAMES"."""
        functions = {**FUNCTIONS, **HEADER_FUNCTIONS}
        return Evaluation(self._source, self._templates, functions).run(headers)
