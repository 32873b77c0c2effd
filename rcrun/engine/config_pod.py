"""What a pod gives its containers: their options, once they are in it; and what they cannot say themselves. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.engine.options import Options

PAUSE = "pause"  # `infra` of an infra container without an image, which runs nothing
SHARED_BY_DEFAULT = ("ipc", "net", "uts")
_KNOWN = ("cgroup", "ipc", "net", "pid", "uts")
# A namespace as --share calls it, and the option that a container joins it with.
_KEYS = {"cgroup": "cgroupns", "ipc": "ipc", "net": "network", "pid": "pid", "uts": "uts"}
# What is decided with the network, and podman's words for it.
_OF_NETWORK = {
    "publish": "published or exposed ports",
    "publish_all": "published or exposed ports",
    "expose": "published or exposed ports",
    "network_alias": "network aliases",
    "ip": "static ip addresses",
    "ip6": "static ip addresses",
    "mac_address": "MAC addresses",
    "dns": "DNS servers",
    "dns_option": "DNS options",
    "dns_search": "DNS search domains",
    "add_host": "extra host entries",
}
_OF_USERS = ("userns", "uidmap", "gidmap", "subuidname", "subgidname")
# Options of a pod that all of its containers have, where they say nothing themselves.
_INHERITED = ("restart", "shm_size", "no_hostname")
# And those that are added to theirs.
_ADDED = ("device", "volumes_from", "security_opt")


def shared(text: str | None) -> list[str]:
    """The namespaces of `--share`: a list, or with a + before it more than the usual ones."""
    if text is None:
        return list(SHARED_BY_DEFAULT)
    found = list(SHARED_BY_DEFAULT) if text.startswith("+") else []
    for word in text.removeprefix("+").split(","):
        if word in ("", "none"):
            continue
        if word in ("mnt", "user"):
            raise InvalidInput(f"{word} sharing functionality not supported on pod level")
        if word not in _KNOWN:
            raise InvalidInput(
                f"invalid kernel namespace to share: {word}. Options are: cgroup, ipc, net, pid, uts or none"
            )
        found.append(word)
    return sorted(set(found))


def of_member(options: Options, pod: Mapping[str, Any]) -> Options:
    """The options of a container as they are in this pod, whose record it is."""
    given: Mapping[str, Any] = pod.get("options") or {}
    infra = str(pod.get("infra") or "")
    found = {**options, **_inherited(options, given)}
    parent = pod.get("group") or given.get("cgroup_parent")
    if parent and pod.get("share_parent", True) and not options.get("cgroup_parent"):
        found["cgroup_parent"] = parent
    if not infra:
        _refuse_pods_namespaces(options)
        return found
    shares: Sequence[str] = pod.get("share") or ()
    if "net" in shares and _is_usual("network", _first(options.get("network"))):
        _refuse_network(options)
    if "uts" in shares and options.get("uts") in (None, "", "pod"):
        _refuse_host_name(options)
    if shares or any(given.get(key) for key in _OF_USERS):
        _refuse_users(options)
    for kind, key in _KEYS.items():
        word = _first(options.get(key))
        if word == "pod" and kind not in shares:
            raise InvalidInput(
                f"--{key} pod: the pod does not share its {kind} namespace",
                f"rcrun pod create --share +{kind}",
            )
        if kind in shares and _is_usual(key, word):
            found[key] = f"container:{infra}"
    if any(given.get(key) for key in _OF_USERS):
        found["userns"] = f"container:{infra}"
    return found


def _first(value: Any) -> str:
    return str(value or "") if isinstance(value, str) or not value else str(value[0])


def _is_usual(key: str, word: str) -> bool:
    """Whether the container says nothing of its own; as podman every container's ipc is `shareable`."""
    return (
        word in ("", "pod")
        or (key == "ipc" and word == "shareable")
        or (key == "network" and word == "default")
    )


def _inherited(options: Options, given: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: given[key] for key in _INHERITED if given.get(key) and not options.get(key)}
    if found.get("restart") and options.get("rm"):
        del found["restart"]
    for key in _ADDED:
        if given.get(key):
            found[key] = (*given[key], *(options.get(key) or ()))
    if given.get("volume"):
        found["volume"] = (*uncovered(given["volume"], options), *(options.get("volume") or ()))
    return found


def uncovered(volumes: Sequence[str], options: Options) -> list[str]:
    """Those of the pod or a file, but for those in whose place the container has another mount."""
    own = destinations(options)
    return [text for text in volumes if _destination(text) not in own]


def destinations(options: Options) -> set[str]:
    """Where mounts were asked for."""
    own = {_destination(text) for text in options.get("volume") or ()}
    own.update(text.partition(":")[0] for text in options.get("tmpfs") or ())
    for text in options.get("mount") or ():
        own.update(
            word.partition("=")[2]
            for word in text.split(",")
            if word.partition("=")[0] in ("target", "dst", "destination")
        )
    return own


def _destination(text: str) -> str:
    words = text.split(":")
    return (words[1] if len(words) > 1 else words[0]).rstrip("/") or "/"


def _refuse_pods_namespaces(options: Options) -> None:
    for key in _KEYS.values():
        if _first(options.get(key)) == "pod":
            raise InvalidInput(
                f"--{key} pod: the pod has no infra container, and so no namespaces to share",
                "rcrun pod create --infra",
            )


def _refuse_network(options: Options) -> None:
    for key, what in _OF_NETWORK.items():
        if options.get(key):
            flag = f"--{key.replace('_', '-')}"
            raise _shared_network(what, f"give it to the pod: rcrun pod create {flag} …")
    if options.get("hosts_file") or options.get("no_hosts"):
        raise _shared_network("extra host entries", "give it to the pod: rcrun pod create …")


def _shared_network(what: str, hint: str) -> InvalidInput:
    return InvalidInput(
        f"{what} must be defined when the pod is created: "
        "network cannot be configured when it is shared with a pod",
        hint,
    )


def _refuse_host_name(options: Options) -> None:
    if options.get("hostname") or options.get("domainname"):
        raise InvalidInput(
            "cannot set hostname when joining the pod UTS namespace: invalid configuration",
            "give it to the pod: rcrun pod create --hostname NAME; or a name of its own: --uts private",
        )


def _refuse_users(options: Options) -> None:
    for key in _OF_USERS:
        if options.get(key):
            raise InvalidInput(
                f"--{key} and --pod cannot be set together: "
                "cannot set user namespace mode when joining pod with infra container",
                f"give it to the pod: rcrun pod create --{key} …",
            )
