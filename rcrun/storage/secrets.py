"""Secrets: one file each, `secrets/NAME`, readable by the owner of the store alone; replaced whole or not at all."""

from __future__ import annotations

import binascii
import os

from rcrun.errors import AlreadyExists, InvalidInput, NotFound
from rcrun.files import Lock, dump_json, read_json_or_none, subdirectories, write_all
from rcrun.formats.secretflag import check_name
from rcrun.paths import make_private_dir
from rcrun.storage.scratch import Scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.paths import Store

    Record = dict[str, Any]


def path_of(store: Store, name: str) -> str:
    return store.path("secrets", name)


def every(store: Store) -> list[Record]:
    """Sorted by name; a file that is damaged is none."""
    found = [_read(store, name) for name in subdirectories(store.path("secrets"))]
    return sorted((record for record in found if record is not None), key=lambda r: str(r["name"]))


def _read(store: Store, name: str) -> Record | None:
    try:
        record = read_json_or_none(path_of(store, name))
    except (ValueError, IsADirectoryError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("id"), str):
        return None
    bare = {"labels": {}, "driver_options": {}, "created": "", "updated": "", "data": ""}
    return {**bare, **record, "name": name}


def load(store: Store, text: str) -> Record:
    """By name, id, or unambiguous beginning of an id."""
    if not text or "\0" in text:
        raise no_such(text)
    if "/" not in text and text not in (".", ".."):
        record = _read(store, text) if len(os.fsencode(text)) < 256 else None
        if record is not None:
            return record
    found = [record for record in every(store) if record["id"].startswith(text)]
    if len(found) > 1:
        raise InvalidInput(f'several secrets have an id that begins with "{text}"')
    if not found:
        raise no_such(text)
    return found[0]


def no_such(text: str) -> NotFound:
    return NotFound(f"no such secret: {text}", "list them with: rcrun secret ls")


def content(record: Record) -> bytes:
    return binascii.a2b_base64(record["data"])


def create(
    store: Store,
    name: str,
    data: bytes,
    now: str,
    *,
    labels: Mapping[str, str] | None = None,
    driver_options: Mapping[str, str] | None = None,
    replace: bool = False,
) -> Record:
    """AlreadyExists when the name is taken, unless it is to be replaced; what containers have stays as it was."""
    check_name(name)
    make_private_dir(store.path("secrets"))
    make_private_dir(store.tmp_dir())
    with Lock(store.path("secrets.lock")):
        old = _read(store, name)
        if old is not None and not replace:
            raise AlreadyExists(
                f'the secret name "{name}" is already in use',
                f"replace it with: rcrun secret create --replace {name} FILE",
            )
        record = {
            "id": os.urandom(13).hex()[:25],
            "name": name,
            "created": old["created"] if old else now,
            "updated": now,
            "labels": dict(labels or {}),
            "driver_options": dict(driver_options or {}),
            "data": binascii.b2a_base64(data, newline=False).decode("ascii"),
        }
        _write(store, record)
    return record


def _write(store: Store, record: Record) -> None:
    """Aside in tmp/, since the longest name has no room for a suffix."""
    scratch = Scratch(store, "secret")
    scratch.make_file(0o600)
    try:
        write_all(scratch.fd, (dump_json(record) + "\n").encode())
        os.fdatasync(scratch.fd)
        scratch.move_to(path_of(store, record["name"]))
    except BaseException:
        scratch.drop()
        raise


def remove(store: Store, text: str) -> Record:
    """The record of what went; containers that have a copy keep it."""
    make_private_dir(store.root_dir)
    with Lock(store.path("secrets.lock")):
        record = load(store, text)
        os.unlink(path_of(store, record["name"]))
    return record
