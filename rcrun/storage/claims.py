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
    from typing import TypeVar

    from rcrun.paths import Store

    Thing = TypeVar("Thing")


def held(
    lock: Lock,
    again: Callable[[], Thing | None],
    gone: Callable[[], NotFound],
    *,
    wait: bool = True,
) -> Thing | None:
    """What `again` reads once the lock is ours; None when somebody else has it. `gone` is raised when it went away."""
    try:
        if not lock.acquire(wait=wait):
            return None
    except (FileNotFoundError, NotADirectoryError):
        raise gone() from None
    found = again() if is_at(lock.fd, lock.path) else None
    if found is None:
        lock.release()
        raise gone()
    return found


class ContainerLock:
    """The container's lock, held; NotFound when the container went away meanwhile. The record is read again."""

    __slots__ = ("container", "lock")

    def __init__(self, container: Container) -> None:
        self.container = container
        self.lock = Lock(container.path("lock"))

    def acquire(self, *, wait: bool = True) -> bool:
        container = self.container
        again = held(
            self.lock,
            lambda: load(container.store, container.id),
            lambda: NotFound(f"no such container: {container.name}"),
            wait=wait,
        )
        if again is None:
            return False
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
    holder = claimed(store.name_path(name), container_id, lambda: reclaim_name(store, name))
    if holder is not None:
        raise AlreadyExists(
            f'the container name "{name}" is already in use by container "{holder}"',
            f"remove or rename that container, or choose another name: rcrun rm {name}",
        )


def claimed(path: str, own_id: str, reclaim: Callable[[], str | None]) -> str | None:
    """None once the name at `path` leads to us; else whose it is."""
    while True:
        try:
            os.symlink(own_id, path)
            return None
        except FileNotFoundError:
            make_private_dir(os.path.dirname(path))
        except FileExistsError:
            holder = reclaim()
            if holder is not None:
                return holder


def reclaim_name(store: Store, name: str) -> str | None:
    """Free a name whose container has vanished; the id of its container when it has not."""

    def has_it(container_id: str) -> bool:
        container = load(store, container_id)
        return container is not None and container.name == name

    return reclaimed(store, store.name_path(name), has_it, store.container_dir)


def reclaimed(
    store: Store, path: str, has_it: Callable[[str], bool], dir_of: Callable[[str], str]
) -> str | None:
    """Free the name at `path` if the thing that it leads to has vanished; its id when it has not."""
    with Lock(store.path("names.lock")):
        try:
            target = os.readlink(path)
        except OSError:
            return None
        if has_it(target) or _is_at_work(dir_of(target)) or has_it(target):
            return target  # looked at again: it may have been finished before we had the lock
        unlink_if_there(path)
        return None


def _is_at_work(directory: str) -> bool:
    """Whether somebody makes, renames or removes it right now."""
    lock = Lock(f"{directory}/lock")
    try:
        if not lock.acquire(wait=False):
            return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    lock.release()
    return False


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


def has_no_end(container: Container) -> bool:
    """It was launched, and nothing tells how that ended."""
    return bool(container.record.get("launched")) and not os.path.lexists(
        container.path("exit.json")
    )
