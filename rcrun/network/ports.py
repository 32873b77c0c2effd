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


def settle(ports: Sequence[Port]) -> list[dict[str, Any]]:
    """The same ports, each with its port on the host; all of them are free at this moment."""
    settled: list[dict[str, Any]] = []
    for port in ports:
        chosen = {key: value for key, value in port.items() if key != "host_last"}
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
    """One that is free in every family."""
    for _ in range(TRIES):
        number = _kernels_choice(port)
        if number not in taken and _fault(port, number) is None:
            return number
    raise InUse("cannot find a free port on the host", "name one: -p HOST:CONTAINER")


def _kernels_choice(port: Port) -> int:
    family, address = _addresses(port["host_ip"])[0]
    probe = _socket.socket(family, _type(port))
    try:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
    finally:
        probe.close()


def _fault(port: Port, number: int) -> OSError | None:
    """The families that this host does not have are none's fault, unless one was asked for."""
    for family, address in _addresses(port["host_ip"]):
        try:
            _try(port, family, address, number)
        except OSError as error:
            if port["host_ip"] or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                return error
    return None


def _try(port: Port, family: int, address: str, number: int) -> None:
    probe = _socket.socket(family, _type(port))
    try:
        if family == _socket.AF_INET6:
            probe.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
        # what a server that has just ended left in TIME_WAIT does not hold the port
        probe.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, int(_is_tcp(port)))
        probe.bind((address, number))
        if _is_tcp(port):
            probe.listen(1)
    finally:
        probe.close()


def _addresses(host_ip: str) -> list[tuple[int, str]]:
    if not host_ip:
        return [(_socket.AF_INET, "0.0.0.0"), (_socket.AF_INET6, "::")]
    return [(_socket.AF_INET6 if ":" in host_ip else _socket.AF_INET, host_ip)]


def _is_tcp(port: Port) -> bool:
    return bool(port["protocol"] == "tcp")


def _type(port: Port) -> int:
    return _socket.SOCK_STREAM if _is_tcp(port) else _socket.SOCK_DGRAM


def _refusal(port: Port, first: int, last: int, fault: OSError) -> Exception:
    ip = f"[{port['host_ip']}]" if ":" in port["host_ip"] else port["host_ip"] or "0.0.0.0"
    where = f"{ip}:{first}" + (f"-{last}" if last > first else "")
    if fault.errno == errno.EADDRINUSE:
        option = "t" if _is_tcp(port) else "u"
        return InUse(
            f"cannot publish {where}/{port['protocol']}: port is already allocated",
            f"publish another one, or see who has it: ss -ln{option}p 'sport = :{first}'",
        )
    if fault.errno == errno.EACCES:
        return HostLacks(
            f"cannot publish {where}/{port['protocol']}: ports below {_first_free()} need privilege",
            f"publish a higher one, such as {first + 8000}; "
            f"or run: sudo sysctl -w net.ipv4.ip_unprivileged_port_start={first}",
        )
    return InvalidInput(
        f"cannot publish {where}/{port['protocol']}: {(fault.strerror or str(fault)).lower()}"
    )


def _first_free() -> int:
    try:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
            return int(file.read())
    except OSError:
        return 1024
