"""The process of a container, or of an exec, as steps: limits, identity, privileges, command. Pure."""

from __future__ import annotations

from rcrun.errors import CommandNotFound, HostLacks, InvalidInput
from rcrun.files import dump_json
from rcrun.formats import capability, idmap
from rcrun.runtime.plan_namespaces import Namespaces, complete

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rcrun.formats.spec import Process, Seccomp, Spec
    from rcrun.runtime.host import Host

_RLIMITS = frozenset(
    "RLIMIT_AS RLIMIT_CORE RLIMIT_CPU RLIMIT_DATA RLIMIT_FSIZE RLIMIT_LOCKS RLIMIT_MEMLOCK"
    " RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_NOFILE RLIMIT_NPROC RLIMIT_RSS RLIMIT_RTPRIO"
    " RLIMIT_RTTIME RLIMIT_SIGPENDING RLIMIT_STACK".split()
)
_UNLIMITED = 2**63 - 1  # and above: config.json writes RLIM_INFINITY as 2**64-1
_MOST_CPUS = 1024  # of a cpu_set_t
# personality(2)
_DOMAINS = {"LINUX": "0", "LINUX32": "8"}
SECCOMP_FLAGS = {
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
        *privilege_records(
            process, spec, namespaces, host, seccomp_fd, agent, emulates=emulates_root(given)
        ),
        *command_records(process),
    ]


def id_of(settings: Iterable[Sequence[str]]) -> str:
    return next((record[1] for record in settings if record[0] == "id"), "")


def emulates_root(settings: Iterable[Sequence[str]]) -> bool:
    """Whether somebody asked for it by the setting that says where owners are written."""
    return any(record[0] == "emulation-log" for record in settings)


def terminal_records(process: Process) -> list[list[str]]:
    if not process.get("terminal"):
        return []
    size = process.get("consoleSize")
    return [["terminal", str(size["height"] if size else 0), str(size["width"] if size else 0)]]


def limit_records(process: Process, spec: Spec, host: Host) -> list[list[str]]:
    """What the process is given while we may still give it; before the pivot, for the host's /proc."""
    records = _rlimits(process)
    score = process.get("oomScoreAdj")
    if score is not None and not is_too_low(process, host):
        records.append(["oom-score", str(score)])
    umask = (process.get("user") or {}).get("umask")
    records.append(["umask", f"{0o022 if umask is None else umask:o}"])
    records += _personality(spec)
    if process.get("scheduler") or process.get("ioPriority"):
        from rcrun.runtime.plan_scheduling import scheduling_records

        records += scheduling_records(process)
    policy = (spec.get("linux") or {}).get("memoryPolicy")
    if policy is not None:
        from rcrun.runtime.plan_memory import memory_records

        records += memory_records(policy)
    return records


def is_too_low(process: Process, host: Host) -> bool:
    """An OOM score that the kernel lets no user set; it stays as it is then, with a warning."""
    score = process.get("oomScoreAdj")
    return score is not None and host.rootless and score < host.oom_score_adj


def _rlimits(process: Process) -> list[list[str]]:
    records: list[list[str]] = []
    for limit in process.get("rlimits") or []:
        name, soft, hard = limit["type"], limit["soft"], limit["hard"]
        if name not in _RLIMITS:
            raise InvalidInput(f'unknown limit "{name}" in "process.rlimits"')
        if any(record[1] == name for record in records):
            raise InvalidInput(f'limit "{name}" is twice in "process.rlimits"')
        if soft < -1 or hard < -1:
            raise InvalidInput(f'limit "{name}": {min(soft, hard)} is less than nothing')
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
    """Of exec only (`execCPUAffinity`): the final one, in the cgroup; the first one is set before the shim starts."""
    cpus = (process.get("execCPUAffinity") or {}).get("final") or ""
    cpus_of(cpus, "final")
    return [["affinity", cpus]] if cpus else []


def cpus_of(text: str, which: str) -> set[int]:
    """Of a list as in `0-3,7`."""
    found: set[int] = set()
    for part in text.split(",") if text else []:
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) < _MOST_CPUS):
            raise InvalidInput(
                f'"{text}" in "process.execCPUAffinity.{which}" is no list of processors as in 0-3,7'
            )
        found.update(range(int(first), int(last) + 1))
    return found


def agent_records(spec: Spec) -> list[list[str]]:
    """A setting: the agent is reached by a path of the host."""
    asked = (spec.get("linux") or {}).get("seccomp") or {}
    path = asked.get("listenerPath")
    if not path:
        return []
    # without questions config-linux.md wants the path ignored, and crun's agents want to be told all the same
    return [["seccomp-agent", path, *([] if _notifies(asked) else ["optional"])]]


def _notifies(asked: Seccomp) -> bool:
    """Whether an agent is asked about calls."""
    rules = asked.get("syscalls") or []
    actions = [asked.get("defaultAction"), *(rule.get("action") for rule in rules)]
    return "SCMP_ACT_NOTIFY" in actions


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
    *,
    emulates: bool = False,
) -> list[list[str]]:
    """What the process may no longer do; `emulates`: its calls of identity are answered by our parent.

    The labels are of the next exec, so no hook may come after them. A filter needs no_new_privs or CAP_SYS_ADMIN. So it comes as late as it can, after the capabilities
    went, when no_new_privs is set, and just before they go when it is not.
    """
    no_new_privs = bool(process.get("noNewPrivileges"))
    capabilities = ["capabilities", *_capability_words(process)]
    seccomp = _seccomp((spec.get("linux") or {}).get("seccomp"), seccomp_fd, agent)
    records = _labels(process, host)
    records += [["no-new-privs"]] if no_new_privs else []
    records.append(_user(process, namespaces, keep_groups=_keeps_groups(spec)))
    records += [["emulate-root"]] if emulates else []
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
    # What cannot be given is left out (config.md); `capability_warnings` tells.
    return [f"{mask:x}" for mask in (*masks, ambient & inheritable & permitted)]


def capability_warnings(process: Process, held: int) -> list[str]:
    """What is asked for and not given (config.md): names that are none, and what we do not hold ourselves."""
    sets: Mapping[str, list[str]] = process.get("capabilities") or {}  # type: ignore[assignment]
    asked = list(dict.fromkeys(word for words in sets.values() for word in words or []))
    unknown = capability.unknown(asked)
    lacking = [word for word in asked if word not in unknown and not capability.mask([word]) & held]
    permitted = sets.get("permitted") or []
    inheritable = sets.get("inheritable") or []
    raised = {*permitted} & {*inheritable}
    # Engines that have no inheritable ones name the ambient ones all the same (buildah).
    ambient = (sets.get("ambient") or []) if inheritable else []
    lost = [word for word in ambient if word not in (*raised, *unknown)]
    odd = [word for word in sets.get("effective") or [] if word not in (*permitted, *unknown)]
    return [
        *(f'unknown capability "{word}" in "process.capabilities" is left out' for word in unknown),
        *(f"the container cannot have {word}: rcrun does not have it itself" for word in lacking),
        *(
            f"{word} cannot be effective: it is not among the permitted capabilities"
            for word in odd
        ),
        *(
            f"can't raise ambient capability {word}: it is not both permitted and inheritable"
            for word in lost
        ),
    ]


def _seccomp(asked: Seccomp | None, fd: int | None, agent: str) -> list[list[str]]:
    if not asked:
        return []
    if fd is None:
        raise ValueError("the configuration has a seccomp filter and the caller compiled none")
    flags = []
    for flag in asked.get("flags") or []:
        if flag not in SECCOMP_FLAGS:
            raise InvalidInput(f'unknown flag "{flag}" in "linux.seccomp.flags"')
        flags.append(SECCOMP_FLAGS[flag])
    path = asked.get("listenerPath")
    if not path and (asked.get("listenerMetadata") or _notifies(asked)):
        what = "SCMP_ACT_NOTIFY" if _notifies(asked) else '"listenerMetadata"'
        raise InvalidInput(
            f'"linux.seccomp": {what} needs a "listenerPath", where an agent answers'
        )
    if path:
        return [["seccomp", str(fd), ",".join([*flags, "new_listener"]), agent]]
    # how an agent is waited for; the kernel refuses it where there is none
    return [["seccomp", str(fd), ",".join(word for word in flags if word != "wait_killable_recv")]]


def command_records(
    process: Process, *, init: bool = False, pause: bool = False
) -> list[list[str]]:
    args, cwd = process.get("args") or [], process.get("cwd") or "/"
    if not args:
        raise InvalidInput('no command: "process.args" is empty')
    if not args[0]:
        raise CommandNotFound(
            '"": executable file not found in $PATH: process.args begins with an empty word'
        )
    if not cwd.startswith("/"):
        raise InvalidInput(f'the working directory "{cwd}" is not absolute')
    return [
        ["cwd", cwd],
        ["env", *(process.get("env") or [])],
        *([["init"]] if init else []),
        *([["pause"]] if pause else []),
        ["exec", *args],
    ]
