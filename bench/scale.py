"""Many containers: a thousand stopped and a hundred running ones, listed, started together and removed together."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

STOPPED, RUNNING, AT_ONCE, ROUNDS = 1000, 100, 16, 3


def all_together(commands: Sequence[list[str]], start: Callable[[Sequence[str]], int]) -> None:
    """`AT_ONCE` of them at any time."""
    waiting = list(commands)
    running: set[int] = set()
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            running.add(start(waiting.pop(0)))
        pid, status = os.wait()
        running.discard(pid)
        if status != 0:
            raise SystemExit(
                f"bench: one of {commands[0]} gave {os.waitstatus_to_exitcode(status)}"
            )


class Crowd:
    """The containers of one engine."""

    def __init__(self, engine: Any, start: Callable[[Sequence[str]], int]) -> None:
        self.engine = engine
        self.start = start
        self.names = [f"r{number}" for number in range(RUNNING)]

    def _run(self, name: str, *words: str) -> list[str]:
        one = self.engine("run", "-d", "--name", name, "--network", "none", self.engine.image)
        return [*one, *words]

    def fill(self) -> None:
        names = [f"s{number}" for number in range(STOPPED)]
        all_together([self._run(name, "true") for name in names], self.start)

    def launch(self) -> None:
        all_together([self._run(name, "sleep", "3600") for name in self.names], self.start)

    def remove(self) -> list[str]:
        return list(self.engine.remove(*self.names))


def scale(bench: Any, row: Any, seconds: Callable[..., float], run: Any, start: Any) -> None:
    """Adds three rows to the table; the peer is the second engine."""
    crowds = [Crowd(engine, start) for engine in bench.engines[:2]]
    launched: list[list[float]] = [[] for _ in crowds]
    removed: list[list[float]] = [[] for _ in crowds]
    for _ in range(ROUNDS):
        for at, crowd in enumerate(crowds):
            launched[at].append(seconds(crowd.launch))
            removed[at].append(seconds(lambda crowd=crowd: run(crowd.remove())))
    listed: list[list[float]] = [[] for _ in crowds]
    for crowd in crowds:
        crowd.fill()
        crowd.launch()
    for _ in range(max(3, bench.repeat // 2)):
        for at, crowd in enumerate(crowds):
            listed[at].append(seconds(lambda crowd=crowd: run(crowd.engine("ps", "-a"))))
    for crowd in crowds:
        run([*crowd.engine("rm", "-fa"), *(["-t", "0"] if crowd.engine.name == "podman" else [])])
    if len(crowds) < 2:
        bench.notes += [f"alone: {launched} {removed} {listed}"]
        return
    peer = crowds[1].engine.name
    for work, times in (
        (f"`ps -a`: {STOPPED} stopped, {RUNNING} running", listed),
        (f"{RUNNING} `run -d`, {AT_ONCE} at a time", launched),
        (f"`rm -f` of {RUNNING} that run", removed),
    ):
        bench.add(row(work, times[0], peer, times[1], 0.30))
