"""Scopes of systemd: made, limited, joined and stopped over D-Bus (org.freedesktop.systemd1(5)).

The manager of the user where we are nobody's root, else the system's. Its own socket first: it needs no bus.
"""

from __future__ import annotations

import os

from rcrun.cgroup import properties
from rcrun.cgroup.delegated import MOUNT
from rcrun.errors import AlreadyExists, HostLacks, RcrunError
from rcrun.files import read_text
from rcrun.kernel import dbus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from rcrun.cgroup.properties import Place, Property

_NAME = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"
_MANAGER = f"{_NAME}.Manager"
_JOB_MATCH = f"type='signal',interface='{_MANAGER}',member='JobRemoved',path='{_PATH}'"
SYSTEM_SOCKETS = (("/run/systemd/private", True), ("/run/dbus/system_bus_socket", False))


class Manager:
    """One systemd: the system's, or a user's."""

    __slots__ = ("_bus", "path", "user")

    def __init__(self, path: str, *, peer: bool, user: bool) -> None:
        self._bus = bus = dbus.Connection(path, peer=peer)
        self.path = path
        self.user = user
        if not bus.peer:
            bus.call(
                "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                "AddMatch", "s", _JOB_MATCH,
            )  # fmt: skip

    def _call(self, member: str, signature: str, *values: Any) -> list[Any]:
        return self._bus.call(_NAME, _PATH, _MANAGER, member, signature, *values)

    def _job(self, verb: str, unit: str, member: str, signature: str, *values: Any) -> None:
        """Run a job of systemd to its end."""
        (job,) = self._call(member, signature, *values)
        result = self._bus.wait_signal("JobRemoved", job)[3]
        if result != "done":
            raise RcrunError(
                f'cannot {verb} the systemd unit "{unit}": the job ended with "{result}"',
                f"see: systemctl {'--user ' if self.user else ''}status {unit}",
            )

    def _property(self, name: str) -> str:
        values = self._bus.call(
            _NAME, _PATH, "org.freedesktop.DBus.Properties", "Get", "ss", _MANAGER, name
        )
        return str(values[0])

    def version(self) -> int:
        digits = self._property("Version").lstrip("v")
        end = next((at for at, letter in enumerate(digits) if not letter.isdigit()), len(digits))
        return int(digits[:end] or 0)

    def directory(self, place: Place) -> str:
        """Of the scope, whether it is there or not."""
        root = self._property("ControlGroup").rstrip("/")
        return f"{MOUNT}{root}{properties.expand_slice(place.slice)}/{place.unit}"

    def start(
        self, place: Place, pid: int, rows: Sequence[Property], asked: Iterable[Property]
    ) -> None:
        """A scope with this process in it. One that has failed, or whose processes have ended just now, gives way.

        `rows` are limits, which an older systemd may not know; `asked` are properties by name, which it must.
        """
        fixed: list[Property] = [
            ("Description", "s", "rcrun container"),
            ("Slice", "s", place.slice),
            ("Delegate", "b", True),
            ("PIDs", "au", [pid]),
            ("DefaultDependencies", "b", False),
            ("CollectMode", "s", "inactive-or-failed"),
            *((f"{name}Accounting", "b", True) for name in ("CPU", "Memory", "IO", "Tasks")),
        ]
        fixed += asked
        for last in (False, True):
            try:
                self._start(place.unit, fixed, rows)
                return
            except dbus.DBusError as error:
                if not error.name.endswith(".UnitExists"):
                    raise
                if last or self._is_used(place):
                    raise AlreadyExists(
                        f'the systemd unit "{place.unit}" already exists',
                        f"systemctl {'--user ' if self.user else ''}stop {place.unit}",
                    ) from None
                self.stop(place.unit)

    def drop_empty(self, place: Place) -> None:
        """A scope whose process ended while systemd put it there: it would stay, as no group of it gets empty."""
        if not self._is_used(place):
            self.stop(place.unit)

    def _is_used(self, place: Place) -> bool:
        return "populated 1" in read_text(f"{self.directory(place)}/cgroup.events")

    def _start(self, unit: str, fixed: Sequence[Property], rows: Sequence[Property]) -> None:
        def call(known: Sequence[Property]) -> None:
            wire = _wire([*fixed, *known])
            self._job(
                "make", unit, "StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "fail", wire, []
            )

        _with_known(call, rows)

    def make_slice(self, name: str, rows: Sequence[Property]) -> None:
        """With these limits; one that is there gets them."""
        try:
            self._start(name, [("Description", "s", "rcrun pod")], rows)
        except dbus.DBusError as error:
            if not error.name.endswith(".UnitExists"):
                raise
            self.set(name, rows)

    def set(self, unit: str, rows: Sequence[Property]) -> None:
        """Until the unit ends; systemd keeps them over a daemon-reload."""

        def call(known: Sequence[Property]) -> None:
            self._call("SetUnitProperties", "sba(sv)", unit, True, _wire(known))

        if rows:
            _with_known(call, rows)

    def attach(self, unit: str, below: str, pid: int) -> None:
        """Put a process into the unit's group, or one below it: for who may not do it himself."""
        self._call("AttachProcessesToUnit", "ssau", unit, below, [pid])

    def stop(self, unit: str) -> None:
        """What is gone already is no error."""
        try:
            self._job("stop", unit, "StopUnit", "ss", unit, "replace")
        except dbus.DBusError as error:
            if not error.name.endswith(".NoSuchUnit"):
                raise
        self.reset(unit)

    def reset(self, unit: str) -> None:
        try:
            self._call("ResetFailedUnit", "s", unit)
        except dbus.DBusError:
            pass  # it has not failed

    def record(self) -> dict[str, Any]:
        """For `again`: the environment of a later command may be another."""
        return {"path": self.path, "peer": self._bus.peer, "user": self.user}

    def close(self) -> None:
        self._bus.close()

    def fileno(self) -> int:
        return self._bus.fileno()


def _wire(rows: Iterable[Property]) -> list[tuple[str, tuple[str, Any]]]:
    return [(name, (signature, value)) for name, signature, value in rows]


def _with_known(call: Callable[[Sequence[Property]], None], rows: Sequence[Property]) -> None:
    """Without the properties that an older systemd does not know: the files of the group have the same."""
    given = list(rows)
    while True:
        try:
            call(given)
            return
        except dbus.DBusError as error:
            unknown = [row for row in given if f"Cannot set property {row[0]}," in error.message]
            if not unknown:
                raise
            given = [row for row in given if row not in unknown]


def sockets(environ: Mapping[str, str], uid: int) -> list[tuple[str, bool]]:
    """Of the user's manager: path, and whether it is systemd itself."""
    folder = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
    found = [(f"{folder}/systemd/private", True)]
    for address in environ.get("DBUS_SESSION_BUS_ADDRESS", "").split(";"):
        for key in ("path=", "abstract="):
            _, there, rest = address.partition(f"unix:{key}")
            if there:
                path = rest.partition(",")[0]
                found.append((path if key == "path=" else f"@{path}", False))
    return [*found, (f"{folder}/bus", False)]


def connect(environ: Mapping[str, str], *, user: bool) -> Manager:
    """HostLacks where no systemd answers."""
    places = sockets(environ, os.geteuid()) if user else list(SYSTEM_SOCKETS)
    tried = []
    for path, peer in places:
        try:
            return Manager(path, peer=peer, user=user)
        except (OSError, ValueError, dbus.DBusError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            tried.append(f'"{path}": {reason.lower()}')
    if user:
        hint = (
            "log in (ssh, not su), or run: sudo loginctl enable-linger $USER; export XDG_RUNTIME_DIR=/run/user/$(id -u);"
            " without systemd: --cgroup-manager=cgroupfs"
        )
    else:
        hint = "without systemd as process 1 use --cgroup-manager=cgroupfs"
    raise HostLacks(
        f"cannot reach {'the systemd of this user' if user else 'systemd'}: {'; '.join(tried)}",
        hint,
    )


def again(record: Mapping[str, Any]) -> Manager:
    """The one that made a scope."""
    try:
        return Manager(record["path"], peer=record["peer"], user=record["user"])
    except (OSError, ValueError, dbus.DBusError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise HostLacks(
            f'cannot reach the systemd that has the scope: "{record["path"]}": {reason.lower()}',
            "is the user who started the container still logged in? see: loginctl",
        ) from error
