"""A start by a service of systemd: sockets that it has opened, and who is told of the readiness (docs/systemd.md). Cold."""

from __future__ import annotations

import os

from rcrun.formats.envfile import merge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rcrun.engine.context import Context
    from rcrun.formats.spec import Mount, Spec
    from rcrun.storage.containers import Container

SOCKET_INSIDE = "/run/notify/notify.sock"  # podman's
_WORDS = {"conmon": "started", "healthy": "healthy"}
_FIRST_FD = 3


def of_service(context: Context, container: Container, spec: Spec) -> Spec:
    """For this start alone; what the plan needs of it is in the record until then."""
    variables, mounts = _sockets(context, container), []
    told = _told(context.environ, container)
    if told:
        container.record["notify_records"] = [["notify", *told]]
        if told[1] == "container":
            variables["NOTIFY_SOCKET"] = SOCKET_INSIDE
            mounts.append(_socket_mount(told[2]))
    if not variables:
        return spec
    process = {**spec["process"], "env": merge(spec["process"].get("env") or [], variables)}
    return {**spec, "process": process, "mounts": [*(spec.get("mounts") or []), *mounts]}  # type: ignore[typeddict-item]


def _told(environ: Mapping[str, str], container: Container) -> list[str]:
    """Whom, when, and where the container says so itself."""
    socket = container.record.get("notify_socket") or environ.get("NOTIFY_SOCKET", "")
    mode = str(container.record.get("notify") or "container")
    if not socket.startswith(("/", "@")) or mode == "ignore":
        return []
    if mode == "container":
        return [socket, mode, container.live_path("notify.sock")]
    return [socket, _WORDS[mode]]


def _socket_mount(path: str) -> Mount:
    options = ["bind", "nosuid", "nodev", "noexec", "rprivate"]
    return {"destination": SOCKET_INSIDE, "type": "bind", "source": path, "options": options}


def _sockets(context: Context, container: Container) -> dict[str, str | None]:
    """sd_listen_fds(3): of ours, if they are for us, the container's; its command is its first process, or an init's child."""
    environ = context.environ
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal() or int(count) < 1:
        return {}
    for fd in range(_FIRST_FD, _FIRST_FD + int(count)):
        os.set_inheritable(fd, True)
    kept = int(container.record.get("preserve_fds") or 0)
    container.record["preserve_fds"] = max(kept, int(count))
    variables: dict[str, str | None] = {
        "LISTEN_FDS": count,
        "LISTEN_PID": "2" if container.record.get("init") else "1",
    }
    if "LISTEN_FDNAMES" in environ:
        variables["LISTEN_FDNAMES"] = environ["LISTEN_FDNAMES"]
    return variables
