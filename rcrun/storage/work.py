"""Start worker.py where it is root of our ids, and hear from it: events as JSON lines on its standard output."""

from __future__ import annotations

import _signal as signal
import os
import sys

from rcrun import errors
from rcrun.errors import RcrunError, StepFailed
from rcrun.files import parse_json
from rcrun.kernel.identity import namespace_records
from rcrun.kernel.shim import decode_report, plan_fd, shim_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from rcrun.kernel.identity import Identity
    from rcrun.kernel.shim import Plan, Report

    Event = dict[str, Any]

NOBODY_READS = 141
MOST_MESSAGE = 1500
WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")


class CannotWork(StepFailed):
    """The shim could not make the worker's namespaces; `plan` and `report` tell whoever words it better."""

    def __init__(self, plan: Plan, report: Report) -> None:
        reason = report.text or os.strerror(report.errno).lower()
        step = plan[report.step][0] if 0 <= report.step < len(plan) else ""
        super().__init__(
            f"cannot make a user namespace for the image store: {report.call}: {reason}",
            "run: rcrun doctor",
            step=step,
            call=report.call,
            errno=report.errno,
        )
        self.plan = plan
        self.report = report


class Workers:
    """Worker processes that run at once; a context manager that leaves none behind.

    With `mount` each has a mount namespace of its own, where a user may copy mounts.
    """

    __slots__ = (
        "_identity",
        "_mount",
        "_pids",
        "_plan",
        "_reader",
        "_reports",
        "_writer",
        "statuses",
    )

    def __init__(self, identity: Identity, *, mount: bool = False) -> None:
        self._identity = identity
        self._mount = mount
        self._pids: dict[int, int] = {}  # to pidfds
        self._plan: Plan = []
        self._reports: list[int] = []
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC)
        self.statuses: list[int] = []

    def start(
        self,
        words: Sequence[str],
        *,
        stdin_fd: int = -1,
        keep_fd: int = -1,
        steps: Plan = (),
        direct: bool = False,
    ) -> None:
        """`steps` of a plan go before it, in a mount namespace; `direct`: as who we are; `keep_fd` stays open in it."""
        command = [sys.executable or "/usr/bin/python3", "-BIS", WORKER, *words]
        # In this order: the worker's standard input may be our standard output.
        actions: list[Any] = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
        if stdin_fd >= 0:
            actions = [(os.POSIX_SPAWN_DUP2, stdin_fd, 0)]
        actions.append((os.POSIX_SPAWN_DUP2, self._writer, 1))
        if keep_fd >= 0:
            actions.append((os.POSIX_SPAWN_DUP2, keep_fd, keep_fd))  # inheritable from then on
        if direct or (self._identity.kind == "root" and not steps):
            pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
            self._pids[pid] = os.pidfd_open(pid)
        else:
            self._start_in_namespaces(command, actions, keep_fd, steps)

    def _start_in_namespaces(
        self, command: list[str], actions: list[Any], keep_fd: int, steps: Plan
    ) -> None:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        # In the child alone: a child of another thread that had it would hold our report back as long as it lives.
        actions = [*actions, (os.POSIX_SPAWN_DUP2, writer, writer)]
        types = [] if self._identity.kind == "root" else ["user"]
        self._plan = [
            ["plan", "1"],
            ["session", "work"],
            *([["preserve-fds", str(keep_fd - 2)]] if keep_fd >= 0 else []),
            *namespace_records(self._identity),
            ["unshare", ",".join([*types, "mount"] if steps or self._mount else types)],
            *steps,
            ["env", *(f"{name}={value}" for name, value in os.environ.items())],
            ["exec", *command],
        ]
        fd = plan_fd([self._plan[0], ["report", str(writer)], *self._plan[1:]])
        try:
            pid = os.posix_spawn(
                shim_path(), ["rcrun-shim", str(fd)], os.environ, file_actions=actions
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(fd)
            os.close(writer)
        self._pids[pid] = os.pidfd_open(pid)
        self._reports.append(reader)

    def events(self) -> Iterator[Event]:
        """What they say until the last one has ended; a failure of one is raised at the end."""
        os.close(self._writer)
        self._writer = -1
        failure: Event | None = None
        with open(self._reader, "rb", closefd=False) as file:
            for line in file:
                event = parse_json(line)
                if "error" in event:
                    failure = failure or event["error"]
                else:
                    yield event
        self._wait()
        self._raise_reports()
        if failure is not None:
            raise rebuilt(failure)
        for status in self.statuses:
            if status == NOBODY_READS:
                raise BrokenPipeError(32, "nobody reads the output")
            if status != 0:
                raise RcrunError(f"the worker of the image store ended with status {status}")

    def _raise_reports(self) -> None:
        for reader in self._reports:
            report = decode_report(os.read(reader, 4096))
            if report is not None:
                report.step -= 1  # the record that we put in
                raise CannotWork(self._plan, report)

    def _wait(self) -> None:
        for pid in list(self._pids):
            status = os.waitpid(pid, 0)[1]
            self.statuses.append(os.waitstatus_to_exitcode(status))
            os.close(self._pids.pop(pid))

    def stop(self) -> None:
        """Let them undo what they are at, and end."""
        for pidfd in list(self._pids.values()):
            try:
                signal.pidfd_send_signal(pidfd, signal.SIGTERM)
            except ProcessLookupError:
                pass

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in (self._reader, self._writer, *self._reports):
            if fd >= 0:
                os.close(fd)
        self._reader = self._writer = -1
        self._reports = []
        self.stop()
        self._wait()


def run(
    identity: Identity, words: Sequence[str], on_event: Callable[[Event], object] | None = None
) -> None:
    """One worker to its end; its failure is raised here as if it were ours."""
    with Workers(identity) as workers:
        workers.start(words)
        for event in workers.events():
            if on_event is not None:
                on_event(event)


def described(error: RcrunError) -> dict[str, str | None]:
    """An error as an event carries it."""
    message = error.message[
        :MOST_MESSAGE
    ]  # lines of several workers must not mix: pipe(7), PIPE_BUF
    return {"kind": type(error).__name__, "message": message, "hint": error.hint}


def rebuilt(event: Event) -> RcrunError:
    kind = getattr(errors, str(event.get("kind")), RcrunError)
    made = kind(event["message"], event.get("hint"))
    assert isinstance(made, RcrunError)
    return made
