"""`--mount type=…,source=…,target=…`: docker's keys, and podman's beside them."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats import names, size, volume, volumeoptions
from rcrun.formats.volume import Mount

_TYPES = ("bind", "volume", "tmpfs", "image", "devpts", "ramfs", "glob", "artifact")
_BINDS = ("bind", "glob")
_ALIASES = {
    "src": "source",
    "dst": "target",
    "destination": "target",
    "dest": "target",
    "ro": "readonly",
    "image-subpath": "subpath",
    "volume-subpath": "subpath",
    "size": "tmpfs-size",
    "mode": "tmpfs-mode",
    "chown": "U",
    "nocopy": "volume-nocopy",
}
# Which mount types a key belongs to.
_KEYS = {
    "type": _TYPES,
    "source": ("bind", "volume", "image", "glob", "artifact"),
    "target": _TYPES,
    "readonly": _TYPES,
    "rw": _TYPES,
    "consistency": _TYPES,
    "bind-propagation": _BINDS,
    "bind-nonrecursive": _BINDS,
    "bind-recursive": _BINDS,
    "bind-create-src": ("bind",),
    "no-dereference": _BINDS,
    "idmap": ("bind", "volume"),
    "relabel": ("bind", "volume", "glob"),
    "z": ("bind", "volume", "glob"),
    "Z": ("bind", "volume", "glob"),
    "U": _TYPES,
    "subpath": ("volume", "image", "bind"),
    "title": ("artifact",),
    "digest": ("artifact",),
    "name": ("artifact",),
    "volume-nocopy": ("volume",),
    "volume-label": ("volume",),
    "volume-driver": ("volume",),
    "volume-opt": ("volume",),
    "tmpfs-size": ("tmpfs", "ramfs"),
    "tmpfs-mode": ("tmpfs", "ramfs", "devpts"),
    "uid": ("devpts",),
    "gid": ("devpts",),
    "max": ("devpts",),
    "tmpcopyup": ("tmpfs",),
    "notmpcopyup": ("tmpfs",),
    "noswap": ("tmpfs",),
    "noatime": _TYPES,
    "exec": _TYPES,
    "noexec": _TYPES,
    "dev": _TYPES,
    "nodev": _TYPES,
    "suid": _TYPES,
    "nosuid": _TYPES,
}
_REFUSED = {
    "npipe": ("it is for Windows containers", "leave it out"),
    "cluster": ("there is no swarm, and so no volume of one", "type=volume"),
}
_TRUE = ("", "true", "1")
_FALSE = ("false", "0")


def parse_mount(text: str, cwd: str = "/") -> Mount:
    fields, pairs = _fields(text)
    kind = fields.get("type", "volume")
    if kind in _REFUSED:
        reason, hint = _REFUSED[kind]
        raise InvalidInput(f'--mount "{text}": type "{kind}" is not supported: {reason}', hint)
    if kind not in _TYPES:
        raise InvalidInput(f'invalid --mount "{text}": unknown type "{kind}"')
    for key in fields:
        if kind not in _KEYS[key]:
            raise InvalidInput(f'invalid --mount "{text}": "{key}" does not go with type "{kind}"')
    if "target" not in fields and kind == "glob":
        fields["target"] = _folder_of(fields.get("source", ""), cwd)
    if "target" not in fields:
        raise InvalidInput(f'invalid --mount "{text}": target is missing')
    destination = volume.check_destination(fields["target"], f'--mount "{text}"')
    decided = _decided(fields, text)
    if kind == "tmpfs":
        return _tmpfs(destination, fields, decided, text)
    if kind in ("image", "artifact"):
        return _kept(kind, destination, fields, decided, text)
    if kind in ("devpts", "ramfs"):
        return _other(kind, destination, fields, decided, text)
    if kind in _BINDS:
        return _bind(destination, fields, decided, text, cwd)
    return _volume(destination, fields, decided, pairs, text)


def _fields(text: str) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The keys in their first spelling, and those that may come several times as maps by themselves."""
    fields: dict[str, str] = {}
    pairs: dict[str, dict[str, str]] = {"volume-label": {}, "volume-opt": {}}
    for word in split_csv(text):
        key, equals, value = word.partition("=")
        key = _ALIASES.get(key, key)
        if key not in _KEYS:  # docker reads them in any case
            key = _ALIASES.get(key.lower(), key.lower())
        if key not in _KEYS and fields.get("type") not in _REFUSED:
            raise InvalidInput(f'invalid --mount "{text}": unknown key "{key}"')
        if not equals and key in ("type", "source", "target"):
            raise InvalidInput(f'invalid --mount "{text}": "{key}" needs a value')
        if key in pairs:
            name, _, content = value.partition("=")
            pairs[key][name] = content
        fields[key] = value
    return fields, pairs


def split_csv(text: str) -> list[str]:
    import _csv

    try:
        return next(iter(_csv.reader([text], strict=True)), [])
    except _csv.Error as error:
        raise InvalidInput(f'invalid --mount "{text}": {error}') from error


def _flag(fields: dict[str, str], key: str, text: str) -> bool:
    value = fields.get(key, "false").lower()
    if value not in _TRUE + _FALSE:
        raise InvalidInput(f'invalid --mount "{text}": "{key}" is true or false, not "{value}"')
    return value in _TRUE


def _decided(fields: dict[str, str], text: str) -> dict[str, str]:
    decided: dict[str, str] = {}
    if _flag(fields, "readonly", text) or ("rw" in fields and not _flag(fields, "rw", text)):
        decided["access"] = "ro"
    for name in ("exec", "dev", "suid"):
        for word in (name, f"no{name}"):
            if _flag(fields, word, text):
                decided[name] = word
    if _flag(fields, "noatime", text):
        decided["atime"] = "noatime"
    if _flag(fields, "U", text):
        decided["chown"] = "U"
    if "idmap" in fields:
        decided["idmap"] = f"idmap={fields['idmap']}" if fields["idmap"] else "idmap"
    relabel = fields.get("relabel", "")
    if relabel not in ("", "shared", "private"):
        raise InvalidInput(f'invalid --mount "{text}": relabel is shared or private')
    if relabel:
        decided["relabel"] = "z" if relabel == "shared" else "Z"
    for word in ("z", "Z"):
        if _flag(fields, word, text):
            decided["relabel"] = word
    return decided


def _bind(
    destination: str, fields: dict[str, str], decided: dict[str, str], text: str, cwd: str
) -> Mount:
    source = fields.get("source", "")
    if not source:
        raise InvalidInput(f'invalid --mount "{text}": source is missing')
    propagation = fields.get("bind-propagation", "")
    if propagation:
        if propagation not in volume.PROPAGATIONS:
            raise InvalidInput(
                f'invalid --mount "{text}": unknown bind-propagation "{propagation}"'
            )
        decided["propagation"] = propagation
    if _flag(fields, "no-dereference", text):
        decided["links"] = "copy-symlink"
    return Mount(
        fields["type"],
        volume.absolute(source, cwd),
        destination,
        {**decided, **_recursion(fields, decided, text)},
        create_source=_flag(fields, "bind-create-src", text),
        subpath=_part_of_bind(fields, text),
    )


def _part_of_bind(fields: dict[str, str], text: str) -> str:
    """It is put in place as a copy of the mounts there, which the host hears nothing of."""
    subpath = _subpath(fields, text)
    others = ("idmap", "no-dereference", "bind-nonrecursive")
    other = next((key for key in others if key in fields), "") if subpath else ""
    if subpath and fields.get("bind-recursive") == "disabled":
        other = "bind-recursive=disabled"
    if subpath and fields.get("bind-propagation", "").endswith("shared"):
        other = "bind-propagation=" + fields["bind-propagation"]
    if other:
        raise InvalidInput(f'invalid --mount "{text}": "{other}" does not go with a subpath')
    return subpath


def _recursion(fields: dict[str, str], decided: dict[str, str], text: str) -> dict[str, str]:
    """docker's bind-recursive: whether mounts below come along, and whether read-only reaches them."""
    word = fields.get("bind-recursive", "enabled")
    if word not in ("enabled", "disabled", "writable", "readonly"):
        raise InvalidInput(
            f'invalid --mount "{text}": bind-recursive is enabled, disabled, writable or readonly'
        )
    if word in ("writable", "readonly"):
        if decided.get("access") != "ro":
            raise InvalidInput(f'invalid --mount "{text}": bind-recursive={word} needs readonly')
        return {"read_only": word}
    bind = word == "disabled" or _flag(fields, "bind-nonrecursive", text)
    return {"recursion": "bind"} if bind else {}


def _volume(
    destination: str,
    fields: dict[str, str],
    decided: dict[str, str],
    pairs: dict[str, dict[str, str]],
    text: str,
) -> Mount:
    name = fields.get("source", "")
    if name and not names.is_valid(name):
        raise InvalidInput(
            f'invalid --mount "{text}": "{name}" is not a volume name',
            "for a directory of the host write type=bind",
        )
    volumeoptions.check_driver(fields.get("volume-driver", ""))
    volumeoptions.parse(pairs["volume-opt"])
    subpath = _subpath(fields, text)
    if subpath and "idmap" in fields:
        raise InvalidInput(f'invalid --mount "{text}": "idmap" does not go with a subpath')
    if _flag(fields, "volume-nocopy", text):
        decided["copy"] = "nocopy"
    return Mount(
        "volume",
        name,
        destination,
        decided,
        labels=pairs["volume-label"],
        driver_options=pairs["volume-opt"],
        subpath=subpath,
    )


def _subpath(fields: dict[str, str], text: str) -> str:
    subpath = fields.get("subpath", "")
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise InvalidInput(f'invalid --mount "{text}": the subpath must stay inside of the volume')
    return volume.normal(subpath).strip("/")


def _folder_of(pattern: str, cwd: str) -> str:
    """Where the matches are seen if nothing else is said: where they are."""
    return volume.absolute(pattern, cwd).rpartition("/")[0] or "/"


def _kept(
    kind: str, destination: str, fields: dict[str, str], decided: dict[str, str], text: str
) -> Mount:
    """The files of an image, or of an artifact, of which `data` are the title, the digest and the name."""
    if not fields.get("source"):
        raise InvalidInput(f'invalid --mount "{text}": source is missing')
    if "rw" in fields and _flag(fields, "rw", text):
        raise InvalidInput(
            f'--mount "{text}": an {kind} is mounted read-only',
            "make a container of it, and share its files with --volumes-from"
            if kind == "image"
            else "bind what this writes: rcrun artifact extract NAME DIR",
        )
    decided["access"] = "ro"
    if kind == "image":
        subpath = _subpath(fields, text)
        return Mount(kind, fields["source"], destination, decided, subpath=subpath)
    if fields.get("title") and fields.get("digest"):
        raise InvalidInput(f'invalid --mount "{text}": title and digest exclude each other')
    if "/" in fields.get("name", "") or fields.get("name") in (".", ".."):
        raise InvalidInput(f'invalid --mount "{text}": the name is that of a file')
    data = [fields.get(key, "") for key in ("title", "digest", "name")]
    return Mount(kind, fields["source"], destination, decided, data=data)


def _other(
    kind: str, destination: str, fields: dict[str, str], decided: dict[str, str], text: str
) -> Mount:
    """Terminals, or memory without a limit."""
    data = [decided[key] for key in ("access", "exec", "dev", "suid", "atime") if key in decided]
    if kind == "devpts":
        data += ["nosuid", "noexec", "newinstance", "ptmxmode=0666"]
    for key in ("uid", "gid", "max"):
        if key in fields:
            data.append(f"{key}={_number(fields[key], key, text)}")
    if "tmpfs-mode" in fields:
        data.append(f"mode={_mode(fields['tmpfs-mode'], text)}")
    return Mount(kind, "", destination, decided, data=data)


def _number(value: str, key: str, text: str) -> str:
    if not (value.isascii() and value.isdigit()):
        raise InvalidInput(f'invalid --mount "{text}": "{key}" is a number')
    return value


def _mode(mode: str, text: str) -> str:
    if not mode or mode.strip("01234567"):
        raise InvalidInput(f'invalid --mount "{text}": the mode is an octal number')
    return mode


def _tmpfs(destination: str, fields: dict[str, str], decided: dict[str, str], text: str) -> Mount:
    data = [decided[key] for key in ("access", "exec", "dev", "suid", "atime") if key in decided]
    if "tmpfs-size" in fields:
        data.append(f"size={size.parse(fields['tmpfs-size'])}")
    if "tmpfs-mode" in fields:
        data.append(f"mode={_mode(fields['tmpfs-mode'], text)}")
    data += [word for word in ("noswap", "tmpcopyup", "notmpcopyup") if _flag(fields, word, text)]
    return volume.tmpfs(destination, data)
