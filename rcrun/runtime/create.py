"""`create` and `run` of the OCI command line: a bundle becomes a container."""

from __future__ import annotations

import os
import time

from rcrun import files, paths
from rcrun.errors import AlreadyExists, InvalidInput, RcrunError
from rcrun.formats.capability import in_vain
from rcrun.kernel import shim
from rcrun.kernel.seccomp import filter_fd_of
from rcrun.runtime import bundle
from rcrun.runtime.plan import complete, container_plan
from rcrun.runtime.plan_mounts import is_idmapped
from rcrun.runtime.state import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

    from rcrun.formats.spec import Spec
    from rcrun.kernel.shim import Report
    from rcrun.runtime.host import Host


class Request:
    """What the command line asks for, beside the bundle."""

    __slots__ = (
        "bundle_dir", "cgroup_manager", "config_path", "console_socket", "keep", "new_keyring", "no_pivot",
        "pid_file", "pidfd_socket", "preserve_fds", "warn",
    )  # fmt: skip

    def __init__(
        self,
        bundle_dir: str,
        *,
        cgroup_manager: str = "",
        config_path: str = "",
        console_socket: str = "",
        keep: bool = False,
        new_keyring: bool = True,
        no_pivot: bool = False,
        pid_file: str = "",
        pidfd_socket: str = "",
        preserve_fds: int = 0,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.bundle_dir = os.path.abspath(bundle_dir)
        self.cgroup_manager = cgroup_manager
        self.config_path = config_path
        self.console_socket = os.path.abspath(console_socket) if console_socket else ""
        self.keep = keep
        self.new_keyring = new_keyring
        self.no_pivot = no_pivot
        self.pidfd_socket = pidfd_socket
        self.pid_file = os.path.abspath(pid_file) if pid_file else ""
        self.preserve_fds = preserve_fds
        self.warn = warn


class Made:
    """A container's directory with its configuration in it, and the lock that says it is being created."""

    __slots__ = ("cgroup", "container", "lock", "request", "spec")

    def __init__(
        self,
        container: Container,
        lock: files.Lock,
        request: Request,
        spec: Spec,
        cgroup: str,
    ) -> None:
        self.cgroup = cgroup  # "" without one
        self.container = container
        self.lock = lock
        self.request = request
        self.spec = spec


def create(
    root_dir: str, container_id: str, request: Request, host: Host, environ: Mapping[str, str]
) -> Container:
    """A container in status `created`; nothing of it is left when this fails."""
    made = _make(root_dir, container_id, request, host, environ, detached=True)
    container = made.container
    try:
        plan = _plan(made, host, environ, [["start-socket", container.start_socket]])
        files.write_file(container.plan_path, shim.encode_plan(plan), durable=False)
        report = shim.launch(plan, pass_fds=_passed(plan))
        if report is not None:
            raise error_for(plan, report)
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
    made = _make(root_dir, container_id, request, host, environ, detached=False)
    container = made.container
    try:
        on_exit: list[list[str]] = []
        if not request.keep:
            hooked = (made.spec.get("hooks") or {}).get("poststop")
            on_exit = [["run", *after]] if hooked else _removal(made)
        plan = _plan(made, host, environ, [["on-failure", *failed], *_client(made)], on_exit)
        for fd in _passed(plan):
            os.set_inheritable(fd, True)
        shim.replace_process(plan)
    except BaseException:
        container.forget()
        raise


def _removal(made: Made) -> list[list[str]]:
    cgroup = [["remove-cgroup", made.cgroup]] if made.cgroup else []
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


def _make(
    root_dir: str,
    container_id: str,
    request: Request,
    host: Host,
    environ: Mapping[str, str],
    *,
    detached: bool,
) -> Made:
    container = Container(root_dir, container_id)
    # before anything is opened
    request.preserve_fds = preserved_fds(request.preserve_fds + bundle.listen_fds(environ))
    spec = bundle.load(request.bundle_dir, request.config_path)
    try:
        _check_terminal(spec, request, detached=detached)
        spec = complete(bundle.with_environment(spec, request.bundle_dir, environ), host)
        vain = in_vain((spec.get("process") or {}).get("capabilities") or {})
    except bundle.MISFITS as error:
        raise bundle.malformed(spec, error) from None
    for words in vain:
        request.warn(words)
    paths.make_private_dir(root_dir)
    try:
        os.mkdir(container.dir, 0o700)
    except FileExistsError:
        raise AlreadyExists(f'container "{container_id}" already exists') from None
    lock = container.lock()
    try:
        lock.acquire()
        record = _record(spec, request, host)
        files.write_json(container.config_path, spec, durable=False)
        files.write_json(container.record_path, record, durable=False)
        record["cgroup"] = cgroup = _cgroup(container, spec, request, host)
        if cgroup:
            files.write_json(container.record_path, record, durable=False)
    except BaseException:
        container.forget()
        lock.release()
        raise
    return Made(container, lock, request, spec, cgroup)


def _cgroup(container: Container, spec: Spec, request: Request, host: Host) -> str:
    if not host.unified:
        return ""
    from rcrun.runtime import groups

    return groups.make(spec, container.id, request.cgroup_manager, root=not host.rootless)


def _check_terminal(spec: Spec, request: Request, *, detached: bool) -> None:
    terminal = (spec.get("process") or {}).get("terminal")
    if terminal and detached and not request.console_socket:
        raise InvalidInput("use --console-socket with --detach when a terminal is used")
    if request.console_socket and not terminal:
        raise InvalidInput('--console-socket needs "process.terminal" to be true in config.json')


def preserved_fds(count: int) -> int:
    """How many from 3 on there are to preserve. Nothing of ours may get a number among them."""
    there = [fd for fd in range(3, 3 + count) if _is_open(fd)]
    last = max(there, default=2)
    for hole in sorted(set(range(3, last + 1)) - set(there)):
        fd = os.open("/dev/null", os.O_RDWR)
        os.dup2(fd, hole)
        if fd != hole:
            os.close(fd)
    return last - 2


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _record(spec: Spec, request: Request, host: Host) -> dict[str, object]:
    now = time.time_ns()
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9))
    return {
        "annotations": spec.get("annotations") or {},
        "bundle": request.bundle_dir,
        "created": f"{seconds}.{now % 10**9:09d}Z",
        "ociVersion": spec.get("ociVersion", ""),
        "owner": _user_name(host.identity.uid),
        "rootfs": bundle.rootfs_dir(spec, request.bundle_dir),
    }


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _plan(
    made: Made,
    host: Host,
    environ: Mapping[str, str],
    settings: list[list[str]],
    on_exit: list[list[str]] | None = None,
) -> list[list[str]]:
    container, request = made.container, made.request
    given = [["id", container.id], ["state", container.state_path], *settings]
    given.append(["lock", str(made.lock.fd)])
    if made.cgroup:
        given.append(["cgroup", made.cgroup])
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
    fd = filter_fd_of(made.spec)
    try:
        return container_plan(
            made.spec,
            request.bundle_dir,
            host,
            settings=given,
            on_exit=on_exit or [],
            seccomp_fd=fd,
            keyring=container.id if request.new_keyring else "",
            pivot=not request.no_pivot,
            trees=_trees(made, host),
        )
    except bundle.MISFITS as error:
        raise bundle.malformed(made.spec, error) from None


def _trees(made: Made, host: Host) -> Mapping[str, int]:
    maps = (made.spec.get("linux") or {}).get("uidMappings") and host.identity.kind == "root"
    if not maps and not any(map(is_idmapped, made.spec.get("mounts") or [])):
        return {}
    from rcrun.runtime import outside

    return outside.trees_of(made.spec, made.request.bundle_dir, host)


def _passed(plan: list[list[str]]) -> list[int]:
    """The descriptors that records name."""
    return [int(record[1]) for record in plan if record[0] in ("bind-fd", "lock", "seccomp")]


def failure(plan: list[list[str]], report_hex: str) -> RcrunError:
    """The error of a launch that nobody waited for (`on-failure`)."""
    report = shim.decode_report(bytes.fromhex(report_hex))
    if report is None:
        return RcrunError("the container could not be started")
    return error_for(plan, report)


def error_for(plan: list[list[str]], report: Report) -> RcrunError:
    """The words are loaded when something went wrong."""
    from rcrun.runtime import hints

    return hints.error_for(plan, report)
