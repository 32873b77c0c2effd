"""The text of a container's /etc/hosts. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# The names under which programs look for the host; docker's and podman's.
HOST_NAMES = "host.docker.internal host.containers.internal"
GATEWAY = "host-gateway"
# Instead of the host's address while it has none: nobody answers there, but the container starts.
OFFLINE = "10.0.2.2"
_LOCAL = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


def parse_added(text: str, host_address: str) -> tuple[str, str]:
    """`NAME:ADDRESS` or `NAME=ADDRESS` of --add-host: name and address; `host-gateway` is the host. `ONE;OTHER` are two names."""
    name, separator, address = _split(text)
    name = " ".join(name.split(";"))
    address = address.removeprefix("[").removesuffix("]")
    if address == GATEWAY:
        if not host_address:
            raise InvalidInput(
                f'invalid --add-host "{text}": the host cannot be reached from this network'
            )
        return name, host_address
    if not separator or not name or not _is_address(address):
        raise InvalidInput(f'invalid --add-host "{text}"', "write NAME:ADDRESS")
    return name, address


def _split(text: str) -> tuple[str, str, str]:
    equals, colon = text.find("="), text.find(":")
    return text.partition("=" if 0 <= equals < colon or colon < 0 else ":")


def _is_address(text: str) -> bool:
    import _socket

    try:
        _socket.inet_pton(_socket.AF_INET6 if ":" in text else _socket.AF_INET, text)
    except OSError:
        return False
    return True


def text(
    names: Sequence[str],
    *,
    address: str = "127.0.0.1",
    host_address: str = "",
    added: Sequence[tuple[str, str]] = (),
) -> str:
    """Local names, the added ones, the host's names where it can be reached, and the container's own."""
    lines = [f"{number}\t{name}\n" for name, number in added]
    if host_address:
        lines.append(f"{host_address}\t{HOST_NAMES}\n")
    own = " ".join(dict.fromkeys(name for name in names if name))
    if own:
        lines.append(f"{address}\t{own}\n")
    return _LOCAL + "".join(lines)


def with_host_address(hosts: str, address: str) -> str:
    """The same text with the host under its present address; without one its names stay as they were."""
    lines = hosts.splitlines(keepends=True)
    if not address:
        return hosts
    return "".join(
        f"{address}\t{HOST_NAMES}\n" if line.endswith(f"\t{HOST_NAMES}\n") else line
        for line in lines
    )


def with_host(hosts: str, address: str) -> str:
    """The same, of a container whose networks change: without an address the host cannot be reached."""
    line = f"\t{HOST_NAMES}\n"
    if not address:
        return "".join(each for each in hosts.splitlines(keepends=True) if not each.endswith(line))
    return with_host_address(hosts, address) if line in hosts else f"{hosts}{address}{line}"


def with_own_addresses(hosts: str, names: str, addresses: Sequence[str]) -> str:
    """The same text with these addresses for the container's own names, in the place of those that it had.

    Without a network they are its own all the same.
    """
    addresses = addresses or ["127.0.0.1"]
    kept = [line for line in hosts.splitlines(keepends=True) if not line.endswith(f"\t{names}\n")]
    return "".join([*kept, *[f"{address}\t{names}\n" for address in addresses]])


def host_text(hosts: str, added: Sequence[tuple[str, str]] = (), address: str = "127.0.0.1") -> str:
    """For the host's own network: what the host has, and the added names."""
    ending = "" if not hosts or hosts.endswith("\n") else "\n"
    lines = [f"{number}\t{name}\n" for name, number in added]
    if address:
        lines.append(f"{address}\t{HOST_NAMES}\n")
    return hosts + ending + "".join(lines)
