"""Image archives: the members of a tar become blobs as they come; the documents at its end say what they are.

Docker's `manifest.json` and OCI's `index.json` are understood; an archive may have both.
"""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.files import parse_json
from rcrun.formats import digest as digests
from rcrun.formats import image as documents
from rcrun.storage import blobs, tarheader
from rcrun.storage.archive import Candidate, normalised, unnamed
from rcrun.storage.archivedir import names_of
from rcrun.storage.bytestream import ByteStream
from rcrun.storage.compression import LONGEST_MAGIC, decompressed, kind_of
from rcrun.storage.tarheader import TarReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.formats.image import Descriptor
    from rcrun.paths import Store
    from rcrun.storage.compression import Read
    from rcrun.storage.lease import Lease
    from rcrun.storage.tarheader import Member

SMALL = 1 << 20
MOST_SMALL = 64 << 20
MOST_MEMBERS = 100_000
MOST_LINKS = 16
BLOBS = "blobs/sha256/"
_MEDIA_TYPES = {
    "": documents.LAYER,
    "gzip": documents.LAYER_GZIP,
    "zstd": documents.LAYER_ZSTD,
}


class Contents:
    """What an archive has, by name: documents in memory, everything large as a blob of the store."""

    def __init__(self, store: Store, lease: Lease) -> None:
        self.store = store
        self.lease = lease
        self._small: dict[str, bytes] = {}
        self._large: dict[str, Descriptor] = {}
        self._links: dict[str, str] = {}
        self._used = 0
        self.verified: set[str] = set()

    def add(self, member: Member, reader: TarReader) -> None:
        name = plain_name(member.text())
        if member.kind in (tarheader.SYMLINK, tarheader.HARD_LINK):
            self._links[name] = self._target(name, member)
        elif member.kind == tarheader.FILE and member.sparse is None:
            self._add_file(name, member, reader)

    def _target(self, name: str, member: Member) -> str:
        """Old archives have a layer once, and links to it: `../OTHER/layer.tar`."""
        link = member.link.decode("utf-8", "backslashreplace")
        if member.kind == tarheader.SYMLINK:
            folder = name.rpartition("/")[0]
            link = f"{folder}/{link}" if folder else link
        parts: list[str] = []
        for part in link.split("/"):
            if part == "..":
                if not parts:
                    raise InvalidInput(f'"{member.text()}" is a link out of the archive')
                parts.pop()
            elif part not in ("", "."):
                parts.append(part)
        return "/".join(parts)

    def _add_file(self, name: str, member: Member, reader: TarReader) -> None:
        is_blob = name.startswith(BLOBS) and digests.is_hex64(name[len(BLOBS) :])
        if member.size <= SMALL and not is_blob and self._used + member.size <= MOST_SMALL:
            self._used += member.size
            self._small[name] = reader.take_data(member.size)
            return
        expected: Descriptor | None = None
        if is_blob:
            expected = {
                "mediaType": "",
                "digest": f"sha256:{name[len(BLOBS) :]}",
                "size": member.size,
            }
            if blobs.has_blob(self.store, expected) and member.size > SMALL:
                self.lease.add([expected["digest"]])
                if blobs.has_blob(self.store, expected):
                    self._large[name] = expected
                    return
        self._large[name] = self._write(member, reader, expected)

    def _write(self, member: Member, reader: TarReader, expected: Descriptor | None) -> Descriptor:
        head = b""
        aside = member.size > SMALL
        with blobs.BlobWriter(self.store, expected, lease=self.lease, aside=aside) as writer:
            while reader.left:
                data = reader.take_piece()
                if len(head) < LONGEST_MAGIC:
                    head += bytes(data[:LONGEST_MAGIC])
                writer.write(data)
            found = writer.commit(_MEDIA_TYPES.get(kind_of(head), ""))
        self.verified.add(found["digest"])
        return found

    def resolve(self, name: str) -> str:
        name = plain_name(name)
        for _ in range(MOST_LINKS):
            if name not in self._links:
                return name
            name = self._links[name]
        raise InvalidInput(f'"{name}" is a link that leads in a circle')

    def has(self, name: str) -> bool:
        name = self.resolve(name)
        return name in self._small or name in self._large

    def document(self, name: str) -> bytes:
        name = self.resolve(name)
        if name in self._small:
            return self._small[name]
        if name in self._large:
            return blobs.read_blob(self.store, self._large[name])
        raise InvalidInput(f'the archive lacks "{name}"')

    def json(self, name: str) -> Any:
        try:
            return parse_json(self.document(name))
        except ValueError as error:
            raise InvalidInput(f'"{name}" of the archive is not JSON: {error}') from error

    def layer(self, name: str) -> Descriptor:
        """The descriptor of a layer; its media type is what its first bytes say."""
        name = self.resolve(name)
        if name in self._small:
            data = self._small[name]
            kind = kind_of(data[:LONGEST_MAGIC])
            return blobs.write_blob(
                self.store, data, _MEDIA_TYPES.get(kind, documents.LAYER), lease=self.lease
            )
        if name not in self._large:
            raise InvalidInput(f'the archive lacks the layer "{name}"')
        found = self._large[name]
        if found.get("mediaType"):
            return found
        with open(self.store.blob_to_read(found["digest"]), "rb") as file:
            kind = kind_of(file.read(LONGEST_MAGIC))
        return {**found, "mediaType": _MEDIA_TYPES.get(kind, documents.LAYER)}


def plain_name(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def from_tar(store: Store, read: Read, lease: Lease) -> list[Candidate]:
    contents = Contents(store, lease)
    stream = ByteStream(decompressed(read))
    reader = TarReader(stream)
    for _ in range(MOST_MEMBERS):
        member = reader.next()
        if member is None:
            break
        contents.add(member, reader)
    else:
        raise InvalidInput(f"the archive has more than {MOST_MEMBERS} members")
    stream.drain()
    candidates = candidates_of(contents)
    for each in candidates:
        each.verified = contents.verified
    return candidates


def candidates_of(contents: Contents) -> list[Candidate]:
    if contents.has("index.json") and contents.has("oci-layout"):
        found = _oci(contents)
        if found:
            return found
    if contents.has("manifest.json"):
        return _docker(contents)
    if contents.has("repositories"):
        raise InvalidInput(
            "this archive is of a docker older than 1.10, which is not supported",
            "load it with docker, and save it again",
        )
    raise InvalidInput(
        "this is not an image archive: it has neither manifest.json nor index.json",
        "to make an image of a root file system, run: rcrun import FILE NAME",
    )


def _oci(contents: Contents) -> list[Candidate]:
    """The entries of index.json whose manifest is in the archive; a name may stand at several."""
    index = contents.json("index.json")
    entries = index.get("manifests") if isinstance(index, dict) else None
    found: dict[str, Candidate] = {}
    docker_names = _docker_names(contents)
    for entry in entries if isinstance(entries, list) else ():
        fault = documents.descriptor_fault(entry)
        if fault:
            raise InvalidInput(f"index.json of the archive cannot be used: {fault}")
        if not contents.has(BLOBS + entry["digest"][7:]):
            continue
        names, tag = names_of(entry)
        known = found.setdefault(entry["digest"], Candidate(unnamed(entry), [], tag))
        known.names += [name for name in names if name not in known.names]
    for candidate in found.values():
        if not candidate.names:
            candidate.names = docker_names.get(_config_of(contents, candidate), [])
    return list(found.values())


def _config_of(contents: Contents, candidate: Candidate) -> str:
    manifest = contents.json(BLOBS + candidate.descriptor["digest"][7:])
    config = manifest.get("config") if isinstance(manifest, dict) else None
    return str(config.get("digest", ""))[7:] if isinstance(config, dict) else ""


def _docker_names(contents: Contents) -> dict[str, list[str]]:
    """Docker writes the names only into manifest.json when index.json has bare tags."""
    if not contents.has("manifest.json"):
        return {}
    return {
        str(entry.get("Config", "")).rpartition("/")[2].removesuffix(".json"): _tags(entry)
        for entry in _entries(contents)
    }


def _entries(contents: Contents) -> list[dict[str, Any]]:
    entries = contents.json("manifest.json")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidInput("manifest.json of the archive is not a list of images")
    return entries


def _tags(entry: dict[str, Any]) -> list[str]:
    tags = entry.get("RepoTags")
    names = [normalised(str(tag)) for tag in tags] if isinstance(tags, list) else []
    return [name for name in names if name]


def _docker(contents: Contents) -> list[Candidate]:
    return [_docker_image(contents, entry) for entry in _entries(contents)]


def _docker_image(contents: Contents, entry: dict[str, Any]) -> Candidate:
    config_name, layers = entry.get("Config"), entry.get("Layers")
    if not isinstance(config_name, str) or not isinstance(layers, list):
        raise InvalidInput('manifest.json of the archive lacks "Config" or "Layers"')
    data = contents.document(config_name)
    try:
        config = parse_json(data)
    except ValueError as error:
        raise InvalidInput(f'"{config_name}" of the archive is not JSON: {error}') from error
    fault = documents.config_fault(config, len(layers))
    if fault:
        raise InvalidInput(f'"{config_name}" of the archive cannot be used: {fault}')
    descriptors = [contents.layer(str(name)) for name in layers]
    for descriptor, diff_id in zip(descriptors, config["rootfs"]["diff_ids"], strict=True):
        if descriptor["mediaType"] == documents.LAYER and descriptor["digest"] != diff_id:
            raise InvalidInput(
                f'a layer of the archive does not match its configuration: "{descriptor["digest"]}", '
                f'not "{diff_id}"'
            )
    manifest = {
        "schemaVersion": 2,
        "mediaType": documents.MANIFEST,
        "config": blobs.write_blob(contents.store, data, documents.CONFIG, lease=contents.lease),
        "layers": descriptors,
    }
    descriptor = blobs.write_document(
        contents.store, manifest, documents.MANIFEST, lease=contents.lease
    )
    return Candidate(descriptor, _tags(entry))
