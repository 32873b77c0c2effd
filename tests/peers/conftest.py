"""Other people's engines with the runtime under test: rcrun-oci, or what OCI_RUNTIME names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from all_accounts import Accounts, busybox_archive
from cli.screens import Screen
from peers.podman import Podman
from peers.room import RUNTIME, Inmate, Room, may_make_cgroups
from skips import unmet


@pytest.fixture(scope="session")
def room(accounts: Accounts) -> Iterator[Room]:
    if os.geteuid() != 0:
        unmet("the room for other engines is made by root: make test takes sudo for it")
    base_dir = accounts.base_dir / "room"
    base_dir.mkdir()
    made = Room(base_dir)
    yield made
    made.close()
    shutil.rmtree(base_dir)


@pytest.fixture(scope="session")
def inmates(accounts: Accounts, room: Room) -> Callable[[str], Inmate]:
    def get(kind: str) -> Inmate:
        key = f"peers-{kind}"
        if key not in accounts.made:
            folder = accounts.base_dir / key
            accounts.made[key] = Inmate(kind, accounts.user_name(kind), folder, room)
        found = accounts.made[key]
        assert isinstance(found, Inmate)
        return found

    return get


@pytest.fixture(params=["user", "root"])
def inmate(request: pytest.FixtureRequest, inmates: Callable[[str], Inmate]) -> Inmate:
    """The test runs twice: as the ordinary user and as root, both in the room."""
    return inmates(request.param)


@pytest.fixture(scope="session")
def image(accounts: Accounts) -> Path:
    return busybox_archive(accounts)


@pytest.fixture(scope="session")
def podmans(image: Path) -> Callable[[Inmate], Podman]:
    """podman of an account, whose store has the image `busybox`."""
    made: dict[str, Podman] = {}

    def get(inmate: Inmate) -> Podman:
        if inmate.kind not in made:
            if not inmate.room.has("podman"):
                unmet("podman is not installed", "podman")
            made[inmate.kind] = Podman(inmate)
            made[inmate.kind]("load", "-i", str(image)).check()
        return made[inmate.kind]

    return get


@pytest.fixture
def podman(inmate: Inmate, podmans: Callable[[Inmate], Podman]) -> Iterator[Podman]:
    """Its containers go with the test."""
    found = podmans(inmate)
    yield found
    found.tidy()


@pytest.fixture
def screen() -> Iterator[Callable[..., Screen]]:
    """An engine before a person: `screen(podman, "run", "-it", …)`."""
    made: list[Screen] = []

    def make(engine: object, *words: str, **options: object) -> Screen:
        made.append(Screen(engine, *words, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def with_cgroup(inmate: Inmate) -> None:
    """The test needs a cgroup of the container's own."""
    if not may_make_cgroups(inmate.kind):
        pytest.skip(f"{RUNTIME} makes no cgroup here: it may not load the filter of devices")
