"""Names: of a file's unit, of what it makes, and of the directories of its drop-ins. Pure."""

from __future__ import annotations

from rcrun.engine.quadlet.keys import SECTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.formats.unitfile import Unit

_PLAIN = ("container", "kube")  # whose units have the file's own name
_NAME_KEYS = {"volume": "VolumeName", "network": "NetworkName", "pod": "PodName"}


def section_of(unit: Unit) -> str:
    return SECTIONS[unit.kind]


def service_name(unit: Unit) -> str:
    """Without .service."""
    asked = unit.last(section_of(unit), "ServiceName")
    if asked:
        return asked
    suffix = "" if unit.kind in _PLAIN else f"-{unit.kind}"
    if unit.stem.endswith("@"):
        return f"{unit.stem[:-1]}{suffix}@"
    return f"{unit.stem}{suffix}"


def container_name(unit: Unit) -> str:
    """As the command line has it: systemd replaces the specifiers."""
    asked = unit.last("Container", "ContainerName")
    return asked or ("systemd-%p_%i" if "@" in unit.name else "systemd-%N")


def resource_name(unit: Unit) -> str:
    """What others call that which the unit makes; empty where only systemd could tell."""
    section = section_of(unit)
    if unit.kind == "container":
        name = container_name(unit).replace("%N", service_name(unit))
        return "" if "%" in name else name
    if unit.kind == "image":
        return unit.last(section, "ImageTag") or unit.last(section, "Image") or ""
    if unit.kind == "build":
        return next(iter(unit.every(section, "ImageTag")), "")
    if unit.kind == "artifact":
        return unit.last(section, "Artifact") or ""
    return made_name(unit)


def made_name(unit: Unit) -> str:
    """Of a volume or a network; specifiers may be in it."""
    asked = unit.last(section_of(unit), _NAME_KEYS.get(unit.kind, ""))
    if asked:
        return asked
    base, at, _ = unit.stem.partition("@")
    return f"systemd-{base}-%i" if at else f"systemd-{unit.stem}"


def template_parts(name: str) -> tuple[str, str, bool]:
    """Base, instance, and whether there is an @ in the name of a unit."""
    base, at, instance = name.rpartition(".")[0].partition("@")
    return base, instance, bool(at)


def dropin_dirs(name: str) -> list[str]:
    """Where drop-ins of a file lie, the most special first: of two of one name the first counts."""
    kind = name.rpartition(".")[2]
    base, instance, is_template = template_parts(name)
    found = [f"{name}.d"]
    if instance:
        found.append(f"{base}@.{kind}.d")
    parts = base.split("-")[:-1]
    for length in range(len(parts), 0, -1):
        prefix = "-".join(parts[:length]) + "-"
        if is_template:
            found.append(f"{prefix}@.{kind}.d")
        found.append(f"{prefix}.{kind}.d")
    return [*found, f"{kind}.d"]
