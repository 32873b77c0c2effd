"""passwd(5) and group(5) texts, and who a container's process runs as (`-u`, USER of the image)."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LARGEST_ID = 2**31 - 1


class User:
    """Resolved: ids, supplementary groups, home; `name` is empty for an id without an entry."""

    __slots__ = ("gid", "groups", "home", "name", "uid")

    def __init__(self, uid: int, gid: int, groups: list[int], home: str, name: str = "") -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.home = home
        self.name = name


def lookup(text: str, passwd: str, group: str, group_add: Sequence[str] = ()) -> User:
    """`user[:group]`, by name or number; a number needs no entry, as docker has it.

    The own group is one of the groups, too: else a process could give it up, and with it what is denied to it.
    """
    user_word, _, group_word = text.partition(":")
    user = _user(user_word or "0", passwd)
    groups: list[int] = []
    if group_word:
        user.gid = _gid(group_word, group)
    elif user.name:
        groups += [gid for _, gid, members in _groups(group) if user.name in members]
    groups = [user.gid, *groups, *[_gid(word, group) for word in group_add]]
    user.groups = [gid for at, gid in enumerate(groups) if gid not in groups[:at]]
    return user


def _user(word: str, passwd: str) -> User:
    for fields in entries(passwd, 7):
        uid, gid = _entry_id(fields[2]), _entry_id(fields[3])
        if uid is not None and word in (fields[0], str(uid)):
            return User(uid, gid or 0, [], fields[5] or "/", fields[0])
    uid = _number(word)
    if uid is None:
        raise InvalidInput(
            f'unable to find user "{word}": no matching entry in /etc/passwd of the image',
            "give a number, which needs no entry: --user 1000",
        )
    return User(_in_range(uid, word), 0, [], "/")


def _gid(word: str, group: str) -> int:
    for name, gid, _ in _groups(group):
        if word in (name, str(gid)):
            return gid
    number = _number(word)
    if number is None:
        raise InvalidInput(
            f'unable to find group "{word}": no matching entry in /etc/group of the image',
            "give a number, which needs no entry: --user 1000:1000",
        )
    return _in_range(number, word)


def _in_range(number: int, word: str) -> int:
    if number > _LARGEST_ID:
        raise InvalidInput(f'invalid id "{word}": ids are 0 to {_LARGEST_ID}')
    return number


def _groups(text: str) -> Iterator[tuple[str, int, list[str]]]:
    for fields in entries(text, 4):
        gid = _entry_id(fields[2])
        if gid is not None:
            yield fields[0], gid, [member for member in fields[3].split(",") if member]


def entries(text: str, count: int) -> Iterator[list[str]]:
    """The fields of each line; short lines are filled up, since images have them."""
    for line in text.split("\n"):
        fields = line.strip().split(":")
        if len(fields) >= 3 and not line.startswith("#"):
            yield fields + [""] * (count - len(fields))


def _number(text: str) -> int | None:
    """An image may say anything here: what no kernel has is no number."""
    if len(text) > 20 or not (text.isascii() and text.isdigit()):
        return None
    return int(text)


def _entry_id(text: str) -> int | None:
    """4294967296 would be root's once the kernel has cut it, and 4294967295 means "leave it as it is"."""
    number = _number(text)
    return number if number is not None and number <= _LARGEST_ID else None
