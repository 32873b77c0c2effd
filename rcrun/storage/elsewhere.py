"""Containers that may run where we cannot see them: on another host that shares the store, or with another live state."""

from __future__ import annotations

import os

from rcrun.errors import WrongState
from rcrun.storage.containers import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.storage.containers import Container


def require_here(container: Container, verb: str, *, force: bool = False, hint: str = "") -> None:
    """Of one that was launched, and of which no end is known. `force` is for a host that is gone."""
    record = container.record
    live, host = str(record.get("live") or ""), str(record.get("host") or "")
    if record.get("boot") == boot_id():
        if not live or live == container.store.live_dir:
            return
        if os.path.exists(f"{live}/containers/{container.id}/state.json"):
            raise WrongState(
                f'cannot {verb} container "{container.name}": it runs with its live state in "{live}", and this is "{container.store.live_dir}"',
                f"run: RCRUN_RUNROOT={live} rcrun {verb.partition(' ')[0].replace('remove', 'rm')} {container.name}",
            )
    elif not force and host not in ("", os.uname().nodename):
        raise WrongState(
            f'cannot {verb} container "{container.name}": it was started on host "{host}", and may run there',
            f"do it there; if that host is gone: {hint}",
        )
