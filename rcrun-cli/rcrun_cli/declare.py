"""Commands declared once with click's words, which only record; the plain cases are parsed here, without click.

`Command.parse` returns the keyword arguments, or None for whatever it does not fully understand: `--help`,
a typo, a missing argument, an attribute it does not know. Then rcrun_cli.clickapp replays the record on click.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    Handler = Callable[..., int | None]

# Anything else (callback, envvar, count, flag_value, --x/--no-x, a type of one's own) is click's alone.
PLAIN_OPTION = frozenset(
    (
        "default",
        "help",
        "hidden",
        "is_flag",
        "metavar",
        "multiple",
        "required",
        "show_default",
        "type",
        "words",  # of a flag: what may stand behind `=` instead of true and false
    )
)
PLAIN_ARGUMENT = frozenset(("default", "metavar", "nargs", "required", "type"))
TRUE_WORDS = frozenset(("1", "t", "T", "true", "TRUE", "True"))
FALSE_WORDS = frozenset(("0", "f", "F", "false", "FALSE", "False"))


class Unclear(Exception):
    """Let click decide."""


class Param:
    """One option or argument, as it was written."""

    __slots__ = ("attrs", "decls", "is_flag", "kind", "multiple", "name", "required", "type")

    def __init__(self, kind: str, decls: tuple[str, ...], attrs: dict[str, Any]) -> None:
        self.kind = kind
        self.decls = decls
        self.attrs = attrs
        self.name = _variable(decls)
        self.is_flag = attrs.get("is_flag") is True
        self.multiple = attrs.get("multiple") is True
        self.type = attrs.get("type") or _type_of_default(attrs.get("default"))
        self.required = attrs.get("required", self._required_by_default()) is True

    def _required_by_default(self) -> bool:
        if self.kind == "option" or self.attrs.get("default") is not None:
            return False
        return bool(self.attrs.get("nargs", 1) > 0)

    def opts(self) -> list[str]:
        return [word for word in self.decls if word.startswith("-")]

    def takes_value(self) -> bool:
        return not (self.is_flag or self.attrs.get("count") or "/" in "".join(self.decls))

    def is_plain(self) -> bool:
        allowed = PLAIN_OPTION if self.kind == "option" else PLAIN_ARGUMENT
        return (
            allowed.issuperset(self.attrs)
            and "/" not in "".join(self.opts())
            and (self.type in (str, int) or type(self.type) in (list, tuple))
            and self._has_plain_default()
        )

    def _has_plain_default(self) -> bool:
        default = self.attrs.get("default")
        if self.is_flag:
            return default is None or type(default) is bool
        if self.multiple:
            return default is None or type(default) is tuple
        return default is None or type(default) is (int if self.type is int else str)

    def value(self, texts: list[str | bool] | None) -> Any:
        """What click would hand over for these texts, in the order they came."""
        if texts is None:
            return self._default()
        if self.multiple:
            return tuple([self._convert(text) for text in texts])
        return self._convert(texts[-1])

    def _default(self) -> Any:
        if self.required:
            raise Unclear
        default = self.attrs.get("default")
        if default is None:
            # A flag that says so is None where it is not given.
            is_false = self.is_flag and "default" not in self.attrs
            return () if self.multiple else False if is_false else None
        return default

    def _convert(self, text: str | bool) -> Any:
        if isinstance(text, bool) or self.type is str:
            return text
        if self.type is int:
            digits = text[1:] if text[:1] == "-" else text
            if digits.isascii() and digits.isdecimal():
                return int(text)
        elif text in self.type:
            return text
        raise Unclear


class Command:
    """A recorded command; calling it calls the handler."""

    __slots__ = ("_table", "attrs", "handler", "interspersed", "name", "params")

    def __init__(
        self, handler: Handler, name: str, interspersed: bool, attrs: dict[str, Any]
    ) -> None:
        self.handler = handler
        self.name = name
        self.interspersed = interspersed
        self.attrs = attrs
        params = getattr(handler, "recorded_params", [])
        self.params: list[Param] = params[::-1]  # decorators run from the bottom up
        self._table: dict[str, Param] | None = None

    def __call__(self, **values: Any) -> int | None:
        return self.handler(**values)

    def options(self) -> list[Param]:
        return [param for param in self.params if param.kind == "option"]

    def arguments(self) -> list[Param]:
        return [param for param in self.params if param.kind == "argument"]

    def table(self) -> dict[str, Param]:
        """Every spelling of every option."""
        if self._table is None:
            self._table = {opt: param for param in self.options() for opt in param.opts()}
        return self._table

    def is_plain(self) -> bool:
        stars = [param.attrs.get("nargs", 1) for param in self.arguments()]
        return (
            self.attrs.keys() <= {"help", "short_help", "epilog", "hidden", "failure_status"}
            and all(nargs == 1 for nargs in stars[:-1])
            and stars[-1:] in ([], [1], [-1])
            and all(param.is_plain() for param in self.params)
        )

    def parse(self, argv: Sequence[str]) -> dict[str, Any] | None:
        """The handler's keyword arguments, or None: ask click."""
        if not self.is_plain():
            return None
        try:
            given, words = self._scan(argv)
            values = {param.name: param.value(given.get(param.name)) for param in self.options()}
            values.update(self._place(words))
        except Unclear:
            return None
        return values

    def _scan(self, argv: Sequence[str]) -> tuple[dict[str, list[str | bool]], list[str]]:
        """Split options from words."""
        given: dict[str, list[str | bool]] = {}
        words: list[str] = []
        rest = iter(argv)
        for word in rest:
            if word == "--":
                words.extend(rest)
            elif word[:1] != "-" or word == "-":
                words.append(word)
                if not self.interspersed:
                    words.extend(rest)
            else:
                for param, value in self._read_options(word, rest):
                    given.setdefault(param.name, []).append(value)
        return given, words

    def _read_options(self, word: str, rest: Iterator[str]) -> list[tuple[Param, str | bool]]:
        if word.startswith("--"):
            return [self._read_long(word, rest)]
        found: list[tuple[Param, str | bool]] = []
        at = 1
        while at < len(word):
            param = self._find("-" + word[at])
            at += 1
            text = word[at:]
            if param.is_flag and text[:1] != "=":
                found.append((param, True))
                continue
            found.append((param, _short_value(param, text, rest)))
            break
        return found

    def _read_long(self, word: str, rest: Iterator[str]) -> tuple[Param, str | bool]:
        name, equals, text = word.partition("=")
        param = self._find(name)
        if param.is_flag:
            is_word = equals and text in param.attrs.get("words", ())
            return param, text if is_word else _boolean(text) if equals else True
        return param, text if equals else _next(rest)

    def _find(self, name: str) -> Param:
        param = self.table().get(name)
        if param is None:
            raise Unclear
        return param

    def _place(self, words: list[str]) -> dict[str, Any]:
        """Words into arguments."""
        values: dict[str, Any] = {}
        at = 0
        for param in self.arguments():
            taken: list[str | bool] = []
            taken.extend(words[at:] if param.attrs.get("nargs") == -1 else words[at : at + 1])
            at += len(taken)
            if param.attrs.get("nargs") == -1:
                if param.required and not taken:
                    raise Unclear
                values[param.name] = tuple([param._convert(text) for text in taken])
            else:
                values[param.name] = param.value(taken or None)
        if at < len(words):
            raise Unclear
        return values


def _variable(decls: tuple[str, ...]) -> str:
    """The keyword that click would choose: a bare identifier, else the first long option, else the first."""
    for word in decls:
        if not word.startswith("-"):
            return word.replace("-", "_").lower()
    chosen = next((word for word in decls if word.startswith("--")), decls[0])
    return chosen.partition("/")[0].lstrip("-").replace("-", "_").lower()


def _type_of_default(default: object) -> Any:
    return int if type(default) is int else float if type(default) is float else str


def boolean_word(text: str) -> bool | None:
    """`--flag=VALUE` as Go's flag packages read it."""
    return True if text in TRUE_WORDS else False if text in FALSE_WORDS else None


def _boolean(text: str) -> bool:
    value = boolean_word(text)
    if value is None:
        raise Unclear
    return value


def _short_value(param: Param, text: str, rest: Iterator[str]) -> str | bool:
    """The value behind a short option: `-p80`, `-p=80` or `-p 80`; of a flag, `-d=false`."""
    if len(text) > 1 and text[0] == "=":
        text = text[1:]
    if param.is_flag:
        return _boolean(text)
    return text or _next(rest)


def _next(rest: Iterator[str]) -> str:
    for word in rest:
        return word
    raise Unclear


def command(
    name: str | None = None, *, interspersed: bool = True, **attrs: Any
) -> Callable[[Handler], Command]:
    """A command; with `interspersed=False` options end at the first word, as in `run IMAGE ls -l`."""

    def record(handler: Handler) -> Command:
        return Command(handler, name or handler.__name__.replace("_", "-"), interspersed, attrs)

    return record


def option(*decls: str, **attrs: Any) -> Callable[[Handler], Handler]:
    """click.option: a flag also takes `=true` and `=false`, as with docker."""
    return _recorder("option", decls, attrs)


def several(*rows: Callable[[Handler], Handler]) -> Callable[[Handler], Handler]:
    """Options that belong together as one decorator, in the order of the help."""

    def record(handler: Handler) -> Handler:
        for row in reversed(rows):
            handler = row(handler)
        return handler

    return record


def table_options(handler: Handler) -> Handler:
    """Of a command that prints a table: how, and whether with headers."""
    help_ = "table, json, table TEMPLATE, or a Go template"
    form = option("--format", "form", metavar="FORMAT", help=help_)
    heading = option("-n", "--noheading", is_flag=True, help="Leave the headers out")
    return several(form, heading)(handler)


def argument(*decls: str, **attrs: Any) -> Callable[[Handler], Handler]:
    return _recorder("argument", decls, attrs)


def _recorder(
    kind: str, decls: tuple[str, ...], attrs: dict[str, Any]
) -> Callable[[Handler], Handler]:
    def record(handler: Handler) -> Handler:
        params = handler.__dict__.setdefault("recorded_params", [])
        params.append(Param(kind, decls, attrs))
        return handler

    return record
