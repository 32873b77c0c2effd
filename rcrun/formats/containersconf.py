"""containers.conf (containers.conf(5)): the keys that mean something here, what their values must be, and what several files say together.

A document is what TOML gave; a fault names the file, the key, and what it should be. Keys that are not in the tables are noted, not refused:
other programs have them. Pure.
"""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats.capability import USUAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Table = Mapping[str, Any]
    Settings = dict[str, dict[str, Any]]

TEXT, TEXTS, FLAG, NUMBER, POOLS = "text", "texts", "flag", "number", "pools"
_SHOULD_BE = {
    TEXT: 'a text: "…"',
    TEXTS: 'a list of texts: ["…", "…"]',
    FLAG: "true or false, without quotes",
    NUMBER: "a whole number, without quotes",
    POOLS: 'a list of {"base" = "10.89.0.0/16", "size" = 24}',
}
KEYS: dict[str, dict[str, str]] = {
    "containers": {
        "annotations": TEXTS,
        "base_hosts_file": TEXT,
        "cgroup_conf": TEXTS,
        "cgroupns": TEXT,
        "cgroups": TEXT,
        "container_name_as_hostname": FLAG,
        "default_capabilities": TEXTS,
        "default_sysctls": TEXTS,
        "default_ulimits": TEXTS,
        "devices": TEXTS,
        "dns_options": TEXTS,
        "dns_searches": TEXTS,
        "dns_servers": TEXTS,
        "env": TEXTS,
        "env_host": FLAG,
        "host_containers_internal_ip": TEXT,
        "http_proxy": FLAG,
        "init": FLAG,
        "init_path": TEXT,
        "interface_name": TEXT,
        "ipcns": TEXT,
        "label": FLAG,
        "log_driver": TEXT,
        "log_path": TEXT,
        "log_size_max": NUMBER,
        "log_tag": TEXT,
        "mounts": TEXTS,
        "netns": TEXT,
        "no_hosts": FLAG,
        "oom_score_adj": NUMBER,
        "pidns": TEXT,
        "pids_limit": NUMBER,
        "prepare_volume_on_create": FLAG,
        "privileged": FLAG,
        "read_only": FLAG,
        "seccomp_profile": TEXT,
        "shm_size": TEXT,
        "tz": TEXT,
        "umask": TEXT,
        "userns": TEXT,
        "utsns": TEXT,
        "volumes": TEXTS,
    },
    "network": {
        "default_network": TEXT,
        "default_rootless_network_cmd": TEXT,
        "default_subnet": TEXT,
        "default_subnet_pools": POOLS,
        "pasta_options": TEXTS,
    },
    "engine": {
        "cdi_spec_dirs": TEXTS,
        "cgroup_manager": TEXT,
        "compression_format": TEXT,
        "compression_level": NUMBER,
        "detach_keys": TEXT,
        "env": TEXTS,
        "events_logger": TEXT,
        "healthcheck_events": FLAG,
        "helper_binaries_dir": TEXTS,
        "hooks_dir": TEXTS,
        "image_default_format": TEXT,
        "image_default_transport": TEXT,
        "image_parallel_copies": NUMBER,
        "image_volume_mode": TEXT,
        "infra_image": TEXT,
        "init_path": TEXT,
        "multi_image_archive": FLAG,
        "network_cmd_options": TEXTS,
        "num_locks": NUMBER,
        "pod_exit_policy": TEXT,
        "pull_policy": TEXT,
        "retry": NUMBER,
        "retry_delay": TEXT,
        "runtime": TEXT,
        "stop_timeout": NUMBER,
        "volume_path": TEXT,
    },
}  # fmt: skip
# Where a text is one of few words.
WORDS = {
    "containers.cgroupns": ("private", "host"),
    "containers.cgroups": ("enabled", "disabled", "no-conmon", "split"),
    "containers.interface_name": ("device",),
    "network.default_rootless_network_cmd": ("pasta", "slirp4netns"),
    "engine.cgroup_manager": ("systemd", "cgroupfs"),
    "engine.compression_format": ("gzip", "zstd", "zstd:chunked"),
    "engine.events_logger": ("file", "journald", "none"),
    "engine.image_default_format": ("oci", "v2s2", "v2s1"),
    "engine.image_volume_mode": ("anonymous", "bind", "tmpfs", "ignore"),
    "engine.pod_exit_policy": ("continue", "stop"),
    "engine.pull_policy": (
        "always",
        "missing",
        "never",
        "newer",
        "ifmissing",
        "ifnotpresent",
        "ifnewer",
    ),
}
# Numbers: the lowest, the highest, and how that is said.
RANGES = {
    "containers.oom_score_adj": (-1000, 1000, "-1000 to 1000"),
    "containers.pids_limit": (-1, 1 << 22, "-1 to 4194304, where 0 and -1 are no limit"),
    "engine.image_parallel_copies": (0, 1000, "0 to 1000"),
    "engine.retry": (0, 1000, "0 to 1000"),
    "engine.stop_timeout": (0, (1 << 31) - 1, "a number of seconds"),
}
SMALLEST_LOG = 8192
# What a list begins with that is appended to before any file has set it.
FIRST = {
    "containers.default_capabilities": (USUAL,),
    "engine.cdi_spec_dirs": ("/etc/cdi", "/var/run/cdi"),
    "engine.hooks_dir": ("/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"),
}
# What distributions' own files repeat of podman's defaults says nothing here, where more is allowed.
REPEATED = {
    "containers.default_capabilities": (
        "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP",
        "SETUID", "SYS_CHROOT",
    ),
    "containers.default_sysctls": ("net.ipv4.ping_group_range=0 0",),
}  # fmt: skip
_MAY_BE_EMPTY = "engine.detach_keys"  # no keys leave a container then


class Said:
    """All files together so far: the values, the lists that are appended to, and the keys that nothing here asks for."""

    __slots__ = ("appends", "unknown", "values")

    def __init__(self) -> None:
        self.values: Settings = {}
        self.appends: set[str] = set()
        self.unknown: list[str] = []

    def add(self, document: Table, source: str, *, shipped: bool = False) -> None:
        """One more file, which wins: InvalidInput for what cannot be used. `shipped`: it is the distribution's."""
        for table, content in document.items():
            known = KEYS.get(table)
            if known is None:
                self.unknown.append(f'"{source}": {table}')
                continue
            if not isinstance(content, dict):
                raise _fault(source, table, content, f"a table: [{table}]")
            for key, value in content.items():
                if key in known:
                    if not (shipped and _is_repeated(f"{table}.{key}", value)):
                        self._set(table, key, value, source)
                else:
                    self.unknown.append(f'"{source}": {table}.{key}')

    def _set(self, table: str, key: str, value: object, source: str) -> None:
        name = f"{table}.{key}"
        kind = KEYS[table][key]
        if kind == TEXTS:
            value = self._list(name, value, source)
        else:
            _check(name, kind, value, source)
        values = self.values.setdefault(table, {})
        if value == "" and name != _MAY_BE_EMPTY:
            values.pop(key, None)  # as if it was never said
        else:
            values[key] = value

    def _list(self, name: str, value: object, source: str) -> list[str]:
        """A table in it says whether it, and from then on every other file's, is appended to what there was."""
        if not isinstance(value, list):
            raise _fault(source, name, value, _SHOULD_BE[TEXTS])
        for each in value:
            if isinstance(each, dict):
                self._note_append(name, each, source)
            elif not isinstance(each, str):
                raise _fault(source, name, each, _SHOULD_BE[TEXTS])
        words = [each for each in value if isinstance(each, str)]
        if name in CHECKS:
            _check_text(name, words, source)
        if name not in self.appends:
            return words
        table, _, key = name.partition(".")
        before = self.values.get(table, {}).get(key)
        return [*(FIRST.get(name, ()) if before is None else before), *words]

    def _note_append(self, name: str, table: Mapping[str, object], source: str) -> None:
        if list(table) != ["append"] or not isinstance(table["append"], bool):
            raise _fault(source, name, table, "texts and, at most, {append = true}")
        (self.appends.add if table["append"] else self.appends.discard)(name)


def _is_repeated(name: str, value: object) -> bool:
    return isinstance(value, list) and tuple(value) == REPEATED.get(name)


def _check(name: str, kind: str, value: object, source: str) -> None:
    if not _FITS[kind](value):
        raise _fault(source, name, value, _SHOULD_BE[kind])
    if value and name in WORDS and str(value).lower() not in WORDS[name]:
        raise _fault(source, name, value, f"one of {' '.join(WORDS[name])}")
    if name in RANGES:
        lowest, highest, words = RANGES[name]
        if not lowest <= int(str(value)) <= highest:
            raise _fault(source, name, value, words)
    for pool in value if kind == POOLS else ():  # type: ignore[attr-defined]
        _check_pool(pool, source)
    if value and name in CHECKS:
        _check_text(name, value, source)
    if name == "containers.log_size_max" and 0 <= int(str(value)) < SMALLEST_LOG:
        raise _fault(source, name, value, f"{SMALLEST_LOG} or more; a negative one means no limit")


def _check_text(name: str, value: object, source: str) -> None:
    """By the parser of the option that it stands for; a list by each of its words."""
    parse, should_be = CHECKS[name]
    for word in value if isinstance(value, list) else [value]:
        try:
            parse(str(word))
        except (InvalidInput, ValueError) as error:
            raise _fault(source, name, word, should_be) from error


def _parse_umask(text: str) -> None:
    if not 0 <= int(text, 8) <= 0o777:
        raise ValueError(text)


def _parse_pair(text: str) -> None:
    if text.find("=") < 1:
        raise ValueError(text)


def _parse_ulimit(text: str) -> None:
    from rcrun.formats import ulimit

    if text != "host":
        ulimit.parse(text)


def _parse_capability(text: str) -> None:
    from rcrun.formats import capability

    capability.normalise(text)


def _parse_size(text: str) -> None:
    from rcrun.formats import size

    size.parse(text)


def _parse_subnet(text: str) -> None:
    from rcrun.formats import cidr

    if cidr.checked(text, "subnet").bits != 32:
        raise ValueError(text)


def _parse_delay(text: str) -> None:
    from rcrun.formats import duration

    if not text.isdecimal():
        duration.parse(text)


def _parse_keys(text: str) -> None:
    from rcrun.formats import detachkeys

    detachkeys.hex_of(text)


def _parse_path(text: str) -> None:
    if not text.startswith("/"):
        raise ValueError(text)


# What a text must be beyond that, and how that is said.
CHECKS = {
    "containers.annotations": (_parse_pair, "KEY=VALUE"),
    "containers.cgroup_conf": (_parse_pair, "FILE=VALUE"),
    "containers.default_capabilities": (_parse_capability, "the name of a capability: NET_RAW"),
    "containers.default_sysctls": (_parse_pair, "NAME=VALUE"),
    "containers.default_ulimits": (_parse_ulimit, "NAME=SOFT[:HARD]"),
    "containers.log_path": (_parse_path, "an absolute path"),
    "containers.shm_size": (_parse_size, "a size: 64m"),
    "containers.umask": (_parse_umask, "an octal number up to 0777"),
    "engine.detach_keys": (_parse_keys, "keys: ctrl-p,ctrl-q"),
    "engine.env": (_parse_pair, "NAME=VALUE"),
    "engine.retry_delay": (_parse_delay, "a time: 5s"),
    "network.default_subnet": (_parse_subnet, "a subnet of IPv4: 10.88.0.0/16"),
}


def _check_pool(pool: Mapping[str, Any], source: str) -> None:
    from rcrun.formats.cidr import checked

    name = "network.default_subnet_pools"
    try:
        base = checked(pool["base"], name)
    except InvalidInput as error:
        raise _fault(source, name, pool["base"], "a subnet: 10.89.0.0/16") from error
    if base.bits != 32 or not base.prefix <= pool["size"] <= 30:
        raise _fault(source, name, pool, "a subnet of IPv4, and a size from its prefix to 30")


def _are_pools(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, dict)
        and isinstance(each.get("base"), str)
        and _is_number(each.get("size"))
        for each in value
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_FITS = {
    TEXT: lambda value: isinstance(value, str),
    FLAG: lambda value: isinstance(value, bool),
    NUMBER: _is_number,
    POOLS: _are_pools,
}


def _fault(source: str, name: str, value: object, should_be: str) -> InvalidInput:
    return InvalidInput(
        f'"{source}" cannot be used: {name} is {_shown(value)}', f"it is {should_be}"
    )


def _shown(value: object) -> str:
    """As it stands in the file, but for what is long."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return str(value) if len(str(value)) < 80 else "something else"
