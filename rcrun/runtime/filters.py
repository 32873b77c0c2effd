"""The seccomp filter of a configuration as a descriptor that the shim reads."""

from __future__ import annotations

import os

from rcrun.files import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.formats.spec import Spec


def filter_fd(spec: Spec) -> int | None:
    """A memfd with the program that `linux.seccomp` describes; None when it describes none."""
    asked = (spec.get("linux") or {}).get("seccomp")
    if not asked:
        return None
    from rcrun.kernel import seccomp

    program = seccomp.compile_filter(asked)
    fd = os.memfd_create("rcrun-seccomp", os.MFD_CLOEXEC)
    try:
        write_all(fd, program)
    except BaseException:
        os.close(fd)
        raise
    return fd
