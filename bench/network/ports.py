"""What bench/network/ports measures: ours and podman's in turns, medians and ratios. ports.py TALK ROUNDS OURS THEIRS"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
SIDES = {"rcrun": ("8080", "5201"), "podman": ("8081", "5202")}
STREAMS = {"up": [], "down": ["-R"], "up, four streams": ["-P", "4"]}


def family(pid: int) -> list[int]:
    """With its children: rootlessport is two processes."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def cpu(pids: list[int]) -> float:
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def pss(pids: list[int]) -> int:
    texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(found[1]) for text in texts if (found := re.search(r"\nPss: +(\d+)", text)))


def number(pattern: str, *argv: str) -> float:
    said = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    found = re.findall(pattern, said)
    return float(found[-1]) if found else 0.0


def measure(talk: str, side: str, pids: list[int]) -> dict[str, float]:
    port, iperf = SIDES[side]
    found = {}
    for clients in ("1", "8"):
        before = cpu(pids)
        rate = number(r"(\d+) connections/s", talk, "rate", "127.0.0.1", port, "1", clients)
        found[f"connections/s, {clients} at a time"] = rate
        found[f"its CPU us a connection, {clients}"] = (cpu(pids) - before) / max(rate, 1) * 1e6
    before = cpu(pids)
    latency = number(r"median ([\d.]+)", talk, "latency", "127.0.0.1", port, "1", "1")
    found["latency us"] = latency
    found["its CPU us an exchange"] = (cpu(pids) - before) * latency
    for name, options in STREAMS.items():
        before = cpu(pids)
        words = ["iperf3", "-c", "127.0.0.1", "-p", iperf, "-t", "1", "-f", "g", *options]
        rate = number(r"([\d.]+) Gbits/sec\s+receiver", *words)
        found[f"Gbit/s {name}"] = rate
        found[f"its CPU s a GB {name}"] = (cpu(pids) - before) / max(rate / 8, 0.01)
    return found


def main() -> None:
    talk, rounds = sys.argv[1], int(sys.argv[2])
    pids = {"rcrun": family(int(sys.argv[3])), "podman": family(int(sys.argv[4]))}
    rows: dict[str, dict[str, list[float]]] = {}
    for _ in range(rounds):
        for side in SIDES:
            for name, value in measure(talk, side, pids[side]).items():
                rows.setdefault(name, {}).setdefault(side, []).append(value)
    for name, values in rows.items():
        ours, theirs = (statistics.median(values[side]) for side in SIDES)
        pairs = zip(*(values[side] for side in SIDES), strict=True)
        ratio = statistics.median(a / (b or 1) for a, b in pairs)
        print(f"{name:32} rcrun {ours:9.2f}  podman {theirs:9.2f}  ratio {ratio:5.2f}")
    print(f"memory (PSS, kB) after it: rcrun {pss(pids['rcrun'])}, podman {pss(pids['podman'])}")


if __name__ == "__main__":
    main()
