"""The one program that connects the room to the host: pasta, else slirp4netns, started for its namespace."""

from __future__ import annotations

import _signal
import os
import select

from rcrun.errors import HostLacks
from rcrun.files import read_text, unlink_if_there, write_file
from rcrun.kernel.process import open_pidfd, start_time
from rcrun.network import helpers
from rcrun.network.route import own_addresses
from rcrun.paths import find_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context

_NAMES = ("slirp4netns", "pasta")
# Python ignores them, and a pasta of 2023 ends when it finds SIGPIPE ignored.
_DEFAULT = (_signal.SIGPIPE, _signal.SIGXFSZ)
MILLISECONDS_TO_BE_READY = 20_000
MILLISECONDS_TO_END = 2000


class Connecting:
    """`start` begins; `finish` waits until it is done, and takes the next program when the first one cannot.

    HostLacks when nobody can, and it is not `optional`. `outside` then names the one that does.
    """

    __slots__ = ("_context", "_directory", "_optional", "_pid", "_starting", "_words")

    def __init__(self, context: Context, directory: str, *, optional: bool) -> None:
        end_outside(directory)
        self._context = context
        self._directory = directory
        self._pid = 0
        self._optional = optional
        self._starting: Starting | None = None
        self._words: list[list[str]] = []
        try:
            helpers.require_tun()
            self._words = _programs(context, directory)
        except HostLacks:
            if not optional:
                raise

    def start(self, pid: int) -> None:
        """For the room that this process holds."""
        self._pid = pid
        if self._words:
            self._starting = self._start()

    def _start(self) -> Starting:
        return Starting(self._words.pop(0), self._pid, f"{self._directory}/{helpers.PID_FILE}")

    def finish(self) -> None:
        reasons: list[str] = []
        while self._starting is not None:
            starting = self._starting
            found, reason = starting.finish()
            if found:
                self._note(found, reasons, starting.name)
                if start_time(self._pid) is None:
                    # The room could not be made meanwhile: a pasta of 2023 would stay.
                    end_outside(self._directory)
                return
            reasons.append(f"{starting.name} could not connect the bridges: {reason}")
            self._starting = self._start() if self._words else None
        if not self._optional:
            raise HostLacks(
                "; ".join(reasons),
                "use a network without a way out: rcrun network create --internal NAME",
            )

    def _note(self, pid: int, reasons: list[str], name: str) -> None:
        text = f"{pid} {start_time(pid) or 0}\n"
        write_file(f"{self._directory}/outside", text.encode(), durable=False)
        for reason in reasons:
            self._context.warn(f"{reason}; {name} does it instead", None)


def _programs(context: Context, directory: str) -> list[list[str]]:
    """Their command lines, the better one first."""
    search = context.search
    around = helpers.Surroundings(
        lambda name: find_program(name, search),
        own_addresses(),
        as_root=context.identity.kind == "root",
        options=context.network_options,
        preferred=context.preferred_network,
    )
    network = {"mode": "pasta", "chosen": False, "bound": [], "options": []}
    records = helpers.helper_records(network, directory, around)
    return [record[2:] if record[0] == "helper" else record[3:] for record in records]


class Starting:
    """One of these programs, of which we do not know yet whether it can."""

    __slots__ = ("_child", "_errors", "_pid_file", "_reader", "_reason", "_waits", "name")

    def __init__(self, words: list[str], pid: int, pid_file: str) -> None:
        self.name = next((name for name in _NAMES if any(name in word for word in words)), words[0])
        self._pid_file = pid_file
        self._waits = any("@READY@" in word for word in words)
        self._errors = os.memfd_create("rcrun-errors")
        self._reader, writer = os.pipe2(os.O_CLOEXEC)
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        filled = [word.replace("@PID@", str(pid)).replace("@READY@", str(writer)) for word in words]
        self._reason, self._child = "", 0
        try:
            self._child = _spawn(filled, null, self._errors, writer if self._waits else -1)
        except OSError as error:
            self._reason = (error.strerror or str(error)).lower()
        finally:
            os.close(null)
            os.close(writer)

    def finish(self) -> tuple[int, str]:
        """The process that runs then, or 0 and what it said."""
        try:
            if not self._child:
                return 0, self._reason
            found = self._await_byte() if self._waits else self._await_end()
            said = os.pread(self._errors, 4096, 0).decode("utf-8", "replace")
            return found, said.strip().rpartition("\n")[2] or self._reason
        finally:
            os.close(self._errors)
            os.close(self._reader)

    def _await_byte(self) -> int:
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        if poll.poll(MILLISECONDS_TO_BE_READY) and os.read(self._reader, 1):
            return self._child
        os.kill(self._child, _signal.SIGKILL)
        self._reason = "it was not ready"
        os.waitpid(self._child, 0)
        return 0

    def _await_end(self) -> int:
        """pasta goes to the background once its work is done."""
        status = os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1])
        text = read_text(self._pid_file).strip()
        if status == 0 and text.isdigit():
            unlink_if_there(self._pid_file)
            return int(text)
        self._reason = f"it ended with {status}" if status >= 0 else f"signal {-status} ended it"
        _end_strays(os.path.dirname(self._pid_file))
        return 0


def _spawn(words: list[str], null: int, errors: int, writer: int) -> int:
    actions: list[tuple[int, ...]] = [
        (os.POSIX_SPAWN_DUP2, null, 0),
        (os.POSIX_SPAWN_DUP2, null, 1),
        (os.POSIX_SPAWN_DUP2, errors, 2),
    ]
    if writer >= 0:
        actions.append((os.POSIX_SPAWN_DUP2, writer, writer))
    actions += [(os.POSIX_SPAWN_CLOSE, fd) for fd in _of_our_caller()]
    return os.posix_spawn(
        words[0], words, os.environ, file_actions=actions, setsid=True, setsigdef=_DEFAULT
    )


def _of_our_caller() -> list[int]:
    """Descriptors that were left open to us: what stays must not hold somebody's lock, or the end of a pipe."""
    return [
        int(name)
        for name in os.listdir("/proc/self/fd")
        if int(name) > 2
        and os.path.exists(f"/proc/self/fd/{name}")
        and os.get_inheritable(int(name))
    ]


def end_outside(directory: str) -> None:
    """One that was left behind by a room that is gone."""
    words = read_text(f"{directory}/outside").split()
    if len(words) == 2:
        end(int(words[0]), int(words[1]))
    if any(map(os.path.exists, helpers.pid_files(directory))):
        _end_strays(directory)


def _end_strays(directory: str) -> None:
    """Whoever started it was killed, or it was before it had written its number: the file is among its words."""
    from itertools import pairwise

    from rcrun.kernel.procfs import command_words

    files = helpers.pid_files(directory)
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        words = command_words(pid)
        if any(one == "--pid" and other in files for one, other in pairwise(words)):
            end(pid, start_time(pid) or 0)
    unlink_if_there(files[0])


def end(pid: int, start: int) -> None:
    """By force, and the wait for its end."""
    fd = open_pidfd(pid, start)
    if fd is None:
        return
    try:
        _signal.pidfd_send_signal(fd, _signal.SIGKILL)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(MILLISECONDS_TO_END)
    finally:
        os.close(fd)
