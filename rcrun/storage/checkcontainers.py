"""`system check`, of containers, names, volumes and secrets: their records against what lies beside them."""

from __future__ import annotations

import os
import time

from rcrun.errors import RcrunError
from rcrun.files import Lock, read_json_or_none, subdirectories
from rcrun.storage import containers, volumes
from rcrun.storage.faults import Fault, leftover, reason
from rcrun.storage.sweep import LEFTOVER_SECONDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rcrun.paths import Store
    from rcrun.storage.containers import Container

CANNOT_START = 'container "{}" cannot be started'


def faults(store: Store) -> Iterator[Fault]:
    for container_id in sorted(subdirectories(store.path("containers"))):
        yield from _directory_faults(store, container_id)
    for container in containers.every(store):
        if os.path.lexists(container.path("container.json")) and not is_damaged(container):
            yield from _container_faults(container)
    yield from _name_faults(store)
    yield from _volume_faults(store)
    yield from _secret_faults(store)


def is_damaged(container: Container) -> bool:
    return str(container.record.get("error", "")).startswith("container.json is damaged")


# One container.


def _directory_faults(store: Store, container_id: str) -> Iterator[Fault]:
    folder = store.container_dir(container_id)
    if not os.path.isdir(folder):
        yield Fault(f'"{folder}" is no container', "nothing", "trash", (folder,), loses=True)
        return
    container = containers.load(store, container_id)
    if container is None:
        if _is_abandoned(folder):
            yield leftover(f'"{folder}" has no record: a container that was being made or removed')
    elif is_damaged(container):
        what = str(container.record["error"])
        cost = (
            f'{CANNOT_START.format(container_id[:12])}; what it has written is in "{folder}/upper"'
        )
        yield _lost(container, f'container "{container_id[:12]}": {what}', cost)


def _lost(container: Container, what: str, cost: str) -> Fault:
    """Only its removal ends such a fault, and that takes its data."""
    hint = f"rcrun cp what you need out of it, then: rcrun rm -f {container.id[:12]}"
    return Fault(what, cost, "container", (container.id,), loses=True, hint=hint)


def _is_abandoned(folder: str) -> bool:
    lock = Lock(f"{folder}/lock")
    try:
        if time.time() - os.stat(folder).st_mtime < LEFTOVER_SECONDS:
            return False
        if not os.path.lexists(lock.path):
            return True
        return lock.acquire(wait=False)
    except OSError:
        return False
    finally:
        lock.release()


def lowers(container: Container) -> list[tuple[str, str]]:
    """Kind and chain of the layers that it stands on, as far as its record has any."""
    rootfs = container.record.get("rootfs")
    paths = rootfs.get("lowers") if isinstance(rootfs, dict) else None
    parts = [str(path).split("/") for path in (paths if isinstance(paths, list) else [])]
    return [(each[-3], each[-2]) for each in parts if len(each) >= 4]


def _container_faults(container: Container) -> Iterator[Fault]:
    """A record may hold anything where it was damaged."""
    try:
        yield from list(_faults_of(container))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        what = f'container "{container.name}": its records are damaged: {type(error).__name__}: {error}'
        yield _lost(container, what, CANNOT_START.format(container.name))


def _faults_of(container: Container) -> Iterator[Fault]:
    name, cost = container.name, CANNOT_START.format(container.name)
    try:
        spec = container.config()
    except (RcrunError, OSError):
        what = f'container "{name}": its config.json is missing or damaged'
        yield _lost(container, what, cost)
        return
    yield from _root_faults(container, cost)
    yield from _bound_file_faults(container, spec, cost)
    for volume in dict.fromkeys(volumes.names_in(container)):
        if volumes.find(container.store, volume) is None:
            what = f'container "{name}": its volume "{volume}" is missing'
            yield Fault(what, f"{cost}, and the volume's files are gone", "volume", (volume,))
    if containers.name_target(container.store, name) != container.id:
        what = f'container "{container.id[:12]}": its name "{name}" does not lead to it'
        yield Fault(what, "it is found by its id only", "name", (container.id, name))


def _root_faults(container: Container, cost: str) -> Iterator[Fault]:
    rootfs = container.record.get("rootfs") or {}
    name, driver = container.name, rootfs.get("driver")
    if rootfs.get("kind") == "directory":
        if not os.path.isdir(str(rootfs.get("path"))):
            what = f'container "{name}": its root "{rootfs.get("path")}" is missing'
            yield Fault(what, cost, hint="put the directory back, or remove the container")
        return
    for kind, chain in lowers(container) if driver != "copy" else ():
        if not os.path.isdir(f"{container.store.layer_dir(kind, chain)}/diff"):
            what = f'container "{name}": layer "{chain[:12]}" ({kind}) is missing'
            yield Fault(what, cost, "layer", (kind, chain))
    for base in ("rootfs",) if driver == "copy" else ("rootfs", "upper", "work"):
        if not os.path.isdir(container.path(base)):
            more = {"upper": ", and what it had changed is gone"}.get(base, "")
            what = f'container "{name}": its directory "{base}" is missing'
            yield Fault(what, cost + more, "directory", (container.id, base))


def _bound_file_faults(container: Container, spec: Any, cost: str) -> Iterator[Fault]:
    """Files of its directory that are bound into it; upper directories of `:O` are made anew at each start."""
    begin = container.dir + "/"
    for mount in spec.get("mounts") or ():
        source = str(mount.get("source") or "")
        made_anew = source.startswith(f"{begin}overlay/")
        if source.startswith(begin) and not made_anew and not os.path.lexists(source):
            base = source.removeprefix(begin)
            what = f'container "{container.name}": its file "{base}" is missing'
            known = base in ("hosts", "hostname", "resolv.conf")
            mend = ("bound-file", (container.id, base)) if known else ("", ())
            yield Fault(what, cost, *mend, hint="" if known else "make the container again")


# Names, volumes, secrets.


def _name_faults(store: Store) -> Iterator[Fault]:
    for name in sorted(subdirectories(store.path("names"))):
        target = containers.name_target(store, name)
        path = store.name_path(name)
        if target is None:
            if os.path.lexists(path):
                yield Fault(f'"{path}" is no name', f'no container can be called "{name}"', "trash", (path,), loses=True)  # fmt: skip
            continue
        container = containers.load(store, target)
        if container is None and os.path.isdir(store.container_dir(target)):
            continue  # being made, or a leftover that is told of
        if container is None:
            yield leftover(f'the name "{name}" of a container that is gone', "nothing")
        elif container.name != name and not is_damaged(container):
            yield leftover(f'the name "{name}" that its container has given up', "nothing")


def _volume_faults(store: Store) -> Iterator[Fault]:
    for name in sorted(subdirectories(store.path("volumes"))):
        folder = store.volume_dir(name)
        if not os.path.isdir(folder):
            yield Fault(f'"{folder}" is no volume', f'no volume can be called "{name}"', "trash", (folder,), loses=True)  # fmt: skip
            continue
        path = f"{folder}/volume.json"
        try:
            record = read_json_or_none(path)
            damage = "" if record is None or isinstance(record, dict) else "it is not a record"
        except (ValueError, OSError) as error:
            damage = reason(error)
        if damage:
            what = f'volume "{name}": volume.json is damaged: {damage}'
            yield Fault(what, "its labels and options; its files are there", "volume-record", (name,))  # fmt: skip
        if not os.path.isdir(f"{folder}/_data") and os.path.isdir(folder):
            what = f'volume "{name}": its directory "_data" is missing'
            yield Fault(what, "its containers cannot be started; its files are gone", "volume-data", (name,))  # fmt: skip


def _secret_faults(store: Store) -> Iterator[Fault]:
    from rcrun.storage import secrets

    known = {str(record["name"]) for record in secrets.every(store)}
    for name in sorted(subdirectories(store.path("secrets"))):
        path = secrets.path_of(store, name)
        if name not in known and os.path.lexists(path):
            what = f'secret "{name}" is damaged'
            yield Fault(what, "no container can be made with it", "trash", (path,), loses=True, hint=f"rcrun secret create --replace {name} FILE")  # fmt: skip
