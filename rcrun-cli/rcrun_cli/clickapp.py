"""The record replayed on click: help, "did you mean", usage errors, completion. Loaded only for those."""

from __future__ import annotations

from rcrun.errors import HostLacks
from rcrun_cli.declare import boolean_word

try:
    import click
except ImportError:  # started with -S: click may be where only site looks
    import site

    site.main()
    try:
        import click
    except ImportError as missing:
        raise HostLacks(
            'the Python package "click" is not installed, and help and usage errors need it',
            "run: rcrun doctor",  # it knows by which command, on this host
        ) from missing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from rcrun_cli.declare import Command, Param
    from rcrun_cli.main import Parsed, Program, Row

# No argument list can hold a NUL, so nobody can type the option that stands for `--flag=false`.
FALSE_MARK = "\0"


class Switch(click.Option):
    """A flag that can also be given as `--flag=false`, or as `--flag=WORD` with one of its words."""

    words: Sequence[str] = ()

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        super().add_to_parser(parser, ctx)
        long_form = "--" + (self.name or "") + FALSE_MARK
        parser.add_option(
            obj=self, opts=[long_form], dest=self.name, action="store_const", const=False
        )
        for word in self.words:
            parser.add_option(
                obj=self,
                opts=[f"{long_form}{word}"],
                dest=self.name,
                action="store_const",
                const=word,
            )


class Replayed(click.Command):
    """A recorded command; invoked, it answers with what to call instead of calling it."""

    record: Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, rewrite(self.record, args))
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # the parser of options does not tell where it was
            raise


class Absent(Exception):
    """A command that another engine has; and what to do instead."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint


class Section(click.Group):
    """Commands found by the table and loaded when they are asked for."""

    program: Program
    group_name = ""

    def list_commands(self, ctx: click.Context) -> list[str]:
        if self.group_name:
            return sorted([*self.program.groups[self.group_name][1], *self.inner_groups()])
        names = [name for rows in self.program.sections.values() for name in rows]
        return sorted([*names, *self.inner_groups()])

    def inner_groups(self) -> dict[str, str]:
        """Their names in this one, and what they are for."""
        before = f"{self.group_name} " if self.group_name else ""
        return {
            name[len(before) :]: help_
            for name, (help_, _) in sorted(self.program.groups.items())
            if name.startswith(before) and " " not in name[len(before) :]
        }

    def row(self, name: str) -> Row | None:
        if self.group_name:
            return self.program.member(self.group_name, name)
        return self.program.row(name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.inner_groups():
            return _group(self.program, f"{self.group_name} {cmd_name}".strip())
        row = self.row(cmd_name)
        return replay(self.program.load(row), cmd_name) if row else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not self.group_name and ctx.params.get("version"):
            click.echo(
                self.program.version()
            )  # whatever follows: podman-compose says `--version ''`
            ctx.exit(0)
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            absence = self.program.absence([*filter(None, [self.group_name]), args[0]])
            if absence is not None:
                raise Absent(*absence)
            ctx.fail(f'there is no command "{args[0]}"{self._suggestion(ctx, args[0])}')
        return super().resolve_command(ctx, args)

    def _suggestion(self, ctx: click.Context, typed: str) -> str:
        from difflib import get_close_matches

        names = get_close_matches(typed, self.list_commands(ctx))
        return f"; did you mean {' or '.join(names)}?" if names else ""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, lines in self._titled_lines(ctx):
            with formatter.section(title):
                formatter.write_dl(lines)

    def _titled_lines(self, ctx: click.Context) -> list[tuple[str, list[tuple[str, str]]]]:
        program = self.program
        if self.group_name:
            rows = [(name, self.row(name)) for name in self.list_commands(ctx)]
            titled = [("Commands", [(name, row[1]) for name, row in rows if row])]
        else:
            titled = [
                (title, [(name, row[1]) for name, row in rows.items()])
                for title, rows in program.sections.items()
            ]
        groups = list(self.inner_groups().items())
        return [*titled, ("Groups", groups)] if groups else titled


def parse(program: Program, argv: Sequence[str]) -> Parsed | int:
    """What to call, or the exit status of what click has done already."""
    app = application(program)
    try:
        answer = app.main(
            list(argv),
            prog_name=program.name,
            complete_var="_RCRUN_COMPLETE",
            standalone_mode=False,
        )
    except click.UsageError as error:
        refused = _refusal(error, program)
        program.complain(*refused if refused else (_words(error), _usage_hint(error, program)))
        return _usage_status(error, program)
    except Absent as error:
        program.complain(error.message, error.hint or f"see {program.name} --help")
        return program.failure_status
    except click.Abort:
        raise KeyboardInterrupt from None
    if isinstance(answer, int):
        return answer
    command, values, options = answer
    return options, command, values


def application(program: Program) -> click.Group:
    params = [_replay_param(param) for param in program.root.options()]

    @click.pass_context
    def callback(ctx: click.Context, /, **options: Any) -> None:
        if options.get("version"):
            click.echo(program.version())
            ctx.exit(0)
        if ctx.invoked_subcommand is None:
            click.echo(ctx.get_help())
            ctx.exit(0)
        ctx.obj = options

    app = Section(
        name=program.name,
        help=program.root.handler.__doc__,
        params=params,
        callback=callback,
        invoke_without_command=True,
        # inherited by every command, but where -h is an option of its own, as --hostname of run
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.program = program
    return app


def _group(program: Program, name: str) -> Section:
    @click.pass_context
    def callback(ctx: click.Context) -> None:
        if ctx.invoked_subcommand is None:
            click.echo(ctx.get_help())
            ctx.exit(0)

    group = Section(
        name=name.rpartition(" ")[2],
        help=program.groups[name][0],
        callback=callback,
        invoke_without_command=True,
    )
    group.program = program
    group.group_name = name
    return group


def replay(record: Command, name: str | None = None) -> click.Command:
    """The same command as click has it."""

    @click.pass_context
    def callback(ctx: click.Context, /, **values: Any) -> Any:
        return record, values, ctx.find_root().obj

    attrs = {key: value for key, value in record.attrs.items() if key != "failure_status"}
    attrs.setdefault("help", record.handler.__doc__)
    settings = dict(attrs.pop("context_settings", {}))
    settings.setdefault("allow_interspersed_args", record.interspersed)
    replayed = Replayed(
        name=name or record.name,
        params=[_replay_param(param) for param in record.params],
        callback=callback,
        context_settings=settings,
        **attrs,
    )
    replayed.record = record
    return replayed


def _replay_param(param: Param) -> click.Parameter:
    attrs = dict(param.attrs)
    if isinstance(param.type, (list, tuple)):
        attrs["type"] = click.Choice(param.type)
    from rcrun_cli.completing import completer, value_completer

    if param.kind == "argument":
        return click.Argument(list(param.decls), shell_complete=completer(param.name), **attrs)
    decls = [*param.opts(), param.name]
    if param.is_flag and "/" not in "".join(decls):
        # click would make False the value of a flag that is True by default
        words = attrs.pop("words", ())
        kind = {"type": click.UNPROCESSED} if words else {}
        switch = Switch(decls, **{"default": False, **attrs, **kind, "flag_value": True})
        switch.words = words
        return switch
    return click.Option(decls, shell_complete=value_completer(param.name), **attrs)


def rewrite(record: Command, args: Sequence[str]) -> list[str]:
    """Docker's spellings in click's: `--flag=false`, `--flag=true`, `-f=false`, `-n=value`."""
    words: list[str] = []
    rest = iter(args)
    for word in rest:
        if word == "--":
            return [*words, word, *rest]
        if word[:1] != "-" or word == "-":
            words.append(word)
            if not record.interspersed:
                return [*words, *rest]
        elif word.startswith("--"):
            words.extend(_rewrite_long(record, word))
            param = record.table().get(word)
            words.extend(_take(rest) if param is not None and param.takes_value() else [])
        else:
            rewritten, wants_value = _rewrite_cluster(record, word)
            words.extend(rewritten)
            words.extend(_take(rest) if wants_value else [])
    return words


def _rewrite_long(record: Command, word: str) -> list[str]:
    name, equals, text = word.partition("=")
    param = record.table().get(name)
    if param is None or not param.is_flag or not equals:
        return [word]
    if text in param.attrs.get("words", ()):
        return [f"--{param.name}{FALSE_MARK}{text}"]
    return _flag_words(param, name, boolean_word(text)) or [word]


def _flag_words(param: Param, name: str, value: bool | None) -> list[str]:
    if value is None:
        return []
    return [name] if value else [f"--{param.name}{FALSE_MARK}"]


def _take(rest: Iterator[str]) -> list[str]:
    for word in rest:
        return [word]
    return []


def _rewrite_cluster(record: Command, word: str) -> tuple[list[str], bool]:
    """The cluster in click's words, and whether its value is the next word."""
    for at in range(1, len(word)):
        param = record.table().get("-" + word[at])
        if param is None:
            break
        text = word[at + 1 :]
        assigned = len(text) > 1 and text[0] == "="
        if param.takes_value():
            return [word[: at + 1] + text[1:] if assigned else word], not text
        if assigned:
            before = [word[:at]] if at > 1 else []
            flag = _flag_words(param, "-" + word[at], boolean_word(text[1:]))
            return ([*before, *flag], False) if flag else ([word], False)
    return [word], False


def _usage_status(error: click.UsageError, program: Program) -> int:
    """Docker's: 125 for an option that it does not understand, an ordinary failure for other words."""
    about_option = isinstance(error, (click.NoSuchOption, click.BadOptionUsage)) or (
        isinstance(error, click.BadParameter) and isinstance(error.param, click.Option)
    )
    if about_option:
        return program.usage_status
    command = error.ctx.command if error.ctx is not None else None
    attrs = command.record.attrs if isinstance(command, Replayed) else {}
    return int(attrs.get("failure_status", program.failure_status))


def _refusal(error: click.UsageError, program: Program) -> tuple[str, str] | None:
    """Of an option that another engine has."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None:
        return None
    return program.absence([*error.ctx.command_path.split()[1:], error.option_name])


def _words(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption) and error.possibilities:
        known = [word for word in error.possibilities if FALSE_MARK not in word]
        error = click.NoSuchOption(error.option_name, error.message, known, error.ctx)
    text = " ".join(error.format_message().split())
    text = text.removesuffix(".")
    return text[:1].lower() + text[1:]


def _usage_hint(error: click.UsageError, program: Program) -> str:
    path = error.ctx.command_path if error.ctx is not None else program.name
    return f"see {path} --help"


def completion_script(program: Program, shell: str) -> str:
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None, shell
    return kind(application(program), {}, program.name, "_RCRUN_COMPLETE").source()
