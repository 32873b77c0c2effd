"""A container's variables, from values, ConfigMaps, secrets and fields; `$(NAME)` in words. Pure."""

from __future__ import annotations

from rcrun.formats.kube import fields, quantity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from rcrun.engine.kube.around import Around
    from rcrun.engine.kube.objects import PodDocument
    from rcrun.formats.kube.value import Value

_FIELDS = "metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY']"
_RESOURCES = ("limits.cpu", "limits.memory", "requests.cpu", "requests.memory")


def environment(
    container: Value, pod: PodDocument, around: Around, image: Mapping[str, str]
) -> dict[str, str]:
    """Those that the document says; `image` are the image's, which `$(NAME)` may mean."""
    found: dict[str, str] = {}
    for value in container.field("envFrom").rows():
        found.update(_all_of(value, around))
    for value in container.field("env").rows():
        fields.look(value, fields.ENV)
        name = _name(value.field("name"))
        text = _value(value, pod, around, container)
        if text is not None:
            found[name] = (
                expanded(text, {**image, **found}) if value.field("value").is_there else text
            )
    return found


def _name(value: Value) -> str:
    name = value.required()
    if "=" in name:
        raise value.fault(f'"{name}" is no name of a variable')
    return name


def _all_of(value: Value, around: Around) -> dict[str, str]:
    fields.look(value, fields.ENV_FROM)
    prefix = value.field("prefix").text()
    found: dict[str, str] = {}
    for key in ("configMapRef", "secretRef"):
        reference = value.field(key)
        if not reference.is_there:
            continue
        for name, data in (_data(reference, key, around) or {}).items():
            if "=" not in name:
                found[prefix + name] = _decoded(data, reference, name)
    return found


def _data(reference: Value, key: str, around: Around) -> dict[str, bytes] | None:
    """Of a ConfigMap or a secret; None where it is optional and not there."""
    name = reference.field("name").required()
    if key.startswith("configMap"):
        what, keyed = "ConfigMap", around.config_maps.get(name)
        data = None if keyed is None else keyed.data
    else:
        what, data = "secret", around.secret(name)
    if data is None and not reference.field("optional").truth():
        raise reference.fault(f'there is no {what} "{name}"')
    return data


def _decoded(data: bytes, value: Value, name: str) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise value.fault(f'what "{name}" has is no text that a variable can have')
    return text


def _value(value: Value, pod: PodDocument, around: Around, container: Value) -> str | None:
    source = value.field("valueFrom")
    if not source.is_there:
        return value.field("value").text()
    fields.look(source, fields.ENV_SOURCE)
    given = list(source.fields())
    if len(given) != 1 or value.field("value").is_there:
        raise source.fault("a variable has one source")
    reference = source.field(given[0])
    if given[0] in ("configMapKeyRef", "secretKeyRef"):
        return _key(reference, given[0], around)
    if given[0] == "fieldRef":
        return _of_field(reference.field("fieldPath"), pod, around)
    if given[0] == "resourceFieldRef":
        return _of_resource(reference, container, around)
    raise source.fault(f'"{given[0]}" is not supported')


def _key(reference: Value, kind: str, around: Around) -> str | None:
    data = _data(reference, kind, around)
    key = reference.field("key").required()
    if data is None or key not in data:
        if reference.field("optional").truth():
            return None
        raise reference.field("key").fault(f'"{reference.field("name").text()}" has no "{key}"')
    return _decoded(data[key], reference, key)


def _of_field(value: Value, pod: PodDocument, around: Around) -> str:
    path = value.required()
    plain = {"name": pod.name, "namespace": pod.namespace, "uid": around.pod_id}
    if path.removeprefix("metadata.") in plain and path.startswith("metadata."):
        return plain[path.removeprefix("metadata.")]
    for key, members in (("labels", pod.labels), ("annotations", pod.annotations)):
        begin, end = f"metadata.{key}['", "']"
        if path.startswith(begin) and path.endswith(end) and len(path) > len(begin) + len(end):
            return members.get(path[len(begin) : -len(end)], "")
    raise value.fault(f'"{path}" is not supported: there are {_FIELDS}')


def _of_resource(reference: Value, container: Value, around: Around) -> str:
    """Without a limit that of the host; without a request the limit; rounded up, as Kubernetes does."""
    name = reference.field("resource").one_of(_RESOURCES)
    if not name:
        raise reference.field("resource").fault("it is not given")
    kind, _, what = name.partition(".")
    divisor = quantity.parse(reference.field("divisor"))
    if divisor < 0:
        raise reference.field("divisor").fault("it is less than nothing")
    number = _resource(container, kind, what, around)
    return str(quantity.up(number / (divisor or 1)))


def _resource(container: Value, kind: str, what: str, around: Around) -> Fraction:
    found = quantity.parse(container.field("resources").field(kind).field(what))
    if not found and kind == "requests":
        return _resource(container, "limits", what, around)
    if found:
        return found
    from fractions import Fraction

    return Fraction(around.processors if what == "cpu" else around.memory)


def expanded(text: str, known: Mapping[str, str]) -> str:
    """`$(NAME)` becomes its value if there is one, `$$` one dollar; all else stays."""
    parts = []
    at = 0
    while at < len(text):
        if text.startswith("$$", at):
            parts.append("$")
            at += 2
            continue
        end = text.find(")", at) if text.startswith("$(", at) else -1
        if end < 0:
            parts.append(text[at])
            at += 1
            continue
        name = text[at + 2 : end]
        parts.append(known.get(name, text[at : end + 1]))
        at = end + 1
    return "".join(parts)
