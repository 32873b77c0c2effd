"""securityContext of pods and containers → options of `run`. Pure."""

from __future__ import annotations

import posixpath

from rcrun.formats.kube import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.kube.around import Around
    from rcrun.engine.kube.objects import PodDocument
    from rcrun.formats.image import ContainerConfig
    from rcrun.formats.kube.value import Value

_LARGEST_ID = 2**32 - 2
_SELINUX = ("user", "role", "type", "level", "filetype")
_POD_SECCOMP = "seccomp.security.alpha.kubernetes.io/pod"
_CONTAINER_SECCOMP = "container.seccomp.security.alpha.kubernetes.io/"


def security_options(
    container: Value, pod: PodDocument, around: Around, image: ContainerConfig
) -> dict[str, Any]:
    own, shared = container.field("securityContext"), pod.spec.field("securityContext")
    fields.look(own, fields.SECURITY)
    fields.look(shared, fields.POD_SECURITY)
    capabilities = own.field("capabilities")
    options: dict[str, Any] = {
        "group_add": [_id(row) for row in shared.field("supplementalGroups").rows()],
        "cap_add": capabilities.field("add").texts(),
        "cap_drop": capabilities.field("drop").texts(),
        "privileged": own.field("privileged").truth() or False,
        "read_only": own.field("readOnlyRootFilesystem").truth() or False,
        "read_only_tmpfs": True,
        "security_opt": _security(container, own, shared, pod, around),
    }
    user = _user(own, shared, image)
    if user:
        options["user"] = user
    _check_root(own, shared, user or str(image.get("User") or ""))
    return options


def _id(value: Value) -> str:
    return str(value.number(0, _LARGEST_ID) or 0)


def _first(own: Value, shared: Value, name: str) -> Value:
    """The container's own, else the pod's."""
    return own.field(name) if own.field(name).is_there else shared.field(name)


def _user(own: Value, shared: Value, image: ContainerConfig) -> str:
    user, group = _first(own, shared, "runAsUser"), _first(own, shared, "runAsGroup")
    if not user.is_there and not group.is_there:
        return ""
    name = _id(user) if user.is_there else str(image.get("User") or "").partition(":")[0] or "0"
    return f"{name}:{_id(group)}" if group.is_there else name


def _check_root(own: Value, shared: Value, user: str) -> None:
    value = _first(own, shared, "runAsNonRoot")
    if value.truth() and user.partition(":")[0] in ("", "0", "root"):
        raise value.fault(
            "the container would run as root", "say runAsUser, or take an image with a USER"
        )


def _security(
    container: Value, own: Value, shared: Value, pod: PodDocument, around: Around
) -> list[str]:
    words = []
    if own.field("allowPrivilegeEscalation").truth() is False:
        words.append("no-new-privileges")
    if own.field("procMount").one_of(("Default", "Unmasked")) == "Unmasked":
        words.append("unmask=ALL")
    labels = _first(own, shared, "seLinuxOptions")
    for key, value in labels.fields().items():
        if key.lower() not in _SELINUX:
            raise value.fault("there is no such option of SELinux")
        words.append(f"label={key.lower()}:{value.text()}")
    profile = _profile(_first(own, shared, "seccompProfile"), around.seccomp_root)
    profile = profile or _annotated(container, pod, around)
    if profile:
        words.append(f"seccomp={profile}")
    apparmor = _profile(_first(own, shared, "appArmorProfile"), "")
    if apparmor:
        words.append(f"apparmor={apparmor}")
    return words


def _profile(value: Value, root: str) -> str:
    """Empty for the default; `root` is where profiles of seccomp lie."""
    if not value.is_there:
        return ""
    kind = value.field("type").one_of(("RuntimeDefault", "Unconfined", "Localhost"))
    if not kind:
        raise value.field("type").fault("it is not given")
    name = value.field("localhostProfile")
    if kind != "Localhost":
        if name.is_there:
            raise name.fault("it goes with type: Localhost")
        return "unconfined" if kind == "Unconfined" else ""
    return _below(root, name.required(), name) if root else name.required()


def _below(root: str, name: str, value: Value) -> str:
    if name.startswith("/") or ".." in name.split("/"):
        raise value.fault(f'"{name}" is no path beneath "{root}"')
    return posixpath.join(root, name)


def _annotated(container: Value, pod: PodDocument, around: Around) -> str:
    """As it was said before there was seccompProfile."""
    name = container.field("name").text()
    text = pod.annotations.get(_CONTAINER_SECCOMP + name, pod.annotations.get(_POD_SECCOMP, ""))
    if text in ("", "runtime/default", "docker/default"):
        return ""
    if text == "unconfined":
        return text
    if not text.startswith("localhost/"):
        raise pod.spec.fault(f'the annotation for seccomp says "{text}", which is no profile')
    return _below(around.seccomp_root, text.removeprefix("localhost/"), pod.spec)
