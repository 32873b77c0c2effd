"""A hundred containers on one network, beside podman: started together, names, memory, throughput, published ports.

RCRUN_BENCH=network/many.py bench/in-tree TREE [NUMBER [ROUNDS]]: as root, since nobody else may look at pasta's memory; the engines are
run as the user rcrun.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

NUMBERS = [int(word) for word in sys.argv[1:] if word.isdigit()]
NUMBER, ROUNDS = (*NUMBERS, *(100, 3)[len(NUMBERS) :])
ARCHIVE = next(word for word in sys.argv[1:] if word.endswith(".tar"))
BASE = "/dev/shm/rcrun-bench-many"
DROP = ["setpriv", "--reuid", "rcrun", "--regid", "rcrun", "--init-groups", "--"]
ENGINES = {
    "rcrun": ["rcrun", "--root", f"{BASE}/rcrun", "--runroot", f"{BASE}/rcrun-run"],
    "podman": ["podman", "--root", f"{BASE}/podman", "--runroot", f"{BASE}/podman-run", "--storage-driver=overlay",
               "--cgroup-manager=cgroupfs", "--events-backend=file"],
}  # fmt: skip
IMAGE = "localhost/busybox"


def engine(name: str, *words: str, check: bool = True) -> str:
    done = subprocess.run(
        [*DROP, *ENGINES[name], *words], capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        sys.exit(f"{name} {' '.join(words)}: {done.returncode}: {done.stderr}")
    return done.stdout


def image(name: str) -> str:
    return IMAGE if name == "podman" else "busybox"


def start_all(name: str, *options: str) -> float:
    """16 at a time."""

    def one(number: int) -> None:
        engine(name, "run", "-d", "--name", f"c{number}", *options, image(name), "sleep", "3600")

    begin = time.perf_counter()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(NUMBER)))
    return time.perf_counter() - begin


def remove_all(name: str) -> None:
    engine(name, "rm", "-fa", *(["-t", "0"] if name == "podman" else []))


def unresolved(name: str) -> int:
    """How many of all names does some container not find; each asks for all."""
    names = " ".join(f"c{number}" for number in range(NUMBER))
    script = f"for n in {names}; do nslookup $n >/dev/null 2>&1 || ping -c1 -W1 $n >/dev/null 2>&1 || echo $n; done"
    with ThreadPoolExecutor(2) as pool:
        said = pool.map(
            lambda number: engine(name, "exec", f"c{number}", "sh", "-c", script), range(NUMBER)
        )
    return sum(len(text.split()) for text in said)


def our_group(pid: str) -> str:
    """The first group of the hierarchy of version 2: the bench's own."""
    rows = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return next((row[4:].partition("/")[0] for row in rows if row.startswith("0::/")), "")


def memory() -> float:
    """MB of proportional set size of the processes beside the containers' own, for each container."""
    total, group = 0, our_group("self")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if our_group(pid) != group:
                continue
            comm = Path(f"/proc/{pid}/comm").read_text().strip()
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        if comm not in ("sleep", "sh", "python3", "catatonit") and (
            found := re.search(r"\nPss: +(\d+)", text)
        ):
            total += int(found[1])
    return total / 1024 / NUMBER


def pairs(work: str, one: object, *, better: str = "smaller") -> None:
    found: dict[str, list[float]] = {name: [] for name in ENGINES}
    for _ in range(ROUNDS):
        for name in ENGINES:
            found[name].append(one(name))  # type: ignore[operator]
    ours, theirs = (statistics.median(found[name]) for name in ENGINES)
    ratio = statistics.median(a / b for a, b in zip(*found.values(), strict=True) if b)
    print(f"| {work} | {ours:.2f} | {theirs:.2f} | **{ratio:.2f}** | {better} |", flush=True)


def crowd(name: str, *options: str) -> dict[str, float]:
    found = {"seconds": start_all(name, *options)}
    time.sleep(2)
    return {**found, "memory": memory()}


def one_start(*options: str) -> object:
    def run(name: str) -> float:
        begin = time.perf_counter()
        engine(name, "run", "--rm", *options, image(name), "true")
        return time.perf_counter() - begin

    return run


def main() -> None:
    os.makedirs(BASE, exist_ok=True)
    subprocess.run(["chown", "rcrun", BASE], check=True)
    for name in ENGINES:
        engine(name, "load", "-i", ARCHIVE)
        engine(name, "network", "create", "many")
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
    kept: dict[str, list[dict[str, float]]] = {}
    for what, options in {"the default network": [], "one network": ["--network", "many"],
                          "one network, each with a port": ["--network", "many", "-p", "127.0.0.1::80"]}.items():  # fmt: skip
        rows = {}
        for name in ENGINES:
            rows[name] = crowd(name, *options)
            if what == "one network":
                begin = time.perf_counter()
                rows[name]["lost"] = unresolved(name)
                rows[name]["asked"] = time.perf_counter() - begin
            remove_all(name)
        kept[what] = list(rows.values())
        ours, theirs = rows.values()
        print(
            f"| {NUMBER} on {what}, 16 at a time, s | {ours['seconds']:.1f} | {theirs['seconds']:.1f} "
            f"| **{ours['seconds'] / theirs['seconds']:.2f}** | smaller |"
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
    for name in ENGINES:
        engine(name, "network", "rm", "many")
    subprocess.run(["rm", "-rf", BASE], check=False)


if __name__ == "__main__":
    main()
