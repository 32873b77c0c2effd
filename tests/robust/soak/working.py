"""The threads of the soak: workers that collide, one that kills, one that looks whether all is true."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from pathlib import Path

from robust.soak.calling import call, moment
from robust.soak.commands import CODES, any_command
from robust.soak.own import Own
from robust.soak.world import Findings, World, end, lives

STATES = ("created", "running", "paused", "exited", "removing")
LARGEST_MONITOR = 65_536 if os.environ.get("RCRUN_SANITIZE") else 1024  # KiB of its own
MOST_DESCRIPTORS = 40


class Loop(threading.Thread):
    """Does `turn` again and again; what it does not expect is a finding."""

    def __init__(self, name: str, seed: str, findings: Findings, stopped: threading.Event) -> None:
        super().__init__(name=name)
        self.chance = random.Random(seed)
        self.findings = findings
        self.stopped = stopped
        self.counts: Counter[str] = Counter()

    def run(self) -> None:
        while not self.stopped.is_set():
            try:
                self.turn()
            except Exception as error:
                import traceback

                self.findings.add(f"{self.name}: {error!r}\n{traceback.format_exc()}")
                return

    def turn(self) -> None:
        raise NotImplementedError


class Worker(Loop):
    def __init__(
        self, number: int, seed: str, findings: Findings, stopped: threading.Event
    ) -> None:
        super().__init__(f"worker {number}", f"{seed} {number}", findings, stopped)
        self.own = Own(number, self.chance, findings)

    def turn(self) -> None:
        if self.chance.random() < 0.2:
            self.own.turn()
            self.counts["own"] += 1
            return
        command = any_command(self.chance)
        kill_after = command.kill_after
        if self.chance.random() < 0.06:
            kill_after = moment(self.chance)
        answer = call(
            *command.words,
            kill_after=kill_after,
            tree=self.chance.random() < 0.5,
            stdin=command.stdin,
        )
        self.counts[command.words[0]] += 1
        self.counts["killed"] += answer.killed
        self.counts["refused"] += bool(answer.err)
        fault = command.fault(answer)
        if fault:
            self.findings.add(f"{self.name}: {fault}\n{answer}")


class Killer(Loop):
    """Monitors, first processes and networks of the shared containers."""

    def __init__(
        self, world: World, seed: str, findings: Findings, stopped: threading.Event
    ) -> None:
        super().__init__("killer", f"{seed} killer", findings, stopped)
        self.world = world

    def turn(self) -> None:
        self.stopped.wait(self.chance.random() * 0.6)
        ids = self.world.shared()
        kind = self.chance.choice(("init", "init", "monitor", "monitor", "network"))
        if kind == "network":
            ids = [one for one in ids if self.world.victim(kind, one)]
        if ids:
            pid = self.world.victim(kind, self.chance.choice(ids))
            if pid and end(pid):
                self.counts[kind] += 1


class Observer(Loop):
    """Every state that is shown is one that can be."""

    FORM = "{{.ID}} {{.Names}} {{.State}} {{.Pid}} {{.ExitCode}}"

    def __init__(
        self, world: World, seed: str, findings: Findings, stopped: threading.Event
    ) -> None:
        super().__init__("observer", f"{seed} observer", findings, stopped)
        self.world = world
        self.before: dict[str, str] = {}
        self.memory = 0

    def turn(self) -> None:
        self.stopped.wait(0.5)
        answer = call("ps", "-a", "--no-trunc", "--format", self.FORM)
        if answer.status or answer.err:
            self.findings.add(f"observer: {answer}")
            return
        rows = [line.split() for line in answer.out.splitlines()]
        self.counts["containers"] += len(rows)
        names = [row[1] for row in rows]
        if len(set(names)) < len(names):
            self._look_again(names)
        for row in rows:
            self._check(*row)
        self.before = {row[0]: row[2] for row in rows}
        self._look_at_monitors()

    def _look_again(self, names: list[str]) -> None:
        """A list is no moment: one can be renamed, and its name taken, between two looks."""
        for _ in range(3):
            out = call("ps", "-a", "--format", "{{.Names}}").out.split()
            if len(set(out)) == len(out):
                return
        self.findings.add(f"observer: names twice: {sorted(names)}")

    def _check(self, container_id: str, name: str, state: str, pid: str, code: str) -> None:
        where = f"observer: {name} ({container_id})"
        if state not in STATES:
            self.findings.add(f"{where} is {state}")
        if state == "created" and self.before.get(container_id) in ("running", "paused"):
            self.findings.add(f"{where} ran and is shown as created")
        if state == "exited" and int(code) not in CODES:
            self.findings.add(f"{where} exited with {code}")
        if state in ("running", "paused"):
            self._check_running(where, container_id, pid)

    def _check_running(self, where: str, container_id: str, pid: str) -> None:
        """The list took a while: what is gone now may not be shown for ever."""
        deadline = time.monotonic() + 5
        while not lives(pid):
            answer = call("inspect", "-f", "{{.State.Status}} {{.State.Pid}}", container_id)
            state, pid, *_ = [*answer.out.split(), "gone", "0"]
            if state not in ("running", "paused"):
                return
            if time.monotonic() > deadline:
                self.findings.add(f"{where} is shown as running with pid {pid}, which is not there")
                return

    def _look_at_monitors(self) -> None:
        for container_id in self.world.shared():
            pid = self.world.victim("monitor", container_id)
            if not pid:
                continue
            try:
                size = own_memory(pid)
                count = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            except OSError:
                continue
            self.memory = max(self.memory, size)
            if size > LARGEST_MONITOR:
                self.findings.add(f"observer: monitor {pid} of {container_id} has {size} KiB")
            if count > MOST_DESCRIPTORS:
                self.findings.add(f"observer: monitor {pid} has {count} descriptors")


def own_memory(pid: int) -> int:
    """KiB that nobody shares with it."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    words = [line.split() for line in text.splitlines() if line.startswith("Private_")]
    return sum(int(line[1]) for line in words)
