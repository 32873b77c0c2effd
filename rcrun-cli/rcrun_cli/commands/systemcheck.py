"""`rcrun system check`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.mending import Mended
    from rcrun.storage.faults import Fault


@command("check")
@option("-f", "--force", is_flag=True, help="With --repair: also remove containers that are lost")
@option(
    "-m", "--max-age", "--max", "max_age", default="24h", metavar="DURATION", show_default=True,
    help="Tell of what nothing names when it is older",
)  # fmt: skip
@option("-q", "--quick", is_flag=True, help="Do not read the files of blobs and layers")
@option("-r", "--repair", is_flag=True, help="Mend what can be mended")
def check_system(force: bool, max_age: str, quick: bool, repair: bool) -> int:
    """Read the whole store and print each fault with what it costs."""
    from rcrun.engine.systemcheck import check
    from rcrun.errors import InvalidInput
    from rcrun.formats import duration

    if force and not repair:
        raise InvalidInput("--force does nothing without --repair")
    seconds = duration.parse(max_age) / 1e9
    faults = check(context.engine(), quick=quick, max_age=seconds)
    left = 0
    for fault in faults:
        _put(fault.what)
        _put(f"  costs: {fault.cost}")
        left += not (repair and _mended(fault, force)) and not fault.leftover
        if not repair and fault.hint and not fault.mend:
            _put(f"  hint: {fault.hint}")
    _sum_up(faults, left, repair)
    return 1 if left else 0


def _put(line: str) -> None:
    """Names come from records that hold anything."""
    from rcrun.formats.visible import visible

    output.put(visible(line))


def _mended(fault: Fault, force: bool) -> bool:
    from rcrun.engine.mending import mend
    from rcrun.errors import RcrunError

    try:
        done = mend(context.engine(), fault, force=force)
    except (RcrunError, OSError) as error:
        _put(f"  not mended: {getattr(error, 'message', error)}")
        hint = getattr(error, "hint", None)
    else:
        if done is not None:
            return _told(done)
        hint = fault.hint
        if fault.loses:
            output.put("  not mended: data would be lost; --force does it all the same")
    if hint:
        _put(f"  hint: {hint}")
    return False


def _told(done: Mended) -> bool:
    _put(f"  mended: {done.text}")
    if done.hint:
        _put(f"  hint: {done.hint}")
    return done.complete


def _sum_up(faults: list[Fault], left: int, repair: bool) -> None:
    leftovers = sum(fault.leftover for fault in faults)
    count = len(faults) - leftovers
    if not faults:
        output.put("no faults")
        return
    words = f"{count} {'fault' if count == 1 else 'faults'}"
    if leftovers:
        words += f", {leftovers} left over by crashes"
    if repair:
        words += f", {left} to be mended by hand" if left else ", all mended"
    elif faults:
        words += "; mend with: rcrun system check --repair"
    output.put(words)
