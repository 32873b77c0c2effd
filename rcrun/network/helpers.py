"""The command lines of pasta and slirp4netns, which give a container its network from outside. Mostly pure."""

from __future__ import annotations

import os

from rcrun.errors import HostLacks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Port = Mapping[str, Any]

DNS_FORWARD = "169.254.1.1"
MAP_GUEST = "169.254.1.2"  # the host itself, where pasta can map it
INSTALL_HINT = (
    "run: sudo apt-get install passt (dnf install passt); or use --network host or --network none"
)


# pasta gives up the privilege by which root may open another process's namespace, but a mounted one anybody may.
_AS_ROOT = (
    'file=$1; shift; : >"$file" && mount --bind "$0" "$file" && "$@" --netns "$file"; '
    'status=$?; umount -l "$file"; exit $status'
)


def helper_records(
    network: Mapping[str, Any], live_dir: str, environ: Mapping[str, str], *, as_root: bool = False
) -> list[list[str]]:
    """The `helper` record (docs/plan.md) of a container's network."""
    mode = network["mode"]
    program = find_program(mode, environ.get("PATH", ""))
    if not program:
        raise HostLacks(f'cannot make a network: "{mode}" is not installed', INSTALL_HINT)
    pid_file = f"{live_dir}/pasta.pid"
    ports, options = network.get("bound") or [], network.get("options") or []
    if mode == "slirp4netns" and ports:
        raise HostLacks("cannot publish ports with slirp4netns", INSTALL_HINT)
    if mode == "slirp4netns":
        return [["helper", pid_file, program, *slirp_words(options), "@PID@", "tap0"]]
    words = pasta_words(pid_file, ports, options)
    if not as_root:
        return [["helper", pid_file, program, *words, "@PID@"]]
    mounted = ["/bin/sh", "-c", _AS_ROOT, "/proc/@PID@/ns/net", f"{live_dir}/netns"]
    return [["helper", pid_file, *mounted, program, "--netns-only", "--runas", "0:0", *words]]


def find_program(name: str, search: str) -> str:
    for folder in [*search.split(":"), "/usr/bin", "/usr/local/bin"]:
        path = f"{folder}/{name}"
        if folder.startswith("/") and os.access(path, os.X_OK):
            return path
    return ""


def pasta_words(pid_file: str, ports: Sequence[Port], options: Sequence[str]) -> list[str]:
    """Only what every pasta since 2023 has: no ports but the published ones, in neither direction."""
    return [
        "--config-net",
        "--quiet",
        "--no-map-gw",
        "--dns-forward", DNS_FORWARD,
        "--pid", pid_file,
        *_port_words("-t", "tcp", ports),
        *_port_words("-u", "udp", ports),
        "-T", "none",
        "-U", "none",
        *options,
    ]  # fmt: skip


def _port_words(option: str, protocol: str, ports: Sequence[Port]) -> list[str]:
    words = []
    for port in ports:
        if port["protocol"] == protocol:
            address = f"{port['host_ip']}/" if port["host_ip"] not in ("", "0.0.0.0", "::") else ""
            words += [option, f"{address}{port['host_port']}:{port['container_port']}"]
    return words or [option, "none"]


def slirp_words(options: Sequence[str]) -> list[str]:
    return ["--configure", "--mtu=65520", "--disable-host-loopback", "--ready-fd=@READY@", *options]
