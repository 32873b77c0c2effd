"""A volatile overlay that is mounted again: of a --rm container that its restart policy, or `start`, starts once more. Cold."""

from __future__ import annotations

import os

from rcrun.errors import WrongState
from rcrun.files import unlink_if_there
from rcrun.storage.containers import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.storage.containers import Container


def allow_again(container: Container, work: str) -> None:
    """A volatile overlay is mounted once (overlayfs.rst): what it had written is whole as long as the host was not down."""
    if container.record.get("boot") != boot_id():
        raise WrongState(
            f'cannot use the files of container "{container.name}": the host went down while it ran, and they were to go '
            "at its end"
        )
    try:
        folder = work
        for name in ("work", "incompat", "volatile"):
            folder += f"/{name}"
            os.chmod(folder, 0o700)  # the kernel makes them without any right
        unlink_if_there(f"{folder}/dirty")
        os.rmdir(folder)
    except FileNotFoundError:
        pass
