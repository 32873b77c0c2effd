"""registries.conf as it lies on this host: the user's file or the administrator's, what is dropped in beside it, short names."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput, unreadable
from rcrun.formats import registriesconf
from rcrun.formats.registriesconf import Registries
from rcrun.paths import drop_ins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SYSTEM = "/etc/containers"
NAME = "registries.conf"


def registries(environ: Mapping[str, str], system: str = SYSTEM) -> Registries:
    """All files together, each over those before it; InvalidInput names the file that cannot be used."""
    explicit = environ.get("CONTAINERS_REGISTRIES_CONF", "")
    main, folders = _places(environ, explicit, system)
    found = _read(main, may_be_old=True, must_be=bool(explicit)) or Registries()
    for folder in folders:
        for path in drop_ins(folder):
            found = registriesconf.merged(found, _read(path) or Registries())
    aliases = _read(_own_aliases(environ))
    return registriesconf.merged(found, aliases) if aliases else found


def user_dir(environ: Mapping[str, str]) -> str:
    """Where a user's own files lie; empty without a home."""
    config = environ.get("XDG_CONFIG_HOME", "")
    home = environ.get("HOME", "")
    if not config.startswith("/"):
        config = f"{home}/.config" if home else ""
    return f"{config}/containers" if config else ""


def _places(environ: Mapping[str, str], explicit: str, system: str) -> tuple[str, list[str]]:
    """The main file and the directories: who has a file of his own is asked alone (as podman has it)."""
    own = user_dir(environ)
    if own and not explicit and os.path.exists(f"{own}/{NAME}"):
        return f"{own}/{NAME}", [f"{own}/{NAME}.d"]
    folders = [f"{system}/{NAME}.d", *([f"{own}/{NAME}.d"] if own else [])]
    return explicit or f"{system}/{NAME}", folders


def _own_aliases(environ: Mapping[str, str]) -> str:
    """What podman notes when somebody has chosen the meaning of a short name."""
    if os.geteuid() == 0:
        return "/var/cache/containers/short-name-aliases.conf"
    cache = environ.get("XDG_CACHE_HOME", "")
    if not cache.startswith("/"):
        cache = f"{environ.get('HOME', '')}/.cache"
    return f"{cache}/containers/short-name-aliases.conf"


def _read(path: str, *, may_be_old: bool = False, must_be: bool = False) -> Registries | None:
    """None when there is no such file."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        if must_be:
            raise unreadable(path, error) from error
        return None
    except IsADirectoryError:
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    return registriesconf.parse(toml(data, path), path, may_be_old=may_be_old)


def toml(data: bytes, path: str) -> dict[str, Any]:
    """Its module is loaded for a file that says something."""
    if not any(line.strip() and not line.lstrip().startswith(b"#") for line in data.splitlines()):
        return {}
    try:
        import tomllib
    except ImportError:  # Python 3.10
        import tomli as tomllib
    try:
        document: dict[str, Any] = tomllib.loads(data.decode())
    except ValueError as error:
        raise InvalidInput(f'"{path}" is not valid TOML: {error}') from error
    return document
