"""The names of a pod's containers in the /etc/hosts that they share: of those that are here, and of no others.

The file is the infra container's, in which users and programs write, too; beside it stands which names are ours.
"""

from __future__ import annotations

import os

from rcrun.files import Lock, read_text, write_file, write_in_place
from rcrun.storage import containers, pods

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rcrun.paths import Store
    from rcrun.storage.containers import Container

NAMES = "hosts.names"


def renew(store: Store, pod_id: str, *, started: Container | None = None) -> None:
    """Lines of containers that have gone, or have another name now, go; `started` gets one."""
    pod = pods.load(store, pod_id)
    infra = containers.load(store, pod.infra_id) if pod is not None and pod.infra_id else None
    if infra is None or not os.path.exists(infra.path("hosts")):
        return  # with --no-hosts
    try:
        lock = Lock(infra.path(f"{NAMES}.lock"))
        lock.acquire()
    except FileNotFoundError:
        return  # it goes away just now
    try:
        noted = read_text(infra.path(NAMES)).split()
        kept = [name for name in noted if _is_here(store, name, pod_id)]
        text = changed(read_text(infra.path("hosts")), set(noted) - set(kept), ())
        if started is not None and started.name not in _names_in(text):
            kept.append(started.name)
        after = changed(text, (), [name for name in kept if name not in _names_in(text)])
        _write(infra, noted, kept, after)
    finally:
        lock.release()


def _is_here(store: Store, name: str, pod_id: str) -> bool:
    """One that is removed at its end is not, once it has ended."""
    found = containers.load(store, containers.name_target(store, name) or "-")
    if found is None or found.name != name or pods.pod_id_of(found) != pod_id:
        return False
    return not found.record.get("auto_remove") or containers.status(found).word not in (
        "exited", "removing",
    )  # fmt: skip


def changed(text: str, gone: Iterable[str], new: Iterable[str]) -> str:
    """The same text with a line less for each name that has gone, and one more for each new one. Pure."""
    ours = {f"127.0.0.1\t{name}\n" for name in gone}
    kept = [line for line in text.splitlines(keepends=True) if line not in ours]
    return "".join([*kept, *(f"127.0.0.1\t{name}\n" for name in new)])


def _names_in(text: str) -> set[str]:
    return {name for line in text.splitlines() for name in line.split()[1:]}


def _write(infra: Container, noted: list[str], kept: list[str], text: str) -> None:
    """Names before their lines, and lines before their names: one that is not noted would stay."""
    _note(infra, noted, list(dict.fromkeys([*noted, *kept])))
    try:
        write_in_place(infra.path("hosts"), text)
    except PermissionError:
        return  # a container has given it to somebody else
    _note(infra, [*noted, *kept], kept)


def _note(infra: Container, before: list[str], names: list[str]) -> None:
    if names != before:
        data = "".join([f"{name}\n" for name in names]).encode()
        write_file(infra.path(NAMES), data, durable=False)
