"""Both engines as the benchmarks of networks run them, and what they have cost until now."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ARCHIVE = next((word for word in sys.argv[1:] if word.endswith(".tar")), "")
DROP = ["setpriv", "--reuid", "rcrun", "--regid", "rcrun", "--init-groups", "--"]
# A container's own, or this benchmark.
NOT_HELPERS = ("sleep", "sh", "python3", "iperf3")
# It holds podman's user namespace from the first command on, and lives on: nothing that rcrun could be charged with.
OF_PODMAN = ("podman pause", "catatonit")


class Engines:
    """With stores of their own in BASE; commands run as the user rcrun."""

    def __init__(self, base: str) -> None:
        self.base = base
        podman = ["podman", "--root", f"{base}/podman", "--runroot", f"{base}/podman-run", "--storage-driver=overlay",
                  "--cgroup-manager=cgroupfs", "--events-backend=file"]  # fmt: skip
        rcrun = ["rcrun", "--root", f"{base}/rcrun", "--runroot", f"{base}/rcrun-run"]
        self.words = {"rcrun": rcrun, "podman": podman}

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)

    def prepare(self, network: str) -> None:
        os.makedirs(self.base, exist_ok=True)
        subprocess.run(["chown", "rcrun", self.base], check=True)
        for name in self.words:
            self.run(name, "load", "-i", ARCHIVE)
            self.run(name, "network", "create", network)

    def clear(self, network: str) -> None:
        for name in self.words:
            self.remove(name, "-a")
            self.run(name, "network", "rm", network, check=False)
        self.run(
            "podman", "system", "migrate", check=False
        )  # ends the process that holds its namespace
        subprocess.run(["rm", "-rf", self.base], check=False)

    def run(self, name: str, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            [*DROP, *self.words[name], *words], capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = f"{name} {' '.join(words)}: {done.returncode}: {done.stderr}"
            if check:
                sys.exit(said)
            print(said, file=sys.stderr)
        return done.stdout

    def remove(self, name: str, *words: str) -> None:
        self.run(name, "rm", "-f", *(["-t", "0"] if name == "podman" else []), *words, check=False)


def image(name: str) -> str:
    return "localhost/busybox" if name == "podman" else "busybox"


def group_of(pid: str) -> str:
    """The first group of the hierarchy of version 2: the bench's own."""
    rows = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return next((row[4:].partition("/")[0] for row in rows if row.startswith("0::/")), "")


def processor_seconds() -> float:
    """Of everything that the bench has started, helpers and containers too; by it a busy machine does not change much."""
    base = re.sub(r"/leaf$", "", Path("/proc/self/cgroup").read_text().rpartition("0::")[2].strip())
    text = Path(f"/sys/fs/cgroup{base}/cpu.stat").read_text()
    return int(text.split()[1]) / 1e6


def memory(name: str) -> dict[str, int]:
    """kB of proportional set size of an engine's processes beside the containers' own, by name."""
    others = NOT_HELPERS if name == "podman" else (*NOT_HELPERS, *OF_PODMAN)
    found: dict[str, int] = {}
    group = group_of("self")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if group_of(pid) != group:
                continue
            comm = Path(f"/proc/{pid}/comm").read_text().strip()
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        if comm not in others and (size := re.search(r"\nPss: +(\d+)", text)):
            found[comm] = found.get(comm, 0) + int(size[1])
    return found
