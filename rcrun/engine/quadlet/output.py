"""Quadlet's files read, and their units written: by the generator of systemd, or where its transient units lie."""

from __future__ import annotations

import os

from rcrun.engine.quadlet import convert, sources
from rcrun.engine.quadlet.service import Around
from rcrun.engine.setuprestart import KEPT
from rcrun.errors import HostLacks, NotFound
from rcrun.files import unlink_if_there, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rcrun.engine.context import Context
    from rcrun.engine.quadlet.convert import Made

GENERATOR = "rcrun-systemd-generator"
PODMANS = ("podman-system-generator", "podman-user-generator")
_BASES = ("/run/systemd", "/etc/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd")
_LINK_DIRS = (".wants", ".requires", ".upholds")


class All:
    """What the files of one systemd come to; `faults` are for its log, by file."""

    __slots__ = ("directories", "faults", "made")

    def __init__(self, found: sources.Sources, made: Sequence[Made]) -> None:
        self.directories = found.directories
        self.made = list(made)
        self.faults = list(found.faults)
        for each in self.made:
            name = os.path.basename(each.source)
            self.faults += [f"{name}: {text}" for text in [each.fault, *each.warnings] if text]


def home_of(context: Context) -> str:
    return context.environ.get("HOME") or os.path.expanduser("~")


def make_all(context: Context, *, is_user: bool) -> All:
    folders = sources.directories(context.environ, home_of(context), os.geteuid(), is_user=is_user)
    found = sources.read(folders)
    around = Around(
        command_words(context),
        is_user=is_user,
        store_dir=context.store.root_dir,
        units=found.units,
        environment=kept_environment(context),
        exists=os.path.exists,
    )
    return All(found, convert.convert(around, found.broken))


def command_words(context: Context) -> list[str]:
    """How units start rcrun: by the name that people know, where it has one."""
    from rcrun.engine.hostsetup import launcher

    try:
        return [launcher(context.environ)]
    except NotFound:
        return context.launcher


def kept_environment(context: Context) -> list[str]:
    return [f"{name}={context.environ[name]}" for name in KEPT if context.environ.get(name)]


# ---- writing


def write_all(made: Sequence[Made], folder: str) -> None:
    for each in made:
        os.makedirs(folder, exist_ok=True)
        write_file(f"{folder}/{each.name}", each.text.encode(), durable=False)
        for place, target in each.links:
            _link(f"{folder}/{place}", target)


def _link(path: str, target: str) -> None:
    """What is there and no link stays; another rcrun may do the same at this moment."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.islink(path):
        unlink_if_there(path)
    try:
        os.symlink(target, path)
    except FileExistsError:
        pass


def clear(folder: str) -> None:
    """Take away what `write_all` put there, whenever that was; what others put there stays."""
    ours = {name for name in listed(folder) if _is_ours(f"{folder}/{name}")}
    for path in _links(folder):
        if os.path.basename(os.readlink(path)) in ours:
            unlink_if_there(path)
    for name in ours:
        unlink_if_there(f"{folder}/{name}")
    for name in listed(folder):
        if name.endswith(_LINK_DIRS) and not listed(f"{folder}/{name}"):
            os.rmdir(f"{folder}/{name}")


def _is_ours(path: str) -> bool:
    if not path.endswith(".service") or os.path.islink(path):
        return False
    with open(path, "rb") as file:
        return file.readline().decode("utf-8", "replace").rstrip() == f"# {convert.COMMENT}"


def _links(folder: str) -> Iterator[str]:
    for name in listed(folder):
        path = f"{folder}/{name}"
        if os.path.islink(path):
            yield path
        elif name.endswith(_LINK_DIRS):
            yield from (
                f"{path}/{each}" for each in listed(path) if os.path.islink(f"{path}/{each}")
            )


def listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


# ---- systemd


def generator_dirs(*, is_user: bool) -> list[str]:
    """Where systemd looks; a user has none of his own."""
    return [f"{base}/{'user' if is_user else 'system'}-generators" for base in _BASES]


def generator(names: Sequence[str], *, is_user: bool) -> str:
    """The first of these generators that systemd runs: one that leads to /dev/null is switched off."""
    met: set[str] = set()
    for folder in generator_dirs(is_user=is_user):
        for name in names:
            path = f"{folder}/{name}"
            if name in met or not os.path.lexists(path):
                continue
            met.add(name)
            if os.access(path, os.X_OK) and os.path.realpath(path) != "/dev/null":
                return path
    return ""


def transient_dir(context: Context, *, is_user: bool) -> str:
    """Units that are gone after the next boot; whose files are where systemd looks without a generator."""
    if not is_user:
        return "/run/systemd/system"
    runtime = context.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    if not os.path.isdir(f"{runtime}/systemd"):
        raise HostLacks(
            "your systemd does not run, which would start the units",
            "log in anew, or let it run without a login: rcrun setup linger",
        )
    return f"{runtime}/systemd/user"


def reload(context: Context, *, is_user: bool) -> All:
    """Have systemd know the units of the files as they are now."""
    whole = make_all(context, is_user=is_user)
    folder = transient_dir(context, is_user=is_user)
    clear(folder)
    if not generator([GENERATOR], is_user=is_user):
        write_all(whole.made, folder)
    systemctl(context, "daemon-reload", is_user=is_user)
    return whole


def systemctl(context: Context, *words: str, is_user: bool, check: bool = True) -> str:
    """What it prints."""
    import subprocess

    line = ["systemctl", *(["--user"] if is_user else []), *words]
    try:
        done = subprocess.run(
            line,
            capture_output=True,
            text=True,
            errors="replace",
            env=dict(context.environ),
            check=False,
        )
    except FileNotFoundError:
        raise HostLacks(
            "this host has no systemctl: Quadlet needs systemd",
            "restart policies need none: rcrun run -d --restart always …",
        ) from None
    if check and done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        raise HostLacks(f"{' '.join(line)}: {said}", "look at: systemctl --user status")
    return done.stdout
