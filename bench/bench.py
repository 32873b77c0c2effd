"""rcrun beside the peers of this machine: the same work, in turns, medians and ratios.

    python3 bench/bench.py [--repeat N] [--only WORD] [--json FILE] IMAGE.tar BUNDLE_DIR

Runs as an ordinary user (ci/bench prepares one). Wall times of one machine are noise; the ratio of two commands that
took turns is not. IMAGE.tar is a docker-archive of a small image with `true`, `sh` and `sleep`; BUNDLE_DIR an OCI
bundle that ends by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

NULL = os.open("/dev/null", os.O_RDWR)
TO_NULL = [(os.POSIX_SPAWN_DUP2, NULL, fd) for fd in (0, 1, 2)]


def run(argv: Sequence[str]) -> None:
    """Run to the end, as cheaply as a shell would; SystemExit when it fails."""
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=TO_NULL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status != 0:
        sys.exit(f"bench: {' '.join(argv)} gave {status}")


def start(argv: Sequence[str]) -> int:
    return os.posix_spawnp(argv[0], argv, os.environ, file_actions=TO_NULL)


def seconds(work: Callable[[], None]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def live(runtime: list[str], bundle: str) -> None:
    run([*runtime, "create", "-b", bundle, "bench"])
    run([*runtime, "start", "bench"])
    run([*runtime, "delete", "--force", "bench"])


class Engine:
    """One command line with a store of its own."""

    def __init__(self, name: str, argv: list[str], image: str) -> None:
        self.name = name
        self.argv = argv
        self.image = image

    def __call__(self, *words: str) -> list[str]:
        return [*self.argv, *words]

    def remove(self, *names: str) -> list[str]:
        """At once: podman would first ask politely, and wait."""
        return self("rm", "-f", *(["-t", "0"] if self.name == "podman" else []), *names)


def engines(scratch: str, archive: str) -> list[Engine]:
    image = "docker.io/library/busybox:latest"
    found = [
        Engine(
            "rcrun", ["rcrun", "--root", f"{scratch}/store", "--runroot", f"{scratch}/run"], image
        )
    ]
    if shutil.which("podman"):
        podman = ["podman", "--root", f"{scratch}/podman", "--runroot", f"{scratch}/podman-run"]
        podman += ["--storage-driver=overlay", "--cgroup-manager=cgroupfs", "--events-backend=file"]
        found.append(Engine("podman", podman, "localhost/busybox"))
    for engine in found:
        run(engine("load", "-i", archive))
    return found


class Row:
    """One kind of work: what it is called, rcrun's seconds, the peer's, and the goal for the ratio."""

    def __init__(
        self, work: str, ours: list[float], peer: str, theirs: list[float], goal: float
    ) -> None:
        self.work = work
        self.ours = statistics.median(ours)
        self.peer = peer
        self.theirs = statistics.median(theirs)
        self.ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        self.goal = goal
        self.count = len(ours)

    def __str__(self) -> str:
        return (
            f"| {self.work} | {self.ours * 1000:.1f} | {self.peer} {self.theirs * 1000:.1f} "
            f"| **{self.ratio:.2f}** | {self.goal:.2f} | {self.count} |"
        )


def paired(
    repeat: int, ours: Callable[[], None], theirs: Callable[[], None]
) -> tuple[list[float], list[float]]:
    """In turns, the first pair thrown away."""
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(repeat + 1)][1:]
    return [a for a, _ in pairs], [b for _, b in pairs]


class Bench:
    def __init__(self, repeat: int, scratch: str, archive: str, bundle: str) -> None:
        self.repeat = repeat
        self.bundle = bundle
        self.scratch = scratch
        self.engines = engines(scratch, archive)
        self.rows: list[Row] = []
        self.notes: list[str] = []

    def compare(
        self,
        work: str,
        goal: float,
        command: Callable[[Engine], Callable[[], None]],
        share: int = 1,
    ) -> None:
        ours, peers = self.engines[0], self.engines[1:]
        for peer in peers:
            times = paired(max(3, self.repeat // share), command(ours), command(peer))
            self.add(Row(work, times[0], peer.name, times[1], goal))

    def add(self, row: Row) -> None:
        self.rows.append(row)
        print(row, flush=True)

    # --- the work

    def run_none(self) -> None:
        self.compare(
            "`run --rm --network none IMAGE true`",
            0.30,
            lambda e: lambda: run(e("run", "--rm", "--network", "none", e.image, "true")),
        )

    def run_default(self) -> None:
        self.compare(
            "`run --rm IMAGE true`, default network",
            0.35,
            lambda e: lambda: run(e("run", "--rm", e.image, "true")),
        )

    def exec_and_ps(self) -> None:
        for engine in self.engines:
            run(
                engine(
                    "run",
                    "-d",
                    "--name",
                    "bench-exec",
                    "--network",
                    "none",
                    engine.image,
                    "sleep",
                    "3600",
                )
            )
        self.compare(
            "`exec CONTAINER true`", 0.25, lambda e: lambda: run(e("exec", "bench-exec", "true"))
        )
        self.compare("`ps`, one container", 0.40, lambda e: lambda: run(e("ps")))
        for engine in self.engines:
            run(engine.remove("bench-exec"))

    def twenty(self) -> None:
        def launch(engine: Engine) -> Callable[[], None]:
            def twenty() -> None:
                for number in range(20):
                    run(
                        engine(
                            "run",
                            "-d",
                            "--name",
                            f"b{number}",
                            "--network",
                            "none",
                            engine.image,
                            "sleep",
                            "3600",
                        )
                    )

            return twenty

        ours, theirs = [], []
        for _ in range(3):
            for engine, times in zip(self.engines, (ours, theirs), strict=False):
                times.append(seconds(launch(engine)))
                run(engine.remove(*(f"b{number}" for number in range(20))))
        if len(self.engines) > 1:
            self.add(
                Row("twenty `run -d`, one after another", ours, self.engines[1].name, theirs, 0.30)
            )

    def runtime(self) -> None:
        if not shutil.which("crun"):
            return
        ours = ["rcrun-oci", "--root", f"{self.scratch}/oci", "run", "-b", self.bundle]
        theirs = [
            "crun",
            "--root",
            f"{self.scratch}/crun",
            "--cgroup-manager=disabled",
            "run",
            "-b",
            self.bundle,
        ]
        times = paired(self.repeat, lambda: run([*ours, "bench"]), lambda: run([*theirs, "bench"]))
        self.add(Row("`rcrun-oci run`, a bundle", times[0], "crun", times[1], 2.50))

    def life(self) -> None:
        """What an engine calls for one container, beside both reference runtimes."""
        bundle = self.own_bundle()
        ours = ["rcrun-oci", "--root", f"{self.scratch}/oci"]
        for peer, options, goal in (
            ("crun", ["--cgroup-manager=cgroupfs"], 2.00),
            ("runc", [], 1.00),
        ):
            theirs = [peer, "--root", f"{self.scratch}/{peer}", *options]
            if not shutil.which(peer):
                continue
            times = paired(self.repeat, lambda: live(ours, bundle), lambda: live(theirs, bundle))  # noqa: B023
            self.add(Row("`create`, `start`, `delete`", times[0], peer, times[1], goal))

    def own_bundle(self) -> str:
        """One that runc takes, too: for a user it must name the user namespace."""
        bundle = f"{self.scratch}/bundle"
        if os.path.exists(bundle):
            return bundle
        shutil.copytree(f"{self.bundle}/rootfs", f"{bundle}/rootfs", symlinks=True)
        run(["rcrun-oci", "spec", "-b", bundle, *([] if os.geteuid() == 0 else ["--rootless"])])
        with open(f"{bundle}/config.json", encoding="utf-8") as file:
            config = json.load(file)
        config["process"].update(args=["/bin/true"], terminal=False)
        with open(f"{bundle}/config.json", "w", encoding="utf-8") as file:
            json.dump(config, file)
        return bundle

    def parallel(self) -> None:
        engine = self.engines[0]
        argv = engine("run", "--rm", "--network", "none", engine.image, "true")

        def together() -> None:
            for pid in [start(argv) for _ in range(16)]:
                assert os.waitpid(pid, 0)[1] == 0

        def alone() -> None:
            for _ in range(16):
                run(argv)

        cores = len(os.sched_getaffinity(0))
        times = paired(5, alone, together)
        share = statistics.median(a / b / min(cores, 16) for a, b in zip(*times, strict=True))
        self.notes.append(
            f"sixteen `run --rm true` at once on {cores} cores: **{share:.2f}** of linear scaling (goal 0.80)"
        )

    def scale(self) -> None:
        from scale import scale

        scale(self, Row, seconds, run, start)

    def memory(self, count: int = 100) -> None:
        """The proportional set size of what stays beside each container."""
        for engine, process in zip(self.engines, ("rcrun:mon", "conmon"), strict=False):
            names = [f"m{number}" for number in range(count)]
            for name in names:
                run(
                    engine(
                        "run",
                        "-d",
                        "--name",
                        name,
                        "--network",
                        "none",
                        engine.image,
                        "sleep",
                        "3600",
                    )
                )
            sizes = pss_of(process)
            run(engine.remove(*names))
            self.notes.append(
                f"`{process}` with {len(sizes)} running: **{statistics.median(sizes) / 1024:.2f} MB** of proportional"
                " set size each (goal 0.25)"
            )


def pss_of(name: str) -> list[int]:
    """In KiB, of our processes of that name."""
    sizes = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                if file.read().strip() != name:
                    continue
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                sizes += [int(line.split()[1]) for line in file if line.startswith("Pss:")]
        except OSError:
            continue
    return sizes or [0]


WORK = (
    "run_none",
    "run_default",
    "exec_and_ps",
    "twenty",
    "runtime",
    "life",
    "parallel",
    "memory",
    "scale",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=20, help="pairs of each kind of work")
    parser.add_argument(
        "--only", action="append", choices=WORK, help="only this work; can be repeated"
    )
    parser.add_argument("--json", help="write the figures there too")
    parser.add_argument("archive")
    parser.add_argument("bundle")
    arguments = parser.parse_args()
    scratch = tempfile.mkdtemp(prefix="rcrun-bench-", dir=os.environ.get("RCRUN_BENCH_DIR"))
    bench = Bench(arguments.repeat, scratch, arguments.archive, arguments.bundle)
    print(
        "| work | rcrun ms | peer ms | ratio | goal | pairs |\n| --- | --- | --- | --- | --- | --- |"
    )
    for name in arguments.only or WORK:
        getattr(bench, name)()
    print()
    for note in bench.notes:
        print(f"- {note}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump([vars(row) for row in bench.rows], file, indent=1)
    clean(bench.engines, scratch)


def clean(found: list[Engine], scratch: str) -> None:
    """Files of subordinate ids are removed by who made them."""
    run(found[0]("rmi", "--all", "--force"))
    for engine in found[1:]:
        run(engine("system", "reset", "--force"))
    shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
