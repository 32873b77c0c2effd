"""--secret: what of a container's mounts and environment comes from secrets. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats import secretflag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.config_mounts import Mounts
    from rcrun.engine.facts import Facts
    from rcrun.formats.secretflag import SecretRequest


class SecretUse:
    """A secret of the store, and the file of the container's directory that becomes its copy."""

    __slots__ = ("file", "request", "secret_id")

    def __init__(self, request: SecretRequest, secret_id: str, file: str) -> None:
        self.request = request
        self.secret_id = secret_id
        self.file = file

    def record(self) -> dict[str, Any]:
        """For inspect and the start; never the content."""
        request = self.request
        return {
            "id": self.secret_id,
            "name": request.name,
            "type": request.kind,
            "target": request.target,
            "uid": request.uid or 0,
            "gid": request.gid or 0,
            "mode": request.mode,
            "file": self.file,
        }


def add_secrets(result: Mounts, flags: Sequence[str], facts: Facts, taken: set[str]) -> None:
    """Each mounted one is bound, read-only, on a small tmpfs: so that the root, and a commit, have no trace of it."""
    places = set(taken)
    for number, flag in enumerate(flags):
        request = secretflag.parse(flag)
        record = facts.secret(request.name)
        request.name = str(record["name"])  # it may have been named by its id
        use = SecretUse(request, str(record["id"]), f"secrets/{number}")
        result.secrets.append(use)
        if request.kind == "mount":
            if request.target in places:
                raise InvalidInput(f'two mounts have the destination "{request.target}"')
            places.add(request.target)
            _add_mount(result, request.target, f"{facts.container_dir}/{use.file}", taken)


def _add_mount(result: Mounts, target: str, source: str, taken: set[str]) -> None:
    place = secretflag.PLACE
    made = {entry["destination"] for entry in result.documents}
    if target.startswith(f"{place}/") and place not in taken | made:
        words = ["nosuid", "noexec", "nodev", "mode=755", "size=64k"]
        result.documents.append(
            {"destination": place, "type": "tmpfs", "source": "tmpfs", "options": words}
        )
    words = ["bind", "ro", "nosuid", "noexec", "nodev", "rprivate"]
    result.documents.append(
        {"destination": target, "type": "bind", "source": source, "options": words}
    )
