"""python3 -m robust.soak [--seconds N] [--seed N] [--workers N]"""

from __future__ import annotations

import argparse
import os
import random
import sys
import threading
import time

from robust.soak.calling import call
from robust.soak.commands import IMAGES
from robust.soak.working import Killer, Loop, Observer, Worker
from robust.soak.world import Findings, World

ENOUGH = 25  # findings
SECONDS_TO_GO = 60


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--seed", default="")
    parser.add_argument("--workers", type=int, default=8)
    arguments = parser.parse_args()
    seed = arguments.seed or str(random.randrange(1_000_000))
    print(f"soak: --seed {seed}, {arguments.seconds:.0f} seconds", flush=True)
    findings = Findings(time.monotonic())
    world = World(dict(os.environ))
    loops = soak(world, findings, seed, arguments.workers, arguments.seconds)
    remove_everything(world, findings)
    for loop in loops:
        counts = ", ".join(f"{word} {count}" for word, count in sorted(loop.counts.items()))
        print(f"soak: {loop.name}: {counts}")
    total = sum(loop.counts.total() for loop in loops if isinstance(loop, Worker))
    largest = max(loop.memory for loop in loops if isinstance(loop, Observer))
    print(f"soak: {total} counts, largest monitor {largest} KiB")
    print(f"soak: {len(findings.texts)} findings with --seed {seed}")
    return 1 if findings.texts else 0


def soak(world: World, findings: Findings, seed: str, workers: int, seconds: float) -> list[Loop]:
    stopped = threading.Event()
    loops: list[Loop] = [Worker(number, seed, findings, stopped) for number in range(workers)]
    loops += [Killer(world, seed, findings, stopped), Observer(world, seed, findings, stopped)]
    for loop in loops:
        loop.start()
    until = time.monotonic() + seconds
    while time.monotonic() < until and len(findings.texts) < ENOUGH:
        time.sleep(0.2)
    stopped.set()
    for loop in loops:
        loop.join()
    return loops


def remove_everything(world: World, findings: Findings) -> None:
    """As a user would; then nothing may be left."""
    orders = [("rm", "-fa"), ("volume", "prune", "-af")]
    orders += [("rmi", "-f", image) for image in IMAGES]
    orders += [("image", "prune", "-f"), ("container", "prune", "-f")]
    for words in orders:
        answer = call(*words)
        if answer.hung or (answer.err and "no such image" not in answer.err):
            findings.add(f"the end: {answer}")
    world.age()
    for words in (("container", "prune", "-f"), ("image", "prune", "-f")):
        call(*words)
    until = time.monotonic() + SECONDS_TO_GO
    while (left := world.left()) and time.monotonic() < until:
        time.sleep(0.1)
    if left:
        findings.add("left at the end:\n" + "\n".join(left))


if __name__ == "__main__":
    sys.exit(main())
