"""`rcrun help COMMAND`."""

from __future__ import annotations

from rcrun_cli.context import settings
from rcrun_cli.declare import argument, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@command("help")
@argument("words", nargs=-1, metavar="[COMMAND]...")
def help_(words: Sequence[str]) -> int:
    """Print the help of a command."""
    from rcrun_cli.clickapp import parse
    from rcrun_cli.program import program

    answer = parse(program(settings.personality), [*words, "--help"])
    return answer if isinstance(answer, int) else 0
