"""Where Quadlet's files lie: podman's directories, with what is below them, and drop-ins; read."""

from __future__ import annotations

import os

from rcrun.engine.quadlet import names
from rcrun.engine.quadlet.keys import SECTIONS
from rcrun.errors import InvalidInput
from rcrun.formats import unitfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rcrun.formats.unitfile import Unit

TEMPORARY, ADMIN, VENDOR = (
    "/run/containers/systemd", "/etc/containers/systemd", "/usr/share/containers/systemd",
)  # fmt: skip


class Sources:
    """`broken`: files that cannot be read, by name, with path and reason; `faults`: what is wrong with drop-ins."""

    __slots__ = ("broken", "directories", "faults", "units")

    def __init__(self) -> None:
        self.directories: list[str] = []
        self.units: dict[str, Unit] = {}
        self.broken: dict[str, tuple[str, str]] = {}
        self.faults: list[str] = []


def config_dir(environ: Mapping[str, str], home: str) -> str:
    config = environ.get("XDG_CONFIG_HOME", "")
    return config if config.startswith("/") else f"{home}/.config"


def install_dir(environ: Mapping[str, str], home: str, *, is_user: bool) -> str:
    """Where `quadlet install` puts files."""
    return f"{config_dir(environ, home)}/containers/systemd" if is_user else ADMIN


def directories(environ: Mapping[str, str], home: str, uid: int, *, is_user: bool) -> list[str]:
    """The first that has a file of a name wins."""
    asked = environ.get("QUADLET_UNIT_DIRS", "")
    if asked:
        return _with_all_below([path for path in asked.split(":") if path.startswith("/")])
    if not is_user:
        return _with_all_below(
            [TEMPORARY, ADMIN, VENDOR], leave_out=lambda path: path == f"{ADMIN}/users"
        )
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    first = [f"{runtime}/containers/systemd"] if runtime.startswith("/") else []
    found = _with_all_below([*first, install_dir(environ, home, is_user=True)])
    for base in (ADMIN, VENDOR):
        users = os.path.realpath(f"{base}/users")

        def is_anothers(path: str, users: str = users) -> bool:
            return os.path.dirname(path) == users and os.path.basename(path).isdigit()

        found += _with_all_below([f"{base}/users"], leave_out=is_anothers)
        found += _with_all_below([f"{base}/users/{uid}"])
    return list(dict.fromkeys(found))


def _with_all_below(
    paths: list[str], leave_out: Callable[[str], bool] = lambda path: False
) -> list[str]:
    """Each with its subdirectories, links followed, none twice; drop-ins are no place for files."""
    found: dict[str, None] = {}
    for path in paths:
        for each in _below(os.path.realpath(path), leave_out, found):
            found[each] = None
    return list(found)


def _below(path: str, leave_out: Callable[[str], bool], seen: Mapping[str, None]) -> Iterator[str]:
    pending, met = [path], set(seen)
    while pending:
        here = pending.pop(0)
        if here in met or here.endswith(".d") or leave_out(here) or not os.path.isdir(here):
            continue
        met.add(here)
        yield here
        try:
            below = sorted(entry.path for entry in os.scandir(here) if entry.is_dir())
        except OSError:
            continue
        pending += [os.path.realpath(each) for each in below]


def read(folders: list[str]) -> Sources:
    """Every file with its drop-ins. What cannot be read does not keep others from being read."""
    sources = Sources()
    sources.directories = folders
    for folder in folders:
        for name in _names(folder):
            if name in sources.units or name in sources.broken:
                continue
            path = f"{folder}/{name}"
            try:
                unit = _load(path, name)
            except InvalidInput as error:
                sources.broken[name] = (path, error.message)
                continue
            sources.units[name] = _with_dropins(unit, sources)
    return sources


def _names(folder: str) -> list[str]:
    try:
        found = sorted(os.listdir(folder))
    except OSError:
        return []
    return [
        name
        for name in found
        if name.rpartition(".")[2] in SECTIONS
        and name.rpartition(".")[0]
        and not os.path.isdir(f"{folder}/{name}")
    ]


def _load(path: str, name: str) -> Unit:
    try:
        with open(path, encoding="utf-8") as file:
            return unitfile.parse(file.read(), name, path)
    except OSError as error:
        raise InvalidInput(f'cannot read "{path}": {(error.strerror or "").lower()}') from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f'cannot read "{path}": it is not UTF-8') from error


def _with_dropins(unit: Unit, sources: Sources) -> Unit:
    paths: dict[str, str] = {}
    for dropin in names.dropin_dirs(unit.name):
        for folder in sources.directories:
            for name in _confs(f"{folder}/{dropin}"):
                paths.setdefault(name, f"{folder}/{dropin}/{name}")
    for name in sorted(paths):
        try:
            unit = unit.with_more(_load(paths[name], name))
        except InvalidInput as error:
            sources.faults.append(error.message)
    return unit


def _confs(folder: str) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.endswith(".conf")]
    except OSError:
        return []
