"""The seccomp filter of a configuration: a descriptor that the shim reads, and what its agent is told."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.formats.spec import Spec


def filter_fd(spec: Spec) -> int | None:
    """The program that `linux.seccomp` describes; None when it describes none. The caller closes it."""
    asked = (spec.get("linux") or {}).get("seccomp")
    if not asked:
        return None
    from rcrun.kernel import seccomp

    return seccomp.filter_fd(asked)
