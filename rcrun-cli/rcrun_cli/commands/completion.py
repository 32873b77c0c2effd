"""`rcrun completion SHELL`: the script that makes the shell ask click."""

from __future__ import annotations

from rcrun_cli.context import settings
from rcrun_cli.declare import argument, command


@command()
@argument("shell", type=["bash", "zsh", "fish"])
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    For bash: source <(rcrun completion bash)
    """
    from rcrun_cli import output
    from rcrun_cli.clickapp import completion_script
    from rcrun_cli.program import program

    output.put(completion_script(program(settings.personality), shell))
