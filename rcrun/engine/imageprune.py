"""Remove the images that nobody needs: those without a name, or all that no container was made of."""

from __future__ import annotations

from rcrun.engine.images import Listed, listed
from rcrun.engine.rmi import finish, remove
from rcrun.errors import InvalidInput, RcrunError
from rcrun.storage import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.engine.context import Context
    from rcrun.engine.rmi import Removed

_KEYS = ("until=", "label=", "label!=", "dangling=")


def prune(
    context: Context, filters: Sequence[str] = (), *, everything: bool = False
) -> tuple[list[Removed], int]:
    """What went, and the bytes that were freed."""
    for word in filters:
        if not word.startswith(_KEYS):
            raise InvalidInput(
                f'invalid filter "{word}"', "image prune knows dangling, label, label! and until"
            )
    kept = [word for word in filters if not word.startswith("label!=")]
    if not everything and not any(word.startswith("dangling=") for word in kept):
        kept.append("dangling=true")
    unwanted = [word[7:] for word in filters if word.startswith("label!=")]
    found = [
        each
        for each in listed(context.store, filters=kept)
        if not each.read_only and not _has_any(each, unwanted)
    ]
    before = _sizes(context)
    removed = _remove(context, found)
    finish(context)
    return removed, max(0, sum(before.values()) - sum(_sizes(context).values()))


def _has_any(each: Listed, labels: Sequence[str]) -> bool:
    for label in labels:
        key, equals, value = label.partition("=")
        if key in each.labels and (not equals or each.labels[key] == value):
            return True
    return False


def _remove(context: Context, found: Sequence[Listed]) -> list[Removed]:
    used = {c.record.get("manifest_digest") for c in containers.every(context.store)}
    removed = []
    for each in found:
        if used & {each.image.digest, each.image.descriptor["digest"]}:
            continue
        try:
            removed.append(remove(context, each.id, all_names=True))
        except RcrunError:
            continue  # in use or gone meanwhile
    return removed


def _sizes(context: Context) -> dict[str, int]:
    """Each layer once, by its chainID."""
    from rcrun.engine.history import layer_sizes

    sizes: dict[str, int] = {}
    for each in listed(context.store):
        sizes.update(zip(each.image.chain, layer_sizes(context.store, each.image), strict=True))
    return sizes
