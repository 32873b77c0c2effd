"""The records of a pax extended header (pax(1)) and what they change in a member."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.storage.tarheader import Member

    # Keyword to value; GNU.sparse 0.0 repeats keywords, whose values are joined by commas.
    Records = dict[str, bytes]

XATTR = "SCHILY.xattr."
LIBARCHIVE_XATTR = "LIBARCHIVE.xattr."
_REPEATED = {"GNU.sparse.offset", "GNU.sparse.numbytes"}
FURTHEST_SECOND = 1 << 40


def parse(data: bytes) -> Records:
    records: Records = {}
    pairs: list[bytes] = []
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        digits = data[at:space] if space > 0 else b""
        length = int(digits) if digits.isdigit() else 0
        end = at + length
        if end <= max(space, at) or end > len(data) or data[end - 1 : end] != b"\n":
            if not data[at:].strip(b"\0"):
                break
            raise _invalid("a record has no valid length")
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not equals or not key:
            raise _invalid('a record has no "="')
        word = key.decode("utf-8", "surrogateescape")
        if word in _REPEATED:
            pairs.append(value)
        elif value or word.startswith((XATTR, LIBARCHIVE_XATTR)):
            records[word] = value
        else:
            records.pop(word, None)  # an empty value takes back an earlier one
        at = end
    if pairs:
        records["GNU.sparse.map"] = b",".join(pairs)
    return records


def apply(member: Member, records: Records) -> None:
    for key, attribute in (("uid", "uid"), ("gid", "gid"), ("size", "size")):
        if key in records:
            setattr(member, attribute, decimal(records[key], key))
    if "mtime" in records:
        member.mtime = nanoseconds(records["mtime"])
    for key, value in records.items():
        if key.startswith(XATTR):
            _add_xattr(member, key[len(XATTR) :], value)
        elif key.startswith(LIBARCHIVE_XATTR):
            name, data = _libarchive(key[len(LIBARCHIVE_XATTR) :], value)
            if member.xattrs is None or name not in member.xattrs:
                _add_xattr(member, name, data)


def _add_xattr(member: Member, name: str, value: bytes) -> None:
    if not name or "\0" in name:
        raise _invalid("an extended attribute has no valid name")
    if member.xattrs is None:
        member.xattrs = {}
    member.xattrs[name] = value


def _libarchive(name: str, value: bytes) -> tuple[str, bytes]:
    """The name is percent-encoded, the value is base64 without padding."""
    import binascii
    from urllib.parse import unquote

    try:
        data = binascii.a2b_base64(value.rstrip(b"=") + b"=" * (-len(value.rstrip(b"=")) % 4))
    except binascii.Error as error:
        raise _invalid(f"an extended attribute is not base64: {error}") from error
    return unquote(name, errors="surrogateescape"), data


def decimal(value: bytes, what: str) -> int:
    if not value.isdigit() or len(value) > 20:
        raise _invalid(f'"{what}" is not a number')
    return int(value)


def nanoseconds(value: bytes) -> int:
    """`-1.25` is one and a quarter second before the epoch; digits beyond nine are dropped."""
    sign = -1 if value.startswith(b"-") else 1
    whole, _, fraction = value.lstrip(b"+-").partition(b".")
    if not (whole + fraction).isdigit() or len(whole) > 20:
        raise _invalid('"mtime" is not a number')
    seconds = clamped(int(whole or b"0"))
    return sign * (seconds * 1_000_000_000 + int(fraction[:9].ljust(9, b"0")))


def clamped(seconds: int) -> int:
    """What the kernel can take; file systems have limits of their own."""
    return max(-FURTHEST_SECOND, min(seconds, FURTHEST_SECOND))


def _invalid(fault: str) -> InvalidInput:
    return InvalidInput(f"the archive has an invalid pax header: {fault}")
