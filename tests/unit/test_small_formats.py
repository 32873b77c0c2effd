"""Signals, names, --ulimit and --device."""

from __future__ import annotations

import random
import signal
import time

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats import device, moment, names, signals, ulimit


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("TERM", 15),
        ("SIGTERM", 15),
        ("sigkill", 9),
        ("15", 15),
        ("SIGRTMIN+3", 37),
        ("RTMAX-1", 63),
        ("-9", 9),
        ("-TERM", 15),
    ],
)
def test_signals(text: str, number: int) -> None:
    assert signals.parse(text) == number


@pytest.mark.parametrize(
    "text", ["", "0", "65", "SIG", "FOO", "SIGRTMIN+99", "-", "--9", "SIG_DFL"]
)
def test_wrong_signals(text: str) -> None:
    with pytest.raises(InvalidInput, match="invalid signal"):
        signals.parse(text)


def test_names_and_numbers_are_inverse() -> None:
    for number in signal.valid_signals():
        assert signals.parse(signals.name_of(int(number))) == number
    assert signals.name_of(signal.SIGCHLD) == "SIGCHLD"
    assert signals.name_of(signal.SIGIO) == "SIGIO"


def test_container_names() -> None:
    for name in ("ab", "A.b-c_d", "0a"):
        assert names.check(name, "container") == name
    for name in ("", "a", "-ab", "a b", "a/b", "é1", "a" * 256):
        with pytest.raises(InvalidInput, match="container name"):
            names.check(name, "container")


def test_generated_names_follow_the_rule() -> None:
    chance = random.Random(3)
    made = {names.generated(chance.randrange) for _ in range(500)}
    assert len(made) > 450
    assert all(names.is_valid(name) and name.count("_") == 1 for name in made)
    assert names.generated(chance.randrange, 5)[-1].isdigit()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nofile=1024:2048", ("RLIMIT_NOFILE", 1024, 2048)),
        ("nofile=1024", ("RLIMIT_NOFILE", 1024, 1024)),
        ("core=-1", ("RLIMIT_CORE", -1, -1)),
        ("memlock=64:-1", ("RLIMIT_MEMLOCK", 64, -1)),
        ("RLIMIT_NPROC=unlimited", ("RLIMIT_NPROC", -1, -1)),
    ],
)
def test_ulimits(text: str, expected: tuple[str, int, int]) -> None:
    assert ulimit.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["nofile", "nofile=", "what=1", "nofile=2:1", "nofile=-1:5", "nofile=x"]
)
def test_wrong_ulimits(text: str) -> None:
    with pytest.raises(InvalidInput, match="--ulimit"):
        ulimit.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/dev/fuse", ("/dev/fuse", "/dev/fuse", "rwm")),
        ("/dev/fuse:r", ("/dev/fuse", "/dev/fuse", "r")),
        ("/dev/a:/dev/b", ("/dev/a", "/dev/b", "rwm")),
        ("/dev/a:/dev/b:rw", ("/dev/a", "/dev/b", "rw")),
    ],
)
def test_devices(text: str, expected: tuple[str, str, str]) -> None:
    assert device.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "fuse", "/dev/a:b", "/dev/a:/b:x", "/dev/a:/b:rr", "/a:/b:r:w"]
)
def test_wrong_devices(text: str) -> None:
    with pytest.raises(InvalidInput, match="--device"):
        device.parse(text)


def test_moments_ahead() -> None:
    now = time.time_ns()
    minute = 60 * 1_000_000_000
    assert moment.parse("1m", now) == now - minute
    assert moment.parse("1m", now, ahead=True) == now + minute
    assert moment.parse("17", now, ahead=True) == 17_000_000_000
