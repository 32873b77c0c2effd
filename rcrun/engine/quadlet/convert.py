"""Files of Quadlet → units of systemd. Pure: what is there is told, and what comes out are texts and links."""

from __future__ import annotations

from rcrun.engine.quadlet import container, kube, names, others, pod
from rcrun.engine.quadlet.service import WAITING_UNIT, Around, Service
from rcrun.errors import InvalidInput
from rcrun.formats import unitfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rcrun.formats.unitfile import Line, Unit

COMMENT = "Made by rcrun of a file of Quadlet; rcrun quadlet reload makes it anew"
_CONVERTERS = {
    "container": container.complete,
    "volume": others.complete_volume,
    "network": others.complete_network,
    "image": others.complete_image,
    "build": others.complete_build,
    "artifact": others.complete_artifact,
    "kube": kube.complete,
    "pod": pod.complete_pod,
}
_INSTALL = (("WantedBy", "wants"), ("RequiredBy", "requires"), ("UpheldBy", "upholds"))
_NOT_FOR_SYSTEMD = ("User", "Group", "DynamicUser")
# The host's network: a user's systemd cannot wait for it. Nobody waits where nothing is on its way to bring it up.
_WAITING = {
    "Unit": [("Description", "Wait for the network of the host")],
    "Service": [
        ("Type", "oneshot"),
        ("RemainAfterExit", "yes"),
        ("TimeoutStartSec", "90"),
        (
            "ExecStart",
            '-/bin/sh -c "until systemctl is-active -q network-online.target; do'
            ' systemctl list-jobs 2>&1 | grep -q network-online.target || exit 0; sleep 0.5; done"',
        ),
    ],
}


class Made:
    """A unit: `text`, and `links` to it as (where, leading to); `fault` tells why it only says that it cannot be."""

    __slots__ = ("fault", "links", "name", "source", "text", "warnings")

    def __init__(self, name: str, source: str, text: str) -> None:
        self.name = name
        self.source = source
        self.text = text
        self.links: list[tuple[str, str]] = []
        self.warnings: list[str] = []
        self.fault = ""


def convert(around: Around, broken: Mapping[str, tuple[str, str]] | None = None) -> list[Made]:
    """Of every file; `broken` are those that cannot be read: by name, their path and why."""
    made = [convert_one(unit, around) for unit in around.units.values()]
    for name, (path, reason) in (broken or {}).items():
        unit = unitfile.Unit(name, path, {})
        made.append(_refusing(unit, reason))
    if any(WAITING_UNIT in each.text for each in made):
        made.append(Made(WAITING_UNIT, "", unitfile.text_of(_WAITING, COMMENT)))
    return _once(made)


def convert_one(unit: Unit, around: Around) -> Made:
    try:
        service = Service(unit, around)
        _CONVERTERS[unit.kind](service)
    except InvalidInput as error:
        return _refusing(unit, error.message)
    made = Made(service.name, unit.path, unitfile.text_of(service.sections, COMMENT))
    made.links, made.warnings = links(unit, service.name)
    made.warnings += [
        f"{key}= in [Service] changes who runs rcrun, and so whose containers these are"
        for key in _NOT_FOR_SYSTEMD
        if unit.last("Service", key) is not None
    ]
    return made


def _refusing(unit: Unit, reason: str) -> Made:
    """A unit all the same: who starts it finds the reason in its status, and not that there is no such unit.

    In the description too: journald cannot tell whose a line is once the process that wrote it has ended.
    """
    name = f"{names.service_name(unit)}.service"
    script = 'echo "$$0" >&2; exit 78'  # 78: EX_CONFIG, which systemctl status shows as CONFIG
    command = unitfile.joined(["/bin/sh", "-c", script, unitfile.literal(reason)])
    sections: dict[str, list[Line]] = {
        "Unit": [("Description", unitfile.literal(f"{unit.name} (refused): {reason}"))],
        "Service": [("Type", "oneshot"), ("SyslogIdentifier", "%N"), ("ExecStart", command)],
    }
    if unit.path:
        sections["Unit"].append(("SourcePath", unit.path.replace("%", "%%")))
    made = Made(name, unit.path, unitfile.text_of(sections, COMMENT))
    made.fault = reason
    made.links, _ = links(unit, name)
    return made


def links(unit: Unit, service: str) -> tuple[list[tuple[str, str]], list[str]]:
    """What `systemctl enable` would make of [Install], and warnings: units that are made anew cannot be enabled."""
    found, warnings = [], []
    for alias in unit.words("Install", "Alias"):
        if "/" in alias:
            warnings.append(f'Alias="{alias}" is no name of a unit')
        else:
            found.append((alias, service))
    base, instance, is_template = names.template_parts(service)
    enabled = service
    if is_template and not instance:
        default = unit.last("Install", "DefaultInstance")
        if not default:
            return found, warnings  # only its instances can be started
        enabled = f"{base}@{default}.service"
    for key, suffix in _INSTALL:
        for target in unit.words("Install", key):
            if "/" in target:
                warnings.append(f'{key}="{target}" is no name of a unit')
            else:
                found.append((f"{target}.{suffix}/{enabled}", f"../{service}"))
    return found, warnings


def _once(made: Sequence[Made]) -> list[Made]:
    """Two files can ask for one name; the first keeps it."""
    found: dict[str, Made] = {}
    for each in made:
        if each.name not in found:
            found[each.name] = each
            continue
        first = found[each.name]
        first.warnings.append(f'"{each.source}" would make {each.name}, too, and is left out')
    return list(found.values())
