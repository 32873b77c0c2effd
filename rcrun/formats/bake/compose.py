"""Services of compose files that are built → targets, as far as `bake` takes them; `x-bake` adds what compose has no words for."""

from __future__ import annotations

import posixpath

from rcrun.formats.bake.interpolation import filled
from rcrun.formats.bake.target import Group, Target, check_name, decoded, merged
from rcrun.formats.bake.values import Fault, kind, plain, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Lookup = Callable[[str], str | None]
    Document = dict[str, Any]

# Of `build` with the same meaning and another name.
_SAME = {
    "context": "context",
    "dockerfile": "dockerfile",
    "dockerfile_inline": "dockerfile-inline",
    "target": "target",
    "network": "network",
    "tags": "tags",
    "platforms": "platforms",
    "cache_from": "cache-from",
    "cache_to": "cache-to",
    "no_cache": "no-cache",
    "pull": "pull",
    "shm_size": "shm-size",
    "entitlements": "entitlements",
}
_EXTENSION = (
    "tags", "cache-from", "cache-to", "secret", "ssh", "platforms", "output", "pull", "no-cache", "no-cache-filter",
    "contexts",
)  # fmt: skip
_WORDS = (
    "tags",
    "cache-from",
    "cache-to",
    "secret",
    "ssh",
    "platforms",
    "output",
    "no-cache-filter",
)


def is_compose(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("services"), dict)


def parse(data: bytes, name: str) -> Any:
    from rcrun.formats.kube.documents import parse as documents

    found = documents(data, name)
    return plain(found[0]) if found else {}


def read(documents: Sequence[tuple[str, Any]], lookup: Lookup) -> tuple[list[Target], Group]:
    """All files are one project: later ones change earlier ones."""
    project: Document = {}

    def known(key: str) -> str | None:
        value = lookup(key)
        return "bake" if key == "COMPOSE_PROJECT_NAME" and not value else value

    name = ""
    for name, document in documents:
        if not isinstance(document, dict):
            raise Fault("this is no compose file", None, name)
        if "include" in document:
            raise Fault('"include" is not read here', "name all files: -f FILE -f FILE", name)
        project = _together(project, filled(document, known, name))
    services = project.get("services") or {}
    if not services:
        raise Fault("there are no services", None, name)
    secrets = project.get("secrets") or {}
    targets = []
    for service, content in sorted(services.items()):
        said = _extended(service, services, name, ())
        if content is not None and said.get("build") is not None:
            try:
                targets.append(_target(service, said, secrets, lookup))
            except Fault as fault:
                raise fault.at(f'{name}: service "{service}"') from fault
    return targets, Group("default", [target.name for target in targets])


def _together(first: Any, second: Any) -> Any:
    """Objects are merged, lists follow each other, other values are replaced."""
    if isinstance(first, dict) and isinstance(second, dict):
        return {**first, **{key: _together(first.get(key), each) for key, each in second.items()}}
    if isinstance(first, list) and isinstance(second, list):
        return [*first, *(each for each in second if each not in first)]
    return first if second is None else second


def _extended(service: str, services: Document, name: str, above: Sequence[str]) -> Document:
    own = services.get(service) or {}
    if not isinstance(own, dict):
        raise Fault(f'service "{service}" is {kind(own)}', None, name)
    other = own.get("extends")
    if isinstance(other, dict):
        if other.get("file"):
            raise Fault(
                f'service "{service}" extends one of another file', "name it: -f FILE", name
            )
        other = other.get("service")
    if not other:
        return own
    if other in above or other not in services:
        raise Fault(f'service "{service}" extends "{other}", which leads nowhere', None, name)
    merged_own: Document = _together(_extended(other, services, name, [*above, service]), own)
    return merged_own


def _target(service: str, said: Document, secrets: Document, lookup: Lookup) -> Target:
    build = said["build"]
    if isinstance(build, str):
        build = {"context": build}
    made: Document = {}
    for key, name in _SAME.items():
        if build.get(key) not in (None, "", False):
            made[name] = decoded(name, build[key])
    if "context" in made:
        made["context"] = _clean(made["context"])
    if "shm-size" in made:
        made["shm-size"] = _size(made["shm-size"])
    made |= {key: each for key, each in _others(build, secrets).items() if each}
    arguments = _arguments(build.get("args"), said, lookup)
    if arguments:
        made["args"] = arguments
    made = _with_extension(made, build.get("x-bake"))
    if not made.get("tags") and said.get("image"):
        made["tags"] = [to_text(said["image"])]
    return Target(check_name(service.replace(".", "_")), made)


def _others(build: Document, secrets: Document) -> Document:
    contexts = {
        key: _link(to_text(each)) for key, each in pairs(build.get("additional_contexts")).items()
    }
    return {
        "contexts": contexts,
        "labels": {key: each or "" for key, each in pairs(build.get("labels")).items()},
        "extra-hosts": _hosts(build.get("extra_hosts")),
        "ulimits": _limits(build.get("ulimits") or {}),
        "ssh": decoded("ssh", _agents(build.get("ssh"))),
        "secret": [_secret(each, secrets) for each in build.get("secrets") or []],
        "attest": decoded("attest", _attestations(build)),
    }


def pairs(value: Any, separator: str = "=") -> dict[str, str | None]:
    """An object, or a list of KEY=VALUE; without a value it is None."""
    if isinstance(value, dict):
        return {key: None if each is None else to_text(each) for key, each in value.items()}
    found: dict[str, str | None] = {}
    for word in value or []:
        key, equals, text = to_text(word).partition(separator)
        found[key] = text if equals else None
    return found


def _clean(path: str) -> str:
    return path if "://" in path or path.startswith("git@") else posixpath.normpath(path)


def _size(text: str) -> str:
    from rcrun.formats import size

    return size.binary(size.parse(text))


def _link(text: str) -> str:
    word, colon, name = text.partition(":")
    if colon and word in ("service", "target"):
        return f"target:{name.replace('.', '_')}"
    return _clean(text) if word != "docker-image" else text


def _arguments(value: Any, said: Document, lookup: Lookup) -> dict[str, str | None]:
    """One without a value takes it from the service's environment, or from the caller's."""
    own = pairs(said.get("environment"))
    found: dict[str, str | None] = {}
    for key, text in pairs(value).items():
        if text is None:
            text = own.get(key) or lookup(key)
        if text is not None:
            found[key] = text
    return found


def _hosts(value: Any) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    if isinstance(value, dict):
        for key, each in value.items():
            found[key] = [to_text(one) for one in (each if isinstance(each, list) else [each])]
    else:
        for word in value or []:
            name, separator, address = to_text(word).partition("=")
            if not separator:
                name, _, address = to_text(word).partition(":")
            found.setdefault(name, []).append(address)
    return {key: ",".join(each) for key, each in found.items()}


def _limits(value: Document) -> list[str]:
    found = []
    for name, each in sorted(value.items()):
        soft, hard = (
            (each.get("soft"), each.get("hard")) if isinstance(each, dict) else (each, each)
        )
        found.append(f"{name}={to_text(soft)}:{to_text(hard)}")
    return found


def _agents(value: Any) -> list[Any]:
    words = [f"{key}={each}" if each else key for key, each in pairs(value).items()]
    return sorted(words)


def _secret(value: Any, secrets: Document) -> Document:
    name = value.get("source", "") if isinstance(value, dict) else to_text(value)
    declared = secrets.get(name) or {}
    if declared.get("external"):
        raise Fault(f'the secret "{name}" is not here', "file: or environment: says where it is")
    found = {"id": name, "src": declared.get("file", ""), "env": declared.get("environment", "")}
    return {key: to_text(each) for key, each in found.items() if each}


def _attestations(build: Document) -> list[str]:
    found = []
    for sort in ("sbom", "provenance"):
        if build.get(sort) not in (None, ""):
            found.append(attestation(sort, to_text(build[sort])))
    return found


def attestation(sort: str, text: str) -> str:
    """docker's short form: true, false, or more words."""
    if text.lower() in ("true", "t", "1"):
        return f"type={sort},disabled=false"
    if text.lower() in ("false", "f", "0"):
        return f"type={sort},disabled=true"
    return f"type={sort},{text}"


def _with_extension(said: Document, extension: Any) -> Document:
    """Lists come besides, unlike those of a target that is said twice."""
    if not isinstance(extension, dict):
        return said
    added: Document = {}
    for key, value in extension.items():
        if key not in _EXTENSION or value is None:
            continue
        words: Any = value.split() if key in _WORDS and isinstance(value, str) else value
        if key == "contexts":
            words = {name: _link(to_text(each)) for name, each in words.items()}
            words = {**words, **said.get("contexts", {})}
        added[key] = decoded(key, words)
    made = merged(said, added)
    if "ssh" in made:
        made["ssh"] = sorted(made["ssh"], key=lambda each: str(each["id"]))
    for key in ("tags", "platforms", "output", "cache-to"):
        if key in added:
            both = [*said.get(key, ()), *added[key]]
            made[key] = [each for at, each in enumerate(both) if each not in both[:at]]
    return made


def environment(text: str, known: Mapping[str, str]) -> dict[str, str]:
    """`.env` beside the files: what is known already stays as it is."""
    found = dict(known)
    for line in text.splitlines():
        key, equals, value = line.strip().removeprefix("export ").partition("=")
        if not equals or key.startswith("#") or key.strip() in known:
            continue
        found[key.strip()] = _unquoted(value.strip(), found)
    return found


def _unquoted(value: str, known: Mapping[str, str]) -> str:
    if len(value) > 1 and value[0] == value[-1] == "'":
        return value[1:-1]
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1].replace("\\n", "\n").replace('\\"', '"')
    else:
        value = value.partition(" #")[0].rstrip()
    return str(filled(value, known.get, ".env"))
