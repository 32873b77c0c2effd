"""Which containers `--all`, `--latest`, `--filter` and `--cidfile` mean."""

from __future__ import annotations

from rcrun.engine.ps import listed
from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.storage.containers import every, find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rcrun.paths import Store
    from rcrun.storage.containers import Container, Status


def choose(
    store: Store,
    names: Sequence[str],
    fits: Callable[[Status], bool],
    *,
    everything: bool,
    latest: bool,
    filters: Sequence[str],
    cidfiles: Sequence[str],
    ignore: bool,
) -> list[str]:
    """Ids, or what was typed; `fits` tells which ones --all means. A filter chooses among the names that are given."""
    if sum(map(bool, (everything, latest, names or cidfiles))) > 1:
        raise InvalidInput("--all, --latest and containers cannot be used together")
    if latest:
        return [newest(store).id]
    typed = [*names, *ids_in_files(cidfiles, ignore=ignore)]
    if everything or filters:
        found = [seen.container.id for seen in listed(store, everything=True, filters=filters)
                 if filters or fits(seen.status)]  # fmt: skip
        return [name for name in typed if find(store, name).id in found] if typed else found
    return typed


def newest(store: Store) -> Container:
    for container in every(store):
        return container
    raise NotFound("no containers to be found: there is no latest one", "rcrun ps -a")


def ids_in_files(paths: Sequence[str], *, ignore: bool) -> list[str]:
    """What --cidfile of `run` wrote; with `ignore` a missing file means no container."""
    found = []
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.readline(200).strip()
        except FileNotFoundError:
            if ignore:
                continue
            raise InvalidInput(f'there is no file "{path}" to read a container id from') from None
        except OSError as error:
            raise RcrunError(f'cannot read "{path}": {error.strerror}') from error
        if not text:
            raise InvalidInput(f'no container id in "{path}"')
        found.append(text)
    return found


def dependents(store: Store, names: Sequence[str], *, ignore: bool) -> list[str]:
    """The ids of these and of all that depend on them, the dependent ones first."""
    containers = every(store)
    order: list[str] = []

    def visit(container: Container, above: tuple[str, ...]) -> None:
        for other in containers:
            if other.id not in above and container.id in _needed(store, other):
                visit(other, (*above, other.id))
        if container.id not in order:
            order.append(container.id)

    for name in names:
        try:
            found = find(store, name)
        except NotFound:
            order.append(name)  # the removal says it, or ignores it
        else:
            visit(found, (found.id,))
    return order


def _needed(store: Store, container: Container) -> set[str]:
    """Whose namespaces it joins, and what it requires."""
    words = [str(word) for word in container.record.get("requires") or []]
    words += [
        word.partition(":")[2] for word in _texts(container.record) if word.startswith("container:")
    ]
    found = set()
    for word in words:
        try:
            found.add(find(store, word).id)
        except RcrunError:
            continue  # it is gone
    return found


def _texts(value: object) -> list[str]:
    """The texts of the record, also those of its members' members."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for member in value.values() for text in _texts(member)]
    return []
