"""A container whose command is a systemd, or another init: what such a one counts on, as podman gives it. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats.signals import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.facts import Facts
    from rcrun.engine.options import Options
    from rcrun.formats.image import ContainerConfig
    from rcrun.formats.spec import Mount, Spec

_INITS = ("/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init")
_OWN = ("/run", "/run/lock", "/tmp", "/var/log/journal")  # file systems of its own
_CGROUP = "/sys/fs/cgroup"
_MODES = {"": "true", "1": "true", "t": "true", "0": "false", "f": "false"}


def is_asked(options: Options, words: Sequence[str]) -> bool:
    """`--systemd true` looks at the command, which podman's builds may have put behind a shell."""
    mode = str(options.get("systemd") or "").lower()
    mode = _MODES.get(mode, mode)
    if mode not in ("true", "false", "always"):
        raise InvalidInput(f'invalid --systemd "{options["systemd"]}"', "use true, false or always")
    if mode != "true":
        return mode == "always"
    first = words[2] if len(words) > 2 and list(words[:2]) == ["/bin/sh", "-c"] else words[0]
    return first in _INITS or first.rpartition("/")[2] == "systemd"


def add(
    options: Options, image: ContainerConfig, facts: Facts, config: Spec, record: dict[str, Any]
) -> None:
    """Into config.json and container.json, which have everything else already."""
    for path in _OWN:
        _add_tmpfs(config["mounts"], path)
    for mount in config["mounts"]:
        if mount["destination"] == _CGROUP and mount.get("type") == "cgroup":
            mount["options"] = ["rw" if word == "ro" else word for word in mount["options"]]
    env = config["process"]["env"]
    if not any(word.startswith("container_uuid=") for word in env):
        env.append(f"container_uuid={facts.container_id[:32]}")
    if not options.get("stop_signal") and not image.get("StopSignal"):
        record["stop_signal"] = parse("RTMIN+3")
    record["systemd"] = str(options.get("systemd") or "true").lower()


def _add_tmpfs(mounts: list[Mount], path: str) -> None:
    """Before what lies beneath it; not where something else was asked for."""
    if any(mount["destination"] == path for mount in mounts):
        return
    beneath = [at for at, row in enumerate(mounts) if row["destination"].startswith(f"{path}/")]
    words = ["nosuid", "nodev", "tmpcopyup", "mode=1777" if path == "/tmp" else "mode=755"]
    made: Mount = {"destination": path, "type": "tmpfs", "source": "tmpfs", "options": words}
    mounts.insert(min(beneath, default=len(mounts)), made)
