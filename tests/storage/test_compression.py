from __future__ import annotations

import bz2
import functools
import gzip
import importlib.util
import io
import lzma
import os
import shutil
import subprocess
from collections.abc import Callable

import pytest

from rcrun.errors import HostLacks, InvalidInput
from rcrun.storage import compression

DATA = b"".join(b"%d," % number for number in range(230_000))
HAS_ZSTD = importlib.util.find_spec("zstandard") is not None


def zstd(data: bytes) -> bytes:
    if HAS_ZSTD:
        import zstandard

        return bytes(zstandard.ZstdCompressor(write_checksum=True).compress(data))
    if shutil.which("zstd") is None:
        pytest.skip("no zstd program")
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd,
    "xz": functools.partial(lzma.compress, preset=0),
    "bzip2": bz2.compress,
    "": bytes,
}


def through(data: bytes, piece: int = 10_000) -> bytes:
    source = io.BytesIO(data)
    pieces = list(compression.decompressed(lambda size: source.read(min(size, piece))))
    assert all(len(each) <= compression.CHUNK for each in pieces)
    assert source.read() == b""
    return b"".join(pieces)


@pytest.fixture(params=["library", "without"])
def libraries(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is installed beside Python, and with Python alone."""
    if request.param == "without":
        monkeypatch.setattr(compression, "optional", lambda name: None)
    elif not HAS_ZSTD:
        pytest.skip("zstandard is not installed")


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("kind", COMPRESSORS)
def test_round_trip(kind: str) -> None:
    data = COMPRESSORS[kind](DATA)
    assert compression.kind_of(data[:6]) == kind
    assert through(data) == DATA
    assert through(data, piece=compression.READ) == DATA


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("kind", [kind for kind in COMPRESSORS if kind])
def test_streams_one_after_the_other(kind: str) -> None:
    compress = COMPRESSORS[kind]
    assert through(compress(DATA[:1000]) + compress(b"") + compress(DATA[1000:])) == DATA


@pytest.mark.usefixtures("libraries")
def test_padding_after_gzip() -> None:
    assert through(gzip.compress(DATA) + bytes(100_000)) == DATA


def test_skippable_frames_of_zstd() -> None:
    skip = (0x184D2A50).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"index"
    data = zstd(DATA)
    assert through(skip + data) == DATA
    assert through(data + skip) == DATA


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("kind", ["gzip", "xz", "bzip2"])
def test_cut_short(kind: str) -> None:
    data = COMPRESSORS[kind](DATA)
    with pytest.raises(InvalidInput, match=f"the {kind} stream is cut short"):
        through(data[: len(data) // 2])


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("kind", ["gzip", "xz", "bzip2", "zstd"])
def test_damage(kind: str) -> None:
    data = bytearray(COMPRESSORS[kind](os.urandom(100_000)))
    data[500:600] = bytes(100)
    with pytest.raises(InvalidInput, match=f"the {kind} stream is (damaged|cut short)"):
        through(bytes(data))


def test_trailing_garbage() -> None:
    with pytest.raises(InvalidInput, match="the gzip stream is damaged"):
        through(gzip.compress(DATA) + b"garbage")


@pytest.mark.parametrize("data", [b"", b"a", b"\x1f", b"BZ"])
def test_short_inputs_are_plain(data: bytes) -> None:
    assert through(data) == data


def test_no_zstd_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    data = zstd(DATA)
    monkeypatch.setattr(compression, "optional", lambda name: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostLacks) as caught:
        through(data)
    assert caught.value.hint == "run: rcrun doctor"
