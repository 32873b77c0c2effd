"""Documents of Kubernetes sorted by kind: pods and what makes pods, volumes, secrets, configuration. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats.kube import fields
from rcrun.formats.kube.value import Value
from rcrun.formats.names import is_valid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_WITH_TEMPLATE = ("Deployment", "DaemonSet", "Job")
LONGEST_ANNOTATIONS = 256 << 10  # bytes, of all together: Kubernetes's


class PodDocument:
    """`spec` is the pod's, of whatever made it; `name` what the pod will be called."""

    __slots__ = ("annotations", "kind", "labels", "name", "namespace", "spec")

    def __init__(self, kind: str, name: str, spec: Value) -> None:
        self.kind = kind
        self.name = name
        self.spec = spec
        self.namespace = "default"
        self.labels: dict[str, str] = {}
        self.annotations: dict[str, str] = {}


class Keyed:
    """A ConfigMap or a Secret: names → bytes; `document` is what a secret keeps of itself."""

    __slots__ = ("data", "document", "immutable", "name", "value")

    def __init__(self, name: str, data: dict[str, bytes], value: Value) -> None:
        self.name = name
        self.data = data
        self.value = value
        self.immutable = value.field("immutable").truth() or False
        self.document = value.data


class Claim:
    __slots__ = ("annotations", "labels", "name", "value")

    def __init__(
        self, name: str, labels: dict[str, str], annotations: dict[str, str], value: Value
    ) -> None:
        self.name = name
        self.labels = labels
        self.annotations = annotations
        self.value = value


class Objects:
    """`notes` are warnings; `skipped` are documents of other kinds, as `KIND "NAME"`."""

    __slots__ = ("claims", "config_maps", "notes", "pods", "secrets", "skipped")

    def __init__(self) -> None:
        self.pods: list[PodDocument] = []
        self.claims: list[Claim] = []
        self.secrets: dict[str, Keyed] = {}
        self.config_maps: dict[str, Keyed] = {}
        self.skipped: list[str] = []
        self.notes: list[str] = []


def sort_out(documents: Iterable[Any], name: str) -> Objects:
    """`name` is the file's, for messages."""
    found = Objects()
    for number, data in enumerate(_written_out(documents, name), 1):
        if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
            raise InvalidInput(f'document {number} of "{name}" says no kind', "write kind: Pod")
        _sort_in(found, data, number)
    return found


def _written_out(documents: Iterable[Any], name: str) -> Iterable[Any]:
    """What stands in a List stands for itself."""
    for data in documents:
        if isinstance(data, dict) and data.get("kind") == "List":
            for row in Value(data, f'List in "{name}"').field("items").rows():
                yield row.data
        else:
            yield data


def _sort_in(found: Objects, data: dict[str, Any], number: int) -> None:
    kind = data["kind"]
    metadata = data.get("metadata")
    given = metadata.get("name") if isinstance(metadata, dict) else None
    title = (
        f'{kind} "{given}"' if isinstance(given, str) and given else f"{kind} (document {number})"
    )
    value = Value(data, title, "", found.notes)
    if kind == "Pod":
        fields.look(value, fields.DOCUMENT)
        found.pods.append(_pod(value, value, "Pod"))
    elif kind in _WITH_TEMPLATE:
        found.pods.append(_template(value, kind))
    elif kind == "PersistentVolumeClaim":
        name, labels, annotations = _metadata(value)
        _check_name(value, name, "volume")
        found.claims.append(Claim(name, labels, annotations, value))
    elif kind == "ConfigMap":
        _add(found.config_maps, _config_map(value))
    elif kind == "Secret":
        _add(found.secrets, _secret(value))
    else:
        found.skipped.append(title)


def _add(known: dict[str, Keyed], keyed: Keyed) -> None:
    if keyed.name in known:
        raise keyed.value.fault("there are two of this name")
    known[keyed.name] = keyed


def _metadata(value: Value) -> tuple[str, dict[str, str], dict[str, str]]:
    metadata = value.field("metadata")
    fields.look(metadata, fields.META)
    annotations = metadata.field("annotations").pairs()
    if sum(len(key) + len(text) for key, text in annotations.items()) > LONGEST_ANNOTATIONS:
        raise metadata.field("annotations").fault(
            f"they are longer than {LONGEST_ANNOTATIONS} bytes together"
        )
    return metadata.field("name").required(), metadata.field("labels").pairs(), annotations


def _check_name(value: Value, name: str, what: str) -> None:
    if not is_valid(name):
        raise (
            value.field("metadata")
            .field("name")
            .fault(f'"{name}" is no name of a {what}: it has two or more of [a-zA-Z0-9_.-]')
        )


def _pod(value: Value, outer: Value, kind: str) -> PodDocument:
    """`outer` has name and annotations, `value` labels and spec: a pod's are its own."""
    name, labels, annotations = _metadata(outer)
    if not value.field("spec").is_there:
        raise value.field("spec").fault("it is not given")
    if kind == "Pod":
        _check_name(outer, name, "pod")
    pod = PodDocument(kind, name if kind == "Pod" else f"{name}-pod", value.field("spec"))
    metadata = value.field("metadata")
    pod.labels = labels if value is outer else metadata.field("labels").pairs()
    pod.annotations = annotations
    if value is not outer:
        pod.annotations = {**metadata.field("annotations").pairs(), **annotations}
    pod.namespace = outer.field("metadata").field("namespace").text("default")
    return pod


def _template(value: Value, kind: str) -> PodDocument:
    """One pod, however many are asked for."""
    replicas = value.field("spec").field("replicas")
    if (replicas.number() or 0) > 1:
        replicas.note("there is one pod of it on one host")
    template = value.field("spec").field("template")
    if not template.is_there:
        raise template.fault("it is not given")
    return _pod(template, value, kind)


def _config_map(value: Value) -> Keyed:
    fields.look(value, fields.CONFIG_MAP)
    name, _, _ = _metadata(value)
    data = {key: text.encode() for key, text in value.field("data").pairs().items()}
    for key, member in value.field("binaryData").fields().items():
        if key in data:
            raise member.fault("data has it, too")
        data[key] = _decoded(member)
    return Keyed(name, data, value)


def _secret(value: Value) -> Keyed:
    fields.look(value, fields.SECRET)
    name, _, _ = _metadata(value)
    return Keyed(name, secret_data(value), value)


def secret_data(value: Value) -> dict[str, bytes]:
    data = {key: _decoded(member) for key, member in value.field("data").fields().items()}
    for key, text in value.field("stringData").pairs().items():
        data[key] = text.encode()
    return data


def _decoded(value: Value) -> bytes:
    import base64

    try:
        return base64.b64decode("".join(value.text().split()), validate=True)
    except ValueError as error:
        raise value.fault("it is no base64") from error
