"""Lines for a container's /etc/passwd and /etc/group: `--hostuser`, `--passwd-entry`, `--group-entry`, keep-id."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.facts import Facts
    from rcrun.engine.options import Options
    from rcrun.formats.passwd import User


def accounts_of(options: Options, facts: Facts, user: User) -> dict[str, str]:
    """Lines to be added, by file."""
    passwd = _host_lines(options)
    group: list[str] = []
    keeps = str(options.get("userns") or "").partition(":")[0] == "keep-id"
    wants = keeps and options.get("passwd", True)
    if options.get("passwd_entry"):
        passwd.append(_filled(str(options["passwd_entry"]), facts, user))
    elif wants and not _has(facts.passwd, 2, user.uid):
        passwd.append(_filled("$USERNAME:x:$UID:$GID:$NAME:$HOME:/bin/sh", facts, user))
    if options.get("group_entry"):
        group.append(_filled(str(options["group_entry"]), facts, user))
    elif wants and not _has(facts.group, 2, user.gid):
        group.append(_filled("$GROUPNAME:x:$GID:", facts, user))
    texts = (("passwd", facts.passwd, passwd), ("group", facts.group, group))
    return {name: _appended(text, lines) for name, text, lines in texts if lines}


def with_added(options: Options, passwd: str, group: str) -> tuple[str, str]:
    """Both files as far as they are known before it is: who the container's user may be."""
    users, groups = (options.get(key) for key in ("passwd_entry", "group_entry"))
    lines = [*_host_lines(options), *([str(users)] if users else [])]
    return _appended(passwd, lines), _appended(group, [str(groups)] if groups else [])


def kept_home(options: Options, facts: Facts, work_dir: str) -> str:
    """As podman: the home that the caller has on the host if it is mounted, else the working directory."""
    import pwd

    try:
        home = pwd.getpwuid(facts.identity.uid).pw_dir
    except KeyError:
        return work_dir
    return home if home in _destinations(options) else work_dir


def _destinations(options: Options) -> list[str]:
    """Where --volume and --mount lead, as they were written."""
    volumes = [text.split(":") for text in options.get("volume") or ()]
    found = [words[min(1, len(words) - 1)] for words in volumes]
    words = [word for text in options.get("mount") or () for word in text.split(",")]
    keys = ("dst", "destination", "target")
    return [*found, *[word.partition("=")[2] for word in words if word.partition("=")[0] in keys]]


def _appended(text: str, lines: list[str]) -> str:
    whole = text if text.endswith("\n") or not text else f"{text}\n"
    return whole + "".join([f"{line}\n" for line in lines])


def _has(text: str, field: int, number: int) -> bool:
    rows = [line.split(":") for line in text.splitlines()]
    return any(len(row) > field and row[field] == str(number) for row in rows)


def _host_lines(options: Options) -> list[str]:
    texts = options.get("hostuser") or ()
    return [_host_line(name) for text in texts for name in text.split(",") if name]


def _host_line(name: str) -> str:
    import pwd

    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError:
        raise InvalidInput(f'invalid --hostuser "{name}": the host has no such user') from None
    words = (entry.pw_name, "x", entry.pw_uid, entry.pw_gid, entry.pw_gecos, entry.pw_dir)
    return ":".join([str(word) for word in (*words, entry.pw_shell)])


def _filled(text: str, facts: Facts, user: User) -> str:
    """podman's words in a line for /etc/passwd or /etc/group."""
    import re

    name, gecos, group = _caller_names(facts)
    known = {
        "USERNAME": name, "UID": str(user.uid), "GID": str(user.gid), "NAME": gecos or name,
        "HOME": user.home, "GROUPNAME": group, "USERLIST": "",
    }  # fmt: skip
    line = re.sub(r"\$(\w+)", lambda match: known.get(match[1], match[0]), text.rstrip("\n"))
    if "\n" in line or "\0" in line:
        raise InvalidInput(f'invalid line "{text}" for /etc/passwd or /etc/group')
    return line


def _caller_names(facts: Facts) -> tuple[str, str, str]:
    import grp
    import pwd

    uid, gid = facts.identity.uid, facts.identity.gid
    try:
        entry = pwd.getpwuid(uid)
        name, gecos = entry.pw_name, entry.pw_gecos.partition(",")[0]
    except KeyError:
        name, gecos = str(uid), ""
    try:
        group = grp.getgrgid(gid).gr_name
    except KeyError:
        group = name
    return name, gecos, group
