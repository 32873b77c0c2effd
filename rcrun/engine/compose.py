"""The hand-over to podman-compose, which finds rcrun under the name podman before any other."""

from __future__ import annotations

import os
import sys

from rcrun import paths
from rcrun.engine import hostsetup
from rcrun.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

    from rcrun.engine.context import Context

PROVIDER = "podman-compose"
# Names of containers and networks as docker's compose makes them.
_LIKE_DOCKER = "PODMAN_COMPOSE_DOCKER_COMPOSE_COMPAT"


def become(
    context: Context,
    words: Sequence[str],
    *,
    folder: str,
    like_docker: bool,
    more: Mapping[str, str],
) -> NoReturn:
    """It takes our place, so that streams, signals and the exit status are its own."""
    program = _program(context.environ)
    environ = {**context.environ, **_store(context), **more}
    environ["PATH"] = f"{_names(context)}:{environ.get('PATH', '')}"
    if folder:
        environ["COMPOSE_PROJECT_DIR"] = os.path.abspath(folder)
    if like_docker:
        environ.setdefault(_LIKE_DOCKER, "true")
    sys.stdout.flush()
    os.execve(program, [program, *words], environ)


def _program(environ: Mapping[str, str]) -> str:
    """What podman's variable names, else podman-compose: in PATH, or installed beside us."""
    wanted = environ.get("PODMAN_COMPOSE_PROVIDER", "")
    places = [wanted] if "/" in wanted else [
        paths.find_program(wanted or PROVIDER, environ.get("PATH", "")),
        *([] if wanted else [os.path.join(os.path.dirname(sys.executable), PROVIDER)]),
    ]  # fmt: skip
    for path in places:
        if path and os.access(path, os.X_OK):
            return os.path.abspath(path)
    raise NotFound(
        f'"{wanted or PROVIDER}" is not installed, and compose needs it',
        "python3 -m pip install podman-compose",
    )


def _store(context: Context) -> dict[str, str]:
    """The same store and live state, whatever options named them."""
    found = {"RCRUN_ROOT": context.store.root_dir, "RCRUN_RUNROOT": context.store.live_dir}
    if context.cgroup_manager:
        found["RCRUN_CGROUP_MANAGER"] = context.cgroup_manager
    return found


def _names(context: Context) -> str:
    """A folder in which rcrun is called podman."""
    folder = f"{context.store.live_dir}/names"
    paths.make_private_dir(folder)
    target = hostsetup.launcher(context.environ)
    if not os.path.islink(f"{folder}/podman") or os.readlink(f"{folder}/podman") != target:
        hostsetup.link(folder, "podman", target, context.environ, force=True)
    return folder
