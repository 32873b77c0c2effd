"""`rcrun doctor`."""

from __future__ import annotations

import sys

from rcrun_cli import context, output
from rcrun_cli.declare import command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.doctor.finding import Finding

COLOURS = {"ok": "32", "limited": "33", "broken": "31"}


@command()
@option("--json", "as_json", is_flag=True, help="Print an object for programs: docs/doctor.md")
@option("--fix", "fixes", is_flag=True, help="Do what helps and needs no root; tell what was done")
@option(
    "--sudo", is_flag=True, help="With --fix: also what needs root, where sudo asks for no password"
)
@option("-q", "--quiet", is_flag=True, help="Print what is not ok only")
def doctor(as_json: bool, fixes: bool, sudo: bool, quiet: bool) -> int:
    """Try what containers need of this host, and tell what works, what does not, why, and the command that helps.

    The exit status is 0 when containers run here, 1 when they do not.
    """
    from rcrun.engine.doctor import probes
    from rcrun.engine.doctor.here import Here
    from rcrun.errors import InvalidInput

    if sudo and not fixes:
        raise InvalidInput("--sudo is for --fix", "run: rcrun doctor --fix --sudo")
    engine = context.engine()
    here = Here(engine, context.home_dir(context.environ()))
    found = probes.probe(here)
    done = probes.fix(here, found, sudo=sudo) if fixes else []
    if done:
        found = probes.probe(here)
    if as_json:
        data = probes.as_json(found)
        data["fixed"] = [{"name": name, "done": what} for name, what in done]
        output.print_value(data, "json")
    else:
        _print(found, done, quiet=quiet)
    return 0 if probes.runs(found) else 1


def _print(found: dict[str, Finding], done: list[tuple[str, str]], *, quiet: bool) -> None:
    from rcrun.engine.doctor import probes

    colours = _wants_colour()
    for name, what in done:
        word = "not fixed" if what.startswith(("failed", "not done")) else "fixed    "
        output.put(f"{word} {name}: {what}")
    for name, finding in found.items():
        if not (quiet and finding.level == "ok"):
            title = f"{probes.TABLE[name][0]} ({name})"
            output.put(_text(title, finding, colours=colours))
    output.put(_summary(found))


def _text(title: str, finding: Finding, *, colours: bool) -> str:
    from rcrun.formats.visible import visible

    word = finding.level.ljust(9)
    if colours:
        word = f"\x1b[{COLOURS[finding.level]}m{word}\x1b[0m"
    lines = [f"{word} {title}: {visible(finding.found)}"]
    for key in ("means", "why", "hint"):
        text = getattr(finding, key)
        if text:
            lines.append(f"          {key + ':':<6} {visible(text)}")
    return "\n".join(lines)


def _summary(found: dict[str, Finding]) -> str:
    from rcrun.engine.doctor import probes

    levels = [finding.level for finding in found.values()]
    said = "containers run here" if probes.runs(found) else "no container runs here"
    counts = [f"{levels.count(word)} {word}" for word in ("broken", "limited") if word in levels]
    return f"{said}; {', '.join(counts) or 'everything is as it should be'}"


def _wants_colour() -> bool:
    return sys.stdout.isatty() and not context.environ().get("NO_COLOR")
