"""Credentials checked with a registry, kept in an auth file or with its helper, and forgotten again."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.files import Lock, write_file
from rcrun.formats.reference import Reference
from rcrun.registry import faults
from rcrun.registry.certificates import certificate_dirs
from rcrun.registry.credentials import (
    HUB_DOMAIN,
    HUB_KEY,
    Credentials,
    Lookup,
    find,
    json_object,
    mapping,
    plain_key,
    run_helper,
)
from rcrun.registry.session import Session
from rcrun.registry.settings import registries
from rcrun.registry.transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Document = dict[str, Any]


def domain_of(text: str) -> str:
    """The registry that was typed: nothing, a host, or an old URL; InvalidInput for anything else."""
    from rcrun.formats.reference import parse

    host = plain_key(text or HUB_KEY)
    if host in ("docker.io", "index.docker.io", "registry-1.docker.io"):
        return HUB_DOMAIN
    name = parse(f"{host}/x" if "." in host or ":" in host else f"{host}:443/x")
    if name.path != "x":
        raise InvalidInput(f'"{text}" is not a registry', "log in to a host, not to a repository")
    return host


def key_of(domain: str) -> str:
    """What docker calls the registry in its files and messages."""
    return HUB_KEY if domain == HUB_DOMAIN else domain


def verify(
    domain: str,
    credentials: Credentials,
    environ: Mapping[str, str],
    *,
    tls: bool = True,
    cert_dir: str = "",
) -> None:
    """RegistryError when the registry does not take them."""
    place = registries(environ).itself(Reference(domain, "x"))
    place.check()
    lookup = Lookup(credentials)
    dirs = certificate_dirs(environ)
    tls = tls and not place.insecure
    with Transport(environ, verify=tls, cert_dirs=dirs, cert_dir=cert_dir) as transport:
        session = Session(transport, domain, lookup)
        with session.request("GET", "/v2/") as answer:
            if answer.status != 200:
                raise faults.refused(answer.status, answer.read_all(), domain, lookup)


def who(domain: str, environ: Mapping[str, str], *, authfile: str) -> str:
    """The user whose credentials that file, or its helper, has."""
    found = find(environ, domain, "", authfile=authfile).credentials
    if found is None:
        raise NotFound(f"not logged into {domain}", f"rcrun login {domain}")
    return found.username or "<token>"


def auth_path(environ: Mapping[str, str], *, authfile: str, for_podman: bool) -> str:
    """Where to write: docker's file, or podman's, which does not survive a restart of the host."""
    explicit = authfile or environ.get("REGISTRY_AUTH_FILE", "")
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if explicit:
        return explicit
    if for_podman and runtime:
        return f"{runtime}/containers/auth.json"
    config = environ.get("DOCKER_CONFIG", "")
    home = environ.get("HOME", "")
    if not (config or home):
        raise InvalidInput("there is no HOME to keep credentials in", "--authfile FILE")
    return f"{config or home + '/.docker'}/config.json"


def keep(path: str, domain: str, credentials: Credentials, environ: Mapping[str, str]) -> str:
    """Where they are now: a helper's name, or empty for the file itself."""
    key = key_of(domain)
    with _locked(path):
        document = _read(path)
        helper = _helper(document, domain)
        auths = {
            k: v
            for k, v in mapping(document.get("auths")).items()
            if plain_key(k) != plain_key(key)
        }
        if helper:
            _store_in_helper(helper, key, credentials, path, environ)
            entry: Document = {}
        else:
            entry = {"auth": credentials.basic().removeprefix("Basic ")}
        _write(path, {**document, "auths": {**auths, key: entry}})
    return helper


def forget(path: str, domain: str, environ: Mapping[str, str]) -> bool:
    """False when there was nothing to forget."""
    key = key_of(domain)
    if not os.path.exists(path):
        return False
    with _locked(path):
        document = _read(path)
        auths = mapping(document.get("auths"))
        kept = {k: v for k, v in auths.items() if plain_key(k) not in (plain_key(key), domain)}
        helper = _helper(document, domain)
        if helper:
            run_helper(helper, "erase", key.encode(), path, environ)
        if kept != auths:
            _write(path, {**document, "auths": kept})
        return kept != auths


def forget_all(path: str, environ: Mapping[str, str]) -> None:
    if not os.path.exists(path):
        return
    with _locked(path):
        document = _read(path)
        for key in mapping(document.get("auths")):
            helper = _helper(document, plain_key(key))
            if helper:
                run_helper(helper, "erase", key.encode(), path, environ)
        for domain, helper in mapping(document.get("credHelpers")).items():
            run_helper(str(helper), "erase", str(domain).encode(), path, environ)
        _write(path, {**document, "auths": {}})


def _helper(document: Document, domain: str) -> str:
    return str(mapping(document.get("credHelpers")).get(domain) or document.get("credsStore") or "")


def _store_in_helper(
    helper: str, key: str, credentials: Credentials, source: str, environ: Mapping[str, str]
) -> None:
    import json

    data = {"ServerURL": key, "Username": credentials.username, "Secret": credentials.password}
    _, trouble = run_helper(helper, "store", json.dumps(data).encode(), source, environ)
    if trouble:
        raise RcrunError(trouble, f'install it, or take it out of "{source}"')


def _locked(path: str) -> Lock:
    try:
        os.makedirs(os.path.dirname(path) or ".", 0o700, exist_ok=True)
        lock = Lock(f"{path}.lock")
    except OSError as error:
        raise _unusable(path, error) from error
    return lock


def _read(path: str) -> Document:
    try:
        with open(path, "rb") as file:
            return json_object(path, file.read())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unusable(path, error) from error


def _write(path: str, document: Document) -> None:
    """Indented by a tab, as docker does, since people read and edit it; a link stays a link."""
    import json

    text = json.dumps(document, indent="\t", ensure_ascii=False) + "\n"
    try:
        write_file(os.path.realpath(path), text.encode(), mode=0o600)
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: str, error: OSError) -> RcrunError:
    return InvalidInput(f'cannot use "{path}": {(error.strerror or "").lower()}')
