"""A bundle as the caller wrote it → the configuration of one container, with what the caller's environment adds."""

from __future__ import annotations

import os
import stat

from rcrun import files
from rcrun.errors import InvalidInput, RcrunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rcrun.formats.spec import Process, Spec

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
    except ImportError:  # without jsonschema the builder's own words have to do
        shape, rules = [], []
    else:
        shape, rules = shape_faults(document, "config"), rule_faults(document, "config")
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


def rootfs_dir(spec: Spec, bundle_dir: str) -> str:
    return os.path.normpath(os.path.join(bundle_dir, (spec.get("root") or {}).get("path") or ""))


def with_environment(spec: Spec, bundle_dir: str, environ: Mapping[str, str]) -> Spec:
    """HOME as the container's passwd has it, and socket activation handed through (sd_listen_fds(3))."""
    process: Process = {**(spec.get("process") or {})}
    env = list(process.get("env") or [])
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
    process["env"] = env
    return {**spec, "process": process}


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
