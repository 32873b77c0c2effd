"""Our errors as docker and podman word them, since scripts look for their words. Cold: an error, and one of their names.

A row is how a message of ours begins, and theirs; `{}` is what stood behind, or between the quotes when ours ends with
one. What has no row is said in our words behind the personality's prefix.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Rows = Sequence[tuple[str, str]]

_DAEMON = "Error response from daemon: "
DOCKER: Rows = (
    ("no such container: ", _DAEMON + "No such container: {}"),
    ("no such image: ", _DAEMON + "No such image: {}"),
    ("no such network: ", _DAEMON + "network {} not found"),
    ("no such object: ", "error: no such object: {}"),
    ("no such secret: ", _DAEMON + "secret {} not found"),
    ("no such volume: ", _DAEMON + "get {}: no such volume"),
    ("no such option", "unknown flag: {}"),
    ('there is no command "', "docker: unknown command: docker {}"),
    ('the container name "', _DAEMON + 'Conflict. The container name "/{}'),
    ("cannot attach to container ", _DAEMON + "You cannot attach to a stopped container, start it first"),
    ("cannot kill container ", _DAEMON + "cannot kill container: {}"),
    ("cannot remove container ", _DAEMON + "cannot remove container {}"),
    ("conflict: ", _DAEMON + "conflict: {}"),
    ("container ", _DAEMON + "container {}"),
    ("remove ", _DAEMON + "remove {}"),
    ("the input device is not a TTY", "the input device is not a TTY"),
)  # fmt: skip
PODMAN: Rows = (
    ("no such container: ", 'Error: no container with name or ID "{}" found: no such container'),
    ("no such image: ", "Error: {}: image not known"),
    ("no such network: ", "Error: unable to find network with name or ID {}: network not found"),
    ("no such pod: ", 'Error: no pod with name or ID {} found: no such pod'),
    ("no such object: ", 'Error: no such object: "{}"'),
    ("no such artifact: ", "Error: {}: artifact does not exist"),
    ("no such manifest list: ", "Error: {}: image not known"),
    ("no such secret: ", 'Error: no secret with name or id "{}": no such secret'),
    ("no such volume: ", 'Error: no volume with name "{}" found: no such volume'),
    ("no such option", "Error: unknown flag: {}"),
    ('there is no command "', "Error: unrecognized command `podman {}`"),
    ('the container name "', 'Error: creating container storage: the container name "{}: that name is already in use'),
    ("cannot attach to container ", "Error: you can only attach to running containers"),
    ("cannot kill container ", "Error: can only kill running containers: {}: container state improper"),
    ("container ", "Error: container {}: container state improper"),
)  # fmt: skip
ROWS = {"docker": DOCKER, "podman": PODMAN}


def spoken(personality: str, message: str) -> str | None:
    """The whole line, or None for one that has no row."""
    for start, theirs in ROWS.get(personality, ()):
        if message.startswith(start):
            return theirs.format(_behind(start, theirs, message))
    return None


def _behind(start: str, theirs: str, message: str) -> str:
    rest = message[len(start) :]
    if start == "no such option":
        words = [word.strip("'\".,;:?") for word in rest.split()]
        return next((word for word in words if word.startswith("-")), "")  # without click's guess
    ends_with_quote = start.endswith('"') and theirs.count('"') != 1
    return rest.partition('"')[0] if ends_with_quote else rest
