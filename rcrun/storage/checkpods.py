"""`system check`, of pods: records, names, infra containers, and containers whose pod is gone."""

from __future__ import annotations

import os

from rcrun.files import subdirectories
from rcrun.storage import containers, pods
from rcrun.storage.faults import Fault, leftover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rcrun.paths import Store
    from rcrun.storage.pods import Pod


def faults(store: Store) -> Iterator[Fault]:
    for pod_id in sorted(subdirectories(store.path("pods"))):
        pod = pods.load(store, pod_id)
        if pod is not None:
            yield from _pod_faults(store, pod)
        elif os.path.lexists(store.path("pods", pod_id, "pod.json")):
            what = f'pod "{pod_id[:12]}": pod.json is damaged'
            yield Fault(what, "it cannot be started; its containers can be removed", hint=f'rm -r "{store.path("pods", pod_id)}"')  # fmt: skip
    for left in pods.leftovers(store):
        yield leftover(f'"{left.dir}" has no record: a pod that was being made or removed')
    for name in sorted(subdirectories(store.path("podnames"))):
        target = pods.name_target(store, name)
        if target and not os.path.lexists(store.path("pods", target)):
            yield leftover(f'the name "{name}" of a pod that is gone', "nothing")
    yield from _orphans(store)


def _pod_faults(store: Store, pod: Pod) -> Iterator[Fault]:
    if pod.infra_id and containers.load(store, pod.infra_id) is None:
        what = f'pod "{pod.name}": its infra container {pod.infra_id[:12]} is missing'
        yield Fault(what, "it cannot be started", hint=f"make it anew: rcrun pod rm -f {pod.name}")
    if pods.name_target(store, pod.name) != pod.id:
        what = f'pod "{pod.id[:12]}": its name "{pod.name}" does not lead to it'
        yield Fault(what, "it is found by its id only", "pod-name", (pod.id, pod.name))


def _orphans(store: Store) -> Iterator[Fault]:
    for container in containers.every(store):
        pod_id = pods.pod_id_of(container)
        if pod_id and not os.path.lexists(store.path("pods", pod_id)):
            what = f'container "{container.name}": its pod {pod_id[:12]} is gone'
            yield Fault(what, "nothing, but for what it shared with the pod", hint=f"rcrun rm -f {container.name}")  # fmt: skip
