"""The one program that connects the room to the host: pasta, else slirp4netns, started for its namespace."""

from __future__ import annotations

import _signal
import os
import select

from rcrun.errors import HostLacks
from rcrun.files import read_text, unlink_if_there, write_file
from rcrun.kernel.process import is_alive, open_pidfd, start_time
from rcrun.network import helpers
from rcrun.network.route import own_addresses
from rcrun.paths import find_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context

MILLISECONDS_TO_BE_READY = 20_000
MILLISECONDS_TO_END = 2000


def connect(context: Context, directory: str, pid: int) -> None:
    """HostLacks when nobody can; `outside` then names the one that does."""
    helpers.require_tun()
    end_outside(directory)
    search = context.environ.get("PATH", "")
    around = helpers.Surroundings(
        lambda name: find_program(name, search),
        own_addresses(),
        as_root=context.identity.kind == "root",
    )
    network = {"mode": "pasta", "chosen": False, "bound": [], "options": []}
    reasons = []
    for record in helpers.helper_records(network, directory, around):
        words = record[2:] if record[0] == "helper" else record[3:]
        found, reason = _start(words, pid, f"{directory}/{helpers.PID_FILE}", directory)
        if found:
            start = start_time(found) or 0
            write_file(f"{directory}/outside", f"{found} {start}\n".encode(), durable=False)
            return
        reasons.append(f"{os.path.basename(words[0])}: {reason}")
    raise HostLacks(
        f"cannot connect the bridges to the host: {'; '.join(reasons)}",
        "use a network without a way out: rcrun network create --internal NAME",
    )


def _start(words: list[str], pid: int, pid_file: str, directory: str) -> tuple[int, str]:
    """The process that runs then, or 0 and what it said."""
    errors = os.memfd_create("rcrun-errors")
    reader, writer = os.pipe2(os.O_CLOEXEC)
    waits = any("@READY@" in word for word in words)
    command = [word.replace("@PID@", str(pid)).replace("@READY@", str(writer)) for word in words]
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    actions = [
        (os.POSIX_SPAWN_DUP2, null, 0),
        (os.POSIX_SPAWN_DUP2, null, 1),
        (os.POSIX_SPAWN_DUP2, errors, 2),
    ]
    if waits:
        actions.append((os.POSIX_SPAWN_DUP2, writer, writer))
    try:
        child = os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)
        os.close(writer)
        writer = -1
        found = _await_byte(reader, child) if waits else _await_end(child, pid_file)
        said = os.pread(errors, 4096, 0).decode("utf-8", "replace").strip().rpartition("\n")[2]
        return found, said
    except OSError as error:
        return 0, (error.strerror or str(error)).lower()
    finally:
        for fd in (errors, reader, writer, null):
            if fd >= 0:
                os.close(fd)


def _await_byte(reader: int, child: int) -> int:
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    if poll.poll(MILLISECONDS_TO_BE_READY) and os.read(reader, 1):
        return child
    os.kill(child, _signal.SIGKILL)
    os.waitpid(child, 0)
    return 0


def _await_end(child: int, pid_file: str) -> int:
    """pasta goes to the background once its work is done."""
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    text = read_text(pid_file).strip()
    unlink_if_there(pid_file)
    return int(text) if status == 0 and text.isdigit() else 0


def end_outside(directory: str) -> None:
    """One that was left behind by a room that is gone."""
    words = read_text(f"{directory}/outside").split()
    if len(words) != 2 or not is_alive(int(words[0]), int(words[1])):
        return
    fd = open_pidfd(int(words[0]), int(words[1]))
    if fd is None:
        return
    try:
        _signal.pidfd_send_signal(fd, _signal.SIGKILL)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(MILLISECONDS_TO_END)
    finally:
        os.close(fd)
