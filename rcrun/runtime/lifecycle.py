"""`start`, `kill`, `delete` of the OCI command line (runtime.md, "Operations")."""

from __future__ import annotations

import _signal
import os
import select

from rcrun.errors import InUse, NotFound, RcrunError, WrongState
from rcrun.formats.spec import has_new_pid_namespace, hooks_of
from rcrun.kernel import process as processes
from rcrun.kernel import shim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.errors import StepFailed
    from rcrun.kernel.shim import Report
    from rcrun.runtime.state import Container

SIGKILL = 9
_DEATH_SECONDS = 10.0


def start(container: Container) -> None:
    """Let a created container run its process; raises what kept it from that."""
    container.record()
    with container.lock():
        status = container.status()
        if status != "created":
            raise WrongState(
                f'cannot start container "{container.id}": it is {status}, not created'
            )
        failed = _tell_init(container)
        os.unlink(container.start_socket)
    if failed is not None:
        raise failed
    spec = container.config()
    if hooks_of(spec, "poststart"):
        from rcrun.runtime import hooks

        # runtime.md, "Lifecycle", 9: an error, and the container is stopped and deleted
        failures = hooks.failures(spec, "poststart", container.oci_state(status="running"))
        if failures:
            delete(container, force=True)
            raise failures[0]


def _tell_init(container: Container) -> StepFailed | None:
    """Why the init could not go on. It answers with a report, or with the end of the connection."""
    import _socket

    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    folder = os.open(container.dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Through the descriptor: sun_path holds 108 bytes, and our directory may be deeper.
        connection.connect(f"/proc/self/fd/{folder}/{os.path.basename(container.start_socket)}")
        connection.send(b"s")
        report = shim.decode_report(connection.recv(shim.REPORT.size + 1))
    except ConnectionError:
        raise WrongState(f'cannot start container "{container.id}": its init has died') from None
    finally:
        os.close(folder)
        connection.close()
    return None if report is None else start_failure(container, report)


def start_failure(container: Container, report: Report) -> StepFailed:
    """What kept the init of a created container from going on, in words."""
    with open(container.plan_path, "rb") as file:
        plan = shim.decode_plan(file.read())
    if report.step > 0:
        report.step -= 1  # the `report` record that launch() put in
    from rcrun.runtime import hints

    return hints.error_for(plan, report)


def kill(container: Container, signal: int, *, everyone: bool = False) -> None:
    """Send a signal to the init, or to every process of the container."""
    container.record()
    init = container.init()
    if signal == SIGKILL and _kill_all(container, init):
        return
    if init is None:
        if everyone:
            return  # nobody is left, which is no error: as with runc
        raise WrongState(f'cannot signal container "{container.id}": container not running')
    if everyone:
        _signal_everyone(container, signal)
        return
    pidfd = processes.open_pidfd(*init)
    if pidfd is None:
        raise WrongState(f'cannot signal container "{container.id}": container not running')
    try:
        _signal.pidfd_send_signal(pidfd, signal)
    except ProcessLookupError:
        raise WrongState(
            f'cannot signal container "{container.id}": container not running'
        ) from None
    finally:
        os.close(pidfd)


def _kill_all(container: Container, init: tuple[int, int] | None) -> bool:
    """Without a pid namespace of its own the others outlive the init: the cgroup has them, also when it has gone."""
    cgroup = container.cgroup()
    if not cgroup or (init and has_new_pid_namespace(container.config())):
        return False
    from rcrun.runtime import groups

    return bool(groups.members(cgroup)) and groups.kill(cgroup)


def _signal_everyone(container: Container, signal: int) -> None:
    from rcrun.runtime import groups
    from rcrun.runtime.members import members

    cgroup = container.cgroup()
    if signal == SIGKILL and cgroup and groups.kill(cgroup):
        return
    for pid in members(container):
        _signal_if_there(pid, signal)


def _signal_if_there(pid: int, signal: int) -> None:
    try:
        os.kill(pid, signal)
    except ProcessLookupError:
        pass


def delete(container: Container, *, force: bool = False) -> list[StepFailed]:
    """Remove what is left of a container that has stopped; the poststop hooks that failed.

    With `force` a container that runs is killed first, and one that does not exist is no error.
    """
    try:
        status = container.status()
    except NotFound:
        if not force:
            raise
        container.forget()  # what a crash within create left
        return []
    if status != "stopped":
        # One that never ran can go without --force: runc and crun let it, and callers count on it.
        if not force and status != "created":
            raise InUse(
                f'cannot delete container "{container.id}": it is {status}, not stopped',
                f"rcrun-oci kill {container.id} KILL, or delete it with --force",
            )
        _kill_and_wait(container)
    spec, state = container.config(), container.oci_state(status="stopped")
    container.forget()
    if not hooks_of(spec, "poststop"):
        return []
    from rcrun.runtime import hooks

    return hooks.failures(spec, "poststop", state)


def _kill_and_wait(container: Container) -> None:
    init = container.init()
    pidfd = processes.open_pidfd(*init) if init else None
    if pidfd is None:
        return
    try:
        _signal.pidfd_send_signal(pidfd, SIGKILL)
        gone = select.select([pidfd], [], [], _DEATH_SECONDS)[0]
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)
    if not gone:
        raise RcrunError(
            f'container "{container.id}" was killed and does not end',
            f"its processes are in uninterruptible sleep; see: ps -o pid,stat,wchan -p {init[0] if init else ''}",
        )


def pause(container: Container) -> None:
    """Stop every process of a running container where it is."""
    _freeze(container, "running", frozen=True)


def resume(container: Container) -> None:
    _freeze(container, "paused", frozen=False)


def _freeze(container: Container, wanted: str, *, frozen: bool) -> None:
    from rcrun.errors import HostLacks
    from rcrun.runtime import groups

    with container.lock():
        status = container.status()
        verb = "pause" if frozen else "resume"
        if status != wanted:
            raise WrongState(
                f'cannot {verb} container "{container.id}": it is {status}, not {wanted}'
            )
        cgroup = container.cgroup()
        if not cgroup:
            raise HostLacks(
                f'cannot {verb} container "{container.id}": it has no cgroup of its own',
                "log in with systemd (cgroup v2), or create it with: "
                "systemd-run --user --scope -p Delegate=yes",
            )
        groups.freeze(cgroup, frozen)
