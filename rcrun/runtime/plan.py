"""config.json → plan (docs/plan.md): what the shim does to make the container. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.files import dump_json
from rcrun.formats.spec import HOOK_KINDS, hook_outputs, hooks_of
from rcrun.runtime import plan_mounts, plan_process
from rcrun.runtime.host import Host
from rcrun.runtime.plan_namespaces import Namespaces, complete, namespace_records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rcrun.formats.spec import Hook, Spec

__all__ = ["Host", "complete", "container_plan", "state_text"]

_ROOT_PROPAGATION = ("shared", "slave", "private", "unbindable")
_LONGEST_TIMEOUT = 2**31 - 1  # what the shim counts with: 68 years


def container_plan(
    spec: Spec,
    bundle_dir: str,
    host: Host,
    *,
    root: Sequence[Sequence[str]] | None = None,
    settings: Iterable[Sequence[str]] = (),
    on_exit: Iterable[Sequence[str]] = (),
    seccomp_fd: int | None = None,
    init: bool = False,
    pause: bool = False,
    keyring: str = "",
    pivot: bool = True,
    trees: Mapping[str, int] = plan_mounts.NO_TREES,
) -> list[list[str]]:
    """The plan of a container's init.

    `root`: the records that make the root, else the bundle's `root.path` is bound. `settings` and
    `on_exit` go in as they are. `seccomp_fd` holds the filter that `linux.seccomp` describes.
    `trees`: by destination, mounts that were made outside. `init` puts a reaping process before the
    command, `pause` one in its place; `keyring` names a new session keyring; without `pivot` the root is moved, for hosts that run from an initramfs.
    """
    spec = complete(spec, host)
    given = [list(record) for record in settings]
    _refuse_unsupported(spec, given)
    namespaces = Namespaces(spec)
    process = spec.get("process") or {}
    resources = (spec.get("linux") or {}).get("resources")
    if resources and not any(record[0] == "cgroup" for record in given):
        from rcrun.runtime.plan_resources import refuse_without_cgroup

        refuse_without_cgroup(resources)
    has_start = any(record[0] == "start-socket" for record in given)
    made_root = (
        [list(record) for record in root] if root is not None else _bundle_root(spec, bundle_dir)
    )
    return [
        ["plan", "1"],
        ["session", "container"],
        *given,
        *plan_process.terminal_records(process),
        *plan_process.agent_records(spec),
        *_hook_settings(spec, bundle_dir, given),
        *_network_devices(spec, host, namespaces),
        *namespace_records(spec, host),
        ["propagation", _first_propagation(spec)],
        *_network_and_names(spec, namespaces),
        *made_root,
        *plan_mounts.mount_records(spec, bundle_dir, host, namespaces, trees),
        *plan_mounts.device_records(
            spec, closed=plan_mounts.opens_no_devices(spec, host, namespaces), trees=trees
        ),
        *_working_directory(spec),
        *([["console"]] if process.get("terminal") else []),
        *plan_mounts.closing_records(spec),
        ["ready"],
        *_hooks_here(spec, "createContainer"),
        *plan_mounts.mask_records(spec),
        *plan_process.limit_records(process, spec, host),
        ["pivot" if pivot else "move-root"],
        # The container's own procfs, which shows its namespaces and is writable until the next line.
        *_sysctls(spec, namespaces),
        *plan_mounts.readonly_records(spec),
        *([["root-readonly"]] if (spec.get("root") or {}).get("readonly") else []),
        *_root_propagation(spec),
        *([["keyring", keyring]] if keyring else []),
        *([["start-wait"]] if has_start else []),
        *_hooks_here(spec, "startContainer"),
        *plan_process.privilege_records(
            process,
            spec,
            namespaces,
            host,
            seccomp_fd,
            plan_process.agent_text(spec, plan_process.id_of(given), bundle_dir),
            emulates=plan_process.emulates_root(given),
        ),
        *plan_process.command_records(process, init=init, pause=pause),
        *_after_exit(on_exit),
    ]


def _refuse_unsupported(spec: Spec, given: list[list[str]]) -> None:
    linux = spec.get("linux") or {}
    # who makes the class of service gives us the helper that puts the init into it
    if linux.get("intelRdt") is not None and not any(row[0] == "helper" for row in given):
        raise InvalidInput(
            '"linux.intelRdt" is not supported here', "run the bundle with rcrun-oci"
        )
    for platform in ("windows", "solaris", "vm", "zos"):
        if platform in spec:
            raise InvalidInput(f'"{platform}" is not supported: rcrun makes Linux containers')


def _bundle_root(spec: Spec, bundle_dir: str) -> list[list[str]]:
    path = (spec.get("root") or {}).get("path")
    if not path:
        raise InvalidInput('no root file system: "root.path" is missing')
    return [["root-bind", plan_mounts.absolute(path, bundle_dir)]]


def _first_propagation(spec: Spec) -> str:
    """Of every mount that we inherit: the host must never see ours; we may see its new ones.

    config-linux.md has no default; slave is what both reference runtimes' callers count on when a
    mount asks for rslave.
    """
    asked = (spec.get("linux") or {}).get("rootfsPropagation") or ""
    return "rprivate" if asked.removeprefix("r") in ("private", "unbindable") else "rslave"


def _root_propagation(spec: Spec) -> list[list[str]]:
    asked = (spec.get("linux") or {}).get("rootfsPropagation") or ""
    if not asked:
        return []
    if asked.removeprefix("r") not in _ROOT_PROPAGATION:
        raise InvalidInput(f'unknown propagation "{asked}" in "linux.rootfsPropagation"')
    return [["root-propagation", asked]]


def _network_and_names(spec: Spec, namespaces: Namespaces) -> list[list[str]]:
    records = [["loopback"]] if "network" in namespaces.new else []
    for field in ("hostname", "domainname"):
        value = spec.get(field)
        if value:
            records.append([field, str(value)])
    return records


def _network_devices(spec: Spec, host: Host, namespaces: Namespaces) -> list[list[str]]:
    devices = (spec.get("linux") or {}).get("netDevices")
    if not devices:
        return []
    from rcrun.runtime.plan_netdevices import device_helpers

    return device_helpers(devices, host, namespaces)


def _working_directory(spec: Spec) -> list[list[str]]:
    """Made while the root can still be written, and before anything is masked."""
    cwd = (spec.get("process") or {}).get("cwd") or "/"
    return [] if cwd.strip("/") == "" else [["mkdir", cwd, "755"]]


def _sysctls(spec: Spec, namespaces: Namespaces) -> list[list[str]]:
    asked = (spec.get("linux") or {}).get("sysctl") or {}
    if not asked:
        return []
    from rcrun.formats import sysctl

    records = []
    for name, value in asked.items():
        key = sysctl.key_of(name)
        if not key:
            raise InvalidInput(f'invalid sysctl "{name}"')
        _refuse_name(spec, name, key, str(value))
        kind = sysctl.namespace_of(key)
        if not kind:
            raise InvalidInput(f'sysctl "{name}" is not of a namespace: it would change the host')
        if kind not in namespaces:
            raise InvalidInput(
                f'sysctl "{name}" needs a {kind} namespace of the container\'s own',
                f'add {{"type": "{kind}"}} to "linux.namespaces"',
            )
        records.append(["sysctl", key, str(value)])
    return records


def _refuse_name(spec: Spec, name: str, key: str, value: str) -> None:
    """A name that two fields give, as the reference runtimes see it."""
    if key == "kernel/hostname":
        raise InvalidInput(f'sysctl "{name}" is not supported', 'use the field "hostname"')
    if key == "kernel/domainname" and spec.get("domainname") not in (None, "", value):
        raise InvalidInput(
            f'sysctl "{name}" and "domainname" differ', f'remove "{name}" from "linux.sysctl"'
        )


def _hook_settings(spec: Spec, bundle_dir: str, given: list[list[str]]) -> list[list[str]]:
    records = [
        _hook(kind, index, hook)
        for kind in HOOK_KINDS
        for index, hook in enumerate(hooks_of(spec, kind))
    ]
    if not records:
        return []
    outputs = hook_outputs(spec)
    if any(outputs):
        records.insert(0, ["hook-output", *outputs])
    records.insert(0, ["hook-dir", bundle_dir])
    return [["state-json", state_text(spec, plan_process.id_of(given), bundle_dir)], *records]


def _hook(kind: str, index: int, hook: Hook) -> list[str]:
    path = hook["path"]
    if not path.startswith("/"):
        raise InvalidInput(f'the path "{path}" of a {kind} hook is not absolute')
    args, env = hook.get("args") or [path], hook.get("env") or []
    if not isinstance(args, list) or not isinstance(env, list):
        raise TypeError('"args" and "env" of a hook are lists')  # the schema words it
    timeout = min(hook.get("timeout") or 0, _LONGEST_TIMEOUT)
    return [
        "hook",
        kind,
        str(index),
        str(timeout),
        path,
        str(len(args)),
        *args,
        *env,
    ]


def _hooks_here(spec: Spec, kind: str) -> list[list[str]]:
    return [["hooks", kind]] if hooks_of(spec, kind) else []


def state_text(spec: Spec, container_id: str, bundle_dir: str) -> str:
    """The OCI state (runtime.md) without its closing brace, and without `pid` and `status`."""
    state: dict[str, object] = {
        "annotations": spec.get("annotations") or {},
        "bundle": bundle_dir,
        "id": container_id,
        "ociVersion": spec.get("ociVersion", ""),
    }
    return dump_json(state)[:-1]


def _after_exit(on_exit: Iterable[Sequence[str]]) -> list[list[str]]:
    records = [list(record) for record in on_exit]
    return [["on-exit"], *records] if records else []
