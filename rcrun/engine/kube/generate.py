"""`kube generate`: containers, pods and volumes as documents that `kube play` reads again."""

from __future__ import annotations

from rcrun.engine.facts import stat_or_none
from rcrun.engine.kube import images, made
from rcrun.engine.kube.written import (
    RESTARTS,
    PodParts,
    Seen,
    add_names,
    common_parts,
    container_document,
    ports_of,
)
from rcrun.errors import InvalidInput, NotFound
from rcrun.storage import containers, pods, volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container
    from rcrun.storage.pods import Pod

    Object = dict[str, Any]

KINDS = ("pod", "deployment", "daemonset", "job")
_CLAIM_OPTIONS = {"o": "mount-options", "device": "device", "type": "type"}
_NODE_PORTS = range(30000, 32768)
_RESERVED = "io.podman.annotations."


class Wanted:
    """`replicas` are a deployment's; `podman_only`: with podman's own annotations, which Kubernetes refuses."""

    __slots__ = ("kind", "podman_only", "replicas", "service")

    def __init__(self) -> None:
        self.kind = "pod"
        self.replicas = 1
        self.service = False
        self.podman_only = False


class Generated:
    __slots__ = ("documents", "notes")

    def __init__(self) -> None:
        self.documents: list[Object] = []
        self.notes: list[str] = []


def generate(context: Context, names: Sequence[str], wanted: Wanted) -> Generated:
    """Volumes first, then services and what they lead to. Containers by themselves become one pod."""
    found = Generated()
    lone: list[Container] = []
    made_pods: list[Object] = []
    for name in names:
        thing = _found(context, name)
        if isinstance(thing, containers.Container):
            lone.append(thing)
        elif isinstance(thing, pods.Pod):
            made_pods.append(_of_pod(context, thing, wanted, found))
        else:
            found.documents.append(_claim(thing))
    if lone:
        made_pods.append(_of_containers(context, lone, wanted, found))
    if wanted.service:
        found.documents += [_service(pod) for pod in made_pods]
    found.documents += [_as_kind(pod, wanted) for pod in made_pods]
    return found


def _found(context: Context, name: str) -> Container | Pod | volumes.Record:
    try:
        container = containers.find(context.store, name)
    except NotFound:
        pass
    else:
        pod = container.record.get("pod") or {}
        if pod.get("id"):
            raise InvalidInput(
                f'container "{name}" is in pod "{pod["name"]}"',
                f"rcrun kube generate {pod['name']}",
            )
        return container
    try:
        return pods.find(context.store, name)
    except NotFound:
        pass
    volume = volumes.find(context.store, name)
    if volume is None:
        raise NotFound(f"there is no container, pod or volume: {name}")
    return volume


def _seen(context: Context, container: Container, name: str) -> Seen:
    if (container.record.get("rootfs") or {}).get("kind") != "overlay" or not container.record.get(
        "image_id"
    ):
        raise InvalidInput(
            f'container "{container.name}" has no image, which a document must name',
            f"make one of it: rcrun commit {container.name} NAME",
        )
    image = images.config_of(context, str(container.record["image_id"]))
    seen = Seen(_kube_name(name), container.record, container.config(), image)
    seen.kind_of = lambda volume: made.kind_of(context, volume)
    seen.stat = stat_or_none
    return seen


def _kube_name(name: str) -> str:
    """As podman: Kubernetes has no underscores."""
    return name.replace("_", "")


def _pod(name: str, parts: PodParts, spec: Object, documents: Sequence[Object]) -> Object:
    import time

    metadata: Object = {
        "name": name,
        "creationTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "labels": {"app": name, **parts.labels},
    }
    if parts.annotations:
        metadata["annotations"] = dict(parts.annotations)
    spec = {**spec, "containers": list(documents)}
    if parts.volumes:
        spec["volumes"] = [parts.volumes[key] for key in sorted(parts.volumes)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _of_containers(
    context: Context, lone: Sequence[Container], wanted: Wanted, found: Generated
) -> Object:
    parts = PodParts()
    documents = []
    for container in lone:
        seen = _seen(context, container, container.name)
        document = container_document(seen, parts, podman_only=wanted.podman_only)
        ports = ports_of(container.record, for_service=wanted.service)
        documents.append({**document, "ports": ports} if ports else document)
        if len(documents) == 1:
            common_parts(seen, parts)
            hostname = str(seen.config.get("hostname") or "")
            if hostname and not container.id.startswith(hostname):
                parts.spec["hostname"] = hostname
    name = f"{_kube_name(lone[0].name)}-pod"
    found.notes += parts.notes
    return _pod(name, parts, parts.spec, documents)


def _of_pod(context: Context, pod: Pod, wanted: Wanted, found: Generated) -> Object:
    members = [each for each in pod.members() if not pods.is_infra(each)]
    if not members:
        raise InvalidInput(f'pod "{pod.name}" has no containers')
    parts = PodParts()
    initial: list[Object] = []
    documents: list[Object] = []
    for container in members:
        seen = _seen(context, container, container.name.removeprefix(f"{pod.name}-"))
        document = container_document(seen, parts, podman_only=wanted.podman_only)
        (initial if container.record.get("init_ctr") else documents).append(document)
        if container.record.get("init_ctr") == "always":
            parts.annotations[f"{_RESERVED}init.container.type"] = "always"
    spec = _pod_spec(context, pod, members, parts)
    ports = _pod_ports(context, pod, wanted)
    if ports:
        (documents or initial)[0]["ports"] = ports
    if initial:
        spec["initContainers"] = initial
    labels = pod.record.get("labels") or {}
    parts.labels = {key: text for key, text in labels.items() if key != made.LABEL}
    found.notes += parts.notes
    return _pod(_kube_name(pod.name), parts, spec, documents)


def _pod_spec(context: Context, pod: Pod, members: Sequence[Container], parts: PodParts) -> Object:
    options = pod.record.get("options") or {}
    spec = parts.spec
    regular = next((each for each in members if not each.record.get("init_ctr")), members[0])
    policy = (regular.record.get("restart_policy") or {}).get("name", "no")
    spec["restartPolicy"] = RESTARTS.get(policy, "Never")
    patience = int(regular.record.get("stop_timeout", 10))
    if patience not in (10, -1):
        spec["terminationGracePeriodSeconds"] = patience
    networks = options.get("network") or ()
    if "host" in ([networks] if isinstance(networks, str) else networks):
        spec["hostNetwork"] = True
    if "pid" in (pod.record.get("share") or ()):
        spec["shareProcessNamespace"] = True
    for key, name in (("pid", "hostPID"), ("ipc", "hostIPC")):
        if regular.record.get(key) == "host":
            spec[name] = True
    hostname = str(options.get("hostname") or "")
    if hostname and hostname != pod.name:
        spec["hostname"] = hostname
    if str(options.get("userns") or "").startswith("auto"):
        spec["hostUsers"] = False
    elif options.get("userns"):
        parts.annotations[f"{_RESERVED}userns"] = str(options["userns"])
    add_names(spec, options)
    return spec


def _pod_ports(context: Context, pod: Pod, wanted: Wanted) -> list[Object]:
    infra = containers.load(context.store, pod.infra_id) if pod.infra_id else None
    return ports_of(infra.record, for_service=wanted.service) if infra is not None else []


# ---- kinds around a pod


def _as_kind(pod: Object, wanted: Wanted) -> Object:
    if wanted.kind == "pod":
        return pod
    name, spec = pod["metadata"]["name"], pod["spec"]
    metadata = {**pod["metadata"], "labels": {**pod["metadata"]["labels"], "app": name}}
    template = {"metadata": metadata, "spec": spec}
    _check_restart(wanted.kind, spec)
    outer: Object = {"name": f"{name}-{wanted.kind}", "labels": metadata["labels"]}
    outer["creationTimestamp"] = metadata["creationTimestamp"]
    if wanted.kind == "job":
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": outer,
            "spec": {"completions": 1, "parallelism": 1, "template": template},
        }
    inner: Object = {"selector": {"matchLabels": {"app": name}}, "template": template}
    if wanted.replicas > 1:
        inner["replicas"] = wanted.replicas
    kind = "Deployment" if wanted.kind == "deployment" else "DaemonSet"
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": outer, "spec": inner}


def _check_restart(kind: str, spec: Object) -> None:
    """A container without a policy has none to contradict: the kind's own is written."""
    policy = spec["restartPolicy"]
    if kind == "job":
        if policy == "Always":
            raise InvalidInput("a job does not restart always: it is Never or OnFailure")
        return
    if policy == "OnFailure":
        raise InvalidInput(f"a {kind} restarts always, and the containers only on failure")
    spec["restartPolicy"] = "Always"


def _service(pod: Object) -> Object:
    """Ports of the pod on ports of every host, chosen at random."""
    import random

    listed = [port for each in pod["spec"]["containers"] for port in each.get("ports", ())]
    chosen = random.sample(_NODE_PORTS, len(listed))
    rows = []
    for port, node in zip(listed, chosen, strict=True):
        number = port["containerPort"]
        row = {"name": str(number), "port": number, "targetPort": number, "nodePort": node}
        rows.append({**row, "protocol": port["protocol"]} if "protocol" in port else row)
    metadata = {key: text for key, text in pod["metadata"].items() if key != "annotations"}
    selector = {"app": pod["metadata"]["labels"]["app"]}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"ports": rows, "selector": selector, "type": "NodePort"},
    }


def _claim(record: volumes.Record) -> Object:
    labels = {key: text for key, text in record["labels"].items() if not key.startswith(made.LABEL)}
    annotations = {"volume.podman.io/driver": "local"}
    for key, name in _CLAIM_OPTIONS.items():
        if record["options"].get(key):
            annotations[f"volume.podman.io/{name}"] = record["options"][key]
    metadata: Object = {"name": record["name"], "annotations": annotations}
    if labels:
        metadata["labels"] = labels
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
