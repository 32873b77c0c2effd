"""Every example bundle is run, by rcrun-oci as root and as a user; `OCI_RUNTIME=crun` runs them on the reference."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from accounts import CHECKOUT, Account, Result, bin_dir
from network.servers import free_port
from runtime.conftest import not_on
from waiting import wait_for

pytestmark = pytest.mark.requires("userns", "bundles")

EXAMPLES = CHECKOUT / "examples/bundles"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/config.json"))
# A container in the background keeps the streams that create got; a pipe would never end.
SILENT = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Bundle:
    """A copy of an example that the account owns, and the runtime that runs it."""

    def __init__(self, account: Account, name: str) -> None:
        self.account = account
        self.id = f"{name}-{os.urandom(4).hex()}"
        self.dir = account.new_dir("bundle") / name
        account.prepare("cp", "-a", str(EXAMPLES / name), str(self.dir))
        account.prepare("chown", "-R", f"{account.uid}:{account.gid}", str(self.dir))
        runtime = os.environ.get("OCI_RUNTIME") or str(bin_dir() / "rcrun-oci")
        self.words = [runtime, "--root", str(account.runtime_dir / "oci")]
        if Path(runtime).name == "crun":
            self.words += ["--cgroup-manager=disabled"]

    def runtime(self, *args: str, **options: object) -> Result:
        return self.account.run(*self.words, *args, **options)  # type: ignore[arg-type]

    def run(self, **options: object) -> Result:
        return self.runtime("run", "-b", str(self.dir), self.id, **options)

    def config(self) -> dict:  # type: ignore[type-arg]
        return json.loads((EXAMPLES / self.dir.name / "config.json").read_text(encoding="utf-8"))


@pytest.fixture
def bundle(account: Account) -> Callable[[str], Bundle]:
    return lambda name: Bundle(account, name)


def test_there_are_enough_and_each_has_its_line() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert len(NAMES) >= 6
    assert [name for name in NAMES if f"| `{name}` |" not in text] == []


def test_hello(bundle: Callable[[str], Bundle]) -> None:
    result = bundle("hello").run().check()
    assert result.out == "Hello from hello: I am process 1 and user 0.\n"
    assert result.err == ""


def test_shell(bundle: Callable[[str], Bundle]) -> None:
    """A terminal that script(1) gives: the shell has one, and its status comes back."""
    shell = bundle("shell")
    command = " ".join([*shell.words, "run", "-b", str(shell.dir), shell.id])
    result = shell.account.run(
        "script", "--quiet", "--return", "--command", command, "/dev/null", input="tty; exit 3\n"
    )
    assert result.status == 3, repr(result)
    assert "/dev/pts/0" in result.out


def test_readonly(bundle: Callable[[str], Bundle]) -> None:
    assert bundle("readonly").run().check().out.splitlines() == [
        "/etc cannot be written",
        "/input cannot be written",
        "/scratch can be written",
        "This file is on the host, in readonly/data.",
    ]


def test_limits(bundle: Callable[[str], Bundle]) -> None:
    result = bundle("limits").run().check()
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert lines == [
        "open files: 64, umask: 0027",
        "CapEff: 0000000000000020",
        "NoNewPrivs: 1",
        "Seccomp: 2",
    ]
    assert result.err.splitlines() == [
        "mkdir: can't create directory '/tmp/try': Read-only file system",
        "chown: /etc/passwd: Operation not permitted",
    ]


def without_status(text: str) -> list[str]:
    """What runtimes agree on: in the hooks of create runc says creating, crun says created."""
    return [re.sub(r" is creat(ed|ing)$", "", line) for line in text.splitlines()]


@not_on(
    "crun", "1.8 runs poststart hooks while startContainer hooks may still run, 1.28 fails there"
)
def test_hooks(bundle: Callable[[str], Bundle]) -> None:
    hooks = bundle("hooks")
    hooks.account.run("rm", "-f", str(hooks.dir / "log/hooks.log")).check()
    inside = without_status(hooks.run().check().out)
    before = [
        f"createRuntime: container {hooks.id}",
        f"createContainer: container {hooks.id}",
        "startContainer: inside hooks",
    ]
    # The container reads its log while poststart hooks may be writing to it.
    assert inside[:3] == before
    log = hooks.account.run("cat", str(hooks.dir / "log/hooks.log")).check().out
    assert without_status(log) == [
        *before,
        f"poststart: container {hooks.id} is running",
        f"poststop: container {hooks.id} is stopped",
    ]


def test_service(bundle: Callable[[str], Bundle]) -> None:
    service = bundle("service")
    port = free_port()
    edit = f"s/:8017/:{port}/"
    service.account.run("sed", "-i", edit, str(service.dir / "config.json")).check()
    service.runtime("create", "-b", str(service.dir), service.id, **SILENT).check()
    try:
        service.runtime("start", service.id).check()
        page = wait_for(lambda: fetch(f"http://127.0.0.1:{port}/"))
        assert page == b"Served from a container.\n"
        state = json.loads(service.runtime("state", service.id).check().out)
        assert state["status"] == "running"
    finally:
        service.runtime("kill", service.id, "KILL")
        service.runtime("delete", "--force", service.id).check()


def fetch(url: str) -> bytes:
    """The page, or nothing while nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.read()
    except OSError:
        return b""


@pytest.mark.requires("debian-bundle")
def test_debian(bundle: Callable[[str], Bundle]) -> None:
    result = bundle("debian").run().check()
    name, version = result.out.splitlines()
    assert name.endswith(" packages")
    assert int(name.split()[-2]) > 50
    assert version.startswith("apt ")


def test_every_bundle_has_a_test() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in NAMES if f"def test_{name}(" not in text] == []
