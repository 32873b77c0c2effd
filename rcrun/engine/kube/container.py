"""A container of a pod's spec → what `run` is asked for: image, command, options. Pure."""

from __future__ import annotations

from rcrun.engine.kube import annotations as podmans
from rcrun.engine.kube.environment import environment, expanded
from rcrun.engine.kube.probes import health_options
from rcrun.engine.kube.resources import resource_options
from rcrun.engine.kube.security import security_options
from rcrun.engine.kube.volumes import mount_words
from rcrun.engine.options import strings
from rcrun.formats.kube import fields
from rcrun.formats.names import is_valid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.engine.kube.around import Around
    from rcrun.engine.kube.objects import PodDocument
    from rcrun.engine.kube.volumes import PodVolume
    from rcrun.formats.image import ContainerConfig
    from rcrun.formats.kube.value import Value

RESTARTS = {"": "always", "Always": "always", "OnFailure": "on-failure", "Never": "no"}
_POLICIES = {"Always": "always", "IfNotPresent": "missing", "Never": "never"}
_PODMANS_POLICIES = ("always", "missing", "never", "newer", "ifnotpresent")
_NO_INIT = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")


class Wanted:
    """`name` is the document's, `policy` when to pull; `init` is once, always, or empty for what is no init container."""

    __slots__ = ("args", "image", "init", "name", "notify", "options", "policy", "value")

    def __init__(self, name: str, image: str, value: Value) -> None:
        self.name = name
        self.image = image
        self.value = value
        self.init = ""
        self.notify = ""  # healthy: it has started when it is healthy
        self.policy = ""
        self.args: list[str] = []
        self.options: dict[str, Any] = {}


def containers(
    pod: PodDocument, around: Around, volumes: Mapping[str, PodVolume], restart: str
) -> list[Wanted]:
    """Init containers first, each in the order of the document."""
    found: list[Wanted] = []
    prefix = f"{pod.name}-" if around.pod_prefix else ""
    for list_name in ("initContainers", "containers"):
        for value in pod.spec.field(list_name).rows():
            name = _name(value.field("name"), found, prefix)
            wanted = Wanted(name, value.field("image").required(), value)
            if list_name == "initContainers":
                _check_init(value)
                wanted.init = podmans.init_type(pod)
            else:
                wanted.notify = podmans.notify_mode(pod, name)
            _complete(wanted, pod, around, volumes, restart, [each.name for each in found])
            found.append(wanted)
    return found


def _name(value: Value, before: Sequence[Wanted], prefix: str) -> str:
    name = value.required()
    if not is_valid(f"{prefix}{name}") or not name[0].isalnum():
        raise value.fault(f'"{name}" is no name of a container')
    if name in [each.name for each in before]:
        raise value.fault(f'there are two containers "{name}"')
    return name


def _check_init(value: Value) -> None:
    for key in _NO_INIT:
        if value.field(key).is_there:
            raise value.field(key).fault("an init container has none")


def _complete(
    wanted: Wanted,
    pod: PodDocument,
    around: Around,
    volumes: Mapping[str, PodVolume],
    restart: str,
    earlier: Sequence[str],
) -> None:
    value, image = wanted.value, around.image(wanted.image)
    fields.look(value, fields.CONTAINER)
    wanted.policy = pull_policy(value.field("imagePullPolicy"), wanted.image)
    prefix = f"{pod.name}-" if around.pod_prefix else ""
    inherited = dict(word.partition("=")[::2] for word in strings(image.get("Env"), "Env"))
    found = environment(value, pod, around, inherited)
    known = {**inherited, **found}
    parts = [
        security_options(value, pod, around, image),
        resource_options(value),
        podmans.of_container(pod, wanted.name),
        {} if wanted.init else health_options(value, restart),
        _mounts(value, pod, volumes, known),
    ]
    options = merged(parts)
    options.update(
        name=f"{prefix}{wanted.name}",
        env=[f"{name}={text}" for name, text in found.items()],
        label=[f"{key}={text}" for key, text in podmans.labels(pod, wanted.name).items()],
        annotation=[f"{key}={text}" for key, text in pod.annotations.items()],
        tty=value.field("tty").truth() or False,
        interactive=value.field("stdin").truth() or False,
        volumes_from=podmans.volumes_from(pod, wanted.name, earlier, prefix),
        restart="no" if wanted.init or options.get("rm") else restart,
        pull="never",  # play has pulled it
        **_life(value, pod, wanted),
    )
    for source in podmans.automounts(pod, wanted.name):
        options.setdefault("mount", []).extend(_image_volumes(source, around))
    if around.log_driver:
        options["log_driver"] = around.log_driver
    if around.log_opts:
        options["log_opt"] = list(around.log_opts)
    wanted.args = _command(value, image, known, options)
    wanted.options = options


def merged(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Lists are put together; of single values the last counts."""
    options: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            options[key] = [*options.get(key, ()), *value] if isinstance(value, list) else value
    return options


def pull_policy(value: Value, image: str) -> str:
    """As podman: what has no other tag than latest is looked for anew."""
    word = value.text()
    if word:
        if word.lower() not in _PODMANS_POLICIES:
            raise value.fault(f'"{word}" is none of {", ".join(_POLICIES)}')
        return _POLICIES.get(word, word.lower().replace("ifnotpresent", "missing"))
    last = image.rpartition("/")[2]
    is_newest = "@" not in last and last.partition(":")[2] in ("", "latest")
    return "newer" if is_newest and _has_registry(image) else "missing"


def _has_registry(image: str) -> bool:
    """Podman asks only for those that say where they are from, and localhost is nowhere to ask."""
    first, slash, _ = image.partition("/")
    return bool(slash) and ("." in first or ":" in first)


def _mounts(
    value: Value, pod: PodDocument, volumes: Mapping[str, PodVolume], known: Mapping[str, str]
) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for mount in value.field("volumeMounts").rows():
        plain, pattern = mount.field("subPath"), mount.field("subPathExpr")
        if plain.text() and pattern.text():
            raise pattern.fault("subPath is given, too")
        subpath = plain.text() or expanded(pattern.text(), known)
        words = mount_words(mount, volumes, subpath, pod.annotations)
        if words is not None:
            options.setdefault(words[0], []).append(words[1])
    return options


def _image_volumes(source: str, around: Around) -> list[str]:
    """podman's kube.image.volumes.mount: the VOLUMEs of an image, in their own places."""
    paths = around.image(source).get("Volumes") or {}
    return [f"type=image,source={source},target={path},subpath={path.strip('/')}" for path in paths]


def _life(value: Value, pod: PodDocument, wanted: Wanted) -> dict[str, Any]:
    options: dict[str, Any] = {}
    lifecycle = value.field("lifecycle")
    fields.look(lifecycle, fields.LIFECYCLE)
    if lifecycle.field("stopSignal").text():
        options["stop_signal"] = lifecycle.field("stopSignal").text()
    seconds = pod.spec.field("terminationGracePeriodSeconds").number(0, 2**31 - 1)
    if seconds is not None and not wanted.init:
        options["stop_timeout"] = seconds
    if value.field("workingDir").text():
        options["workdir"] = value.field("workingDir").text()
    return options


def _command(
    value: Value, image: ContainerConfig, known: Mapping[str, str], options: dict[str, Any]
) -> list[str]:
    """`command` is in the place of the entrypoint, and then the image's own command does not count."""
    command = [expanded(word, known) for word in value.field("command").texts()]
    args = [expanded(word, known) for word in value.field("args").texts()]
    if command:
        from rcrun.files import dump_json

        options["entrypoint"] = dump_json(command)
    return args
