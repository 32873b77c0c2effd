"""Pods start, stop, pause and die: the infra container first and last, the others as they need each other."""

from __future__ import annotations

from rcrun.engine import sidebyside
from rcrun.engine.pod import pod_event
from rcrun.engine.start import start as start_container
from rcrun.engine.stop import kill as kill_container
from rcrun.engine.stop import stop as stop_container
from rcrun.errors import NotFound, RcrunError, WrongState
from rcrun.storage import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container
    from rcrun.storage.pods import Pod


def start(context: Context, pod: Pod) -> None:
    """All that do not run; one that cannot start keeps none of the others from it, but those that need it."""
    members = pod.members()
    if pod.infra_id and all(each.id != pod.infra_id for each in members):
        raise NotFound(
            f'cannot start pod "{pod.name}": its infra container {pod.infra_id[:12]} is gone',
            f"make it anew: rcrun pod rm -f {pod.name}",
        )
    errors: list[RcrunError] = []
    for level in levels(members):
        init = [each for each in level if each.record.get("init_ctr")]
        errors += sidebyside.each(init, lambda each: _run_init(context, each))
        if errors:
            break
        rest = [each for each in level if each not in init]
        errors += sidebyside.each(rest, lambda each: start_container(context, each))
    _raise("start", pod, errors)
    pod_event(pod, "start")


def _run_init(context: Context, container: Container) -> None:
    """An init container: the others wait for its end, which must be a good one."""
    from rcrun.engine.monitor import Ending

    start_container(context, container)
    now = containers.status(container)
    if now.is_up:
        with Ending(container, now) as ending:
            ending.wait(None)
    again = containers.load(container.store, container.id)
    code = containers.status(again).exit_code if again is not None else 0
    if code:
        raise WrongState(
            f'init container "{container.name}" ended with {code}',
            f"rcrun logs {container.name}",
        )
    if container.record["init_ctr"] == "once":
        from rcrun.engine.rm import Removal

        removal = Removal(context, ignore=True, volumes=True)
        removal.take(container.id)
        removal.finish()


def levels(members: Sequence[Container]) -> list[list[Container]]:
    """Each needs those of earlier levels alone; init containers come before what is no init container."""
    ids = {each.id for each in members}
    needs = {each.id: _needs(each, members) & ids for each in members}
    left, done = list(members), set[str]()
    found: list[list[Container]] = []
    while left:
        ready = [each for each in left if needs[each.id] <= done] or left  # a circle starts at once
        ready = _inits_apart(ready)
        found.append(ready)
        done.update(each.id for each in ready)
        left = [each for each in left if each.id not in done]
    return found


def _inits_apart(ready: list[Container]) -> list[Container]:
    """One after the other, in the order in which they were made."""
    init = [each for each in ready if each.record.get("init_ctr")]
    return init[:1] or ready


def _needs(container: Container, members: Sequence[Container]) -> set[str]:
    record = container.record
    found = {str(where.get("container")) for where in (record.get("joins") or {}).values()}
    found.update(record.get("requires") or ())
    if not record.get("infra"):
        found.update(each.id for each in members if each.record.get("infra"))
        if not record.get("init_ctr"):
            found.update(each.id for each in members if each.record.get("init_ctr"))
    return found - {container.id}


def stop(pod: Pod, *, seconds: int | None = None) -> None:
    _raise("stop", pod, stop_members(pod.members(), seconds))
    pod_event(pod, "stop")


def stop_members(members: Sequence[Container], seconds: int | None) -> list[RcrunError]:
    errors: list[RcrunError] = []
    for level in reversed(levels(members)):
        errors += sidebyside.each(level, lambda each: _stop_one(each, seconds))
    return errors


def _stop_one(container: Container, seconds: int | None) -> None:
    try:
        stop_container(container, seconds=seconds)
    except NotFound:
        pass  # a --rm container is gone once it has ended


def restart(context: Context, pod: Pod) -> None:
    stop(pod)
    start(context, pod)
    pod_event(pod, "restart")


def kill(pod: Pod, signal: str) -> None:
    """All that run."""
    running = _in_state(pod, ("running", "paused", "restarting"))
    _raise("kill", pod, sidebyside.each(running, lambda each: _kill_one(each, signal)))
    pod_event(pod, "kill")


def _kill_one(container: Container, signal: str) -> None:
    try:
        kill_container(container, signal)
    except WrongState:
        if containers.status(container).is_running:
            raise


def pause(pod: Pod) -> None:
    _freeze(pod, True)


def unpause(pod: Pod) -> None:
    _freeze(pod, False)


def _freeze(pod: Pod, frozen: bool) -> None:
    from rcrun.engine.cgroup import freeze

    verb = "pause" if frozen else "unpause"
    chosen = _in_state(pod, ("running",) if frozen else ("paused",))
    errors = sidebyside.each(chosen, lambda each: freeze(each, containers.status(each), frozen))
    _raise(verb, pod, errors)
    pod_event(pod, verb)


def _in_state(pod: Pod, words: Sequence[str]) -> list[Container]:
    return [each for each in pod.members() if containers.status(each).word in words]


def _raise(verb: str, pod: Pod, errors: Sequence[RcrunError]) -> None:
    """The first with its hint, the others beside it."""
    if not errors:
        return
    if len(errors) == 1:
        raise errors[0]
    texts = "; ".join(error.message for error in errors)
    raise RcrunError(f'cannot {verb} all containers of pod "{pod.name}": {texts}', errors[0].hint)
