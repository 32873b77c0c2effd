"""--device, --gpus, --device-cgroup-rule: nodes of the host, directories of them, devices by their CDI names. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats import device

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Any

    from rcrun.engine.facts import Facts
    from rcrun.engine.options import Options
    from rcrun.formats.spec import Spec


def add_devices(document: Spec, options: Options, facts: Facts) -> None:
    """A node made by root, the host's node bound by anybody else."""
    texts = list(options.get("device") or ())
    named = [text for text in texts if device.is_cdi_name(text)]
    for text in texts:
        if text not in named:
            _add(document, text, facts)
    if options.get("gpus"):
        from rcrun.engine.config_cdi import gpu_names

        named += gpu_names(str(options["gpus"]), options, facts)
    if named:
        from rcrun.engine.config_cdi import add_named

        add_named(document, list(dict.fromkeys(named)), options, facts)


def _add(document: Spec, text: str, facts: Facts) -> None:
    import stat

    source, target, permissions = device.parse(text)
    status = facts.stat(source)
    if status is None:
        raise InvalidInput(
            f'invalid --device "{text}": "{source}" does not exist', f"see: ls -l {source}"
        )
    if stat.S_ISDIR(status.st_mode):
        found = _in_directory(source, facts)
        if not found:
            raise InvalidInput(f'invalid --device "{text}": no device is in "{source}"')
        for path in found:
            _add_one(document, path, target + path[len(source) :], permissions, facts, text)
        return
    _add_one(document, source, target, permissions, facts, text)


def _in_directory(folder: str, facts: Facts) -> list[str]:
    """Every device of the directory and of those in it, as docker takes them."""
    import stat

    found: list[str] = []
    for name in facts.list_dir(folder):
        path = f"{folder.rstrip('/')}/{name}"
        status = facts.stat(path)
        if status is None:
            continue
        if stat.S_ISDIR(status.st_mode):
            found += _in_directory(path, facts)
        elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            found.append(path)
    return found


def _add_one(
    document: Spec, source: str, target: str, permissions: str, facts: Facts, text: str
) -> None:
    status = facts.stat(source)
    if status is None:
        raise InvalidInput(f'invalid --device "{text}": "{source}" does not exist')
    if facts.rootless:
        bind_device(document, source, target, writable=True)
    else:
        make_device(document, target, permissions, status, text)


def bind_device(document: Spec, source: str, target: str, *, writable: bool) -> None:
    access = [] if writable else ["ro"]
    document["mounts"].append(
        {
            "destination": target,
            "type": "bind",
            "source": source,
            "options": ["bind", *access, "nosuid", "noexec", "rprivate"],
        }
    )


def make_device(
    document: Spec, target: str, permissions: str, status: os.stat_result, text: str
) -> None:
    import os
    import stat

    kind = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        raise InvalidInput(f'invalid --device "{text}": it is not a device')
    major, minor = os.major(status.st_rdev), os.minor(status.st_rdev)
    node = {
        "path": target, "type": kind, "major": major, "minor": minor,
        "fileMode": stat.S_IMODE(status.st_mode), "uid": status.st_uid, "gid": status.st_gid,
    }  # fmt: skip
    add_node(document, node, permissions)


def add_node(document: Spec, node: dict[str, Any], permissions: str) -> None:
    linux: dict[str, Any] = document["linux"]  # type: ignore[assignment]
    linux.setdefault("devices", []).append(node)
    rules: list[Any] = linux.setdefault("resources", {}).setdefault("devices", [])
    rule = {key: node[key] for key in ("type", "major", "minor")}
    rules.append({"allow": True, **rule, "access": permissions})


def cgroup_rules(texts: Any) -> list[dict[str, Any]]:
    """`c 10:200 rwm`, with `a` and `*`, as the kernel's documentation writes them."""
    found = []
    for text in texts:
        words = text.split()
        numbers = words[1].split(":") if len(words) == 3 else []
        good = len(numbers) == 2 and all(part == "*" or part.isdecimal() for part in numbers)
        if not good or words[0] not in ("a", "b", "c") or words[2].strip("rwm") or not words[2]:
            raise InvalidInput(
                f'invalid --device-cgroup-rule "{text}"', "write it like: c 10:200 rwm"
            )
        rule: dict[str, Any] = {"allow": True, "type": words[0], "access": words[2]}
        for key, part in zip(("major", "minor"), numbers, strict=True):
            if part != "*":
                rule[key] = int(part)
        found.append(rule)
    return found
