"""`rcrun quadlet …`, and the generator that systemd runs."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option, table_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rcrun.engine.quadlet.output import All

COLUMNS = {
    "Name": "NAME",
    "UnitName": "UNIT NAME",
    "Path": "PATH ON DISK",
    "Status": "STATUS",
    "App": "APPLICATION",
    "Pod": "POD",
}
SHOWN = ("Name", "UnitName", "Path", "Status", "App")
_KMSG = "/dev/kmsg"


def _is_user() -> bool:
    return os.geteuid() != 0


def _reload(wanted: bool) -> None:
    """Have systemd know; what is wrong with files is told, and is no failure of what was asked."""
    from rcrun.engine.quadlet import output as engine

    if not wanted:
        return
    for fault in engine.reload(context.engine(), is_user=_is_user()).faults:
        output.warn(fault)


@command("install")
@option(
    "--reload-systemd",
    "reload_systemd",
    is_flag=True,
    default=True,
    help="Have systemd know them at once",
)
@option("-r", "--replace", is_flag=True, help="Replace files that are there")
@argument("paths", nargs=-1, required=True, metavar="FILE|DIR [FILE]...")
def install_quadlet(paths: tuple[str, ...], reload_systemd: bool, replace: bool) -> None:
    """Put files of Quadlet where systemd's generator finds them, with files that they need, and print where.

    A directory, or a file .quadlets with several in it, is an application: it is removed as a whole.
    """
    from rcrun.engine.quadlet import files

    whole = context.engine()
    for path in files.install(whole, paths, is_user=_is_user(), replace=replace):
        output.put(path)
    _reload(reload_systemd)


@command("list")
@option(
    "-f",
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Show only what matches: name, status",
)
@table_options
def list_quadlets(filters: tuple[str, ...], form: str | None, noheading: bool) -> None:
    """List files of Quadlet, and what becomes of them."""
    from rcrun.engine.quadlet import files

    tests = [_filter(text) for text in filters]
    rows = [
        row
        for row in files.rows(context.engine(), is_user=_is_user())
        if all(_matches(row[key], value) for key, value in tests)
    ]
    output.Listing(COLUMNS, SHOWN, heading=not noheading).print(rows, form)


def _filter(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if key not in ("name", "status", "pod") or not equals:
        raise InvalidInput(f'invalid --filter "{text}"', "write name=PATTERN or status=STATUS")
    return key.capitalize(), value


def _matches(value: str, pattern: str) -> bool:
    import fnmatch

    return fnmatch.fnmatchcase(value, pattern)


@command("print")
@argument("name")
def print_quadlet(name: str) -> None:
    """Print a file of Quadlet."""
    from rcrun.engine.quadlet import files
    from rcrun.errors import NotFound
    from rcrun.files import read_bytes

    for row in files.rows(context.engine(), is_user=_is_user()):
        if row["Name"] == name:
            output.put(read_bytes(row["Path"]).decode("utf-8", "surrogateescape").rstrip("\n"))
            return
    raise NotFound(f'there is no "{name}"', "rcrun quadlet list shows what there is")


@command("rm")
@option("-a", "--all", "every", is_flag=True, help="All that are installed")
@option("-f", "--force", is_flag=True, help="Stop what runs")
@option("-i", "--ignore", is_flag=True, help="What is not there is no error")
@option(
    "--reload-systemd",
    "reload_systemd",
    is_flag=True,
    default=True,
    help="Have systemd know it at once",
)
@argument("quadlets", nargs=-1, metavar="FILE|APPLICATION...")
def remove_quadlets(
    quadlets: tuple[str, ...], every: bool, force: bool, ignore: bool, reload_systemd: bool
) -> int:
    """Remove files of Quadlet, and what came with them; what runs is stopped only with --force."""
    from rcrun.engine.quadlet import files
    from rcrun.engine.quadlet.output import listed

    whole = context.engine()
    folder = files.folder_of(whole, is_user=_is_user())
    if every == bool(quadlets):
        raise InvalidInput("name files or applications, or give --all")
    names = quadlets
    gone: set[str] = set()
    if every:
        names = tuple(name for name in listed(folder) if files.is_quadlet(name))

    def act(name: str) -> None:
        if name not in gone:  # with its application
            gone.update(files.remove(whole, name, is_user=_is_user(), force=force))

    status = output.each(names, act, missing_ok=ignore)
    _reload(reload_systemd)
    return status


@command("reload")
@option("--dry-run", is_flag=True, help="Print the units, and write nothing")
@option(
    "--start",
    is_flag=True,
    help="Start what [Install] wants for the login: for the unit of rcrun setup quadlet",
)
def reload_quadlets(dry_run: bool, start: bool) -> int:
    """Have systemd know the units of all files of Quadlet as they are now.

    Where systemd has rcrun's generator this is systemctl daemon-reload; else the units are written here, for this login.
    """
    from rcrun.engine.quadlet import output as engine

    whole, is_user = context.engine(), _is_user()
    if dry_run:
        made = engine.make_all(whole, is_user=is_user)
        _print_units(made)
    else:
        made = engine.reload(whole, is_user=is_user)
    for fault in made.faults:
        output.complain(fault)
    if start:
        engine.systemctl(whole, "start", "--no-block", "default.target", is_user=is_user)
    return 1 if made.faults and not start else 0


def _print_units(whole: All) -> None:
    for made in whole.made:
        output.put(f"---{made.name}---\n{made.text}")


@command("__quadlet", hidden=True, interspersed=False)
@argument("words", nargs=-1, metavar="[-user] [-dryrun] [-v] DIR [DIR DIR]")
def generate(words: tuple[str, ...]) -> int:
    """Write units of all files of Quadlet into a directory, as systemd's generators do (called by systemd)."""
    from rcrun.engine.quadlet import output as engine

    flags = {word.lstrip("-").partition("=")[0] for word in words if word.startswith("-")}
    folders = [word for word in words if not word.startswith("-")]
    unknown = flags - {"user", "dryrun", "v", "no-kmsg-log", "version"}
    if unknown:
        raise InvalidInput(f'unknown option "-{min(unknown)}"')
    if not folders and "dryrun" not in flags:
        raise InvalidInput("no directory is given, and no -dryrun")
    is_user = "user" in flags
    whole = engine.make_all(context.engine(), is_user=is_user)
    say = _teller(to_kernel=not is_user and not flags & {"no-kmsg-log", "dryrun"})
    if flags & {"v", "dryrun"}:
        for folder in whole.directories:
            say(f"looked in {folder}")
    if "dryrun" in flags:
        _print_units(whole)
    else:
        engine.write_all(whole.made, folders[0])
    for fault in whole.faults:
        say(fault)
    return 1 if whole.faults and "dryrun" in flags else 0


def _teller(*, to_kernel: bool) -> Callable[[str], None]:
    """Early at boot the log of the kernel is the only one; a user's generator writes to the user's journal."""
    try:
        fd = os.open(_KMSG, os.O_WRONLY | os.O_CLOEXEC) if to_kernel else 2
    except OSError:
        fd = 2

    def say(text: str) -> None:
        line = f"rcrun-systemd-generator[{os.getpid()}]: {' '.join(text.split())}"
        try:
            os.write(fd, (f"<4>{line}\n" if fd != 2 else f"{line}\n").encode("utf-8", "replace"))
        except OSError:
            pass  # a generator must not fail for want of a log

    return say
