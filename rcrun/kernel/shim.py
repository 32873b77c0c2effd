"""The C shim seen from Python: where it is, how a plan reaches it, what it reports (docs/plan.md)."""

from __future__ import annotations

import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    Record = Sequence[str]
    Plan = Sequence[Record]

REPORT = struct.Struct("<4siiii32s1024s")

# Set by --debug, and by nothing else: sees each plan before the shim does.
on_plan: Callable[[Plan], None] | None = None


def shim_path() -> str:
    """The one executable that makes namespaces; AppArmor profiles name it."""
    return os.path.join(
        os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "shim/rcrun-shim"
    )


class Report:
    """Why the shim stopped: the record of the plan, the call, errno, and what a child said."""

    __slots__ = ("call", "child_status", "errno", "step", "text", "word")

    def __init__(
        self, step: int, errno: int, word: int, child_status: int, call: str, text: str
    ) -> None:
        self.step = step
        self.errno = errno
        self.word = word
        self.child_status = child_status
        self.call = call
        self.text = text


def decode_report(data: bytes) -> Report | None:
    """None for no data, which means success; ValueError for anything but a whole report."""
    if not data:
        return None
    if len(data) != REPORT.size or not data.startswith(b"RCR1"):
        raise ValueError("the shim's report is cut short or of another version")
    _, step, error, word, status, call, text = REPORT.unpack(data)
    return Report(
        step,
        error,
        word,
        status,
        call.rstrip(b"\0").decode("ascii", "replace"),
        text.rstrip(b"\0").decode("utf-8", "replace"),
    )


def encode_plan(plan: Plan) -> bytes:
    """The plan's bytes; ValueError for a word with a NUL."""
    words: list[str] = []
    for record in plan:
        words.append(str(len(record)))
        words.extend(record)
    text = "\0".join(words)
    if text.count("\0") != len(words) - 1:
        raise ValueError("a word of the plan contains a NUL character")
    return os.fsencode(text) + b"\0"


def decode_plan(data: bytes) -> list[list[str]]:
    words = os.fsdecode(data).split("\0")[:-1]
    plan = []
    at = 0
    while at < len(words):
        count = int(words[at])
        plan.append(words[at + 1 : at + 1 + count])
        at += 1 + count
    return plan


def plan_text(plan: Plan) -> str:
    """A record a line, numbered as a report counts them. People paste this: values of the environment are left out."""
    from shlex import quote

    shown = [
        ["env", *[f"{word.partition('=')[0]}=…" for word in record[1:]]]
        if record[0] == "env"
        else record
        for record in plan
    ]
    lines = [" ".join([quote(word) for word in record]) for record in shown]
    return "".join([f"{number:4} {line}\n" for number, line in enumerate(lines)])


def inserted(encoded: bytes, record: Record) -> bytes:
    """The same plan with this record behind its first one, `plan 1`."""
    first = encode_plan([["plan", "1"]])
    return first + encode_plan([record]) + encoded.removeprefix(first)


def plan_fd(plan: Plan, encoded: bytes = b"") -> int:
    """An inheritable memfd that holds the plan; `encoded` by whoever has done that before."""
    if on_plan is not None:
        on_plan(plan)
    fd = os.memfd_create("rcrun-plan", 0)
    data = encoded or encode_plan(plan)
    if os.write(fd, data) != len(data):
        raise OSError(28, "cannot write the plan")
    return fd


def replace_process(plan: Plan, encoded: bytes = b"") -> NoReturn:
    """Become the shim; returns only by OSError."""
    fd = plan_fd(plan, encoded)
    os.execv(shim_path(), ["rcrun-shim", str(fd)])


def start(plan: Plan, *, output_fd: int, pass_fds: Sequence[int] = ()) -> tuple[int, int]:
    """A container whose parent is the shim itself: the shim's pid, and where its report comes; nothing to read, and
    both outputs to one descriptor."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    actions: list[Any] = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output_fd, 1),
        (os.POSIX_SPAWN_DUP2, output_fd, 2),
    ]
    try:
        plan = [plan[0], ["report", str(writer)], *plan[1:]]
        return _spawn(plan, [writer, *pass_fds], actions), reader
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)


def read_report(reader: int) -> Report | None:
    """None once exec succeeded. The step is that of the plan that was given, without the `report` that we put in."""
    with open(reader, "rb") as file:
        report = decode_report(file.read())
    if report is not None and report.step >= 0:
        report.step -= 1
    return report


def _spawn(
    plan: Plan, pass_fds: Sequence[int], streams: Sequence[Any] = (), encoded: bytes = b""
) -> int:
    """The shim as a child, with these descriptors and no other.

    They are made inheritable in the child alone: another thread's child that has the report's pipe, or a lock, would
    have it for as long as it lives.
    """
    fd = plan_fd(plan, encoded)
    try:
        actions = [*streams, *[(os.POSIX_SPAWN_DUP2, passed, passed) for passed in pass_fds]]
        return os.posix_spawn(
            shim_path(), ["rcrun-shim", str(fd)], os.environ, file_actions=actions
        )
    finally:
        os.close(fd)


def launch(
    plan: Plan,
    *,
    pass_fds: Sequence[int] = (),
    encoded: bytes = b"",
    meanwhile: Callable[[], None] | None = None,
) -> Report | None:
    """Start the shim with a report pipe, do something else, wait for the report; None when the exec succeeded.

    For plans with `monitor`, or that end by themselves after the report (OCI create).
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        record = ["report", str(writer)]
        data = inserted(encoded, record) if encoded else b""
        pid = _spawn([plan[0], record, *plan[1:]], [writer, *pass_fds], encoded=data)
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    try:
        try:
            if meanwhile is not None:
                meanwhile()
        except BaseException:
            os.close(reader)
            raise
        report = read_report(reader)
    finally:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if report is None and status != 0:
        raise ChildProcessError(f"the shim ended with status {status} and no report")
    return report


def run(plan: Plan) -> int:
    """Run a plan of `session work` to its end with our streams; its exit status (128+n for a signal)."""
    pid = _spawn(plan, [])
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return 128 - status if status < 0 else status
