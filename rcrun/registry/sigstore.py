"""Signatures as cosign makes them: a payload, and the signature of its bytes by a key; hashes are SHA-256."""

from __future__ import annotations

import base64

from rcrun.errors import HostLacks, InvalidInput
from rcrun.registry.payload import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

PAYLOAD_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
ANNOTATION = "dev.cosignproject.cosign/signature"


class Sigstore:
    """One signature: where it comes from does not matter."""

    __slots__ = ("annotations", "media_type", "payload")

    def __init__(self, media_type: str, payload: bytes, annotations: dict[str, Any]) -> None:
        self.media_type = media_type
        self.payload = payload
        self.annotations = annotations


def attachment_tag(digest: str) -> str:
    """Where cosign puts the signatures of a manifest, in the same repository."""
    return f"{digest.replace(':', '-')}.sig"


def verify(signature: Sigstore, keys: Sequence[tuple[str, bytes]]) -> bytes:
    """The payload, if one of the keys signed it; else Refused. A key has a name for messages."""
    if signature.media_type != PAYLOAD_TYPE:
        raise Refused(f'a signature of type "{signature.media_type}" is not understood')
    text = signature.annotations.get(ANNOTATION)
    if not isinstance(text, str):
        raise Refused(f'the annotation "{ANNOTATION}" is missing')
    try:
        made = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Refused(f"the signature is not base64: {error}") from error
    loaded = [_load(name, data) for name, data in keys]  # all: a faulty one is told at once
    if not any(_made_by(key, made, signature.payload) for key in loaded):
        raise Refused("none of the keys made it")
    return signature.payload


def _load(name: str, data: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError as error:
        raise HostLacks(
            'a sigstore signature must be verified, and Python lacks "cryptography"',
            "run: rcrun doctor",
        ) from error
    try:
        return load_pem_public_key(data)
    except Exception as error:  # whatever the library thinks of it
        raise InvalidInput(f'"{name}" is no public key in PEM: {error}') from error


def _made_by(key: Any, made: bytes, payload: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(made, payload, ec.ECDSA(SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(made, payload, padding.PKCS1v15(), SHA256())
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(made, payload)
        else:
            return False
    except InvalidSignature:
        return False
    return True
