"""Take volumes away: by name, all that nobody uses, and those that went with their containers."""

from __future__ import annotations

from rcrun.engine.eventlog import emit
from rcrun.engine.rm import remove_trees
from rcrun.errors import InUse, NotFound
from rcrun.storage import volumes
from rcrun.storage.volumes import VolumeLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rcrun.engine.context import Context
    from rcrun.paths import Store
    from rcrun.storage.containers import Container


PRUNE_FILTERS = (
    "after", "anonymous", "driver", "label", "label!", "name", "opt", "since", "until",
)  # fmt: skip


class VolumeRemoval:
    """Takes volumes one by one; `finish` then removes the files of all of them in one go."""

    __slots__ = ("context", "force", "trees", "with_users")

    def __init__(self, context: Context, *, force: bool = False, with_users: bool = False) -> None:
        self.context = context
        self.force = force
        self.with_users = with_users
        self.trees: list[str] = []

    def take(self, name: str) -> bool:
        """False for one that was not there, which with force is no error; with `with_users` its containers go first."""
        try:
            if self.with_users:
                self._remove_users(name)
            self._take(name)
        except NotFound:
            if not self.force:
                raise
            return False
        return True

    def _take(self, name: str) -> None:
        with VolumeLock(self.context.store, name) as lock:
            used = volumes.users(self.context.store).get(name)
            if used:
                raise _in_use(name, used)
            self.trees.append(volumes.discard(lock))
        emit(self.context.store, "volume", "destroy", name, {"driver": "local"})

    def _remove_users(self, name: str) -> None:
        from rcrun.engine.rm import Removal

        volumes.load(self.context.store, name)
        removal = Removal(self.context, force=True)
        for container in volumes.users(self.context.store).get(name, []):
            removal.take(container.id)
        removal.finish()

    def finish(self) -> None:
        remove_trees(self.context, self.trees)
        self.trees = []


def _in_use(name: str, used: Sequence[Container]) -> InUse:
    names = " ".join(container.name for container in used)
    ids = ", ".join(container.id[:12] for container in used)
    return InUse(
        f"remove {name}: volume is in use - [{ids}]",
        f"remove its containers first: rcrun rm {names}",
    )


def remove_unused(context: Context, names: Iterable[str]) -> None:
    """Of these, the ones that no container has any more."""
    taken = volumes.take_unused(context.store, names)
    tell_destroyed(context.store, taken)
    remove_trees(context, list(taken.values()))


def tell_destroyed(store: Store, names: Iterable[str]) -> None:
    for name in names:
        emit(store, "volume", "destroy", name, {"driver": "local"})


def prune(
    context: Context, *, everything: bool = False, filters: Sequence[str] = ()
) -> tuple[list[str], int]:
    """Unused volumes, without `everything` the anonymous ones: the names of what went, and how many bytes they had."""
    from rcrun.engine.ps import tree_size
    from rcrun.engine.volume import matching, truth

    words = [word for word in filters if not word.startswith("all=")]
    for word in filters:
        if word.startswith("all="):
            everything = truth("all", word[4:]) or everything
    found = matching(context.store, words, known=PRUNE_FILTERS)
    names = [str(each["name"]) for each in found if everything or each["anonymous"]]
    # What a container is being made with is not unused: nobody waits for that.
    taken = volumes.take_unused(context.store, names, wait=False)
    tell_destroyed(context.store, taken)
    size = sum(tree_size(f"{path}/_data") for path in taken.values())
    remove_trees(context, list(taken.values()))
    return sorted(taken), size
