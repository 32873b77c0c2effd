"""A container's network beyond its start: a helper that is lost or left over, and the host's address."""

from __future__ import annotations

import _signal
import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.storage.containers import Container, Status

KINDS = ("pasta", "slirp4netns")
# Of the port proxies; the second one is UDP's beside TCP's.
PROXY_FILES = ("pasta.pid", "datagrams.pid")
MILLISECONDS_TO_END = 2000


def kind(container: Container) -> str:
    """`pasta` or `slirp4netns`; empty for a container that needs no process for its network."""
    mode = str((container.record.get("network") or {}).get("mode") or "")
    return mode if mode in KINDS else ""


def helper_pid(container: Container, name: str = "pasta.pid") -> int:
    try:
        with open(container.live_path(name), encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def is_lost(container: Container, now: Status) -> bool:
    """Whether the network has ended under a container that runs."""
    if now.is_running and (container.record.get("network") or {}).get("mode") == "bridge":
        bound = container.record["network"].get("bound")
        return bool(bound and _has_lost_proxy(container, now)) or _has_lost(container)
    if not now.is_running or not kind(container):
        return False
    pid = helper_pid(container)
    return not _is_child(pid, now) and not (pid and _names_us(container, pid))


def _has_lost_proxy(container: Container, now: Status) -> bool:
    first, second = PROXY_FILES
    if not _is_child(helper_pid(container, first), now):
        return True
    beside = helper_pid(container, second)
    return bool(beside) and not _is_child(beside, now)


def _has_lost(container: Container) -> bool:
    """Whether an interface of this running container is in no room, or the room has no way out any more."""
    from rcrun.engine.room import interfaces_of
    from rcrun.files import read_json_or_none, read_text
    from rcrun.kernel.process import is_alive
    from rcrun.network import definitions

    directory = definitions.room_dir(container.store)
    endpoints = (container.record.get("network") or {}).get("endpoints") or {}
    try:
        found = read_json_or_none(f"{directory}/room.json") or {}
    except ValueError:
        found = {}
    if not endpoints:
        return False
    if not is_alive(found.get("pid", 0), found.get("start", 0)):
        return True
    there = interfaces_of(found["pid"])
    if any(endpoint["veth"] not in there for endpoint in endpoints.values()):
        return True
    words = read_text(f"{directory}/outside").split()
    return len(words) == 2 and not is_alive(int(words[0]), int(words[1]))


def _is_child(pid: int, now: Status) -> bool:
    return bool(pid) and _parent(pid) == now.monitor


def _names_us(container: Container, pid: int) -> bool:
    """The number may be another process's by now: pasta has our id in one of its words."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            text = file.read()
    except OSError:
        return False
    return container.id.encode() in text and b"pasta" in text


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def end_helper(container: Container) -> None:
    """A pasta whose monitor was killed is left, and holds the container's ports; slirp4netns ends with it."""
    pid = helper_pid(container)
    for found in {*([pid] if pid else []), *_strays(container)}:
        _end(container, found)


def _strays(container: Container) -> list[int]:
    """Where the monitor was killed before the network's process could write its number."""
    if os.path.exists(container.path("exit.json")):
        return []
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if _names_us(container, pid)]


def _end(container: Container, pid: int) -> None:
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if _names_us(container, pid):
            _signal.pidfd_send_signal(fd, _signal.SIGKILL)
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            poll.poll(MILLISECONDS_TO_END)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


def refresh_hosts(container: Container) -> None:
    """The host may have another address than at the last start; nothing else of the file is touched."""
    if not kind(container):
        return
    from rcrun.files import write_file
    from rcrun.network.hosts import with_host_address
    from rcrun.network.route import host_address

    path = container.path("hosts")
    try:
        with open(path, "rb") as file:
            before = file.read().decode("utf-8", "surrogateescape")
    except OSError:
        return  # --no-hosts
    said = container.record["network"].get("host_address")
    after = before if said == "none" else with_host_address(before, said or host_address())
    if after != before:
        write_file(path, after.encode("utf-8", "surrogateescape"), durable=False)
