"""The images of the store as people see them: listed, filtered, named, inspected."""

from __future__ import annotations

import os
import time

from rcrun.errors import InvalidInput, RcrunError
from rcrun.files import read_json_or_none, subdirectories
from rcrun.formats import duration, size, timestamp
from rcrun.formats import reference as grammar
from rcrun.storage import images, layout, wholes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from rcrun.formats.image import Descriptor
    from rcrun.formats.reference import Reference
    from rcrun.paths import Store
    from rcrun.storage.images import Image

NONE = "<none>"


class Listed:
    """An image with every name that it has; `tags` and `digests` are its references of each kind."""

    __slots__ = ("created", "digests", "image", "read_only", "store", "tags")

    def __init__(
        self, store: Store, image: Image, names: Iterable[str], *, read_only: bool = False
    ) -> None:
        self.store = store
        self.read_only = read_only  # another store has it
        self.image = image
        references = [reference for reference in map(_reference, sorted(names)) if reference]
        self.tags = [reference for reference in references if reference.tag]
        self.digests = [reference for reference in references if reference.digest]
        self.created = timestamp.parse_or_zero(image.config.get("created"))

    @property
    def id(self) -> str:
        return self.image.config_digest

    @property
    def labels(self) -> Mapping[str, str]:
        return (self.image.config.get("config") or {}).get("Labels") or {}

    def size(self) -> int:
        return image_size(self.store, self.image)


def _reference(name: str) -> Reference | None:
    """None for a name that another tool gave and that is no reference."""
    try:
        return grammar.parse(name) if name else None
    except InvalidInput:
        return None


def listed(store: Store, *, filters: Sequence[str] = (), pattern: str = "") -> list[Listed]:
    """The newest first. What cannot be read is left out."""
    patterns = [word.partition("=")[2] for word in filters if word.startswith("reference=")]
    tests = [_parsed_filter(store, f) for f in filters if not f.startswith("reference=")]
    found = [each for each in _all(store) if all(test(each) for test in tests)]
    for wanted in ([pattern] if pattern else [], patterns):
        if wanted:
            found = _with_names(found, wanted)
    found.sort(key=lambda each: (each.created, each.id), reverse=True)
    return found


def _all(store: Store) -> list[Listed]:
    """One for each manifest, with all its names; those of other stores behind, unless they are here, too."""
    found: dict[str, Listed] = {}
    for number, entries in enumerate([layout.references(store), *images.entries_elsewhere(store)]):
        for same in _by_digest(entries):
            try:
                image = wholes.image_or_index(store, same[0])
            except (RcrunError, OSError):
                continue
            each = Listed(store, image, map(layout.name_of, same), read_only=number > 0)
            found.setdefault(same[0]["digest"], each)
    return list(found.values())


def _by_digest(entries: Iterable[Descriptor]) -> Iterable[list[Descriptor]]:
    found: dict[str, list[Descriptor]] = {}
    for entry in entries:
        found.setdefault(entry["digest"], []).append(entry)
    return found.values()


def of_image(store: Store, image: Image) -> Listed:
    """The same image with all its names."""
    digest = image.descriptor["digest"]
    for number, entries in enumerate([layout.references(store), *images.entries_elsewhere(store)]):
        same = [entry for entry in entries if entry["digest"] == digest]
        if same:
            return Listed(store, image, map(layout.name_of, same), read_only=number > 0)
    return Listed(store, image, [])


def image_size(store: Store, image: Image) -> int:
    """Bytes of the files in its layers; of the blobs for a layer that is not unpacked."""
    kinds = list(subdirectories(store.path("layers")))
    roots = [(store.path("layers"), kind) for kind in kinds]
    for root in store.others:
        roots += [(f"{root}/layers", kind) for kind in subdirectories(f"{root}/layers")]
    total = 0
    for chain, layer in zip(image.chain, image.manifest["layers"], strict=False):
        known = (read_json_or_none(f"{at}/{kind}/{chain}/layer.json") for at, kind in roots)
        total += next((found["size"] for found in known if found), layer["size"])
    return total


# Filters.


def _parsed_filter(store: Store, word: str) -> Callable[[Listed], bool]:
    key, equals, value = word.partition("=")
    make = _FILTERS.get(key)
    if make is None or not equals:
        raise InvalidInput(
            f'invalid filter "{word}"',
            f"filters are written KEY=VALUE; keys: reference {' '.join(_FILTERS)}",
        )
    return make(store, value)


def _dangling(_: Store, value: str) -> Callable[[Listed], bool]:
    """As docker: an image that is known by digest only is dangling and is not."""
    if _boolean("dangling", value):
        return lambda each: not each.tags
    return lambda each: bool(each.tags or each.digests)


def _boolean(key: str, value: str) -> bool:
    words = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}
    if value.lower() not in words:
        raise InvalidInput(f'invalid filter "{key}={value}": it is true or false')
    return words[value.lower()]


def _label(_: Store, value: str) -> Callable[[Listed], bool]:
    key, equals, wanted = value.partition("=")
    return lambda each: key in each.labels and (not equals or each.labels[key] == wanted)


def _label_not(store: Store, value: str) -> Callable[[Listed], bool]:
    has = _label(store, value)
    return lambda each: not has(each)


def _before(store: Store, value: str) -> Callable[[Listed], bool]:
    limit = of_image(store, images.find(store, value)).created
    return lambda each: each.created < limit


def _since(store: Store, value: str) -> Callable[[Listed], bool]:
    limit = of_image(store, images.find(store, value)).created
    return lambda each: each.created > limit


def _until(_: Store, value: str) -> Callable[[Listed], bool]:
    limit = until_seconds(value, time.time())
    return lambda each: each.created <= limit


def until_seconds(value: str, now: float) -> float:
    """A time, seconds since the epoch, or a duration that is ago."""
    if value.replace(".", "", 1).isdecimal():
        return float(value)
    try:
        return now - duration.parse(value) / 1e9
    except InvalidInput:
        return timestamp.parse(value)


def _id(_: Store, value: str) -> Callable[[Listed], bool]:
    digits = value.removeprefix("sha256:")
    return lambda each: each.id[7:].startswith(digits)


def _read_only(_: Store, value: str) -> Callable[[Listed], bool]:
    wanted = _boolean("readonly", value)
    return lambda each: each.read_only == wanted


def _with_names(found: Iterable[Listed], patterns: Sequence[str]) -> list[Listed]:
    """Those with a name that fits one of the patterns, and of their names those only."""
    tests = [_name_test(pattern) for pattern in patterns]
    kept = []
    for each in found:
        each.tags = [name for name in each.tags if any(test(name) for test in tests)]
        tagged = {name.repository for name in each.tags}
        each.digests = [
            name
            for name in each.digests
            if name.repository in tagged or any(test(name) for test in tests)
        ]
        if each.tags or each.digests:
            kept.append(each)
    return kept


def _name_test(pattern: str) -> Callable[[Reference], bool]:
    """A reference, or a pattern in which `*` and `?` do not match a slash."""
    import re

    expression = re.compile(_pattern_text(pattern))
    completed = _reference(pattern)

    def test(name: Reference) -> bool:
        return name == completed or any(map(expression.fullmatch, _spellings(name)))

    return test


def _spellings(reference: Reference) -> tuple[str, ...]:
    spellings = (
        reference.familiar_repository,
        grammar.familiar(reference),
        reference.repository,
        str(reference),
    )
    if reference.domain != grammar.LOCAL_DOMAIN:
        return spellings
    return (*spellings, reference.path, f"{reference.path}:{reference.tag}")


def _pattern_text(pattern: str) -> str:
    import re

    text, rest = "", pattern
    while rest:
        if rest[0] == "[" and "]" in rest[2:]:
            end = rest.index("]", 2)
            members = rest[1:end].replace("\\", "\\\\").replace("[", "\\[")
            text, rest = f"{text}[{members}]", rest[end + 1 :]
            continue
        text += {"*": "[^/]*", "?": "[^/]"}.get(rest[0]) or re.escape(rest[0])
        rest = rest[1:]
    return text


_FILTERS: dict[str, Callable[[Store, str], Callable[[Listed], bool]]] = {
    "dangling": _dangling,
    "label": _label,
    "label!": _label_not,
    "before": _before,
    "since": _since,
    "after": _since,
    "until": _until,
    "id": _id,
    "readonly": _read_only,
}


# Rows.


def rows(
    found: Iterable[Listed], *, digests: bool = False, shown: Callable[[Reference], str], now: float
) -> list[dict[str, Any]]:
    """One for each name, as docker lists them; `shown` writes a repository for the personality."""
    lines = []
    for each in found:
        facts = _facts(each, now)
        facts["History"] = ", ".join(map(grammar.familiar, each.tags))
        for repository, tag, digest in _names(each, digests, shown):
            lines.append({**facts, "Repository": repository, "Tag": tag, "Digest": digest})
    return lines


def _names(
    each: Listed, digests: bool, shown: Callable[[Reference], str]
) -> list[tuple[str, str, str]]:
    """Repository, tag and digest; a repository known by digest only has no tag."""
    known = {shown(reference): reference.digest for reference in each.digests}
    names = [(shown(tag), tag.tag, known.get(shown(tag), NONE)) for tag in each.tags]
    tagged = {name for name, _, _ in names}
    names += [(name, NONE, digest) for name, digest in known.items() if name not in tagged]
    if not digests:
        names = list(dict.fromkeys(names))
    return names or [(NONE, NONE, each.image.digest if digests else NONE)]


def _facts(each: Listed, now: float) -> dict[str, Any]:
    total = each.size()
    return {
        "ID": each.id,
        "CreatedSince": f"{duration.words_of(now - each.created)} ago" if each.created else "N/A",
        "CreatedAt": _local_time(each.created) if each.created else "N/A",
        "Created": int(each.created),
        "Bytes": total,
        "Size": size.decimal(total, 3),
        "VirtualSize": size.decimal(total, 4),
        "SharedSize": "N/A",
        "UniqueSize": "N/A",
        "Containers": "N/A",
        "Labels": dict(each.labels),
        "Platform": platform_of(each.image),
        "ReadOnly": each.read_only,
    }


def _local_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(seconds))


def platform_of(image: Image) -> str:
    from rcrun.formats.image import platform_text

    return platform_text(image.config)  # type: ignore[arg-type]


# Inspection.


def inspect_object(store: Store, image: Image) -> dict[str, Any]:
    """What `docker image inspect` tells of an image, with the manifest's digest as podman has it."""
    each = of_image(store, image)
    config = image.config
    history = config.get("history") or [{}]
    return {
        "Id": each.id,
        "RepoTags": [grammar.familiar(reference) for reference in each.tags],
        "RepoDigests": [grammar.familiar(reference) for reference in each.digests],
        "Parent": "",
        "Comment": history[-1].get("comment", ""),
        "Created": config.get("created", ""),
        "DockerVersion": "",
        "Author": config.get("author", ""),
        "Config": _config_object(config.get("config") or {}),
        "Architecture": config.get("architecture", ""),
        **({"Variant": config["variant"]} if config.get("variant") else {}),
        "Os": config.get("os", ""),
        "Size": each.size(),
        "VirtualSize": each.size(),
        "GraphDriver": _graph_driver(store, image),
        "RootFS": {"Type": "layers", "Layers": list(config["rootfs"]["diff_ids"])},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
        "Digest": image.digest,
        "Version": "",
        "Labels": (config.get("config") or {}).get("Labels"),
        "Annotations": dict(image.manifest.get("annotations") or {}),
        "ManifestType": image.manifest.get("mediaType") or image.descriptor.get("mediaType", ""),
        "User": (config.get("config") or {}).get("User", ""),
        "History": list(config.get("history") or []),
        "NamesHistory": [grammar.full(reference) for reference in each.tags],
        "Descriptor": {
            key: image.descriptor[key]
            for key in ("mediaType", "digest", "size")
            if key in image.descriptor
        },
    }


def _config_object(config: Mapping[str, Any]) -> dict[str, Any]:
    """Docker shows the usual members even when they are not set; templates rely on it."""
    usual: dict[str, Any] = {
        "User": "",
        "Env": None,
        "Cmd": None,
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": None,
    }
    return {**usual, **config}


def _graph_driver(store: Store, image: Image) -> dict[str, Any]:
    """Where the unpacked layers are: overlayfs's own words, of the first kind that has all of them."""
    places = [
        f"{root}/layers/{kind}"
        for root in (store.root_dir, *store.others)
        for kind in sorted(subdirectories(f"{root}/layers"))
    ]
    for place in places:
        paths = [f"{place}/{chain}/diff" for chain in reversed(image.chain)]
        if paths and all(os.path.isdir(path) for path in paths):
            data = {"UpperDir": paths[0]}
            if paths[1:]:
                data["LowerDir"] = ":".join(paths[1:])
            return {"Name": "overlay", "Data": data}
    return {"Name": "overlay", "Data": None}
