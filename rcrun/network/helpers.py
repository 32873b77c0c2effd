"""Who gives a container its network from outside: the `helper` records (docs/plan.md) for pasta, slirp4netns, or one after the other."""

from __future__ import annotations

import os

from rcrun.errors import HostLacks
from rcrun.network import pasta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Records = list[list[str]]

PID_FILE = "pasta.pid"
TUN = "/dev/net/tun"
_INSTALL = {
    "pasta": "run: sudo apt-get install passt, or slirp4netns where there is none; or use --network host or none",
    "slirp4netns": "run: sudo apt-get install slirp4netns; or use the default network",
}
_INSTEAD = "rcrun: warning: {} could not make the network, {} does it instead"
# A word in the help of Ubuntu 24.04's and newer ones, but not of Debian 12's. That one completes a connection from
# another host only once the client has sent something, so whoever lets the server speak first (MySQL, ssh, mail) waits
# for ever; and it drops answers of UDP to the host's loopback, unless the port is the same on both sides.
_WORD_OF_BETTER_ONES = b"--no-copy-routes"

# pasta gives up the privilege by which root may open another process's namespace, but a mounted one anybody may.
# In /tmp, since that is where pasta's AppArmor profile lets it read and write for root.
_AS_ROOT = """
pid_file=$1 dir=$2; shift 2
umount -l "$dir/netns" 2>/dev/null; rm -rf "$dir"
mkdir -m 700 "$dir" && : >"$dir/netns" && mount --bind "$0" "$dir/netns" &&
    "$@" --netns "$dir/netns" --no-netns-quit --pid "$dir/pid" && cat "$dir/pid" >"$pid_file"
status=$?
umount -l "$dir/netns" 2>/dev/null; rm -rf "$dir"
exit $status
"""


class Surroundings:
    """What the records depend on beside the container: `host` as route.own_addresses() says it, and who we are.

    `forwards`: whether its resolv.conf names the forwarder. `options`: words for every program of that name; `preferred`
    is tried first.
    """

    __slots__ = ("as_root", "forwards", "host", "options", "preferred", "programs")

    def __init__(
        self,
        programs: Callable[[str], str],
        host: tuple[str, str],
        *,
        as_root: bool,
        forwards: bool = True,
        options: Mapping[str, Sequence[str]] | None = None,
        preferred: str = "",
    ) -> None:
        self.options = options or {}
        self.preferred = preferred
        self.programs = programs  # a name → a path, or ""
        self.host = host
        self.as_root = as_root
        self.forwards = forwards


def helper_records(network: Mapping[str, Any], live_dir: str, around: Surroundings) -> Records:
    """The first that starts is kept. What the user named is not replaced by another."""
    names = [network["mode"]] if network.get("chosen") else ["pasta", "slirp4netns"]
    names.sort(key=lambda name: name != around.preferred)
    paths = {name: path for name in names if (path := around.programs(name))}
    if not paths:
        name = names[0]
        raise HostLacks(f'cannot make a network: "{name}" is not installed', _INSTALL[name])
    words = {
        name: made
        for name, path in paths.items()
        if (made := _words(name, path, network, live_dir, around, is_only=len(paths) == 1))
    }
    order = list(words)
    if order[1:] == ["slirp4netns"] and not _publishes_well(
        network.get("bound") or [], paths["pasta"]
    ):
        order.reverse()
    pid_file = f"{live_dir}/{PID_FILE}"
    records = [["helper", pid_file, *words[order[0]]]]
    if len(order) > 1:
        records.append(["helper-else", _INSTEAD.format(*order), pid_file, *words[order[1]]])
    return records


def _words(
    name: str,
    program: str,
    network: Mapping[str, Any],
    live_dir: str,
    around: Surroundings,
    *,
    is_only: bool,
) -> list[str]:
    """Empty when it cannot do what another one can."""
    if name == "pasta":
        return _pasta_words(network, live_dir, around, program)
    from rcrun.network import slirp

    ports = network.get("bound") or []
    options = [*around.options.get(name, ()), *(network.get("options") or ())]
    if not is_only and not slirp.can_publish(ports):
        return []
    return slirp.words(ports, options, live_dir, program)


def _pasta_words(
    network: Mapping[str, Any], live_dir: str, around: Surroundings, program: str
) -> list[str]:
    ports = network.get("bound") or []
    options = [*around.options.get("pasta", ()), *(network.get("options") or ())]
    pid_file = f"{live_dir}/{PID_FILE}"
    words = pasta.words(ports, options, around.host, forwards=around.forwards)
    if not around.as_root:
        return [program, *words, "--pid", pid_file, "@PID@"]
    folder = _folder_as_root(live_dir)
    mounted = ["/bin/sh", "-c", _AS_ROOT, "/proc/@PID@/ns/net", pid_file, folder]
    return [*mounted, program, "--netns-only", "--runas", "0:0", *words]


def _folder_as_root(live_dir: str) -> str:
    return f"/tmp/rcrun-pasta-{os.path.basename(live_dir)}"


def pid_files(live_dir: str) -> tuple[str, str]:
    """The words after `--pid`: of a user's pasta, of root's."""
    return f"{live_dir}/{PID_FILE}", f"{_folder_as_root(live_dir)}/pid"


def _publishes_well(ports: Sequence[Mapping[str, Any]], pasta_path: str) -> bool:
    """From its text, since its version does not say, and starting it to ask takes as long as the network."""
    if all(p["protocol"] == "udp" and p["host_port"] == p["container_port"] for p in ports):
        return True
    try:
        with open(pasta_path, "rb") as file:
            return _WORD_OF_BETTER_ONES in file.read()
    except OSError:
        return True


def require_tun(path: str = TUN) -> None:
    """Before the start, since what pasta and slirp4netns say about it is not the cause."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        hint = "load its module: sudo modprobe tun; in an outer container: --device /dev/net/tun"
        raise _no_tun(path, "no such device", hint) from None
    except OSError as error:
        hint = f"let everybody use it, which gives no right over the host: sudo chmod 666 {path}"
        raise _no_tun(path, (error.strerror or str(error)).lower(), hint) from error


def _no_tun(path: str, reason: str, hint: str) -> HostLacks:
    return HostLacks(
        f'cannot make a network: "{path}": {reason}',
        f"{hint}; or use --network host or --network none",
    )
