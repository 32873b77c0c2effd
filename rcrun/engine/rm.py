"""Removal: out of sight at once (the name, then the directory into the trash), the files after it."""

from __future__ import annotations

from rcrun.engine.eventlog import container_event
from rcrun.engine.stop import end_stray_helpers, kill_and_wait, stop
from rcrun.errors import NotFound, RcrunError, WrongState
from rcrun.storage.claims import ContainerLock, discard, has_no_end
from rcrun.storage.containers import anonymous_volumes, find, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container

SECONDS_FOR_THE_MONITOR = 10
SECONDS_BETWEEN_LOOKS = 0.5
LOOKS_AT_THE_KILLED = 20


class Removal:
    """Takes containers out one by one; `finish` then removes the files of all of them in one go."""

    __slots__ = (
        "anonymous",
        "context",
        "depend",
        "force",
        "ignore",
        "infra",
        "killed",
        "patience",
        "trees",
        "volumes",
    )

    def __init__(
        self,
        context: Context,
        *,
        force: bool = False,
        volumes: bool = False,
        ignore: bool = False,
        patience: int | None = None,
        infra: bool = False,
        depend: bool = False,
    ) -> None:
        self.context = context
        self.depend = depend  # whether a pod goes with its infra container
        self.infra = infra  # whether those of pods may go, too
        self.force = force
        self.ignore = ignore or force  # what is not there is no error
        self.patience = (
            patience  # seconds between the stop signal and the kill; None: they are killed at once
        )
        self.volumes = volumes
        self.trees: list[str] = []
        self.anonymous: list[str] = []  # names of volumes
        self.killed: set[str] = (
            set()
        )  # as typed; a --rm container may be gone before its turn comes

    def announce(self, texts: Iterable[str]) -> None:
        """With force: kill all that will be taken, so that they end side by side."""
        if self.force and self.patience is None:
            from rcrun.engine.monitor import send_signal
            from rcrun.engine.stop import SIGKILL

            for text in texts:
                try:
                    container = find(self.context.store, text)
                except RcrunError:
                    continue  # `take` will say it
                now = status(container)
                if now.is_running:
                    _end_policy(container)
                    send_signal(now, SIGKILL)
                    self.killed.add(text)

    def take(self, text: str) -> bool:
        """False for one that was not there, which with force or `ignore` is no error."""
        try:
            self._take(find(self.context.store, text))
        except NotFound:
            if not self.ignore:
                raise
            return text in self.killed
        return True

    def _take(self, container: Container) -> None:
        if container.record.get("infra") and not self.infra:
            from rcrun.engine.podrm import refuse_infra, remove_of

            if self.depend and remove_of(
                self.context, container, force=self.force, patience=self.patience
            ):
                return
            refuse_infra(container)
        now = status(container)
        if not now.is_up and has_no_end(container):
            from rcrun.storage.elsewhere import require_here

            hint = f"rcrun rm -f {container.name}"
            require_here(container, "remove", force=self.force, hint=hint)
        if now.is_up and not self.force:
            raise WrongState(
                f'cannot remove container "{container.name}": container is {now.word}: '
                "stop the container before removing or force remove",
                f"rcrun rm -f {container.name}",
            )
        if now.is_running:
            _end_policy(container)
            if self.patience is None:
                kill_and_wait(container, now)
            else:
                stop(container, seconds=self.patience)
        with ContainerLock(container):
            self._take_locked(container)

    def _take_locked(self, container: Container) -> None:
        now = status(container)  # it may have been started before we had the lock
        if now.is_up and not self.force:
            raise WrongState(f'cannot remove container "{container.name}": it was started again')
        if now.is_running:
            _kill_locked(container)
        _let_monitor_finish(container)
        end_stray_helpers(container)
        if container.record.get("cgroup") or container.noted_cgroup():
            from rcrun.engine.cgroup import remove

            remove(container)
        if self.volumes or container.record.get("auto_remove"):
            self.anonymous += anonymous_volumes(container)
        self.trees += [discard(container), container.live_dir]
        container_event(container, "destroy")
        if container.record.get("pod"):
            from rcrun.engine.podhosts import renew

            renew(container.store, container.record["pod"]["id"])

    def finish(self) -> None:
        from rcrun.storage.sweep import sweep

        if self.anonymous:
            from rcrun.engine.volumerm import tell_destroyed
            from rcrun.storage.volumes import take_unused

            taken = take_unused(self.context.store, self.anonymous)
            tell_destroyed(self.context.store, taken)
            self.trees += taken.values()
            self.anonymous = []
        remove_trees(self.context, self.trees, sweep(self.context.store))
        self.trees = []


def _end_policy(container: Container) -> None:
    """So that its monitor does not start it again."""
    if container.record.get("restart_policy"):
        from rcrun.engine.restart import mark_stopped

        mark_stopped(container)


def _kill_locked(container: Container) -> None:
    """Who starts it again waits for the lock that we hold, so its end alone would not do: it may be at that already."""
    from rcrun.engine.monitor import Ending, send_signal
    from rcrun.engine.stop import SIGKILL

    _end_policy(container)
    for _ in range(LOOKS_AT_THE_KILLED):
        now = status(container)
        if not now.is_running:
            return
        with Ending(container, now) as ending:
            send_signal(now, SIGKILL)
            if ending.wait(SECONDS_BETWEEN_LOOKS):
                return
    now = status(container)
    if now.is_running:
        kill_and_wait(container, now)


def _let_monitor_finish(container: Container) -> None:
    from rcrun.engine.monitor import Ending

    ended = status(container)
    if ended.word == "restarting":
        from rcrun.engine.restart import end_wait

        end_wait(container)
        ended = status(container)
    if ended.monitor:
        with Ending(container, ended) as ending:
            ending.wait(SECONDS_FOR_THE_MONITOR)


def remove_trees(context: Context, paths: Sequence[str], leftovers: Sequence[str] = ()) -> None:
    """As root of our user namespace, since containers leave files of subordinate ids.

    What others have left may be beyond us, and is no fault of this command: doctor tells of it.
    """
    import os

    present = [path for path in dict.fromkeys([*paths, *leftovers]) if os.path.lexists(path)]
    while present:
        from rcrun.engine.work import work_plan
        from rcrun.kernel.shim import launch
        from rcrun.runtime.hints import error_for

        plan = work_plan(context.identity, [["remove-tree", path] for path in present])
        report = launch(plan)
        if report is None:
            return
        record = plan[report.step] if report.step >= 0 else ["", ""]
        if record[0] != "remove-tree" or record[1] in paths:
            raise error_for(plan, report)
        present = present[present.index(record[1]) + 1 :]
