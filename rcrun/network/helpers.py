"""Who gives a container its network from outside: the `helper` records (docs/plan.md) for pasta, slirp4netns, or one after the other."""

from __future__ import annotations

import os

from rcrun.errors import HostLacks
from rcrun.network import pasta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Records = list[list[str]]

PID_FILE = "pasta.pid"
_INSTALL = {
    "pasta": "run: sudo apt-get install passt; or use --network host or --network none",
    "slirp4netns": "run: sudo apt-get install slirp4netns; or use the default network",
}
TUN = "/dev/net/tun"
INSTEAD = "rcrun: warning: pasta could not make the network, slirp4netns does it instead"

# pasta gives up the privilege by which root may open another process's namespace, but a mounted one anybody may.
_AS_ROOT = (
    'file=$1; shift; : >"$file" && mount --bind "$0" "$file" && "$@" --netns "$file"; '
    'status=$?; umount -l "$file"; exit $status'
)


class Surroundings:
    """What the records depend on beside the container: `host` as route.own_addresses() says it, and who we are."""

    __slots__ = ("as_root", "host", "programs")

    def __init__(
        self, programs: Callable[[str], str], host: tuple[str, str], *, as_root: bool
    ) -> None:
        self.programs = programs  # a name → a path, or ""
        self.host = host
        self.as_root = as_root


def helper_records(network: Mapping[str, Any], live_dir: str, around: Surroundings) -> Records:
    """The first that starts is kept. What the user named is not replaced by another."""
    chosen = network["mode"] if network.get("chosen") else ""
    pasta_path = around.programs("pasta") if chosen in ("", "pasta") else ""
    slirp_path = around.programs("slirp4netns") if chosen in ("", "slirp4netns") else ""
    if not pasta_path and not slirp_path:
        name = chosen or "pasta"
        raise HostLacks(f'cannot make a network: "{name}" is not installed', _INSTALL[name])
    records = [_pasta_record(network, live_dir, around, pasta_path)] if pasta_path else []
    if slirp_path:
        record = _slirp_record(network, live_dir, slirp_path, is_fallback=bool(pasta_path))
        records += [record] if record else []
    return records


def _pasta_record(
    network: Mapping[str, Any], live_dir: str, around: Surroundings, program: str
) -> list[str]:
    ports, options = network.get("bound") or [], network.get("options") or []
    pid_file = f"{live_dir}/{PID_FILE}"
    words = pasta.words(ports, options, around.host, pid_file=pid_file)
    if not around.as_root:
        return ["helper", pid_file, program, *words, "@PID@"]
    mounted = ["/bin/sh", "-c", _AS_ROOT, "/proc/@PID@/ns/net", f"{live_dir}/netns"]
    return ["helper", pid_file, *mounted, program, "--netns-only", "--runas", "0:0", *words]


def _slirp_record(
    network: Mapping[str, Any], live_dir: str, program: str, *, is_fallback: bool
) -> list[str] | None:
    from rcrun.network import slirp

    ports, options = network.get("bound") or [], network.get("options") or []
    if is_fallback and (options or not slirp.can_publish(ports)):
        return None  # pasta's options mean nothing to it
    head = ["helper"]
    if is_fallback:
        head = ["helper-else", INSTEAD]
    return [*head, f"{live_dir}/{PID_FILE}", *slirp.words(ports, options, live_dir, program)]


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
