"""policy.json honoured: an image that must be signed is verified before anything of it is unpacked.

Without the file everything is accepted. What is in the store was checked when it came.
"""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput, NotFound, RcrunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from rcrun.engine.access import Access
    from rcrun.engine.context import Context
    from rcrun.formats.policy import Key, Policy, Requirement
    from rcrun.formats.reference import Reference
    from rcrun.registry.client import Client, Document
    from rcrun.registry.sigstore import Sigstore

NAME = "policy.json"
REJECTED = "every image from there is rejected"


class Untrusted(RcrunError):
    """The policy does not allow this image; whoever can bring it from elsewhere need not try."""


class Signatures:
    """What vouches for one manifest."""

    __slots__ = ("manifest", "messages", "sigstore")

    def __init__(
        self, manifest: bytes, messages: Sequence[bytes], sigstore: Sequence[Sigstore]
    ) -> None:
        self.manifest = manifest
        self.messages = messages
        self.sigstore = sigstore


class Subject:
    """An image to be judged; `gather` brings its signatures, if any are asked for."""

    __slots__ = ("_environ", "_found", "_gather", "hint", "name", "reference")

    def __init__(
        self,
        name: str,
        reference: Reference | None,
        environ: Mapping[str, str],
        gather: Callable[[], list[Signatures]],
        hint: str = "",
    ) -> None:
        self.name = name
        self.reference = reference
        self.hint = hint
        self._environ = environ
        self._gather = gather
        self._found: list[Signatures] | None = None

    def fault(self, requirement: Requirement) -> str:
        """Why it is not met; empty when it is."""
        if requirement.kind == "insecureAcceptAnything":
            return ""
        if requirement.kind == "reject":
            return REJECTED
        if requirement.beyond:
            return f"it asks for {requirement.beyond}, which cannot be verified"
        if self._found is None:
            self._found = self._gather()
        if requirement.kind == "signedBy":
            return self._fault_of_messages(requirement)
        return self._fault_of_sigstore(requirement)

    def _fault_of_messages(self, requirement: Requirement) -> str:
        from rcrun.registry.gpg import signed_content
        from rcrun.registry.payload import SIMPLE

        keys = [data for _, data in _key_data(requirement.keys)]

        def content(one: bytes) -> bytes:
            return signed_content(one, keys, self._environ)

        tries = [(each.manifest, one) for each in self._found or () for one in each.messages]
        return self._fault_of(requirement, tries, content, SIMPLE)

    def _fault_of_sigstore(self, requirement: Requirement) -> str:
        from rcrun.registry.payload import COSIGN
        from rcrun.registry.sigstore import verify

        keys = _key_data(requirement.keys)

        def content(one: Sigstore) -> bytes:
            return verify(one, keys)

        tries = [(each.manifest, one) for each in self._found or () for one in each.sigstore]
        return self._fault_of(requirement, tries, content, COSIGN)

    def _fault_of(
        self,
        requirement: Requirement,
        tries: Sequence[tuple[bytes, Any]],
        content: Callable[[Any], bytes],
        kind: str,
    ) -> str:
        """One good signature is enough."""
        from rcrun.registry.payload import Refused

        reasons = []
        for manifest, one in tries:
            try:
                self._match(requirement, manifest, content(one), kind)
                return ""
            except Refused as refusal:
                reasons.append(str(refusal))
        return "; ".join(dict.fromkeys(reasons)) or "it must be signed, and no signature was found"

    def _match(self, requirement: Requirement, manifest: bytes, content: bytes, kind: str) -> None:
        import hashlib

        from rcrun.formats.policy import is_meant
        from rcrun.registry.payload import Refused, read

        claim = read(content, kind)
        algorithm, _, digits = claim.digest.partition(":")
        if hashlib.new(algorithm, manifest).hexdigest() != digits:
            raise Refused(f'a signature is for "{claim.digest}", which is another manifest')
        if not is_meant(requirement.identity, self.reference, claim.reference):
            raise Refused(f'a signature is for "{claim.reference}", not for this image')


def _key_data(keys: Sequence[Key]) -> list[tuple[str, bytes]]:
    """Each with a name for messages."""
    found = []
    for form, value in keys:
        if form == "data":
            import base64

            try:
                found.append(("keyData", base64.b64decode(value, validate=True)))
            except ValueError as error:
                raise InvalidInput(f"a key in {NAME} is not base64: {error}") from error
            continue
        try:
            with open(value, "rb") as file:
                found.append((value, file.read()))
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise InvalidInput(
                f'cannot read the key "{value}": {reason}', f"{NAME} names it; see policy.json(5)"
            ) from error
    return found


# The policy.


def policy_path(environ: Mapping[str, str], explicit: str = "") -> str:
    """The file that counts, or where the administrator's would be."""
    from rcrun.registry.settings import SYSTEM, user_dir

    own = user_dir(environ)
    if explicit:
        return explicit
    return f"{own}/{NAME}" if own and os.path.exists(f"{own}/{NAME}") else f"{SYSTEM}/{NAME}"


def read_policy(environ: Mapping[str, str], explicit: str = "") -> Policy | None:
    """None when there is none: everything is accepted."""
    from rcrun.formats.policy import parse
    from rcrun.registry.payload import Refused, strict_json

    path = policy_path(environ, explicit)
    try:
        with open(path, "rb") as file:
            document = strict_json(file.read())
    except (FileNotFoundError, NotADirectoryError) as error:
        if not explicit:
            return None
        raise InvalidInput(f'cannot read "{path}": no such file') from error
    except OSError as error:
        raise InvalidInput(f'cannot read "{path}": {(error.strerror or "").lower()}') from error
    except Refused as refusal:
        raise InvalidInput(f'"{path}" cannot be used: {refusal}') from refusal
    return parse(document, path)


def _check(policy: Policy, transport: str, scopes: Sequence[str], subject: Subject) -> None:
    requirements, where = policy.requirements(transport, scopes)
    for requirement in requirements:
        fault = subject.fault(requirement)
        if fault:
            raise _refusal(policy, subject.name, where, fault, subject.hint)


def _refusal(policy: Policy, name: str, where: str, fault: str, hint: str = "") -> Untrusted:
    return Untrusted(f'{name} is refused by "{policy.source}", {where}: {fault}', hint or None)


# Where images come from.


def check_allowed(context: Context, reference: Reference, access: Access) -> None:
    """Before anything is asked: what is rejected whatever it is."""
    from rcrun.formats.policy import docker_scopes
    from rcrun.formats.reference import familiar

    policy = access.policy(context.environ)
    if policy is None:
        return
    requirements, where = policy.requirements("docker", docker_scopes(reference))
    if any(each.kind == "reject" for each in requirements):
        raise _refusal(policy, f'image "{familiar(reference)}"', where, REJECTED)


def check_pull(
    context: Context,
    client: Client,
    reference: Reference,
    manifests: Sequence[Document],
    access: Access,
) -> None:
    """`reference` is what was asked for, that of the client where it is. The manifest of the platform may be
    signed, or the index that names it by its digest, which comes to the same.
    """
    from rcrun.formats.policy import docker_scopes
    from rcrun.formats.reference import familiar

    policy = access.policy(context.environ)
    if policy is None:
        return
    unique = {document.digest: document for document in manifests}.values()
    subject = Subject(
        f'image "{familiar(reference)}"',
        reference,
        context.environ,
        lambda: [_of_registry(context, client, document) for document in unique],
        f"the manifest is {manifests[0].digest}; to see what is asked for: rcrun image trust show",
    )
    _check(policy, "docker", docker_scopes(reference), subject)


def _of_registry(context: Context, client: Client, document: Document) -> Signatures:
    """From beside the registry, or out of it if it keeps them; and attachments where registries.d says so."""
    from rcrun.registry import extension
    from rcrun.registry.lookaside import Lookaside

    lookaside = Lookaside(context.environ)
    files = (
        extension.signatures(client, document.digest)
        if extension.is_there(client)
        else lookaside.signatures(client.reference, document.digest)
    )
    found = _sorted(document.data, files)
    if not lookaside.uses_attachments(client.reference):
        return found
    return Signatures(
        found.manifest, found.messages, [*found.sigstore, *_attached(client, document.digest)]
    )


def _attached(client: Client, digest: str) -> list[Sigstore]:
    from rcrun.registry.sigstore import Sigstore, attachment_tag

    try:
        manifest = client.manifest(attachment_tag(digest)).value
    except NotFound:
        return []
    return [
        Sigstore(
            str(layer.get("mediaType", "")),
            client.small_blob(layer),
            dict(layer.get("annotations") or {}),
        )
        for layer in manifest.get("layers", ())
    ]


def _sorted(manifest: bytes, files: Sequence[bytes]) -> Signatures:
    """Files of both kinds; one that is neither is a message that does not verify."""
    from rcrun.registry.lookaside import parted
    from rcrun.registry.payload import Refused

    messages: list[bytes] = []
    sigstore: list[Sigstore] = []
    for data in files:
        try:
            one = parted(data)
        except Refused:
            one = data
        if isinstance(one, bytes):
            messages.append(one)
        else:
            sigstore.append(one)
    return Signatures(manifest, messages, sigstore)


def check_local(
    context: Context,
    transport: str,
    location: str,
    digest: str,
    policy_file: str = "",
) -> None:
    """An image out of a file or directory, whose manifest is in the store; `location` is `PATH[:NAME]`."""
    from rcrun.storage.archive import split_location

    policy = read_policy(context.environ, policy_file)
    if policy is None:
        return
    path, select = split_location(location)
    path = os.path.realpath(path)

    def gather() -> list[Signatures]:
        from rcrun.files import read_bytes

        manifest = read_bytes(context.store.blob_path(digest))
        return [_sorted(manifest, _beside(path) if transport == "dir" else [])]

    subject = Subject(f'image "{location}"', None, context.environ, gather)
    _check(policy, transport, _local_scopes(transport, path, select), subject)


def _local_scopes(transport: str, path: str, select: str) -> list[str]:
    from rcrun.formats.policy import path_scopes

    if transport not in ("dir", "oci", "oci-archive"):
        return []
    named = [f"{path}:{select}"] if select and transport == "oci" else []
    return [*named, *path_scopes(path)]


def _beside(folder: str) -> list[bytes]:
    """What skopeo writes next to the manifest."""
    from rcrun.registry.lookaside import MOST, read_file

    found = []
    for number in range(1, MOST + 1):
        data = read_file(f"{folder}/signature-{number}")
        if data is None:
            break
        found.append(data)
    return found


def check_import(context: Context, source: str) -> None:
    """A root file system has no signatures."""
    policy = read_policy(context.environ)
    if policy is not None:
        subject = Subject(f'"{source}"', None, context.environ, list)
        _check(policy, "tarball", [], subject)
