"""What stands beside a layer's `diff`: its record, and a note while something about it is unfinished.

`pending` exists until the layer has reached the disk for certain. It names the host and the boot that
unpacked it: after a crash of that host the layer is not trusted. `implied` lists directories that
the archive did not describe and that have not been given the look of the layer below yet.
"""

from __future__ import annotations

import _json
import os
import time

from rcrun.files import parse_json, write_file, write_json
from rcrun.storage.containers import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# The kernel writes dirty pages out after 30 s (vm.dirty_expire_centisecs) and commits every 5 s.
SETTLED_SECONDS = 120


def boot() -> list[str]:
    return [os.uname().nodename, boot_id()]


def write_record(layer_dir: str, chain: str, diff_id: str, size: int, parent: str | None) -> None:
    record = {"chain_id": f"sha256:{chain}", "diff_id": diff_id, "size": size, "parent": parent}
    write_json(f"{layer_dir}/layer.json", record, durable=False)


def write_owners(layer_dir: str, lines: Iterable[str]) -> None:
    text = "".join(lines)
    path = f"{layer_dir}/owners.jsonl"
    if text:
        write_file(path, text.encode("ascii"), durable=False)


def write_pending(layer_dir: str, implied: Iterable[bytes]) -> None:
    names = (name.decode("utf-8", "surrogateescape") for name in sorted(implied))
    text = f'{{"boot": {_listed(boot())}, "implied": {_listed(names)}}}'
    write_file(f"{layer_dir}/pending", text.encode("ascii"), durable=False)


def _listed(words: Iterable[str]) -> str:
    """As JSON that can have names which are not UTF-8."""
    return f"[{', '.join(map(_json.encode_basestring_ascii, words))}]"


def read_pending(layer_dir: str) -> dict[str, Any] | None:
    """None when the layer is finished; what cannot be read was damaged by a crash."""
    try:
        with open(f"{layer_dir}/pending", "rb") as file:
            note = parse_json(file.read())
        return {"boot": list(note["boot"]), "implied": list(note["implied"])}
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        return {"boot": [os.uname().nodename, ""], "implied": []}


def is_doubtful(note: dict[str, Any]) -> bool:
    """Unpacked by this host in an earlier boot, which ended before the data was surely written."""
    here = boot()
    return bool(note["boot"][0] == here[0] and note["boot"] != here)


def is_settled(layer_dir: str) -> bool:
    try:
        return time.time() - os.stat(f"{layer_dir}/pending").st_mtime > SETTLED_SECONDS
    except FileNotFoundError:
        return True
