"""A scope of systemd, tried as `run` has it: with a process in it, and gone again."""

from __future__ import annotations

import os

from rcrun.errors import HostLacks, RcrunError
from rcrun.files import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.cgroup.properties import Place
    from rcrun.cgroup.systemd import Manager
    from rcrun.engine.doctor.here import Here


class Tried:
    """`group` is where it was, `given` its controllers; or the `fault`, in systemd's words."""

    __slots__ = ("fault", "given", "group")

    def __init__(self, group: str, given: list[str], fault: str) -> None:
        self.group = group
        self.given = given
        self.fault = fault


def try_scope(here: Here) -> Tried | None:
    """None where no systemd answers: then nobody asks it for one."""
    from rcrun.cgroup.properties import Place
    from rcrun.cgroup.systemd import connect
    from rcrun.kernel.dbus import DBusError

    user = here.uid != 0
    try:
        manager = connect(here.environ, user=user)
    except HostLacks:
        return None
    place = Place("user.slice" if user else "system.slice", f"rcrun-doctor-{os.getpid()}.scope")
    try:
        return Tried(*_tried(manager, place), "")
    except (RcrunError, DBusError, OSError) as error:
        return Tried("", [], str(getattr(error, "message", "") or error))
    finally:
        manager.close()


def _tried(manager: Manager, place: Place) -> tuple[str, list[str]]:
    """Around a process that waits for us; the scope ends with it."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.posix_spawnp("cat", ["cat"], {}, file_actions=[(os.POSIX_SPAWN_DUP2, reader, 0)])
    except OSError:
        os.close(writer)
        raise
    finally:
        os.close(reader)
    try:
        manager.start(place, pid, [], [])
        group = manager.directory(place)
        return group, read_text(f"{group}/cgroup.controllers").split()
    finally:
        os.close(writer)
        os.waitpid(pid, 0)
