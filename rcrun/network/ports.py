"""Published ports on the host, before the start: one that is taken is refused by name, a free one is chosen."""

from __future__ import annotations

import _socket
import errno

from rcrun.errors import HostLacks, InUse, InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Port = Mapping[str, Any]

TRIES = 50
EVERYWHERE = "0.0.0.0"  # where none was named, see pasta.py


def settle(ports: Sequence[Port]) -> list[dict[str, Any]]:
    """The same ports, each with its address and port on the host; all of them are free at this moment."""
    settled: list[dict[str, Any]] = []
    for port in ports:
        chosen = {key: value for key, value in port.items() if key != "host_last"}
        chosen["host_ip"] = port["host_ip"] or EVERYWHERE
        chosen["host_port"] = _settled(port, {each["host_port"] for each in settled})
        settled.append(chosen)
    return settled


def _settled(port: Port, taken: set[int]) -> int:
    first, last = port["host_port"], port.get("host_last") or port["host_port"]
    if not first:
        return _any_free(port, taken)
    fault: OSError | None = None
    for number in range(first, last + 1):
        if number in taken and last > first:
            continue
        fault = _fault(port, number)
        if fault is None:
            return int(number)
    raise _refusal(port, first, last, fault or OSError(errno.EADDRINUSE, ""))


def _any_free(port: Port, taken: set[int]) -> int:
    """Of the kernel's choice; two probes in a row are given different ones."""
    for _ in range(TRIES):
        number = _kernels_choice(port)
        if number not in taken:
            return number
    raise InUse("cannot find a free port on the host", "name one: -p HOST:CONTAINER")


def _kernels_choice(port: Port) -> int:
    try:
        return _try(port, 0)
    except OSError as error:
        raise _refusal(port, 0, 0, error) from error


def _fault(port: Port, number: int) -> OSError | None:
    try:
        _try(port, number)
    except OSError as error:
        return error
    return None


def _try(port: Port, number: int) -> int:
    """The port that was bound, for a moment."""
    host_ip = port["host_ip"] or EVERYWHERE
    family = _socket.AF_INET6 if ":" in host_ip else _socket.AF_INET
    probe = _socket.socket(family, _type(port))
    try:
        if family == _socket.AF_INET6:
            probe.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
        # what a server that has just ended left in TIME_WAIT does not hold the port
        probe.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, int(_is_tcp(port)))
        probe.bind((host_ip, number))
        if _is_tcp(port):
            probe.listen(1)
        return int(probe.getsockname()[1])
    finally:
        probe.close()


def _is_tcp(port: Port) -> bool:
    return bool(port["protocol"] == "tcp")


def _type(port: Port) -> int:
    return _socket.SOCK_STREAM if _is_tcp(port) else _socket.SOCK_DGRAM


def _refusal(port: Port, first: int, last: int, fault: OSError) -> Exception:
    host_ip = port["host_ip"] or EVERYWHERE
    ip = f"[{host_ip}]" if ":" in host_ip else host_ip
    where = f"{ip}:{first}" + (f"-{last}" if last > first else "")
    message = f"cannot publish {where}/{port['protocol']}"
    if fault.errno == errno.EADDRINUSE:
        option = "t" if _is_tcp(port) else "u"
        return InUse(
            f"{message}: port is already allocated",
            f"publish another one, or see who has it: ss -ln{option}p 'sport = :{first}'",
        )
    if fault.errno == errno.EACCES:
        return HostLacks(
            f"{message}: ports below {_first_free()} need privilege", _privilege_hint(port, first)
        )
    if fault.errno == errno.EADDRNOTAVAIL:
        return InvalidInput(
            f"{message}: the host does not have this address", "see which it has: ip address"
        )
    return InvalidInput(f"{message}: {(fault.strerror or str(fault)).lower()}")


def _privilege_hint(port: Port, number: int) -> str:
    near = _nearest(port, number)
    other = f"publish {near} instead: -p {near}:{port['container_port']}; " if near else ""
    return f"{other}or run: sudo sysctl -w net.ipv4.ip_unprivileged_port_start={number}"


def _nearest(port: Port, number: int) -> int:
    """The free one that people would look for first: 8080 for 80, 8443 for 443."""
    low = _first_free()
    wanted = [number + 8000] if number != 443 else [8443]
    return next((n for n in [*wanted, *range(low, low + TRIES)] if _fault(port, n) is None), 0)


def _first_free() -> int:
    try:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
            return int(file.read())
    except OSError:
        return 1024
