"""A container in a scope of systemd: the driver `systemd`.

A scope takes processes that exist, and a user may not move one into it from another session. So the shim's set-up
process (docs/plan.md, `scope`) names itself, and a process of ours asks systemd to put it there, makes the group
`container` in the scope with the limits, and ends. What is cloned then is born in it.
"""

from __future__ import annotations

import os

from rcrun.cgroup import controllers, delegated, limits, properties, systemd
from rcrun.errors import HostLacks, InvalidInput, RcrunError
from rcrun.kernel.dbus import DBusError
from rcrun.runtime import groups, plan_resources

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Mapping
    from typing import Any

    from rcrun.cgroup.systemd import Manager
    from rcrun.formats.spec import Spec
    from rcrun.runtime.groups import Devices
    from rcrun.runtime.host import Host

    Work = Callable[[int], None]

SUBGROUP = "run.oci.systemd.subgroup"  # crun's annotation; empty: the scope itself


class Scope:
    """One that is to be made. `dir` is its own group, `path` the container's, in it.

    `made` is told the path once the limits are set; `served` the pid of the process that launches the container, once
    that has its answer.
    """

    __slots__ = (
        "_manager", "asked", "devices", "dir", "made", "owner", "path", "place", "rows", "served", "spec",
    )  # fmt: skip

    def __init__(self, manager: Manager, spec: Spec, container_id: str, devices: Devices) -> None:
        linux = spec.get("linux") or {}
        annotations = spec.get("annotations") or {}
        resources = linux.get("resources") or {}
        limits.settings_for(resources)  # what it refuses is better said before anything is made
        self._manager = manager
        self.devices = devices
        self.spec = spec
        self.owner = groups.owner_of(spec)
        self.place = properties.place_of(
            linux.get("cgroupsPath") or "", container_id, user=manager.user
        )
        self.rows = properties.properties_for(resources, version=manager.version())
        self.asked = properties.of_annotations(annotations)
        self.dir = manager.directory(self.place)
        groups.refuse_used(self.dir)
        self.made: Callable[[str], None] | None = None
        self.served: Callable[[int], None] | None = None
        self.path = f"{self.dir}/{_subgroup(annotations)}".rstrip("/")

    def record(self) -> dict[str, Any]:
        """What the container's record keeps of it."""
        return {"unit": self.place.unit, "manager": self._manager.record()}

    def serve(self) -> int:
        """The descriptor for the shim's `scope`. Whoever has it can have one process put into the scope."""
        return _serve(self._make, [self._manager.fileno(), *self.devices.fds()], self.served)

    def start_beside(self, unit: str, pid: int) -> None:
        """Another scope in the same slice, without limits, for one of our own processes."""
        place = properties.Place(self.place.slice, unit)
        self._manager.start(place, pid, [], [])
        self._manager.drop_empty(place)

    def _make(self, pid: int) -> None:
        resources = (self.spec.get("linux") or {}).get("resources") or {}
        self._manager.start(self.place, pid, self.rows, self.asked)
        found = groups.of_process(pid)
        if found != self.dir:
            self._manager.drop_empty(self.place)
            raise HostLacks(
                f'systemd has put the process into "{found}", not into "{self.dir}"',
                "use --cgroup-manager=cgroupfs",
            )
        if self.path != self.dir:
            os.makedirs(self.path, 0o755, exist_ok=True)
            _enter(self.path, pid)
            delegated.let_down_all(self.dir)
        _limit(self.dir, self.path, resources)
        if self.made:
            self.made(self.path)
        groups.give(self.path, self.owner)
        self.devices.attach(self.path)


def prepare(
    spec: Spec, container_id: str, host: Host, environ: Mapping[str, str], devices: Devices
) -> Scope | None:
    """None where no systemd answers, for a user who asked for no limit."""
    resources = (spec.get("linux") or {}).get("resources") or {}
    plan_resources.check(resources)
    try:
        return connected(spec, container_id, host, environ, devices)
    except HostLacks:
        if not host.rootless or plan_resources.controllers(resources):
            raise
        return None


def connected(
    spec: Spec, container_id: str, host: Host, environ: Mapping[str, str], devices: Devices
) -> Scope:
    """HostLacks where no systemd answers."""
    manager = systemd.connect(environ, user=host.rootless)
    try:
        return Scope(manager, spec, container_id, devices)
    except DBusError as error:
        raise _worded(error) from error


def _subgroup(annotations: Mapping[str, str]) -> str:
    name = annotations.get(SUBGROUP, "container")
    if ".." in name.split("/") or name.startswith("/"):
        raise InvalidInput(f'invalid "{SUBGROUP}" "{name}"', "name a group below the scope")
    return name


def _limit(top: str, path: str, resources: Mapping[str, Any]) -> None:
    """In the container's group, which it sees, and in the scope: systemd knows no burst, and rounds quotas."""
    if top != path:
        controllers.limit(top, properties.for_scope(resources), by_systemd=True)
    controllers.limit(path, resources, by_systemd=True)


def _enter(path: str, pid: int) -> None:
    with open(f"{path}/cgroup.procs", "w", encoding="ascii") as file:
        file.write(str(pid))


def joining(scope: Mapping[str, Any], path: str) -> int:
    """`scope` for an exec from a session that may not enter the container's group by itself."""
    manager = systemd.again(scope["manager"])
    unit = scope["unit"]
    below = path.partition(f"/{unit}")[2] or "/"
    return _serve(lambda pid: manager.attach(unit, below, pid), [manager.fileno()])


def update(scope: Mapping[str, Any], path: str, resources: Mapping[str, Any]) -> None:
    controllers.check(path, resources)
    now = controllers.current(path)  # systemd writes over the period of a group without a quota
    resources = limits.completed(resources, now)
    try:
        manager = systemd.again(scope["manager"])
        rows = properties.properties_for(resources, now, manager.version())
        # of a scope that runs this one cannot be changed
        manager.set(scope["unit"], [row for row in rows if row[0] != "OOMPolicy"])
        manager.close()
    except DBusError as error:
        raise _worded(error) from error
    _limit(_top(scope, path), path, resources)


def _top(scope: Mapping[str, Any], path: str) -> str:
    """The scope's own group."""
    unit = f"/{scope['unit']}"
    return path.partition(unit)[0] + unit


def stop(scope: Mapping[str, Any], path: str) -> None:
    """The unit ends by itself once its group is empty; what it may leave behind goes here."""
    top = _top(scope, path)
    if not os.path.isdir(top):
        return
    try:
        manager = systemd.again(scope["manager"])
        manager.stop(scope["unit"])
        manager.close()
    except (DBusError, OSError, RcrunError):
        pass  # the groups themselves are what matters
    groups.remove(top)


def _worded(error: DBusError) -> RcrunError:
    message = error.message or error.name
    return RcrunError(f"systemd refuses it: {message[:1].lower()}{message[1:]}")


# ---- the process that serves the shim


def _serve(work: Work, fds: list[int], served: Work | None = None) -> int:
    """Fork it, away from us: we become the shim, or the parent of one, which knows of no other child."""
    import _socket

    ours, theirs = _socket.socketpair(
        _socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
    )
    between = os.fork()
    if between == 0:
        if os.fork() == 0:
            _attend(ours, work, [ours.fileno(), *fds], served)
        os._exit(0)
    os.waitpid(between, 0)
    ours.close()
    return theirs.detach()


def _attend(ours: _socket.socket, work: Work, fds: list[int], served: Work | None) -> None:
    """One request. Nothing of ours but these stays open: a lock would be held, a pipe kept from its end."""
    start = 3
    for fd in [*sorted(fds), 1 << 16]:
        os.closerange(start, fd)
        start = fd + 1
    try:
        asked = ours.recv(16)
        if asked:
            launcher = _parent_of(int(asked))
            answer = _answer(work, int(asked))
            ours.send(answer)
            if served and launcher and answer == b"+":
                served(launcher)
    finally:
        os._exit(0)


def _parent_of(pid: int) -> int:
    """Of one that waits for our answer; 0: it does not any more."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _answer(work: Work, pid: int) -> bytes:
    try:
        work(pid)
    except RcrunError as error:
        return f"{error.message}\n{error.hint or ''}".encode()[:1000]
    except DBusError as error:
        return _worded(error).message.encode()[:1000]
    except Exception as error:  # the shim waits for an answer, whatever it is
        return f"{type(error).__name__}: {error}".encode()[:1000]
    return b"+"
