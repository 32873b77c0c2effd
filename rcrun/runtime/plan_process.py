"""The process of a container, or of an exec, as steps: limits, identity, privileges, command. Pure."""

from __future__ import annotations

from rcrun.errors import HostLacks, InvalidInput
from rcrun.files import dump_json
from rcrun.formats import capability, idmap
from rcrun.runtime.plan_namespaces import Namespaces, complete

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rcrun.formats.spec import Process, Scheduler, Seccomp, Spec
    from rcrun.runtime.host import Host

_RLIMITS = frozenset(
    "RLIMIT_AS RLIMIT_CORE RLIMIT_CPU RLIMIT_DATA RLIMIT_FSIZE RLIMIT_LOCKS RLIMIT_MEMLOCK"
    " RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_NOFILE RLIMIT_NPROC RLIMIT_RSS RLIMIT_RTPRIO"
    " RLIMIT_RTTIME RLIMIT_SIGPENDING RLIMIT_STACK".split()
)
_UNLIMITED = 2**63 - 1  # and above: config.json writes RLIM_INFINITY as 2**64-1
_POLICIES = frozenset(
    "SCHED_OTHER SCHED_FIFO SCHED_RR SCHED_BATCH SCHED_ISO SCHED_IDLE SCHED_DEADLINE".split()
)
# sched_setattr(2)
_SCHEDULER_FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}
_LEAST_RUNTIME = 1024
_IO_CLASSES = frozenset(("IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"))
# personality(2)
_DOMAINS = {"LINUX": "0", "LINUX32": "8"}
_SECCOMP_FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": "tsync",
    "SECCOMP_FILTER_FLAG_LOG": "log",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": "spec_allow",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": "wait_killable_recv",
}


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
    agent = agent_text(spec, id_of(given), bundle_dir)
    return [
        ["plan", "1"],
        ["session", "exec"],
        *given,
        *terminal_records(process),
        *agent_records(spec),
        ["join-pid", str(pid), str(start), ",".join(namespaces.kinds())],
        # `ready`: go on when the parent has given the terminal its size
        *([["console"], ["ready"]] if process.get("terminal") else []),
        *affinity_records(process),
        *limit_records(process, spec, host),
        *privilege_records(process, spec, namespaces, host, seccomp_fd, agent),
        *command_records(process),
    ]


def id_of(settings: Iterable[Sequence[str]]) -> str:
    return next((record[1] for record in settings if record[0] == "id"), "")


def terminal_records(process: Process) -> list[list[str]]:
    if not process.get("terminal"):
        return []
    size = process.get("consoleSize")
    return [["terminal", str(size["height"] if size else 0), str(size["width"] if size else 0)]]


def limit_records(process: Process, spec: Spec, host: Host) -> list[list[str]]:
    """What the process is given while we may still give it; before the pivot, for the host's /proc."""
    records = _rlimits(process)
    score = process.get("oomScoreAdj")
    if score is not None and not (host.rootless and score < host.oom_score_adj):
        records.append(["oom-score", str(score)])
    umask = (process.get("user") or {}).get("umask")
    records.append(["umask", f"{0o022 if umask is None else umask:o}"])
    records += _personality(spec)
    records += _scheduling(process)
    policy = (spec.get("linux") or {}).get("memoryPolicy")
    if policy is not None:
        from rcrun.runtime.plan_memory import memory_records

        records += memory_records(policy)
    return records


def _rlimits(process: Process) -> list[list[str]]:
    records: list[list[str]] = []
    for limit in process.get("rlimits") or []:
        name, soft, hard = limit["type"], limit["soft"], limit["hard"]
        if name not in _RLIMITS:
            raise InvalidInput(f'unknown limit "{name}" in "process.rlimits"')
        if any(record[1] == name for record in records):
            raise InvalidInput(f'limit "{name}" is twice in "process.rlimits"')
        if soft > hard >= 0:
            raise InvalidInput(
                f'limit "{name}": the soft limit {soft} is above the hard limit {hard}'
            )
        records.append(["rlimit", name, _limit_word(soft), _limit_word(hard)])
    return records


def _limit_word(value: int) -> str:
    return "-1" if value < 0 or value >= _UNLIMITED else str(value)


def _personality(spec: Spec) -> list[list[str]]:
    asked = (spec.get("linux") or {}).get("personality")
    if not asked:
        return []
    domain = asked.get("domain", "")
    if domain not in _DOMAINS:
        raise InvalidInput(
            f'unknown domain "{domain}" in "linux.personality"', "use LINUX or LINUX32"
        )
    if asked.get("flags"):
        raise InvalidInput('"linux.personality.flags" is reserved and must be empty')
    return [["personality", _DOMAINS[domain]]]


def _scheduling(process: Process) -> list[list[str]]:
    records: list[list[str]] = []
    scheduler = process.get("scheduler")
    if scheduler:
        records.append(["scheduler", *_scheduler_words(process)])
    priority = process.get("ioPriority")
    if priority:
        if priority["class"] not in _IO_CLASSES:
            raise InvalidInput(f'unknown class "{priority["class"]}" in "process.ioPriority"')
        records.append(["io-priority", priority["class"], str(priority.get("priority", 0))])
    return records


def _scheduler_words(process: Process) -> list[str]:
    asked = process["scheduler"]
    policy = asked.get("policy", "")
    if policy not in _POLICIES:
        raise InvalidInput(f'unknown policy "{policy}" in "process.scheduler"')
    runtime, deadline, period = (
        asked.get("runtime", 0),
        asked.get("deadline", 0),
        asked.get("period", 0),
    )
    if policy == "SCHED_DEADLINE":
        _check_deadline(asked)
    elif runtime or deadline or period:
        raise InvalidInput(f"runtime, deadline and period are for SCHED_DEADLINE, not {policy}")
    flags = 0
    for flag in asked.get("flags") or []:
        if flag not in _SCHEDULER_FLAGS:
            raise InvalidInput(f'unknown flag "{flag}" in "process.scheduler"')
        flags |= _SCHEDULER_FLAGS[flag]
    numbers = (asked.get("nice", 0), asked.get("priority", 0), runtime, deadline, period, flags)
    return [policy, *map(str, numbers)]


def _check_deadline(asked: Scheduler) -> None:
    """What the kernel refuses with one word for all (sched_setattr(2)), told apart; crun's sentences."""
    what = "sched_setattr: `SCHED_DEADLINE`"
    for key in ("runtime", "deadline"):
        if key not in asked:
            raise InvalidInput(f"{what} requires `{key}`")
    runtime, deadline, period = asked["runtime"], asked["deadline"], asked.get("period", 0)
    if runtime == 0:
        raise InvalidInput(f"{what} runtime must be greater than 0")
    if not _LEAST_RUNTIME <= runtime <= _UNLIMITED:
        raise InvalidInput(
            f"{what} runtime {runtime} must be between {_LEAST_RUNTIME} and {_UNLIMITED} nanoseconds"
        )
    if runtime > deadline:
        raise InvalidInput(f"{what} runtime {runtime} must be <= deadline {deadline}")
    if period and deadline > period:
        raise InvalidInput(f"{what} deadline {deadline} must be <= period {period}")


def _labels(process: Process, host: Host) -> list[list[str]]:
    records = []
    label, profile = process.get("selinuxLabel"), process.get("apparmorProfile")
    if label:
        if not host.selinux:
            raise HostLacks(
                '"process.selinuxLabel" needs SELinux, which is off on this host',
                'remove "process.selinuxLabel" from config.json',
            )
        records.append(["label", "exec", label])
    if profile and profile != "unconfined":
        if not host.apparmor:
            raise HostLacks(
                '"process.apparmorProfile" needs AppArmor, which is off on this host',
                'remove "process.apparmorProfile" from config.json',
            )
        records.append(["apparmor", profile])
    return records


def affinity_records(process: Process) -> list[list[str]]:
    """Of exec only (`execCPUAffinity`); we join the cgroup before any step, so the final word counts."""
    asked = process.get("execCPUAffinity") or {}
    cpus = asked.get("final") or asked.get("initial")
    return [["affinity", cpus]] if cpus else []


def agent_records(spec: Spec) -> list[list[str]]:
    """A setting: the agent is reached by a path of the host."""
    path = ((spec.get("linux") or {}).get("seccomp") or {}).get("listenerPath")
    return [["seccomp-agent", path]] if path else []


def agent_text(spec: Spec, container_id: str, bundle_dir: str) -> str:
    """The container process state (config-linux.md); the shim puts the pid in."""
    asked = (spec.get("linux") or {}).get("seccomp") or {}
    version = spec.get("ociVersion", "")
    state = {
        "annotations": spec.get("annotations") or {},
        "bundle": bundle_dir,
        "id": container_id,
        "ociVersion": version,
        "pid": "@PID@",
        "status": "creating",
    }
    document = {
        "fds": ["seccompFd"],
        "metadata": asked.get("listenerMetadata") or "",
        "ociVersion": "0.2.0",  # of this document, as the specification's own example has it
        "pid": "@PID@",
        "state": state,
    }
    return dump_json(document).replace('"@PID@"', "@PID@")


def privilege_records(
    process: Process,
    spec: Spec,
    namespaces: Namespaces,
    host: Host,
    seccomp_fd: int | None,
    agent: str,
) -> list[list[str]]:
    """What the process may no longer do.

    The labels are of the next exec, so no hook may come after them. A filter needs no_new_privs or CAP_SYS_ADMIN. So it comes as late as it can, after the capabilities
    went, when no_new_privs is set, and just before they go when it is not.
    """
    no_new_privs = bool(process.get("noNewPrivileges"))
    capabilities = ["capabilities", *_capability_words(process)]
    seccomp = _seccomp((spec.get("linux") or {}).get("seccomp"), seccomp_fd, agent)
    records = _labels(process, host)
    records += [["no-new-privs"]] if no_new_privs else []
    records.append(_user(process, namespaces, keep_groups=_keeps_groups(spec)))
    records += [capabilities, *seccomp] if no_new_privs else [*seccomp, capabilities]
    return records


def _keeps_groups(spec: Spec) -> bool:
    """crun's annotation, which podman writes for `--group-add keep-groups`."""
    word = (spec.get("annotations") or {}).get("run.oci.keep_original_groups", "0")
    return word not in ("", "0", "false")


def _user(process: Process, namespaces: Namespaces, *, keep_groups: bool) -> list[str]:
    user = process.get("user") or {}
    uid, gid = user.get("uid", 0), user.get("gid", 0)
    groups = [] if keep_groups else user.get("additionalGids") or []
    if "user" in namespaces.new:
        _refuse_unmapped("user", "uid", [uid], namespaces.uid_map)
        _refuse_unmapped("group", "gid", [gid, *groups], namespaces.gid_map)
    return ["user", str(uid), str(gid), *(["-1"] if keep_groups else map(str, groups))]


def _refuse_unmapped(
    what: str, name: str, ids: Sequence[int], mapped: Sequence[idmap.Range]
) -> None:
    for number in ids:
        if idmap.to_outside(mapped, number) is None:
            raise InvalidInput(
                f"{what} {number} does not exist in the container: no {name} mapping holds it",
                "use an id that is mapped, or give yourself subordinate ids: "
                "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER",
            )


def _capability_words(process: Process) -> list[str]:
    sets = process.get("capabilities") or {}
    names = (
        sets.get("bounding"),
        sets.get("effective"),
        sets.get("inheritable"),
        sets.get("permitted"),
        sets.get("ambient"),
    )
    *masks, ambient = [capability.mask(words or []) for words in names]
    _, _, inheritable, permitted = masks
    # What cannot be given is left out (config.md); `capability.in_vain` tells.
    return [f"{mask:x}" for mask in (*masks, ambient & inheritable & permitted)]


def _seccomp(asked: Seccomp | None, fd: int | None, agent: str) -> list[list[str]]:
    if not asked:
        return []
    if not asked.get("listenerPath"):
        _refuse_notify(asked)
    if fd is None:
        raise ValueError("the configuration has a seccomp filter and the caller compiled none")
    flags = []
    for flag in asked.get("flags") or []:
        if flag not in _SECCOMP_FLAGS:
            raise InvalidInput(f'unknown flag "{flag}" in "linux.seccomp.flags"')
        flags.append(_SECCOMP_FLAGS[flag])
    if not asked.get("listenerPath"):
        return [["seccomp", str(fd), ",".join(flags)]]
    return [["seccomp", str(fd), ",".join([*flags, "new_listener"]), agent]]


def _refuse_notify(asked: Seccomp) -> None:
    """Nobody would answer: the first call with this action would wait for ever."""
    rules = asked.get("syscalls") or []
    if any(rule.get("action") == "SCMP_ACT_NOTIFY" for rule in rules):
        raise InvalidInput(
            'SCMP_ACT_NOTIFY needs an agent: "linux.seccomp.listenerPath" is empty',
            "name the agent's socket there",
        )


def command_records(process: Process, *, init: bool = False) -> list[list[str]]:
    args, cwd = process.get("args") or [], process.get("cwd") or "/"
    if not args or not args[0]:
        raise InvalidInput('no command: "process.args" is empty')
    if not cwd.startswith("/"):
        raise InvalidInput(f'the working directory "{cwd}" is not absolute')
    return [
        ["cwd", cwd],
        ["env", *(process.get("env") or [])],
        *([["init"]] if init else []),
        ["exec", *args],
    ]
