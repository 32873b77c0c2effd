"""What `--output`, `--cache-to` and `--cache-from` of a build say: `type=KIND,KEY=VALUE…`, or docker's and podman's short forms. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_LOOKS = {"compression", "compression-level", "force-compression", "oci-mediatypes"}
_FILE = {"dest", "platform-split"}
_ARCHIVE = {"dest", "name", "tar", *_LOOKS}
_IMAGE = {"name", "push", "push-by-digest", "registry.insecure", *_LOOKS}
OUTPUTS: dict[str, set[str]] = {
    "local": _FILE, "tar": _FILE, "oci": _ARCHIVE, "docker": _ARCHIVE, "image": _IMAGE,
    "registry": _IMAGE, "cacheonly": set(),
}  # fmt: skip
# What BuildKit has for choices that are made here anyway: layers are unpacked and kept, times are clamped.
_WITHOUT_EFFECT = {
    "context", "dangling-name-prefix", "name-canonical", "rewrite-timestamp", "store", "unpack",
    "prefer-nondist-layers", "mode",
}  # fmt: skip
_ELSEWHERE = (
    "it belongs to a service that rcrun does not speak to",
    "keep a directory with the CI's own cache: --cache-to type=local,dest=DIR --cache-from type=local,src=DIR",
)
_UNREACHABLE_CACHES = {
    "gha": (
        "GitHub's cache service has an interface for its own actions only",
        "keep a directory with actions/cache: --cache-to type=local,dest=DIR --cache-from type=local,src=DIR",
    ),
    "s3": _ELSEWHERE,
    "azblob": _ELSEWHERE,
}
CACHES: dict[str, set[str]] = {
    "registry": {"ref", "mode", "compression", "compression-level", "registry.insecure"},
    "local": {"dest", "src", "mode", "compression", "compression-level"},
    "inline": set(),
}
_NO_CACHE_EFFECT = {
    "digest", "force-compression", "ignore-error", "image-manifest", "oci-mediatypes", "tag", "timeout",
}  # fmt: skip


class Words:
    """One of the three options: its kind, and the values of its keys. `text` is what was typed."""

    __slots__ = ("kind", "text", "values")

    def __init__(self, text: str, kind: str, values: Mapping[str, str]) -> None:
        self.text = text
        self.kind = kind
        self.values = dict(values)

    def get(self, key: str, default: str = "") -> str:
        return self.values.get(key, default)

    def has(self, key: str, *, default: bool = False) -> bool:
        """A key without a value is true."""
        return self.values.get(key, "true" if default else "false").lower() in (
            "true",
            "1",
            "yes",
            "",
        )

    def annotations(self) -> dict[str, str]:
        return {
            key.partition(".")[2]: value
            for key, value in self.values.items()
            if key.startswith(("annotation.", "annotation[manifest]."))
        }


def output(text: str) -> Words:
    """`DIR` and `-` are short for type=local and type=tar."""
    if "=" not in text.partition(",")[0]:
        if not text:
            raise InvalidInput("--output is empty", "write a directory, or type=KIND,dest=PATH")
        return Words(text, "tar" if text == "-" else "local", {"dest": text})
    values = _pairs("--output", text)
    kind = values.pop("type", "")
    if not kind:
        kind = "tar" if values.get("dest") == "-" else "local"
    if kind not in OUTPUTS:
        raise InvalidInput(
            f'--output: unknown type "{kind}"', f"use one of {', '.join(sorted(OUTPUTS))}"
        )
    made = Words(text, kind, values)
    _check_keys("--output", made, OUTPUTS[kind], _WITHOUT_EFFECT)
    if kind in ("local", "tar", "oci") and not made.get("dest"):
        if kind == "local":
            raise InvalidInput(
                "--output: type local needs a directory", "write type=local,dest=DIR"
            )
        made.values["dest"] = "-"
    if kind == "local" and made.get("dest") == "-":
        raise InvalidInput(
            "--output: a directory is not for standard output", "write type=tar,dest=-"
        )
    return made


def unreachable(option: str, text: str) -> tuple[str, str] | None:
    """What to warn of a cache that no build of ours finds, and the hint: the image is the same without it."""
    kind = next((word[5:] for word in text.split(",") if word.startswith("type=")), "")
    if kind not in _UNREACHABLE_CACHES:
        return None
    reason, hint = _UNREACHABLE_CACHES[kind]
    return f"{option}: there is no cache of type {kind} here: {reason}", hint


def cache(option: str, text: str) -> Words:
    """A reference alone is type=registry,ref=REFERENCE."""
    if "=" not in text.partition(",")[0]:
        if not text:
            raise InvalidInput(
                f"{option} is empty", "write a repository, or type=registry,ref=REFERENCE"
            )
        return Words(text, "plain", {"ref": text})
    values = _pairs(option, text)
    kind = values.pop("type", "")
    if kind not in CACHES:
        raise InvalidInput(
            f'{option}: unknown type "{kind}"' if kind else f'{option} "{text}" has no type',
            f"use one of {', '.join(sorted(CACHES))}",
        )
    made = Words(text, kind, values)
    _check_keys(option, made, CACHES[kind], _NO_CACHE_EFFECT)
    needed = {"registry": "ref", "local": "dest" if option == "--cache-to" else "src"}.get(kind)
    if needed and not made.get(needed):
        raise InvalidInput(f'{option} "{text}" has no {needed}', f"write type={kind},{needed}=…")
    if kind == "inline" and option == "--cache-from":
        raise InvalidInput(
            "--cache-from: type inline is for --cache-to", "write type=registry,ref=IMAGE"
        )
    if made.get("mode", "min") not in ("min", "max"):
        raise InvalidInput(
            f'{option}: mode is min or max, not "{made.get("mode")}"',
            "min keeps the steps of the image, max those of all stages",
        )
    return made


def _pairs(option: str, text: str) -> dict[str, str]:
    import csv

    try:
        fields = next(csv.reader([text], strict=True))
    except (csv.Error, StopIteration) as error:
        raise InvalidInput(f'{option} "{text}" is not KEY=VALUE,…: {error}') from error
    values = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals and key not in ("push", "tar", "platform-split"):
            raise InvalidInput(f'{option}: "{field}" is not KEY=VALUE')
        values[key.strip().lower() if not key.startswith("annotation") else key] = value
    return values


def _check_keys(option: str, words: Words, known: set[str], ignored: set[str]) -> None:
    for key in words.values:
        if (
            key in known
            or key in ignored
            or key.startswith(("annotation.", "annotation[manifest]."))
        ):
            continue
        has = f"it has {' '.join(sorted(known))}" if known else None
        raise InvalidInput(f'{option}: type {words.kind} has no "{key}"', has)
