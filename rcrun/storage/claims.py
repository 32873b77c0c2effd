"""Claiming a container's directory, its name and its lock: every write is ordered so that a crash at any point
leaves something that the next command understands (docs/store.md)."""

from __future__ import annotations

import os

from rcrun.errors import AlreadyExists, InvalidInput, NotFound, RcrunError
from rcrun.files import Lock, is_at, unlink_if_there
from rcrun.paths import make_private_dir
from rcrun.storage.containers import Container, load, name_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rcrun.paths import Store


class ContainerLock:
    """The container's lock, held; NotFound when the container went away meanwhile. The record is read again."""

    __slots__ = ("container", "lock")

    def __init__(self, container: Container) -> None:
        self.container = container
        self.lock = Lock(container.path("lock"))

    def acquire(self, *, wait: bool = True) -> bool:
        container = self.container
        try:
            if not self.lock.acquire(wait=wait):
                return False
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"no such container: {container.name}") from None
        if not is_at(self.lock.fd, container.path("lock")):
            self.lock.release()
            raise NotFound(f"no such container: {container.name}")
        again = load(container.store, container.id)
        if again is None:
            self.lock.release()
            raise NotFound(f"no such container: {container.name}")
        container.record = again.record
        return True

    def __enter__(self) -> ContainerLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.lock.release()


class Claim:
    """A container being made: its directory, locked, and its name; undone unless its record was saved."""

    __slots__ = ("container", "lock")

    def __init__(self, store: Store, container_id: str) -> None:
        self.container = Container(store, container_id, {"name": "", "id": container_id})
        self.lock = Lock(self.container.path("lock"))

    def claim_name(self, name: str) -> None:
        claim_name(self.container.store, name, self.container.id)
        self.container.record["name"] = name

    def is_saved(self) -> bool:
        return os.path.lexists(self.container.path("container.json"))

    def __enter__(self) -> Claim:
        make_private_dir(os.path.dirname(self.container.dir))
        os.mkdir(self.container.dir, 0o700)
        self.lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if not self.is_saved():
                _remove_what_is_ours(discard(self.container))
        finally:
            self.lock.release()


def claim(store: Store) -> Claim:
    return Claim(store, os.urandom(32).hex())


def claim_free(claim_name: Callable[[str], None], candidate: Callable[[int], str]) -> None:
    """The first candidate that nobody has; AlreadyExists after a thousand."""
    for attempt in range(1000):
        try:
            claim_name(candidate(attempt))
            return
        except AlreadyExists:
            continue
    raise AlreadyExists("cannot find a free name", "choose one with --name")


def random_name(attempt: int) -> str:
    from rcrun.formats import names

    return names.generated(lambda limit: int.from_bytes(os.urandom(8), "little") % limit, attempt)


def discard(container: Container) -> str:
    """No container any more, then no name, then into the trash; what is to be removed. The caller holds the lock.

    Killed in between, it is a leftover whose name is free: nothing shows a container by a name that is not its own.
    """
    store = container.store
    name = container.record["name"]
    unlink_if_there(container.path("container.json"))
    if name and name_target(store, name) == container.id:
        unlink_if_there(store.name_path(name))
    trashed = f"{store.trash_dir()}/{container.id}"
    try:
        make_private_dir(store.trash_dir())
    except OSError:
        return container.dir  # the disk is full
    try:
        os.rename(container.dir, trashed)
    except FileNotFoundError:
        pass  # the monitor was first
    return trashed


def _remove_what_is_ours(path: str) -> None:
    """As far as everything in it is ours: what a copied image has of other ids stays for the next sweep."""
    from rcrun.storage.trees import remove_tree

    try:
        remove_tree(path)
    except OSError:
        pass  # and must not hide why the container was not made


# Names.


def claim_name(store: Store, name: str, container_id: str) -> None:
    """AlreadyExists when another container has it."""
    while True:
        try:
            os.symlink(container_id, store.name_path(name))
            return
        except FileNotFoundError:
            make_private_dir(store.path("names"))
        except FileExistsError:
            holder = reclaim_name(store, name)
            if holder is not None:
                raise AlreadyExists(
                    f'the container name "{name}" is already in use by container "{holder}"',
                    f"remove or rename that container, or choose another name: rcrun rm {name}",
                ) from None


def reclaim_name(store: Store, name: str) -> str | None:
    """Free a name whose container has vanished; the id of its container when it has not."""
    with Lock(store.path("names.lock")):
        target = name_target(store, name)
        if target is None:
            return None
        if _name_is_taken(store, name, target):
            return target
        unlink_if_there(store.name_path(name))
        return None


def _name_is_taken(store: Store, name: str, container_id: str) -> bool:
    container = load(store, container_id)
    if container is not None and container.name == name:
        return True
    lock = Lock(f"{store.container_dir(container_id)}/lock")
    try:
        if not lock.acquire(wait=False):
            return True  # being made or renamed right now
    except (FileNotFoundError, NotADirectoryError):
        return False
    lock.release()
    again = load(store, container_id)  # it may have been finished before we had the lock
    return again is not None and again.name == name


def rename(container: Container, name: str) -> None:
    """The new name is claimed before the record changes, the old one given up after it."""
    with ContainerLock(container):
        old = container.name
        if name == old:
            raise InvalidInput("renaming a container with the same name as its current name")
        claim_name(container.store, name, container.id)
        try:
            container.record["name"] = name
            container.save()
        except FileNotFoundError:
            unlink_if_there(container.store.name_path(name))
            raise NotFound(f"no such container: {old}") from None  # its monitor takes no lock
        except OSError as error:
            unlink_if_there(container.store.name_path(name))
            raise RcrunError(f'cannot rename "{old}": {error.strerror}') from error
        if name_target(container.store, old) == container.id:
            unlink_if_there(container.store.name_path(old))
