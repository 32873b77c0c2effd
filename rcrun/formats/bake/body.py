"""What a definition consists of, whatever its format: attributes, and blocks with labels and a body."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.formats.bake.nodes import Node


class Body:
    __slots__ = ("attributes", "blocks")

    def __init__(self) -> None:
        self.attributes: dict[str, Node] = {}
        self.blocks: list[Block] = []

    def blocks_of(self, word: str) -> list[Block]:
        return [block for block in self.blocks if block.word == word]


class Block:
    __slots__ = ("body", "labels", "place", "word")

    def __init__(self, word: str, labels: list[str], body: Body, place: str) -> None:
        self.word = word
        self.labels = labels
        self.body = body
        self.place = place
