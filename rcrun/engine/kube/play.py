"""`kube play`: all is looked at before anything is made, and what was made goes again when the rest fails."""

from __future__ import annotations

import os

from rcrun.engine.facts import stat_or_none
from rcrun.engine.kube import images, made
from rcrun.engine.kube.around import Around
from rcrun.engine.kube.objects import sort_out
from rcrun.engine.kube.pod import merged_ports, pod_plan
from rcrun.engine.kube.request import Played, Report
from rcrun.errors import AlreadyExists, InvalidInput
from rcrun.storage import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.engine.kube.made import Undo
    from rcrun.engine.kube.objects import Keyed, Objects
    from rcrun.engine.kube.pod import PodPlan
    from rcrun.engine.kube.request import Request
    from rcrun.storage.pods import Pod

NETWORK = "rcrun-default-kube-network"
_MODES = ("host", "none", "pasta", "slirp4netns", "private", "container", "ns", "default")


def play(context: Context, documents: Sequence[Any], name: str, request: Request) -> Report:
    """`name` is the file's, for messages."""
    objects = sort_out(documents, name)
    _tell(context, objects)
    around = _around(context, objects, request)
    for document in objects.pods:
        document.annotations = {**document.annotations, **request.annotations}
        images.bring(context, pod_plan(document, around), request)
    around.image = lambda text: images.config_of(context, text)
    plans = [
        _complete(pod_plan(document, around), number, request)
        for number, document in enumerate(objects.pods)
    ]
    for note in objects.notes:
        context.warn(note, None)
    if request.replace:
        from rcrun.engine.kube.down import take_down

        take_down(context, objects, of_others=True)
    undo = made.Undo()
    try:
        return _make(context, objects, plans, around, request, undo)
    except BaseException:
        undo.run()
        raise


def _tell(context: Context, objects: Objects) -> None:
    for title in objects.skipped:
        context.warn(
            f"{title} is left out: pods, what makes pods, volumes, secrets and configuration are played",
            None,
        )
    if not (objects.pods or objects.claims or objects.secrets):
        if objects.config_maps:
            raise InvalidInput("a ConfigMap is nothing by itself: a container must use it")
        raise InvalidInput(
            "there is nothing to play",
            "kinds are Pod, Deployment, DaemonSet, Job, PersistentVolumeClaim and Secret",
        )


def _around(context: Context, objects: Objects, request: Request) -> Around:
    around = Around()
    around.config_maps = {**objects.config_maps, **_config_maps(context, request, objects)}
    around.secret = lambda name: (
        objects.secrets[name].data
        if name in objects.secrets
        else made.secret_of_store(context, name)
    )
    around.exists = stat_or_none
    around.cwd = os.getcwd()
    around.processors = len(os.sched_getaffinity(0))
    around.memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    around.seccomp_root = request.seccomp_root
    around.log_driver, around.log_opts = request.log_driver, list(request.log_opts)
    around.pod_prefix = request.pod_prefix
    around.publish_all = request.publish_all
    around.no_hosts = request.no_hosts
    return around


def _config_maps(context: Context, request: Request, objects: Objects) -> dict[str, Keyed]:
    """Of --configmap."""
    from rcrun.engine.kube.sources import read
    from rcrun.formats.kube.documents import parse

    found: dict[str, Keyed] = {}
    for path in request.config_maps:
        others = sort_out(parse(read(path, context.environ), path), path)
        if others.pods or others.claims or others.secrets or others.skipped:
            raise InvalidInput(f'"{path}" has other documents than ConfigMaps')
        for name, keyed in others.config_maps.items():
            if name in objects.config_maps or name in found:
                raise InvalidInput(f'the ConfigMap "{name}" is there twice, once in "{path}"')
            found[name] = keyed
    return found


# ---- what was typed beside the documents


def _complete(plan: PodPlan, number: int, request: Request) -> PodPlan:
    options = plan.options
    if request.networks:
        options["network"] = list(request.networks)
    if request.userns:
        options["userns"] = request.userns
    options["publish"] = merged_ports(request.publish, options.get("publish") or [])
    options["no_hostname"] = request.no_hostname
    for key, given in (("ip", request.ips), ("mac_address", request.macs)):
        if number < len(given):
            options[key] = given[number]
    options["exit_policy"] = "stop"
    if request.cgroups:
        options["cgroups"] = request.cgroups
    return plan


def _network(context: Context, plans: Sequence[PodPlan], request: Request, undo: Undo) -> None:
    """Pods without another network are on one of their own, where they find each other by name."""
    from rcrun.engine.facts import no_bridges

    waiting = [plan for plan in plans if not plan.options.get("network")]
    if waiting and not request.networks and not os.path.exists(no_bridges(context.store)):
        _make_network(context, undo)
        for plan in waiting:
            plan.options["network"] = [NETWORK]
    for plan in plans:
        words = plan.options.get("network") or ()
        if words and words[0].partition(":")[0] not in _MODES:
            names = [each.name for each in plan.containers if not each.init]
            hostname = str(plan.options.get("hostname") or plan.document.name)
            plan.options["network_alias"] = list(
                dict.fromkeys([plan.document.name, hostname, *names])
            )


def _make_network(context: Context, undo: Undo) -> None:
    """It stays for the next pods, but for a play that fails."""
    from rcrun.engine.networkcreate import Wanted, create
    from rcrun.engine.networkrm import remove

    try:
        create(context, Wanted(NETWORK))
    except AlreadyExists:
        return
    undo.steps.append(lambda: remove(context, NETWORK))


# ---- making


def _make(
    context: Context,
    objects: Objects,
    plans: Sequence[PodPlan],
    around: Around,
    request: Request,
    undo: Undo,
) -> Report:
    report = Report()
    for claim in objects.claims:
        made.make_claim(context, claim, request.annotations, undo)
        report.volumes.append(claim.name)
    for secret in objects.secrets.values():
        report.secrets.append(made.make_secret(context, secret, undo))
    _network(context, plans, request, undo)
    for plan in plans:
        for volume in plan.volumes.values():
            made.make_volume(context, volume, undo)
        report.pods.append(_make_pod(context, plan, around, request, undo))
    if request.start:
        from rcrun.engine.kube.starting import start_all

        start_all(context, report.pods)
    return report


def _make_pod(
    context: Context, plan: PodPlan, around: Around, request: Request, undo: Undo
) -> Played:
    from rcrun.engine.pod import create
    from rcrun.engine.podrm import remove

    labels = [*(plan.options.get("label") or ()), f"{made.LABEL}=pod"]
    pod = create(context, {**plan.options, "label": labels})
    undo.steps.append(lambda: remove(context, pod, force=True, patience=0))
    around.pod_id = pod.id
    found, awaited = [], []
    # Again: now there is an id that a container may ask for.
    for wanted in pod_plan(plan.document, around).containers:
        made_id = _make_container(context, pod, wanted, plan, request)
        if not wanted.init:
            found.append(made_id)
        if wanted.notify:
            awaited.append(made_id)
    return Played(pod, found, awaited)


def _make_container(
    context: Context, pod: Pod, wanted: Any, plan: PodPlan, request: Request
) -> str:
    from rcrun.engine.run import create

    options: Mapping[str, Any] = {
        **wanted.options,
        "pod": pod.id,
        "init_ctr": wanted.init or None,
        "replace": request.replace,
        "cgroups": request.cgroups or None,
        # What systemd is told, the play says itself.
        "sdnotify": "container" if wanted.notify == "container" else "ignore",
    }
    made_id = create(context, wanted.image, wanted.args, options)
    _mark(context, made_id, plan)
    return made_id


def _mark(context: Context, container_id: str, plan: PodPlan) -> None:
    """The volumes of an emptyDir go with the last container that has them."""
    names = {volume.source for volume in plan.volumes.values() if volume.kind == "empty"}
    container = containers.load(context.store, container_id)
    if container is None or not names:
        return
    mounts = container.record.get("mounts") or []
    if not any(mount.get("name") in names for mount in mounts):
        return
    for mount in mounts:
        if mount.get("name") in names:
            mount["anonymous"] = True
    container.save()
