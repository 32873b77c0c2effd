"""`rcrun pod …`: what makes, changes and removes pods."""

from __future__ import annotations

from rcrun.errors import InvalidInput, NotFound
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option
from rcrun_cli.podoptions import create_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from rcrun.storage.pods import Pod
    from rcrun_cli.declare import Handler

_ALL = option("-a", "--all", "everything", is_flag=True, help="All pods")
_LATEST = option("-l", "--latest", is_flag=True, help="The pod that was created last")
_ID_FILES = option(
    "--pod-id-file", "id_files", multiple=True, metavar="FILE", help="The pod whose id is in this file"
)  # fmt: skip
_IGNORE = option("-i", "--ignore", is_flag=True, help="A pod that is not there is no error")
_TIME = option(
    "-t", "--time", "seconds", type=int, metavar="SECONDS", help="Kill after so many seconds; -1: never"
)  # fmt: skip


@command("create", failure_status=125)
@create_options
@argument("pod", required=False)
def create_pod(pod: str | None, **options: Any) -> None:
    """Make a pod and print its id; containers come into it with run --pod and create --pod."""
    import sys

    from rcrun.engine.pod import create

    if pod:
        if options["name"]:
            raise InvalidInput("conflicting options: --name and a name")
        options["name"] = pod
    options["userns"] = context.userns_of(options)
    options["create_command"] = [context.settings.personality, *sys.argv[1:]]
    output.put(create(context.engine(), options).id)


def choosing(*more: Callable[[Handler], Handler]) -> Callable[[Handler], Handler]:
    def declare(handler: Handler) -> Handler:
        for each in reversed((_ALL, _LATEST, *more)):
            handler = each(handler)
        return argument("pods", nargs=-1)(handler)

    return declare


def chosen(
    verb: str,
    names: Sequence[str],
    *,
    everything: bool = False,
    latest: bool = False,
    id_files: Sequence[str] = (),
    ignore: bool = False,
) -> Sequence[str]:
    """The names that were typed, or the ids of the chosen."""
    from rcrun.storage.pods import every

    if everything + latest + bool(names or id_files) > 1:
        raise InvalidInput("name pods, or give one of --all, --latest and --pod-id-file")
    if everything:
        return [pod.id for pod in every(context.store())]
    if latest:
        pods = every(context.store())
        if not pods:
            raise NotFound("there is no pod")
        return [pods[0].id]
    found = [*names, *_ids_in(id_files, ignore)]
    if not found and not id_files:
        raise InvalidInput(f"pod {verb} needs at least one pod", f"see rcrun pod {verb} --help")
    return found


def _ids_in(paths: Sequence[str], ignore: bool) -> list[str]:
    from rcrun.engine.podmember import id_in

    found = []
    for path in paths:
        try:
            found.append(id_in(path))
        except InvalidInput:
            if not ignore:
                raise
    return found


def _each(names: Sequence[str], action: Callable[[Pod], object], *, ignore: bool = False) -> int:
    """As podman, what is printed is the name as it was typed."""
    from rcrun.storage.pods import find

    store = context.store()
    return output.each(names, lambda name: action(find(store, name)), missing_ok=ignore)


@command("start")
@choosing(_ID_FILES)
def start_pods(pods: tuple[str, ...], **choice: Any) -> int:
    """Start pods: the infra container, then the others as they need each other."""
    from rcrun.engine.podlife import start

    engine = context.engine()
    return _each(chosen("start", pods, **choice), lambda pod: start(engine, pod))


@command("stop")
@choosing(_ID_FILES, _IGNORE, _TIME)
def stop_pods(pods: tuple[str, ...], ignore: bool, seconds: int | None, **choice: Any) -> int:
    """Stop pods: the infra container last."""
    from rcrun.engine.podlife import stop

    names = chosen("stop", pods, ignore=ignore, **choice)
    return _each(names, lambda pod: stop(pod, seconds=seconds), ignore=ignore)


@command("restart")
@choosing()
def restart_pods(pods: tuple[str, ...], **choice: Any) -> int:
    """Stop and start pods, those of their containers that have ended too."""
    from rcrun.engine.podlife import restart

    engine = context.engine()
    return _each(chosen("restart", pods, **choice), lambda pod: restart(engine, pod))


@command("kill")
@choosing(option("-s", "--signal", default="KILL", metavar="SIGNAL", help="The signal"))
def kill_pods(pods: tuple[str, ...], signal: str, **choice: Any) -> int:
    """Send a signal to all containers of pods that run."""
    from rcrun.engine.podlife import kill

    return _each(chosen("kill", pods, **choice), lambda pod: kill(pod, signal))


@command("pause")
@choosing()
def pause_pods(pods: tuple[str, ...], **choice: Any) -> int:
    """Stop every process of pods where it is."""
    from rcrun.engine.podlife import pause

    return _each(chosen("pause", pods, **choice), pause)


@command("unpause")
@choosing()
def unpause_pods(pods: tuple[str, ...], **choice: Any) -> int:
    """Let the processes of paused pods go on."""
    from rcrun.engine.podlife import unpause

    return _each(chosen("unpause", pods, **choice), unpause)


@command("rm")
@option(
    "-f", "--force", is_flag=True, help="Stop the containers that run; a missing pod is no error"
)
@choosing(_ID_FILES, _IGNORE, _TIME)
def remove_pods(
    pods: tuple[str, ...], force: bool, ignore: bool, seconds: int | None, **choice: Any
) -> int:
    """Remove pods with all their containers."""
    from rcrun.engine.podrm import remove
    from rcrun.storage.pods import find

    engine, missing_ok = context.engine(), ignore or force
    podman = context.settings.personality == "podman"

    def removed(name: str) -> str:
        pod = find(engine.store, name)
        remove(engine, pod, force=force, patience=seconds)
        return pod.id if podman else name

    names = chosen("rm", pods, ignore=missing_ok, **choice)
    status = output.each_removed(names, removed, missing_ok=missing_ok)
    return output.trait("failure_status") if status > 1 else status


@command("prune")
@option("-f", "--force", is_flag=True, help="Do not ask")
def prune_pods(force: bool) -> int:
    """Remove all pods whose containers have ended, and print their ids."""
    from rcrun.engine.podrm import prune

    if not force and not output.confirmed("This will remove all stopped/exited pods."):
        return 0
    for pod_id in prune(context.engine()):
        output.put(pod_id)
    return 0


@command("exists", failure_status=125)
@argument("pod")
def exists_pod(pod: str) -> int:
    """Say nothing; the exit status is 0 if the pod is here, and 1 if it is not."""
    from rcrun.storage.pods import find

    try:
        find(context.store(), pod)
    except NotFound:
        return 1
    return 0


@command("__pod", hidden=True)
@argument("pod")
def member_ended(pod: str) -> None:
    """A container of this pod has ended; called by its monitor."""
    from rcrun.engine.podmember import after_end

    after_end(context.engine(), pod)
