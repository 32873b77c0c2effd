"""policy.json as people see it: what is asked of images from where, and one rule more."""

from __future__ import annotations

import os

from rcrun.engine.trust import NAME, policy_path, read_policy
from rcrun.errors import InvalidInput, RcrunError
from rcrun.files import write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.formats.policy import Requirement

KINDS = {
    "accept": "insecureAcceptAnything",
    "insecureAcceptAnything": "insecureAcceptAnything",
    "reject": "reject",
    "signedBy": "signedBy",
    "sigstoreSigned": "sigstoreSigned",
}
_SHOWN = {"insecureAcceptAnything": "accept", "signedBy": "signed"}


class Rule:
    """One requirement of one scope; `store` is where signatures are looked for."""

    __slots__ = ("keys", "kind", "name", "store", "transport")

    def __init__(self, transport: str, name: str, kind: str, keys: str, store: str) -> None:
        self.transport = transport
        self.name = name
        self.kind = kind
        self.keys = keys
        self.store = store


def rules(environ: Mapping[str, str], explicit: str = "") -> list[Rule]:
    """The default first; without a file the one that everything is accepted."""
    policy = read_policy(environ, explicit)
    if policy is None:
        return [Rule("all", "default", "accept", "", "")]
    found = [_rule("all", "default", each, "") for each in policy.default]
    for transport, scopes in policy.transports.items():
        shown = "repository" if transport == "docker" else transport
        for scope, requirements in scopes.items():
            store = _store_of(environ, scope) if transport == "docker" and scope else ""
            found += [_rule(shown, scope, each, store) for each in requirements]
    return found


def _rule(transport: str, name: str, requirement: Requirement, store: str) -> Rule:
    keys = ", ".join(
        os.path.basename(value) if form == "path" else "keyData" for form, value in requirement.keys
    )
    kind = requirement.kind
    signed = kind in ("signedBy", "sigstoreSigned")
    return Rule(transport, name, _SHOWN.get(kind, kind), keys, store if signed else "")


def _store_of(environ: Mapping[str, str], scope: str) -> str:
    """The folder or server, without what the image would add."""
    from rcrun.formats.reference import parse
    from rcrun.registry.lookaside import Lookaside

    try:
        reference = parse(scope if "/" in scope else f"{scope}/x")
    except InvalidInput:  # a wildcard
        return ""
    return Lookaside(environ).base(reference).removesuffix(f"/{reference.path}")


def set_rule(
    environ: Mapping[str, str], scope: str, kind: str, key_files: Sequence[str], explicit: str = ""
) -> str:
    """The file that was written; what else it says stays."""
    if kind not in KINDS:
        known = "accept, reject, signedBy, sigstoreSigned"
        raise InvalidInput(f'invalid type "{kind}"', f"use one of {known}")
    requirements = _requirements(KINDS[kind], key_files)
    path = _writable(environ, explicit)
    document = _document(environ, explicit)
    if scope == "default":
        document["default"] = requirements
    else:
        document.setdefault("transports", {}).setdefault("docker", {})[scope] = requirements
    _write(path, document)
    return path


def _requirements(kind: str, key_files: Sequence[str]) -> list[dict[str, str]]:
    if kind in ("insecureAcceptAnything", "reject"):
        if key_files:
            raise InvalidInput("a key is of no use here", "leave out -f, or use --type signedBy")
        return [{"type": kind}]
    if not key_files:
        raise InvalidInput(f'"{kind}" needs a public key', "-f FILE, once for each key")
    for file in key_files:
        if not os.path.isfile(file):
            raise InvalidInput(f'cannot read the key "{file}": no such file')
    more = {"keyType": "GPGKeys"} if kind == "signedBy" else {}
    return [{"type": kind, **more, "keyPath": os.path.abspath(file)} for file in key_files]


def _writable(environ: Mapping[str, str], explicit: str) -> str:
    """The user's own; the administrator's is the administrator's to change."""
    from rcrun.registry.settings import SYSTEM, user_dir

    if explicit:
        return explicit
    return f"{SYSTEM if os.geteuid() == 0 else user_dir(environ)}/{NAME}"


def _document(environ: Mapping[str, str], explicit: str) -> dict[str, Any]:
    """What counts now, checked: a user's file begins as a copy of the administrator's."""
    from rcrun.files import parse_json

    path = policy_path(environ, explicit)
    if not os.path.exists(path):
        return {"default": [{"type": "insecureAcceptAnything"}]}
    read_policy(environ, path)
    with open(path, "rb") as file:
        document: dict[str, Any] = parse_json(file.read())
    return document


def _write(path: str, document: Mapping[str, Any]) -> None:
    import json

    text = json.dumps(document, indent=4, ensure_ascii=False) + "\n"
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        write_file(os.path.realpath(path), text.encode(), mode=0o644)
    except OSError as error:
        raise RcrunError(f'cannot write "{path}": {(error.strerror or "").lower()}') from error
