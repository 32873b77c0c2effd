"""Volumes, secrets and paths of the host that `kube play` makes; what it has made carries a label, and goes again when a play fails."""

from __future__ import annotations

import os

from rcrun.engine import secrets as engine_secrets
from rcrun.engine.eventlog import emit
from rcrun.engine.volume import create as create_volume
from rcrun.errors import AlreadyExists, InvalidInput, NotFound
from rcrun.formats.kube.value import Value
from rcrun.storage import secrets, volumes
from rcrun.storage.containers import now_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rcrun.engine.context import Context
    from rcrun.engine.kube.objects import Claim, Keyed
    from rcrun.engine.kube.volumes import PodVolume

LABEL = "io.rcrun.kube"  # of what a play made: the kind
_DIGEST = "io.rcrun.kube.files"
_OPTIONS = {"type": "type", "device": "device", "mount-options": "o"}
_PREFIX = "volume.podman.io/"
_REFUSED = ("uid", "gid", "image")


class Undo:
    """What to do when the rest fails, the last first."""

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps: list[Callable[[], object]] = []

    def run(self) -> None:
        """Each is tried, whatever became of the one before."""
        from rcrun.errors import RcrunError

        while self.steps:
            try:
                self.steps.pop()()
            except (OSError, RcrunError):
                continue


def make_claim(context: Context, claim: Claim, annotations: Mapping[str, str], undo: Undo) -> None:
    """A volume; one that is there stays as it is."""
    given = {
        key.removeprefix(_PREFIX): text
        for key, text in {**claim.annotations, **annotations}.items()
        if key.startswith(_PREFIX)
    }
    for key in _REFUSED:
        if given.get(key):
            raise claim.value.fault(f'the annotation "{_PREFIX}{key}" is not supported')
    options = {option: given[key] for key, option in _OPTIONS.items() if given.get(key)}
    source = given.get("import-source", "")
    if source and not os.path.isfile(source):
        raise claim.value.fault(f'the annotation "{_PREFIX}import-source": there is no "{source}"')
    labels = {**claim.labels, LABEL: "claim"}
    if not _make(
        context, claim.name, labels, undo, driver=given.get("driver", ""), options=options
    ):
        return
    if source:
        from rcrun.engine.volumetar import import_volume, open_archive

        fd = open_archive(source)
        try:
            import_volume(context, claim.name, fd)
        finally:
            os.close(fd)


def _make(
    context: Context,
    name: str,
    labels: Mapping[str, str],
    undo: Undo,
    *,
    driver: str = "",
    options: Mapping[str, str] | None = None,
) -> bool:
    """False where it was there."""
    try:
        create_volume(
            context, name, driver=driver or "local", labels=labels, options=options, existing=False
        )
    except AlreadyExists:
        return False
    undo.steps.append(lambda: remove_volumes(context, [name]))
    return True


def remove_volumes(context: Context, names: list[str]) -> None:
    from rcrun.engine.volumerm import VolumeRemoval

    removal = VolumeRemoval(context, force=True)
    try:
        for name in names:
            removal.take(name)
    finally:
        removal.finish()


def kind_of(context: Context, name: str) -> str:
    """What a play made the volume for; empty for one that it has not made."""
    record = volumes.find(context.store, name)
    return str(record["labels"].get(LABEL) or "") if record is not None else ""


# ---- the volumes of a pod


def make_volume(context: Context, volume: PodVolume, undo: Undo) -> None:
    if volume.make:
        _make_path(volume, undo)
    elif volume.kind == "volume":
        _make(context, volume.source, {LABEL: "claim"}, undo)
    elif volume.kind == "empty":
        _make(context, volume.source, {LABEL: "empty"}, undo)
    elif volume.kind == "files":
        _fill(context, volume, undo)


def _make_path(volume: PodVolume, undo: Undo) -> None:
    path, is_file = volume.source, volume.make == "file"
    undo.steps += [_remover(each, is_file and each == path) for each in _missing(path)]
    try:
        os.makedirs(os.path.dirname(path) if is_file else path, exist_ok=True)
        if is_file:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise volume.value.field("path").fault(f'cannot make "{path}": {reason}') from error


def _remover(path: str, is_file: bool) -> Callable[[], object]:
    return lambda: os.unlink(path) if is_file else os.rmdir(path)


def _missing(path: str) -> list[str]:
    found = []
    while not os.path.lexists(path):
        found.append(path)
        path = os.path.dirname(path)
    return found[::-1]


def _fill(context: Context, volume: PodVolume, undo: Undo) -> None:
    """A ConfigMap's or a secret's files: made anew, unless containers have them already."""
    name, store = volume.source, context.store
    wanted = _digest(volume)
    record = volumes.find(store, name)
    if record is not None:
        if record["labels"].get(LABEL) != "files":
            raise volume.value.fault(
                f'the volume "{name}" is there, and was not made of a ConfigMap or a secret',
                f"see rcrun volume inspect {name}",
            )
        users = volumes.users(store).get(name)
        if users and record["labels"].get(_DIGEST) == wanted:
            return
        if users:
            raise volume.value.fault(
                f'the volume "{name}" has other files, and container "{users[0].name}" uses it',
                "take its pod down first: rcrun kube down FILE",
            )
        remove_volumes(context, [name])
    labels = {LABEL: "files", _DIGEST: wanted}
    fill = _writer(volume)
    if volumes.make(store, name, now_text(), labels=labels, fill=fill, discard=_discard):
        emit(store, "volume", "create", name, {"driver": "local"})
        undo.steps.append(lambda: remove_volumes(context, [name]))


def _digest(volume: PodVolume) -> str:
    import hashlib

    found = hashlib.sha256()
    for path, (data, mode) in sorted(volume.files.items()):
        found.update(f"{path}\0{mode}\0{len(data)}\0".encode())
        found.update(data)
    return found.hexdigest()


def _writer(volume: PodVolume) -> Callable[[str], None]:
    """Into a directory that nobody else sees yet."""

    def fill(folder: str) -> None:
        for path, (data, mode) in volume.files.items():
            whole = f"{folder}/{path}"
            try:
                os.makedirs(os.path.dirname(whole), mode=0o755, exist_ok=True)
                fd = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except (FileExistsError, NotADirectoryError) as error:
                raise volume.value.fault(f'there are two things with the path "{path}"') from error
            with open(fd, "wb") as file:
                file.write(data)
                os.fchmod(fd, mode)

    return fill


def _discard(path: str) -> None:
    from rcrun.storage.trees import remove_tree

    remove_tree(path)


# ---- secrets: the whole document is kept, as podman keeps it


def make_secret(context: Context, secret: Keyed, undo: Undo) -> str:
    """Its id; one of an earlier play is replaced, unless it was immutable."""
    before = None
    try:
        before = secrets.load(context.store, secret.name)
    except NotFound:
        pass
    if before is not None and before["name"] == secret.name:
        if before["labels"].get("immutable") == "true":
            raise secret.value.fault("a secret of this name is there and immutable")
        if LABEL not in before["labels"]:
            raise secret.value.fault(
                "a secret of this name is there, and no play has made it",
                f"remove it first: rcrun secret rm {secret.name}",
            )
    else:
        before = None
    from rcrun.formats.kube.documents import text_of

    labels = {LABEL: "secret", **({"immutable": "true"} if secret.immutable else {})}
    [text] = text_of([secret.document])
    made = engine_secrets.create(
        context, secret.name, text.encode(), labels=labels, replace=before is not None
    )
    undo.steps.append(lambda: _restore(context, secret.name, before))
    return str(made["id"])


def _restore(context: Context, name: str, before: secrets.Record | None) -> None:
    if before is None:
        secrets.remove(context.store, name)
        return
    engine_secrets.create(
        context, name, secrets.content(before), labels=before["labels"], replace=True
    )


def secret_of_store(context: Context, name: str) -> dict[str, bytes] | None:
    """What a secret of the store says, if it is a document of Kubernetes or a map of JSON; else it has no keys."""
    from rcrun.engine.kube.objects import secret_data
    from rcrun.formats.kube.documents import parse

    try:
        record = secrets.load(context.store, name)
    except NotFound:
        return None
    if record["name"] != name:
        return None
    title = f'secret "{name}"'
    try:
        documents = parse(secrets.content(record), name)
    except InvalidInput:
        documents = []
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise InvalidInput(
            f"the {title} is no document of Kubernetes, and so has no keys",
            "make it with rcrun kube play of a document with kind: Secret",
        )
    value = Value(documents[0], title)
    if documents[0].get("kind") == "Secret":
        return secret_data(value)
    data = {key: text for key, text in documents[0].items() if isinstance(text, str)}
    return secret_data(Value({"data": data}, title))
