"""A container of rcrun-oci is begun: its directory, with all that later commands must know of it."""

from __future__ import annotations

import os
import time

from rcrun import files, paths
from rcrun.errors import AlreadyExists, InvalidInput
from rcrun.formats.spec import has_new_pid_namespace, hooks_of
from rcrun.runtime import bundle
from rcrun.runtime.plan_namespaces import complete
from rcrun.runtime.state import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rcrun.formats.spec import Spec
    from rcrun.runtime.groups import Group
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

    __slots__ = ("container", "group", "lock", "request", "spec")

    def __init__(
        self,
        container: Container,
        lock: files.Lock,
        request: Request,
        spec: Spec,
        group: Group | None,
    ) -> None:
        self.container = container
        self.group = group
        self.lock = lock
        self.request = request
        self.spec = spec


def make(
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
    _check_terminal(spec, request, detached=detached)
    try:
        spec = bundle.with_sources(spec)
        spec = complete(bundle.with_environment(spec, request.bundle_dir, environ), host)
        texts = bundle.warnings(spec, host)
    except bundle.MISFITS as error:
        raise bundle.malformed(spec, error) from None
    for text in texts:
        request.warn(text)
    paths.make_private_dir(root_dir)
    try:
        os.mkdir(container.dir, 0o700)
    except FileExistsError:
        raise AlreadyExists(f'container "{container_id}" already exists') from None
    lock = container.lock()
    try:
        lock.acquire()
        record = _record(spec, request, host)
        _write_new_json(container.config_path, spec)
        _write_new_json(container.record_path, record)
        resctrl = _resctrl(spec, container)
        if resctrl:
            record["resctrl"] = resctrl
            files.write_json(container.record_path, record, durable=False)
        group = _group(container, spec, request, host, environ)
        if group:
            record["cgroup"] = group.path
            if group.scope:
                record["scope"] = group.scope.record()
            files.write_json(container.record_path, record, durable=False)
        _write_front(container, spec, record)
    except BaseException as error:
        container.forget()
        lock.release()
        if isinstance(error, bundle.MISFITS):
            raise bundle.malformed(spec, error) from None
        raise
    return Made(container, lock, request, spec, group)


def _write_new_json(path: str, value: object) -> None:
    """Nobody looks into the directory of a container whose state is not there."""
    files.write_new(path, (files.dump_json(value) + "\n").encode())


def _write_front(container: Container, spec: Spec, record: Mapping[str, object]) -> None:
    """What the shim may do with the container without us, and what it must know for it (docs/plan.md, "The front")."""
    allowed = ["state"]
    if has_new_pid_namespace(spec):  # else KILL is for more than the init
        allowed.append("kill")
    if not hooks_of(spec, "poststart"):
        allowed.append("start")
    if not has_more_to_end(spec) and not record.get("scope"):
        allowed.append("delete")
    head, tail = container.state_halves(record)
    lines = ["1", " ".join(allowed), str(record.get("cgroup") or ""), head, tail]
    if not any("\n" in line for line in lines):
        text = "".join([f"{line}\n" for line in lines])
        files.write_new(container.front_path, text.encode("utf-8", "surrogateescape"))


def _group(
    container: Container, spec: Spec, request: Request, host: Host, environ: Mapping[str, str]
) -> Group | None:
    """Its cgroup, if it is to have one."""
    if not host.unified:
        return None
    from rcrun.runtime import groups

    group = groups.make_group(spec, container.id, request.cgroup_manager, host, environ)
    return group if group.path else None


def _resctrl(spec: Spec, container: Container) -> dict[str, list[str]]:
    asked = (spec.get("linux") or {}).get("intelRdt")
    if asked is None:
        return {}
    from rcrun.cgroup import resctrl

    placed = resctrl.place(resctrl.find(), asked, container.id)
    return {"made": placed.made, "tasks": placed.tasks}


def _check_terminal(spec: Spec, request: Request, *, detached: bool) -> None:
    process = spec.get("process")
    terminal = isinstance(process, dict) and process.get("terminal")
    if terminal and detached and not request.console_socket:
        raise InvalidInput("use --console-socket with --detach when a terminal is used")
    if request.console_socket and not terminal:
        raise InvalidInput('--console-socket needs "process.terminal" to be true in config.json')


def has_more_to_end(spec: Spec) -> bool:
    """More than files and a cgroup, which the shim can remove."""
    return bool(hooks_of(spec, "poststop") or (spec.get("linux") or {}).get("intelRdt") is not None)


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
    if uid == 0:
        return "root"  # without a look at nsswitch.conf and what it names
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


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
