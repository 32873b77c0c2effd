"""`exec` of the OCI command line: another process in a running container."""

from __future__ import annotations

import os

from rcrun.errors import HostLacks, InvalidInput, WrongState
from rcrun.kernel import shim
from rcrun.kernel.seccomp import filter_fd_of
from rcrun.runtime import bundle
from rcrun.runtime.create import FOREGROUND_TERMINAL, error_for
from rcrun.runtime.making import preserved_fds
from rcrun.runtime.plan_process import capability_warnings, exec_plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rcrun.formats.spec import Capabilities, Process, Spec, User
    from rcrun.runtime.host import Host
    from rcrun.runtime.state import Container


class Changes:
    """How the process differs from the container's own, as the options say; "" and () change nothing."""

    __slots__ = (
        "apparmor", "args", "capabilities", "cwd", "env", "groups", "label", "no_new_privs",
        "terminal", "user",
    )  # fmt: skip

    def __init__(
        self,
        args: Sequence[str],
        *,
        terminal: bool = False,
        user: str = "",
        groups: Sequence[int] = (),
        env: Sequence[str] = (),
        cwd: str = "",
        capabilities: Sequence[str] = (),
        no_new_privs: bool = False,
        apparmor: str = "",
        label: str = "",
    ) -> None:
        self.args = args
        self.terminal = terminal
        self.user = user
        self.groups = groups
        self.env = env
        self.cwd = cwd
        self.capabilities = capabilities
        self.no_new_privs = no_new_privs
        self.apparmor = apparmor
        self.label = label


def process_of(spec: Spec, changes: Changes) -> Process:
    """The container's process with the changes. Pure."""
    process: Process = {**(spec.get("process") or {})}
    # no_new_privs is for each process to ask for, as with crun
    for key in ("consoleSize", "noNewPrivileges"):
        process.pop(key, None)  # type: ignore[misc]
    if not changes.args:
        raise InvalidInput("no command to run in the container")
    process["args"] = list(changes.args)
    process["terminal"] = changes.terminal
    process["env"] = bundle.merged([*(process.get("env") or []), *changes.env])
    if changes.cwd:
        process["cwd"] = changes.cwd
    if changes.no_new_privs:
        process["noNewPrivileges"] = True
    if changes.apparmor:
        process["apparmorProfile"] = changes.apparmor
    if changes.label:
        process["selinuxLabel"] = changes.label
    _change_user(process, changes)
    if changes.capabilities:
        process["capabilities"] = _with_more(
            process.get("capabilities") or {}, changes.capabilities
        )
    return process


def _change_user(process: Process, changes: Changes) -> None:
    user: User = {**(process.get("user") or {})}
    if changes.user:
        uid, colon, gid = changes.user.partition(":")
        user["uid"] = _id(uid, changes.user)
        if colon:
            user["gid"] = _id(gid, changes.user)
        homes = [word for word in changes.env if word.startswith("HOME=")]
        process["env"] = [word for word in process["env"] if not word.startswith("HOME=")] + homes
    if changes.groups:
        user["additionalGids"] = [*(user.get("additionalGids") or []), *changes.groups]
    process["user"] = user


def _id(word: str, text: str) -> int:
    if not (word.isascii() and word.isdigit()):
        raise InvalidInput(f'invalid user "{text}"', "write UID or UID:GID")
    return int(word)


def _with_more(sets: Capabilities, names: Sequence[str]) -> Capabilities:
    """Added where they take effect; ambient where the container's process inherits some, as with runc."""
    more = [_capability(name) for name in names]
    added: Capabilities = {**sets}
    added["bounding"] = [*(sets.get("bounding") or []), *more]
    added["effective"] = [*(sets.get("effective") or []), *more]
    added["permitted"] = [*(sets.get("permitted") or []), *more]
    if sets.get("inheritable"):
        held = {name.upper() for name in sets.get("inheritable") or []}
        added["ambient"] = [*(sets.get("ambient") or []), *(name for name in more if name in held)]
    return added


def _capability(name: str) -> str:
    """`net_admin` too; an unknown one is for the plan to leave out."""
    upper = name.upper()
    return upper if upper.startswith("CAP_") else f"CAP_{upper}"


class Session:
    """Where the process's streams and pid go."""

    __slots__ = (
        "cgroup", "console_socket", "detach", "ignore_paused", "pid_file", "pidfd_socket",
        "preserve_fds",
    )  # fmt: skip

    def __init__(
        self,
        *,
        detach: bool = False,
        console_socket: str = "",
        pid_file: str = "",
        pidfd_socket: str = "",
        preserve_fds: int = 0,
        cgroup: str = "",
        ignore_paused: bool = False,
    ) -> None:
        self.ignore_paused = ignore_paused
        self.cgroup = cgroup
        self.detach = detach
        self.console_socket = os.path.abspath(console_socket) if console_socket else ""
        self.pid_file = os.path.abspath(pid_file) if pid_file else ""
        self.pidfd_socket = pidfd_socket
        self.preserve_fds = preserve_fds


_PAUSED_HINT = "resume it first, or use --ignore-paused"


def execute(
    container: Container,
    spec: Spec,
    process: Process,
    session: Session,
    host: Host,
    *,
    failed: Sequence[str],
    warn: Callable[[str], None] = lambda _: None,
) -> None:
    """Run it: returns when it is detached, else becomes its parent."""
    if session.pidfd_socket and not session.detach:
        raise InvalidInput("--pidfd-socket needs --detach", "use --detach")
    session.preserve_fds = preserved_fds(session.preserve_fds)
    _run_on(process)
    for text in capability_warnings(process, bundle.givable(spec)):
        warn(text)
    plan = _plan(container, spec, process, session, host, failed)
    fds = [int(record[1]) for record in plan if record[0] in ("scope", "seccomp")]
    if session.detach:
        report = shim.launch(plan, pass_fds=fds)
        if report is not None:
            raise error_for(plan, report)
        if session.pidfd_socket:
            from rcrun.runtime import pidfds

            pidfds.send_from_file(session.pidfd_socket, session.pid_file)
        return
    for fd in fds:
        os.set_inheritable(fd, True)
    shim.replace_process(plan)


def _run_on(process: Process) -> None:
    """`execCPUAffinity.initial`: ours, and so the shim's, until the process is in the container's cgroup."""
    initial = (process.get("execCPUAffinity") or {}).get("initial")
    if not initial:
        return
    from rcrun.runtime.plan_process import cpus_of

    try:
        os.sched_setaffinity(0, cpus_of(initial, "initial"))
    except OSError as error:
        raise HostLacks(
            f'cannot run on the processors "{initial}" of "process.execCPUAffinity": {error.strerror}',
            "see which there are: nproc; taskset -cp $$",
        ) from error


def _plan(
    container: Container,
    spec: Spec,
    process: Process,
    session: Session,
    host: Host,
    failed: Sequence[str],
) -> list[list[str]]:
    init = container.init()
    status = container.status()
    if status == "paused" and not session.ignore_paused:
        raise WrongState(f'cannot exec in container "{container.id}": it is paused', _PAUSED_HINT)
    if init is None or status not in ("running", "created", "paused"):
        raise WrongState(f'cannot exec in container "{container.id}": container not running')
    terminal = bool(process.get("terminal"))
    if terminal and session.detach and not session.console_socket:
        raise InvalidInput("use --console-socket with --detach when a terminal is used")
    try:
        process = with_home(process, init[0])
        plan = exec_plan(
            process,
            spec,
            *init,
            host,
            settings=[
                *_settings(container, init[0], session, terminal, failed),
                *container.resctrl_helpers(spec),
            ],
            seccomp_fd=filter_fd_of(spec),
            bundle_dir=container.record()["bundle"],
        )
        shim.encode_plan(plan)  # a word that is no text is the process's fault
        return plan
    except bundle.MISFITS as error:
        raise bundle.malformed_process(process, error) from None


def _cgroup_settings(container: Container, init: int, session: Session) -> list[list[str]]:
    """The container's group, or one below it that is named."""
    record = container.record()
    if record.get("cgroup"):
        from rcrun.runtime import groups

        if ".." in session.cgroup.split("/"):
            raise InvalidInput(f'the cgroup "{session.cgroup}" contains ".."')
        path = groups.for_exec(record["cgroup"], init, session.cgroup)
        if not path:
            return []
        joining = groups.joining(record, path)
        return [["cgroup", path], *([["scope", str(joining)]] if joining >= 0 else [])]
    if session.cgroup:
        raise HostLacks(
            f'cannot enter the cgroup "{session.cgroup}": the container has no cgroup of its own',
            "leave --cgroup out",
        )
    return []


def _settings(
    container: Container, init: int, session: Session, terminal: bool, failed: Sequence[str]
) -> list[list[str]]:
    settings = [["id", container.id], *_cgroup_settings(container, init, session)]
    if session.detach:
        settings.append(["detach"])
    else:
        settings.append(["on-failure", *failed])
        if terminal and not session.console_socket:
            settings += FOREGROUND_TERMINAL
    if session.console_socket:
        settings.append(["console-socket", session.console_socket])
    if session.pid_file:
        settings.append(["pid-file", session.pid_file])
    if session.preserve_fds:
        settings.append(["preserve-fds", str(session.preserve_fds)])
    return settings


def with_home(process: Process, pid: int) -> Process:
    """With HOME from the passwd file that the container has now."""
    env = bundle.merged(process.get("env") or [])
    process = {**process, "env": env}
    if any(word.startswith("HOME=") for word in env):
        return process
    uid = (process.get("user") or {}).get("uid", 0)
    return {**process, "env": [*env, f"HOME={bundle.home_of(uid, f'/proc/{pid}/root')}"]}


def process_from_file(path: str) -> Process:
    """process.json of `--process`; nothing of the container's process is taken over."""
    from rcrun import files

    try:
        process = files.read_json(path)
    except FileNotFoundError as error:
        raise InvalidInput(f'there is no process file "{path}"') from error
    except ValueError as error:
        raise InvalidInput(f'"{path}" is not JSON: {error}') from error
    if not isinstance(process, dict):
        raise InvalidInput(f'"{path}" is not a JSON object')
    checked: Process = process  # type: ignore[assignment]
    return checked
