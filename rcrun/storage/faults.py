"""What `system check` finds: what is wrong, what that costs, and how it can be mended."""

from __future__ import annotations

UNREAD = (
    "it could not be compared with its blob"  # the disk is full, or the layer went away meanwhile
)


class Fault:
    """`mend` names a way (engine/mending.py) and `words` are for it; without one only people can help: `hint`.

    `loses`: mending takes something away that exists nowhere else. `leftover`: it takes room and does no harm,
    and every command that removes something sweeps it.
    """

    __slots__ = ("cost", "hint", "leftover", "loses", "mend", "what", "words")

    def __init__(
        self,
        what: str,
        cost: str,
        mend: str = "",
        words: tuple[str, ...] = (),
        *,
        hint: str = "",
        loses: bool = False,
        leftover: bool = False,
    ) -> None:
        self.what = what
        self.cost = cost
        self.mend = mend
        self.words = words
        self.hint = hint
        self.loses = loses
        self.leftover = leftover


def leftover(what: str, cost: str = "room on the disk") -> Fault:
    """Of the kind that one sweep takes away, all together."""
    return Fault(what, cost, "sweep", leftover=True)


def reason(error: Exception) -> str:
    """An error in lower case, without the path that the fault names already."""
    text = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    return text[:1].lower() + text[1:]
