"""`create` and `run` of the OCI command line: a bundle becomes a container."""

from __future__ import annotations

import os

from rcrun import files
from rcrun.errors import InvalidInput, RcrunError
from rcrun.kernel import shim
from rcrun.runtime import bundle
from rcrun.runtime.making import has_more_to_end, make
from rcrun.runtime.plan import container_plan
from rcrun.runtime.plan_mounts import is_idmapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

    from rcrun.formats.spec import Spec
    from rcrun.kernel.shim import Report
    from rcrun.runtime.host import Host
    from rcrun.runtime.making import Made, Request
    from rcrun.runtime.state import Container


def create(
    root_dir: str, container_id: str, request: Request, host: Host, environ: Mapping[str, str]
) -> Container:
    """A container in status `created`; nothing of it is left when this fails."""
    made = make(root_dir, container_id, request, host, environ, detached=True)
    container = made.container
    try:
        plan, encoded = _plan(made, host, environ, [["start-socket", container.start_socket]])
        files.write_file(container.plan_path, encoded, durable=False)
        with bundle.Inside(request.bundle_dir):
            report = shim.launch(plan, pass_fds=_passed(plan), encoded=encoded)
        if report is not None:
            raise _worded(made.spec, plan, report)
    except BaseException:
        container.forget()
        raise
    finally:
        made.lock.release()
    init = container.init()
    if request.pidfd_socket and init:
        from rcrun.runtime import pidfds

        pidfds.send(request.pidfd_socket, init[0])
    return container


def run_detached(
    root_dir: str, container_id: str, request: Request, host: Host, environ: Mapping[str, str]
) -> None:
    from rcrun.runtime import lifecycle

    container = create(root_dir, container_id, request, host, environ)
    try:
        lifecycle.start(container)
    except BaseException:
        lifecycle.delete(container, force=True)
        raise


def run(
    root_dir: str,
    container_id: str,
    request: Request,
    host: Host,
    environ: Mapping[str, str],
    *,
    failed: Sequence[str],
    after: Sequence[str],
) -> NoReturn:
    """Become the container's parent, in the foreground.

    `failed` is the command that tells why it could not be launched, `after` the one that runs once it
    ended, if it has poststop hooks.
    """
    if request.pidfd_socket:
        raise InvalidInput("--pidfd-socket needs --detach", "use --detach")
    made = make(root_dir, container_id, request, host, environ, detached=False)
    container = made.container
    try:
        on_exit: list[list[str]] = []
        if not request.keep:
            on_exit = [["run", *after]] if has_more_to_end(made.spec) else _removal(made)
        plan, encoded = _plan(
            made, host, environ, [["on-failure", *failed], *_client(made)], on_exit
        )
        for fd in _passed(plan):
            os.set_inheritable(fd, True)
        with bundle.Inside(request.bundle_dir):
            shim.replace_process(plan, encoded)
    except BaseException:
        container.forget()
        raise


def _removal(made: Made) -> list[list[str]]:
    cgroup = [["remove-cgroup", made.group.path]] if made.group else []
    return [*cgroup, ["remove-tree", made.container.dir]]


# Newlines as runc's: whoever is no terminal gets them as they were written.
FOREGROUND_TERMINAL = (
    ["monitor"], ["foreground", "io"], ["sig-proxy"], ["stdin"], ["plain-newlines"],
)  # fmt: skip


def _client(made: Made) -> list[list[str]]:
    """Streams are the caller's own; only a terminal needs somebody between."""
    terminal = (made.spec.get("process") or {}).get("terminal")
    if not terminal or made.request.console_socket:
        return []
    return [*FOREGROUND_TERMINAL]


def _plan(
    made: Made,
    host: Host,
    environ: Mapping[str, str],
    settings: list[list[str]],
    on_exit: list[list[str]] | None = None,
) -> tuple[list[list[str]], bytes]:
    """And as the shim reads it."""
    container, request = made.container, made.request
    given = [["id", container.id], ["state", container.state_path], *settings]
    given.append(["lock", str(made.lock.fd)])
    group, spec = made.group, made.spec
    if group:
        given.append(["cgroup", group.path])
        if group.scope:
            given.append(["scope", str(group.scope.serve())])
        if group.holds_devices:
            from rcrun.runtime.groups import without_device_rules

            spec = without_device_rules(spec)
    given += [
        [name, value]
        for name, value in (
            ("pid-file", request.pid_file),
            ("console-socket", request.console_socket),
        )
        if value
    ]
    if request.preserve_fds:
        given.append(["preserve-fds", str(request.preserve_fds)])
    given += container.resctrl_helpers(made.spec)
    try:
        plan = container_plan(
            spec,
            request.bundle_dir,
            host,
            settings=given,
            on_exit=on_exit or [],
            seccomp_fd=_filter_fd(made.spec),
            keyring=container.id if request.new_keyring else "",
            pivot=not request.no_pivot,
            trees=_trees(made, host),
        )
        return plan, shim.encode_plan(plan)  # a word that is no text is the configuration's fault
    except bundle.MISFITS as error:
        raise bundle.malformed(made.spec, error) from None


def _filter_fd(spec: Spec) -> int | None:
    if not (spec.get("linux") or {}).get("seccomp"):
        return None
    from rcrun.kernel.seccomp import filter_fd_of

    return filter_fd_of(spec)


def _trees(made: Made, host: Host) -> Mapping[str, int]:
    mounts = made.spec.get("mounts") or []
    is_root = host.identity.kind == "root"
    maps = is_root and (made.spec.get("linux") or {}).get("uidMappings")
    held = is_root and any(map(bundle.is_open_file, mounts))
    if not maps and not held and not any(map(is_idmapped, mounts)):
        return {}
    from rcrun.runtime import outside

    return outside.trees_of(made.spec, made.request.bundle_dir, host)


def _passed(plan: list[list[str]]) -> list[int]:
    """The descriptors that records name."""
    return [
        int(record[1]) for record in plan if record[0] in ("bind-fd", "lock", "scope", "seccomp")
    ]


def failure(plan: list[list[str]], report_hex: str, container: Container | None) -> RcrunError:
    """The error of a launch that nobody waited for (`on-failure`); without a container, of an exec."""
    report = shim.decode_report(bytes.fromhex(report_hex))
    if report is None:
        return RcrunError("the container could not be started")
    if container is None:
        return error_for(plan, report)
    return _worded(container.config(), plan, report)


def _worded(spec: Spec, plan: list[list[str]], report: Report) -> RcrunError:
    """A number that the shim cannot take came from the configuration."""
    error = error_for(plan, report)
    return bundle.malformed(spec, error) if report.call == "plan" else error


def error_for(plan: list[list[str]], report: Report) -> RcrunError:
    """The words are loaded when something went wrong."""
    from rcrun.runtime import hints

    return hints.error_for(plan, report)
