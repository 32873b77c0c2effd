"""From a container of the store to its plan, and to a process: what `run` and `start` share."""

from __future__ import annotations

import os

from rcrun.engine.eventlog import plan_records
from rcrun.kernel import shim
from rcrun.paths import make_private_dir
from rcrun.storage.containers import anonymous_volumes, prepare_launch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from rcrun.engine.context import Context
    from rcrun.errors import RcrunError
    from rcrun.files import Lock
    from rcrun.formats.spec import Spec
    from rcrun.storage.containers import Container

    Records = list[list[str]]


DETACH_KEYS = "1011"  # ctrl-p,ctrl-q in the plan's hex


def _hex_of(keys: str) -> str:
    from rcrun.formats.detachkeys import hex_of

    return hex_of(keys)


class Foreground:
    """How the caller takes part: `streams` of `ioe`, detach keys as typed, whether signals are passed on.

    `tries`: how often another port was chosen for it because somebody else had taken the last one.
    """

    __slots__ = ("detach_keys", "sig_proxy", "streams", "tries")

    def __init__(
        self, streams: str, detach_keys: str | None = None, *, sig_proxy: bool = False
    ) -> None:
        self.streams = streams
        self.detach_keys = DETACH_KEYS if detach_keys is None else _hex_of(detach_keys)
        self.sig_proxy = sig_proxy
        self.tries = 0

    def records(self) -> Records:
        records = [["foreground", self.streams, self.detach_keys]]
        return [*records, ["sig-proxy"]] if self.sig_proxy else records


def launch(
    context: Context,
    container: Container,
    lock: Lock,
    foreground: Foreground | None,
    spec: Spec | None = None,
) -> None:
    """Start it; the caller holds the lock, and may know config.json.

    In the foreground this does not return: the process becomes the shim.
    """
    spec = spec or container.config()
    if container.record.get("secrets"):
        from rcrun.engine.secrets import with_environment

        spec = with_environment(container, spec)
    if (
        "NOTIFY_SOCKET" in context.environ
        or "LISTEN_FDS" in context.environ
        or "notify_socket" in container.record
    ):
        from rcrun.engine.service import of_service

        spec = of_service(context, container, spec)
    if container.record.get("requires") or container.record.get("pod"):
        from rcrun.engine.beside import start_required

        start_required(context, container)
    try:
        if foreground is None:
            from rcrun.engine.launch_network import with_free_ports

            with_free_ports(_launch_detached, context, container, spec)
        else:
            _become_client(context, container, spec, lock, foreground)
    except BaseException:
        undo(context, container)
        raise


def _launch_detached(context: Context, container: Container, spec: Spec) -> None:
    plan, fds = plan_of(context, container, spec, [["monitor"]])
    try:
        prepare_launch(container)
        launch_detached(plan, fds)
    finally:
        for fd in fds:
            os.close(fd)
    if container.record.get("conmon_pidfile"):
        from rcrun.engine.beside import write_monitor_pid

        write_monitor_pid(container)


def launch_detached(plan: Records, fds: list[int]) -> None:
    """Returns once the process runs; raises what kept it from that."""
    try:
        report = shim.launch(plan, pass_fds=fds)
    except OSError as error:
        raise _cannot_run_shim(error) from error
    if report is not None:
        from rcrun.runtime.hints import error_for

        raise error_for(plan, report)


def become_client(plan: Records, fds: list[int]) -> NoReturn:
    try:
        for fd in fds:
            os.set_inheritable(fd, True)
        shim.replace_process(plan)
    except OSError as error:
        raise _cannot_run_shim(error) from error


def _become_client(
    context: Context, container: Container, spec: Spec, lock: Lock, foreground: Foreground
) -> NoReturn:
    if str((container.record.get("log") or {}).get("driver")).startswith("passthrough"):
        foreground.streams = ""  # the container has them itself
    tries = ["--tries", str(foreground.tries)] if foreground.tries else []
    settings = [
        ["on-failure", *context.launcher, "__failed", *tries, container.id],
        ["lock", str(lock.fd)],
        ["monitor"],
        *foreground.records(),
    ]
    plan, fds = plan_of(context, container, spec, settings)
    prepare_launch(container)
    become_client(plan, [lock.fd, *fds])


def _cannot_run_shim(error: OSError) -> RcrunError:
    from rcrun.errors import HostLacks

    return HostLacks(
        f'cannot run "{shim.shim_path()}": {(error.strerror or str(error)).lower()}',
        "install rcrun again: its C program is missing or cannot be executed",
    )


def plan_of(
    context: Context, container: Container, spec: Spec, settings: Records
) -> tuple[Records, list[int]]:
    """And the descriptors that it names."""
    from rcrun.engine.launch_network import on_bridge_or_not

    if context.has_hooks:
        from rcrun.engine.hosthooks import with_hooks

        spec = with_hooks(context, container, spec)
    return on_bridge_or_not(_plan_of, context, container, spec, settings)


def _plan_of(
    context: Context, container: Container, spec: Spec, settings: Records
) -> tuple[Records, list[int]]:
    from rcrun.engine.launch_network import bridges_of, helper_settings, with_open_network
    from rcrun.kernel.seccomp import filter_fd_of
    from rcrun.runtime.plan import container_plan

    record = container.record
    trees, fds = _made_anew(context, container), []
    if record.get("joins"):
        from rcrun.engine.joining import join

        joining = join(context, container, spec)
        spec, fds = joining.spec, joining.fds
        trees.update(joining.trees)
    if record.get("shifted"):
        from rcrun.engine.shifting import open_trees

        trees.update(open_trees(context, container, spec, trees))
    seccomp_fd = filter_fd_of(spec)
    group, group_fds = _cgroup(context, container, spec)
    fds, settings = [*fds, *group_fds], [*settings, *group]
    bridges = bridges_of(context, container)
    if bridges is not None:
        settings += bridges.join()
    try:
        plan = container_plan(
            spec,
            record.get("bundle") or container.dir,  # what hooks are told
            context.host,
            root=[["root-fd", str(trees["/"]), "/tmp"]]
            if "/" in trees
            else root_records(context, container),
            settings=[
                *settings,
                *_file_settings(context, container),
                *_restart(context, container),
                *_health(context, container, spec),
                *plan_records(container),
                *helper_settings(context, container),
            ],
            on_exit=_on_exit(context, container, spec),
            seccomp_fd=seccomp_fd,
            init=bool(record.get("init")),
            pause=record.get("infra") == "pause",
            trees=trees,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        from rcrun.runtime.bundle import malformed

        raise malformed(spec, error) from error  # a bundle's config.json is as its author wrote it
    plan = with_open_network(plan)
    fds = [*trees.values(), *fds, *([] if seccomp_fd is None else [seccomp_fd])]
    if bridges is None:
        return plan, fds
    return bridges.with_room(plan), [*fds, bridges.room.lock.fd]


def _made_anew(context: Context, container: Container) -> dict[str, int]:
    """What a start makes of the mounts: upper directories of overlays, and parts of volumes, by destination."""
    mounts = container.record.get("mounts") or []
    if any("overlay" in mount for mount in mounts):
        from rcrun.engine.overlays import renew_overlays

        renew_overlays(context, mounts)
    if any("lowers" in mount or mount.get("idmap") for mount in mounts):
        from rcrun.engine.madetrees import open_trees

        return open_trees(context, container, mounts)
    if any(mount.get("subpath") for mount in mounts):
        from rcrun.engine.subpaths import open_subpaths

        return open_subpaths(context, mounts)
    return {}


def _file_settings(context: Context, container: Container) -> Records:
    record = container.record
    log = record.get("log") or {}
    records = [
        ["id", container.id],
        ["attach", container.live_path("attach.sock")],
        ["state", container.live_path("state.json")],
        ["exit", container.path("exit.json")],
        *record.pop("notify_records", ()),
    ]
    if record.get("pidfile"):
        records.append(["pid-file", record["pidfile"]])
    if record.get("root_emulation"):
        records.append(["emulation-log", container.path("owners.log")])
    kept = record.pop("preserve_fds", 0)  # of this start alone
    if kept:
        records.append(["preserve-fds", str(kept)])
    is_plain = log.get("driver", "k8s-file") == "k8s-file"
    if is_plain and "path" not in log and not log.get("compress"):
        sizes = [str(log.get("max_size", 0)), str(log.get("max_files", 1))]
        records.append(["log", container.path("log"), *sizes])
    else:
        from rcrun.engine.logdrivers import records as log_records

        records += log_records(context, container)
    if record.get("timeout"):
        records.append(["timeout", str(record["timeout"])])
    return [*records, ["stdin"]] if record.get("stdin_open") else records


def _health(context: Context, container: Container, spec: Spec) -> Records:
    if not container.record.get("healthcheck"):
        return []
    from rcrun.engine.health import plan_records as health_records

    return health_records(context, container, spec)


def _restart(context: Context, container: Container) -> Records:
    """Where the monitor looks for a policy, which may come while the container runs, and what it runs then."""
    if container.record.get("auto_remove"):
        return []
    if container.record.get("restart_policy"):
        from rcrun.engine.restart import begin

        begin(container)
    again = [*context.launcher, "__restart", container.id]
    return [["restart", container.live_path("restart"), container.path("stopped"), *again]]


def _cgroup(context: Context, container: Container, spec: Spec) -> tuple[Records, list[int]]:
    """Its own, or nothing; noted in the record. And the descriptors that the settings name."""
    remove_cgroup(container)  # where the last run's monitor was killed: it may even be frozen
    container.record["cgroup"] = ""
    container.record.pop("scope", None)
    records: Records = []
    fds: list[int] = []
    if context.host.unified and container.record.get("cgroups") != "disabled":
        from rcrun.engine.cgroup import make

        records, fds = make(context, container, spec)
    if not records and container.record.get("systemd") == "always":
        from rcrun.engine.cgroup import no_systemd_without

        raise no_systemd_without(container)
    return records, fds


def remove_cgroup(container: Container) -> None:
    """Where the monitor could not."""
    if container.record.get("cgroup") or container.noted_cgroup():
        from rcrun.engine.cgroup import remove

        remove(container)


def _on_exit(context: Context, container: Container, spec: Spec) -> Records:
    has_hooks = bool((spec.get("hooks") or {}).get("poststop"))
    records = [["hooks", "poststop"]] if has_hooks else []
    if container.record.get("cgroup"):
        records.append(["remove-cgroup", str(container.record["cgroup"])])
    pod = container.record.get("pod") or {}
    if pod.get("stops") or (pod and container.record["auto_remove"]):
        records.append(["run", *context.launcher, "__pod", pod["id"]])
    if not container.record["auto_remove"]:
        return records
    return [*records, *_removal_records(context, container)]


def _removal_records(context: Context, container: Container) -> Records:
    """What the monitor does for --rm: as rm does it, and in its order."""
    make_private_dir(container.store.trash_dir())
    trashed = f"{container.store.trash_dir()}/{container.id}"
    records = [
        ["unlink", container.path("container.json")],
        ["unlink", container.store.name_path(container.name), container.id],
        ["rename", container.dir, trashed],
    ]
    trees = [trashed, container.live_dir]
    names = anonymous_volumes(container)
    if names:
        # Another container may have come to use them: that takes a look at all of them.
        trees.append(f"{trashed}.volumes")
        records.append(["run", *context.launcher, "__volumes", trees[-1], *names])
    if container.record.get("remove_image"):
        records.append(["run", *context.launcher, "__rmi", str(container.record["image_id"])])
    if container.record.get("shifted") or "user" in (container.record.get("joins") or {}):
        # its user namespace has no rights over what is ours, or has others in it who could trace us
        return [*records, ["run", *context.launcher, "__trash", *trees]]
    return [*records, *[["remove-tree", path] for path in trees]]


def root_records(context: Context, container: Container) -> Records:
    rootfs = container.record["rootfs"]
    if rootfs["kind"] == "directory":
        return [["root-bind", rootfs["path"]]]
    lowers = [container.store.path(path) for path in rootfs["lowers"]]
    if rootfs["driver"] == "copy":
        return [["root-bind", container.path("rootfs")]]
    upper, work = container.path("upper"), container.path("work")
    if rootfs.get("volatile") and container.record.get("boot"):
        from rcrun.engine.volatile import allow_again

        allow_again(container, work)
    if rootfs["driver"] == "fuse-overlayfs":
        from rcrun.engine.rootdriver import find_fuse_overlayfs

        program = find_fuse_overlayfs(context) or "fuse-overlayfs"
        return [fuse_record(container.path("rootfs"), upper, work, lowers, program)]
    return [["root-overlay", upper, work, overlay_options(context, rootfs), *lowers]]


def overlay_options(context: Context, rootfs: dict[str, Any]) -> str:
    """A user namespace may write user.overlay.* only; without it whiteouts and opaque directories are lost."""
    words = ["userxattr"] if context.host.rootless else []
    if rootfs.get("volatile"):
        words.append("volatile")
    return ",".join(words)


def fuse_record(
    merged: str, upper: str, work: str, lowers: Sequence[str], program: str
) -> list[str]:
    options = f"lowerdir={':'.join(lowers)},upperdir={upper},workdir={work}"
    return ["root-fuse", merged, program, "-o", options, merged]


def undo(context: Context, container: Container) -> None:
    """What a start that did not work has made outside of the container's own directories."""
    from rcrun.engine.launch_network import leave_bridges

    remove_cgroup(container)
    leave_bridges(context, container)
