"""What containers use: from their cgroups as the kernel counts, else from their processes (docs/commands.md)."""

from __future__ import annotations

import os
import time

from rcrun.cgroup.stats import number, rows
from rcrun.engine.processes import pids_of
from rcrun.files import read_text
from rcrun.kernel import procfs
from rcrun.storage.containers import every, find, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rcrun.paths import Store
    from rcrun.storage.containers import Container, Status

_SECOND = 1_000_000_000
_NO_LIMIT = 2**60  # version 2 says `max`; more memory than that nobody has


class Sample:
    """One look at one container. Times in nanoseconds, the rest in bytes; zeros for one that does not run."""

    __slots__ = (
        "container", "cpu", "cpu_system", "is_running", "memory", "memory_limit", "pids", "read", "received",
        "sent", "start", "taken", "uptime", "written",
    )  # fmt: skip

    def __init__(self, container: Container, taken: int) -> None:
        self.container = container
        self.taken = taken
        self.is_running = False
        self.start = 0  # of its init, which tells one run from the next
        self.uptime = 0
        self.cpu = self.cpu_system = self.memory = self.memory_limit = self.pids = 0
        self.read = self.written = self.received = self.sent = 0

    @property
    def memory_percent(self) -> float:
        return 100 * self.memory / self.memory_limit if self.memory_limit else 0.0

    @property
    def average_percent(self) -> float:
        """Of one processor, since the start."""
        return 100 * self.cpu / self.uptime if self.uptime > 0 else 0.0

    def percent_since(self, before: Sample | None) -> float:
        """Of one processor since another sample of the same run; without one, since the start."""
        if before is None or before.start != self.start or before.taken >= self.taken:
            return self.average_percent if self.is_running else 0.0
        return max(0.0, 100 * (self.cpu - before.cpu) / (self.taken - before.taken))


class Watched:
    """The containers that `stats` was asked for: some by name, or those that run, at each look anew."""

    __slots__ = ("everything", "last", "store", "texts", "typed")

    def __init__(
        self, store: Store, texts: Sequence[str], *, everything: bool = False, latest: bool = False
    ) -> None:
        self.store = store
        self.everything = everything
        self.last: dict[str, Sample] = {}
        named = [find(store, text) for text in texts]
        self.texts = [container.id for container in (every(store)[:1] if latest else named)]
        self.typed = {each.id: text for each, text in zip(named, texts, strict=False)}

    def sample(self) -> list[tuple[Sample, float]]:
        """Each with its use of a processor in per cent since the look before; one that ended meanwhile is no error."""
        found = []
        for container in self._containers():
            sample = take(container)
            if sample.is_running or self.everything or self.texts:
                found.append((sample, sample.percent_since(self.last.get(container.id))))
            self.last[container.id] = sample
        return found

    def _containers(self) -> list[Container]:
        containers = every(self.store)
        if not self.texts:
            return containers
        by_id = {container.id: container for container in containers}
        return [by_id[text] for text in self.texts if text in by_id]


def take(container: Container) -> Sample:
    now = status(container)
    sample = Sample(container, time.monotonic_ns())
    if not now.is_running or not now.pid:
        return sample
    group = str(container.record.get("cgroup") or "")
    try:
        if group and os.path.exists(f"{group}/cgroup.procs"):
            _of_group(sample, group, container, now)
        else:
            _of_processes(sample, pids_of(container, now))
    except OSError:
        return Sample(container, sample.taken)  # it ended while we looked
    init = procfs.read_process(now.pid)
    if init is None or init.start != now.pid_start:
        return Sample(container, sample.taken)
    sample.is_running = True
    sample.start = now.pid_start
    boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    sample.uptime = boot - init.start * (_SECOND // procfs.TICKS)
    sample.memory_limit = _memory_limit(group)
    if procfs.namespace_of(now.pid, "net") != procfs.namespace_of("self", "net"):
        sample.received, sample.sent = procfs.network_bytes(now.pid)
    return sample


def _of_group(sample: Sample, group: str, container: Container, now: Status) -> None:
    """What a controller that the group lacks would tell comes from the processes."""
    usage = rows(group, "cpu.stat")
    controllers = read_text(f"{group}/cgroup.controllers").split()
    if not {"memory", "io", "pids"}.issubset(controllers):
        _of_processes(sample, pids_of(container, now))
    if usage:
        sample.cpu = usage.get("usage_usec", 0) * 1000
        sample.cpu_system = usage.get("system_usec", 0) * 1000
    if "memory" in controllers:
        # As docker counts: what the kernel takes back first when it needs room is not in use.
        cache = rows(group, "memory.stat").get("inactive_file", 0)
        sample.memory = max(0, number(group, "memory.current") - cache)
    if "pids" in controllers:
        sample.pids = number(group, "pids.current")
    if "io" in controllers:
        sample.read, sample.written = _io_of_group(read_text(f"{group}/io.stat"))


def _io_of_group(text: str) -> tuple[int, int]:
    words = [word.partition("=") for word in text.split()]
    totals = {"rbytes": 0, "wbytes": 0}
    for key, _, value in words:
        if key in totals and value.isdigit():
            totals[key] += int(value)
    return totals["rbytes"], totals["wbytes"]


def _of_processes(sample: Sample, pids: Sequence[int]) -> None:
    """A living process has in its own figures those of the children that it has waited for: nothing counts twice."""
    ticks = 0
    for pid in pids:
        process = procfs.read_process(pid)
        if process is None:
            continue
        ticks += process.own_ticks + process.children_ticks
        sample.pids += process.threads
        size = procfs.proportional_size(pid)
        sample.memory += process.resident if size is None else size
        read, written = procfs.io_bytes(pid)
        sample.read += read
        sample.written += written
    sample.cpu = ticks * (_SECOND // procfs.TICKS)


def _memory_limit(group: str) -> int:
    total = host_memory(procfs.read_rows("/proc/meminfo"))
    limit = number(group, "memory.max") if group else 0
    return min(limit, total) if 0 < limit < _NO_LIMIT else total


def host_memory(meminfo: Mapping[str, str]) -> int:
    words = meminfo.get("MemTotal", "0").split()
    return int(words[0]) * 1024
