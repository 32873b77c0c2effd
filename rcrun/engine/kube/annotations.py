"""Podman's annotations of a pod, which say of containers what Kubernetes has no fields for. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from rcrun.engine.kube.objects import PodDocument

_PREFIX = "io.podman.annotations."
_UPDATE = ("io.containers.autoupdate", "io.containers.autoupdate.authfile")
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")
INIT_TYPES = ("once", "always")


def of_container(pod: PodDocument, name: str) -> dict[str, Any]:
    """Options of `run`; an annotation for one container ends with `/NAME`."""
    options: dict[str, Any] = {}
    limits = pod.annotations.get(f"{_PREFIX}ulimit")
    if limits:
        options["ulimit"] = limits.split(",")
    for key, option in (("init", "init"), ("autoremove", "rm")):
        text = _own(pod, key, name)
        if text:
            options[option] = _truth(pod, key, text)
    pids = _own(pod, "pids-limit", name)
    if pids:
        if not pids.removeprefix("-").isdecimal():
            raise _fault(pod, "pids-limit", f'"{pids}" is no number')
        options["pids_limit"] = int(pids)
    for key, option in (("cpuset", "cpuset_cpus"), ("memory-nodes", "cpuset_mems")):
        if _own(pod, key, name):
            options[option] = _own(pod, key, name)
    label = _own(pod, "label", name)
    if label:
        options["security_opt"] = [f"label={label}"]
    return options


def labels(pod: PodDocument, name: str) -> dict[str, str]:
    """The pod's, and what `auto-update` looks at."""
    found = dict(pod.labels)
    for key in _UPDATE:
        text = pod.annotations.get(f"{key}/{name}", pod.annotations.get(key, ""))
        if text:
            found[key] = text
    return found


def volumes_from(pod: PodDocument, name: str, earlier: Iterable[str], prefix: str) -> list[str]:
    """CONTAINER[:OPTIONS] behind semicolons; one of the pod's own must stand before."""
    if f"{_PREFIX}volumes-from" in pod.annotations:
        raise _fault(pod, "volumes-from", "it says for which container: volumes-from/NAME")
    found = []
    for word in filter(None, _own(pod, "volumes-from", name).split(";")):
        other, colon, options = word.partition(":")
        if not other or other == name:
            raise _fault(pod, f"volumes-from/{name}", f'"{word}" names no other container')
        found.append(f"{prefix if other in earlier else ''}{other}{colon}{options}")
    return found


def automounts(pod: PodDocument, name: str) -> list[str]:
    """Images whose VOLUMEs the container sees."""
    return [word for word in _own(pod, "kube.image.volumes.mount", name).split(";") if word]


def init_type(pod: PodDocument) -> str:
    word = pod.annotations.get(f"{_PREFIX}init.container.type", "") or "once"
    if word not in INIT_TYPES:
        raise _fault(pod, "init.container.type", f'"{word}" is neither once nor always')
    return word


def user_namespace(pod: PodDocument) -> str:
    key = f"{_PREFIX}userns"
    return pod.annotations.get(key, pod.annotations.get(f"{key}/{pod.name}", ""))


def notify_mode(pod: PodDocument, name: str) -> str:
    """When the container has started: at once, when it is healthy, or when it says so."""
    key = "io.containers.sdnotify"
    word = pod.annotations.get(f"{key}/{name}", pod.annotations.get(key, ""))
    if word not in ("", "ignore", "conmon", "container", "healthy"):
        raise InvalidInput(
            f'{pod.spec.title}: metadata.annotations["{key}"]: "{word}" is not supported: '
            "there are ignore, conmon, container and healthy"
        )
    return word if word in ("container", "healthy") else ""


def _own(pod: PodDocument, key: str, name: str) -> str:
    return pod.annotations.get(f"{_PREFIX}{key}/{name}", "")


def _truth(pod: PodDocument, key: str, text: str) -> bool:
    if text not in _TRUE + _FALSE:
        raise _fault(pod, key, f'"{text}" is neither true nor false')
    return text in _TRUE


def _fault(pod: PodDocument, key: str, reason: str) -> InvalidInput:
    return InvalidInput(f'{pod.spec.title}: metadata.annotations["{_PREFIX}{key}"]: {reason}')
