"""Another process in a running container."""

from __future__ import annotations

import os

from rcrun.engine.eventlog import container_event, exec_records
from rcrun.engine.launch import Foreground, become_client, launch_detached
from rcrun.errors import InvalidInput, NoTerminal, WrongState
from rcrun.formats import envfile
from rcrun.kernel.seccomp import filter_fd_of
from rcrun.runtime.plan_process import exec_plan
from rcrun.storage.containers import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.formats.passwd import User
    from rcrun.formats.spec import Capabilities, Process, Spec
    from rcrun.storage.containers import Container, Status

LARGEST_PASSWD = 1 << 20


def execute(
    context: Context, container: Container, args: Sequence[str], options: Mapping[str, Any]
) -> str:
    """With `detach` this returns its id once the command runs; else our process becomes its client."""
    with_terminal = options.get("interactive") and options.get("tty")
    if with_terminal and not os.isatty(0) and not options.get("any_input"):
        raise NoTerminal(
            "the input device is not a TTY", "leave -t out where standard input is no terminal"
        )
    now = status(container)
    if now.word == "restarting":
        raise WrongState(
            f"container {container.id} is restarting, wait until the container is running",
            f"rcrun logs {container.name}",
        )
    if not now.is_running:
        raise WrongState(
            f"container {container.id} is not running", f"rcrun start {container.name}"
        )
    if now.word == "paused":
        raise WrongState(f"container {container.id} is paused", f"rcrun unpause {container.name}")
    spec = container.config()
    process = process_of(context, container, spec, args, options)
    if options.get("privileged"):
        spec = _unfiltered(spec)
    fd = filter_fd_of(spec)
    group, fds = _cgroup(container, now)
    exec_id = os.urandom(32).hex()
    plan = exec_plan(
        process,
        spec,
        now.pid,
        now.pid_start,
        context.host,
        settings=[
            *_settings(context, container, options),
            *_emulation(context, container, process, options),
            *group,
            *exec_records(container, exec_id),
        ],
        seccomp_fd=fd,
    )
    fds += [] if fd is None else [fd]
    command = " ".join(args)
    events = [f"{verb}: {command}" for verb in ("exec_create", "exec_start")]
    container_event(container, *events, execID=exec_id)
    if not options.get("detach"):
        become_client(plan, fds)
    launch_detached(plan, fds)
    return exec_id


def _cgroup(container: Container, now: Status) -> tuple[list[list[str]], list[int]]:
    if not container.record.get("cgroup"):
        return [], []
    from rcrun.engine.cgroup import exec_records as group_records

    return group_records(container, now)


def _emulation(
    context: Context, container: Container, process: Process, options: Mapping[str, Any]
) -> list[list[str]]:
    """As its container has it, unless something else was asked for."""
    word = options.get("root_emulation") or "auto"
    if word == "off" or (word == "auto" and not container.record.get("root_emulation")):
        return []
    from rcrun.engine.config_emulation import emulates

    uid = (process.get("user") or {}).get("uid", 0)
    joined = "user" in (container.record.get("joins") or {})
    if not emulates(word, context.identity, uid, joins_users=joined):
        return []
    return [["emulation-log", container.path("owners.log")]]


def _settings(
    context: Context, container: Container, options: Mapping[str, Any]
) -> list[list[str]]:
    settings = [["id", container.id], ["monitor"]]
    if options.get("kept_fds"):
        settings.append(["preserve-fds", str(options["kept_fds"])])
    if options.get("interactive"):
        settings.append(["stdin"])
    if options.get("detach"):
        return settings
    streams = "ioe" if options.get("interactive") else "oe"
    keys = options.get("detach_keys")
    foreground = Foreground(
        streams, context.setting("engine", "detach_keys") if keys is None else keys
    )
    return [
        ["on-failure", *context.launcher, "__failed", ""],
        *settings,
        *foreground.records(),
    ]


def process_of(
    context: Context,
    container: Container,
    spec: Spec,
    args: Sequence[str],
    options: Mapping[str, Any],
) -> Process:
    """The container's own process, and what the options change."""
    process: Process = {**(spec.get("process") or {})}
    process.pop("consoleSize", None)
    process["args"] = list(args)
    process["terminal"] = bool(options.get("tty"))
    changes = _environment_changes(context, options)
    if options.get("user"):
        user = _find_user(container, str(options["user"]))
        _become(process, user)
        changes.setdefault("HOME", user.home)
    process["env"] = envfile.merge(_with_term(process, options) + _secrets(container), changes)
    if options.get("workdir"):
        process["cwd"] = options["workdir"]
    if options.get("privileged"):
        process["capabilities"] = _all_capabilities(context)
        process["noNewPrivileges"] = False
    return process


def _with_term(process: Process, options: Mapping[str, Any]) -> list[str]:
    env = process.get("env") or []
    if options.get("tty") and not any(word.startswith("TERM=") for word in env):
        return [*env, "TERM=xterm"]
    return env


def _secrets(container: Container) -> list[str]:
    """Those of the environment, which config.json does not have."""
    if not container.record.get("secrets"):
        return []
    from rcrun.engine.secrets import environment

    return environment(container)


def _environment_changes(context: Context, options: Mapping[str, Any]) -> dict[str, str | None]:
    words: list[str] = []
    for path in options.get("env_file") or ():
        try:
            with open(path, "rb") as file:
                words += envfile.parse_file(file.read(), path)
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise InvalidInput(f'cannot read the environment file "{path}": {reason}') from error
    return envfile.resolve([*words, *(options.get("env") or ())], context.environ)


def _find_user(container: Container, text: str) -> User:
    """By the files of the container's root, as they are now; a mount over /etc is not looked through."""
    from rcrun.formats import passwd

    texts = [_read(container, path) for path in ("/etc/passwd", "/etc/group")]
    return passwd.lookup(text, *texts)


def _read(container: Container, path: str) -> str:
    from rcrun.storage import layered

    rootfs = container.record["rootfs"]
    if rootfs["kind"] == "directory":
        layers = [rootfs["path"]]
    elif rootfs["driver"] == "copy":
        layers = [container.path("rootfs")]
    else:
        layers = [container.path("upper"), *[container.store.path(p) for p in rootfs["lowers"]]]
    data = layered.read_file(layers, path, LARGEST_PASSWD)
    return (data or b"").decode("utf-8", "replace")


def _become(process: Process, user: User) -> None:
    before = process.get("user") or {}
    process["user"] = {
        **before,
        "uid": user.uid,
        "gid": user.gid,
        "additionalGids": user.groups,
    }
    held = process.get("capabilities") or {}
    if user.uid == 0:
        bounding = held.get("bounding") or []
        process["capabilities"] = {
            "bounding": bounding,
            "effective": bounding,
            "permitted": bounding,
        }
    elif before.get("uid", 0) == 0:
        process["capabilities"] = {"bounding": held.get("bounding") or []}


def _all_capabilities(context: Context) -> Capabilities:
    """All that exist; without a user namespace no more than we have ourselves."""
    from rcrun.formats.capability import names_of
    from rcrun.kernel.identity import held_capabilities

    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        mask = (1 << int(file.read()) + 1) - 1
    if context.identity.kind == "root":
        mask &= held_capabilities()
    names = names_of(mask)
    return {"bounding": names, "effective": names, "permitted": names}


def _unfiltered(spec: Spec) -> Spec:
    linux = {key: value for key, value in (spec.get("linux") or {}).items() if key != "seccomp"}
    return {**spec, "linux": linux}  # type: ignore[typeddict-item]
