"""Options of a mount as config.json and `-v` write them, sorted by what the shim does with each."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rcrun.formats.idmap import Range

# Attributes of a mount; each also as r… for the whole subtree (config.md, "Linux mount options").
ATTRIBUTES = frozenset(
    "ro rw nosuid suid nodev dev noexec exec noatime atime relatime norelatime strictatime"
    " nostrictatime nodiratime diratime nosymfollow symfollow".split()
)
# Clearing noatime or strictatime leaves the kernel's default, which is relatime.
_SAME_ATTRIBUTE = {"atime": "relatime", "norelatime": "relatime", "nostrictatime": "relatime"}
_RECURSIVE = frozenset("r" + word for word in ATTRIBUTES)
PROPAGATION = frozenset(
    "private rprivate slave rslave shared rshared unbindable runbindable".split()
)
# Of a superblock; a bind mount has none of its own, so there they are without effect, as in mount(8).
_SUPERBLOCK = frozenset(("sync", "dirsync", "lazytime"))
_NO_EFFECT = frozenset(
    "defaults async nolazytime mand nomand loud silent remount acl noacl iversion noiversion".split()
)
# Of a bind mount, about links at the end of its paths: crun's words → the plan's.
_LINKS = {
    "src-nofollow": "nofollow",
    "dest-nofollow": "dest-nofollow",
    "copy-symlink": "copy-link",
}


KNOWN = (
    ATTRIBUTES
    | _RECURSIVE
    | PROPAGATION
    | _SUPERBLOCK
    | _NO_EFFECT
    | {"bind", "rbind", "tmpcopyup", "idmap", "ridmap"}
    | set(_LINKS)
)


class MountOptions:
    """`flags` are the plan's words for attributes, `data` what belongs to the file system itself."""

    __slots__ = (
        "bind", "copy_up", "data", "flags", "id_maps", "idmap", "links", "propagation", "recursive",
    )  # fmt: skip

    def __init__(self) -> None:
        self.bind = False
        self.recursive = False
        self.copy_up = False
        self.idmap = ""  # the word
        self.id_maps: dict[str, list[tuple[Range, bool]]] = {}  # what follows it
        self.links: list[str] = []
        self.flags: list[str] = []
        self.propagation = ""
        self.data: list[str] = []

    @property
    def is_readonly(self) -> bool:
        """The last word wins, as in mount(8)."""
        words = [flag for flag in self.flags if flag in ("ro", "rw", "rro", "rrw")]
        return bool(words) and words[-1].endswith("ro")


def parse(options: Iterable[str]) -> MountOptions:
    parsed = MountOptions()
    for option in options:
        _add(parsed, option)
    return parsed


def _add(parsed: MountOptions, option: str) -> None:
    if option in ATTRIBUTES or option in _SUPERBLOCK:
        parsed.flags.append(_SAME_ATTRIBUTE.get(option, option))
    elif option in _RECURSIVE:
        parsed.flags.append("r" + _SAME_ATTRIBUTE.get(option[1:], option[1:]))
    elif option in PROPAGATION:
        parsed.propagation = option
    elif option in ("bind", "rbind"):
        parsed.bind = True
        parsed.recursive |= option == "rbind"  # callers write both
    elif option == "tmpcopyup":
        parsed.copy_up = True
    elif option in _LINKS:
        parsed.links.append(_LINKS[option])
    elif option.partition("=")[0] in ("idmap", "ridmap"):
        _add_idmap(parsed, option)
    elif option not in _NO_EFFECT:
        parsed.data.append(option)


def _add_idmap(parsed: MountOptions, option: str) -> None:
    parsed.idmap, equals, text = option.partition("=")
    if not equals:
        return
    from rcrun.formats.idmap import option_maps

    try:
        parsed.id_maps = option_maps(text)
    except ValueError:
        raise InvalidInput(
            f'the maps of the mount option "{option}" cannot be read',
            f"write {parsed.idmap}=uids=0-100000-65536;gids=0-100000-65536",
        ) from None
