"""What the options of `run` cannot tell: the host, the caller and the container's own names; read once, then an argument."""

from __future__ import annotations

import os
import resource

from rcrun.kernel.identity import held_capabilities
from rcrun.paths import find_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from rcrun.formats.spec import Spec
    from rcrun.kernel.identity import Identity
    from rcrun.paths import Store


class Donor:
    """Another container, whose namespaces may be joined."""

    __slots__ = ("id", "name", "record", "spec")

    def __init__(self, container_id: str, record: dict[str, Any], spec: Spec) -> None:
        self.id = container_id
        self.name = str(record.get("name") or container_id)
        self.record = record
        self.spec = spec


class Facts:
    """`stat` and `read` look at the host's file system: None where nothing is, bytes or InvalidInput.

    `find_program` gives a path or an empty text, `hard_limit` the caller's limit of an RLIMIT_ name, -1
    for none, `host_address` where containers reach the host. `passwd` and `group` are the texts of the
    image's files. `held` are our own capabilities. Of the store: `volume` gives the record of one that is
    there, `mounts_of` the records of a container's mounts, `secret` the record of a secret, `network` the definition of a network, `donor` another
    container, `image_layers` the id and the layers of an image; the last five raise NotFound. `subordinate` are the ranges that /etc/subuid (`uid`)
    or /etc/subgid has for a name, `has_bridges` tells whether the default network can be one, `taken_ids` those that containers have to themselves: whoever asks has a claim on them until his record is written.
    """

    __slots__ = (
        "artifact_files", "container_dir", "container_id", "created", "cwd", "donor", "environ", "find_program",
        "group", "hard_limit", "has_bridges", "held", "host_address", "hostname", "identity", "image_file",
        "image_kind", "image_layers", "kernel", "list_dir", "lowers", "machine", "mounts_of", "name", "network",
        "new_id", "passwd", "read", "secret", "stat", "store_dir", "subordinate", "taken_ids", "volume",
    )  # fmt: skip

    def __init__(
        self,
        identity: Identity,
        *,
        container_id: str,
        name: str,
        store_dir: str,
        container_dir: str,
        created: str,
        stat: Callable[[str], os.stat_result | None],
        read: Callable[[str], bytes],
        find_program: Callable[[str], str],
        hard_limit: Callable[[str], int],
        new_id: Callable[[], str],
        host_address: Callable[[], str] = str,
        environ: Mapping[str, str],
        cwd: str = "/",
        hostname: str = "localhost",
        passwd: str = "",
        group: str = "",
        held: int = -1,
        kernel: tuple[int, int] = (6, 0),
        machine: str = "x86_64",
        lowers: list[str] | None = None,
        volume: Callable[[str], dict[str, Any] | None] = lambda name: None,
        mounts_of: Callable[[str], list[dict[str, Any]]] = lambda name: [],
        secret: Callable[[str], dict[str, Any]] = lambda name: {},
        donor: Callable[[str], Donor] | None = None,
        subordinate: Callable[[str, str], list[tuple[int, int]]] = lambda which, name: [],
        taken_ids: Callable[[str], list[tuple[int, int]]] = lambda which: [],
        image_file: Callable[[str], bytes | None] = lambda path: None,
        image_kind: Callable[[str], str] = lambda path: "",
        list_dir: Callable[[str], list[str]] = lambda path: [],
        image_layers: Callable[[str], tuple[str, list[str]]] | None = None,
        artifact_files: Callable[[str, str, str], list[tuple[str, str]]] = lambda *words: [],
        network: Callable[[str], dict[str, Any]] = lambda name: {},
        has_bridges: Callable[[], bool] = lambda: False,
    ) -> None:
        self.identity = identity
        self.container_id = container_id
        self.name = name
        self.store_dir = store_dir
        self.container_dir = container_dir
        self.created = created
        self.stat = stat
        self.read = read
        self.find_program = find_program
        self.hard_limit = hard_limit
        self.new_id = new_id
        self.host_address = host_address
        self.environ = environ
        self.cwd = cwd
        self.hostname = hostname
        self.passwd = passwd
        self.group = group
        self.held = held
        self.kernel = kernel
        self.machine = machine
        self.lowers = lowers or []
        self.volume = volume
        self.mounts_of = mounts_of
        self.secret = secret
        self.donor = donor or _no_donor
        self.subordinate = subordinate
        self.taken_ids = taken_ids
        self.image_file = image_file
        self.image_kind = image_kind
        self.list_dir = list_dir
        self.image_layers = image_layers or _no_image
        self.artifact_files = artifact_files
        self.network = network
        self.has_bridges = has_bridges

    @property
    def rootless(self) -> bool:
        return self.identity.rootless


def gather(
    identity: Identity,
    environ: Mapping[str, str],
    *,
    container_id: str,
    name: str,
    store: Store,
    created: str,
    passwd: bytes | None,
    group: bytes | None,
    lowers: list[str],
    taken_ids: Callable[[str], list[tuple[int, int]]] = lambda which: [],
    search: str = "",
) -> Facts:
    """The facts of this host, now; `lowers` are relative to the store, top first."""
    host = os.uname()
    return Facts(
        identity,
        container_id=container_id,
        name=name,
        store_dir=store.root_dir,
        container_dir=store.container_dir(container_id),
        created=created,
        stat=stat_or_none,
        read=host_file,
        find_program=lambda name: find_program(name, search),
        hard_limit=hard_limit,
        new_id=_new_id,
        host_address=_host_address,
        environ=environ,
        cwd=_cwd(),
        hostname=host.nodename,
        passwd=(passwd or b"").decode("utf-8", "replace"),
        group=(group or b"").decode("utf-8", "replace"),
        held=held_capabilities() if identity.kind == "root" else -1,
        kernel=_kernel(host.release),
        machine=host.machine,
        lowers=lowers,
        volume=lambda name: _volume(store, name),
        mounts_of=lambda name: _mounts_of(store, name),
        secret=lambda name: _secret(store, name),
        donor=lambda name: _donor(store, name),
        subordinate=_subordinate,
        taken_ids=taken_ids,
        image_file=lambda path: _image_file(store, lowers, path),
        image_kind=lambda path: _image_kind(store, lowers, path),
        list_dir=_list_dir,
        image_layers=lambda name: _image_layers(store, identity, name),
        artifact_files=lambda *words: _artifact_files(store, *words),
        network=lambda name: _network(store, name),
        has_bridges=lambda: not os.path.exists(no_bridges(store)),
    )


def no_bridges(store: Store) -> str:
    """The file that says, until the next boot, that this kernel makes no bridges for us."""
    return f"{store.live_dir}/no-bridges"


def _volume(store: Store, name: str) -> dict[str, Any] | None:
    from rcrun.storage import volumes

    return volumes.find(store, name)


def _mounts_of(store: Store, name: str) -> list[dict[str, Any]]:
    from rcrun.storage.containers import find

    found: list[dict[str, Any]] = find(store, name).record.get("mounts") or []
    return found


def _secret(store: Store, name: str) -> dict[str, Any]:
    from rcrun.storage import secrets

    return secrets.load(store, name)


def _network(store: Store, name: str) -> dict[str, Any]:
    from rcrun.network import definitions

    return definitions.load(store, name)


def _no_donor(name: str) -> Donor:
    from rcrun.errors import NotFound

    raise NotFound(f"no such container: {name}")


def _no_image(name: str) -> tuple[str, list[str]]:
    from rcrun.errors import NotFound

    raise NotFound(f'image "{name}" is not in the store')


def _image_layers(store: Store, identity: Identity, name: str) -> tuple[str, list[str]]:
    """The image's id and its layers, relative to the store, top first."""
    from rcrun.errors import NotFound
    from rcrun.storage import images, layers

    try:
        image = images.find(store, name)
    except NotFound as error:
        raise NotFound(error.message, f"rcrun pull {name}") from error
    found = layers.ensure(store, identity, image, None)
    return image.config_digest, [store.relative(path) for path in found]


def _artifact_files(store: Store, name: str, title: str, digest: str) -> list[tuple[str, str]]:
    from rcrun.engine.artifacttransfer import files_of

    return files_of(store, name, title=title, digest=digest)


def _donor(store: Store, name: str) -> Donor:
    from rcrun.storage.containers import find

    container = find(store, name)
    return Donor(container.id, container.record, container.config())


def _subordinate(which: str, name: str) -> list[tuple[int, int]]:
    from rcrun.files import read_text
    from rcrun.formats.idmap import subordinate_ranges

    return subordinate_ranges(read_text(f"/etc/sub{which}"), {name})


def _image_file(store: Store, lowers: list[str], path: str) -> bytes | None:
    from rcrun.storage.layered import read_file

    return read_file([store.path(lower) for lower in lowers], path, 1 << 20)


def _image_kind(store: Store, lowers: list[str], path: str) -> str:
    """What the image has there: "directory", "file" for all else, or nothing."""
    from stat import S_ISDIR

    from rcrun.storage.layered import lookup

    found = lookup([store.path(lower) for lower in lowers], path)
    return "" if found is None else "directory" if S_ISDIR(found.status.st_mode) else "file"


def _list_dir(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def stat_or_none(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def host_file(path: str) -> bytes:
    from rcrun.errors import InvalidInput

    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InvalidInput(f'cannot read "{path}": {(error.strerror or "").lower()}') from error


def _new_id() -> str:
    return os.urandom(32).hex()


def _host_address() -> str:
    from rcrun.network.route import host_address

    return host_address()


def _cwd() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""  # it was removed; only a relative source of a mount needs it


def hard_limit(name: str) -> int:
    kind = getattr(resource, name, None)
    return -1 if kind is None else resource.getrlimit(kind)[1]


def _kernel(release: str) -> tuple[int, int]:
    numbers = release.partition("-")[0].split(".")
    try:
        return int(numbers[0]), int(numbers[1])
    except (IndexError, ValueError):
        return 0, 0
