"""An OCI runtime under test: rcrun-oci, or what OCI_RUNTIME names; every test as a user and as root."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts import Account, Result, bin_dir
from waiting import wait_for

HERE = Path(__file__).parent
RUNTIME = os.environ.get("OCI_RUNTIME") or ""
NAMESPACES = ("pid", "ipc", "uts", "mount", "network")
ALL_CAPS = ["CAP_KILL", "CAP_CHOWN", "CAP_SETUID", "CAP_SETGID"]
BASE: dict[str, Any] = {
    "ociVersion": "1.0.2",
    "process": {
        "user": {"uid": 0, "gid": 0},
        "args": ["/init", "true"],
        "env": ["PATH=/", "TERM=xterm"],
        "cwd": "/",
        "capabilities": {name: [*ALL_CAPS] for name in ("bounding", "effective", "permitted")},
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs"},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        },
    ],
    "linux": {"namespaces": [{"type": kind} for kind in NAMESPACES]},
}  # fmt: skip


def not_on(runtime: str, reason: str) -> pytest.MarkDecorator:
    """For a test that fails on another runtime (OCI_RUNTIME) by that one's own doing: `crun 1.8 does …`."""
    return pytest.mark.skipif(Path(RUNTIME).name == runtime, reason=reason)


@pytest.fixture(scope="session")
def init_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The static program, compiled once."""
    path = tmp_path_factory.mktemp("init") / "init"
    flags = ["-static", "-O1", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["cc", *flags, "-o", str(path), str(HERE / "init.c")], check=True)
    return path


class Bundle:
    """A bundle with the static program in it, and the container made from it."""

    def __init__(self, account: Account, program: Path) -> None:
        self.account = account
        self.id = f"test-{os.urandom(4).hex()}"
        self.dir = account.new_dir("bundle")
        self.config = copy.deepcopy(BASE)
        self.root = str(account.runtime_dir / "oci")
        self.put("rootfs/init", program.read_bytes(), 0o755)

    # ---- what is in it

    def put(self, path: str, data: bytes | str = b"", mode: int = 0o644) -> Path:
        """A file of the account, with the directories above it."""
        target = self.dir / path
        for parent in reversed(target.relative_to(self.dir).parents):
            self.own(self.dir / parent, make=True)
        target.write_bytes(data.encode() if isinstance(data, str) else data)
        target.chmod(mode)
        self.own(target)
        return target

    def make_dir(self, path: str) -> Path:
        target = self.dir / path
        for parent in reversed([target, *target.parents]):
            if parent.is_relative_to(self.dir):
                self.own(parent, make=True)
        return target

    def own(self, path: Path, *, make: bool = False) -> None:
        if make and not path.exists():
            path.mkdir()
        if os.geteuid() == 0:
            os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)

    def args(self, *words: str) -> Bundle:
        self.config["process"]["args"] = ["/init", *words]
        return self

    def process(self, **changes: Any) -> Bundle:
        self.config["process"].update(changes)
        return self

    def linux(self, **changes: Any) -> Bundle:
        self.config["linux"].update(changes)
        return self

    def mount(self, destination: str, kind: str, source: str, *options: str) -> Bundle:
        self.config["mounts"].append(
            {"destination": destination, "type": kind, "source": source, "options": list(options)}
        )
        return self

    def without_namespace(self, kind: str) -> Bundle:
        namespaces = self.config["linux"]["namespaces"]
        self.config["linux"]["namespaces"] = [one for one in namespaces if one["type"] != kind]
        return self

    # ---- what is done with it

    def words(self) -> list[str]:
        runtime = RUNTIME or str(bin_dir() / "rcrun-oci")
        words = [runtime, "--root", self.root]
        return [*words, "--cgroup-manager=disabled"] if Path(runtime).name == "crun" else words

    def write(self) -> None:
        self.put("config.json", json.dumps(self.config))

    def runtime(self, *words: str, **options: Any) -> Result:
        return self.account.run(*self.words(), *words, **options)

    def run(self, *options: str, **more: Any) -> Result:
        """In the foreground."""
        self.write()
        return self.runtime("run", *options, "-b", str(self.dir), self.id, **more)

    def output(self, *words: str) -> str:
        """What the program of these words says."""
        return self.args(*words).run().check().out.rstrip("\n")

    def create(self, *options: str, out: Path | None = None) -> Result:
        """The container keeps the streams, so they are files."""
        self.write()
        path = out or self.dir / "output"
        with open(path, "ab") as stream:
            status = self.runtime(
                "create", *options, "-b", str(self.dir), self.id, stdout=stream, stderr=stream
            ).status
        data = path.read_bytes()
        return Result(["create"], status, data, data)

    def started(self, *options: str) -> Bundle:
        assert self.create(*options).status == 0, self.said()
        self.runtime("start", self.id).check()
        return self

    def said(self) -> str:
        """What the container has written so far."""
        return (self.dir / "output").read_text(encoding="utf-8", errors="replace")

    def said_soon(self, text: str) -> str:
        wait_for(lambda: text in self.said())
        return self.said()

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.runtime("state", self.id).check().out)
        return state

    def status_soon(self, status: str) -> None:
        wait_for(lambda: self.state()["status"] == status)


@pytest.fixture
def bundle(account: Account, init_program: Path) -> Iterator[Bundle]:
    made = Bundle(account, init_program)
    yield made
    made.runtime("delete", "--force", made.id)


@pytest.fixture
def new_bundle(account: Account, init_program: Path) -> Iterator[Callable[[], Bundle]]:
    """For tests that need several containers."""
    made: list[Bundle] = []

    def make() -> Bundle:
        made.append(Bundle(account, init_program))
        return made[-1]

    yield make
    for one in made:
        one.runtime("delete", "--force", one.id)


@pytest.fixture
def ours() -> None:
    """The test is about rcrun's own way, not about every runtime's."""
    if RUNTIME:
        pytest.skip(f"about rcrun-oci, not {RUNTIME}")
