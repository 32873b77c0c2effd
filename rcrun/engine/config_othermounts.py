"""Mounts that few ask for: the files of images and artifacts, terminals, ramfs, and what a pattern matches. Pure."""

from __future__ import annotations

from rcrun.engine import config_mounts
from rcrun.errors import InvalidInput
from rcrun.formats.volume import Mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rcrun.engine.config_mounts import Mounts
    from rcrun.engine.facts import Facts
    from rcrun.formats import spec


def add_other(result: Mounts, mount: Mount, facts: Facts) -> None:
    if mount.kind == "image":
        image_id, lowers = facts.image_layers(mount.source)
        words = ["rbind", "ro", "rprivate"]
        words += [mount.decided[key] for key in ("exec", "dev", "suid") if key in mount.decided]
        made = config_mounts.record(result, mount, "image", mount.source, words)
        made.update(lowers=lowers, image=image_id, subpath=mount.subpath)
        source = f"{facts.store_dir}/{lowers[0]}"
        result.documents.append(_document(mount, "bind", source, words))
        return
    config_mounts.record(result, mount, mount.kind, "", mount.data)
    result.documents.append(_document(mount, mount.kind, mount.kind, mount.data))


def _document(mount: Mount, kind: str, source: str, options: list[str]) -> spec.Mount:
    return {
        "destination": mount.destination,
        "type": kind,
        "source": source,
        "options": list(options),
    }


def expanded(mount: Mount, facts: Facts) -> list[Mount]:
    """The bind mounts that one stands for."""
    return _files(mount, facts) if mount.kind == "artifact" else _matches(mount, facts)


def _files(mount: Mount, facts: Facts) -> list[Mount]:
    """Beneath the destination by their titles; one alone at the destination itself, unless that is a directory (as podman)."""
    title, digest, name = mount.data
    found = facts.artifact_files(mount.source, title, digest)
    kind = facts.image_kind(mount.destination)
    if kind == "file" or (not kind and len(found) == 1):
        if len(found) > 1:
            raise InvalidInput(
                f'cannot mount the {len(found)} files of artifact "{mount.source}" on "{mount.destination}", which is a file',
                "name one of them: title=NAME or digest=DIGEST",
            )
        return [Mount("bind", found[0][1], mount.destination, dict(mount.decided))]
    names = [each for each, _ in found]
    if name:
        names = [f"{name}-{at}" for at in range(len(found))] if len(found) > 1 else [name]
    if len(set(names)) < len(names):
        raise InvalidInput(
            f'artifact "{mount.source}" has two files of one name', "give them another: name=NAME"
        )
    return [
        Mount("bind", path, f"{mount.destination.rstrip('/')}/{each}", dict(mount.decided))
        for each, (_, path) in zip(names, found, strict=True)
    ]


def _matches(mount: Mount, facts: Facts) -> list[Mount]:
    """A bind mount of each path that the pattern matches, beneath the destination."""
    found = [
        Mount("bind", path, f"{mount.destination}/{path.rpartition('/')[2]}", dict(mount.decided))
        for path in sorted(_matching("", mount.source.strip("/").split("/"), facts))
    ]
    if not found:
        raise InvalidInput(f'cannot mount "{mount.source}": nothing matches it')
    return found


def _matching(folder: str, parts: list[str], facts: Facts) -> Iterable[str]:
    from fnmatch import fnmatchcase

    if not parts:
        yield folder
        return
    first, rest = parts[0], parts[1:]
    if not any(mark in first for mark in "*?["):
        if facts.stat(f"{folder}/{first}") is not None:
            yield from _matching(f"{folder}/{first}", rest, facts)
        return
    for name in facts.list_dir(folder or "/"):
        if fnmatchcase(name, first) and (first[0] == "." or name[0] != "."):
            yield from _matching(f"{folder}/{name}", rest, facts)
