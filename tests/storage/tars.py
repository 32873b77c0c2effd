"""Tar archives byte by byte: what tar(1) writes, and what only an attacker would."""

from __future__ import annotations

BLOCK = 512


def header(
    name: bytes | str,
    kind: bytes = b"0",
    *,
    size: int | bytes = 0,
    mode: int = 0o644,
    uid: int | bytes = 0,
    gid: int | bytes = 0,
    mtime: int | bytes = 0,
    link: bytes | str = b"",
    major: int = 0,
    minor: int = 0,
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    rest: dict[int, bytes] | None = None,
) -> bytes:
    """One header block; bytes stand for a number field as they are."""
    block = bytearray(BLOCK)

    def put(at: int, length: int, value: int | bytes | str) -> None:
        if isinstance(value, int):
            value = b"%0*o\0" % (length - 1, value)
        data = value.encode() if isinstance(value, str) else value
        assert len(data) <= length, data
        block[at : at + len(data)] = data

    put(0, 100, name)
    put(100, 8, mode)
    put(108, 8, uid)
    put(116, 8, gid)
    put(124, 12, size)
    put(136, 12, mtime)
    put(156, 1, kind)
    put(157, 100, link)
    put(257, 8, magic)
    put(329, 8, major)
    put(337, 8, minor)
    put(345, 155, prefix)
    for at, data in (rest or {}).items():
        block[at : at + len(data)] = data
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def file(name: bytes | str, data: bytes = b"", **fields: object) -> bytes:
    return header(name, size=len(data), **fields) + padded(data)  # type: ignore[arg-type]


def directory(name: bytes | str, **fields: object) -> bytes:
    return header(name, b"5", **{"mode": 0o755, **fields})  # type: ignore[arg-type]


def symlink(name: bytes | str, link: bytes | str, **fields: object) -> bytes:
    return header(name, b"2", link=link, **fields)  # type: ignore[arg-type]


def hard_link(name: bytes | str, link: bytes | str, **fields: object) -> bytes:
    return header(name, b"1", link=link, **fields)  # type: ignore[arg-type]


def record(key: str, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    body = b" %s=%s\n" % (key.encode(), data)
    length = len(body)
    while len(b"%d" % length) + len(body) != length:
        length = len(b"%d" % length) + len(body)
    return b"%d" % length + body


def pax(*records: tuple[str, bytes | str], kind: bytes = b"x") -> bytes:
    return raw_pax(b"".join(record(key, value) for key, value in records), kind)


def raw_pax(data: bytes, kind: bytes = b"x") -> bytes:
    return header("PaxHeaders/x", kind, size=len(data)) + padded(data)


def gnu_long(kind: bytes, text: bytes) -> bytes:
    data = text + b"\0"
    return header("././@LongLink", kind, size=len(data), magic=b"ustar  \0") + padded(data)


def archive(*members: bytes) -> bytes:
    return b"".join(members) + bytes(2 * BLOCK)


# Archive, and a part of the refusal. Every refusal names the member.
HOSTILE: dict[str, tuple[bytes, str]] = {
    "dot-dot": (archive(file("../evil", b"x")), r'"\.\./evil" has a "\.\."'),
    "dot-dot-inside": (archive(file("a/../../evil")), r'"a/\.\./\.\./evil" has a "\.\."'),
    "dot-dot-alone": (archive(directory("..")), r'"\.\." has a "\.\."'),
    "dot-dot-by-pax": (archive(pax(("path", "x/../../evil")), file("a")), r'has a "\.\."'),
    "hard-link-out": (
        archive(hard_link("a", "../../etc/passwd")),
        r'"a" has a "\.\." in the path "\.\./\.\./etc/passwd"',
    ),
    "hard-link-to-nothing": (
        archive(hard_link("a", "/etc/passwd")),
        '"a" is a hard link to "/etc/passwd", which is not in this layer',
    ),
    "hard-link-to-a-directory": (
        archive(directory("d"), hard_link("a", "d")),
        '"a" is a hard link to a directory',
    ),
    "nul-in-a-name": (
        archive(pax(("path", b"a\0b")), file("a")),
        "has a NUL character in its name",
    ),
    "parent-is-a-file": (
        archive(file("a", b"x"), file("a/b")),
        'cannot unpack "a/b": "a" is not a directory',
    ),
    "parent-is-a-dangling-link": (
        archive(symlink("a", "nowhere"), file("a/b")),
        'cannot unpack "a/b": "a" is not a directory',
    ),
    "parent-is-a-loop": (archive(symlink("a", "a"), file("a/b")), 'cannot unpack "a/b": too many'),
    "root-replaced": (archive(symlink(".", "/etc")), r'"\." would replace the root directory'),
    "root-by-slashes": (archive(symlink("//", "/etc")), '"//" would replace the root directory'),
    "long-component": (
        archive(pax(("path", "n" * 300)), file("a")),
        'cannot unpack "n{300}": file name too long',
    ),
    "whiteout-of-dot-dot": (archive(file(".wh...")), r'"\.wh\.\.\." is a whiteout of nothing'),
    "whiteout-of-nothing": (archive(file(".wh.")), r'"\.wh\." is a whiteout of nothing'),
    "absurd-size": (
        archive(header("a", size=b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7)),
        '"a" claims to have 9223372036854775807 bytes',
    ),
    "negative-size": (archive(header("a", size=b"\xff" * 12)), '"a" has a negative size'),
    "negative-octal": (archive(header("a", size=b"-0000000001")), '"a" has a negative size'),
    "no-number": (archive(header("a", size=b"hello world")), '"a" has a size that is not a number'),
    "absurd-owner": (
        archive(header("a", uid=b"\x80\0\0\1\xff\xff\xff\xff")),
        '"a" claims to belong to',
    ),
    "absurd-device": (
        archive(header("a", b"3", major=b"\x80\0\0\1\0\0\0\0")),  # type: ignore[arg-type]
        '"a" claims to be device',
    ),
    "unknown-type": (archive(header("a", b"Z")), "\"a\" has the type b'Z', which is unknown"),
    "multi-volume": (archive(header("a", b"M")), "\"a\" has the type b'M'"),
    "large-pax": (archive(header("p", b"x", size=2 << 20)), "extended header of 2097152 bytes"),
    "many-pax": (archive(*[pax(("a", "b"))] * 20, file("a")), "too many extended headers"),
    "pax-length": (archive(raw_pax(b"99 path=a\n"), file("a")), "a record has no valid length"),
    "pax-length-zero": (archive(raw_pax(b"0 path=a\n"), file("a")), "a record has no valid length"),
    "pax-rest": (
        archive(raw_pax(record("path", "a") + b"rest"), file("a")),
        "a record has no valid length",
    ),
    "pax-without-value": (archive(raw_pax(b"7 path\n"), file("a")), 'a record has no "="'),
    "pax-size": (archive(pax(("size", "-1")), file("a")), '"size" is not a number'),
    "pax-time": (archive(pax(("mtime", "now")), file("a")), '"mtime" is not a number'),
    "pax-alone": (raw_pax(record("path", "a")), "ends after an extended header"),
    "sparse-overlap": (
        archive(pax(("GNU.sparse.map", "0,2,1,2"), ("GNU.sparse.size", "10")), file("a", b"1234")),
        '"a" has an invalid map of a sparse file',
    ),
    "sparse-beyond-the-end": (
        archive(pax(("GNU.sparse.map", "8,4"), ("GNU.sparse.size", "10")), file("a", b"1234")),
        '"a" has an invalid map of a sparse file',
    ),
    "sparse-more-than-stored": (
        archive(pax(("GNU.sparse.map", "0,9"), ("GNU.sparse.size", "10")), file("a", b"1234")),
        '"a" has an invalid map of a sparse file',
    ),
    "sparse-huge": (
        archive(
            pax(
                ("GNU.sparse.map", ""), ("GNU.sparse.map", "0,0"), ("GNU.sparse.size", str(1 << 60))
            ),
            file("a"),
        ),
        '"a" claims to have 1152921504606846976 bytes',
    ),
    "sparse-odd": (
        archive(pax(("GNU.sparse.map", "0,1,2"), ("GNU.sparse.size", "10")), file("a", b"1")),
        '"a" has an invalid map of a sparse file',
    ),
    "sparse-1.0-count": (
        archive(
            pax(
                ("GNU.sparse.major", "1"),
                ("GNU.sparse.minor", "0"),
                ("GNU.sparse.name", "s"),
                ("GNU.sparse.realsize", "9"),
            ),
            file("a", b"99999999999\n"),
        ),
        '"s" has an invalid map of a sparse file',
    ),
    "cut-in-a-file": (header("a", size=5000) + b"x" * 512, 'ends in the middle of "a"'),
    "cut-in-a-header": (file("a") + b"x" * 100, 'ends in the middle of "a"'),
    "garbage": (b"this is no tar" * 100, "not a tar archive"),
    "garbage-later": (file("a") + b"y" * 1024, 'damaged after "a"'),
}
