"""What root makes outside for a container that may not make it inside: idmapped mounts, device nodes. Cold."""

from __future__ import annotations

import errno
import os
import stat

from rcrun.errors import HostLacks, InvalidInput
from rcrun.formats import mountopts
from rcrun.runtime import plan_mounts
from rcrun.runtime.plan_namespaces import Namespaces, ids_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.formats.idmap import IdMap, Range
    from rcrun.formats.spec import Device, Mount, Spec
    from rcrun.runtime.host import Host

_KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK}


def trees_of(spec: Spec, bundle_dir: str, host: Host) -> dict[str, int]:
    """By destination, descriptors of mounts that the plan puts in place; the caller closes them."""
    namespaces = Namespaces(spec)
    # its root is somebody else on the host, who may do less than we
    for_stranger = host.identity.kind == "root" and "user" in namespaces
    trees: dict[str, int] = {}
    try:
        for mount in spec.get("mounts") or []:
            destination = plan_mounts.inside(mount["destination"])
            if plan_mounts.is_idmapped(mount):
                trees[destination] = _idmapped(mount, destination, bundle_dir, namespaces)
            elif for_stranger and plan_mounts.is_bind(mount) and _is_hidden(mount, bundle_dir):
                trees[destination] = _copy(mount, destination, bundle_dir)
        if for_stranger:
            for device in (spec.get("linux") or {}).get("devices") or []:
                if device["type"] in _KINDS:
                    _add_device(trees, device, namespaces)
    except BaseException:
        for fd in trees.values():
            os.close(fd)
        raise
    return trees


def _is_hidden(mount: Mount, bundle_dir: str) -> bool:
    """Whether a directory above the source lets only its owner through."""
    path = plan_mounts.absolute(mount.get("source") or "", bundle_dir)
    try:
        while path not in ("", "/"):
            path = os.path.dirname(path)
            if not os.stat(path).st_mode & stat.S_IXOTH:
                return True
    except OSError:
        pass  # the shim says what is wrong with it
    return False


def _copy(mount: Mount, destination: str, bundle_dir: str) -> int:
    from rcrun.kernel import trees

    options = mountopts.parse(mount.get("options") or [])
    source = plan_mounts.absolute(mount.get("source") or "", bundle_dir)
    recursive = options.recursive or mount.get("type") == "rbind"
    try:
        return trees.copy(source, recursive=recursive, nofollow="nofollow" in options.links)
    except OSError as error:
        if error.errno == errno.EPERM:
            raise _no_idmap(destination, source, error) from error  # nobody else's need one
        raise InvalidInput(
            f'cannot bind mount "{source}" on "{destination}": {error.strerror}'
        ) from error


def _idmapped(mount: Mount, destination: str, bundle_dir: str, namespaces: Namespaces) -> int:
    from rcrun.kernel import trees

    if not plan_mounts.is_bind(mount):
        raise InvalidInput(f'mount "{destination}": only a bind mount can have ids of its own')
    recursive = mountopts.parse(mount.get("options") or []).idmap == "ridmap"
    tree = _copy(mount, destination, bundle_dir)
    try:
        namespace = _user_namespace(mount, destination, namespaces)
        try:
            trees.map_ids(tree, destination, namespace, recursive=recursive)
        finally:
            os.close(namespace)
    except OSError as error:
        os.close(tree)
        raise _no_idmap(destination, mount.get("source") or "", error) from error
    except BaseException:
        os.close(tree)
        raise
    return tree


def _user_namespace(mount: Mount, destination: str, namespaces: Namespaces) -> int:
    """Of the mount's own maps, else the container's."""
    from rcrun.kernel import trees

    uids, gids = _own_maps(mount, destination, namespaces)
    joined = namespaces.joined.get("user")
    if joined and not uids:
        return os.open(joined, os.O_RDONLY | os.O_CLOEXEC)
    uids, gids = uids or namespaces.uid_map, gids or namespaces.gid_map
    if not uids or not gids:
        raise InvalidInput(
            f'mount "{destination}": "idmap" needs "uidMappings" and "gidMappings", '
            "its own or the container's"
        )
    return trees.user_namespace(uids, gids)


def _own_maps(mount: Mount, destination: str, namespaces: Namespaces) -> tuple[IdMap, IdMap]:
    """Those of its fields, else those within its option."""
    uids, gids = ids_of(mount.get("uidMappings")), ids_of(mount.get("gidMappings"))
    maps = mountopts.parse(mount.get("options") or []).id_maps
    if uids or gids or not maps:
        return uids, gids
    return (
        [_on_host(*row, namespaces.uid_map, destination) for row in maps["uids"]],
        [_on_host(*row, namespaces.gid_map, destination) for row in maps["gids"]],
    )


def _on_host(ids: Range, is_relative: bool, container: IdMap, destination: str) -> Range:
    from rcrun.formats import idmap

    inside, outside, count = ids
    found = idmap.to_outside(container, outside) if is_relative else outside
    if found is None:
        raise InvalidInput(f'mount "{destination}": the container does not map the id {outside}')
    return inside, found, count


def _no_idmap(destination: str, source: str, error: OSError) -> HostLacks:
    hint = f'the file system of "{source}" cannot do it; see mount_setattr(2), "ID-mapped mounts"'
    if error.errno in (errno.EPERM, errno.EACCES):
        hint = "the kernel lets only root of the host map the ids of a mount: run it as root"
    return HostLacks(f'cannot map the ids of the mount "{destination}": {error.strerror}', hint)


def _add_device(trees: dict[str, int], device: Device, namespaces: Namespaces) -> None:
    try:
        trees[plan_mounts.inside(device["path"])] = _device(device, namespaces)
    except PermissionError:
        pass  # root without CAP_MKNOD: the plan binds the host's node, if there is one


def _device(device: Device, namespaces: Namespaces) -> int:
    from rcrun.kernel import trees

    number = os.makedev(device.get("major", 0), device.get("minor", 0))
    uid = _outside(device.get("uid", 0), namespaces.uid_map)
    gid = _outside(device.get("gid", 0), namespaces.gid_map)
    mode = device.get("fileMode", 0o666) & 0o7777
    return trees.device(_KINDS[device["type"]], number, mode, uid, gid)


def _outside(number: int, ids: IdMap) -> int:
    from rcrun.formats import idmap

    found = idmap.to_outside(ids, number) if ids else number
    return number if found is None else found
