"""A process in a running container → plan. Pure."""

from __future__ import annotations

from rcrun.runtime import plan_process
from rcrun.runtime.plan import id_of
from rcrun.runtime.plan_namespaces import Namespaces, complete

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rcrun.formats.spec import Process, Spec
    from rcrun.runtime.host import Host


def exec_plan(
    process: Process,
    spec: Spec,
    pid: int,
    start: int,
    host: Host,
    *,
    settings: Iterable[Sequence[str]] = (),
    seccomp_fd: int | None = None,
    bundle_dir: str = "",
) -> list[list[str]]:
    """`process` in the container of `spec` whose init is `pid`, started at `start`.

    What `process` does not say is not taken from the container's own process: that is the caller's choice.
    """
    spec = complete(spec, host)
    namespaces = Namespaces(spec)
    given = [list(record) for record in settings]
    agent = plan_process.agent_text(spec, id_of(given), bundle_dir)
    return [
        ["plan", "1"],
        ["session", "exec"],
        *given,
        *plan_process.terminal_records(process),
        *plan_process.agent_records(spec),
        ["join-pid", str(pid), str(start), ",".join(namespaces.kinds())],
        # `ready`: go on when the parent has given the terminal its size
        *([["console"], ["ready"]] if process.get("terminal") else []),
        *plan_process.affinity_records(process),
        *plan_process.limit_records(process, spec, host),
        *plan_process.privilege_records(process, spec, namespaces, host, seccomp_fd, agent),
        *plan_process.command_records(process),
    ]
