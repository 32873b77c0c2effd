"""What `images` shows on request, and `image tree`: another order, trees of names and of layers. Cold."""

from __future__ import annotations

from rcrun.formats import reference as grammar
from rcrun.formats.size import decimal
from rcrun_cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from rcrun.engine.images import Listed
    from rcrun.paths import Store
    from rcrun.storage.images import Image

# The newest comes first, and else the smallest, or the first of the alphabet.
_KEYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "created": lambda row: -row["Created"],
    "id": lambda row: row["ID"],
    "repository": lambda row: (row["Repository"], row["Tag"]),
    "size": lambda row: row["Bytes"],
    "tag": lambda row: row["Tag"],
}


def ordered(rows: Sequence[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    return sorted(rows, key=_KEYS[key])


def print_names(store: Store, found: Iterable[Listed], *, whole: bool) -> None:
    """Every image once, below its names, as docker does with --tree."""
    used = _used_images(store)
    rows = []
    for each in found:
        names = [grammar.familiar(name) for name in each.tags or each.digests] or ["<untagged>"]
        rows += [(name, "", "", "", "") for name in names[:-1]]
        extra = "U" if each.id in used else ""
        sizes = decimal(each.size(), 3), decimal(_content_size(each.image), 3)
        rows.append((names[-1], output.short_id(each.id, whole=whole), *sizes, extra))
    output.tell("U: a container uses it")
    output.print_table(("IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"), rows)


def _used_images(store: Store) -> set[str]:
    from rcrun.storage.containers import every

    return {str(container.record.get("image_id")) for container in every(store)}


def _content_size(image: Image) -> int:
    """Of the blobs, as a registry has them."""
    members = [image.manifest["config"], *image.manifest["layers"]]
    return sum(member["size"] for member in members)


def print_layers(store: Store, image: Image, *, children: bool) -> None:
    """The layers of an image below one another, with the images that end there; or what stands on it."""
    from rcrun.engine.history import layer_sizes
    from rcrun.engine.images import listed, of_image

    known = of_image(store, image)
    output.put(f"Image ID: {output.short_id(known.id)}")
    output.put(f"Tags:     [{' '.join(map(grammar.familiar, known.tags))}]")
    output.put(f"Size:     {decimal(known.size(), 4)}")
    output.put("Image Layers")
    others = listed(store)
    if children:
        top = image.chain[-1] if image.chain else ""
        _put_children(top, [each for each in others if top in each.image.chain])
        return
    ends: dict[str, list[str]] = {}
    for each in others:
        if each.image.chain:
            names = [grammar.familiar(name) for name in each.tags]
            ends.setdefault(each.image.chain[-1], []).extend(names)
    sizes = list(layer_sizes(store, image))
    for number, (chain, size) in enumerate(zip(image.chain, sizes, strict=True), 1):
        branch = "└──" if number == len(sizes) else "├──"
        top_of = f" Top Layer of: [{' '.join(ends[chain])}]" if ends.get(chain) else ""
        output.put(f"{branch} ID: {chain[:12]} Size: {decimal(size, 4)}{top_of}")


def _put_children(top: str, images: Sequence[Listed]) -> None:
    """The layers above, of all images that have this one's top layer."""
    from itertools import pairwise

    nodes: dict[str, list[str]] = {}
    names: dict[str, list[str]] = {}
    for each in images:
        above = each.image.chain[each.image.chain.index(top) :]
        for below, chain in pairwise(above):
            if chain not in nodes.setdefault(below, []):
                nodes[below].append(chain)
        names.setdefault(above[-1], []).extend(map(grammar.familiar, each.tags))
    stack = [(top, "", True)]
    while stack:
        chain, indent, is_last = stack.pop()
        top_of = f" Top Layer of: [{' '.join(names[chain])}]" if names.get(chain) else ""
        output.put(f"{indent}{'└──' if is_last else '├──'} ID: {chain[:12]}{top_of}")
        children = nodes.get(chain, [])
        deeper = indent + ("    " if is_last else "│   ")
        stack += [(each, deeper, each == children[-1]) for each in reversed(children)]
