"""Steps that the shim does for us as root of a user namespace, without a container."""

from __future__ import annotations

from rcrun.kernel.identity import namespace_records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.kernel.identity import Identity


def work_plan(
    identity: Identity, steps: Sequence[list[str]], *, mount: bool = False
) -> list[list[str]]:
    types = [] if identity.kind == "root" else ["user"]
    if mount:
        types.append("mount")
    return [
        ["plan", "1"],
        ["session", "work"],
        *namespace_records(identity),
        *([["unshare", ",".join(types)]] if types else []),
        *steps,
    ]
