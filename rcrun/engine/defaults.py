"""Options that were not given, as files have them: the one place where containers.conf becomes options. Pure, but for our own limits.

What was given always wins. A list of a file comes before what was given, so that a later word wins over an earlier one; mounts give way to
those in their place. What a pod, another container or a bundle decides is left to it.
"""

from __future__ import annotations

import os

from rcrun.engine.config_network import VARIABLE
from rcrun.engine.config_process import DEFAULT_CAPABILITIES
from rcrun.engine.facts import no_bridges
from rcrun.formats.capability import USUAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.engine.options import Options

    Table = Mapping[str, Any]
    Found = dict[str, Any]

# Key and option of what is one word, by who decides it in a pod: the container, or the pod.
_OWN_WORDS = {
    "cgroupns": "cgroupns",
    "env_host": "env_host",
    "http_proxy": "http_proxy",
    "init": "init",
    "log_driver": "log_driver",
    "oom_score_adj": "oom_score_adj",
    "privileged": "privileged",
    "read_only": "read_only",
    "shm_size": "shm_size",
    "tz": "tz",
    "umask": "umask",
}
_SHARED_WORDS = {
    "no_hosts": "no_hosts",
    "base_hosts_file": "hosts_file",  # behind it: not both
    "ipcns": "ipc",
    "netns": "network",
    "pidns": "pid",
    "userns": "userns",
    "utsns": "uts",
}
_OF_STEPS = {"cgroupns": "cgroupns", "ipcns": "ipc", "pidns": "pid"}  # where they are the host's
_ENGINE_WORDS = {"detach_keys": "detach_keys", "stop_timeout": "stop_timeout"}
_LISTS = {"annotations": "annotation", "cgroup_conf": "cgroup_conf", "devices": "device"}
_DNS = {"dns_servers": "dns", "dns_options": "dns_option", "dns_searches": "dns_search"}
# What a key goes without, where one of these was given: both together are refused, or it would be for something else.
_GIVES_WAY = {
    "base_hosts_file": ("no_hosts",),
    "env_host": ("unsetenv_all",),
    "netns": ("ip", "ip6", "mac_address", "network_alias"),
    "no_hosts": ("add_host", "hosts_file"),
    "userns": ("uidmap", "gidmap", "subuidname", "subgidname"),
    "utsns": ("hostname", "domainname"),
}
_POLICIES = {"ifmissing": "missing", "ifnotpresent": "missing", "ifnewer": "newer"}
_BRIDGES = ("bridge", "podman")
_JOINS = ("container:", "ns:", "pod")
_OF_IPC = ("fs.mqueue.", "kernel.msg", "kernel.sem", "kernel.shm")


def of_container(context: Context, options: Options) -> Options:
    """Those of `run` and `create`, of a pod's members and of its infra container."""
    containers: Table = context.conf.get("containers") or {}
    engine: Table = context.conf.get("engine") or {}
    context.setting("engine", "env")  # tells of a file that cannot be used
    found = dict(options)
    _fill(found, engine, _ENGINE_WORDS)
    if options.get("bundle"):
        return found  # its config.json says the rest
    if context.preferred_network:
        found["preferred_network"] = context.preferred_network
    if found.get("ipc_is_usual"):
        found["ipc"] = None
    if options.get("infra"):
        _add_shared(found, containers, context)
        _fill(found, containers, {"shm_size": "shm_size", "cgroups": "cgroups"})
        return found
    if containers.get("read_only") and _is_open(found, "read_only"):
        found.setdefault("read_only_tmpfs", None)
        if found["read_only_tmpfs"] is None:
            found["read_only_tmpfs"] = True  # which podman means by it
    _fill(found, containers, _OWN_WORDS)
    if containers.get("cgroups") and not _has_limits(options):
        _fill(found, containers, {"cgroups": "cgroups"})
    if not (options.get("pod") or options.get("pod_id_file")):
        _add_shared(found, containers, context)
    _add_lists(found, containers)
    _add_environment(found, containers)
    _add_limits(found, containers)
    _add_mounts(found, containers)
    _add_log(found, containers)
    _add_security(found, containers)
    _add_of_engine(found, engine, containers)
    return found


def _fill(found: Found, table: Table, words: Mapping[str, str]) -> None:
    """Where nothing was given: an empty text is no word, but of `detach_keys` it is."""
    for key, option in words.items():
        value = table.get(key)
        if value is None or not _is_open(found, option):
            continue
        if not any(found.get(other) for other in _GIVES_WAY.get(key, ())):
            found[option] = value


def _is_open(options: Options, option: str) -> bool:
    return options.get(option) in (None, (), [], "")


def _add_shared(found: Found, table: Table, context: Context) -> None:
    """Namespaces, and what belongs to the network's; of who joins another's, the other decides."""
    joins = any(_joins(found.get(option)) for option in ("network", "userns", "ipc", "pid", "uts"))
    words = dict(_SHARED_WORDS)
    if joins:
        del words["userns"]
    if context.environ.get(VARIABLE) or _is_usual_network(table.get("netns"), context):
        del words["netns"]
    _fill(found, table, words)
    if found.get("ipc_is_usual") and not found["ipc"]:
        found["ipc"] = "shareable"
    _choose_network(found, context)
    if found.get("network") and isinstance(found["network"], str):
        found["network"] = (found["network"],)
    if _joins(found.get("network")) or (found.get("infra") is None and found.get("pod")):
        for option in ("hosts_file", "no_hosts"):
            found.pop(option, None)
        return
    _fill(found, table, _DNS)
    if table.get("interface_name") == "device":
        found["interface_from_network"] = True
    if table.get("host_containers_internal_ip"):
        found["host_address"] = table["host_containers_internal_ip"]


def _choose_network(found: Found, context: Context) -> None:
    """Another network than the usual one, where a bridge is meant; made if it is not there."""
    name = context.setting("network", "default_network")
    asked = found.get("network") or ""
    asked = asked if isinstance(asked, str) or len(asked) > 1 else asked[0]
    if not name or name in _BRIDGES or asked not in ("", "default", *_BRIDGES):
        return
    if not asked and (context.environ.get(VARIABLE) or os.path.exists(no_bridges(context.store))):
        return
    from rcrun.network import definitions

    if definitions.read(definitions.path_of(context.store, name)) is None:
        from rcrun.engine.networkcreate import Wanted, create

        wanted = Wanted(name)
        wanted.ignore, wanted.dns_enabled = True, False
        wanted.subnets = [word] if (word := context.store.default_subnet) else []
        create(context, wanted)
    found["network"] = (name,)


def _is_usual_network(word: Any, context: Context) -> bool:
    """For root, podman's `private` is the bridge."""
    return word in ("", "default") or (word == "private" and not context.host.rootless)


def _joins(asked: Any) -> bool:
    words = [asked] if isinstance(asked, str) else list(asked or ())
    return any(word.startswith(_JOINS) for word in words)


def _has_limits(options: Options) -> bool:
    """A limit that was asked for needs the group that a file would do without."""
    from rcrun.engine.config_limits import ASKING

    return any(options.get(key) not in (None, ()) for key in ASKING)


def _add_lists(found: Found, table: Table) -> None:
    for key, option in _LISTS.items():
        if table.get(key):
            found[option] = (*table[key], *(found.get(option) or ()))
    words = [word for word in table.get("default_sysctls") or () if _may_be_set(word, found)]
    if words:
        found["sysctl"] = (*words, *(found.get("sysctl") or ()))


def _may_be_set(word: str, options: Options) -> bool:
    """A sysctl of a namespace that is the host's or another's is not ours to set."""
    if word.startswith("net."):
        asked = options.get("network") or ()
        return not _joins(asked) and "host" not in asked and not options.get("pod")
    if word.startswith(_OF_IPC):
        asked = str(options.get("ipc") or "")
        return asked != "host" and not _joins(asked) and not options.get("pod")
    return True


def _add_environment(found: Found, table: Table) -> None:
    if table.get("env") and not found.get("unsetenv_all"):
        found["env_default"] = tuple(table["env"])


def _add_limits(found: Found, table: Table) -> None:
    """As far as the caller may have them: a file may be for several users."""
    if table.get("pids_limit") is not None and found.get("pids_limit") is None:
        found["pids_default"] = table["pids_limit"]
    if not table.get("default_ulimits"):
        return
    from rcrun.engine.facts import hard_limit

    words = [lowered(word, hard_limit) for word in table["default_ulimits"]]
    found["ulimit"] = (*words, *(found.get("ulimit") or ()))


def lowered(word: str, hard_limit: Callable[[str], int]) -> str:
    from rcrun.formats import ulimit

    if word == "host":
        return word
    name, soft, hard = ulimit.parse(word)
    most = hard_limit(name)
    if most >= 0:
        soft, hard = (most if each < 0 else min(each, most) for each in (soft, hard))
    return f"{name[7:].lower()}={soft}:{hard}"


def _add_mounts(found: Found, table: Table) -> None:
    volumes, mounts = table.get("volumes") or (), table.get("mounts") or ()
    if not volumes and not mounts:
        return
    from rcrun.engine.config_pod import destinations, uncovered

    if volumes:
        found["volume"] = (*uncovered(volumes, found), *(found.get("volume") or ()))
    if mounts:
        taken = destinations(found)
        free = [text for text in mounts if not destinations({"mount": [text]}) & taken]
        found["mount"] = (*free, *(found.get("mount") or ()))


def _add_log(found: Found, table: Table) -> None:
    """Those options that the driver knows, and that were not given."""
    if not any(table.get(key) for key in ("log_path", "log_size_max", "log_tag")):
        return
    from rcrun.engine.config_log import OWN_DIR

    driver = str(found.get("log_driver") or "k8s-file")
    given = {word.partition("=")[0] for word in found.get("log_opt") or ()}
    words = {}
    if driver in ("k8s-file", "json-file", "local"):
        if table.get("log_path"):
            words["path"] = f"{table['log_path']}{OWN_DIR}ctr.log"
        if table.get("log_size_max", -1) > 0:
            words["max-size"] = str(table["log_size_max"])
    if table.get("log_tag") and driver not in ("none", "passthrough", "passthrough-tty"):
        words["tag"] = table["log_tag"]
    more = [f"{key}={value}" for key, value in words.items() if key not in given]
    if more:
        found["log_opt"] = (*more, *(found.get("log_opt") or ()))


def _add_security(found: Found, table: Table) -> None:
    if table.get("default_capabilities") is not None:
        found["default_capabilities"] = capabilities(table["default_capabilities"])
    given = found.get("security_opt") or ()
    is_open = not found.get("privileged") and not any(word.startswith("seccomp") for word in given)
    if table.get("seccomp_profile") and is_open:
        found["security_opt"] = (f"seccomp={table['seccomp_profile']}", *given)


def capabilities(words: Iterable[str]) -> list[str]:
    found: list[str] = []
    for word in words:
        found += DEFAULT_CAPABILITIES if word == USUAL else [word]
    return found


def _add_of_engine(found: Found, engine: Table, containers: Table) -> None:
    path = containers.get("init_path") or engine.get("init_path")
    if path and found.get("init") and not found.get("init_path"):
        found["init_path"] = path
    if engine.get("cdi_spec_dirs") and not found.get("cdi_spec_dir"):
        found["cdi_spec_dir"] = tuple(engine["cdi_spec_dirs"])
    if engine.get("image_volume_mode") and not found.get("image_volume"):
        found["image_volume"] = engine["image_volume_mode"]
    if engine.get("pull_policy") and not found.get("pull"):
        found["pull"] = policy(engine["pull_policy"])
    if containers.get("container_name_as_hostname"):
        found["hostname_from_name"] = True


def policy(word: str) -> str:
    return _POLICIES.get(word.lower(), word.lower())


def tries(
    context: Context, retries: int | None, delay: float | None
) -> tuple[int | None, float | None]:
    """How often a registry is tried again, and after how many seconds."""
    word = context.setting("engine", "retry_delay")
    if delay is None and word:
        from rcrun.formats import duration

        delay = float(word) if word.isdecimal() else duration.parse(word) / 1e9
    return context.setting("engine", "retry") if retries is None else retries, delay


# Pods and builds.


def of_pod(context: Context, options: Options) -> Options:
    """What the infra container does not take: those of the record."""
    found = dict(options)
    _fill(found, context.conf.get("engine") or {}, {"pod_exit_policy": "exit_policy"})
    context.setting("engine", "env")
    if options.get("infra", True) and not options.get("infra_image"):
        image = context.setting("engine", "infra_image")
        if image:
            found["infra_image"] = image
    return found


def of_step(context: Context, options: Options) -> Found:
    """A step of a build: what makes no difference in its layer is what podman gives it, too."""
    table: Table = context.conf.get("containers") or {}
    context.setting("engine", "env")
    found = dict(options)
    if table.get("default_capabilities") is not None:
        found["default_capabilities"] = capabilities(table["default_capabilities"])
    _add_limits(found, {"default_ulimits": table.get("default_ulimits")})
    if found.get("network") == "private" and table.get("netns") == "host":
        found["network"] = "host"
    for key, option in _OF_STEPS.items():
        if table.get(key) == "host" and _is_open(found, option):
            found[option] = "host"
    if not _joins(found.get("network")):
        _fill(found, table, _DNS)
    return found
