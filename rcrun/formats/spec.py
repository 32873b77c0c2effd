"""The shape of config.json (OCI runtime specification) and the one that `rcrun-oci spec` writes.

Documents stay dicts shaped like the specification; the classes here exist for the type checker only.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class ConsoleSize(TypedDict):
        height: int
        width: int

    class User(TypedDict, total=False):
        uid: int
        gid: int
        umask: int
        additionalGids: list[int]
        username: str

    class Capabilities(TypedDict, total=False):
        bounding: list[str]
        effective: list[str]
        inheritable: list[str]
        permitted: list[str]
        ambient: list[str]

    class Rlimit(TypedDict):
        type: str
        soft: int
        hard: int

    class Scheduler(TypedDict, total=False):
        policy: str
        nice: int
        priority: int
        flags: list[str]
        runtime: int
        deadline: int
        period: int

    IoPriority = TypedDict("IoPriority", {"class": str, "priority": int})

    class CpuAffinity(TypedDict, total=False):
        initial: str
        final: str

    class Process(TypedDict, total=False):
        terminal: bool
        consoleSize: ConsoleSize
        user: User
        args: list[str]
        commandLine: str
        env: list[str]
        cwd: str
        capabilities: Capabilities
        rlimits: list[Rlimit]
        noNewPrivileges: bool
        apparmorProfile: str
        oomScoreAdj: int
        scheduler: Scheduler
        selinuxLabel: str
        ioPriority: IoPriority
        execCPUAffinity: CpuAffinity

    class Root(TypedDict, total=False):
        path: str
        readonly: bool

    class MemoryPolicy(TypedDict, total=False):
        mode: str
        nodes: str
        flags: list[str]

    class IdMapping(TypedDict):
        containerID: int
        hostID: int
        size: int

    class Mount(TypedDict, total=False):
        destination: str
        type: str
        source: str
        options: list[str]
        uidMappings: list[IdMapping]
        gidMappings: list[IdMapping]

    class Hook(TypedDict, total=False):
        path: str
        args: list[str]
        env: list[str]
        timeout: int

    class Hooks(TypedDict, total=False):
        prestart: list[Hook]
        createRuntime: list[Hook]
        createContainer: list[Hook]
        startContainer: list[Hook]
        poststart: list[Hook]
        poststop: list[Hook]

    class Namespace(TypedDict, total=False):
        type: str
        path: str

    class Device(TypedDict, total=False):
        type: str
        path: str
        major: int
        minor: int
        fileMode: int
        uid: int
        gid: int

    class SeccompArg(TypedDict, total=False):
        index: int
        value: int
        valueTwo: int
        op: str

    class SeccompSyscall(TypedDict, total=False):
        names: list[str]
        action: str
        errnoRet: int
        args: list[SeccompArg]

    class Seccomp(TypedDict, total=False):
        defaultAction: str
        defaultErrnoRet: int
        architectures: list[str]
        flags: list[str]
        listenerPath: str
        listenerMetadata: str
        syscalls: list[SeccompSyscall]

    class Personality(TypedDict, total=False):
        domain: str
        flags: list[str]

    class TimeOffset(TypedDict, total=False):
        secs: int
        nanosecs: int

    class NetDevice(TypedDict, total=False):
        name: str

    class IntelRdt(TypedDict, total=False):
        closID: str
        l3CacheSchema: str
        memBwSchema: str
        schemata: list[str]
        enableMonitoring: bool

    class Linux(TypedDict, total=False):
        namespaces: list[Namespace]
        uidMappings: list[IdMapping]
        gidMappings: list[IdMapping]
        timeOffsets: dict[str, TimeOffset]
        devices: list[Device]
        cgroupsPath: str
        resources: dict[str, object]
        rootfsPropagation: str
        seccomp: Seccomp
        sysctl: dict[str, str]
        maskedPaths: list[str]
        readonlyPaths: list[str]
        mountLabel: str
        personality: Personality
        intelRdt: IntelRdt
        memoryPolicy: MemoryPolicy
        netDevices: dict[str, NetDevice]

    class Spec(TypedDict, total=False):
        ociVersion: str
        process: Process
        root: Root
        hostname: str
        domainname: str
        mounts: list[Mount]
        hooks: Hooks
        annotations: dict[str, str]
        linux: Linux


OCI_VERSION = "1.3.0"  # the newest whose fields we know
WRITTEN_VERSION = (
    "1.0.2"  # the oldest that has all that default_spec writes: older runtimes take it too
)
DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NAMESPACES = ("user", "mount", "pid", "network", "ipc", "uts", "cgroup", "time")
# In the order in which they run; the deprecated prestart runs where createRuntime does.
HOOK_KINDS = (
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
)
MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_CAPABILITIES = ("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")


def has_new_pid_namespace(spec: Spec) -> bool:
    """Then the kernel ends everybody in it with the init."""
    namespaces = (spec.get("linux") or {}).get("namespaces") or []
    return any(one["type"] == "pid" and not one.get("path") for one in namespaces)


def hooks_of(spec: Spec, kind: str) -> list[Hook]:
    hooks: list[Hook] = (spec.get("hooks") or {}).get(kind) or []  # type: ignore[assignment]
    return hooks


def hook_outputs(spec: Spec) -> tuple[str, str]:
    """crun's annotations: the files that get what hooks write on standard output and error; "" for none."""
    annotations = spec.get("annotations") or {}
    return annotations.get("run.oci.hooks.stdout", ""), annotations.get("run.oci.hooks.stderr", "")


def default_spec(*, rootless: bool = False, uid: int = 0, gid: int = 0) -> Spec:
    """A config.json to begin with; `rootless` maps the user uid:gid to root of the container."""
    namespaces: list[Namespace] = [
        {"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup")
    ]
    linux: Linux = {
        "namespaces": namespaces,
        "maskedPaths": list(MASKED_PATHS),
        "readonlyPaths": list(READONLY_PATHS),
    }
    if rootless:
        namespaces.append({"type": "user"})
        linux["uidMappings"] = [{"containerID": 0, "hostID": uid, "size": 1}]
        linux["gidMappings"] = [{"containerID": 0, "hostID": gid, "size": 1}]
    else:
        linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    namespaces.append({"type": "network"})
    return {
        "ociVersion": WRITTEN_VERSION,
        "process": _default_process(),
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "rcrun",
        "mounts": default_mounts(rootless=rootless),
        "linux": linux,
    }


def _default_process() -> Process:
    return {
        "terminal": True,
        "user": {"uid": 0, "gid": 0},
        "args": ["sh"],
        "env": [DEFAULT_PATH, "TERM=xterm"],
        "cwd": "/",
        "capabilities": {
            "bounding": list(_CAPABILITIES),
            "effective": list(_CAPABILITIES),
            "permitted": list(_CAPABILITIES),
        },
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1024}],
        "noNewPrivileges": True,
    }


def default_mounts(*, rootless: bool = False) -> list[Mount]:
    """What every Linux program expects to find. Group 5 (tty) has no number where one id is mapped."""
    closed = ["nosuid", "noexec", "nodev"]
    terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    return [
        _mount("/proc", "proc", "proc", [*closed]),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("/dev/pts", "devpts", "devpts", terminals if rootless else [*terminals, "gid=5"]),
        _mount("/dev/shm", "tmpfs", "shm", [*closed, "mode=1777", "size=65536k"]),
        _mount("/dev/mqueue", "mqueue", "mqueue", [*closed]),
        _mount("/sys", "sysfs", "sysfs", [*closed, "ro"]),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*closed, "relatime", "ro"]),
    ]


def _mount(destination: str, kind: str, source: str, options: list[str]) -> Mount:
    return {"destination": destination, "type": kind, "source": source, "options": options}
