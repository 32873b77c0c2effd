"""Who runs a command in the tests: root, the ordinary user, the user without subordinate ids.

An Account knows how to become that user from whoever started pytest (root drops privileges, an
ordinary user takes sudo), and gives it a clean environment, a home and live state of its own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
USER = "rcrun"
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
        self.as_root("mkdir", "-p", "-m", "0755", str(base_dir))
        self.as_root("mkdir", "-p", "-m", "0700", str(self.home), str(self.runtime_dir))
        owner = f"{self.uid}:{self.gid}"
        self.as_root("chown", owner, str(base_dir), str(self.home), str(self.runtime_dir))

    @property
    def is_me(self) -> bool:
        return self.uid == os.geteuid()

    def as_root(self, *argv: str) -> None:
        """For the fixtures' own needs; without sudo when the account is whoever runs pytest."""
        prefix = [] if os.geteuid() == 0 or self.is_me else ["sudo", "-n"]
        subprocess.run([*prefix, *argv], check=True)

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
        if self.is_me:
            pass
        elif os.geteuid() == 0:
            options.update(user=self.uid, group=self.gid, extra_groups=[])
        else:
            settings = [f"{name}={value}" for name, value in environ.items()]
            words = ["sudo", "-n", "-u", self.name, "--", "env", "-i", *settings, *words]
        return subprocess.Popen(words, env=environ, cwd=cwd or self.home, **options)  # type: ignore[call-overload]

    def run(
        self,
        *argv: str | os.PathLike[str],
        input: bytes | str | None = None,  # noqa: A002  # the name that subprocess has
        timeout: float = 60,
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
        path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.dir)) if self.can_write() else None
        if path is None:
            path = self.dir / f"{name}-{os.urandom(4).hex()}"
            self.as_root("mkdir", "-m", "0700", str(path))
        self.as_root("chown", f"{self.uid}:{self.gid}", str(path))
        return path

    def can_write(self) -> bool:
        return os.access(self.dir, os.W_OK)

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
        if os.geteuid() == 0:
            shutil.rmtree(self.dir, ignore_errors=True)
        elif self.is_me:
            subprocess.run(["unshare", "-r", "--map-auto", "rm", "-rf", str(self.dir)], check=False)
            shutil.rmtree(self.dir, ignore_errors=True)
        else:
            subprocess.run(["sudo", "-n", "rm", "-rf", str(self.dir)], check=False)
