"""Images signed as they go into a registry: by a key of GnuPG, or as cosign does it, by a private key.

The signatures are there before the name is, so that nobody who insists on them sees the image without. One by the same key of the same
thing is not made again.
"""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rcrun.engine.context import Context
    from rcrun.formats.image import Descriptor
    from rcrun.formats.reference import Reference
    from rcrun.registry.client import Client
    from rcrun.registry.sigstore import Sigstore
    from rcrun.registry.sigstorekey import PrivateKey
    from rcrun.registry.upload import Uploader

CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Signing:
    """What was asked for: a key of GnuPG, by its fingerprint, a private key, or both; `identity` names the image otherwise."""

    __slots__ = ("gpg_key", "identity", "passphrase", "private")

    def __init__(
        self,
        gpg_key: str = "",
        private: PrivateKey | None = None,
        passphrase: bytes | None = None,
        identity: str = "",
    ) -> None:
        self.gpg_key = gpg_key
        self.private = private
        self.passphrase = passphrase
        self.identity = identity


class Signer:
    """For one push; what cannot be signed with is told before anything goes out."""

    def __init__(self, context: Context, reference: Reference, signing: Signing) -> None:
        self._context = context
        self._store = context.store
        self._environ = context.environ
        self._signing = signing
        self._name = signing.identity or str(reference)
        self._public = b""
        if signing.gpg_key:
            from rcrun.registry.gpgsign import public_key

            self._public = public_key(signing.gpg_key, context.environ)

    def sign(self, uploader: Uploader, descriptors: Iterable[Descriptor]) -> None:
        """Manifests and indexes, each."""
        for each in descriptors:
            if self._signing.gpg_key:
                self._sign_simply(uploader.client, each["digest"])
            if self._signing.private is not None:
                self._attach(uploader, self._signing.private, each["digest"])

    def _payload(self, kind: str, digest: str) -> bytes:
        import time

        from rcrun.registry.payload import written
        from rcrun.version import VERSION

        return written(kind, digest, self._name, f"rcrun {VERSION}", int(time.time()))

    def _says_it(self, content: bytes, kind: str, digest: str) -> bool:
        from rcrun.registry.payload import read

        claim = read(content, kind)
        return (claim.digest, claim.reference) == (digest, self._name)

    # ---- messages of OpenPGP

    def _sign_simply(self, client: Client, digest: str) -> None:
        from rcrun.registry import extension
        from rcrun.registry.gpgsign import signed
        from rcrun.registry.lookaside import Lookaside
        from rcrun.registry.payload import SIMPLE

        beside = Lookaside(self._environ)
        is_within = extension.is_there(client)
        known = (
            extension.signatures(client, digest)
            if is_within
            else beside.staged(client.reference, digest)
        )
        if any(self._is_mine(message, digest) for message in known):
            return
        text = self._payload(SIMPLE, digest)
        message = signed(text, self._signing.gpg_key, self._environ, self._signing.passphrase)
        if is_within:
            extension.put(client, digest, message)
        else:
            beside.add(client.reference, digest, message)

    def _is_mine(self, message: bytes, digest: str) -> bool:
        from rcrun.registry.gpg import signed_content
        from rcrun.registry.payload import SIMPLE, Refused

        try:
            content = signed_content(message, [self._public], self._environ)
            return self._says_it(content, SIMPLE, digest)
        except Refused:
            return False

    # ---- attachments

    def _attach(self, uploader: Uploader, key: PrivateKey, digest: str) -> None:
        """Another layer of the manifest that cosign keeps them in, and its configuration counts them."""
        from rcrun.errors import NotFound
        from rcrun.registry.payload import COSIGN
        from rcrun.registry.sigstore import attachment_tag

        tag = attachment_tag(digest)
        try:
            layers = list(uploader.client.manifest(tag).value.get("layers") or ())
        except NotFound:
            layers = []
        if any(self._is_attached(uploader.client, key, layer, digest) for layer in layers):
            return
        made = key.sign(self._payload(COSIGN, digest))
        layers.append(self._sent(uploader, made.payload, made.media_type, made.annotations))
        diff_ids = [layer["digest"] for layer in layers]
        config = {
            "architecture": "",
            "os": "",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._sent(uploader, _json(config), CONFIG),
            "layers": layers,
        }
        data = _json(manifest)
        uploader.put_manifest(tag, data, MANIFEST, _digest(data))

    def _is_attached(self, client: Client, key: PrivateKey, layer: Descriptor, digest: str) -> bool:
        from rcrun.registry.payload import COSIGN, Refused
        from rcrun.registry.sigstore import Sigstore, verify

        annotations = dict(layer.get("annotations") or {})
        one: Sigstore = Sigstore(layer.get("mediaType", ""), client.small_blob(layer), annotations)
        try:
            return self._says_it(verify(one, [(key.path, key.public())]), COSIGN, digest)
        except Refused:
            return False

    def _sent(
        self,
        uploader: Uploader,
        data: bytes,
        media_type: str,
        annotations: dict[str, str] | None = None,
    ) -> Descriptor:
        one: Descriptor = {"mediaType": media_type, "digest": _digest(data), "size": len(data)}
        if not uploader.has_blob(one):
            uploader.upload(one, lambda start: iter((data[start:],)))
        return {**one, "annotations": annotations} if annotations else one


def signer_of(context: Context, reference: Reference, signing: Signing | None) -> Signer | None:
    return Signer(context, reference, signing) if signing is not None else None


def check_place(kind: str, signing: Signing | None) -> None:
    """Signatures are kept with, or beside, registries."""
    if signing is not None and kind != "docker":
        raise InvalidInput(
            "only what goes into a registry is signed", "push it to docker://HOST/NAME[:TAG]"
        )


def _json(document: object) -> bytes:
    from rcrun.files import dump_json

    return dump_json(document).encode()


def _digest(data: bytes) -> str:
    from rcrun.formats.digest import of_bytes

    return of_bytes(data)
