"""The image documents of OCI and docker: media types, shapes, platforms, the chain of layers."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypedDict

    Kinds = dict[str, tuple[Callable[[object], bool], str]]

    Platform = TypedDict(
        "Platform",
        {
            "architecture": str,
            "os": str,
            "variant": str,
            "os.version": str,
            "os.features": list[str],
        },
        total=False,
    )

    class Descriptor(TypedDict, total=False):
        mediaType: str
        digest: str
        size: int
        annotations: dict[str, str]
        platform: Platform
        artifactType: str
        urls: list[str]

    class Index(TypedDict, total=False):
        schemaVersion: int
        mediaType: str
        manifests: list[Descriptor]
        annotations: dict[str, str]

    class Manifest(TypedDict, total=False):
        schemaVersion: int
        mediaType: str
        artifactType: str
        config: Descriptor
        layers: list[Descriptor]
        annotations: dict[str, str]

    class RootFs(TypedDict):
        type: str
        diff_ids: list[str]

    class History(TypedDict, total=False):
        created: str
        created_by: str
        author: str
        comment: str
        empty_layer: bool

    class ContainerConfig(TypedDict, total=False):
        User: str
        ExposedPorts: dict[str, dict[str, Any]]
        Env: list[str]
        Entrypoint: list[str] | None
        Cmd: list[str] | None
        Volumes: dict[str, dict[str, Any]]
        WorkingDir: str
        Labels: dict[str, str]
        StopSignal: str
        StopTimeout: int
        Shell: list[str]
        Healthcheck: dict[str, Any]
        OnBuild: list[str]

    class ImageConfig(TypedDict, total=False):
        created: str
        author: str
        architecture: str
        os: str
        variant: str
        config: ContainerConfig
        rootfs: RootFs
        history: list[History]


INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"

INDEXES = frozenset((INDEX, DOCKER_INDEX))
CONFIGS = (CONFIG, DOCKER_CONFIG)
MANIFESTS = frozenset((MANIFEST, DOCKER_MANIFEST))

REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"

MOST_LAYERS = 500  # overlayfs(5): OVL_MAX_STACK

# What uname(2) says and what images say.
_MACHINES = {
    "x86_64": ("amd64", ""),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv8l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "loongarch64": ("loong64", ""),
    "mips64": ("mips64le", ""),
}


def platform_of(machine: str) -> tuple[str, str]:
    """Architecture and variant, as images name them."""
    return _MACHINES.get(machine, (machine, ""))


def select(index: Index, architecture: str, variant: str = "") -> Descriptor | None:
    """The manifest for Linux on this architecture; the only one there is if none says so."""
    candidates = [entry for entry in index.get("manifests") or [] if not _is_attestation(entry)]
    fitting = [entry for entry in candidates if _fits(entry.get("platform"), architecture)]
    for entry in fitting:
        if (entry.get("platform") or {}).get("variant", variant) == variant:
            return entry
    if fitting:
        return _best_variant(fitting, variant)
    return candidates[0] if len(candidates) == 1 else None


def platform_text(platform: Platform | None) -> str:
    if not platform:
        return "unknown"
    words = (platform.get("os"), platform.get("architecture"), platform.get("variant"))
    return "/".join(word for word in words if word)


def suits(made_for: str, wanted: str) -> bool:
    """Whether the words of one platform are a beginning of the other's: a variant may be left out."""
    made, asked = made_for.split("/"), wanted.split("/")
    if asked[0] != "linux":
        asked = ["linux", *asked]
    return all(one == other for one, other in zip(made, asked, strict=False))


def _fits(platform: Platform | None, architecture: str) -> bool:
    given = platform or {}
    return given.get("os") == "linux" and given.get("architecture") == architecture


def _is_attestation(entry: Descriptor) -> bool:
    """Build tools put statements about an image beside it, as manifests for no platform."""
    platform = entry.get("platform") or {}
    return platform.get("architecture") == "unknown" and platform.get("os") == "unknown"


def _best_variant(entries: Sequence[Descriptor], variant: str) -> Descriptor | None:
    """An older variant runs on a newer processor: the newest that is not newer than ours."""
    order = sorted(entries, key=lambda entry: (entry.get("platform") or {}).get("variant", ""))
    older = [
        entry for entry in order if (entry.get("platform") or {}).get("variant", "") <= variant
    ]
    return (older or order)[-1] if variant else order[-1]


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """The hex of each layer's chainID, bottom first (OCI image-spec, config.md)."""
    chain: list[str] = []
    for diff_id in diff_ids:
        if not digests.is_sha256(diff_id):
            raise InvalidInput(f'invalid diffID "{diff_id}" in an image configuration')
        if chain:
            chain.append(digests.of_bytes(f"sha256:{chain[-1]} {diff_id}".encode())[7:])
        else:
            chain.append(diff_id[7:])
    return chain


def is_foreign(layer: Descriptor) -> bool:
    """One that may not be handed on; clients fetch it from its URLs."""
    media_type = layer.get("mediaType", "")
    return bool(layer.get("urls")) and ("nondistributable" in media_type or "foreign" in media_type)


def manifest_fault(manifest: Any) -> str:
    """What keeps a manifest from being used; empty when nothing does."""
    if not isinstance(manifest, dict):
        return "it is not a JSON object"
    if manifest.get("schemaVersion") == 1 or "fsLayers" in manifest:
        return "it has the obsolete schema version 1"
    config, layers = manifest.get("config"), manifest.get("layers")
    if not isinstance(config, dict) or not isinstance(layers, list):
        return 'it lacks "config" or "layers"'
    for entry in (config, *layers):
        fault = descriptor_fault(entry)
        if fault:
            return fault
    return ""


def descriptor_fault(entry: Any) -> str:
    if not isinstance(entry, dict) or not digests.is_sha256(entry.get("digest")):
        return "a descriptor has no sha256 digest"
    size = entry.get("size")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        return f'the descriptor of "{entry["digest"]}" has no valid size'
    return ""


def config_fault(config: Any, layers: int) -> str:
    """What keeps an image configuration from being used with so many layers."""
    if not isinstance(config, dict):
        return "it is not a JSON object"
    rootfs = config.get("rootfs")
    if not isinstance(rootfs, dict) or not isinstance(rootfs.get("diff_ids"), list):
        return 'it lacks "rootfs.diff_ids"'
    if len(rootfs["diff_ids"]) != layers:
        return f"it names {len(rootfs['diff_ids'])} layers, the manifest {layers}"
    if layers > MOST_LAYERS:
        return f"it has {layers} layers, more than the {MOST_LAYERS} that overlayfs can stack"
    if not all(map(digests.is_sha256, rootfs["diff_ids"])):
        return 'a digest of "rootfs.diff_ids" is no sha256 digest'
    return _member_fault(config, _TOP, "") or _member_fault(
        config.get("config") or {}, _CONFIG, "config."
    )


def _is_text(value: object) -> bool:
    """That can be a word of a command line, and be printed."""
    if not isinstance(value, str) or "\0" in value:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _is_texts(value: object) -> bool:
    """Some tools write one text where a list is meant."""
    return _is_text(value) or (isinstance(value, list) and all(map(_is_text, value)))


def _is_text_map(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_text, (*value, *value.values())))


def _is_set(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value))


def _is_map(value: object) -> bool:
    return isinstance(value, dict)


def _is_map_or_nothing(value: object) -> bool:
    return _is_map(value) or value == []


def _is_maps(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_map, value))


# What the members of a configuration must be before anybody uses them; each may be absent or null.
_TEXT = (_is_text, "a proper text")
_TEXTS = (_is_texts, "a list of proper texts")
_TEXT_MAP = (_is_text_map, "a JSON object of proper texts")
_SET = (_is_set, "a JSON object with proper texts as names")
_MAP = (_is_map, "a JSON object")
_TOP: Kinds = {
    "architecture": _TEXT,
    "author": _TEXT,
    "config": (_is_map_or_nothing, "a JSON object"),
    "created": _TEXT,
    "history": (_is_maps, "a list of JSON objects"),
    "os": _TEXT,
    "variant": _TEXT,
}
_CONFIG: Kinds = {
    "Cmd": _TEXTS,
    "Entrypoint": _TEXTS,
    "Env": _TEXTS,
    "ExposedPorts": _SET,
    "Healthcheck": _MAP,
    "Labels": _TEXT_MAP,
    "OnBuild": _TEXTS,
    "Shell": _TEXTS,
    "StopSignal": _TEXT,
    "User": _TEXT,
    "Volumes": _SET,
    "WorkingDir": _TEXT,
}


def _member_fault(document: dict[str, Any], kinds: Kinds, before: str) -> str:
    for name, (is_valid, words) in kinds.items():
        value = document.get(name)
        if value is not None and not is_valid(value):
            return f'"{before}{name}" is not {words}'
    return ""
