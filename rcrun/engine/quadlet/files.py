"""`quadlet install`, `list` and `rm`: the files themselves, and the applications that they belong to.

An application is what came together, from a directory or a `.quadlets` file: its file `.NAME.app` lists them.
"""

from __future__ import annotations

import os

from rcrun.engine.quadlet import names, output, sources
from rcrun.engine.quadlet.keys import SECTIONS
from rcrun.errors import AlreadyExists, InvalidInput, NotFound, WrongState
from rcrun.files import read_bytes, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rcrun.engine.context import Context
    from rcrun.formats.unitfile import Unit


def is_quadlet(name: str) -> bool:
    return name.rpartition(".")[2] in SECTIONS and bool(name.rpartition(".")[0])


def folder_of(context: Context, *, is_user: bool) -> str:
    return sources.install_dir(context.environ, output.home_of(context), is_user=is_user)


# ---- install


def collect(path: str) -> tuple[dict[str, bytes], str]:
    """What lies at a path, by name, and the application it makes, if any."""
    if "://" in path:
        raise InvalidInput(f'"{path}" is no file of this host', f"fetch it first: curl -LO {path}")
    base = os.path.basename(path.rstrip("/"))
    if os.path.isdir(path):
        found = {
            name: read_bytes(f"{path}/{name}")
            for name in sorted(os.listdir(path))
            if os.path.isfile(f"{path}/{name}")
        }
        if not any(is_quadlet(name) for name in found):
            raise InvalidInput(f'there is no file of Quadlet in "{path}"')
        return found, os.path.basename(os.path.abspath(path))
    if not os.path.exists(path):
        raise NotFound(f'there is no "{path}"')
    data = read_bytes(path)
    if path.endswith(".quadlets"):
        return split_many(data.decode("utf-8", "replace"), path), base.removesuffix(".quadlets")
    return {base: data}, ""


def split_many(text: str, path: str) -> dict[str, bytes]:
    """Several files in one, with `---` between and `# FileName=NAME` in each; the section tells the ending."""
    found: dict[str, bytes] = {}
    part: list[str] = []
    for line in [*text.split("\n"), "---"]:
        if line.strip() != "---":
            part.append(line)
            continue
        whole = "\n".join(part).strip()
        part = []
        if whole:
            found[_name_of(whole, path)] = f"{whole}\n".encode()
    if not found:
        raise InvalidInput(f'there is nothing in "{path}"')
    return found


def _name_of(text: str, path: str) -> str:
    lines = [line.strip() for line in text.split("\n")]
    asked = [
        line.lstrip("# ").partition("=")[2].strip()
        for line in lines
        if line.startswith("#") and line.lstrip("# ").startswith("FileName=")
    ]
    kinds = [kind for kind, section in SECTIONS.items() if f"[{section}]" in lines]
    if not asked or not asked[0] or "/" in asked[0]:
        raise InvalidInput(
            f'a part of "{path}" has no name', "begin each with a line # FileName=NAME"
        )
    if len(kinds) != 1:
        raise InvalidInput(f'"{asked[0]}" in "{path}" is not of one kind: its section tells which')
    return f"{asked[0]}.{kinds[0]}"


def install(context: Context, paths: Sequence[str], *, is_user: bool, replace: bool) -> list[str]:
    """Where the files are now; nothing is written when one is in the way."""
    found, application = collect(paths[0])
    for path in paths[1:]:
        more, inner = collect(path)
        if inner:
            raise InvalidInput(f'"{path}" is an application of its own: install it alone')
        found.update(more)
    if not any(is_quadlet(name) for name in found):
        raise InvalidInput(
            f'"{paths[0]}" is no file of Quadlet', f"its name must end with .{', .'.join(SECTIONS)}"
        )
    folder = folder_of(context, is_user=is_user)
    there = [name for name in found if os.path.lexists(f"{folder}/{name}")]
    if there and not replace:
        raise AlreadyExists(
            f'there is a "{folder}/{there[0]}"',
            "to have it replaced: rcrun quadlet install --replace …",
        )
    os.makedirs(folder, exist_ok=True)
    for name, data in found.items():
        write_file(f"{folder}/{name}", data)
    if application or len(found) > 1:
        name = application or next(name for name in found if is_quadlet(name))
        write_file(f"{folder}/.{name}.app", "".join(f"{each}\n" for each in found).encode())
    return [f"{folder}/{name}" for name in found]


# ---- what is there


def applications(folder: str) -> dict[str, list[str]]:
    """By name, the files of each."""
    found = {}
    for name in output.listed(folder):
        if name.startswith(".") and name.endswith(".app"):
            lines = read_bytes(f"{folder}/{name}").decode("utf-8", "replace").split("\n")
            found[name[1:-4]] = [line for line in lines if line and "/" not in line]
    return found


def rows(context: Context, *, is_user: bool) -> list[dict[str, str]]:
    folders = sources.directories(
        context.environ, output.home_of(context), os.geteuid(), is_user=is_user
    )
    found = sources.read(folders)
    owners = {
        name: application
        for folder in folders
        for application, files in applications(folder).items()
        for name in files
    }
    units = {name: (unit.path, unit) for name, unit in found.units.items()}
    units |= {name: (path, _unread(name, path)) for name, (path, _) in found.broken.items()}
    states = statuses(context, [unit_name(unit) for _, unit in units.values()], is_user=is_user)
    return [
        {
            "Name": name, "UnitName": unit_name(unit), "Path": path,
            "Status": states.get(unit_name(unit), "Not loaded"), "App": owners.get(name, ""),
            "Pod": unit.last("Container", "Pod") or "",
        }
        for name, (path, unit) in sorted(units.items())
    ]  # fmt: skip


def _unread(name: str, path: str) -> Unit:
    from rcrun.formats.unitfile import Unit

    return Unit(name, path, {})


def unit_name(unit: Unit) -> str:
    return f"{names.service_name(unit)}.service"


def statuses(context: Context, units: Sequence[str], *, is_user: bool) -> dict[str, str]:
    """active/running and their like, of those that systemd has loaded; nothing without systemd."""
    from rcrun.errors import HostLacks

    wanted = [name for name in units if not name.partition(".")[0].endswith("@")]
    if not wanted:
        return {}
    fields = "-pId,LoadState,ActiveState,SubState"
    try:
        text = output.systemctl(context, "show", fields, *wanted, is_user=is_user, check=False)
    except HostLacks:
        return {}
    found = {}
    for part in text.split("\n\n"):
        values = dict(line.split("=", 1) for line in part.split("\n") if "=" in line)
        if values.get("LoadState") == "loaded":
            found[values["Id"]] = f"{values['ActiveState']}/{values['SubState']}"
    return found


# ---- rm


def chosen(folder: str, typed: str, owners: Mapping[str, Sequence[str]]) -> tuple[list[str], str]:
    """The files that a name stands for, an application's name or a file's, and the application."""
    for application, files in owners.items():
        if typed == application or typed in files:
            return [name for name in files if os.path.lexists(f"{folder}/{name}")], application
    if "/" in typed or not is_quadlet(typed) or not os.path.lexists(f"{folder}/{typed}"):
        raise NotFound(
            f'there is no "{typed}" in "{folder}"', "rcrun quadlet list shows what there is"
        )
    return [typed], ""


def remove(context: Context, typed: str, *, is_user: bool, force: bool) -> list[str]:
    """The files that are gone; what runs is stopped first, or refused."""
    folder = folder_of(context, is_user=is_user)
    files, application = chosen(folder, typed, applications(folder))
    units = [
        unit_name(unit) for name, unit in sources.read([folder]).units.items() if name in files
    ]
    running = [
        name
        for name, state in statuses(context, units, is_user=is_user).items()
        if state.startswith(("active", "activating", "reloading"))
    ]
    if running and not force:
        raise WrongState(f'"{running[0]}" runs', f"stop it, or: rcrun quadlet rm --force {typed}")
    if running:
        output.systemctl(context, "stop", *running, is_user=is_user)
    for name in files:
        os.unlink(f"{folder}/{name}")
    if application:
        os.unlink(f"{folder}/.{application}.app")
    return files
