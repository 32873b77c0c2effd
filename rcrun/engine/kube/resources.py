"""Limits, requests and devices of a container → options of `run`. Pure."""

from __future__ import annotations

from rcrun.formats.kube import fields, quantity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.formats.kube.value import Value

_PERIOD = 100_000  # microseconds: the kernel's own
_SHORTEST = 1_000
_DEVICE = "podman.io/device="  # podman's word for a device by its path


def resource_options(container: Value) -> dict[str, Any]:
    """A request of memory is what it is meant to keep to; one of processors says nothing on one host."""
    value = container.field("resources")
    fields.look(value, fields.RESOURCES)
    limits, requests = value.field("limits"), value.field("requests")
    options: dict[str, Any] = {}
    cpu = _positive(limits.field("cpu"))
    if cpu:
        options["cpu_period"] = _PERIOD
        options["cpu_quota"] = max(_SHORTEST, quantity.up(cpu * _PERIOD))
    _positive(requests.field("cpu"))
    for key, found in (("memory", limits), ("memory_reservation", requests)):
        size = quantity.up(_positive(found.field("memory")))
        if size:
            options[key] = str(size)
    devices = [device for each in (requests, limits) for device in _devices(each)]
    if devices:
        options["device"] = list(dict.fromkeys(devices))
    return options


def _positive(value: Value) -> Any:
    number = quantity.parse(value)
    if number < 0:
        raise value.fault("it is less than nothing")
    return number


def _devices(value: Value) -> list[str]:
    """`VENDOR/CLASS=NAME` is a device by its CDI name."""
    found = []
    for name, member in value.fields().items():
        if name.startswith(_DEVICE):
            found.append(name.removeprefix(_DEVICE))
        elif "=" in name:
            found.append(name)
        elif name not in ("cpu", "memory"):
            member.note("it is left out: there are limits of cpu, memory and devices")
    return found
