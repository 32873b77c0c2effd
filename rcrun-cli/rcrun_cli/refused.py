"""Options of docker and podman that rcrun understands and cannot have: why, and what does the job. For error texts alone."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_SWARM = ("volumes of a cluster need a swarm, and rcrun works on this host only", "")
_CHECKPOINT = (
    "there are no checkpoints",
    "to keep the files of a container: rcrun commit NAME IMAGE",
)
_OWNER = (
    "the files of a volume belong to whom the image gives them",
    "give them to the container's user when it is mounted: rcrun run -v NAME:/DIR:U …",
)
_SBOM = (
    "rcrun makes no lists of what is in an image",
    "a scanner reads what rcrun save or build --output type=oci,dest=FILE writes",
)
_STEP_IDS = (
    "the ids of a step are those that the store has its layers by",
    "files of other ids: COPY --chown",
)

_REMOTE = (
    "rcrun has no daemon, it works on this host only",
    "log in there and run the same command: ssh HOST rcrun …",
)
_ENCRYPTED = (
    "encrypted images cannot be read",
    "skopeo copy --decryption-key … decrypts one on its way",
)
_SIGNATURES = {
    "--sign-by-sigstore": (
        "neither Fulcio nor Rekor is asked", "with a key of one's own: --sign-by-sigstore-private-key FILE",
    ),
    "--sign-by-sq-fingerprint": ("Sequoia's keys are not asked", "those of GnuPG: --sign-by FINGERPRINT"),
}  # fmt: skip
# By the words behind `rcrun`, then by option: why not, and a hint.
REFUSED: dict[str, dict[str, tuple[str, str]]] = {
    "": {
        **dict.fromkeys(("-c", "--connection", "-r", "--remote", "--url"), _REMOTE),
        "--cdi-spec-dir": ("it is an option of run and create", "rcrun run --cdi-spec-dir DIR …"),
        "--imagestore": ("images are kept in one place, with containers and volumes", "other images besides: --additional-store DIR"),
        "--volumepath": ("volumes are kept with the rest of the store", "rcrun --root DIR …"),
    },
    "start": {"--checkpoint": _CHECKPOINT, "--checkpoint-dir": _CHECKPOINT},
    "rm": {"--link": ("there are no links to remove", "")},
    "pull": {"--decryption-key": _ENCRYPTED},
    "artifact pull": {"--decryption-key": _ENCRYPTED},
    "artifact push": _SIGNATURES,
    "image copy": _SIGNATURES,
    "push": _SIGNATURES,
    "manifest push": {
        **_SIGNATURES,
        "--add-compression": (
            "an image goes out once", "with another compression under another name: --compression-format"
        ),
    },
    "volume create": {
        **dict.fromkeys(
            ("--availability", "--group", "--limit-bytes", "--required-bytes", "--scope", "--secret",
             "--sharing", "--topology-preferred", "--topology-required", "--type"),
            _SWARM,
        ),
        "--gid": _OWNER,
        "--uid": _OWNER,
    },
    "volume ls": {"--cluster": _SWARM},
    "build": {
        **dict.fromkeys(
            ("--sbom-image-output", "--sbom-image-purl-output", "--sbom-merge-strategy", "--sbom-output", "--sbom-purl-output",
             "--sbom-scanner-command", "--sbom-scanner-image"),
            _SBOM,
        ),
        **dict.fromkeys(
            ("--userns", "--userns-gid-map", "--userns-gid-map-group", "--userns-uid-map", "--userns-uid-map-user"), _STEP_IDS
        ),
        "--all-platforms": ("a base may be for platforms that nobody thought of", "name those that you mean: --platform linux/amd64,linux/arm64"),
        "--compat-volumes": ("a VOLUME keeps what later steps write into it", "write into it before VOLUME, or not at all"),
        "--cpp-flag": ("the preprocessor of C is not asked", "cpp -E -P FILE | rcrun build -f - ."),
        "--cw": ("there are no images for confidential machines", ""),
        "--decryption-key": ("encrypted images cannot be read", "skopeo copy --decryption-key … decrypts one on its way"),
        "--layer-label": ("steps leave layers, not images that could have labels", "--label is of the image"),
        "--logsplit": ("a build tells all its platforms in one place", "build them one by one, each with a --logfile"),
        "--runtime-flag": ("steps run on rcrun itself", ""),
        "--stdin": ("steps have no standard input", "give it as a file: RUN --mount=type=bind"),
    },
    "secret create": {"--template-driver": ("secrets are kept as they are", "fill the template in first")},
}  # fmt: skip


def refusal(words: Sequence[str], option: str) -> tuple[str, str] | None:
    """What to say of this option of the command that these words name, and the hint."""
    names = [" ".join(words)]
    if words[:1] == ["container"]:
        names.append(" ".join(words[1:]))
    if words[:1] == ["image"] and len(words) == 2:
        names.append({"rm": "rmi", "ls": "images", "list": "images"}.get(words[1], words[1]))
    for name in names:
        for known, (reason, hint) in REFUSED.get(_ALIASES.get(name, name), {}).items():
            if known == option.partition("=")[0]:
                return f'option "{known}" is not possible: {reason}', hint
    return None


_ALIASES = {
    "builder build": "build",
    "buildx build": "build",
    "ls": "ps",
    "list": "ps",
    "volume list": "volume ls",
    "secret list": "secret ls",
}
