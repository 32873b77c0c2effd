"""What rcrun-oci knows of its containers: one directory each below its root (docs/store.md, "Live state")."""

from __future__ import annotations

import os

from rcrun import files
from rcrun.errors import InvalidInput, NotFound
from rcrun.kernel import process as processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.formats.spec import Spec

_ID_EXTRA = str.maketrans("", "", "_+-.")


def check_id(container_id: str) -> str:
    """The id itself: letters, digits and _+-. as the reference runtimes have it."""
    rest = container_id.translate(_ID_EXTRA)
    plain = rest.isascii() and (rest.isalnum() or not rest)
    if not container_id or not plain or container_id[0] in ".-":
        raise InvalidInput(
            f'invalid character in the container ID "{container_id}", or none at all',
            "begin with a letter or digit; further characters are letters, digits and _ + - .",
        )
    if len(container_id) > 255:
        raise InvalidInput(
            f'invalid container ID "{container_id[:40]}…": it has over 255 characters'
        )
    return container_id


class Container:
    """The directory of one container; nothing is read before it is asked for."""

    __slots__ = ("dir", "id")

    def __init__(self, root_dir: str, container_id: str) -> None:
        self.id = check_id(container_id)
        self.dir = f"{root_dir}/{container_id}"

    @property
    def config_path(self) -> str:
        return f"{self.dir}/config.json"

    @property
    def record_path(self) -> str:
        return f"{self.dir}/runtime.json"

    @property
    def state_path(self) -> str:
        return f"{self.dir}/state.json"

    @property
    def plan_path(self) -> str:
        return f"{self.dir}/plan"

    @property
    def front_path(self) -> str:
        return f"{self.dir}/front"

    @property
    def start_socket(self) -> str:
        return f"{self.dir}/start.sock"

    @property
    def lock_path(self) -> str:
        return f"{self.dir}/lock"

    def lock(self) -> files.Lock:
        return files.Lock(self.lock_path)

    def record(self) -> dict[str, Any]:
        """What `create` noted: bundle, created, owner, rootfs."""
        record: dict[str, Any] | None = files.read_json_or_none(self.record_path)
        if record is None:
            raise NotFound(f'container "{self.id}" does not exist')
        return record

    def config(self) -> Spec:
        spec: Spec = files.read_json(self.config_path)
        return spec

    def init(self) -> tuple[int, int] | None:
        """pid and start time of the init that lives, or None."""
        state = files.read_json_or_none(self.state_path)
        if state is None or not processes.is_alive(state["pid"], state["pid_start"]):
            return None
        return state["pid"], state["pid_start"]

    def status(self) -> str:
        """One of runtime.md's words; raises NotFound."""
        self.record()
        if self.init() is not None:
            if os.path.lexists(self.start_socket):
                return "created"
            return "paused" if self._is_frozen() else "running"
        if os.path.lexists(self.state_path):
            return "stopped"
        return "creating" if self._is_locked() else "stopped"

    def cgroup(self) -> str:
        """Its own group; "" when it was made without one."""
        path: str = self.record().get("cgroup") or ""
        return path

    def resctrl_helpers(self, spec: Spec) -> list[list[str]]:
        """What puts a process into the container's class of service, if it has one."""
        if (spec.get("linux") or {}).get("intelRdt") is None:
            return []
        from rcrun.cgroup import resctrl

        return resctrl.helper_records(self.record()["resctrl"]["tasks"])

    def _is_frozen(self) -> bool:
        path = self.cgroup()
        if not path:
            return False
        from rcrun.runtime import groups

        return groups.is_frozen(path)

    def _is_locked(self) -> bool:
        """Whoever creates the container holds its lock until the state file is there."""
        lock = files.Lock(self.lock_path, shared=True)
        try:
            free = lock.acquire(wait=False)
        except FileNotFoundError:
            return False
        lock.release()
        return not free

    def oci_state(self, *, status: str = "") -> dict[str, Any]:
        """The state document of runtime.md in runc's order of members; `pid` is 0 when nothing runs."""
        record, init = self.record(), self.init()
        return {
            "ociVersion": record["ociVersion"],
            "id": self.id,
            "pid": init[0] if init else 0,
            "status": status or self.status(),
            **_rest_of_state(record),
        }

    def state_halves(self, record: Mapping[str, Any]) -> tuple[str, str]:
        """The text of the state before and after `pid` and `status`."""
        before = files.dump_json({"ociVersion": record["ociVersion"], "id": self.id}, ordered=False)
        return f"{before[:-1]},", f",{files.dump_json(_rest_of_state(record), ordered=False)[1:]}"

    def forget(self) -> None:
        """The cgroup, the class of service, and all files."""
        record = files.read_json_or_none(self.record_path) or {}
        if record.get("cgroup"):
            from rcrun.runtime import groups

            groups.remove(record["cgroup"])
        if record.get("scope"):
            from rcrun.runtime import scopes

            scopes.stop(record["scope"], record["cgroup"])
        if record.get("resctrl"):
            from rcrun.cgroup import resctrl

            resctrl.remove(record["resctrl"]["made"])
        self.remove()

    def remove(self) -> None:
        """All files of a container that has stopped; flat, so two calls at once do no harm."""
        for name in files.subdirectories(self.dir):
            files.unlink_if_there(f"{self.dir}/{name}")
        try:
            os.rmdir(self.dir)
        except FileNotFoundError:
            pass


def _rest_of_state(record: Mapping[str, Any]) -> dict[str, Any]:
    """What never changes."""
    state = {name: record[name] for name in ("bundle", "rootfs", "created", "owner")}
    if record.get("scope"):
        state["systemd-scope"] = record["scope"]["unit"]  # as crun has it
    if record.get("annotations"):
        state["annotations"] = record["annotations"]
    return state


def containers(root_dir: str) -> list[Container]:
    """All of them, by id; half-made ones that have no record yet are left out."""
    found = [Container(root_dir, name) for name in sorted(files.subdirectories(root_dir))]
    return [container for container in found if os.path.lexists(container.record_path)]
