"""Where things are: the store, the live state, and the files of both (docs/store.md)."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# Where distributions and administrators have the files that podman, buildah and skopeo read, too.
CONTAINERS_DIRS = ("/usr/share/containers", "/etc/containers")
# What distributions set in theirs: podman's own defaults once more, as each line may look.
_REPEATED = frozenset(
    word.encode() + comma
    for word in (
        "]", "default_capabilities = [", "default_sysctls = [", '"net.ipv4.ping_group_range=0 0"', '"CHOWN"', '"DAC_OVERRIDE"',
        '"FOWNER"', '"FSETID"', '"KILL"', '"NET_BIND_SERVICE"', '"SETFCAP"', '"SETGID"', '"SETPCAP"', '"SETUID"', '"SYS_CHROOT"',
    )
    for comma in (b"", b",")
)  # fmt: skip


def default_store_dir(environ: dict[str, str], home: str) -> str:
    explicit = environ.get("RCRUN_ROOT")
    if explicit:
        return os.path.abspath(explicit)
    data = environ.get("XDG_DATA_HOME", "")
    if not data.startswith("/"):
        data = os.path.join(home, ".local/share")
    return os.path.join(data, "rcrun")


def default_live_dir(environ: dict[str, str], uid: int) -> str:
    """The first usable of $RCRUN_RUNROOT, $XDG_RUNTIME_DIR, /run/user/UID, /tmp.

    Only the last is made here: others know its name, and what they prepared there must not even be read.
    """
    explicit = environ.get("RCRUN_RUNROOT")
    if explicit:
        return os.path.abspath(explicit)
    if uid == 0:
        return "/run/rcrun"
    for candidate in (environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{uid}"):
        if candidate.startswith("/") and is_private_dir(candidate, uid):
            return os.path.join(candidate, "rcrun")
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        boot = file.read(8)
    path = f"/tmp/rcrun-{uid}-{boot}"
    make_private_dir(path)
    return path


def live_dir_of(root_dir: str, environ: dict[str, str], uid: int) -> str:
    """What was asked for, or where the containers of this store run already: sessions differ in what XDG_RUNTIME_DIR is."""
    if not environ.get("RCRUN_RUNROOT"):
        noted = noted_live_dir(root_dir, uid)
        if noted:
            return noted
    return default_live_dir(environ, uid)


def noted_live_dir(root_dir: str, uid: int) -> str:
    """The one of the first start in this store; empty when it is not there any more, or of another boot."""
    try:
        noted = os.readlink(f"{root_dir}/live")
    except OSError:
        return ""
    if not is_private_dir(noted, uid):
        return ""
    if noted.startswith(f"/tmp/rcrun-{uid}-"):
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
            return noted if noted.endswith(file.read(8)) else ""
    return noted


def is_private_dir(path: str, uid: int) -> bool:
    """A real directory of this user that nobody else can write."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return (
        stat.S_ISDIR(status.st_mode) and status.st_uid == uid and not status.st_mode & 0o022
    ) and os.access(path, os.W_OK | os.X_OK)


class Store:
    """The paths of one store and its live state; makes nothing.

    `others` are the directories of stores whose images and layers are used where they are, and never changed: those
    that were given, and the lines of the file `additional-stores`. `meanings` tells what a short name may mean.
    `own_names`: short names of images that are made here are below `localhost`, as podman's are.
    `default_subnet`: that of the default network, if it is made. `restore` makes or fetches a blob that was dropped (storage/recipes.py), if there is a way; the engine sets it.
    """

    __slots__ = (
        "_given", "_meanings", "_others", "default_subnet", "live_dir", "own_names", "restore", "root_dir",
    )  # fmt: skip

    def __init__(
        self,
        root_dir: str,
        live_dir: str,
        others: Sequence[str] = (),
        meanings: Callable[[str], list[str]] | None = None,
        own_names: bool = False,
    ) -> None:
        self.root_dir = root_dir
        self.live_dir = live_dir
        self._given = others
        self._others: list[str] | None = None
        self._meanings = meanings
        self.own_names = own_names
        self.default_subnet = ""
        self.restore: Callable[[str], object] | None = None

    @property
    def others(self) -> list[str]:
        """Asked for only when something is not in this store."""
        if self._others is None:
            try:
                with open(self.path("additional-stores"), encoding="utf-8") as file:
                    noted = [line.strip() for line in file]
            except OSError:
                noted = []
            found = [path for path in (*self._given, *noted) if path.startswith("/")]
            self._others = [path for path in dict.fromkeys(found) if path != self.root_dir]
        return self._others

    def shared_blob(self, digest: str) -> str:
        """Where another store has it; empty when none has."""
        algorithm, _, digits = digest.partition(":")
        for root in self.others:
            path = f"{root}/blobs/{algorithm}/{digits}"
            if os.path.lexists(path):
                return path
        return ""

    def blob_to_read(self, digest: str) -> str:
        """Of this store or of another."""
        path = self.blob_path(digest)
        return path if os.path.lexists(path) else self.shared_blob(digest) or path

    def bring(self, digest: str) -> None:
        """Before a blob's bytes are read: one that was dropped is here again then, if it can be had."""
        if self.restore is not None and not os.path.lexists(self.blob_to_read(digest)):
            self.restore(digest)

    def relative(self, path: str) -> str:
        """As container.json has it: joined with this store's directory it is that path again."""
        if path.startswith(f"{self.root_dir}/"):
            return path[len(self.root_dir) + 1 :]
        return os.path.relpath(os.path.realpath(path), os.path.realpath(self.root_dir))

    def meanings(self, text: str) -> list[str]:
        """The images that a name may mean, in order: docker's meaning alone, unless we were told of others."""
        return self._meanings(text) if self._meanings is not None else [text]

    def path(self, *parts: str) -> str:
        return "/".join((self.root_dir, *parts))

    def blob_path(self, digest: str) -> str:
        algorithm, _, digits = digest.partition(":")
        return f"{self.root_dir}/blobs/{algorithm}/{digits}"

    def layer_dir(self, kind: str, chain: str) -> str:
        return f"{self.root_dir}/layers/{kind}/{chain}"

    def container_dir(self, container_id: str) -> str:
        return f"{self.root_dir}/containers/{container_id}"

    def container_live_dir(self, container_id: str) -> str:
        return f"{self.live_dir}/containers/{container_id}"

    def name_path(self, name: str) -> str:
        return f"{self.root_dir}/names/{name}"

    def volume_dir(self, name: str) -> str:
        return f"{self.root_dir}/volumes/{name}"

    def trash_dir(self) -> str:
        return f"{self.root_dir}/trash"

    def tmp_dir(self) -> str:
        return f"{self.root_dir}/tmp"


def note_live_dir(store: Store) -> None:
    """At a start, for sessions that would choose another one."""
    if noted_live_dir(store.root_dir, os.geteuid()):
        return
    link = store.path("live")
    try:
        os.symlink(store.live_dir, link)
    except FileExistsError:
        _replace_link(store.live_dir, link)


def _replace_link(target: str, link: str) -> None:
    """Others may be at it as well: any of theirs will do, and none for a moment."""
    try:
        os.unlink(link)
        os.symlink(target, link)
    except (FileNotFoundError, FileExistsError):
        pass


def make_private_dir(path: str, *, again: bool = False) -> None:
    """The directory, 0700 and ours, with its parents; refuses one that somebody else could have prepared."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if path.startswith("/tmp/") and not is_private_dir(path, os.geteuid()):
            raise PermissionError(
                1, "belongs to somebody else or is writable by others", path
            ) from None
    except FileNotFoundError:
        above = os.path.dirname(path)
        if not os.path.isdir(above):
            make_private_dir(above)
        elif again:
            raise  # /proc says so of what cannot be made there
        make_private_dir(path, again=True)  # others may have made either meanwhile


def is_near(path: str, place: str) -> bool:
    """The place, what is in it, or what it is in."""
    return f"{place}/".startswith(f"{path.rstrip('/')}/") or path.startswith(f"{place}/")


def find_program(name: str, search: str) -> str:
    """In PATH and, since users' PATHs often lack them, in the system's directories; empty when it is nowhere."""
    for folder in [*search.split(":"), "/usr/bin", "/usr/sbin", "/usr/local/bin", "/bin", "/sbin"]:
        path = f"{folder}/{name}"
        if folder.startswith("/") and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return ""


def config_dir(environ: Mapping[str, str]) -> str:
    """Where a user's own configuration lies: `$XDG_CONFIG_HOME`, else `~/.config`."""
    config = environ.get("XDG_CONFIG_HOME", "")
    if config.startswith("/"):
        return config
    return f"{environ.get('HOME') or os.path.expanduser('~')}/.config"


def drop_ins(folder: str) -> list[str]:
    """The files `*.conf` of a directory that goes with a configuration file, in the order in which they count."""
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        from rcrun.errors import unreadable

        raise unreadable(folder, error) from error
    paths = [f"{folder}/{name}" for name in names if name.endswith(".conf")]
    return [path for path in paths if not os.path.isdir(path)]


def containers_conf(environ: Mapping[str, str]) -> bool:
    """Whether containers.conf or its kin (engine/containersconf.py) may set anything: all that most starts ask."""
    last = environ.get("CONTAINERS_CONF_OVERRIDE")
    if last and _sets_something(last):
        return True
    if environ.get("CONTAINERS_CONF"):
        return _sets_something(environ["CONTAINERS_CONF"])
    shared, system = CONTAINERS_DIRS
    return (
        _has_settings(shared, _REPEATED)
        or _has_settings(system)
        or _has_settings(f"{config_dir(environ)}/containers")
    )


def _has_settings(folder: str, repeated: frozenset[bytes] = frozenset()) -> bool:
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return any(
        _sets_something(f"{folder}/{name}", repeated)
        for name in names
        if name.startswith("containers.") and not name.endswith(".modules")
    )


def _sets_something(path: str, repeated: frozenset[bytes] = frozenset()) -> bool:
    """Not so where there are only comments and headers of tables."""
    try:
        with open(path, "rb", buffering=0) as file:
            lines = file.read().split(b"\n")
    except IsADirectoryError:
        return any(_sets_something(f"{path}/{name}") for name in os.listdir(path))
    except OSError:
        return True  # who reads it all tells what is wrong
    for line in lines:
        if line[:1] != b"#":  # most are comments, and there may be many
            word = line.strip()
            is_header = word[:1] == b"[" and word[-1:] == b"]"
            if not is_header and word[:1] not in b"#" and word not in repeated:
                return True
    return False


def cache_dir() -> str:
    """What may be deleted at any time: `$XDG_CACHE_HOME/rcrun`, else `~/.cache/rcrun`."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not cache.startswith("/"):
        cache = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "rcrun")
