"""`--log-driver` and `--log-opt`: what the container's record says of its log (docs/store.md). Pure."""

from __future__ import annotations

import os

from rcrun.engine import options as run_options
from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.engine.options import Options

    Record = dict[str, Any]

FILES = ("k8s-file", "json-file")
PASSED = ("passthrough", "passthrough-tty")
DRIVERS = (*FILES, "local", "journald", "none", *PASSED)
_ABOUT = ("tag", "labels", "labels-regex", "env", "env-regex")
_FILE_OPTIONS = (*_ABOUT, "mode", "max-buffer-size", "path", "max-size", "max-file", "compress")
_OPTIONS = {
    "k8s-file": _FILE_OPTIONS,
    "json-file": _FILE_OPTIONS,
    "journald": (*_ABOUT, "mode", "max-buffer-size"),
}
OWN_DIR = "/@ID@/"  # in a path that a file says for all containers: a directory for each
_BUFFER = 1 << 20  # docker's, of mode=non-blocking


def log_record(options: Options) -> Record:
    asked = str(options.get("log_driver") or "k8s-file")
    if asked not in DRIVERS:
        raise InvalidInput(
            f'--log-driver "{asked}" is not supported', f"drivers are: {' '.join(DRIVERS)}"
        )
    driver = "k8s-file" if asked == "local" else asked
    given = run_options.pairs(options.get("log_opt") or (), "--log-opt", bare=False)
    _check_names(asked, driver, given)
    if driver in PASSED and options.get("tty"):
        raise InvalidInput(f"conflicting options: --tty and --log-driver {driver}")
    record: Record = {"driver": driver, "max_size": 0, "max_files": 1}
    if asked != driver:
        record["asked"] = asked
    if given:
        record["options"] = given
    for key, value in given.items():
        _OF_OPTION.get(key, _ignore)(record, key, value)
    _check_together(record, given)
    return record


def _check_names(asked: str, driver: str, given: Mapping[str, str]) -> None:
    known = _OPTIONS.get(driver, ())
    for key in given:
        if key not in known:
            takes = f"it takes {' '.join(known)}" if known else "it takes none"
            raise InvalidInput(f'unknown --log-opt "{key}" of the driver {asked}', takes)


def _check_together(record: Record, given: Mapping[str, str]) -> None:
    if record.get("compress") and not (record["max_size"] and record["max_files"] > 1):
        raise InvalidInput(
            "--log-opt compress needs files that are rotated",
            "add --log-opt max-size=10m --log-opt max-file=3",
        )
    if "max-buffer-size" in given and given.get("mode") != "non-blocking":
        raise InvalidInput("--log-opt max-buffer-size goes with mode=non-blocking only")
    if given.get("mode") == "non-blocking":
        record.setdefault("buffer", _BUFFER)


def _ignore(record: Record, key: str, value: str) -> None:
    """What is about the container is looked up once it is known (`add_attributes`)."""


def _max_size(record: Record, key: str, value: str) -> None:
    from rcrun.formats import size

    record["max_size"] = 0 if value == "-1" else size.parse(value)


def _max_file(record: Record, key: str, value: str) -> None:
    if not value.isdigit() or not 1 <= int(value) <= 1000:
        raise InvalidInput(f'invalid --log-opt "max-file={value}": it is 1 to 1000')
    record["max_files"] = int(value)


def _path(record: Record, key: str, value: str) -> None:
    if not value or value.endswith("/"):
        raise InvalidInput(f'invalid --log-opt "path={value}": it is the path of a file')
    record["path"] = os.path.abspath(value)


def _mode(record: Record, key: str, value: str) -> None:
    if value not in ("blocking", "non-blocking"):
        raise InvalidInput(f'invalid --log-opt "mode={value}"', "it is blocking or non-blocking")


def _buffer(record: Record, key: str, value: str) -> None:
    from rcrun.formats import size

    record["buffer"] = max(1, size.parse(value))


def _compress(record: Record, key: str, value: str) -> None:
    if value.lower() not in ("true", "false", "1", "0"):
        raise InvalidInput(f'invalid --log-opt "compress={value}"', "it is true or false")
    record["compress"] = value.lower() in ("true", "1")


_OF_OPTION = {
    "compress": _compress,
    "max-buffer-size": _buffer,
    "max-file": _max_file,
    "max-size": _max_size,
    "mode": _mode,
    "path": _path,
}


# What the log says of the container.


def add_attributes(container: Record, env: Sequence[str]) -> None:
    """Docker's `attrs`: labels and variables that were named, and the tag."""
    log = container["log"]
    given = log.get("options") or {}
    if OWN_DIR in log.get("path", ""):
        log["own_dir"] = True
        log["path"] = given["path"] = log["path"].replace(OWN_DIR, f"/{container['id']}/")
    variables = dict(word.split("=", 1) for word in env if "=" in word)
    attributes = {
        **_chosen(variables, given, "env"),
        **_chosen(container["labels"], given, "labels"),
    }
    tag = given.get("tag")
    if tag:
        attributes["tag"] = log["tag"] = rendered_tag(tag, container)
    if attributes:
        log["attributes"] = attributes


def _chosen(pairs: Mapping[str, str], given: Mapping[str, str], kind: str) -> dict[str, str]:
    names = [name for name in given.get(kind, "").split(",") if name]
    found = {name: pairs[name] for name in names if name in pairs}
    pattern = given.get(f"{kind}-regex")
    if pattern:
        import re

        try:
            matches = re.compile(pattern).search
        except re.error as error:
            raise InvalidInput(f'invalid --log-opt "{kind}-regex={pattern}": {error}') from error
        found.update({name: value for name, value in pairs.items() if matches(name)})
    return found


def rendered_tag(tag: str, container: Record) -> str:
    """Docker's words in it: `{{.Name}}/{{.ID}}`."""
    if "{{" not in tag:
        return tag
    from rcrun.formats.template import Template

    image_id = str(container.get("image_id") or "")
    values = {
        "ID": container["id"][:12],
        "FullID": container["id"],
        "Name": container["name"],
        "ImageID": image_id.removeprefix("sha256:")[:12],
        "ImageFullID": image_id,
        "ImageName": str(container.get("image") or ""),
        "DaemonName": "rcrun",
    }
    return Template(tag).render(values)
