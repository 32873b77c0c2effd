"""The options of the volume driver local."""

from __future__ import annotations

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats import volumeoptions


@pytest.mark.parametrize(
    ("options", "kind", "words", "device"),
    [
        ({}, "", [], ""),
        ({"type": "tmpfs"}, "tmpfs", [], ""),
        ({"type": "tmpfs", "device": "tmpfs", "o": "size=1m,mode=1777,uid=5,noexec"}, "tmpfs",
         ["size=1m", "mode=1777", "uid=5", "noexec"], ""),
        ({"type": "none", "o": "bind", "device": "/d"}, "bind", [], "/d"),
        ({"o": "rbind,ro,rslave", "device": "/d"}, "bind", ["ro", "rslave", "rbind"], "/d"),
        ({"type": "bind", "o": "bind,rw", "device": "/d"}, "bind", [], "/d"),
        ({"type": "bind", "o": "ro", "device": "/d"}, "bind", ["ro"], "/d"),
    ],
)  # fmt: skip
def test_what_is_mounted(options: dict[str, str], kind: str, words: list[str], device: str) -> None:
    found = volumeoptions.parse(options)
    assert (found.kind, found.words, found.device) == (kind, words, device)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "1m"}, 'unknown option "size" of a volume'),
        ({"type": "nfs", "device": ":/x", "o": "addr=1.2.3.4"}, 'type "nfs" are not supported'),
        ({"type": "ext4", "device": "/dev/sda1"}, 'type "ext4" are not supported'),
        ({"type": "ext4", "device": "/d", "o": "bind"}, 'type "ext4" does not go with o=bind'),
        ({"device": "/d"}, 'type "none" are not supported'),
        ({"o": "uid=5"}, 'type "none" are not supported'),
        ({"type": "none", "o": "bind"}, 'the device "" of a bind volume is not an absolute path'),
        ({"type": "none", "o": "bind", "device": "d"}, 'device "d" of a bind volume'),
        ({"type": "none", "o": "bind,what", "device": "/d"}, 'unknown mount option "what"'),
        ({"type": "tmpfs", "o": "what"}, 'unknown mount option "what"'),
        ({"type": "tmpfs", "o": "size="}, 'unknown mount option "size="'),
    ],
)
def test_refusals(options: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        volumeoptions.parse(options)
    assert message in caught.value.message


def test_drivers() -> None:
    volumeoptions.check_driver("local")
    volumeoptions.check_driver("")
    with pytest.raises(InvalidInput, match='unknown volume driver "rexray"'):
        volumeoptions.check_driver("rexray")
