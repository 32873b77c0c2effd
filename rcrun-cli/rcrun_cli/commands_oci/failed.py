"""rcrun-oci __failed, __start-failed: what the shim runs when a launch failed and nobody waits for the report."""

from __future__ import annotations

from rcrun_cli import oci
from rcrun_cli.declare import argument, command


@command("__failed", hidden=True)
@argument("container")
@argument("report")
@argument("plan_fd", type=int)
def failed(container: str, report: str, plan_fd: int) -> int:
    """Tell why a foreground launch failed, and remove what is left of the container."""
    from rcrun.kernel.shim import decode_plan
    from rcrun.runtime.create import failure

    with open(plan_fd, "rb") as file:
        plan = decode_plan(file.read())
    failed_one = oci.container(container) if container else None
    error = failure(plan, report, failed_one)
    if failed_one is not None:
        failed_one.forget()
    oci.complain(error.message, error.hint)
    return 1


@command("__start-failed", hidden=True)
@argument("container")
@argument("report")
def start_failed(container: str, report: str) -> None:
    """Tell why a created container could not be started."""
    from rcrun.kernel.shim import decode_report
    from rcrun.runtime.lifecycle import start_failure

    decoded = decode_report(bytes.fromhex(report))
    if decoded is not None:
        raise start_failure(oci.container(container), decoded)
