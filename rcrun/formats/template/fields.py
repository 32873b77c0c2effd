"""What docker's typed objects know and JSON does not: fields that may be absent, and maps with free keys."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Fields that docker's JSON leaves out when they are empty: asking for them is no error.
ZERO_FIELDS: dict[str, Any] = {
    "Annotations": {},
    "ArgsEscaped": False,
    "Author": "",
    "Comment": "",
    "ExposedPorts": {},
    "GroupAdd": [],
    "Health": None,
    "Healthcheck": None,
    "ImageManifestDescriptor": None,
    "Init": None,
    "MacAddress": "",
    "Mounts": [],
    "NetworkDisabled": False,
    "OsVersion": "",
    "Shell": [],
    "SizeRootFs": None,
    "SizeRw": None,
    "StopSignal": "",
    "StopTimeout": None,
    "Sysctls": {},
    "Tmpfs": {},
    "Variant": "",
    "Volumes": {},
}

# Maps whose keys are the user's: a missing key is no error, and `index` gives the zero value of their values.
FREE_MAPS: dict[str, Any] = {
    "Annotations": "",
    "DriverOpts": "",
    "ExposedPorts": {},
    "Labels": "",
    "Networks": None,
    "Options": "",
    "PortBindings": [],
    "Ports": [],
    "Runtimes": None,
    "Sysctls": "",
    "Tmpfs": "",
    "Volumes": {},
}


# Lists that are null in docker's JSON while they are empty; to a template they are empty lists.
NIL_LISTS = frozenset(
    "Aliases Args Binds CapAdd CapDrop Cmd DNSNames Devices Dns DnsOptions DnsSearch Entrypoint Env ExecIDs "
    "ExtraHosts GroupAdd Layers Links OnBuild RepoDigests RepoTags SecurityOpt Shell Ulimits VolumesFrom".split()
)

# Fields of podman's types whose name in JSON is another word.
OTHER_NAMES = {"CgroupsVersion": "cgroupVersion", "Healthcheck": "Health"}


# Of a health check, whose other fields tell what it is.
DURATIONS = ("Interval", "StartInterval", "StartPeriod", "Timeout")


class Duration(int):
    """Nanoseconds that print as `1m30s`."""

    def __str__(self) -> str:
        from rcrun.formats.duration import text_of

        return text_of(self)


class NilList(list["Any"]):
    """A list of NIL_LISTS that is null in JSON."""

    __slots__ = ()
    is_nil = True


class FreeMap(dict[str, "Any"]):
    """A map of FREE_MAPS; `zero` is what `index` gives for a missing key."""

    __slots__ = ("zero",)

    zero: Any


class NilMap(FreeMap):
    """A map of FREE_MAPS that is null in JSON."""

    __slots__ = ()
    is_nil = True


class Missing(Exception):
    """There is no such field; the text says it in Go's words."""


def field_of(value: Any, name: str) -> Any:
    """`.NAME` of a value: the key as it is, else the key that differs in case only (`.ID` for `Id`)."""
    if value is None:
        raise Missing(f"nil pointer evaluating interface {{}}.{name}")
    if not isinstance(value, dict):
        from rcrun.formats.template.values import type_name

        raise Missing(f"can't evaluate field {name} in type {type_name(value)}")
    if name in value:
        if name in DURATIONS and "Test" in value:
            return Duration(value[name])
        if name == "Config" and "Type" in value:
            return _typed("Options", value[name])  # of a log driver
        return _typed(name, value[name])
    if isinstance(value, FreeMap):
        return None
    folded = name.casefold()
    for key in value:
        if key.casefold() == folded:
            return _typed(key, value[key])
    if OTHER_NAMES.get(name) in value:
        return value[OTHER_NAMES[name]]
    if name in ZERO_FIELDS:
        return _typed(name, ZERO_FIELDS[name])
    if name in ("Name", "Driver") and "Destination" in value:
        return ""  # of a mount that is no volume
    raise Missing(f'map has no entry for key "{name}"')


def _typed(name: str, value: Any) -> Any:
    """What JSON has there, with what docker's type adds."""
    if value is None and name in NIL_LISTS:
        return NilList()
    if name not in FREE_MAPS or not (value is None or type(value) is dict):
        return value
    free = NilMap() if value is None else FreeMap(value)
    free.zero = FREE_MAPS[name]
    return free


def zero_of(value: dict[str, Any]) -> Any:
    """What `index` gives for a key that is not there."""
    if isinstance(value, FreeMap):
        return value.zero
    kinds = {type(item) for item in value.values()}
    return "" if kinds == {str} else [] if kinds == {list} else None
