"""rcrun-oci create, run."""

from __future__ import annotations

import os

from rcrun_cli import oci
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rcrun.runtime.making import Request
    from rcrun_cli.declare import Handler


def launch_options(handler: Handler) -> Handler:
    """What create and run have in common."""
    recorders: list[Callable[[Handler], Handler]] = [
        option("-b", "--bundle", default=".", metavar="DIR", help="The bundle"),
        option("-f", "--config", metavar="FILE", help="Its configuration, if not config.json"),
        option("--console-socket", metavar="PATH", help="Send the terminal to this socket"),
        option("--pid-file", metavar="FILE", help="Write the pid of the container's init here"),
        option("--pidfd-socket", metavar="PATH", help="Send a pidfd of the init to this socket"),
        option("--preserve-fds", default=0, metavar="N", help="Pass N more descriptors, from 3 on"),
        option("--no-pivot", is_flag=True, help="Move the root instead of pivoting (initramfs)"),
        option("--no-new-keyring", is_flag=True, help="Keep the caller's session keyring"),
        option("--no-subreaper", is_flag=True, help="For scripts; rcrun-oci is no subreaper"),
    ]
    for recorder in reversed(recorders):
        handler = recorder(handler)
    return handler


def request_of(options: dict[str, Any], *, keep: bool = False) -> Request:
    from rcrun.runtime.making import Request

    return Request(
        options["bundle"],
        cgroup_manager=oci.settings.cgroup_manager,
        config_path=options["config"] or "",
        console_socket=options["console_socket"] or "",
        keep=keep,
        new_keyring=not options["no_new_keyring"],
        no_pivot=options["no_pivot"],
        pid_file=options["pid_file"] or "",
        pidfd_socket=options["pidfd_socket"] or "",
        preserve_fds=options["preserve_fds"],
        warn=oci.warn,
    )


@command()
@launch_options
@argument("container", metavar="CONTAINER")
def create(container: str, **options: Any) -> None:
    """Create a container from a bundle, without starting it."""
    from rcrun.runtime.create import create as create_container

    create_container(
        oci.settings.root, container, request_of(options), oci.host(), dict(os.environ)
    )


@command()
@option("-d", "--detach", is_flag=True, help="Do not wait for the container")
@option("--keep", is_flag=True, help="Keep the state after the container ended, until delete")
@launch_options
@argument("container", metavar="CONTAINER")
def run(container: str, detach: bool, keep: bool, **options: Any) -> None:
    """Create and start a container; in the foreground, end with its exit status."""
    from rcrun.runtime import create as creation

    request = request_of(options, keep=keep)
    environ = dict(os.environ)
    if detach:
        creation.run_detached(oci.settings.root, container, request, oci.host(), environ)
        return
    creation.run(
        oci.settings.root,
        container,
        request,
        oci.host(),
        environ,
        failed=oci.self_command("__failed", container),
        after=oci.self_command("delete", "--force", container),
    )
