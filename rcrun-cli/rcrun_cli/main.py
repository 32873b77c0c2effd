"""From an argument list to an exit status: the plain cases without click, errors in words (STYLE.md)."""

from __future__ import annotations

import errno
import os
import sys

from rcrun.errors import RcrunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NoReturn

    from rcrun_cli.declare import Command

    # "MODULE" or "MODULE:ATTRIBUTE" below Program.package, and the line for the list of commands
    Row = tuple[str, str]
    Parsed = tuple[dict[str, Any], Command, dict[str, Any]]

INTERRUPTED = 130
BROKEN_PIPE = 141


class Program:
    """One command line: its global options, its table of commands, how it complains and exits."""

    __slots__ = (
        "absence", "complain", "debugs", "failure_status", "finished", "groups", "hidden", "hint_of", "name", "package",
        "root", "running", "sections", "setup", "usage_status", "version",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        root: Command,
        package: str,
        sections: Mapping[str, Mapping[str, Row]],
        *,
        setup: Callable[[dict[str, Any]], None],
        complain: Callable[[str, str | None], None],
        version: Callable[[], str],
        groups: Mapping[str, tuple[str, Mapping[str, Row | str]]] | None = None,
        hidden: Mapping[str, Row] | None = None,
        debugs: Callable[[], bool] = lambda: False,
        finished: Callable[[], None] = lambda: None,
        absence: Callable[[Sequence[str]], tuple[str, str] | None] = lambda words: None,
        hint_of: Callable[[OSError], str | None] = lambda error: None,
        usage_status: int = 125,
        failure_status: int = 1,
    ) -> None:
        self.name = name
        self.root = root  # its last argument, `words`, is the command and what follows
        self.package = package
        self.sections = sections
        self.groups = groups or {}
        self.hidden = hidden or {}
        self.setup = setup
        self.complain = complain
        self.version = version
        self.debugs = debugs
        self.finished = finished
        self.absence = (
            absence  # of the command that these words name, for those who know it elsewhere
        )
        self.hint_of = hint_of  # what helps against what the host said
        self.usage_status = usage_status
        self.failure_status = failure_status
        self.running: Command | None = None

    def row(self, name: str) -> Row | None:
        """The row of a command that is no member of a group."""
        for rows in (*self.sections.values(), self.hidden):
            if name in rows:
                return rows[name]
        return None

    def member(self, group: str, name: str) -> Row | None:
        """The row of `rcrun GROUP NAME`; members that are words stand for another command."""
        member = self.groups[group][1].get(name)
        return self.row(member) if isinstance(member, str) else member

    def find(self, words: Sequence[str]) -> tuple[Row, Sequence[str]] | None:
        """The row that these words name, and the words behind."""
        if not words:
            return None
        for count in (2, 1):  # a group may be in a group
            group = " ".join(words[:count])
            if group in self.groups and len(words) >= count:
                row = self.member(group, words[count]) if len(words) > count else None
                return (row, words[count + 1 :]) if row else None
        row = self.row(words[0])
        return (row, words[1:]) if row else None

    def load(self, row: Row) -> Command:
        module_name, _, attribute = row[0].partition(":")
        full_name = f"{self.package}.{module_name}"
        __import__(full_name)
        command: Command = getattr(sys.modules[full_name], attribute or module_name)
        return command

    def status_of(self, error: RcrunError) -> int:
        """An error's own status, or the command's: 125 for `run` and `create`, 1 for most."""
        if error.status != RcrunError.status:
            return error.status
        if self.running is None:
            return self.failure_status
        return int(self.running.attrs.get("failure_status", self.failure_status))


def main(program: Program, argv: Sequence[str]) -> NoReturn:
    """Run and leave; skipping the interpreter's tear-down saves a millisecond."""
    ensure_streams()
    status = flush(program, run(program, argv))
    os._exit(status)


def ensure_streams() -> None:
    """Descriptors 0 to 2 are open, whatever the caller closed: else a file of ours would become stdout."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(
                os.open("/dev/null", os.O_RDWR), True
            )  # the lowest number that is free
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)
    sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]  # names of files are bytes


def run(program: Program, argv: Sequence[str]) -> int:
    """The exit status; every error has been told."""
    try:
        return _run(program, argv)
    except RcrunError as error:
        _trace(program)
        program.complain(error.message, error.hint)
        return program.status_of(error)
    except KeyboardInterrupt as error:
        return getattr(error, "status", INTERRUPTED)
    except OSError as error:
        return _os_failure(program, error)
    except Exception as error:
        _trace(program)
        program.complain(*_bug(program, error))
        return program.status_of(RcrunError(""))


def _run(program: Program, argv: Sequence[str]) -> int:
    parsed = None if "_RCRUN_COMPLETE" in os.environ else parse_plain(program, argv)
    if parsed is None:
        from rcrun_cli.clickapp import parse

        answer = parse(program, argv)
        if isinstance(answer, int):
            return answer
        parsed = answer
    options, command, values = parsed
    program.running = command
    program.setup(options)
    status = command(**values) or 0
    program.finished()
    return status


def parse_plain(program: Program, argv: Sequence[str]) -> Parsed | None:
    """Global options, command, its arguments; None where click has to look."""
    options = program.root.parse(argv)
    if options is None:
        return None
    found = program.find(options.pop("words"))
    if found is None or options.get("version"):
        return None
    row, rest = found
    command = program.load(row)
    values = command.parse(rest)
    return None if values is None else (options, command, values)


def flush(program: Program, status: int) -> int:
    """What is still in stdout's buffer goes out; a full disk is an error, a reader gone is not."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return status or BROKEN_PIPE
    except OSError as error:
        program.complain(f"cannot write standard output: {_reason(error)}", None)
        return status or program.failure_status
    return status


def _os_failure(program: Program, error: OSError) -> int:
    if isinstance(error, BrokenPipeError) and _reader_is_gone():
        return BROKEN_PIPE
    _trace(program)
    path = error.filename
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if error.errno == errno.ENOENT and not path and _is_nowhere():
        program.complain("the working directory is not there any more", 'run: cd "$PWD"')
        return program.status_of(RcrunError(""))
    where = f'"{path}": ' if isinstance(path, str) else ""
    hint = program.hint_of(error) or (None if where else _bug_hint(program))
    program.complain(f"{where}{_reason(error)}", hint)
    return program.status_of(RcrunError(""))


def _reader_is_gone() -> bool:
    """Whether stdout or stderr is a pipe that nobody reads."""
    import select

    poll = select.poll()
    poll.register(1, 0)
    poll.register(2, 0)
    try:
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except OSError:
        return False


def _is_nowhere() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _reason(error: OSError) -> str:
    text = error.strerror or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


def _place(error: BaseException) -> str:
    """The error in one line, with the last line of code it passed."""
    text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(": ")
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return text
    file = os.path.basename(trace.tb_frame.f_code.co_filename)
    return f"{text} ({file}, line {trace.tb_lineno})"


def _bug(program: Program, error: Exception) -> tuple[str, str]:
    """What nobody has foreseen, but for a module that is missing, or was cut short while it was installed."""
    if "marshal data" in str(error):
        import rcrun

        folders = f"'{rcrun.__path__[0]}' '{os.path.dirname(__file__)}'"
        remove = f"find {folders} -name '*.pyc' -delete; {program.name} doctor --fix"
        return f"a compiled module of {program.name} is damaged: {error}", f"run: {remove}"
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("rcrun"):
        return f'the Python package "{error.name}" is not installed', "run: rcrun doctor"
    return f"this is a bug in {program.name}: {_place(error)}", _bug_hint(program)


def _bug_hint(program: Program) -> str:
    if program.debugs():
        return "report it with what is printed above"
    return f"run it again as {program.name} --debug … and report what it prints"


def _trace(program: Program) -> None:
    if program.debugs():
        import traceback

        traceback.print_exc()
