"""mounts.conf: files of the host that every new container gets, as copies of its own."""

from __future__ import annotations

import os
import stat

from rcrun.errors import InvalidInput
from rcrun.files import write_new
from rcrun.formats import mountsconf, secretflag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context
    from rcrun.engine.options import Options
    from rcrun.formats.spec import Mount, Spec
    from rcrun.storage.containers import Container

_PERMISSIONS = 0o777


def add_mounts(context: Context, container: Container, config: Spec, asked: Options) -> None:
    """Those of the file into the configuration; what is mounted there already stays, as with podman."""
    if asked.get("infra") or asked.get("no_default_mounts"):
        return
    path = context.mounts_conf
    mounts: list[Mount] = config.setdefault("mounts", [])
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as opened:
            rows = mountsconf.parse(opened.read())
    except FileNotFoundError:
        return  # one that --default-mounts-file names need not be there, as with podman
    except OSError as error:
        raise InvalidInput(f'cannot read "{path}": {_reason(error)}') from error
    sources = {}
    for number, (source, destination) in enumerate(rows):
        file = f"mounts/{number}"
        copy = container.path(file)
        if destination == "/":
            context.warn(f'"{path}" mounts "{source}" on "/", which cannot be', None)
        elif not _is_taken(mounts, destination) and _copied(context, source, copy, path):
            _give(context, copy, config)
            _put(mounts, destination, copy)
            sources[file] = source
    if sources:
        container.record["default_mounts"] = sources


def copy_again(context: Context, container: Container, config: Spec) -> None:
    """For a clone, whose configuration names copies that it has not got: what the host has now."""
    for file, source in container.record["default_mounts"].items():
        copy = container.path(file)
        if _copied(context, source, copy, "mounts.conf"):
            _give(context, copy, config)
        else:
            config["mounts"] = [each for each in config["mounts"] if each.get("source") != copy]


def _is_taken(mounts: list[Mount], destination: str) -> bool:
    return any(each["destination"] == destination and not _is_of_secrets(each) for each in mounts)


def _is_of_secrets(mount: Mount) -> bool:
    """The tmpfs that --secret is mounted on, which any other directory of ours can be, too."""
    return (mount["destination"], mount.get("type")) == (secretflag.PLACE, "tmpfs")


def _put(mounts: list[Mount], destination: str, copy: str) -> None:
    """Before those that lie below it, which it would cover."""
    mounts[:] = [each for each in mounts if each["destination"] != destination]
    places = (
        at for at, each in enumerate(mounts) if each["destination"].startswith(f"{destination}/")
    )
    options = ["bind", "rprivate", "nosuid", "nodev"]
    made: Mount = {"destination": destination, "type": "bind", "source": copy, "options": options}
    mounts.insert(next(places, len(mounts)), made)


def _copied(context: Context, source: str, target: str, path: str) -> bool:
    """What is not there may come later, or is for other hosts; what we may not read is told."""
    try:
        os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
        _copy(source, target, ())
    except FileNotFoundError:
        context.mark(f'mounts, but not "{source}" of "{path}": it does not exist')
        return False
    except OSError as error:
        context.warn(f'cannot mount "{source}" of "{path}": {_reason(error)}', None)
        return False
    return os.path.exists(target)


def _copy(source: str, target: str, above: tuple[tuple[int, int], ...]) -> None:
    """Links are followed, since what they name may not be in the container; only files and directories are copied."""
    look = os.stat(source)
    mode = look.st_mode & _PERMISSIONS
    if stat.S_ISREG(look.st_mode):
        with open(source, "rb") as file:
            write_new(target, file.read(), durable=False)
        os.chmod(target, mode)
    elif stat.S_ISDIR(look.st_mode) and (look.st_dev, look.st_ino) not in above:
        os.mkdir(target, 0o700)
        for name in os.listdir(source):
            try:
                _copy(f"{source}/{name}", f"{target}/{name}", (*above, (look.st_dev, look.st_ino)))
            except FileNotFoundError:
                pass  # a link to nothing
        os.chmod(target, mode)


def _give(context: Context, path: str, config: Spec) -> None:
    """To root of the container, where that is not us; one id alone owns everything there is."""
    from rcrun.engine.volumes import give, our_ids

    try:
        uid, gid = our_ids(context, config, 0, 0)
    except InvalidInput:
        return
    if (uid, gid) != (0, 0):
        give(context, path, uid, gid)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
