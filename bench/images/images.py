"""What bench/images/run measures: rcrun and podman in turns, medians of ratios. Runs as the ordinary user.

images.py [--repeat N] [--only WORK]… [--json FILE] IMAGE_DIR REPOSITORY GROUP SCRATCH
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sizes import memory, processes

NULL = os.open("/dev/null", os.O_RDWR)
TEN = "".join(f"RUN echo {number} >/tmp/{number}\n" for number in range(10))


class Side:
    """One engine with a store of its own."""

    def __init__(self, name: str, argv: list[str], store: str) -> None:
        self.name = name
        self.argv = argv
        self.store = store

    def __call__(self, *words: str) -> list[str]:
        return [*self.argv, *words]

    def do(self, *words: str) -> None:
        run(self(*words))

    def empty(self) -> None:
        """No containers, no images, no results of builds."""
        self.do("rm", "-fa", *(["-t", "0"] if self.name == "podman" else []))
        self.do("rmi", "-fa")
        if self.name == "rcrun":
            self.do("builder", "prune", "-af")


def run(argv: Sequence[str], out: int = NULL, *, ahead: bool = False) -> None:
    """SystemExit with what it said when it fails. `ahead`: at our own priority, which --real-time makes a high one."""
    read, write = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, fd, at) for at, fd in enumerate((NULL, out, write))]
    usual = {} if ahead else {"scheduler": (os.SCHED_OTHER, os.sched_param(0))}
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions, **usual)
    os.close(write)
    said = b""
    while data := os.read(read, 65536):
        said = (said + data)[-2000:]
    os.close(read)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status != 0:
        sys.exit(f"bench: {' '.join(argv)} gave {status}: {said.decode(errors='replace')}")


class Cost:
    """Seconds on the clock, and of processors."""

    def __init__(self, wall: float, cpu: float) -> None:
        self.wall = wall
        self.cpu = cpu


class Row:
    def __init__(
        self, work: str, pairs: list[tuple[Cost, Cost]], goals: tuple[float, float]
    ) -> None:
        self.work = work
        self.ours = [pair[0] for pair in pairs]
        self.theirs = [pair[1] for pair in pairs]
        self.goals = goals

    def ratio(self, what: str) -> float:
        pairs = zip(self.ours, self.theirs, strict=True)
        return statistics.median(getattr(a, what) / max(getattr(b, what), 1e-6) for a, b in pairs)

    def middle(self, costs: list[Cost], what: str) -> float:
        return statistics.median(getattr(cost, what) for cost in costs)

    def __str__(self) -> str:
        cells = [self.work]
        for what, goal in zip(("wall", "cpu"), self.goals, strict=True):
            ours, theirs = self.middle(self.ours, what), self.middle(self.theirs, what)
            cells += [f"{ours:.2f}", f"{theirs:.2f}", f"**{self.ratio(what):.2f}**"]
            cells += [f"{goal:.2f}" if goal else ""]
        return f"| {' | '.join(cells)} | {len(self.ours)} |"


HEAD = (
    "| work | rcrun s | podman s | ratio | goal | rcrun CPU s | podman CPU s | ratio | goal | pairs |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


class Bench:
    def __init__(self, given: argparse.Namespace) -> None:
        self.repeat = given.repeat
        self.folder = given.image_dir
        self.repository = given.repository
        self.group = Path(given.group)
        self.scratch = given.scratch
        self.rows: list[Row] = []
        self.notes: list[str] = []
        base = given.scratch
        podman = ["podman", "--root", f"{base}/podman", "--runroot", f"{base}/podman-run"]
        podman += ["--storage-driver=overlay", "--cgroup-manager=cgroupfs", "--events-backend=file"]
        ours = ["rcrun", "--root", f"{base}/store", "--runroot", f"{base}/run"]
        self.sides = [
            Side("rcrun", ours, f"{base}/store"),
            Side("podman", podman, f"{base}/podman"),
        ]
        if not shutil.which("podman"):
            self.sides.pop()

    # ---- measuring

    def usage(self) -> float:
        text = (self.group / "cpu.stat").read_text()
        return int(text.split()[1]) / 1e6

    def cost(self, argv: Sequence[str]) -> Cost:
        used, begin = self.usage(), time.perf_counter()
        run(argv, ahead=True)
        wall = time.perf_counter() - begin
        return Cost(wall, self.usage() - used)

    def compare(
        self,
        work: str,
        goals: tuple[float, float],
        timed: Callable[[Side], list[str]],
        before: Callable[[Side], object] = lambda side: None,
        after: Callable[[Side], object] = lambda side: None,
        repeat: int = 0,
    ) -> None:
        """The sides take turns in going first."""
        pairs = []
        for number in range(repeat or self.repeat):
            costs = {}
            for side in self.sides[:: -1 if number % 2 else 1]:
                before(side)
                costs[side.name] = self.cost(timed(side))
                after(side)
            pairs.append((costs["rcrun"], costs.get("podman", Cost(0, 0))))
        self.rows.append(Row(work, pairs, goals))
        print(self.rows[-1], flush=True)

    def peak(self, argv: Sequence[str]) -> tuple[int, int]:
        """In KiB: the most that its processes had together (PSS), and the largest of them (RSS)."""
        together = largest = 0
        done = threading.Event()
        before = set(processes(self.group))

        def look() -> None:
            nonlocal together, largest
            while not done.wait(0.01):
                sizes = [memory(pid) for pid in processes(self.group) if pid not in before]
                together = max(together, sum(size[0] for size in sizes))
                largest = max([largest, *(size[1] for size in sizes)])

        thread = threading.Thread(target=look)
        thread.start()
        run(argv)
        done.set()
        thread.join()
        return together, largest

    # ---- the work

    def pull_words(self, side: Side, tag: str) -> list[str]:
        return side("pull", "-q", "--tls-verify=false", f"{self.repository}:{tag}")

    def have(self, side: Side, tag: str = "gzip") -> str:
        run(self.pull_words(side, tag))
        return f"{self.repository}:{tag}"

    def pull(self) -> None:
        for tag, goals in (("gzip", (0.45, 0.30)), ("zstd", (0.45, 0.40))):
            self.compare(
                f"`pull`, {tag}",
                goals,
                lambda side, tag=tag: self.pull_words(side, tag),
                Side.empty,
            )

    def load(self) -> None:
        archive = f"{self.folder}/archive.tar"
        self.compare("`load`", (0.45, 0), lambda side: side("load", "-i", archive), Side.empty)

    def save_and_rmi(self) -> None:
        image = {side.name: self.have(side) for side in self.sides}
        target = f"{self.scratch}/saved.tar"
        self.compare(
            "`save`",
            (0, 0),
            lambda side: side("save", "-o", target, image[side.name]),
            after=lambda side: os.unlink(target),
        )
        self.compare(
            "`rmi`",
            (0, 0),
            lambda side: side("rmi", "-f", image[side.name]),
            lambda side: (side.empty(), self.have(side)),
        )

    def context(self, text: str) -> str:
        folder = Path(self.scratch, "context")
        if not folder.exists():
            shutil.copytree(f"{self.folder}/context", folder)
        (folder / "Containerfile").write_text(f"FROM {self.repository}:gzip\n{text}")
        (folder / ".containerignore").write_text("Containerfile\n.containerignore\n")
        return str(folder)

    def build_words(self, side: Side, folder: str, *more: str) -> list[str]:
        file = ["-f", f"{folder}/Containerfile", "--network=none", "-t", "built"]
        layers = ["--layers"] if side.name == "podman" and "--no-cache" not in more else []
        return side("build", "-q", *file, *layers, *more, folder)

    def build(self) -> None:
        for side in self.sides:
            self.have(side)
        for what, text, fresh, cached in (
            ("ten small RUN steps", TEN, 0.25, 0.30),
            ("COPY of 20,000 files", "COPY . /data/\n", 0.30, 0),
        ):
            folder = self.context(text)
            self.compare(
                f"`build`, {what}, no cache",
                (fresh, 0),
                lambda side, folder=folder: self.build_words(side, folder, "--no-cache"),
                self.forget_builds,
            )
            for side in self.sides:
                run(self.build_words(side, folder))
            self.compare(
                f"`build`, {what}, all cached",
                (cached, 0),
                lambda side, folder=folder: self.build_words(side, folder),
            )

    def forget_builds(self, side: Side) -> None:
        """The base stays."""
        if side.name == "rcrun":
            side.do("rmi", "-fi", "built")
            side.do("builder", "prune", "-af")
        else:
            side.do("image", "prune", "-f")

    def changed(self) -> None:
        """A container with 8,000 files more, and one with a single file."""
        files = f"{self.context('')}/some:/in:ro"
        for side in self.sides:
            image = self.have(side)
            common = ("run", "--network=none", "--name")
            side.do(*common, "many", "-v", files, image, "cp", "-a", "/in", "/data")
            side.do(*common, "one", image, "sh", "-c", "echo one >/one")

        def drop(side: Side) -> None:
            side.do("rmi", "-f", "committed")

        for name, what, goal in (("one", "one file", 0.30), ("many", "8,000 files", 0.60)):
            self.compare(
                f"`commit` of {what}",
                (goal, 0),
                lambda side, name=name: side("commit", "-q", name, "committed"),
                after=drop,
            )
        target = f"{self.scratch}/out"
        self.compare("`diff` of 8,000 files", (0.50, 0), lambda side: side("diff", "many"))
        self.compare(
            "`export`",
            (0.50, 0),
            lambda side: side("export", "-o", target, "many"),
            after=lambda side: os.unlink(target),
        )
        self.compare(
            "`cp` of 8,000 files out",
            (0.50, 0),
            lambda side: side("cp", "many:/data", target),
            after=lambda side: shutil.rmtree(target),
        )
        self.compare(
            "`cp` of 8,000 files in",
            (0.50, 0),
            lambda side: side("cp", f"{self.context('')}/some", "one:/copied"),
        )
        for side in self.sides:
            side.do("rm", "-f", "many", "one")

    def disk(self) -> None:
        for tag in ("gzip", "zstd"):
            sizes = []
            for side in self.sides:
                side.empty()
                self.have(side, tag)
                sizes.append(self.taken(side))
            self.notes.append(f"disk of the image, {tag}: {told(self.sides, sizes, 'MB')}")
            ours = self.sides[0]
            ours.do("image", "prune", "--blobs")
            sizes[0] = self.taken(ours)
            self.notes.append(f"the same without blobs, {tag}: {told(self.sides, sizes, 'MB')}")

    def taken(self, side: Side) -> int:
        words = side("unshare", "du", "-s", "--block-size=1M", side.store)
        return int(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout.split()[0])

    def memory(self) -> None:
        for tag in ("gzip", "zstd", "large"):
            for side in self.sides:
                side.empty()
                together, largest = self.peak(self.pull_words(side, tag))
                self.notes.append(
                    f"memory of `pull`, {tag}, {side.name}: {together / 1024:.0f} MB all its processes (PSS),"
                    f" {largest / 1024:.0f} MB the largest of them (RSS)"
                )
                side.empty()


def told(sides: Sequence[Side], values: Sequence[float], unit: str) -> str:
    texts = [f"{side.name} {value} {unit}" for side, value in zip(sides, values, strict=True)]
    if len(values) > 1:
        texts.append(f"ratio **{values[0] / values[1]:.2f}**")
    return ", ".join(texts)


WORK = ("pull", "load", "save_and_rmi", "build", "changed", "disk", "memory")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5, help="pairs of each kind of work")
    parser.add_argument("--only", action="append", choices=WORK, help="only this; can be repeated")
    parser.add_argument("--alone", action="store_true", help="without podman")
    parser.add_argument("--json", help="write the figures there too")
    for name in ("image_dir", "repository", "group", "scratch"):
        parser.add_argument(name)
    given = parser.parse_args()
    bench = Bench(given)
    if given.alone:
        del bench.sides[1:]
    versions = [
        subprocess.run(side("--version"), check=True, stdout=subprocess.PIPE)
        for side in bench.sides
    ]
    print(", ".join(each.stdout.decode().strip() for each in versions))
    print(HEAD)
    try:
        for name in given.only or WORK:
            getattr(bench, name)()
    finally:
        print("\n" + "\n".join(f"- {note}" for note in bench.notes))
        if given.json:
            rows = [
                {
                    "work": row.work,
                    "ours": [*map(vars, row.ours)],
                    "theirs": [*map(vars, row.theirs)],
                }
                for row in bench.rows
            ]
            Path(given.json).write_text(json.dumps(rows, indent=1))
        clean(bench)


def clean(bench: Bench) -> None:
    """Files of subordinate ids are removed by who made them."""
    for side in bench.sides:
        words = ("system", "reset", "--force")
        run(side(*words))
    shutil.rmtree(f"{bench.scratch}/context", ignore_errors=True)


if __name__ == "__main__":
    main()
