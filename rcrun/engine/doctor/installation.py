"""rcrun itself: its C program, the Python packages that it uses, its own modules in the form that loads at once."""

from __future__ import annotations

import os
import sys

from rcrun.engine.doctor.finding import broken, fine, limited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rcrun.engine.doctor.finding import Finding
    from rcrun.engine.doctor.here import Here
    from rcrun.runtime.hints_host import HostFacts

# Where each is asked for; a package that is missing is missed there only.
PACKAGES = {
    "click": "help and usage errors",
    "jsonschema": "rcrun-oci validate and rcrun image validate",
    "zstandard": "images with zstd layers",
    "isal": "the speed of unpacking",
    "yaml": "documents of Kubernetes, devices whose specification is YAML",
    "cryptography": "signatures of sigstore's kind",
}
_FOR_PIP = {"yaml": "pyyaml"}
# Distributions have the others, for who runs a checkout with the host's own Python.
NOT_PACKAGED = ("isal",)


def try_installation(here: Here) -> Finding:
    from rcrun.kernel.shim import shim_path

    path = shim_path()
    return judge_installation(
        path, shim_fault(path), missing_packages(), sys.executable, here.facts
    )


def try_modules(here: Here) -> Finding:
    folders, stale, writable = compiled(here)
    read_only = bool(folders) and bool(os.statvfs(folders[0]).f_flag & os.ST_RDONLY)
    return judge_modules(folders, stale, sys.executable, writable=writable, read_only=read_only)


def shim_fault(path: str) -> str:
    """Empty when it starts: without a plan it says how it is called, and ends."""
    import subprocess

    try:
        subprocess.run(
            [path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=5, check=False,
        )  # fmt: skip
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""


def missing_packages() -> list[str]:
    import site
    from importlib.util import find_spec

    if find_spec("click") is None:
        site.main()  # started with -S: they may be where only site looks
    return [name for name in PACKAGES if find_spec(name) is None]


def judge_installation(
    path: str, fault: str, missing: Sequence[str], python: str, facts: HostFacts
) -> Finding:
    if fault:
        return broken(
            f'"{path}" cannot be run',
            means="no container can be started",
            why=fault,
            hint="install rcrun on a file system without noexec, with its C program built: pip install --force-reinstall rcrun",
        )
    if not missing:
        return fine("complete")
    lost = ", ".join(PACKAGES[name] for name in missing)
    return limited(
        f"Python packages are missing: {', '.join(missing)}",
        means=f"without them: {lost}",
        hint=packages_hint(missing, python, facts),
    )


def packages_hint(missing: Sequence[str], python: str, facts: HostFacts) -> str:
    """pip is for environments: what it puts elsewhere for a user is not found with -I, and distributions forbid it."""
    if os.path.exists(f"{os.path.dirname(os.path.dirname(python))}/pyvenv.cfg"):
        words = [_FOR_PIP.get(name, name) for name in missing]
        return f"run: {python} -m pip install {' '.join(words)}"
    packaged = [f"python3-{name}" for name in missing if name not in NOT_PACKAGED]
    if packaged and facts.installer in ("apt-get", "dnf"):
        return f"run: {facts.install_command(' '.join(packaged))}"
    return "install rcrun into an environment of its own, with all of them: pipx install DIRECTORY"


# Modules. No start writes beside them (-B): a disk that is full then would leave half a module, and root's starts
# files that the user cannot replace.


def compiled(here: Here) -> tuple[list[str], int, bool]:
    """The folders of our packages with a module that is not compiled for this Python; how many those are; whether we may write."""
    folders, stale, writable = [], 0, True
    for top in package_folders(here.context.launcher):
        count = 0
        for path in sources(top):
            if not is_compiled(path):
                count += 1
                writable = writable and may_compile(path)
        if count:
            folders.append(top)
            stale += count
    return folders, stale, writable


def package_folders(launcher: Sequence[str]) -> list[str]:
    """Of `rcrun`, and of the command line, which starts this very program."""
    import rcrun

    own = [os.path.dirname(word) for word in launcher if word.endswith("__main__.py")]
    return [*rcrun.__path__, *own]


def sources(top: str) -> Iterator[str]:
    for folder, _, files in os.walk(top):
        for name in files:
            if name.endswith(".py"):
                yield f"{folder}/{name}"


def is_compiled(path: str) -> bool:
    """What the importer asks of a .pyc: this Python's, and of these very bytes by time and size, or by their sum."""
    from importlib.util import MAGIC_NUMBER, cache_from_source

    try:
        status = os.stat(path)
        with open(cache_from_source(path), "rb") as file:
            head = file.read(16)
    except OSError:
        return False
    number = [int.from_bytes(head[at : at + 4], "little") for at in (4, 8, 12)]
    if head[:4] != MAGIC_NUMBER or len(head) < 16:
        return False
    return bool(number[0]) or number[1:] == [
        int(status.st_mtime) & 0xFFFFFFFF,
        status.st_size & 0xFFFFFFFF,
    ]


def may_compile(path: str) -> bool:
    folder = os.path.dirname(path)
    cache = f"{folder}/__pycache__"
    return os.access(cache if os.path.isdir(cache) else folder, os.W_OK | os.X_OK)


def judge_modules(
    folders: Sequence[str], stale: int, python: str, *, writable: bool, read_only: bool = False
) -> Finding:
    if not stale:
        return fine("are compiled")
    hint = f"run: {'' if writable else 'sudo '}{' '.join(compiling(folders, python))}"
    if read_only:
        hint = f"compile it where it is made, before it is read-only: {' '.join(compiling(folders, python))}"
    return limited(
        f"{stale} are not compiled for this Python",
        means="each start compiles them again, which takes as long as all the rest of it",
        why=f"{folders[0]} is written when rcrun is installed, and by no start",
        hint=hint,
    )


def compiling(folders: Sequence[str], python: str) -> list[str]:
    from shlex import quote

    return [quote(word) for word in (python, "-m", "compileall", "-q", *folders)]


def fix(here: Here) -> str:
    """What was done; root's folders are left to root."""
    import subprocess

    folders, stale, writable = compiled(here)
    if not stale or not writable:
        return ""
    command = " ".join(compiling(folders, sys.executable))
    ran = subprocess.run(
        ["sh", "-c", command], capture_output=True, stdin=subprocess.DEVNULL, check=False
    )
    return command if ran.returncode == 0 else f"failed: {command}"
