"""`kube down`: what the play of the same documents has made, and nothing else."""

from __future__ import annotations

from rcrun.engine.kube import made
from rcrun.errors import InUse, NotFound, RcrunError
from rcrun.storage import pods, secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rcrun.engine.context import Context
    from rcrun.engine.kube.objects import Objects
    from rcrun.formats.kube.value import Value
    from rcrun.storage.pods import Pod


class Taken:
    """What went: ids of pods, names of the rest; `errors` are told, and do not keep the others from going."""

    __slots__ = ("errors", "pods", "secrets", "volumes")

    def __init__(self) -> None:
        self.pods: list[str] = []
        self.secrets: list[str] = []
        self.volumes: list[str] = []
        self.errors: list[RcrunError] = []


def take_down(
    context: Context, objects: Objects, *, with_volumes: bool = False, of_others: bool = False
) -> Taken:
    """`of_others`: pods of these names whoever made them, for they are in the way."""
    from rcrun.engine.podlife import stop
    from rcrun.engine.podrm import remove

    taken = Taken()
    for document in objects.pods:
        pod = _pod(context, document.name, of_others)
        if pod is None:
            continue
        try:
            stop(pod)
            remove(context, pod, force=True)
        except NotFound:
            continue  # somebody else was quicker
        except RcrunError as error:
            taken.errors.append(error)
            continue
        taken.pods.append(pod.id)
    _take_secrets(context, objects, taken)
    if with_volumes:
        _take_volumes(context, objects, taken)
    return taken


def _pod(context: Context, name: str, of_others: bool) -> Pod | None:
    """By its name alone, which is no beginning of an id; one that no play has made is somebody else's."""
    try:
        pod = pods.find(context.store, name)
    except NotFound:
        return None
    is_played = made.LABEL in (pod.record.get("labels") or {})
    return pod if pod.name == name and (is_played or of_others) else None


def _take_secrets(context: Context, objects: Objects, taken: Taken) -> None:
    for name in objects.secrets:
        try:
            record = secrets.load(context.store, name)
            if record["name"] == name and made.LABEL in record["labels"]:
                taken.secrets.append(str(secrets.remove(context.store, name)["id"]))
        except NotFound:
            continue


def _take_volumes(context: Context, objects: Objects, taken: Taken) -> None:
    for name in dict.fromkeys(_volume_names(objects)):
        if not made.kind_of(context, name):
            continue
        try:
            made.remove_volumes(context, [name])
        except NotFound:
            continue
        except InUse as error:
            taken.errors.append(error)
            continue
        taken.volumes.append(name)


def _volume_names(objects: Objects) -> Iterable[str]:
    for claim in objects.claims:
        yield claim.name
    for document in objects.pods:
        for volume in document.spec.field("volumes").rows():
            yield from filter(None, _source(volume))


def _source(volume: Value) -> list[str]:
    return [
        volume.field("persistentVolumeClaim").field("claimName").text(),
        volume.field("configMap").field("name").text(),
        volume.field("secret").field("secretName").text(),
    ]
