"""A hundred containers on one network, beside podman: started together, names, memory, throughput, published ports.

RCRUN_BENCH=network/many.py bench/in-tree TREE [NUMBER [ROUNDS]]: as root, since nobody else may look at pasta's memory; the engines are
run as the user rcrun.
"""

from __future__ import annotations

import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from engines import Engines, image, memory, processor_seconds

NUMBERS = [int(word) for word in sys.argv[1:] if word.isdigit()]
NUMBER, ROUNDS = (*NUMBERS, *(100, 3)[len(NUMBERS) :])
ENGINES = Engines("/dev/shm/rcrun-bench-many")
engine = ENGINES.run


def start_all(name: str, *options: str) -> float:
    """16 at a time."""

    def one(number: int) -> None:
        engine(name, "run", "-d", "--name", f"c{number}", *options, image(name), "sleep", "3600")

    begin = time.perf_counter()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(NUMBER)))
    return time.perf_counter() - begin


def unresolved(name: str) -> int:
    """How many of all names does some container not find; each asks for all."""
    names = " ".join(f"c{number}" for number in range(NUMBER))
    script = f"for n in {names}; do nslookup $n >/dev/null 2>&1 || ping -c1 -W1 $n >/dev/null 2>&1 || echo $n; done"
    with ThreadPoolExecutor(2) as pool:
        said = pool.map(
            lambda number: engine(name, "exec", f"c{number}", "sh", "-c", script), range(NUMBER)
        )
    return sum(len(text.split()) for text in said)


def pairs(work: str, one: object, *, better: str = "smaller") -> None:
    found: dict[str, list[float]] = {name: [] for name in ENGINES}
    for _ in range(ROUNDS):
        for name in ENGINES:
            found[name].append(one(name))  # type: ignore[operator]
    ours, theirs = (statistics.median(found[name]) for name in ENGINES)
    ratio = statistics.median(a / b for a, b in zip(*found.values(), strict=True) if b)
    print(f"| {work} | {ours:.2f} | {theirs:.2f} | **{ratio:.2f}** | {better} |", flush=True)


def crowd(name: str, *options: str) -> dict[str, float]:
    before = processor_seconds()
    found = {"seconds": start_all(name, *options)}
    found["processor"] = processor_seconds() - before
    time.sleep(2)
    parts = memory(name)
    said = ", ".join(f"{comm} {size / NUMBER:.0f}" for comm, size in sorted(parts.items()))
    print(f"{name}: kB a container: {said}", file=sys.stderr)
    return {**found, "memory": sum(parts.values()) / 1024 / NUMBER}


def one_start(*options: str) -> object:
    def run(name: str) -> float:
        begin = time.perf_counter()
        engine(name, "run", "--rm", *options, image(name), "true")
        return time.perf_counter() - begin

    return run


def main() -> None:
    ENGINES.prepare("many")
    print("| work | rcrun | podman | ratio | better |\n| --- | --- | --- | --- | --- |")
    global ROUNDS
    rounds, ROUNDS = ROUNDS, max(ROUNDS, 10)
    pairs("`run --rm true`, default network, s", one_start())
    pairs("`run --rm true` on a network, s", one_start("--network", "many"))
    pairs(
        "`run --rm true` on a network with a port, s",
        one_start("--network", "many", "-p", "127.0.0.1:9321:80"),
    )
    ROUNDS = rounds
    for what, options in {"the default network": [], "one network": ["--network", "many"],
                          "one network, each with a port": ["--network", "many", "-p", "127.0.0.1::80"]}.items():  # fmt: skip
        rows = {}
        for name in ENGINES:
            rows[name] = crowd(name, *options)
            if what == "one network":
                begin = time.perf_counter()
                rows[name]["lost"] = unresolved(name)
                rows[name]["asked"] = time.perf_counter() - begin
            ENGINES.remove(name, "-a")
        ours, theirs = rows.values()
        print(
            f"| {NUMBER} on {what}, 16 at a time, s | {ours['seconds']:.1f} | {theirs['seconds']:.1f} "
            f"| **{ours['seconds'] / theirs['seconds']:.2f}** | smaller |"
        )
        print(
            f"| processor time of that, s | {ours['processor']:.1f} | {theirs['processor']:.1f} "
            f"| **{ours['processor'] / theirs['processor']:.2f}** | smaller |"
        )
        print(
            f"| memory beside each of {NUMBER} on {what}, MB | {ours['memory']:.2f} | {theirs['memory']:.2f} "
            f"| **{ours['memory'] / theirs['memory']:.2f}** | smaller |"
        )
        if "lost" in ours:
            print(
                f"| names not found, of {NUMBER}² | {ours['lost']:.0f} | {theirs['lost']:.0f} | | |"
            )
        sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    finally:
        ENGINES.clear("many")
