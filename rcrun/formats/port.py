"""Published ports: `-p [[IP:][HOST[-LAST]]:]CONTAINER[-LAST][/tcp|/udp]` and `--expose`."""

from __future__ import annotations

from rcrun.errors import InvalidInput

PROTOCOLS = ("tcp", "udp")


class Port:
    """One container port on the host; `host_port` 0: any free one; `host_last`: any free up to it."""

    __slots__ = ("container_port", "host_ip", "host_last", "host_port", "protocol")

    def __init__(
        self,
        host_ip: str,
        host_port: int,
        container_port: int,
        protocol: str = "tcp",
        host_last: int = 0,
    ) -> None:
        self.host_ip = host_ip
        self.host_port = host_port
        self.container_port = container_port
        self.protocol = protocol
        self.host_last = host_last

    def __str__(self) -> str:
        ip = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip
        host = str(self.host_port) if self.host_port else ""
        if self.host_last:
            host += f"-{self.host_last}"
        start = f"{ip}:{host}:" if ip else f"{host}:" if host else ""
        return f"{start}{self.container_port}/{self.protocol}"

    def document(self) -> dict[str, str | int]:
        """As container.json has it."""
        known: dict[str, str | int] = {
            "host_ip": self.host_ip,
            "host_port": self.host_port,
            "container_port": self.container_port,
            "protocol": self.protocol,
        }
        return {**known, "host_last": self.host_last} if self.host_last else known


def parse(text: str) -> list[Port]:
    """A range becomes one Port each."""
    rest, protocol = _protocol(text, text)
    ip, host, container = _split(rest, text)
    first, last = _range(container, text)
    if not host:
        return [Port(ip, 0, port, protocol) for port in range(first, last + 1)]
    host_first, host_last = _range(host, text, least=0)
    if first == last and host_last > host_first:
        return [Port(ip, host_first, first, protocol, host_last)]
    if last - first != host_last - host_first:
        raise InvalidInput(f'invalid port "{text}": the two ranges differ in length')
    step = host_first - first
    if host_first == 0:
        return [Port(ip, 0, port, protocol) for port in range(first, last + 1)]
    return [Port(ip, port + step, port, protocol) for port in range(first, last + 1)]


def parse_exposed(text: str) -> list[tuple[int, str]]:
    """`80`, `80-90/udp`: container ports and their protocol."""
    rest, protocol = _protocol(text, text)
    first, last = _range(rest, text)
    return [(port, protocol) for port in range(first, last + 1)]


def _protocol(rest: str, text: str) -> tuple[str, str]:
    rest, slash, protocol = rest.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if protocol == "sctp":
        raise InvalidInput(
            f'cannot publish port "{text}": sctp has no user-space forwarder; use tcp or udp'
        )
    if protocol not in PROTOCOLS:
        raise InvalidInput(f'invalid port "{text}": the protocol "{protocol}" is not tcp or udp')
    return rest, protocol


def _split(rest: str, text: str) -> tuple[str, str, str]:
    """IP, host part and container part."""
    ip = ""
    if rest.startswith("["):
        ip, bracket, rest = rest[1:].partition("]:")
        if not bracket:
            raise InvalidInput(f'invalid port "{text}"', "write [ADDRESS]:HOST:CONTAINER for IPv6")
    host, _, container = rest.rpartition(":")
    if not ip and ":" in host:
        ip, _, host = host.partition(":")
    if ":" in host:
        raise InvalidInput(
            f'invalid port "{text}": too many colons', "an IPv6 address is written [::1]"
        )
    return (_checked_ip(ip, text) if ip else ""), host, container


def _checked_ip(ip: str, text: str) -> str:
    import _socket

    family = _socket.AF_INET6 if ":" in ip else _socket.AF_INET
    try:
        _socket.inet_pton(family, ip.partition("%")[0])
    except OSError:
        raise InvalidInput(f'invalid port "{text}": "{ip}" is not an IP address') from None
    return ip


def _range(word: str, text: str, least: int = 1) -> tuple[int, int]:
    first, dash, last = word.partition("-")
    low = _number(first, text, least)
    high = _number(last, text, least) if dash else low
    if high < low:
        raise InvalidInput(f'invalid port "{text}": the range "{word}" runs backwards')
    return low, high


def _number(word: str, text: str, least: int) -> int:
    if not (word.isascii() and word.isdigit()) or not least <= int(word) <= 65535:
        raise InvalidInput(f'invalid port "{text}": "{word}" is not a port number')
    return int(word)
