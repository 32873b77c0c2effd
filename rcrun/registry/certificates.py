"""TLS contexts: the system's authorities, and what an administrator put into certs.d/HOST[:PORT]/."""

from __future__ import annotations

import os
import ssl

from rcrun.errors import InvalidInput
from rcrun.files import subdirectories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SYSTEM_DIRS = ("/etc/containers/certs.d", "/etc/docker/certs.d")


def certificate_dirs(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Where certs.d is looked for, the user's own first."""
    home = environ.get("HOME", "")
    config = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    own = (f"{config}/containers/certs.d", f"{home}/.docker/certs.d") if home else ()
    return (*own, *SYSTEM_DIRS)


def context_for(
    host: str, port: int, directories: Iterable[str], own: str, *, verify: bool
) -> ssl.SSLContext:
    """`directories` hold one directory a host; `own`, if not empty, holds certificates itself."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    names = (f"{host}:{port}", host) if port == 443 else (f"{host}:{port}",)
    for directory in directories:
        for name in names:
            _load(context, f"{directory}/{name}")
    if own:
        _load(context, own)
    return context


def _load(context: ssl.SSLContext, directory: str) -> None:
    try:
        entries = sorted(subdirectories(directory))
    except PermissionError:
        return
    for name in entries:
        path = f"{directory}/{name}"
        try:
            if name.endswith(".crt"):
                context.load_verify_locations(path)
            elif name.endswith(".cert"):
                key = path.removesuffix(".cert") + ".key"
                context.load_cert_chain(path, key if os.path.exists(key) else None)
        except (ssl.SSLError, OSError) as error:
            raise InvalidInput(
                f'cannot use certificate "{path}": {error.strerror or error}'
            ) from error
