"""Private keys that sign as cosign does: its own encrypted form (cosign, skopeo generate-sigstore-key), or PKCS #8 in PEM."""

from __future__ import annotations

import base64
import hashlib

from rcrun.errors import HostLacks, InvalidInput
from rcrun.registry.sigstore import ANNOTATION, PAYLOAD_TYPE, Sigstore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAMES = (b"ENCRYPTED SIGSTORE PRIVATE KEY", b"ENCRYPTED COSIGN PRIVATE KEY")
MOST_MEMORY = 1 << 30  # that the derivation of a key may ask for


class PrivateKey:
    """`path` names it in messages."""

    def __init__(self, path: str, data: bytes, passphrase: bytes) -> None:
        self.path = path
        self._key = _load(path, data, passphrase)

    def public(self) -> bytes:
        """In PEM, as policy.json takes it."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        made: bytes = self._key.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        return made

    def sign(self, payload: bytes) -> Sigstore:
        text = base64.b64encode(self._signature(payload)).decode()
        return Sigstore(PAYLOAD_TYPE, payload, {ANNOTATION: text})

    def _signature(self, payload: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
        from cryptography.hazmat.primitives.hashes import SHA256

        key = self._key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key.sign(payload, ec.ECDSA(SHA256()))
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(payload, padding.PKCS1v15(), SHA256())
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key.sign(payload)
        raise InvalidInput(
            f'"{self.path}" is a key of a kind that signs no images', "ECDSA, RSA or Ed25519"
        )


def _load(path: str, data: bytes, passphrase: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise HostLacks(
            'an image must be signed, and Python lacks "cryptography"', "run: rcrun doctor"
        ) from error
    inner = _cosigns(path, data, passphrase)
    try:
        if inner is not None:
            return serialization.load_der_private_key(inner, None)
        is_encrypted = b"ENCRYPTED" in data
        return serialization.load_pem_private_key(data, passphrase if is_encrypted else None)
    except Exception as error:  # whatever the library thinks of it
        raise InvalidInput(f'cannot read the private key "{path}": {error}') from error


def _cosigns(path: str, data: bytes, passphrase: bytes) -> bytes | None:
    """What cosign's form holds; None for another one."""
    from rcrun.files import parse_json

    for name in _NAMES:
        body = data.partition(b"-----BEGIN %s-----" % name)[2].partition(b"-----END")[0]
        if body:
            break
    else:
        return None
    try:
        return _decrypted(parse_json(base64.b64decode(body)), passphrase)
    except InvalidInput as error:
        raise InvalidInput(f'cannot read the private key "{path}": {error.message}') from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise InvalidInput(f'the private key "{path}" is damaged: {error}') from error


def _decrypted(document: Any, passphrase: bytes) -> bytes:
    from rcrun.registry import secretbox

    kdf, cipher = document["kdf"], document["cipher"]
    if (kdf["name"], cipher["name"]) != ("scrypt", "nacl/secretbox"):
        raise InvalidInput(f'"{kdf["name"]}" with "{cipher["name"]}" is not understood')
    cost, block, parallel = (int(kdf["params"][name]) for name in ("N", "r", "p"))
    if not 0 < 128 * cost * block * parallel < MOST_MEMORY:
        raise InvalidInput("to decrypt it takes more memory than a key may ask for")
    key = hashlib.scrypt(
        passphrase,
        salt=base64.b64decode(kdf["salt"]),
        n=cost,
        r=block,
        p=parallel,
        maxmem=MOST_MEMORY + (1 << 20),
        dklen=secretbox.KEY,
    )
    nonce, box = base64.b64decode(cipher["nonce"]), base64.b64decode(document["ciphertext"])
    return secretbox.opened(key, nonce, box)
