"""Options that the commands on several registries share, and podman's lines for what goes on meanwhile."""

from __future__ import annotations

import sys

from rcrun.errors import InvalidInput
from rcrun_cli import context
from rcrun_cli.progress import Writer
from rcrun_cli.pushing import Quiet
from rcrun_cli.textfile import write_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.access import Access
    from rcrun.formats.image import Descriptor
    from rcrun.formats.reference import Reference


class Silence(Quiet):
    """For those who do not look."""

    def downloaded(self, digest: str) -> None:
        pass

    def writing(self) -> None:
        pass


class Lines(Silence):
    """A line a blob, told once, on standard error."""

    def __init__(self) -> None:
        self._writer = Writer(sys.stderr)
        self._told: set[str] = set()

    def layers(self, layers: Sequence[Descriptor]) -> None:
        for layer in layers:
            self.downloaded(layer["digest"])

    def begin(self, reference: Reference) -> None:
        pass

    def downloaded(self, digest: str) -> None:
        if digest not in self._told:
            self._told.add(digest)
            self._writer.say(f"Copying blob {digest}")

    def writing(self) -> None:
        self._writer.say("Writing to image destination")


def progress_of(*, quiet: bool) -> Silence:
    return Silence() if quiet else Lines()


def write_digest(path: str | None, digest: str) -> None:
    """--digestfile, without a newline."""
    if path is not None:
        write_text(path, digest, "the digest file ")


def access_of(
    *,
    tls_verify: bool,
    creds: str | None,
    authfile: str | None,
    cert_dir: str | None,
    username: str | None = None,
    password: str | None = None,
    anonymous: bool = False,
    **more: Any,
) -> Access:
    """As of pull, with what skopeo has beside that; `anonymous`: --no-creds."""
    from rcrun_cli.registryoptions import access_from

    if username and creds is None:
        creds = f"{username}:{password or ''}"
    if anonymous and creds:
        raise InvalidInput("credentials and their absence exclude each other")
    way = access_from(
        tls_verify=tls_verify, creds=creds, authfile=authfile, cert_dir=cert_dir, **more
    )
    if anonymous:
        from os import devnull

        way.authfile = devnull
    return way


def personality_is(name: str) -> bool:
    return context.settings.personality == name
