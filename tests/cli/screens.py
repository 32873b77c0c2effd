"""A person before a terminal: rcrun on a pseudo-terminal of its own, what it shows, what is typed."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

CTRL_A, CTRL_C, CTRL_D, CTRL_P, CTRL_Q, CTRL_Z = (
    b"\x01",
    b"\x03",
    b"\x04",
    b"\x10",
    b"\x11",
    b"\x1a",
)
PROMPT = b"ready> "
NO_NETWORK = ("--network", "none")
SHELL = (*NO_NETWORK, "-e", "PS1=ready> ", "--name", "web", "busybox", "sh")
# Shows every byte that it reads as soon as it comes.
BYTES = ("sh", "-c", "stty raw -echo; echo ready; exec hexdump -v -e '1/1 \"<%02x>\"'")


class Screen:
    """`rcrun WORDS` as the leader of a session whose terminal is ours; the terminal is its user's own."""

    def __init__(self, rcrun, *words, rows=24, columns=80, own=True, program=None, **options):
        self.master, self.slave = pty.openpty()
        if own:
            os.fchown(self.slave, rcrun.account.uid, -1)
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        streams = {"stdin": self.slave, "stdout": self.slave, "stderr": self.slave, **options}
        launch = rcrun.account.popen if program else rcrun.popen
        env = {**(rcrun.env if program else {}), "ENV": ""}
        self.process = launch(
            *([program] if program else []), *words, env=env, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0),
            pass_fds=[self.slave], **streams,
        )  # fmt: skip

    @property
    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ECHO)

    @property
    def is_restored(self):
        return termios.tcgetattr(self.slave) == self.before

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, data):
        os.write(self.master, data)

    def read(self, seconds):
        """What comes within this time, or nothing."""
        if not select.select([self.master], [], [], max(0, seconds))[0]:
            return b""
        try:
            return os.read(self.master, 65536)
        except OSError:  # the last holder of the terminal has gone
            return b""

    def expect(self, text, seconds=60.0):
        """What was shown before this text, which is taken away."""
        until = time.monotonic() + seconds
        while text not in self.seen:
            left = until - time.monotonic()
            assert left > 0, f"{text!r} did not come, but {self.seen[-4000:]!r}"
            self.seen += self.read(min(left, 0.5))
        before, _, self.seen = self.seen.partition(text)
        return before

    def ask(self, line, prompt=PROMPT):
        """Type a line into a shell; what it shows before the next prompt, without the echo."""
        self.type(line.encode() + b"\r")
        return self.expect(prompt).partition(b"\r\n")[2].decode().replace("\r\n", "\n")

    def end(self, seconds=60.0):
        """The exit status; the terminal is as it was."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it goes on, and shows {self.seen[-4000:]!r}") from None
        while more := self.read(0):
            self.seen += more
        assert self.is_restored, "the terminal was not put back"
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def runs(rcrun, line, name="web"):
    """Whether a process with this command line is there, and not stopped."""
    lines = rcrun("exec", name, "ps", "-o", "stat,args").out.splitlines()
    return any(each.endswith(f" {line}") and not each.lstrip().startswith("T") for each in lines)


def state_of(rcrun, name="web"):
    return rcrun("inspect", "-f", "{{.State.Status}}", name).check().out.strip()
