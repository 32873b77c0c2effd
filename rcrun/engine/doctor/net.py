"""The network: the device and the programs that make it, routes, names, ports, ping."""

from __future__ import annotations

import _socket
import errno
import os

from rcrun.engine.doctor.finding import fine, limited
from rcrun.files import read_text
from rcrun.network import resolv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.engine.doctor.finding import Finding
    from rcrun.engine.doctor.here import Here
    from rcrun.errors import HostLacks
    from rcrun.runtime.hints_host import HostFacts

PORTS = "net.ipv4.ip_unprivileged_port_start"
PING = "net.ipv4.ping_group_range"
NO_NETWORK = "containers start with --network=host or --network=none only"
DNS_SECONDS = 1.0
# A question for the name servers of the root, which every server can answer (RFC 1035, 4.1).
QUESTION = b"rc\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01"


def try_tun(here: Here) -> Finding:
    from rcrun.errors import HostLacks
    from rcrun.network.helpers import require_tun

    try:
        require_tun()
    except HostLacks as error:
        return judge_tun(error)
    return judge_tun(None)


def judge_tun(error: HostLacks | None) -> Finding:
    if error is None:
        return fine("/dev/net/tun can be used")
    return limited(
        "/dev/net/tun cannot be used",
        means=NO_NETWORK,
        why=error.message.rpartition(": ")[2],
        hint=error.hint or "",
    )


def judge_helper(name: str, path: str, fault: str, other_works: bool, facts: HostFacts) -> Finding:
    """`fault`: what a container said that was to have its network from this program; empty when it ran."""
    package = {"pasta": "passt"}.get(name, name)
    if path and not fault:
        return fine(f"makes the network of a container ({path})")
    if not path and other_works:
        if name == "slirp4netns":
            return fine("not installed, and not needed beside pasta")
        means = "slirp4netns makes the network, which is slower"
    else:
        means = "the other one makes the network" if other_works else NO_NETWORK
    return limited(
        "cannot make a network" if path else "not installed",
        means=means,
        why=fault if path else "",
        hint="" if path else f"run: {facts.install_command(package)}",
    )


def try_route(here: Here) -> Finding:
    from rcrun.network.route import own_addresses

    return judge_route(*own_addresses())


def judge_route(ip4: str, ip6: str) -> Finding:
    if ip4 and ip6:
        return fine(f"to the world by IPv4 and IPv6, from {ip4}")
    if ip4 or ip6:
        return fine(f"to the world by {'IPv4' if ip4 else 'IPv6'}, from {ip4 or ip6}")
    return limited(
        "there is no default route",
        means="containers reach this host only, and no image can be pulled",
        why="the kernel knows no way to an address elsewhere",
        hint="see: ip route",
    )


def try_dns(here: Here) -> Finding:
    text = read_text("/etc/resolv.conf")
    servers = resolv.parse(text).servers
    silent = servers[:1] if servers and not answers(servers[0]) else []
    return judge_dns(servers, silent)


def answers(server: str) -> bool:
    family = _socket.AF_INET6 if ":" in server else _socket.AF_INET
    try:
        probe = _socket.socket(family, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    except OSError:
        return False
    try:
        probe.settimeout(DNS_SECONDS)
        probe.connect((server.partition("%")[0], 53))
        probe.send(QUESTION)
        return bool(probe.recv(512))
    except OSError:
        return False
    finally:
        probe.close()


def judge_dns(servers: Sequence[str], silent: Sequence[str]) -> Finding:
    if not servers:
        return limited(
            "/etc/resolv.conf names no server",
            means="neither rcrun nor containers find hosts by name: no image can be pulled",
            hint="name one for containers with --dns ADDRESS, and one for this host in /etc/resolv.conf",
        )
    if silent:
        return limited(
            f"{silent[0]} does not answer",
            means="names are found late or not at all, here and in containers",
            why=f"no answer to a question for the root's name servers within {DNS_SECONDS:.0f} second",
            hint="correct /etc/resolv.conf, or name another for a container: --dns ADDRESS",
        )
    if all(resolv.is_local(server) for server in servers):
        return fine(f"{servers[0]} answers; containers ask it through their network")
    return fine(f"{servers[0]} answers")


def try_ports(here: Here) -> Finding:
    return judge_ports(low_port_error(), here.facts.sysctl(PORTS), is_root=here.uid == 0)


def low_port_error(port: int = 80) -> int:
    """errno of taking it; somebody else's having it is no fault."""
    probe = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        probe.bind(("127.0.0.1", port))
    except OSError as error:
        return 0 if error.errno == errno.EADDRINUSE else error.errno or errno.EACCES
    finally:
        probe.close()
    return 0


def judge_ports(error: int, first: str, *, is_root: bool) -> Finding:
    if not error:
        return fine("port 80 can be published")
    if is_root:
        return limited(
            "port 80 is refused", means="it cannot be published", why=os.strerror(error).lower()
        )
    return limited(
        f"ports below {first or 1024} are refused",
        means="-p 80:80 fails; publish another one: -p 8080:80",
        why=os.strerror(error).lower(),
        hint=f"run: sudo sysctl -w {PORTS}=80",
    )


def try_ping(here: Here) -> Finding:
    try:
        _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM, _socket.IPPROTO_ICMP).close()
        fault = ""
    except OSError as error:
        fault = (error.strerror or str(error)).lower()
    return judge_ping(fault, here.facts.sysctl(PING))


def judge_ping(fault: str, allowed: str) -> Finding:
    if not fault:
        return fine("is allowed")
    return limited(
        "is refused",
        means="ping fails for you, and in containers with --network=host; others have a network of their own",
        why=f"{fault}; {PING} is {' '.join(allowed.split()) or 'unknown'}",
        hint=f'run: sudo sysctl -w {PING}="0 2147483647"',
    )
