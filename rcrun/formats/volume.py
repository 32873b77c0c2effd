"""What users mount: `-v`, `--mount` and `--tmpfs`, each parsed into a Mount."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# A word of -v, and what it decides; two words that decide the same contradict each other.
_WORDS = {
    "ro": "access",
    "rw": "access",
    "z": "relabel",
    "Z": "relabel",
    "shared": "propagation",
    "rshared": "propagation",
    "slave": "propagation",
    "rslave": "propagation",
    "private": "propagation",
    "rprivate": "propagation",
    "unbindable": "propagation",
    "runbindable": "propagation",
    "copy": "copy",
    "nocopy": "copy",
    "bind": "recursion",
    "rbind": "recursion",
    "exec": "exec",
    "noexec": "exec",
    "dev": "dev",
    "nodev": "dev",
    "suid": "suid",
    "nosuid": "suid",
    "consistent": "consistency",
    "cached": "consistency",
    "delegated": "consistency",
    "default": "consistency",
    "U": "chown",
    "O": "overlay",
}
_OVERLAY_DIRS = ("upperdir", "workdir")
PROPAGATIONS = frozenset(word for word, what in _WORDS.items() if what == "propagation")
_FLAGS = ("exec", "dev", "suid", "atime", "links", "idmap")
TMPFS_DEFAULTS = ("noexec", "nosuid", "nodev")
TMPFS_WORDS = frozenset(
    "ro rw exec noexec suid nosuid dev nodev atime noatime relatime norelatime diratime nodiratime "
    "strictatime nostrictatime sync async noswap tmpcopyup notmpcopyup".split()
)
TMPFS_KEYS = frozenset("size mode uid gid nr_inodes nr_blocks mpol huge".split())


class Mount:
    """`kind` is bind, volume, tmpfs, image, artifact, devpts, ramfs or glob; the source is a host path or a volume's name (empty: anonymous).

    `decided` maps what the user decided (access, propagation, recursion, exec …) to the word. `borrowed` is a mount
    of another container, of whose volume `is_anonymous` tells. `mode` are the options as they were typed.
    """

    __slots__ = (
        "borrowed",
        "create_source",
        "data",
        "decided",
        "destination",
        "driver_options",
        "is_anonymous",
        "kind",
        "labels",
        "mode",
        "source",
        "subpath",
    )

    def __init__(
        self,
        kind: str,
        source: str,
        destination: str,
        decided: dict[str, str],
        *,
        create_source: bool = False,
        data: list[str] | None = None,
        labels: dict[str, str] | None = None,
        driver_options: dict[str, str] | None = None,
        subpath: str = "",
        mode: str = "",
    ) -> None:
        self.kind = kind
        self.source = source
        self.destination = destination
        self.decided = decided
        self.create_source = create_source
        self.data = data or []
        self.labels = labels or {}
        self.driver_options = driver_options or {}
        self.subpath = subpath
        self.mode = mode
        self.borrowed = False
        self.is_anonymous = kind == "volume" and not source

    @property
    def read_only(self) -> bool:
        return self.decided.get("access") == "ro"

    def options(self) -> list[str]:
        """config.json's mount options of a bind mount, recursive read-only left to who knows the kernel."""
        decided = self.decided
        words = [decided.get("recursion", "rbind"), decided.get("access", "rw")]
        words += [decided[name] for name in _FLAGS if name in decided]
        if "links" in decided:
            return words  # a link is made anew: there is no mount to share
        return [*words, decided.get("propagation", "rprivate")]


def parse_volume(text: str, cwd: str = "/") -> Mount:
    """`[SOURCE:]DESTINATION[:OPTIONS]`; a source that begins with `.` or `/` is a path of the host."""
    parts = split_colons(text)
    if len(parts) > 3 or not all(parts):
        raise InvalidInput(f'invalid --volume "{text}"', "write [SOURCE:]DESTINATION[:OPTIONS]")
    source = parts[0] if len(parts) > 1 else ""
    destination = check_destination(parts[min(len(parts) - 1, 1)], f'--volume "{text}"')
    mode = parts[2] if len(parts) == 3 else ""
    decided = _decisions(mode, text) if mode else {}
    if source[:1] in ("/", "."):
        path = absolute(source, cwd)
        return Mount("bind", path, destination, decided, create_source=True, mode=mode)
    if source:
        _check_volume_name(source, text)
    return Mount("volume", source, destination, decided, mode=mode)


def _check_volume_name(name: str, text: str) -> None:
    if not names.is_valid(name):
        raise InvalidInput(
            f'invalid --volume "{text}": "{name}" is not a volume name',
            f"for a directory of the host write ./{name} or its absolute path",
        )


def split_colons(text: str) -> list[str]:
    """The parts between colons; a backslash before a colon keeps it in its part."""
    parts = [""]
    at = 0
    while at < len(text):
        if text.startswith("\\:", at):
            parts[-1] += ":"
            at += 1
        elif text[at] == ":":
            parts.append("")
        else:
            parts[-1] += text[at]
        at += 1
    return parts


def _decisions(words: str, text: str) -> dict[str, str]:
    decided: dict[str, str] = {}
    for word in words.split(","):
        key, equals, path = word.partition("=")
        what = key if equals and key in _OVERLAY_DIRS else _WORDS.get(word)
        if what is None:
            raise InvalidInput(f'invalid --volume "{text}": unknown option "{word}"')
        word = path if equals else word
        if decided.get(what, word) != word:
            raise InvalidInput(
                f'invalid --volume "{text}": "{decided[what]}" and "{word}" contradict'
            )
        decided[what] = word
    _check_overlay(decided, text)
    return decided


def _check_overlay(decided: dict[str, str], text: str) -> None:
    """Both directories, or neither, which then live as long as a run."""
    given = [key for key in _OVERLAY_DIRS if key in decided]
    if given and (len(given) == 1 or "overlay" not in decided):
        raise InvalidInput(
            f'invalid --volume "{text}": upperdir and workdir go together, and with O'
        )
    for key in given:
        if not decided[key].startswith("/"):
            raise InvalidInput(f'invalid --volume "{text}": {key} is not an absolute path')


def of_record(record: Mapping[str, Any], mode: str, flag: str) -> Mount:
    """A mount of another container, as its record has it; `mode` changes what --volumes-from may change."""
    kind = record["type"]
    words = [word if word not in ("rro", "rrw") else word[1:] for word in record["options"]]
    decided = {_WORDS[word]: word for word in words if word in _WORDS}
    for word in filter(None, mode.split(",")):
        if word not in ("ro", "rw", "z", "Z"):
            raise InvalidInput(f'invalid --volumes-from "{flag}": unknown option "{word}"')
        decided[_WORDS[word]] = word
    if record.get("overlay"):
        decided["overlay"] = "O"
    if not record.get("rw", True):
        decided["access"] = "ro"  # what the other one may not write stays so
    source = record["name"] if kind == "volume" else record["source"]
    mount = Mount(kind, source, record["destination"], decided, mode=mode)
    mount.subpath = record.get("subpath") or ""
    mount.is_anonymous = bool(record.get("anonymous"))
    mount.borrowed = True
    return mount


def check_destination(path: str, where: str) -> str:
    """The path without needless slashes and dots."""
    if not path.startswith("/"):
        hint = (
            "a colon that belongs to a path is written \\:"
            if where.startswith("--volume")
            else None
        )
        raise InvalidInput(
            f'invalid {where}: the destination "{path}" is not an absolute path', hint
        )
    clean = normal(path)
    if clean == "/":
        raise InvalidInput(f"invalid {where}: the destination must not be /")
    return clean


def normal(path: str) -> str:
    """An absolute path without empty, `.` and `..` parts."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts[-1:] = []
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def absolute(path: str, cwd: str) -> str:
    if path.startswith("/"):
        return normal(path)
    if not cwd:
        raise InvalidInput(
            f'no such directory: "{path}": the working directory is not there any more',
            'run: cd "$PWD"',
        )
    return normal(f"{cwd}/{path}")


def parse_tmpfs(text: str) -> Mount:
    """`PATH[:OPTIONS]` of --tmpfs."""
    path, _, options = text.partition(":")
    destination = check_destination(path, f'--tmpfs "{text}"')
    data: list[str] = []
    for word in filter(None, options.split(",")):
        key, equals, value = word.partition("=")
        known = key in TMPFS_KEYS and value if equals else word in TMPFS_WORDS
        if not known:
            raise InvalidInput(f'invalid --tmpfs "{text}": unknown option "{word}"')
        data.append(word)
    return tmpfs(destination, data)


def tmpfs(destination: str, data: list[str]) -> Mount:
    """With docker's defaults where nothing else is said."""
    said = {word.removeprefix("no") for word in data}
    words = [word for word in TMPFS_DEFAULTS if word.removeprefix("no") not in said]
    words += [word for word in data if word != "notmpcopyup"]  # which is the default
    access = "ro" if "ro" in data else "rw"
    return Mount("tmpfs", "", destination, {"access": access}, data=words)
