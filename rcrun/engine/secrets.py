"""Secrets of the store, and their copies in the directories of containers."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput, RcrunError
from rcrun.formats import secretflag
from rcrun.storage import secrets
from rcrun.storage.containers import now_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.engine.config_secrets import SecretUse
    from rcrun.engine.context import Context
    from rcrun.formats.secretflag import SecretRequest
    from rcrun.formats.spec import Spec
    from rcrun.paths import Store
    from rcrun.storage.containers import Container
    from rcrun.storage.secrets import Record


def create(
    context: Context,
    name: str,
    data: bytes,
    *,
    driver: str = "file",
    labels: Mapping[str, str] | None = None,
    driver_options: Mapping[str, str] | None = None,
    replace: bool = False,
) -> Record:
    if driver not in ("", "file"):
        raise InvalidInput(f'unknown secret driver "{driver}"', "use --driver file")
    if not 0 < len(data) < secretflag.LARGEST:
        raise InvalidInput(
            f'the secret "{name}" has {len(data)} bytes: '
            f"it must be larger than 0 and less than {secretflag.LARGEST}"
        )
    return secrets.create(
        context.store,
        name,
        data,
        now_text(),
        labels=labels,
        driver_options=driver_options,
        replace=replace,
    )


def read_source(context: Context, source: str, *, from_environment: bool) -> bytes:
    """A file, standard input as `-`, or a variable of the environment."""
    if from_environment:
        value = context.environ.get(source)
        if value is None:
            raise InvalidInput(f'the environment has no "{source}" to make a secret of')
        return value.encode("utf-8", "surrogateescape")
    try:
        with open(0 if source == "-" else source, "rb", closefd=source != "-") as file:
            return file.read(secretflag.LARGEST + 1)
    except OSError as error:
        name = "standard input" if source == "-" else source
        raise InvalidInput(f'cannot read "{name}": {(error.strerror or "").lower()}') from error


def inspect_object(record: Record, *, show: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ID": record["id"],
        "CreatedAt": record["created"],
        "UpdatedAt": record["updated"],
        "Spec": {
            "Name": record["name"],
            "Driver": {"Name": "file", "Options": dict(record["driver_options"])},
            "Labels": dict(record["labels"]),
        },
    }
    if show:
        found["SecretData"] = secrets.content(record).decode("utf-8", "backslashreplace")
    return found


def matching(store: Store, filters: Sequence[str]) -> list[Record]:
    """Filters of one key are alternatives, but labels must all be there."""
    asked: dict[str, list[str]] = {}
    for word in filters:
        key, equals, value = word.partition("=")
        if key not in ("id", "label", "name") or not equals:
            raise InvalidInput(f'invalid filter "{word}"', "secret ls knows id, label and name")
        asked.setdefault(key, []).append(value)
    return [record for record in secrets.every(store) if _passes(record, asked)]


def _passes(record: Record, asked: Mapping[str, Sequence[str]]) -> bool:
    labels = record["labels"]
    for value in asked.get("label", ()):
        key, equals, wanted = value.partition("=")
        if key not in labels or (equals and labels[key] != wanted):
            return False
    ids, found_names = asked.get("id"), asked.get("name")
    return (not ids or any(record["id"].startswith(value) for value in ids)) and (
        not found_names or any(value in record["name"] for value in found_names)
    )


# In a container: a copy that stays as it was when the container was made.


def copy_secrets(
    context: Context, container: Container, uses: Sequence[SecretUse], config: Spec
) -> None:
    """Into its directory, which no other container reaches, and which no image is made of."""
    os.mkdir(container.path("secrets"), 0o700)
    for use in uses:
        record = secrets.load(context.store, use.secret_id)
        data = secrets.content(record)
        if use.request.kind == "env" and b"\0" in data:
            raise InvalidInput(
                f'the secret "{use.request.name}" has a NUL character: no variable can'
            )
        path = container.path(use.file)
        mode = use.request.mode if use.request.kind == "mount" else 0o600
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(data)
            os.fchmod(fd, mode)
        if use.request.kind == "mount":
            _give(context, path, use.request, config)
    container.record["secrets"] = [use.record() for use in uses]


def _give(context: Context, path: str, request: SecretRequest, config: Spec) -> None:
    """To root of the container, or to whom the option says; one id alone owns everything there is."""
    from rcrun.engine.volumes import give, our_ids

    try:
        uid, gid = our_ids(context, config, request.uid or 0, request.gid or 0)
    except InvalidInput:
        if request.uid is not None or request.gid is not None:
            raise
        return
    if (uid, gid) != (0, 0):
        give(context, path, uid, gid)


def with_environment(container: Container, spec: Spec) -> Spec:
    """config.json never has them: who may read it need not know them."""
    process = spec.get("process")
    words = environment(container)
    if not words or process is None:
        return spec
    return {**spec, "process": {**process, "env": [*(process.get("env") or []), *words]}}


def environment(container: Container) -> list[str]:
    """`NAME=VALUE` of the secrets with type=env."""
    return [
        f"{secret['target']}={_text(container, secret['file'])}"
        for secret in container.record.get("secrets") or []
        if secret["type"] == "env"
    ]


def _text(container: Container, file: str) -> str:
    try:
        with open(container.path(file), "rb") as opened:
            return opened.read().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise RcrunError(
            f'the copy of a secret of container "{container.name}" cannot be read: '
            f"{(error.strerror or '').lower()}"
        ) from error
