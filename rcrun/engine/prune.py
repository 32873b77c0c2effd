"""Remove the containers that do not run, and what crashes left behind."""

from __future__ import annotations

import time

from rcrun.engine.ps import listed, tree_size
from rcrun.engine.rm import Removal
from rcrun.errors import InvalidInput, RcrunError
from rcrun.storage.containers import seconds_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.engine.context import Context


def prune(context: Context, filters: Sequence[str] = ()) -> tuple[list[str], int]:
    """The ids of what went, and how many bytes they had written."""
    limits = [_moment(word[6:]) for word in filters if word.startswith("until=")]
    others = [word for word in filters if not word.startswith("until=")]
    for word in others:
        if not word.startswith(("label=", "label!=")):
            raise InvalidInput(f'invalid filter "{word}"', "prune knows label, label! and until")
    removal = Removal(context)
    removed, size = [], 0
    for seen in listed(context.store, everything=True, filters=others):
        container = seen.container
        created = seconds_of(str(container.record["created"]))
        if seen.status.is_up or any(created > limit for limit in limits):
            continue
        written = tree_size(container.path("upper"))
        try:
            removal.take(container.id)
        except RcrunError:
            continue  # started or removed meanwhile
        removed.append(container.id)
        size += written
    removal.finish()
    return removed, size


def _moment(text: str) -> float:
    from rcrun.formats.moment import parse

    return parse(text, time.time_ns()) / 1e9
