"""The options of the driver `local`, as `volume create -o` and `volume-opt` give them: mount(8)'s type, o and device."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats.volume import PROPAGATIONS, TMPFS_KEYS, TMPFS_WORDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_BIND_WORDS = frozenset(
    "bind rbind ro rw exec noexec dev nodev suid nosuid atime noatime relatime".split()
)


class LocalVolume:
    """`kind` is empty for a directory of the store, `tmpfs`, or `bind` for the directory `device` of the host.

    `words` are mount options.
    """

    __slots__ = ("device", "kind", "words")

    def __init__(self, kind: str = "", words: Iterable[str] = (), device: str = "") -> None:
        self.kind = kind
        self.words = list(words)
        self.device = device


def check_driver(name: str) -> None:
    if name not in ("", "local"):
        raise InvalidInput(
            f'unknown volume driver "{name}": rcrun has no volume plugins', "use --driver local"
        )


def parse(options: Mapping[str, str]) -> LocalVolume:
    for key in options:
        if key not in ("type", "o", "device"):
            raise InvalidInput(
                f'unknown option "{key}" of a volume', "the driver local knows type, o and device"
            )
    kind, device = options.get("type", ""), options.get("device", "")
    words = [word for word in options.get("o", "").split(",") if word]
    if kind == "tmpfs":
        return LocalVolume("tmpfs", _tmpfs_words(words))
    if kind == "bind" and not {"bind", "rbind"}.intersection(words):
        words = ["bind", *words]
    if "bind" in words or "rbind" in words:
        if kind not in ("", "none", "bind"):
            raise InvalidInput(
                f'the volume type "{kind}" does not go with o=bind', "write type=none"
            )
        return LocalVolume("bind", _bind_words(words), _directory(device))
    if kind or device or words:
        raise _unsupported(kind or "none")
    return LocalVolume()


def _unsupported(kind: str) -> InvalidInput:
    return InvalidInput(
        f'volumes of type "{kind}" are not supported: to mount a file system is left to root',
        "mount it first, and give the directory: -o type=none -o o=bind -o device=/DIR",
    )


def _tmpfs_words(words: Iterable[str]) -> list[str]:
    for word in words:
        key, equals, value = word.partition("=")
        known = key in TMPFS_KEYS and value if equals else word in TMPFS_WORDS
        if not known:
            raise InvalidInput(f'unknown mount option "{word}" of a tmpfs volume')
    return list(words)


def _bind_words(words: Iterable[str]) -> list[str]:
    for word in words:
        if word not in _BIND_WORDS and word not in PROPAGATIONS:
            raise InvalidInput(f'unknown mount option "{word}" of a bind volume')
    return [word for word in words if word not in ("bind", "rbind", "rw")] + (
        ["rbind"] if "rbind" in words else []
    )


def _directory(path: str) -> str:
    if not path.startswith("/"):
        raise InvalidInput(f'the device "{path}" of a bind volume is not an absolute path')
    return path
