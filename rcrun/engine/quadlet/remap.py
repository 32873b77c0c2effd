"""RemapUsers= and its like: user namespaces as files said it before UserNS=. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.quadlet.service import Service

_MAPS = ("UserNS", "UIDMap", "GIDMap", "SubUIDMap", "SubGIDMap")


def remapped(service: Service) -> list[str]:
    """RemapUsers= and its like, which came before UserNS=; for the pods of a document there are no maps of one's own."""
    unit, section = service.unit, service.section
    uids, gids = unit.words(section, "RemapUid"), unit.words(section, "RemapGid")
    how = service.value("RemapUsers")
    if not how and not uids and not gids:
        return []
    if any(unit.last(section, key) for key in _MAPS):
        raise InvalidInput("RemapUsers= and UserNS=, UIDMap= and their like exclude each other")
    if how == "manual" and section != "Kube":
        maps = [["--uidmap", text] for text in uids] + [["--gidmap", text] for text in gids]
        return [word for pair in maps for word in pair]
    if how == "auto":
        size = service.value("RemapUidSize")
        parts = [f"uidmapping={text}" for text in uids] + [f"gidmapping={text}" for text in gids]
        return _userns("auto", [*parts, *([f"size={size}"] if size else [])])
    if how == "keep-id" and len(uids) < 2 and len(gids) < 2:
        return _userns(
            "keep-id", [f"uid={text}" for text in uids] + [f"gid={text}" for text in gids]
        )
    raise InvalidInput(f'RemapUsers="{how}" cannot be had so: say UserNS=, UIDMap= and GIDMap=')


def _userns(mode: str, parts: list[str]) -> list[str]:
    return ["--userns", f"{mode}:{','.join(parts)}" if parts else mode]
