"""The hooks that run outside the container after it was started: poststart and poststop (config.md)."""

from __future__ import annotations

import os
import select

from rcrun.errors import StepFailed
from rcrun.files import dump_json, write_all
from rcrun.formats.spec import hook_outputs, hooks_of
from rcrun.runtime.bundle import Inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.formats.spec import Hook, Spec

_KILL = 9
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def failures(spec: Spec, kind: str, state: Mapping[str, Any]) -> list[StepFailed]:
    """Run every hook of the kind, also after one failed; what went wrong."""
    failed = []
    for index, hook in enumerate(hooks_of(spec, kind)):
        with Inside(state["bundle"]):
            why = _run(kind, hook, dump_json(dict(state)), hook_outputs(spec))
        if why:
            failed.append(
                StepFailed(
                    f'error running {kind} hook #{index}: "{hook["path"]}": {why}', step="hook"
                )
            )
    return failed


def _run(kind: str, hook: Hook, state: str, outputs: tuple[str, str]) -> str:
    """Why it failed, or nothing. The state is its standard input."""
    stdin = os.memfd_create("rcrun-state")
    timeout = hook.get("timeout") or 0
    group: dict[str, Any] = {"setpgroup": 0} if timeout else {}  # what it has started goes with it
    try:
        write_all(stdin, state.encode())
        os.lseek(stdin, 0, os.SEEK_SET)
        environ = dict(word.partition("=")[::2] for word in hook.get("env") or [])
        pid = os.posix_spawn(
            hook["path"],
            hook.get("args") or [hook["path"]],
            environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, stdin, 0),
                *(
                    (os.POSIX_SPAWN_OPEN, stream, path, _APPEND, 0o600)
                    for stream, path in enumerate(outputs, 1)
                    if path
                ),
            ],
            **group,
        )
    except OSError as error:
        return (error.strerror or str(error)).lower()
    finally:
        os.close(stdin)
    return _wait(kind, pid, timeout)


def _wait(kind: str, pid: int, timeout: int) -> str:
    in_time = True
    if timeout:
        pidfd = os.pidfd_open(pid)
        try:
            in_time = bool(select.select([pidfd], [], [], timeout)[0])
        finally:
            os.close(pidfd)
        if not in_time:
            os.killpg(pid, _KILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not in_time:
        return f"it did not end within {timeout} seconds"
    if status < 0:
        return f"killed by signal {-status}"
    return f"{kind} hook failed with exit code {status}" if status else ""
