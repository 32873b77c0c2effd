"""containers.conf as it lies on this host: which files count, and what they say together, kept until one of them changes.

Whoever asks knows already that there is one (`paths.containers_conf`). TOML is read when a file has changed; what was made of it is in the
live directory, which is the user's alone.
"""

from __future__ import annotations

import os
import time

from rcrun.errors import InvalidInput, unreadable
from rcrun.files import dump_json, parse_json, read_bytes, write_file
from rcrun.paths import CONTAINERS_DIRS, config_dir, drop_ins, make_private_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Stamp = list[Any]  # path, mtime, size, inode, device

NAME = "containers.conf"
CACHE = "containers-conf.json"
_SETTLED = 50_000_000  # nanoseconds: two changes within one tick of the kernel's clock look alike


def load(live_dir: str, environ: Mapping[str, str], modules: Sequence[str] = ()) -> dict[str, Any]:
    """`values` by table and key, `files` that count, `unknown` keys; InvalidInput for what cannot be used."""
    stamps = [_stamp(path) for path in files(environ, modules)]
    path = f"{live_dir}/{CACHE}"
    try:
        known: dict[str, Any] = parse_json(read_bytes(path))
        if known["stamps"] == stamps:
            return known
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = {**_read([stamp[0] for stamp in stamps]), "stamps": stamps}
    if all(stamp[1] < time.time_ns() - _SETTLED for stamp in stamps):
        try:
            make_private_dir(live_dir)
            data = (dump_json(found) + "\n").encode()
            write_file(path, data, mode=0o600, durable=False)  # some files hold passwords
        except OSError:
            pass  # it is read again the next time
    return found


def files(environ: Mapping[str, str], modules: Sequence[str] = ()) -> list[str]:
    """Those that are there, in the order in which they count: a later one wins."""
    explicit, last = environ.get("CONTAINERS_CONF"), environ.get("CONTAINERS_CONF_OVERRIDE")
    own = f"{config_dir(environ)}/containers"
    found = [_must_be(explicit, "CONTAINERS_CONF")] if explicit else _usual(own)
    found += [_module(name, own) for name in modules]
    if last and os.path.exists(last):
        found.append(os.path.abspath(last))
    return found


def _usual(own: str) -> list[str]:
    shared, system = CONTAINERS_DIRS
    places = [f"{shared}/{NAME}", f"{system}/{NAME}", f"{system}/{NAME}.d"]
    if os.geteuid():
        rootless = f"{system}/containers.rootless.conf"
        places += [rootless, f"{rootless}.d", f"{rootless}.d/{os.geteuid()}"]
    places += [f"{own}/{NAME}", f"{own}/{NAME}.d"]
    found = []
    for place in places:
        if not place.endswith(NAME) and not place.endswith(".rootless.conf"):
            found += drop_ins(place)
        elif os.path.exists(place):
            found.append(place)
    return found


def _must_be(path: str, variable: str) -> str:
    if not os.path.exists(path):
        raise InvalidInput(
            f'cannot read "{path}": no such file or directory', f"{variable} names it"
        )
    return os.path.abspath(path)


def _module(name: str, own: str) -> str:
    """A module is a file that counts when `--module` names it."""
    folders = [f"{folder}/{NAME}.modules" for folder in (own, *reversed(CONTAINERS_DIRS))]
    for path in [name] if name.startswith("/") else [f"{folder}/{name}" for folder in folders]:
        if os.path.isfile(path):
            return path
    raise InvalidInput(
        f'there is no module "{name}" of containers.conf',
        f"it is looked for in {' '.join(folders)}",
    )


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)
    except OSError as error:
        raise unreadable(path, error) from error
    return [path, status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev]


def _read(paths: Sequence[str]) -> dict[str, Any]:
    from rcrun.formats.containersconf import Said
    from rcrun.registry.settings import toml

    said = Said()
    for path in paths:
        try:
            data = read_bytes(path)
        except OSError as error:
            raise unreadable(path, error) from error
        said.add(toml(data, path), path, shipped=path.startswith(f"{CONTAINERS_DIRS[0]}/"))
    return {"values": said.values, "files": list(paths), "unknown": said.unknown}
