"""What the commands print: tables, messages, docker's words for times; data on stdout, all else on stderr."""

from __future__ import annotations

import sys

from rcrun.errors import NotFound, RcrunError
from rcrun_cli.context import settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from rcrun.formats.template import Template

# How the names that rcrun answers to differ.
#   error: how a line on stderr begins, unless spoken.py has their words
#   failure_status: of commands that name none; exec_status: of exec where nothing runs
#   slash: names in inspect begin with one; bare_ids: the id of an image is without sha256:
#   full_names: docker.io/library/busybox, and the tag in ps; label_maps: .Labels of ps is a map, not a text
#   quoted_command: in ps; size_gap: between number and unit; columns: of tables, the least width and what is between
#   pull_on_stdout: progress of pull; pull_prints_id: and not the reference
#   json_lines: an object a line, else one array; existing_volume: to create one that is there is no error
#   pull_lines: progress is podman's few lines; prune_summary: how much room was freed is told, too
#   rm_takes_users: volume rm -f removes containers; prints_secret_id: secret rm does, and not the name
#   copied_owner: of what cp brings in, "" for root, or with -a as before
PERSONALITIES: dict[str, dict[str, Any]] = {
    "rcrun": {
        "error": "rcrun: error: ", "failure_status": 1, "exec_status": 1, "slash": True, "bare_ids": False,
        "full_names": False, "label_maps": False, "quoted_command": True, "size_gap": "", "columns": (10, 3),
        "pull_on_stdout": False, "pull_prints_id": False, "json_lines": True, "existing_volume": True,
        "pull_lines": False, "prune_summary": True, "rm_takes_users": False, "prints_secret_id": False,
        "copied_owner": "",
    },
    "docker": {
        "error": "docker: ", "failure_status": 1, "exec_status": 1, "slash": True, "bare_ids": False,
        "full_names": False, "label_maps": False, "quoted_command": True, "size_gap": "", "columns": (10, 3),
        "pull_on_stdout": True, "pull_prints_id": False, "json_lines": True, "existing_volume": True,
        "pull_lines": False, "prune_summary": True, "rm_takes_users": False, "prints_secret_id": False,
        "copied_owner": "",
    },
    "podman": {
        "error": "Error: ", "failure_status": 125, "exec_status": 255, "slash": False, "bare_ids": True,
        "full_names": True, "label_maps": True, "quoted_command": False, "size_gap": " ", "columns": (12, 2),
        "pull_on_stdout": False, "pull_prints_id": True, "json_lines": False, "existing_volume": False,
        "pull_lines": True, "prune_summary": False, "rm_takes_users": True, "prints_secret_id": True,
        "copied_owner": "user",
    },
}  # fmt: skip


def trait(name: str) -> Any:
    """One column of PERSONALITIES for the name that we were started as."""
    return PERSONALITIES[settings.personality][name]


def complain(message: str, hint: str | None = None) -> None:
    """An error, on stderr."""
    line = None
    if settings.personality != "rcrun":
        from rcrun_cli.spoken import spoken

        line = spoken(settings.personality, message)
    tell((line or trait("error") + message) + (f"\nhint: {hint}" if hint else ""))


def warn(message: str, hint: str | None = None) -> None:
    if settings.log_level not in ("error", "fatal", "panic"):
        tell(f"rcrun: warning: {message}" + (f"\nhint: {hint}" if hint else ""))


def allow_no_terminal(options: dict[str, Any]) -> None:
    """Podman's scripts say -it in CI, too: there it warns and goes on, where docker ends."""
    if settings.personality != "podman" or options["detach"]:
        return
    if options["tty"] and options["interactive"] and not is_terminal(0):
        warn("the input device is not a TTY: --tty and --interactive may not do what they should")
        options["any_input"] = True


def tell(text: str) -> None:
    """A line for people; nobody listening is no reason to stop."""
    from rcrun.formats.visible import visible

    try:
        sys.stderr.write(visible(text, keep="\n\t") + "\n")
        sys.stderr.flush()
    except OSError:
        pass


def put(line: str) -> None:
    """A line of data, on stdout."""
    sys.stdout.write(line + "\n")


def put_done(done: Any) -> None:
    """What a set-up did, and the commands that it leaves to people."""
    for line in done.said:
        put(line)
    if done.commands:
        put("still to be done:")
    for line in done.commands:
        put(f"    {line}")


def each(
    names: Iterable[str],
    action: Callable[[str], object],
    *,
    quiet: bool = False,
    missing_ok: bool = False,
) -> int:
    """Do it to each; print the names that it worked for, as typed; go on after an error; the status."""
    status = 0
    for name in names:
        try:
            action(name)
        except RcrunError as error:
            if missing_ok and _is_missing(error):
                continue
            complain(error.message, error.hint)
            code = error.status
            status = status or (trait("failure_status") if code == RcrunError.status else code)
        else:
            if not quiet:
                put(name)
                sys.stdout.flush()
    return status


def _is_missing(error: RcrunError) -> bool:
    from rcrun.errors import NotFound

    return isinstance(error, NotFound)


def each_removed(
    names: Iterable[str], remove: Callable[[str], str], *, missing_ok: bool = False
) -> int:
    """Remove each; print what `remove` calls it, if anything; go on after an error; the status of rm."""
    errors: list[RcrunError] = []
    for name in names:
        try:
            shown = remove(name)
        except RcrunError as error:
            if missing_ok and _is_missing(error):
                continue
            complain(error.message, error.hint)
            errors.append(error)
        else:
            if shown:
                put(shown)
    return removal_status(errors)


def removal_status(errors: Sequence[RcrunError]) -> int:
    """Of rm and rmi: podman's statuses tell why, 1 for what is not there and 2 for what is in use; docker's do not."""
    if not errors:
        return 0
    if settings.personality != "podman":
        return 1
    from rcrun.errors import InUse, NotFound, WrongState

    if all(isinstance(error, NotFound) for error in errors):
        return 1
    in_use = any(isinstance(error, (InUse, WrongState)) for error in errors)
    return 2 if in_use else int(trait("failure_status"))


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as docker (three spaces apart, ten wide at least) or podman align them; headers stand even over no rows."""
    from rcrun.formats.visible import visible

    least, between = trait("columns")
    lines = [[visible(cell) for cell in row] for row in ((headers, *rows) if headers else rows)]
    count = max([len(line) for line in lines], default=0)
    lines = [line + [""] * (count - len(line)) for line in lines]
    widths = [
        max(least, *[cells_of(line[at]) + between for line in lines]) for at in range(count - 1)
    ]
    text = []
    for line in lines:
        padded = [c + " " * (w - cells_of(c)) for c, w in zip(line, widths, strict=False)]
        text.append("".join([*padded, line[-1], "\n"]))
    return "".join(text)


def cells_of(text: str) -> int:
    """How many places a terminal gives it: two for a wide character, none for one that sits on another."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    return sum(
        0 if category(char) in ("Mn", "Me", "Cf") else 2 if east_asian_width(char) in "WF" else 1
        for char in text
    )


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    sys.stdout.write(table(headers, rows))


class Listing:
    """A list that `--format` can reshape.

    `columns` maps a field to its header: every field that `--format` may name. `shown` are those of the
    plain table. Rows are mappings of fields to texts (or to values, for JSON and templates).
    """

    __slots__ = ("columns", "heading", "shown")

    def __init__(
        self, columns: Mapping[str, str], shown: Sequence[str], *, heading: bool = True
    ) -> None:
        self.columns = columns
        self.shown = shown
        self.heading = heading  # False: tables have no titles

    def print(self, rows: Sequence[Mapping[str, Any]], form: str | None) -> None:
        """`form`: nothing or `table`, `json` (one object a line), `table TEMPLATE`, or a template."""
        if not form or form == "table":
            cells = [[_cell(row[name]) for name in self.shown] for row in rows]
            titles = [self.columns[name] for name in self.shown]
            print_table(titles if self.heading else [], cells)
        elif form == "json":
            _print_json(rows)
        elif form.startswith("table"):
            self._print_template_table(rows, form[5:].strip(" "))
        else:
            template = parse_template(form, escapes=True)
            for row in rows:
                put(template.render(row))

    def _print_template_table(self, rows: Sequence[Mapping[str, Any]], form: str) -> None:
        if settings.personality == "podman":
            form = form.replace("}} {{", "}}\t{{")  # a blank is the end of a column
        template = parse_template(form, escapes=True)
        titles = template.render_header({**self.columns, "Label": _label_title}).split("\t")
        cells = [template.render(row).split("\t") for row in rows]
        print_table(titles if self.heading else [], cells)


def _label_title(label: str) -> str:
    """Docker's: the last part of the label's name, in words."""
    return label.rpartition(".")[2].replace("-", " ").replace("_", " ")


def _print_json(rows: Sequence[Mapping[str, Any]]) -> None:
    from rcrun.formats.template.values import json_text

    if not trait("json_lines"):
        put(f"[{','.join(map(json_text, rows))}]")
        return
    for row in rows:
        put(json_text(row))


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def parse_template(form: str, *, escapes: bool = False) -> Template:
    """A template of `--format`; with `escapes`, as in lists, `\\t` and `\\n` stand for the characters."""
    from rcrun.formats.template import Template

    return Template(form, escapes=escapes)


def print_inspected(values: Sequence[Any], form: str | None) -> None:
    """Objects of `inspect`: one JSON array, or a template over each."""
    if not form or form == "json":
        import json

        from rcrun.formats.visible import JSON_ESCAPES

        text = json.dumps(values, indent=4 if not form else None, ensure_ascii=False)
        put(text.translate(JSON_ESCAPES))
        return
    template = parse_template(form, escapes=settings.personality == "podman")
    for value in values:
        put(template.render(value))


def inspect_each(
    names: Sequence[str],
    look: Callable[[str], Any],
    form: str | None,
    show: Callable[[Sequence[Any], str | None], None] = print_inspected,
) -> int:
    """Show what `look` tells of each, and complain of those that are not there; the exit status."""
    found, missing = [], []
    for name in names:
        try:
            found.append(look(name))
        except NotFound as error:
            missing.append(error)
    if found or not form:
        show(found, form)
    for absence in missing:
        complain(absence.message, absence.hint)
    return trait("failure_status") if missing else 0


def print_value(value: Any, form: str) -> None:
    """One object, as `version` and `info` reshape it: `json` or a template."""
    form = "{{json .}}" if form == "json" else form
    put(parse_template(form, escapes=settings.personality == "podman").render(value))


def status_text(
    status: str, *, started: float = 0.0, finished: float = 0.0, exit_code: int = 0, now: float,
    health: str = "",
) -> str:  # fmt: skip
    """The status column of `ps`: `Up 3 minutes`, `Exited (0) 2 hours ago`. Times are in seconds."""
    from rcrun.formats.duration import words_of

    if status in ("running", "paused"):
        notes = "".join(
            [f" ({word})" for word in (health, "Paused" * (status == "paused")) if word]
        )
        return f"Up {words_of(max(0.0, now - started))}{notes}"
    if status == "restarting":
        return f"Restarting ({exit_code}) {ago(now - finished)}"
    if status == "exited":
        return f"Exited ({exit_code}) {ago(now - finished)}"
    return status.capitalize()


def ago(seconds: float) -> str:
    """`3 minutes ago`."""
    from rcrun.formats.duration import words_of

    return f"{words_of(max(0.0, seconds))} ago"


def confirmed(warning: str) -> bool:
    """Ask, as docker does; the answer may come out of a pipe, but there must be one."""
    sys.stderr.write(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer and not is_terminal(0):
        from rcrun.errors import InvalidInput

        raise InvalidInput("nobody can be asked: standard input is no terminal", "add --force")
    return answer.strip().lower() in ("y", "yes")


def short_id(container_id: str, *, whole: bool = False) -> str:
    """12 digits, or all with --no-trunc."""
    return container_id if whole else container_id.removeprefix("sha256:")[:12]


def id_text(digest: str) -> str:
    """A whole id as the personality prints it, with or without the algorithm."""
    return digest.removeprefix("sha256:") if trait("bare_ids") else digest


def size_text(text: str) -> str:
    """`2.14MB`, or with podman's blank before the unit."""
    number = "".join([letter for letter in text if letter in "0123456789."])
    return f"{number}{trait('size_gap')}{text[len(number) :]}"


def shortened(text: str, limit: int = 20) -> str:
    """As docker cuts the command column, with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def is_terminal(fd: int) -> bool:
    import os

    return os.isatty(fd)
