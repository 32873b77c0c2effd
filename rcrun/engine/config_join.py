"""Namespaces that a container shares with another one, or finds at a path: `container:NAME` and `ns:PATH`. Pure.

Who enters a namespace needs rights over it, which the user namespace that owns it gives. So a container that joins
another one's has that one's user namespace, too, and its ids.
"""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.facts import Donor, Facts
    from rcrun.engine.options import Options
    from rcrun.formats.idmap import IdMap
    from rcrun.formats.passwd import User

# The option, and the namespace's type in config.json.
KINDS = {
    "userns": "user", "pid": "pid", "network": "network", "ipc": "ipc", "uts": "uts", "cgroupns": "cgroup",
}  # fmt: skip
# What says something about a network that is the other container's to say.
_OF_NETWORK = (
    "hostname", "domainname", "add_host", "dns", "dns_option", "dns_search", "publish", "publish_all",
    "expose", "network_alias", "mac_address", "ip", "ip6",
)  # fmt: skip
BOUND_PATHS = {
    "hosts": "/etc/hosts", "resolv.conf": "/etc/resolv.conf", "hostname": "/etc/hostname",
}  # fmt: skip


class Joined:
    """`paths` and `donors` by type of namespace; `plain` are options of which the other container has the host's."""

    __slots__ = ("donors", "paths", "plain")

    def __init__(self) -> None:
        self.donors: dict[str, Donor] = {}
        self.paths: dict[str, str] = {}
        self.plain: dict[str, str] = {}

    def __contains__(self, kind: str) -> bool:
        return kind in self.donors or kind in self.paths

    def record(self) -> dict[str, dict[str, str]]:
        """What a start resolves anew."""
        found = {kind: {"container": donor.id} for kind, donor in self.donors.items()}
        return {**found, **{kind: {"path": path} for kind, path in self.paths.items()}}

    def words(self) -> dict[str, Any]:
        """As inspect tells them; names change, ids do not. Whose ids are not the image's has a copy of its own."""
        owner = self.donors.get("user")
        found: dict[str, Any] = (
            {"shifted": True} if owner is not None and owner.record.get("shifted") else {}
        )
        for key, kind in KINDS.items():
            name = "network_mode" if key == "network" else key
            if kind in self.donors:
                found[name] = f"container:{self.donors[kind].id}"
            elif kind in self.paths:
                found[name] = f"ns:{self.paths[kind]}"
        return found


def find(options: Options, facts: Facts) -> Joined:
    """What is joined; the user namespace with it."""
    joined = Joined()
    for key, kind in KINDS.items():
        how, colon, rest = str(options.get(key) or "").partition(":")
        if not colon or how not in ("container", "ns"):
            continue
        if not rest:
            raise InvalidInput(f'invalid --{key} "{options[key]}"', f"write --{key} {how}:…")
        if how == "ns":
            joined.paths[kind] = _checked_path(rest, key)
        else:
            _add_donor(joined, key, kind, facts.donor(rest))
    _add_user_namespace(joined, options)
    if "network" in joined:
        _refuse_network_words(options)
    return joined


def _checked_path(path: str, key: str) -> str:
    if not path.startswith("/"):
        raise InvalidInput(f'invalid --{key} "ns:{path}": it is not an absolute path')
    return path


def _add_donor(joined: Joined, key: str, kind: str, donor: Donor) -> None:
    word = donor.record.get("ipc") or "private"
    is_shared = word in ("shareable", "host") or "ipc" in (donor.record.get("joins") or {})
    if kind == "ipc" and not is_shared:
        raise InvalidInput(
            f'cannot join the IPC namespace of container "{donor.name}": it is not shareable',
            f"start that one with --ipc shareable: its own is {word}",
        )
    if _row(donor, kind) is None and kind != "user":
        joined.plain[key] = "host"
    elif _row(donor, kind) is not None:
        joined.donors[kind] = donor


def _row(donor: Donor, kind: str) -> Any:
    rows = (donor.spec.get("linux") or {}).get("namespaces") or []
    return next((row for row in rows if row["type"] == kind), None)


def _owner(donor: Donor) -> str:
    """Whose user namespace it has: its own, or that of the one that it joined."""
    where = (donor.record.get("joins") or {}).get("user") or {}
    return str(where.get("container") or where.get("path") or donor.id)


def _add_user_namespace(joined: Joined, options: Options) -> None:
    owners = {
        _owner(donor): (kind, donor)
        for kind, donor in joined.donors.items()
        if _row(donor, "user") is not None
    }
    word = str(options.get("userns") or "")
    is_typed = word.startswith(("container:", "ns:"))
    asks_own = "user" not in joined and not is_typed and word not in ("", "host", "private")
    if asks_own and not owners and (joined.donors or joined.paths):
        raise InvalidInput(
            f"conflicting options: --userns {word}, and a namespace that is joined, whose owner is another",
            "leave --userns out",
        )
    if not owners:
        return
    if len(owners) > 1:
        (one, first), (other, second), *_ = owners.values()
        raise InvalidInput(
            f'cannot join the {one} namespace of "{first.name}" and the {other} namespace of "{second.name}": '
            "each belongs to a user namespace of its own",
            f"make the second of them with --userns container:{first.name}",
        )
    kind, donor = next(iter(owners.values()))
    if asks_own:
        raise InvalidInput(
            f'conflicting options: --userns {word}, and the {kind} namespace of "{donor.name}", '
            "which belongs to that container's user namespace",
            "leave --userns out",
        )
    joined.donors["user"] = donor


def _refuse_network_words(options: Options) -> None:
    own_name = ("hostname", "domainname") if options.get("pod") else ()  # it has looked itself
    for key in _OF_NETWORK:
        if options.get(key) and key not in own_name:
            raise InvalidInput(
                f"conflicting options: --{key.replace('_', '-')} and --network {options['network']}: "
                "the other container's network says that",
                "give the option to that container",
            )


def maps(joined: Joined) -> tuple[IdMap, IdMap] | None:
    """Those of the user namespace that is joined; None: it is found at the start, at a path."""
    donor = joined.donors.get("user")
    if donor is None:
        return None
    linux = donor.spec.get("linux") or {}
    rows: tuple[Any, Any] = (linux.get("uidMappings") or [], linux.get("gidMappings") or [])
    uids, gids = ([(r["containerID"], r["hostID"], r["size"]) for r in side] for side in rows)
    return uids, gids


def users_of_one_id(user: User, ids: tuple[IdMap, IdMap]) -> None:
    """Where one id exists, it is the one that the other container runs as."""
    for what, number, rows in (("user", user.uid, ids[0]), ("group", user.gid, ids[1])):
        if len(rows) == 1 and rows[0][2] == 1 and rows[0][0] != number:
            raise InvalidInput(
                f"cannot run as {what} {number}: the container that is joined has one id, {rows[0][0]}",
                f"--user {ids[0][0][0]}:{ids[1][0][0]}",
            )


def network_files(joined: Joined) -> dict[str, str]:
    """The other container's /etc/hosts, resolv.conf and hostname, by the name that they have with us."""
    donor = joined.donors.get("network")
    mounts = (donor.spec.get("mounts") or []) if donor is not None else []
    sources = {mount["destination"]: mount.get("source") or "" for mount in mounts}
    return {name: sources[path] for name, path in BOUND_PATHS.items() if path in sources}


def network_host_name(joined: Joined) -> str:
    donor = joined.donors.get("network")
    return str(donor.spec.get("hostname") or "") if donor is not None else ""
