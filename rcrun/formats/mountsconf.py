"""mounts.conf, as containers-mounts.conf(5) has it: a line `SOURCE:DESTINATION`, or a path that is both. Pure."""

from __future__ import annotations

from rcrun.formats import volume


def parse(text: str) -> list[tuple[str, str]]:
    """Sources and destinations; as with podman a line that does not begin with a path says nothing."""
    found = []
    for line in text.splitlines():
        source, colon, destination = line.strip().partition(":")
        if source.startswith("/"):
            found.append((source, volume.normal(destination.strip() if colon else source)))
    return found
