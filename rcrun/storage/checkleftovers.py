"""`system check`, of what crashes left: the trash, scratch, leases, and live state of what does not live."""

from __future__ import annotations

import os

from rcrun.files import subdirectories
from rcrun.storage import collect, containers
from rcrun.storage.faults import Fault, leftover
from rcrun.storage.scratch import lock_leftover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rcrun.paths import Store
    from rcrun.storage.containers import Container


def faults(store: Store) -> Iterator[Fault]:
    trash = [name for name in subdirectories(store.trash_dir()) if not name.endswith(".volumes")]
    if trash:
        yield leftover(f"{len(trash)} things in the trash")
    yield from _scratch(store)
    live = f"{store.live_dir}/containers"
    for name in sorted(subdirectories(live)):
        if not os.path.lexists(store.container_dir(name)):
            yield leftover(f'live state "{live}/{name}" without a container', "nothing")
    for container in containers.every(store):
        yield from _of_container(container)


def _scratch(store: Store) -> Iterator[Fault]:
    tmp_dir = store.tmp_dir()
    for name in sorted(subdirectories(tmp_dir)):
        path = f"{tmp_dir}/{name}"
        if not collect.is_abandoned(path):
            continue
        fd = lock_leftover(path)
        if fd is not None:
            os.close(fd)
            kind = "a lease" if name.startswith("lease.") else "something half made"
            yield leftover(f'"{path}": {kind} of a process that is gone')


def _of_container(container: Container) -> Iterator[Fault]:
    """Only of one that does not run, and whose monitor is gone: it tidies up itself."""
    now = containers.status(container)
    if now.is_running or now.monitor:
        return
    name, ids = container.name, (container.id,)
    if os.path.lexists(container.live_path("attach.sock")):
        yield Fault(f'container "{name}": the socket of a monitor that was killed', "nothing", "live-state", ids, leftover=True)  # fmt: skip
    group = str(container.record.get("cgroup") or "")
    if group and os.path.isdir(group):
        yield Fault(f'container "{name}": its cgroup is still there', "processes may go on in it", "live-state", ids, leftover=True)  # fmt: skip
    if _helper_lives(container):
        yield Fault(f'container "{name}": the process of its network still runs', "it holds the published ports", "live-state", ids, leftover=True)  # fmt: skip


def _helper_lives(container: Container) -> bool:
    try:
        with open(container.live_path("pasta.pid"), encoding="ascii") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/cmdline", "rb") as words:
            return container.id.encode() in words.read()
    except (OSError, ValueError):
        return False
