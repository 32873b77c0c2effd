"""`system prune`: what nobody uses, of every kind, one kind after the other."""

from __future__ import annotations

from rcrun.engine import imageprune, networkrm, prune, volumerm
from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.engine.context import Context
    from rcrun.engine.rmi import Removed

KEYS = ("label=", "label!=", "until=")


class Pruned:
    """What went: ids of pods and containers, names of networks and volumes, images, results of builds; `size` in bytes."""

    __slots__ = ("builds", "containers", "images", "networks", "pods", "size", "volumes")

    def __init__(self) -> None:
        self.pods: list[str] = []
        self.containers: list[str] = []
        self.networks: list[str] = []
        self.builds: list[str] = []
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
    if not filters:
        from rcrun.engine.podrm import prune as prune_pods

        pruned.pods = prune_pods(context)
    pruned.containers, size = prune.prune(context, filters)
    pruned.size += size
    pruned.networks = networkrm.prune(context, filters)
    if with_volumes:
        pruned.volumes, size = volumerm.prune(context, filters=filters)
        pruned.size += size
    pruned.images, size = imageprune.prune(context, filters, everything=everything)
    pruned.size += size
    if not any(word.startswith("label") for word in filters):  # what builds keep has none
        _prune_builds(context, filters, pruned, everything=everything)
    return pruned


def _prune_builds(
    context: Context, filters: Sequence[str], pruned: Pruned, *, everything: bool
) -> None:
    import time

    from rcrun.engine.build import cache
    from rcrun.formats.moment import parse

    times = [parse(word.partition("=")[2], time.time_ns()) for word in filters]
    until = max(times) / 1_000_000_000 if times else None
    found = cache.prune(context, everything=everything, until=until)
    pruned.builds = found.keys
    pruned.size += found.size


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
