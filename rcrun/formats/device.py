"""`--device HOST[:CONTAINER][:PERMISSIONS]`."""

from __future__ import annotations

from rcrun.errors import InvalidInput


def parse(text: str) -> tuple[str, str, str]:
    """The path on the host, the path in the container, permissions (some of r, w, m)."""
    parts = text.split(":")
    host, container, permissions = parts[0], parts[0], "rwm"
    if len(parts) == 2 and not parts[1].startswith("/"):
        permissions = parts[1]
    elif len(parts) >= 2:
        container = parts[1] or host
    if len(parts) == 3:
        permissions = parts[2]
    if len(parts) > 3 or not host.startswith("/") or not container.startswith("/"):
        raise InvalidInput(f'invalid --device "{text}": a device is HOST[:CONTAINER][:PERMISSIONS]')
    if not permissions or permissions.strip("rwm") or len(set(permissions)) != len(permissions):
        raise InvalidInput(f'invalid --device "{text}": permissions are some of r, w and m')
    return host, container, permissions


def is_cdi_name(text: str) -> bool:
    """`vendor.com/class=name`, as the Container Device Interface qualifies the names of devices."""
    kind, equals, name = text.partition("=")
    vendor, slash, family = kind.partition("/")
    return (
        bool(
            equals
            and slash
            and name
            and _is_name(vendor, "_-.")
            and _is_name(family, "_-.")
            and _is_name(name, "_-.:")
        )
        and vendor[0].isalpha()
    )


def _is_name(text: str, marks: str) -> bool:
    kept = "".join([char for char in text if char not in marks])
    return bool(kept) and text[0].isalnum() and kept.isascii() and kept.isalnum()
