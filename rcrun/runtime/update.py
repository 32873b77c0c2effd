"""`update` of the OCI command line: other limits for a container that exists."""

from __future__ import annotations

import os

from rcrun import files
from rcrun.errors import HostLacks
from rcrun.runtime import groups, plan_resources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.runtime.state import Container


def update(container: Container, resources: Mapping[str, Any]) -> None:
    """Set them, and keep them in the container's configuration. What is not named stays."""
    plan_resources.check(resources)
    container.record()
    with container.lock():
        record = container.record()
        path = record.get("cgroup")
        if not path:
            raise HostLacks(
                f'cannot limit container "{container.id}": it has no cgroup of its own',
                "log in with systemd (cgroup v2), or create it with: systemd-run --user --scope -p Delegate=yes",
            )
        if record.get("scope"):
            from rcrun.runtime import scopes

            scopes.update(record["scope"], path, resources)
        else:
            groups.limit(path, resources)
        spec = container.config()
        linux = spec.setdefault("linux", {})
        linux["resources"] = merged(linux.get("resources") or {}, resources)
        if resources.get("devices"):
            groups.Devices(spec, root=os.geteuid() == 0).attach(path)
        files.write_json(container.config_path, spec, durable=False)


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """`new` over `old`, one section's field after the other."""
    found = dict(old)
    for section, value in new.items():
        before = found.get(section)
        if isinstance(value, dict) and isinstance(before, dict):
            found[section] = {**before, **value}
        else:
            found[section] = value
    return found
