"""A container of a pod: what it gets of the pod when it is made, who starts before it, and what its end means for the pod."""

from __future__ import annotations

from rcrun.engine import config_pod, podhosts
from rcrun.errors import InvalidInput
from rcrun.files import read_text
from rcrun.storage import containers, pods

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from rcrun.engine.context import Context
    from rcrun.engine.options import Options
    from rcrun.storage.containers import Container
    from rcrun.storage.pods import Pod

    class Held(Protocol):
        def release(self) -> None: ...


NEW = "new:"
# What `--pod new:NAME` gives to the pod, where it belongs.
_OF_THE_POD = (
    "add_host", "dns", "dns_option", "dns_search", "gidmap", "hostname", "hosts_file", "ip", "ip6", "mac_address",
    "network", "network_alias", "no_hosts", "publish", "subgidname", "subuidname", "uidmap", "userns",
)  # fmt: skip


class NewPod:
    """A pod that was made for one container: it goes again when that is not made."""

    __slots__ = ("context", "held", "pod")

    def __init__(self, context: Context, pod: Pod) -> None:
        self.context = context
        self.pod = pod
        self.held = pods.PodLock(pod, shared=True)
        self.held.acquire()

    def release(self) -> None:
        self.held.release()
        if all(pods.is_infra(each) for each in self.pod.members()):
            from rcrun.engine.podrm import remove

            remove(self.context, self.pod, force=True)


def in_pod(context: Context, options: Options) -> tuple[Options, Held | None]:
    """The options as they are in the pod, and the lock that keeps the pod until the container's record is written."""
    if isinstance(options.get("pod"), dict):
        return options, None  # the infra container, whose pod is being made
    text = str(options.get("pod") or "")
    if options.get("pod_id_file"):
        if text:
            raise InvalidInput("conflicting options: --pod and --pod-id-file")
        text = id_in(str(options["pod_id_file"]))
    if text.startswith(NEW):
        from rcrun.engine.pod import create

        given = {key: options[key] for key in _OF_THE_POD if options.get(key)}
        given["share"] = None
        new = NewPod(context, create(context, {**given, "name": text.removeprefix(NEW)}))
        empty: dict[str, Any] = dict.fromkeys(given)
        return _with_pod({**options, **empty}, new.pod), new
    pod = pods.find(context.store, text)
    lock = pods.PodLock(pod, shared=True)
    lock.acquire()
    try:
        return _with_pod(options, pod), lock
    except BaseException:
        lock.release()
        raise


def id_in(path: str) -> str:
    text = read_text(path).strip()
    if not text:
        raise InvalidInput(f'cannot read a pod id from "{path}"')
    return text


def _with_pod(options: Options, pod: Pod) -> Options:
    record: dict[str, Any] = {"pod": member_of(pod)}
    if options.get("init_ctr"):
        record["init_ctr"] = _init_word(str(options["init_ctr"]), options)
    return {**config_pod.of_member(options, pod.record), "pod": record}


def member_of(pod: Pod) -> dict[str, Any]:
    """What a container keeps of its pod; `stops`: its end may be the pod's."""
    found: dict[str, Any] = {"id": pod.id, "name": pod.name}
    if pod.record.get("exit_policy") == "stop" and pod.infra_id:
        found["stops"] = True
    return found


def _init_word(word: str, options: Options) -> str:
    if word not in ("always", "once"):
        raise InvalidInput(f'invalid --init-ctr "{word}"', "use always or once")
    if options.get("restart") not in (None, "", "no"):
        raise InvalidInput("conflicting options: --init-ctr and --restart")
    return word


# ---- its start and its end


def before_start(context: Context, container: Container) -> None:
    """The infra container runs before anybody else."""
    pod = pods.load(context.store, pods.pod_id_of(container))
    if pod is None:
        return
    if pod.record.get("group"):
        from rcrun.engine.podgroup import ensure

        ensure(context, pod)
    if container.id == pod.infra_id:
        return
    infra = containers.load(context.store, pod.infra_id) if pod.infra_id else None
    if infra is not None and not containers.status(infra).is_running:
        from rcrun.engine.start import start

        start(context, infra)
    if infra is not None and "network" in (container.record.get("joins") or {}):
        podhosts.renew(context.store, pod.id, started=container)


def after_end(context: Context, pod_id: str) -> None:
    """A --rm container's name goes; with the exit policy `stop` the infra container ends when all others have."""
    podhosts.renew(context.store, pod_id)
    pod = pods.load(context.store, pod_id)
    if pod is not None and pod.record.get("exit_policy") != "stop":
        return
    infra = containers.load(context.store, pod.infra_id) if pod is not None else None
    if pod is None or infra is None:
        return
    others = [each for each in pod.members() if each.id != infra.id]
    if all(containers.status(each).word in ("exited", "removing") for each in others):
        from rcrun.engine.stop import stop

        stop(infra)
