"""`--secret NAME[,type=…,target=…,uid=…,gid=…,mode=…]` of `run`, and the rule for the names of secrets."""

from __future__ import annotations

from rcrun.errors import InvalidInput

LONGEST_NAME = 253
LARGEST = 512_000  # bytes; docker and podman have the same
PLACE = "/run/secrets"
_KEYS = ("source", "type", "target", "uid", "gid", "mode")


class SecretRequest:
    """`kind` is mount or env; `uid` and `gid` are None where nothing was said; `target` is a path or a variable."""

    __slots__ = ("gid", "kind", "mode", "name", "target", "uid")

    def __init__(self, name: str, kind: str, target: str) -> None:
        self.name = name
        self.kind = kind
        self.target = target
        self.uid: int | None = None
        self.gid: int | None = None
        self.mode = 0o444


def check_name(name: str) -> str:
    """As podman has it; a name becomes a directory of the store."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidInput("invalid secret name: it is not UTF-8") from None
    if not 0 < length <= LONGEST_NAME:
        raise InvalidInput(
            f'invalid secret name "{name[:40]}": it has 1 to {LONGEST_NAME} characters'
        )
    if name in (".", "..") or any(char in name for char in ",=/\0"):
        raise InvalidInput(f'invalid secret name "{name}": it must not have a comma, "=" or "/"')
    return name


def parse(text: str) -> SecretRequest:
    fields = _fields(text)
    name, kind = fields.get("source", ""), fields.get("type", "mount")
    if not name:
        raise InvalidInput(
            f'invalid --secret "{text}": no secret is named', "write NAME[,type=env]"
        )
    if kind not in ("mount", "env"):
        raise InvalidInput(f'invalid --secret "{text}": type is mount or env, not "{kind}"')
    target = fields.get("target") or name
    request = SecretRequest(name, kind, target if kind == "env" else _path(target, text))
    if kind == "env":
        _check_variable(target, fields, text)
        return request
    request.uid = _number(fields, "uid", text)
    request.gid = _number(fields, "gid", text)
    if "mode" in fields:
        request.mode = _mode(fields["mode"], text)
    return request


def _fields(text: str) -> dict[str, str]:
    """The name comes first, or as source."""
    fields: dict[str, str] = {}
    for number, word in enumerate(text.split(",")):
        key, equals, value = word.partition("=")
        if not equals and number == 0:
            key, value = "source", word
        elif key not in _KEYS or not equals:
            raise InvalidInput(f'invalid --secret "{text}": unknown option "{word}"')
        fields[key] = value
    return fields


def _path(target: str, text: str) -> str:
    from rcrun.formats.volume import normal

    path = normal(target if target.startswith("/") else f"{PLACE}/{target}")
    if path == "/" or (not target.startswith("/") and not path.startswith(f"{PLACE}/")):
        raise InvalidInput(f'invalid --secret "{text}": "{target}" is no file to mount on')
    return path


def _check_variable(name: str, fields: dict[str, str], text: str) -> None:
    for key in ("uid", "gid", "mode"):
        if key in fields:
            raise InvalidInput(f'invalid --secret "{text}": {key} does not go with type=env')
    if "=" in name or "\0" in name:
        raise InvalidInput(f'invalid --secret "{text}": "{name}" is not the name of a variable')


def _number(fields: dict[str, str], key: str, text: str) -> int | None:
    value = fields.get(key)
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal()) or int(value) >= 2**32 - 1:
        raise InvalidInput(f'invalid --secret "{text}": {key} is a number')
    return int(value)


def _mode(value: str, text: str) -> int:
    if not value or value.strip("01234567") or int(value, 8) > 0o777:
        raise InvalidInput(f'invalid --secret "{text}": mode is an octal number up to 0777')
    return int(value, 8)
