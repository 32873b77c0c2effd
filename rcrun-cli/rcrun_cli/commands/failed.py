"""`rcrun __failed [--tries N] ID REPORT_HEX PLAN_FD`: the shim's last word when a foreground launch failed."""

from __future__ import annotations

import os

from rcrun.errors import RcrunError
from rcrun_cli import context
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.kernel.shim import Report


@command("__failed", hidden=True, failure_status=125)
@option("--tries", type=int, default=0, help="How often another port was chosen for it")
@argument("container_id")
@argument("report")
@argument("plan_fd", type=int)
def failed(container_id: str, report: str, plan_fd: int, tries: int) -> None:
    """Tell why a foreground launch failed, and clean up after it, or choose another port."""
    from rcrun.runtime.hints import error_for, is_of_client

    decoded = _decoded(report)
    plan: list[list[str]] = []
    if isinstance(decoded, RcrunError):
        error, launched = decoded, False
    else:
        plan = _plan(plan_fd)
        error, launched = error_for(plan, decoded), is_of_client(decoded)
    if container_id:
        from rcrun.engine.launchfailed import client_failed, foreground_failed

        if launched:
            client_failed(context.engine(), container_id, error)
        else:
            foreground_failed(context.engine(), container_id, error, plan, tries)
    raise error


def _decoded(report: str) -> Report | RcrunError:
    from rcrun.kernel import shim

    try:
        decoded = shim.decode_report(bytes.fromhex(report))
    except ValueError as fault:
        return RcrunError(f"the launch failed, and the reason was lost: {fault}")
    return decoded or RcrunError("the launch failed without a reason")


def _plan(fd: int) -> list[list[str]]:
    from rcrun.kernel.shim import decode_plan

    with open(fd, "rb", buffering=0) as file:
        os.lseek(fd, 0, os.SEEK_SET)
        return decode_plan(file.read())
