"""Hooks of the host (oci-hooks(5)): at each start those that are for the container come into its configuration.

They are read from the host's directories, or those of --hooks-dir, and from nowhere that an image or a container could
name. What a container says of itself, its command and annotations, only chooses among them.
"""

from __future__ import annotations

import os

from rcrun.engine.context import HOOKS_DIRS
from rcrun.errors import InvalidInput, RcrunError
from rcrun.formats import hookfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.formats.hookfile import HookFile
    from rcrun.formats.spec import Hook, Spec
    from rcrun.storage.containers import Container

_LARGEST = 1 << 20


def with_hooks(context: Context, container: Container, spec: Spec) -> Spec:
    """For this start; config.json stays as it was made."""
    process: Any = spec.get("process") or {}
    command = next(iter(process.get("args") or ()), "")
    annotations = spec.get("annotations") or {}
    mounts = container.record.get("mounts") or ()
    has_mounts = any(mount.get("type") in ("bind", "volume") for mount in mounts)
    stages: dict[str, list[Hook]] = {}
    for path, found in _files(context):
        if found.when.holds(command, annotations, has_mounts=has_mounts):
            _require_program(found, path)
            for stage in found.stages:
                stages.setdefault(stage, []).append(found.hook)
    for hook in stages.pop(hookfile.PRECREATE, ()):
        spec = _changed_by(hook, container, spec)
    if not stages:
        return spec
    hooks: dict[str, list[Hook]] = dict(spec.get("hooks") or {})  # type: ignore[arg-type]
    for stage, added in stages.items():
        hooks[stage] = [*(hooks.get(stage) or ()), *added]
    return {**spec, "hooks": hooks}  # type: ignore[typeddict-item]


def _files(context: Context) -> Iterator[tuple[str, HookFile]]:
    """In the order of their names in small letters; of one name the last directory's."""
    by_name: dict[str, str] = {}
    for folder in context.hooks_dirs or HOOKS_DIRS:
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            if context.hooks_dirs:
                context.warn(f'the directory of hooks "{folder}" does not exist', None)
            continue
        except OSError as error:
            raise _unreadable(folder, error) from error
        by_name.update({name: f"{folder}/{name}" for name in names if name.endswith(".json")})
    for name in sorted(by_name, key=lambda name: (name.lower(), name)):
        path = by_name[name]
        try:
            with open(path, "rb") as file:
                data = file.read(_LARGEST)
        except FileNotFoundError:
            continue  # it went meanwhile
        except OSError as error:
            raise _unreadable(path, error) from error
        yield path, hookfile.parse(data, path)


def _unreadable(path: str, error: OSError) -> InvalidInput:
    return InvalidInput(f'cannot read "{path}", which may have hooks: {_reason(error)}')


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _require_program(found: HookFile, path: str) -> None:
    """That of a startContainer hook is one of the container's."""
    program = found.hook["path"]
    if found.stages != ["startContainer"] and not os.path.exists(program):
        raise InvalidInput(
            f'the hook file "{path}" cannot be used: its program "{program}" does not exist'
        )


def _changed_by(hook: Hook, container: Container, spec: Spec) -> Spec:
    """A precreate hook reads the configuration, and writes the one that is to be used."""
    from rcrun.files import dump_json, parse_json

    text = _output_of(hook, container.dir, dump_json(spec).encode())
    try:
        changed = parse_json(text)
    except ValueError as error:
        raise _failed(hook, f"what it wrote is not JSON: {error}") from error
    if not isinstance(changed, dict):
        raise _failed(hook, "what it wrote is not an object")
    return changed  # type: ignore[return-value]


def _output_of(hook: Hook, folder: str, text: bytes) -> bytes:
    import subprocess

    try:
        done = subprocess.run(
            hook.get("args") or [hook["path"]],
            executable=hook["path"],
            env=dict(word.partition("=")[::2] for word in hook.get("env") or ()),
            cwd=folder,
            input=text,
            capture_output=True,
            timeout=hook.get("timeout"),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _failed(hook, f"it did not end within {hook['timeout']} seconds") from None
    except OSError as error:
        raise _failed(hook, _reason(error)) from error
    if done.returncode:
        said = "; ".join(
            filter(None, map(str.strip, done.stderr.decode(errors="replace").splitlines()))
        )
        raise _failed(
            hook, f"exit status {done.returncode}" + (f", stderr: {said}" if said else "")
        )
    return done.stdout


def _failed(hook: Hook, reason: str) -> RcrunError:
    return RcrunError(f'error running precreate hook: "{hook["path"]}": {reason}')
