"""The store and its processes seen from outside rcrun: whom to kill, what is left."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def stat_fields(pid: int | str) -> list[str]:
    """Of /proc/PID/stat from the state on; none for what is not there."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def lives(pid: int | str) -> bool:
    return stat_fields(pid)[:1] not in ([], ["Z"], ["X"])


def name_of(pid: int | str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return ""


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    waiting = [pid]
    while waiting:
        try:
            text = Path(f"/proc/{waiting[0]}/task/{waiting[0]}/children").read_text()
        except OSError:
            text = ""
        waiting = [*waiting[1:], *map(int, text.split())]
        found += map(int, text.split())
    return found


def end(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def read_json(path: Path) -> dict[str, Any]:
    """Empty for what is not there, or is being replaced."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _has(path: str, marks: tuple[bytes, ...]) -> bool:
    try:
        data = Path(path).read_bytes()
    except OSError:
        return False
    return any(mark in data for mark in marks)


class World:
    def __init__(self, environ: dict[str, str]) -> None:
        self.store = Path(environ["RCRUN_ROOT"])
        self.live = Path(environ["RCRUN_RUNROOT"]) / "containers"
        self.begun = set(self.processes())
        self.groups_begun = set(self.groups())

    # whom to kill

    def shared(self) -> list[str]:
        """The ids of the containers that everybody may kill."""
        found = []
        for path in self.store.glob("containers/*/container.json"):
            if "soak" in (read_json(path).get("labels") or {}):
                found.append(path.parent.name)
        return found

    def victim(self, kind: str, container_id: str) -> int:
        """`init`, `monitor` or `network`; 0 where it has none now."""
        state = read_json(self.live / container_id / "state.json")
        if kind == "network":
            return self._network_process(container_id)
        pid, start = ("pid", "pid_start") if kind == "init" else ("monitor", "monitor_start")
        fields = stat_fields(state.get(pid, 0))
        return state[pid] if fields and fields[19] == str(state.get(start)) else 0

    def _network_process(self, container_id: str) -> int:
        """Its own, such as pasta or the proxy of its ports, else the one that connects the bridges."""
        rooms = list(self.live.parent.glob("network-*/outside"))
        for path in (self.live / container_id / "pasta.pid", *rooms):
            try:
                pid = int(path.read_text().split()[0])
            except (OSError, ValueError, IndexError):
                continue
            if name_of(pid).startswith(("pasta", "passt", "slirp", "rcrun")):
                return pid
        return 0

    # what is left

    def processes(self) -> dict[int, str]:
        """Ours: with our store in the environment, the arguments or the mounts."""
        found = {}
        marks = (str(self.store).encode(), str(self.live).encode())
        here = os.readlink("/proc/self/ns/mnt")
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if not lives(pid) or int(pid) == os.getpid():
                continue
            try:
                elsewhere = os.readlink(f"/proc/{pid}/ns/mnt") != here
                files = ("environ", "cmdline", "mountinfo")[: 3 if elsewhere else 2]
            except OSError:
                files = ("cmdline",)  # of another user, or not to be looked into
            if any(_has(f"/proc/{pid}/{file}", marks) for file in files):
                found[int(pid)] = name_of(pid)
        return found

    def groups(self) -> list[str]:
        """The cgroups beside and below our own."""
        text = Path("/proc/self/cgroup").read_text()
        paths = [line[3:] for line in text.splitlines() if line.startswith("0::")]
        group = Path(f"/sys/fs/cgroup{paths[0]}") if paths else Path("/nowhere")
        if not Path("/sys/fs/cgroup/cgroup.controllers").exists() or not group.exists():
            return []
        return [str(path) for path in group.parent.rglob("*") if path.is_dir()]

    def files_left(self) -> Iterator[str]:
        for folder in ("containers", "names", "trash", "tmp", "volumes"):
            place = self.store / folder
            for name in os.listdir(place) if place.exists() else ():
                yield f"{folder}/{name}"
        for name in os.listdir(self.live) if self.live.exists() else ():
            yield f"live/{name}"

    def blobs_left(self) -> Iterator[str]:
        """What no reference of the index leads to."""
        named: set[str] = set()
        waiting = read_json(self.store / "index.json").get("manifests", [])
        while waiting:
            digest = waiting.pop()["digest"]
            named.add(digest[7:])
            document = read_json(self.store / "blobs/sha256" / digest[7:])
            parts = [document.get("config"), *document.get("layers", [])]
            named.update(part["digest"][7:] for part in parts if part)
            waiting += document.get("manifests", [])
        for path in (self.store / "blobs/sha256").iterdir():
            if path.name not in named:
                yield f"blob {path.name}"

    def layers_left(self) -> Iterator[str]:
        """More than the layers of the one image."""
        found = [path.name for path in self.store.glob("layers/*/*")]
        if len(found) > 1:
            yield f"layers: {' '.join(found)}"

    def mounts_left(self) -> Iterator[str]:
        for line in Path("/proc/self/mounts").read_text().splitlines():
            if f" {self.store}/" in line:
                yield f"mount {line}"

    def left(self) -> list[str]:
        found = [*self.files_left(), *self.blobs_left(), *self.layers_left(), *self.mounts_left()]
        found += [f"cgroup {path}" for path in self.groups() if path not in self.groups_begun]
        found += [f"port {port}" for port in listening(os.getuid())]
        now = self.processes()
        return found + [f"process {pid} {now[pid]}" for pid in now if pid not in self.begun]

    def age(self) -> None:
        """What is half made becomes a leftover after a minute: let it be one now."""
        for folder in ("containers", "tmp", "trash"):
            for path in (self.store / folder).glob("*"):
                try:
                    os.utime(path, (0, 0), follow_symlinks=False)
                except OSError:
                    continue


PORTS = range(28_100, 28_108)


def listening(uid: int) -> list[int]:
    """The soak's ports on which this user listens."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            port = int(fields[1].rpartition(":")[2], 16)
            if fields[3] == "0A" and int(fields[7]) == uid and port in PORTS:
                found.add(port)
    return sorted(found)


class Findings:
    """What was not as it must be, told at once."""

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.texts: list[str] = []
        self.lock = threading.Lock()

    def add(self, text: str) -> None:
        with self.lock:
            self.texts.append(text)
            print(f"FINDING after {time.monotonic() - self.begun:.1f} s: {text}", flush=True)
