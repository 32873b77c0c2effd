"""A bundle as the caller wrote it → the configuration of one container, with what the caller's environment adds."""

from __future__ import annotations

import os
import stat

from rcrun import files
from rcrun.errors import InvalidInput, RcrunError
from rcrun.formats.spec import HOOK_KINDS
from rcrun.kernel.identity import held_capabilities
from rcrun.runtime.plan_process import capability_warnings, is_too_low

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rcrun.formats.spec import Hooks, Mount, Process, Spec
    from rcrun.runtime.host import Host

_PASSWD_BYTES = 1 << 20


def load(bundle_dir: str, config_path: str = "") -> Spec:
    """config.json, checked as far as its first words; faults deeper down are worded by `malformed`."""
    path, spec = read(bundle_dir, config_path)
    if not isinstance(spec, dict):
        raise InvalidInput(f'"{path}" is not a JSON object')
    _check_version(spec.get("ociVersion"), path)
    checked: Spec = spec  # type: ignore[assignment]
    return checked


def read(bundle_dir: str, config_path: str = "") -> tuple[str, object]:
    """The path of a bundle's configuration, and whatever JSON value is there."""
    path = os.path.join(bundle_dir, config_path or "config.json")
    try:
        return path, files.read_json(path)
    except FileNotFoundError as error:
        raise InvalidInput(
            f'no bundle: there is no "{path}"', "write one with: rcrun-oci spec"
        ) from error
    except ValueError as error:
        raise InvalidInput(f'"{path}" is not JSON: {error}') from error


def _check_version(version: object, path: str) -> None:
    if not isinstance(version, str) or not version.startswith("1."):
        raise InvalidInput(f'"{path}": "ociVersion" {version!r} is not supported; 1.x is')


# What a configuration that is not of its shape makes the plan builder raise.
MISFITS = (AttributeError, InvalidInput, KeyError, TypeError, ValueError)


def malformed(spec: Spec, error: Exception) -> RcrunError:
    """For a configuration that the plan builder stumbled over: the place of the fault."""
    return _told(spec, error, "config.json")


def malformed_process(process: object, error: Exception) -> RcrunError:
    """The same of the process alone that `exec --process` has read."""
    whole = {"ociVersion": "1.0.0", "root": {"path": "rootfs"}, "process": process}
    return _told(whole, error, "the process")


def _told(document: object, error: Exception, which: str) -> RcrunError:
    """By the schema; then in the builder's own words, with the places that are against a rule; then by the rules."""
    try:
        from rcrun.formats.validate import rule_faults, shape_faults

        shape, rules = shape_faults(document, "config"), rule_faults(document, "config")
    except ImportError:  # without jsonschema the builder's own words have to do
        shape, rules = [], []
    if shape:
        return InvalidInput(f"{which}: {shape[0]}")
    if isinstance(error, InvalidInput):
        places = [fault.partition(": ")[0] for fault in rules[:3]]
        if not places or any(place in error.message for place in places):
            return error
        return InvalidInput(f"{error.message} ({which}: {', '.join(places)})", error.hint)
    if rules:
        return InvalidInput(f"{which}: {rules[0]}")
    if isinstance(error, RcrunError):
        return error
    return InvalidInput(f"{which} is malformed: {type(error).__name__}: {error}")


def warnings(spec: Spec, host: Host) -> list[str]:
    """What is asked for and not done, where the specification wants no error of it."""
    process = spec.get("process") or {}
    texts = capability_warnings(process, givable(spec))
    if is_too_low(process, host):
        texts.append(f"the OOM score stays {host.oom_score_adj}: a user cannot lower it")
    return texts


def givable(spec: Spec) -> int:
    """The capabilities that a container can be given: all of them in a user namespace, else our own."""
    kinds = [namespace["type"] for namespace in (spec.get("linux") or {}).get("namespaces") or []]
    return -1 if "user" in kinds else held_capabilities()


def is_open_file(mount: Mount) -> bool:
    return (mount.get("source") or "").startswith("/proc/self/fd/")


def with_sources(spec: Spec) -> Spec:
    """With the paths of bind mounts that the caller names by open descriptors.

    A descriptor shows a mount of the caller's mount namespace, which the container's cannot bind. What has no path
    any more is left: root binds it from outside (rcrun.runtime.outside).
    """
    mounts = spec.get("mounts") or []
    if not any(map(is_open_file, mounts)):
        return spec
    return {**spec, "mounts": [{**mount, "source": _path_of(mount)} for mount in mounts]}


def _path_of(mount: Mount) -> str:
    source = mount.get("source") or ""
    if not is_open_file(mount):
        return source
    try:
        path = os.readlink(source)
        return path if os.path.samestat(os.stat(path), os.stat(source)) else source
    except OSError:
        return source


class Inside:
    """Hooks begin in the bundle, as runc's and crun's do; we come back to where relative paths of our options are.

    It may be gone when the last of them run, and where we are may be closed to us: nobody is stopped by that.
    """

    __slots__ = ("back", "dir")

    def __init__(self, bundle_dir: str) -> None:
        self.dir = bundle_dir
        self.back = -1

    def __enter__(self) -> None:
        try:
            self.back = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            os.chdir(self.dir)
        except OSError:
            pass

    def __exit__(self, *_: object) -> None:
        if self.back >= 0:
            os.fchdir(self.back)
            os.close(self.back)


def rootfs_dir(spec: Spec, bundle_dir: str) -> str:
    return os.path.normpath(os.path.join(bundle_dir, (spec.get("root") or {}).get("path") or ""))


def with_environment(spec: Spec, bundle_dir: str, environ: Mapping[str, str]) -> Spec:
    """HOME as the container's passwd has it; socket activation and readiness of systemd handed through."""
    process: Process = {**(spec.get("process") or {})}
    env = merged(process.get("env") or [])
    if not _value(env, "HOME"):
        uid = (process.get("user") or {}).get("uid", 0)
        env = [word for word in env if not word.startswith("HOME=")]
        env.append(f"HOME={home_of(uid, rootfs_dir(spec, bundle_dir))}")
    if listen_fds(environ):
        env += [
            f"{name}={environ[name]}"
            for name in ("LISTEN_FDS", "LISTEN_FDNAMES")
            if name in environ
        ]
        env.append("LISTEN_PID=1")
    socket = environ.get("NOTIFY_SOCKET", "")
    if socket.startswith("/"):
        env = merged([*env, f"NOTIFY_SOCKET={socket}/notify"])
    process["env"] = env
    changed: Spec = {**spec, "process": process}
    if socket.startswith("/"):
        changed["mounts"] = [*(spec.get("mounts") or []), _notify_mount(socket)]
    if spec.get("hooks"):
        changed["hooks"] = _with_env(spec["hooks"], env, environ)
    return changed


def _notify_mount(socket: str) -> Mount:
    """Where the process says that it is ready (sd_notify(3)): a file in a directory, as with crun."""
    source = socket if os.path.exists(socket) else "/dev/null"
    options = ["bind", "nosuid", "noexec", "nodev"]
    return {"destination": f"{socket}/notify", "source": source, "options": options}


def _with_env(hooks: Hooks, env: list[str], environ: Mapping[str, str]) -> Hooks:
    """A hook that says no environment has ours, or inside the process's, as with runc and crun."""
    callers = [f"{name}={value}" for name, value in environ.items()]
    given: Hooks = {**hooks}
    for kind in HOOK_KINDS:
        default = {"env": env if kind == "startContainer" else callers}
        if hooks.get(kind):
            given[kind] = [{**default, **hook} for hook in hooks[kind]]  # type: ignore[literal-required]
    return given


def merged(env: Sequence[str]) -> list[str]:
    """Each name once, with the last value; most programs take the first that they find."""
    return list({word.partition("=")[0]: word for word in env}.values())


def listen_fds(environ: Mapping[str, str]) -> int:
    """How many descriptors from 3 on are for the container; LISTEN_PID is of a caller's caller by now."""
    count = environ.get("LISTEN_FDS", "")
    return int(count) if count.isascii() and count.isdigit() else 0


def _value(env: list[str], name: str) -> str:
    values = [word[len(name) + 1 :] for word in env if word.startswith(f"{name}=")]
    return values[-1] if values else ""


def home_of(uid: int, root_dir: str) -> str:
    """The home directory in the root's passwd(5); "/" without an entry."""
    for line in _passwd(root_dir).splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and fields[2] == str(uid):
            return fields[5] or "/"
    return "/"


def _passwd(root_dir: str) -> str:
    """The image is not trusted: links stay beneath its root, and only a regular file of sane size is read."""
    try:
        fd = _open_passwd(root_dir)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return ""
            return os.read(fd, _PASSWD_BYTES).decode("utf-8", "replace")
        finally:
            os.close(fd)
    except OSError:
        return ""


def _open_passwd(root_dir: str) -> int:
    """Nearly always there is no link on the way; openat2, which knows how to follow one, costs an import."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    folder = -1
    try:
        folder = os.open(f"{root_dir}/etc", flags | os.O_DIRECTORY | os.O_NOFOLLOW)
        return os.open("passwd", flags | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError:
        from rcrun.kernel.syscalls import open_in_root

        root = os.open(root_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return open_in_root(root, b"/etc/passwd", flags)
        finally:
            os.close(root)
    finally:
        if folder >= 0:
            os.close(folder)
