"""Rows of `ps`, `images` and `history` as podman shapes them: lists and maps where docker has texts, and JSON of its own."""

from __future__ import annotations

import time

from rcrun.engine import ps as engine
from rcrun.storage.containers import seconds_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from rcrun.engine.images import Listed
    from rcrun.engine.ps import Seen

NEVER = -62135596800  # Go's zero time in seconds since the epoch
LONGEST_COMMAND = 20


class Row(dict[str, "Any"]):
    """What templates see; `json_form` is what `json` gives of it."""

    __slots__ = ("json_form",)

    def __init__(self, fields: Mapping[str, Any], json_form: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self.json_form = json_form


PS_TITLES = {
    "ImageID": "IMAGE ID", "Command": "COMMAND", "CreatedHuman": "CREATED", "RunningFor": "RUNNING FOR",
    "ExposedPorts": "EXPOSED PORTS", "Pod": "POD ID", "PodName": "PODNAME", "Exited": "EXITED",
    "ExitedAt": "EXITED AT", "StartedAt": "STARTED AT", "Restarts": "RESTARTS", "CIDFile": "CID FILE",
    "IsInfra": "IS INFRA", "Namespaces": "NAMESPACES",
}  # fmt: skip


def ps_row(seen: Seen, row: Mapping[str, Any], *, whole: bool) -> Row:
    """`row` has docker's fields."""
    container, status, record = seen.container, seen.status, seen.container.record
    created = seconds_of(str(record["created"]))
    words = [*(record.get("entrypoint") or []), *(record.get("command") or [])]
    command = " ".join(map(str, words))
    if not whole and len(command) > LONGEST_COMMAND:
        command = command[: LONGEST_COMMAND - 3] + "..."
    image_id = str(record.get("image_id") or "").removeprefix("sha256:")
    shared = {
        "AutoRemove": bool(record.get("auto_remove")),
        "CIDFile": record.get("cidfile") or "",
        "ExitCode": status.exit_code,
        "Exited": status.word == "exited",
        "ExitedAt": status.finished // 1_000_000_000 if status.finished else NEVER,
        "ExposedPorts": _exposed(record.get("exposed") or []),
        "Image": record.get("image") or engine.shown_image(container),
        "ImageID": image_id,
        "IsInfra": bool(record.get("infra")),
        "Labels": dict(sorted((record.get("labels") or {}).items())),
        "Mounts": [mount["destination"] for mount in record.get("mounts") or []],
        "Namespaces": {},
        "Pid": status.pid,
        "Pod": (record.get("pod") or {}).get("id") or "",
        "PodName": row["PodName"],
        "Restarts": record.get("restart_count", 0),
        "StartedAt": status.started // 1_000_000_000 if status.started else NEVER,
        "State": status.word,
        "Status": row["Status"],
    }
    fields = {
        **row,
        **shared,
        "Command": command,
        "CreatedAt": _go_time(str(record["created"])),
        "Created": _go_time(str(record["created"])),
        "CreatedHuman": row["RunningFor"],
        "Pod": row["Pod"],
    }
    json_form = {
        **shared,
        "Command": words,
        "Created": int(created),
        "CreatedAt": row["RunningFor"],
        "Id": container.id,
        "Names": [container.name],
        "Networks": engine.network_names(container),
        "Ports": _ports(container.record),
        "Size": _size(seen) if row["Size"] else None,
    }
    return Row(fields, dict(sorted(json_form.items())))


def _size(seen: Seen) -> dict[str, int]:
    written = engine.tree_size(seen.container.path("upper"))
    return {"rootFsSize": written + engine.layers_size(seen.container), "rwSize": written}


def _exposed(words: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for word in words:
        number, _, protocol = word.partition("/")
        found.setdefault(number, []).append(protocol or "tcp")
    return found


def _ports(record: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    network = record.get("network") or {}
    found = [
        {
            "host_ip": port["host_ip"],
            "container_port": port["container_port"],
            "host_port": port["host_port"],
            "range": 1,
            "protocol": port["protocol"],
        }
        for port in network.get("bound") or network.get("ports") or []
    ]
    return found or None


def _go_time(text: str) -> str:
    """As Go prints one: `2026-01-02 03:04:05.678 +0000 UTC`."""
    day, _, clock = text.removesuffix("Z").partition("T")
    whole, _, fraction = clock.partition(".")
    fraction = fraction.rstrip("0")
    return f"{day} {whole}{'.' * bool(fraction)}{fraction} +0000 UTC"


def image_rows(found: Sequence[Listed], rows: Sequence[dict[str, Any]]) -> list[Row]:
    """`rows` are docker's, one for each name; podman's JSON has an image once for each name, too."""
    from rcrun.formats import reference as grammar

    by_id = {each.id: each for each in found}
    made = []
    for row in rows:
        each = by_id[row["ID"]]
        names = list(map(grammar.full, each.tags))
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(each.created))
        shared = {
            "Containers": row["Containers"] if isinstance(row["Containers"], int) else 0,
            "Digest": each.image.digest,
            "Labels": dict(sorted(each.labels.items())) or None,
            "Names": names,
            "ParentId": "",
            "RepoDigests": list(map(grammar.full, each.digests)),
            "RepoTags": names or None,
            "SharedSize": 0,
        }
        bare = each.id.removeprefix("sha256:")
        fields = {
            **row,
            **shared,
            "CreatedAt": _go_time(created),
            "CreatedTime": _go_time(created),
            "Created": row["CreatedSince"],
            "Dangling": not names,
            "History": ", ".join(names),
            "Id": bare,
            "Labels": shared["Labels"] or {},
            "ReadOnly": each.read_only,
            "RepoTags": names,
            "VirtualSize": each.size(),
        }
        json_form = {
            **shared,
            "Created": int(each.created),
            "CreatedAt": created,
            "History": names,
            "Id": bare,
            **({"ReadOnly": True} if each.read_only else {}),
            "Size": each.size(),
            "VirtualSize": each.size(),
        }
        made.append(Row(fields, json_form))
    return made


def once(rows: Iterable[Row]) -> list[Row]:
    """For `--format json`: an image with several names is one object."""
    return list({row.json_form["Id"]: row for row in rows}.values())


def history_rows(
    rows: Sequence[dict[str, Any]], names: Sequence[str], sizes: Sequence[int]
) -> list[Row]:
    """The first row is the image; `names` are its own."""
    made = []
    for number, (row, size) in enumerate(zip(rows, sizes, strict=True)):
        tags = list(names) if number == 0 else None
        json_form = {
            "id": row["ID"].removeprefix("sha256:"),
            "created": row["CreatedAt"],
            "Created": row["CreatedAt"],
            "CreatedBy": row["CreatedBy"],
            "size": size,
            "comment": row["Comment"],
            "tags": tags,
        }
        made.append(Row({**row, "Created": row["CreatedSince"], "Tags": tags or []}, json_form))
    return made
