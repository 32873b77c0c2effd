"""`system prune`: what nobody uses, of every kind, one kind after the other."""

from __future__ import annotations

from rcrun.engine import imageprune, prune, volumerm
from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.engine.context import Context
    from rcrun.engine.rmi import Removed

KEYS = ("label=", "label!=", "until=")


class Pruned:
    """What went: ids of containers, names of volumes, images; `size` in bytes."""

    __slots__ = ("containers", "images", "size", "volumes")

    def __init__(self) -> None:
        self.containers: list[str] = []
        self.volumes: list[str] = []
        self.images: list[Removed] = []
        self.size = 0


def check_filters(filters: Sequence[str]) -> None:
    for word in filters:
        if not word.startswith(KEYS):
            raise InvalidInput(
                f'invalid filter "{word}"', "system prune knows label, label! and until"
            )


def prune_all(
    context: Context, filters: Sequence[str] = (), *, everything: bool, with_volumes: bool
) -> Pruned:
    """Containers first: volumes and images are unused once these are gone."""
    check_filters(filters)
    pruned = Pruned()
    pruned.containers, size = prune.prune(context, filters)
    pruned.size += size
    if with_volumes:
        pruned.volumes, size = volumerm.prune(context, filters=filters)
        pruned.size += size
    pruned.images, size = imageprune.prune(context, filters, everything=everything)
    pruned.size += size
    return pruned


def sweep(context: Context) -> int:
    """What crashes left behind, and blobs and layers that nothing names: the bytes of these."""
    from rcrun.engine.rm import Removal
    from rcrun.engine.work import worded
    from rcrun.errors import StepFailed
    from rcrun.storage.collect import collect

    Removal(context).finish()
    try:
        return collect(context.store, context.identity).size
    except StepFailed as error:
        raise worded(error) from error
