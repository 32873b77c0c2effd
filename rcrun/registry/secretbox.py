"""NaCl's secretbox, opened: XSalsa20 and Poly1305, in which cosign and skopeo keep a private key.

Python's libraries have Poly1305, but not this cipher; a key has some hundred bytes, so that plain Python serves. Only whoever has
the key file runs it, on his own host: nobody is there who could measure how long it takes.
"""

from __future__ import annotations

import struct

from rcrun.errors import HostLacks, InvalidInput

KEY, NONCE, TAG = 32, 24, 16
_MASK = 0xFFFFFFFF
_CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")
# Columns and rows of Salsa20's square: the four words of each quarter round.
_QUARTERS = (
    (0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11),
    (0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14),
)  # fmt: skip


def opened(key: bytes, nonce: bytes, box: bytes) -> bytes:
    """What is in the box; InvalidInput when the key is another one, or the box damaged."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.poly1305 import Poly1305
    except ImportError as error:
        raise HostLacks(
            'an encrypted key must be read, and Python lacks "cryptography"',
            "run: rcrun doctor",
        ) from error
    if len(key) != KEY or len(nonce) != NONCE or len(box) < TAG:
        raise InvalidInput("it is no secretbox: its parts have the wrong lengths")
    tag, text = box[:TAG], box[TAG:]
    stream = _xsalsa20(key, nonce, KEY + len(text))
    try:
        Poly1305.verify_tag(stream[:KEY], text, tag)
    except InvalidSignature as error:
        raise InvalidInput("it does not open with this passphrase") from error
    return bytes(one ^ two for one, two in zip(text, stream[KEY:], strict=True))


def _xsalsa20(key: bytes, nonce: bytes, length: int) -> bytes:
    """The stream of the key and the nonce of 24 bytes, whose first 16 make a key of their own."""
    words = _rounds(_square(key, nonce[:16]))
    own = struct.pack("<8I", *(words[at] for at in (0, 5, 10, 15, 6, 7, 8, 9)))
    stream = b""
    for number in range((length + 63) // 64):
        square = _square(own, nonce[16:] + struct.pack("<Q", number))
        mixed = _rounds(square)
        sums = ((one + two) & _MASK for one, two in zip(square, mixed, strict=True))
        stream += struct.pack("<16I", *sums)
    return stream[:length]


def _square(key: bytes, block: bytes) -> list[int]:
    """The key around a nonce and a counter, with the constants on the diagonal."""
    one, two = struct.unpack("<4I", key[:16]), struct.unpack("<4I", key[16:])
    middle = struct.unpack("<4I", block)
    return [
        _CONSTANTS[0], *one, _CONSTANTS[1], *middle, _CONSTANTS[2], *two, _CONSTANTS[3],
    ]  # fmt: skip


def _rounds(square: list[int]) -> list[int]:
    """Twenty rounds."""
    words = list(square)
    for _ in range(10):
        for a, b, c, d in _QUARTERS:
            words[b] ^= _turned(words[a] + words[d], 7)
            words[c] ^= _turned(words[b] + words[a], 9)
            words[d] ^= _turned(words[c] + words[b], 13)
            words[a] ^= _turned(words[d] + words[c], 18)
    return words


def _turned(word: int, bits: int) -> int:
    word &= _MASK
    return (word << bits | word >> (32 - bits)) & _MASK
