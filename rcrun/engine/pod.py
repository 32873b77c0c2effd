"""Pods: made of a record and an infra container, which has the namespaces that the others join; what state one is in."""

from __future__ import annotations

from rcrun.engine import config_pod, idfile
from rcrun.engine.config_pod import PAUSE
from rcrun.engine.eventlog import emit
from rcrun.engine.facts import host_file
from rcrun.engine.options import labels
from rcrun.errors import AlreadyExists, InvalidInput
from rcrun.files import unlink_if_there
from rcrun.formats import names
from rcrun.storage import containers, pods
from rcrun.storage.claims import claim_free, random_name
from rcrun.storage.containers import now_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.engine.options import Options
    from rcrun.engine.pull import Progress
    from rcrun.paths import Store
    from rcrun.storage.containers import Status
    from rcrun.storage.pods import Pod, PodClaim

# Options of a pod that the infra container gets, as `create` has them.
OF_INFRA = (
    "add_host", "cgroups", "dns", "dns_option", "dns_search", "gidmap", "hostname", "hosts_file", "ip", "ip6",
    "mac_address", "network", "network_alias", "no_hostname", "no_hosts", "pid", "publish", "shm_size", "subgidname", "subuidname",
    "sysctl", "uidmap", "userns", "uts",
)  # fmt: skip
_NETWORK = ("add_host", "dns", "dns_option", "dns_search", "hosts_file", "ip", "ip6", "mac_address", "network",
            "network_alias", "no_hosts", "publish")  # fmt: skip
# What containers get, and what `inspect` and `generate kube` tell.
_KEPT = (
    *OF_INFRA, "cgroup_parent", "device", "restart", "security_opt", "volume", "volumes_from",
)  # fmt: skip
EXIT_POLICIES = ("continue", "stop")
LONGEST_HOST_NAME = 64


def create(context: Context, options: Options, progress: Progress | None = None) -> Pod:
    """A pod that waits for `start`. `options` are those of `pod create`, by the names of its keyword arguments.

    Those that containers have too are as `run.create` takes them; besides: `share` (text or None), `share_parent`,
    `infra` (True), `infra_name`, `infra_image`, `infra_command`, `infra_conmon_pidfile`, `exit_policy`, `replace`,
    `pod_id_file`, `labels` (a map, beside `label` and `label_file`), `resources` (limits as config.json has them).
    """
    if context.conf or context.conf_fault:
        from rcrun.engine.defaults import of_pod

        options = of_pod(context, options)
    record = _record(options)
    id_file = str(options.get("pod_id_file") or "")
    if id_file:
        idfile.refuse_existing(id_file, "pod")
    with pods.PodClaim(context.store) as claim:
        _claim_name(context, claim, options)
        claim.pod.record = {**record, "name": claim.pod.name, "id": claim.pod.id}
        _add_limits(context, claim.pod, options)
        if options.get("infra", True):
            _make_infra(context, claim.pod, options, progress)
        try:
            claim.pod.save()
            if id_file:
                idfile.write(id_file, claim.pod.id, "pod")
        except BaseException:
            unlink_if_there(claim.pod.path("pod.json"))
            _drop_infra(context, claim.pod)
            raise
    pod_event(claim.pod, "create")
    return claim.pod


def pod_event(pod: Pod, action: str) -> None:
    labels: Mapping[str, str] = pod.record.get("labels") or {}
    emit(pod.store, "pod", action, pod.id, {**labels, "name": pod.name})


def _record(options: Options) -> dict[str, Any]:
    """pod.json, but for who it is; InvalidInput for options that contradict each other."""
    policy = str(options.get("exit_policy") or EXIT_POLICIES[0])
    if policy not in EXIT_POLICIES:
        raise InvalidInput(f'invalid --exit-policy "{policy}"', "use continue or stop")
    infra = options.get("infra", True)
    shared = config_pod.shared(options.get("share")) if infra else _shared_without(options)
    if not infra:
        _refuse_without_infra(options)
    if options.get("infra_command") and not options.get("infra_image"):
        raise InvalidInput(
            "--infra-command needs --infra-image: the infra container has no program of its own"
        )
    if str(options.get("restart") or "no") != "no":
        from rcrun.engine.restart import parse_policy

        parse_policy(str(options["restart"]))
    return {
        "version": 1,
        "created": now_text(),
        "labels": {**(options.get("labels") or {}), **labels(options, host_file)},
        "share": shared,
        "share_parent": bool(options.get("share_parent", True)),
        "infra": "",
        "exit_policy": policy,
        "create_command": list(options.get("create_command") or ()),
        "options": {key: options[key] for key in _KEPT if options.get(key)},
    }


def _add_limits(context: Context, pod: Pod, options: Options) -> None:
    from rcrun.engine.podgroup import parent_for, resources_of
    from rcrun.runtime.update import merged

    resources = merged(options.get("resources") or {}, resources_of(options))
    if resources:
        pod.record["resources"] = resources
        pod.record["group"] = parent_for(context, pod.id, str(options.get("cgroup_parent") or ""))


def _shared_without(options: Options) -> list[str]:
    if config_pod.shared(options.get("share") or ""):
        raise InvalidInput(
            "cannot share kernel namespaces at the pod level without an infra container",
            "leave --infra=false or --share out",
        )
    return []


def _refuse_without_infra(options: Options) -> None:
    for key in ("infra_command", "infra_image", "infra_name", *_NETWORK, "userns", "uidmap"):
        if options.get(key):
            raise InvalidInput(
                f"cannot set --{key.replace('_', '-')} without an infra container",
                "leave --infra=false out, or give it to the containers",
            )


def _claim_name(context: Context, claim: PodClaim, options: Options) -> None:
    given = str(options.get("name") or "")
    if not given:
        if options.get("replace"):
            raise InvalidInput("--replace needs --name")
        claim_free(claim.claim_name, random_name)
        return
    name = names.check(given, "pod")
    if options.get("replace"):
        from rcrun.engine.podrm import remove_holder

        remove_holder(context, name)
    _refuse_name_of_container(context.store, name)
    claim.claim_name(name)


def _refuse_name_of_container(store: Store, name: str) -> None:
    """As podman: what a name means must not depend on the command."""
    target = containers.name_target(store, name)
    holder = containers.load(store, target) if target else None
    if holder is not None and holder.name == name:
        raise AlreadyExists(
            f'the name "{name}" is already in use by container "{holder.id}"',
            f"remove or rename that container, or choose another name: rcrun rm {name}",
        )


# ---- the infra container


def _make_infra(context: Context, pod: Pod, options: Options, progress: Progress | None) -> None:
    """Its record names the pod before there is one: what is left of a crash goes with the next sweep."""
    from rcrun.engine.run import create as create_container

    image = str(options.get("infra_image") or "")
    given = {
        **{key: options[key] for key in OF_INFRA if options.get(key)},
        "name": options.get("infra_name") or f"{pod.id[:12]}-infra",
        "hostname": _host_name(pod, options),
        "conmon_pidfile": options.get("infra_conmon_pidfile"),
        "ipc": "shareable",
        "log_driver": "none",
        "sdnotify": "conmon",  # a unit that starts the pod is up when this one is
        "cgroup_parent": pod.record.get("group") or options.get("cgroup_parent"),
        "cgroups": _group_word(context, pod, options),
        "infra": image or PAUSE,
        "pod": {
            "pod": {"id": pod.id, "name": pod.name},
            "infra": "image" if image else PAUSE,
            **({} if image else {"entrypoint": [], "command": []}),  # nothing is run
        },
    }
    command: Iterable[str] = ()
    if image:
        given["entrypoint"] = options.get("infra_command")
    else:
        given.update(cap_drop=("ALL",), read_only=True)
        command = ("/pause",)
    pod.record["infra"] = create_container(context, image, tuple(command), given, progress)


def _group_word(context: Context, pod: Pod, options: Options) -> str | None:
    """In a unit of systemd the monitor stays in it, whose main process it is to be."""
    if not context.environ.get("PODMAN_SYSTEMD_UNIT"):
        return None
    return "no-conmon" if pod.record.get("group") or options.get("cgroup_parent") else "split"


def _host_name(pod: Pod, options: Options) -> str | None:
    """The pod's name, but where the host's is seen."""
    given = options.get("hostname")
    network = options.get("network") or ""
    words = [network] if isinstance(network, str) else list(network)
    if given or options.get("uts") == "host" or "host" in words:
        return str(given) if given else None
    return pod.name[:LONGEST_HOST_NAME]


def _drop_infra(context: Context, pod: Pod) -> None:
    if not pod.infra_id:
        return
    from rcrun.engine.rm import Removal

    removal = Removal(context, force=True, infra=True)
    removal.take(pod.infra_id)
    removal.finish()


# ---- states, as podman words them


def state_of(statuses: Iterable[Status]) -> str:
    words = [status.word for status in statuses]
    running, paused = words.count("running"), words.count("paused")
    stopped, created = words.count("exited"), words.count("created")
    if not words:
        return "Created"
    if running == len(words):
        return "Running"
    if running:
        return "Degraded"
    if paused == len(words):
        return "Paused"
    if stopped == len(words):
        return "Exited"
    if stopped:
        return "Stopped"
    return "Created" if paused + created == len(words) else "Error"


def state(pod: Pod) -> str:
    return state_of(containers.status(each) for each in pod.members())
