"""One call of rcrun: to its end, or to a kill; and what a call that hangs was doing."""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

from robust.soak.world import descendants, end, name_of

HANGS_AFTER = 90.0


class Answer:
    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words
        self.status = 0
        self.out = self.err = ""
        self.killed = False  # by us: nothing is known of what was done
        self.hung = ""  # what it was doing when it should have been done

    def __str__(self) -> str:
        end = "killed" if self.killed else f"gave {self.status}"
        text = f"`rcrun {' '.join(self.words)}` {end}"
        if self.hung:
            text += f"\n--- it did not end in {HANGS_AFTER} s\n{self.hung}"
        return f"{text}\n--- stdout\n{self.out[-1500:]}--- stderr\n{self.err[-3000:]}"


def call(
    *words: str, kill_after: float | None = None, tree: bool = False, stdin: bytes | None = None
) -> Answer:
    """`kill_after` seconds it is killed; with `tree` its children, too."""
    answer = Answer(words)
    process = subprocess.Popen(
        ["rcrun", *words],
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = process.communicate(stdin, timeout=kill_after or HANGS_AFTER)
    except subprocess.TimeoutExpired:
        if kill_after is None:
            answer.hung = doings(process.pid)
        answer.killed = True
        for pid in [*(descendants(process.pid) if tree else []), process.pid]:
            end(pid)
        out, err = _rest(process, answer)
    answer.status = process.returncode
    answer.out, answer.err = out.decode(errors="replace"), err.decode(errors="replace")
    return answer


def _rest(process: subprocess.Popen[bytes], answer: Answer) -> tuple[bytes, bytes]:
    """What it had said; its children may go on, and must let go of the streams."""
    try:
        return process.communicate(timeout=HANGS_AFTER)
    except subprocess.TimeoutExpired:
        answer.hung = answer.hung or "somebody holds its streams"
        process.stdout.close()  # type: ignore[union-attr]
        process.stderr.close()  # type: ignore[union-attr]
        process.wait()
        return b"", b""


def doings(pid: int) -> str:
    lines = []
    for one in [pid, *descendants(pid)]:
        try:
            line = Path(f"/proc/{one}/cmdline").read_bytes().replace(b"\0", b" ")[:200]
            wchan = Path(f"/proc/{one}/wchan").read_text()
            files = [os.readlink(path) for path in Path(f"/proc/{one}/fd").iterdir()]
        except OSError:
            continue
        lines.append(f"{one} {name_of(one)} waits in {wchan}: {line.decode(errors='replace')}")
        lines.append(f"    has open {' '.join(files)}")
    return "\n".join(lines)


def moment(chance: random.Random) -> float:
    """Seconds until a kill: rcrun's own work takes some tens of milliseconds here."""
    return chance.random() ** 2 * 0.4 + 0.002


def until(seconds: float, step: float = 0.05):  # type: ignore[no-untyped-def]
    """Goes on for so long."""
    begun = time.monotonic()
    while time.monotonic() < begun + seconds:
        yield
        time.sleep(step)
