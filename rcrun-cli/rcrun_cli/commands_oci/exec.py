"""rcrun-oci exec."""

from __future__ import annotations

from rcrun_cli import oci
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.formats.spec import Process, Spec


@command(
    "exec",
    interspersed=False,
    epilog="As crun has it: Usage: crun [OPTION...] exec CONTAINER cmd",
)
@option("-t", "--tty", is_flag=True, help="Give the process a terminal")
@option("-d", "--detach", is_flag=True, help="Do not wait for the process")
@option("-u", "--user", default="", metavar="UID[:GID]", help="Run as this user")
@option("-g", "--additional-gids", multiple=True, type=int, metavar="GID", help="Add this group")
@option("-e", "--env", multiple=True, metavar="NAME=VALUE", help="Set an environment variable")
@option("--cwd", default="", metavar="DIR", help="Run in this directory")
@option("-c", "--cap", multiple=True, metavar="CAP", help="Add a capability")
@option("--no-new-privs", is_flag=True, help="Deny it more privileges than it begins with")
@option("--apparmor", default="", metavar="PROFILE", help="Confine it with this AppArmor profile")
@option("--process-label", default="", metavar="LABEL", help="Give it this SELinux label")
@option(
    "-p", "--process", "process_file", default="", metavar="FILE", help="Take it from process.json"
)
@option("--console-socket", default="", metavar="PATH", help="Send the terminal to this socket")
@option("--pid-file", default="", metavar="FILE", help="Write its pid here")
@option("--pidfd-socket", default="", metavar="PATH", help="Send a pidfd of it to this socket")
@option("--preserve-fds", default=0, metavar="N", help="Pass N more descriptors, from 3 on")
@option("--cgroup", default="", metavar="PATH", help="Run in this cgroup below the container's")
@option("--ignore-paused", is_flag=True, help="Also when the container is paused")
@argument("container", metavar="CONTAINER")
@argument("args", nargs=-1, metavar="[COMMAND]...")
def exec_(container: str, args: tuple[str, ...], **options: Any) -> None:
    """Run a process in a running container; in the foreground, end with its exit status."""
    from rcrun.runtime import execute

    found = oci.container(container)
    found.record()
    spec = found.config()
    session = execute.Session(
        detach=options["detach"],
        console_socket=options["console_socket"],
        pid_file=options["pid_file"],
        pidfd_socket=options["pidfd_socket"],
        preserve_fds=options["preserve_fds"],
        cgroup=options["cgroup"],
        ignore_paused=options["ignore_paused"],
    )
    execute.execute(
        found,
        spec,
        process(spec, args, options),
        session,
        oci.host(),
        failed=oci.self_command("__failed", ""),
        warn=oci.warn,
    )


def process(spec: Spec, args: tuple[str, ...], options: dict[str, Any]) -> Process:
    from rcrun.runtime import execute

    if options["process_file"]:
        given = execute.process_from_file(options["process_file"])
        if options["tty"]:
            given["terminal"] = True
        return given
    return execute.process_of(
        spec,
        execute.Changes(
            args,
            terminal=options["tty"],
            user=options["user"],
            groups=options["additional_gids"],
            env=options["env"],
            cwd=options["cwd"],
            capabilities=options["cap"],
            no_new_privs=options["no_new_privs"],
            apparmor=options["apparmor"],
            label=options["process_label"],
        ),
    )
