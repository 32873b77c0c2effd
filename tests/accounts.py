"""Who runs a command in the tests: root, the ordinary user, the user without subordinate ids.

pytest runs as root (`make test` takes sudo for that) and drops privileges for each command; started as an
ordinary user it has that user's account alone. An account has a clean environment, a home, a store and
live state of its own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
USER = os.environ.get("RCRUN_TEST_USER", "rcrun")
SINGLE_ID_USER = "rcrun-single"


def bin_dir() -> Path:
    """The launchers under test: those that `make test` installed, else the checkout's."""
    return Path(os.environ.get("RCRUN_TEST_BIN") or CHECKOUT / "rcrun-cli/bin")


def store_parent() -> str:
    """A tmpfs where it can hold an overlay's upper directory (Linux 6.6), else a disk."""
    probe = tempfile.mkdtemp(dir="/dev/shm")
    try:
        os.setxattr(probe, "user.rcrun", b"")
    except OSError:
        return "/var/tmp"
    else:
        return "/dev/shm"
    finally:
        os.rmdir(probe)


def open_to_all(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.parents)


class Result:
    """What a command gave back; `out` and `err` are its text."""

    def __init__(self, argv: list[str], status: int, stdout: bytes, stderr: bytes) -> None:
        self.argv = argv
        self.status = status
        self.stdout = stdout
        self.stderr = stderr

    @property
    def out(self) -> str:
        return self.stdout.decode("utf-8", "backslashreplace")

    @property
    def err(self) -> str:
        return self.stderr.decode("utf-8", "backslashreplace")

    def __repr__(self) -> str:
        return f"{self.argv!r} gave {self.status}\n--- stdout\n{self.out}--- stderr\n{self.err}"

    def check(self) -> Result:
        """Itself, when the status is 0."""
        assert self.status == 0, repr(self)
        return self


class Account:
    """One user, with a home, a store and live state that only this test run uses."""

    def __init__(self, kind: str, name: str, base_dir: Path) -> None:
        entry = pwd.getpwnam(name)
        self.kind = kind
        self.name = name
        self.uid = entry.pw_uid
        self.gid = entry.pw_gid
        # A home may be closed to others: then the tests' account passes with its owner's group.
        self.groups = [] if open_to_all(bin_dir()) else [CHECKOUT.stat().st_gid]
        self.dir = base_dir
        self.home = base_dir / "home"
        self.runtime_dir = base_dir / "run"
        self.environ = {
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "LOGNAME": name,
            # The tests' Python first: it has what the cold paths of the checkout's launchers import.
            "PATH": f"{bin_dir()}:{CHECKOUT}/.venv/bin:{SYSTEM_PATH}",
            "TERM": "xterm",
            "USER": name,
            "XDG_RUNTIME_DIR": str(self.runtime_dir),
            "RCRUN_RUNROOT": str(self.runtime_dir / "rcrun"),
        }
        self.prepare("mkdir", "-p", "-m", "0755", str(base_dir))
        self.prepare("mkdir", "-p", "-m", "0700", str(self.home), str(self.runtime_dir))
        owner = f"{self.uid}:{self.gid}"
        self.prepare("chown", owner, str(base_dir), str(self.home), str(self.runtime_dir))

    @property
    def is_me(self) -> bool:
        return self.uid == os.geteuid()

    def prepare(self, *argv: str) -> None:
        """For the fixtures' own needs, with whatever rights pytest has."""
        subprocess.run(argv, check=True)

    def popen(
        self,
        *argv: str | os.PathLike[str],
        env: dict[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        **options: object,
    ) -> subprocess.Popen[bytes]:
        """subprocess.Popen as this user, in its home, with its environment and `env` added."""
        words = [os.fspath(word) for word in argv]
        environ = {**self.environ, **(env or {})}
        if not self.is_me:
            options.update(user=self.uid, group=self.gid, extra_groups=self.groups)
        return subprocess.Popen(words, env=environ, cwd=cwd or self.home, **options)  # type: ignore[call-overload]

    def run(
        self,
        *argv: str | os.PathLike[str],
        input: bytes | str | None = None,  # noqa: A002  # the name that subprocess has
        timeout: float = 120,
        **options: object,
    ) -> Result:
        """Run to the end with both streams caught; a hang ends with the process and a failure."""
        data = input.encode() if isinstance(input, str) else input
        if data is None:
            options.setdefault("stdin", subprocess.DEVNULL)
        else:
            options["stdin"] = subprocess.PIPE
        process = self.popen(
            *argv,
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=options.pop("stderr", subprocess.PIPE),
            **options,
        )
        with process:
            try:
                stdout, stderr = process.communicate(data, timeout)
            except subprocess.TimeoutExpired as error:
                process.kill()
                words = [os.fspath(word) for word in argv]
                text = (error.stdout or b"") + (error.stderr or b"")
                raise AssertionError(f"{words} did not end in {timeout} s: {text!r}") from None
        words = [os.fspath(word) for word in argv]
        return Result(words, process.returncode, stdout or b"", stderr or b"")

    def new_dir(self, name: str) -> Path:
        """A fresh directory that this user owns."""
        path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.dir))
        os.chown(path, self.uid, self.gid)
        return path

    def processes(self) -> list[str]:
        """`PID: command line` of what still uses this account's directories."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = Path("/proc", pid, "environ").read_bytes()
                line = Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:
                continue
            if f"HOME={self.home}\0".encode() in words:
                found.append(f"{pid}: {line.decode('utf-8', 'replace')}")
        return found

    def mounts(self) -> list[str]:
        text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
        return [line for line in text.splitlines() if f" {self.dir}" in line]

    def remove(self) -> None:
        """Everything of this account; what subordinate ids own, root or their owner removes."""
        if os.geteuid() != 0:
            argv = ["unshare", "--map-root-user", "--map-auto", "rm", "-rf", str(self.dir)]
            subprocess.run(argv, check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)


class DelegatedAccount(Account):
    """The user with a cgroup v2 subtree of its own, made by root.

    Where the host has the v1 or hybrid layout, a mount namespace shows its commands the v2 hierarchy alone; that
    one has hardly a controller there, but groups, freezing and killing.
    """

    VIEW = """
        test -e /sys/fs/cgroup/cgroup.controllers || mount -t cgroup2 none /sys/fs/cgroup
        for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
            echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control || :
        done
        group=/sys/fs/cgroup/$0
        mkdir -p "$group/leaf"
        chown "$1:$2" "$group" "$group/leaf"
        for name in procs subtree_control threads; do
            chown "$1:$2" "$group/cgroup.$name" "$group/leaf/cgroup.$name"
        done
    """
    ENTER = """
        echo $$ >"/sys/fs/cgroup/$0/leaf/cgroup.procs"
        uid=$1 gid=$2
        shift 2
        exec setpriv --reuid "$uid" --regid "$gid" --clear-groups -- "$@"
    """

    def __init__(self, kind: str, name: str, base_dir: Path) -> None:
        super().__init__(kind, name, base_dir)
        self.group = f"rcrun-tests-{os.getpid()}"

    def entering(self) -> list[str]:
        """What root runs, with the command behind it."""
        script = self.VIEW + self.ENTER
        return ["unshare", "-m", "--propagation", "slave", "sh", "-eu", "-c", script]

    def popen(self, *argv: str | os.PathLike[str], **options: object) -> subprocess.Popen[bytes]:
        environ = {**self.environ, **(options.pop("env", None) or {})}  # type: ignore[dict-item]
        words = [*self.entering(), self.group, str(self.uid), str(self.gid)]
        options.setdefault("cwd", self.home)
        return subprocess.Popen([*words, *map(os.fspath, argv)], env=environ, **options)  # type: ignore[call-overload]

    def container_group(self, container_id: str) -> str:
        """Where the engine puts a container, in the hierarchy."""
        return f"/{self.group}/rcrun-{container_id}.scope"

    def groups_left(self) -> list[str]:
        """The groups that containers left in the subtree."""
        script = 'cd "/sys/fs/cgroup/$0" && find . -mindepth 1 -type d ! -name leaf'
        return self.run("sh", "-c", script, self.group).check().out.split()

    def remove(self) -> None:
        mount = "test -e /sys/fs/cgroup/cgroup.controllers || mount -t cgroup2 none /sys/fs/cgroup"
        script = f'{mount}; cd "/sys/fs/cgroup/$0" && rmdir leaf && cd .. && rmdir "$0"'
        subprocess.run(["unshare", "-m", "sh", "-c", script, self.group], check=False)
        super().remove()


class SystemdAccount(DelegatedAccount):
    """The same, in a unit that the user's own systemd delegates; its commands can talk to that systemd, which makes
    scopes of its own for the engine's containers.

    The unit only holds the subtree: root puts each command into it, so that streams, descriptors, signals and exit
    status are the command's own.
    """

    PREPARE = """
        cd "/sys/fs/cgroup/$0"
        mkdir leaf
        chown "$1:$2" leaf leaf/cgroup.procs leaf/cgroup.subtree_control leaf/cgroup.threads
        for pid in $(cat cgroup.procs); do echo "$pid" >leaf/cgroup.procs; done
    """

    def __init__(self, kind: str, name: str, base_dir: Path) -> None:
        super().__init__(kind, name, base_dir)
        self.unit = f"{self.group}.service"
        self.environ["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={user_bus(self.uid)}"
        hold = ("-p", "Delegate=yes", "-p", "Type=exec", "--", "sleep", "infinity")
        self.manager("systemd-run", "--user", "--quiet", "--collect", "--unit", self.unit, *hold)
        show = ("show", "--property", "ControlGroup", "--value", self.unit)
        self.group = self.manager("systemctl", "--user", *show).strip().lstrip("/")
        top = self.manager("systemctl", "--user", "show", "-P", "ControlGroup").strip()
        self.slice = f"{top}/user.slice"
        self.prepare("sh", "-eu", "-c", self.PREPARE, self.group, str(self.uid), str(self.gid))

    def manager(self, *argv: str) -> str:
        environ = {"PATH": SYSTEM_PATH, "XDG_RUNTIME_DIR": str(user_bus(self.uid).parent)}
        owner: dict[str, Any] = {"user": self.uid, "group": self.gid, "extra_groups": []}
        return subprocess.run(
            argv, env=environ, check=True, stdout=subprocess.PIPE, text=True, **owner
        ).stdout

    def entering(self) -> list[str]:
        return ["sh", "-eu", "-c", self.ENTER]

    def container_group(self, container_id: str) -> str:
        return f"{self.slice}/rcrun-{container_id}.scope/container"

    def groups_left(self) -> list[str]:
        """Of containers; a scope that is empty is on its way out."""
        until = time.monotonic() + 5
        while True:
            scopes = list(Path(f"/sys/fs/cgroup{self.slice}").glob("rcrun-*.scope"))
            kept = [one for one in scopes if "monitor" not in one.name]
            if time.monotonic() > until or all(map(is_populated, kept)):
                return [f"./{one.name}" for one in kept]
            time.sleep(0.05)

    def remove(self) -> None:
        self.manager("systemctl", "--user", "stop", self.unit)
        Account.remove(self)


def is_populated(group: Path) -> bool:
    try:
        return "populated 1" in (group / "cgroup.events").read_text(encoding="ascii")
    except OSError:
        return False


def user_bus(uid: int) -> Path:
    """Where the systemd of a user listens."""
    return Path(f"/run/user/{uid}/bus")
