"""--bundle: a bundle's own config.json, changed by the options that were given. Pure."""

from __future__ import annotations

from rcrun.engine import config, config_network, config_process
from rcrun.engine import options as run_options
from rcrun.engine.config import Built, ImageFacts
from rcrun.engine.config_mounts import Mounts
from rcrun.errors import InvalidInput
from rcrun.formats import envfile, passwd, volume
from rcrun.runtime.plan_process import capability_warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.facts import Facts
    from rcrun.engine.options import Options
    from rcrun.formats.spec import Mount, Process, Spec

# What shapes the root, the namespaces or the mounts, which are the bundle's to say.
_NOT_WITH_BUNDLE = (
    "device", "dns", "dns_option", "dns_search", "add_host", "group_add", "ipc", "pid", "platform",
    "privileged", "publish", "publish_all", "read_only", "secret", "security_opt", "shm_size", "sysctl", "tz",
    "ulimit", "userns", "uts", "cgroupns", "entrypoint", "memory", "cpus", "pids_limit", "umask",
    "uidmap", "gidmap", "subuidname", "subgidname", "gpus", "device_cgroup_rule", "cgroup_parent", "cgroup_conf",
    "cgroups", "blkio_weight", "blkio_weight_device", "device_read_bps", "device_write_bps", "device_read_iops",
    "device_write_iops", "personality", "hosts_file", "no_hostname", "chrootdirs", "env_host", "env_merge",
    "unsetenv_all", "http_proxy", "hostuser", "passwd_entry", "group_entry", "init_path", "sdnotify", "requires",
    "pidfile", "conmon_pidfile", "rmi",
)  # fmt: skip


def build_bundle(
    options: Options, args: Sequence[str], spec: Spec, bundle_dir: str, facts: Facts
) -> Built:
    """`spec` is the bundle's config.json; command, environment, user, names and mounts may be changed."""
    options = run_options.plain(options)
    run_options.check(options)
    for key in _NOT_WITH_BUNDLE:
        if options.get(key):
            word = key.replace("_", "-")
            raise InvalidInput(f"conflicting options: --bundle and --{word}: config.json says that")
    if str(options.get("network") or "").startswith(("container:", "ns:")):
        word = f"--network {options['network']}"
        raise InvalidInput(f"conflicting options: --bundle and {word}: config.json says that")
    mounts = _mounts(options, facts)
    changed = _changed(options, args, spec, bundle_dir, mounts, facts)
    record = _record(options, changed, facts, mounts)
    lacking = capability_warnings(changed["process"], facts.held)
    return Built(changed, record, {}, mounts, [*mounts.warnings, *lacking])


def _changed(
    options: Options,
    args: Sequence[str],
    spec: Spec,
    bundle_dir: str,
    mounts: Mounts,
    facts: Facts,
) -> Spec:
    """Paths that the bundle writes relative to itself become absolute: config.json moves into the store."""
    root = dict(spec.get("root") or {})
    root["path"] = volume.absolute(str(root.get("path") or ""), bundle_dir)
    changed: Spec = {
        **spec,
        "root": root,  # type: ignore[typeddict-item]
        "process": _process(options, args, spec, facts),
        "mounts": [_mount(row, bundle_dir) for row in spec.get("mounts") or []] + mounts.documents,
    }
    if options.get("hostname"):
        changed["hostname"] = config.host_name(options, facts)
    if options.get("annotation"):
        added = run_options.pairs(options["annotation"], "--annotation")
        changed["annotations"] = {**(spec.get("annotations") or {}), **added}
    if "host" in _networks(options):
        linux = changed.get("linux") or {}
        kept = [row for row in linux.get("namespaces") or [] if row["type"] != "network"]
        changed["linux"] = {**linux, "namespaces": kept}
    return changed


def _mount(row: Mount, bundle_dir: str) -> Mount:
    """The source of a bind mount is a path; the others' sources are words."""
    words = row.get("options") or []
    is_bind = row.get("type") in ("bind", "rbind") or "bind" in words or "rbind" in words
    if not is_bind or not row.get("source"):
        return row
    return {**row, "source": volume.absolute(row["source"], bundle_dir)}


def _process(options: Options, args: Sequence[str], spec: Spec, facts: Facts) -> Process:
    process: Process = {**(spec.get("process") or {})}
    if args:
        process["args"] = list(args)
    if not process.get("args"):
        raise InvalidInput("no command is given, and the bundle's config.json has none")
    changes: dict[str, str | None] = dict.fromkeys(options.get("unsetenv") or ())
    for path in options.get("env_file") or ():
        changes.update(envfile.resolve(envfile.parse_file(facts.read(path), path), facts.environ))
    changes.update(envfile.resolve(options.get("env") or (), facts.environ))
    process["env"] = envfile.merge(process.get("env") or [], changes)
    if options.get("workdir"):
        process["cwd"] = config_process.working_directory(options, {})
    if options.get("user") is not None:
        user = passwd.lookup(str(options["user"]), facts.passwd, facts.group)
        given = {"uid": user.uid, "gid": user.gid, "additionalGids": user.groups}
        process["user"] = {**(process.get("user") or {}), **given}  # type: ignore[typeddict-item]
    if options.get("oom_score_adj") is not None:
        process["oomScoreAdj"] = int(options["oom_score_adj"])
    if options.get("tty"):
        process["terminal"] = True
    return process


def _networks(options: Options) -> Sequence[str]:
    asked = options.get("network") or ()
    return (asked,) if isinstance(asked, str) else tuple(asked)


def _mounts(options: Options, facts: Facts) -> Mounts:
    """Those of the options alone."""
    from rcrun.engine import config_mounts

    result = Mounts()
    for mount in config_mounts.asked(options, {}, facts):
        config_mounts.add(result, mount, facts, passwd.User(0, 0, [], "/"))
    for use in result.volumes:
        use.copy_up = False
    return result


def _record(options: Options, spec: Spec, facts: Facts, mounts: Mounts) -> dict[str, Any]:
    """As docs/store.md has it; a bundle's own network namespace has no network but lo."""
    kinds = [row["type"] for row in (spec.get("linux") or {}).get("namespaces") or []]
    asked = _networks(options) or "none"
    network = config_network.network_record({**options, "network": asked}, {}, facts, [])
    if "network" not in kinds:
        network["mode"] = "host"
    record = config.container_record(
        options, ImageFacts({}), facts, network, mounts, ([], list(spec["process"]["args"]))
    )
    process = spec["process"]
    if options.get("log_opt"):
        from rcrun.engine.config_log import add_attributes

        add_attributes(record, process.get("env") or [])
    record["tty"] = bool(process.get("terminal"))
    record["read_only"] = bool((spec.get("root") or {}).get("readonly"))
    record["rootfs"] = {"kind": "directory", "path": spec["root"]["path"]}
    return record
