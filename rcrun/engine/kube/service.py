"""Stay until pods have ended: for `--wait`, and as the main process of a unit of systemd, which hears when they have started."""

from __future__ import annotations

import os

from rcrun.errors import NotFound, RcrunError
from rcrun.storage import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.engine.context import Context
    from rcrun.engine.kube.request import Played

_OF_SYSTEMD = ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


class Interrupted(BaseException):
    """Who waits is to end: SIGTERM or SIGINT; no Exception, so that nobody takes it for a fault."""


class Staying:
    """Signals end the play or the wait in order; what systemd told us is not for containers."""

    __slots__ = ("_before", "context", "environ")

    def __init__(self, context: Context) -> None:
        self.context = context
        self.environ = context.environ
        self._before: dict[int, object] = {}
        context.environ = {
            key: text for key, text in context.environ.items() if key not in _OF_SYSTEMD
        }

    def __enter__(self) -> Staying:
        import signal

        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(self, *error: object) -> None:
        import signal

        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _interrupt(self, number: int, frame: object) -> None:
        """Once: what is then done to end in order is not to be interrupted."""
        import signal

        for each in self._before:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted

    def wait(self, pods: Sequence[Played], propagation: str) -> int:
        """The exit status: 0, unless failures of containers are to be told."""
        try:
            self._tell_ready()
            for played in pods:
                _wait_for(self.context, played)
        except Interrupted:
            self._remove(pods)
            return 0
        codes = [code for played in pods for code in _codes(self.context, played)]
        failed = [code for code in codes if code]
        if propagation == "any" or (propagation == "all" and len(failed) == len(codes)):
            return failed[0] if failed else 0
        return 0

    def _remove(self, pods: Sequence[Played]) -> None:
        """Stopped in order, and with their monitors: once we are gone, systemd kills what is left of the unit."""
        from rcrun.engine.podrm import remove

        for played in pods:
            try:
                remove(self.context, played.pod, force=True)
            except NotFound:
                continue  # somebody else was quicker
            except RcrunError as error:
                self.context.warn(error.message, error.hint)

    def _tell_ready(self) -> None:
        """sd_notify(3)."""
        path = self.environ.get("NOTIFY_SOCKET", "")
        if not path.startswith(("/", "@")):
            return
        import socket

        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
            connection.connect("\0" + path[1:] if path[0] == "@" else path)
            connection.send(f"READY=1\nMAINPID={os.getpid()}".encode())


def _wait_for(context: Context, played: Played) -> None:
    """The infra container ends when all others have."""
    from rcrun.engine.monitor import wait_for_end

    infra = containers.load(context.store, played.pod.infra_id)
    if infra is not None:
        wait_for_end(infra)


def _codes(context: Context, played: Played) -> list[int]:
    loaded = [containers.load(context.store, each) for each in played.containers]
    return [containers.status(each).exit_code for each in loaded if each is not None]
