"""The records of a plan that say where a container's output goes; the plain file needs none of this."""

from __future__ import annotations

import os

from rcrun.errors import HostLacks, InvalidInput
from rcrun.files import dump_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container

    Records = list[list[str]]

JOURNAL = "/run/systemd/journal/socket"
_LONGEST_FIELD = 64


def records(context: Context, container: Container) -> Records:
    log = container.record["log"]
    driver = log["driver"]
    if driver == "none":
        return []
    if driver == "journald":
        return [_journal(container, log)]
    if driver in ("passthrough", "passthrough-tty"):
        _check_streams(driver)
        return [["passthrough"]]
    return _file(context, container, log)


def log_path(container: Container) -> str:
    """Where its file is; empty for a driver that has none."""
    log = container.record.get("log") or {}
    if log.get("driver", "k8s-file") not in ("k8s-file", "json-file"):
        return ""
    return str(log.get("path") or container.path("log"))


def _file(context: Context, container: Container, log: Mapping[str, Any]) -> Records:
    path = log_path(container)
    if log.get("own_dir"):
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    found = [["log", path, str(log.get("max_size", 0)), str(log.get("max_files", 1))]]
    if log["driver"] == "json-file":
        attributes = log.get("attributes")
        found.append(["log-format", "json", *([dump_json(attributes)] if attributes else [])])
    if log.get("compress"):
        found.append(["log-rotated", *context.launcher, "__compress", path])
    return found


def _check_streams(driver: str) -> None:
    """As with podman: a terminal is passed on only where that is said."""
    if driver == "passthrough" and any(os.isatty(fd) for fd in (0, 1, 2)):
        raise InvalidInput(
            "the log driver passthrough is not for a terminal", "use --log-driver passthrough-tty"
        )


def _journal(container: Container, log: Mapping[str, Any]) -> list[str]:
    if not os.path.exists(JOURNAL):
        raise HostLacks(
            "there is no systemd journal on this host", "use --log-driver k8s-file or json-file"
        )
    return ["journal", JOURNAL, str(log.get("buffer", 0)), *journal_fields(container)]


def journal_fields(container: Container) -> list[str]:
    """Docker's fields, and those that were named: in capitals, as the journal has them."""
    record, log = container.record, container.record["log"]
    tag = str(log.get("tag") or container.id[:12])
    fields = {
        "CONTAINER_ID": container.id[:12],
        "CONTAINER_ID_FULL": container.id,
        "CONTAINER_NAME": container.name,
        "CONTAINER_TAG": tag,
        "IMAGE_NAME": str(record.get("image") or record.get("image_typed") or ""),
        "SYSLOG_IDENTIFIER": tag,
    }
    for key, value in (log.get("attributes") or {}).items():
        name = field_name(key)
        if name and key != "tag":
            fields.setdefault(name, value)
    # A value of several lines would need the binary form, which the monitor keeps for the output.
    return [f"{name}={value.splitlines()[0] if value else ''}" for name, value in fields.items()]


def field_name(text: str) -> str:
    """What the journal takes as a name: capitals, digits and underscores, none of these at the beginning."""
    kept = "".join([c if c.isascii() and c.isalnum() else "_" for c in text.upper()])
    return kept.lstrip("_0123456789")[:_LONGEST_FIELD]
