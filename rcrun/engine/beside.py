"""What goes beside a container's making and start: descriptors passed on, what it requires, whose name it takes. Cold."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput, NotFound
from rcrun.storage.containers import every, find, load, name_target, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.engine.config import Built
    from rcrun.engine.context import Context
    from rcrun.paths import Store
    from rcrun.storage.containers import Container

_MOST_FDS = 1000


def passed_fds(options: Mapping[str, Any]) -> int:
    """How many from 3 on the container gets. A number that was not named shows /dev/null there, never what we have open."""
    wanted = set(range(3, 3 + (options.get("preserve_fds") or 0)))
    for word in [word for text in options.get("preserve_fd") or () for word in text.split(",")]:
        if not word.isdecimal() or not 3 <= int(word) < 3 + _MOST_FDS:
            raise InvalidInput(f'invalid --preserve-fd "{word}"', "write numbers from 3 on: 3,5")
        wanted.add(int(word))
    if (options.get("preserve_fds") or 0) > _MOST_FDS or (options.get("preserve_fds") or 0) < 0:
        raise InvalidInput(f"invalid --preserve-fds {options['preserve_fds']}: at most {_MOST_FDS}")
    for fd in sorted(wanted):
        if not _is_open(fd):
            raise InvalidInput(f"cannot pass descriptor {fd} on: it is not open")
    last = max(wanted, default=2)
    for fd in range(3, last + 1):
        if fd not in wanted:
            _cover(fd)
        os.set_inheritable(fd, True)
    return last - 2


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _cover(fd: int) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    if null != fd:
        os.dup2(null, fd)
        os.close(null)


# ---- --replace, --requires, --userns auto


def remove_holder(context: Context, name: str) -> None:
    """The container that has the name, whether it runs or not."""
    target = name_target(context.store, name)
    holder = load(context.store, target) if target else None
    if holder is None or holder.name != name:
        return
    from rcrun.engine.rm import Removal

    removal = Removal(context, force=True)
    removal.take(holder.id)
    removal.finish()


def start_required(context: Context, container: Container) -> None:
    from rcrun.engine.start import start

    if container.record.get("pod"):
        from rcrun.engine.podmember import before_start

        before_start(context, container)
    for container_id in container.record.get("requires") or ():
        other = load(context.store, container_id)
        if other is None:
            raise NotFound(
                f'cannot start "{container.name}": the container {container_id[:12]} that it requires is gone',
                f"make it anew: rcrun rm {container.name}",
            )
        if not status(other).is_running:
            start(context, other)


def taken_ids(store: Store, which: str) -> list[tuple[int, int]]:
    """The ranges that containers have to themselves; whoever asks holds the lock until his record is written."""
    rows = [container.record.get("own_ids") or {} for container in every(store)]
    return [(first, count) for row in rows for first, count in row.get(which) or []]


def write_monitor_pid(container: Container) -> None:
    from rcrun.files import write_file

    now = status(find(container.store, container.id))
    text = str(now.monitor) if now.monitor else ""
    write_file(container.record["conmon_pidfile"], text.encode(), durable=False)


# ---- /etc/passwd and /etc/group


def write_accounts(container: Container, built: Built, lowers: Sequence[str]) -> None:
    """Into the container's own files, where its programs may change them; over a directory of the host they are mounted."""
    rootfs = container.record["rootfs"]
    for name, text in container.record.pop("accounts").items():
        if rootfs["kind"] == "directory" or rootfs["driver"] != "overlay":
            _bind(container, built, name, text)
            continue
        folder = container.path("upper/etc")
        if not os.path.isdir(folder):
            os.mkdir(folder)
            os.chmod(folder, _mode_of(lowers, "etc"))
        _write(f"{folder}/{name}", text)


def _mode_of(lowers: Sequence[str], path: str) -> int:
    for lower in lowers:
        try:
            return os.lstat(f"{lower}/{path}").st_mode & 0o7777
        except OSError:
            continue
    return 0o755


def _bind(container: Container, built: Built, name: str, text: str) -> None:
    _write(container.path(name), text)
    built.config["mounts"].append(
        {
            "destination": f"/etc/{name}",
            "type": "bind",
            "source": container.path(name),
            "options": ["bind", "rprivate"],
        }
    )


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with open(fd, "w", encoding="utf-8") as file:
        file.write(text)
