"""A worker's own container and volume, which nobody else touches: everything about them is known."""

from __future__ import annotations

import random
from collections.abc import Callable

from robust.soak.calling import Answer, call, moment
from robust.soak.world import Findings

NOT_THERE = "absent"
# What tells its run by its end: TERM gives 7.
PROGRAM = ("sh", "-c", "trap 'exit 7' TERM; echo run; while :; do sleep 0.05; done")


class Own:
    """One command a turn; then inspect must say what we expect."""

    def __init__(self, number: int, chance: random.Random, findings: Findings) -> None:
        self.name = f"own-{number}"
        self.volume = f"own-volume-{number}"
        self.chance = chance
        self.findings = findings
        self.state = NOT_THERE
        self.code = 0
        self.runs = 0
        self.text = ""  # in its volume

    def turn(self) -> None:
        steps = STEPS[self.state]
        step = self.chance.choice(steps)
        if self.chance.random() < 0.08:
            self._killed(step)
        else:
            step(self)
            self._look()

    def _say(self, text: str, answer: Answer | None = None) -> None:
        self.findings.add(f"{self.name}: {text}\n{answer or ''}")

    def _do(self, *words: str, expect: int = 0, out: str | None = None) -> Answer:
        answer = call(*words)
        if answer.hung or answer.status != expect or (expect == 0 and answer.err):
            self._say(f"expected {expect} where the state was {self.state}", answer)
        elif out is not None and answer.out != out:
            self._say(f"expected {out!r}", answer)
        return answer

    def _look(self) -> None:
        answer = call("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", self.name)
        shown = answer.out.split()
        if self.state == NOT_THERE:
            if answer.status != 1:
                self._say("it was removed", answer)
        elif shown != [self.state, str(self.code if self.state == "exited" else 0)]:
            self._say(f"should be {self.state} {self.code}", answer)

    def _killed(self, step: Callable[[Own], None]) -> None:
        """A client killed in the middle: it did all or nothing, and `rm -f` is the end of it for ever."""
        words = self._words_of(step)
        if words is None:
            return
        call(*words, kill_after=moment(self.chance), tree=self.chance.random() < 0.3)
        self._do("rm", "-fv", self.name)
        self.state = NOT_THERE
        self._look()

    def _words_of(self, step: Callable[[Own], None]) -> tuple[str, ...] | None:
        words = {
            Own.run: ("run", "-d", *self._new()), Own.create: ("create", *self._new()),
            Own.start: ("start", self.name), Own.stop: ("stop", self.name),
            Own.restart: ("restart", self.name), Own.kill: ("kill", self.name),
            Own.remove: ("rm", "-f", self.name),
        }  # fmt: skip
        return words.get(step)

    def _new(self) -> tuple[str, ...]:
        network = () if self.chance.random() < 0.2 else ("--network", "none")
        volume = ("-v", f"{self.volume}:/data")
        return ("--name", self.name, *network, *volume, "--pull", "never", "busybox", *PROGRAM)

    def _began(self) -> None:
        """Wait for its first words, so that the trap is set."""
        self.state = "running"
        self.runs += 1
        for _ in range(200):
            if call("logs", self.name).out.count("run\n") == self.runs:
                return
        self._say(f"its log has not {self.runs} runs", call("logs", self.name))

    # steps

    def run(self) -> None:
        self.runs = 0
        self._do("volume", "create", "--label", "own", self.volume)
        self._do("run", "-d", *self._new())
        self._began()

    def create(self) -> None:
        self.runs = 0
        self._do("volume", "create", "--label", "own", self.volume)
        self._do("create", *self._new())
        self.state = "created"

    def start(self) -> None:
        self._do("start", self.name, out=f"{self.name}\n")
        self._began()

    def stop(self) -> None:
        self._do("stop", self.name, out=f"{self.name}\n")
        self.state, self.code = "exited", 7

    def kill(self) -> None:
        self._do("kill", self.name, out=f"{self.name}\n")
        self.state, self.code = "exited", 137

    def restart(self) -> None:
        self._do("restart", self.name, out=f"{self.name}\n")
        self._began()

    def wait(self) -> None:
        self._do("wait", self.name, out=f"{self.code}\n")

    def rename(self) -> None:
        self._do("rename", self.name, f"{self.name}-b")
        self._do("rename", f"{self.name}-b", self.name)

    def refused(self) -> None:
        self._do("rm", self.name, expect=1)

    def remove(self) -> None:
        self._do("rm", "-f", self.name, out=f"{self.name}\n")
        self.state = NOT_THERE

    def gone(self) -> None:
        self._do("rm", "-f", self.name, out="")
        self._do("start", self.name, expect=1)

    def execute(self) -> None:
        self._do("exec", self.name, "sh", "-c", "echo word; exit 3", expect=3, out="word\n")

    def write(self) -> None:
        self.text = str(self.chance.random())
        self._do("exec", self.name, "sh", "-c", f"echo {self.text} >/data/file; sync")

    def read(self) -> None:
        """The volume outlives the container."""
        if self.text:
            self._do("exec", self.name, "cat", "/data/file", out=f"{self.text}\n")

    def copy(self) -> None:
        answer = self._do("cp", f"{self.name}:/etc/passwd", "-")
        if "root:" not in answer.out:
            self._say("cp gave no file", answer)

    def pause(self) -> None:
        answer = call("pause", self.name)
        if answer.status == 0:
            self.state = "paused"
        elif "no cgroup of its own" not in answer.err:
            self._say("cannot be paused", answer)

    def unpause(self) -> None:
        self._do("unpause", self.name, out=f"{self.name}\n")
        self.state = "running"


STEPS: dict[str, tuple[Callable[[Own], None], ...]] = {
    NOT_THERE: (Own.run, Own.run, Own.create, Own.gone),
    "created": (Own.start, Own.start, Own.rename, Own.copy, Own.remove),
    "running": (
        Own.execute, Own.execute, Own.write, Own.read, Own.copy, Own.stop, Own.kill, Own.restart, Own.rename,
        Own.refused, Own.pause, Own.remove,
    ),
    "paused": (Own.unpause, Own.unpause, Own.refused, Own.stop, Own.kill, Own.remove),
    "exited": (Own.start, Own.wait, Own.restart, Own.rename, Own.copy, Own.remove),
}  # fmt: skip
