"""By which of its addresses the host reaches the world; asked of the kernel, nothing is sent."""

from __future__ import annotations

import _socket

# Addresses for documentation (RFC 5737, RFC 3849): nobody's, so what leads there is the default route.
_ELSEWHERE = {_socket.AF_INET: "198.51.100.1", _socket.AF_INET6: "2001:db8::1"}
_DISCARD = 9


def own_addresses() -> tuple[str, str]:
    """The host's IPv4 and IPv6 address; empty where no default route is."""
    return _own(_socket.AF_INET), _own(_socket.AF_INET6)


def host_address() -> str:
    """The one under which a container can reach the host, empty for a host without a network."""
    return _own(_socket.AF_INET) or _own(_socket.AF_INET6)


def _own(family: int) -> str:
    try:
        probe = _socket.socket(family, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    except OSError:
        return ""
    try:
        probe.connect((_ELSEWHERE[family], _DISCARD))  # of a datagram socket: a look at the routes
        address = str(probe.getsockname()[0])
    except OSError:
        return ""
    finally:
        probe.close()
    return "" if address.startswith("fe80:") else address
